#!/usr/bin/env bash
# Installs what the interop tests talk to: Debian packages, two proxies of PyPI, the binding to an HSM; nothing when all are there.
# Ends with 0 when everything is in place, with 69 (EX_UNAVAILABLE) and a sentence when that can't be done.
set -euo pipefail

# One line per peer: the package, and the file that shows that it is there.
peers() {
  cat <<'PEERS'
curl /usr/bin/curl
openssl /usr/bin/openssl
apache2-bin /usr/sbin/apache2
libapache2-mod-auth-openidc /usr/lib/apache2/modules/mod_auth_openidc.so
libapache2-mod-oauth2 /usr/lib/apache2/modules/mod_oauth2.so
haproxy /usr/sbin/haproxy
nginx /usr/sbin/nginx
libnginx-mod-http-js /usr/lib/nginx/modules/ngx_http_js_module.so
redis-server /usr/bin/redis-server
python3-authlib /usr/lib/python3/dist-packages/authlib/__init__.py
python3-requests /usr/lib/python3/dist-packages/requests/__init__.py
testssl.sh /usr/bin/testssl
softhsm2 /usr/bin/softhsm2-util
opensc /usr/bin/pkcs11-tool
g++ /usr/bin/g++
make /usr/bin/make
python3 /usr/bin/python3
python3-pip /usr/lib/python3/dist-packages/pip/__init__.py
PEERS
}

missing_packages() {
  peers | while read -r package file; do
    [ -e "$file" ] || echo "$package"
  done
}

unavailable() {
  echo "test:interop needs these Debian packages: $*" >&2
  exit 69
}

mapfile -t missing < <(missing_packages)
what_debian_lacks() {
  bash "$(dirname "$0")/build-pkcs11js.sh"
  bash "$(dirname "$0")/fetch-proxies.sh"
}

if [ "${#missing[@]}" -eq 0 ]; then
  what_debian_lacks
  exit
fi

command -v apt-get >/dev/null || unavailable "${missing[*]} (and there is no apt-get here)"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || unavailable "${missing[*]} (install them as root, or allow sudo without a password)"
  as_root=(sudo -n)
fi

# No service of the system may start because of us: the tests run Apache and NGINX as their own children.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=60 "$@"
}

echo "installing ${missing[*]}"
install=(install -y --no-install-recommends "${missing[@]}")
# The lists of a fresh container are empty or old; with good ones the update would be wasted time.
apt "${install[@]}" || { apt update && apt "${install[@]}"; } ||
  unavailable "${missing[*]} (apt-get could not install them)"

mapfile -t missing < <(missing_packages)
[ "${#missing[@]}" -eq 0 ] || unavailable "${missing[*]} (installed, but not where Debian 12 puts them)"
what_debian_lacks
