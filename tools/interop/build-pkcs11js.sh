#!/usr/bin/env bash
# Builds the package pkcs11js, by which Countersign speaks to an HSM, into node_modules; nothing when it is there.
# It is not installed with the others because it has to be compiled: needs a C++ compiler, make and Python.
# Ends with 69 (EX_UNAVAILABLE) and a sentence when it can't be had.
set -euo pipefail

version=2.1.7
integrity=hstUuhkFoISF8BmTVRtaZzbF09WjE39K3gzZzUrI8WtRu4cYl4gakkd06I4Kq36kR/mkwVw2T2y3kHXk6JvuHQ==

root=$(cd "$(dirname "$0")/../.." && pwd)
target=$root/node_modules/pkcs11js
[ ! -e "$target/build/Release/pkcs11.node" ] || exit 0

unavailable() {
  echo "pkcs11js can't be built: $*" >&2
  exit 69
}

npm_cli=${npm_execpath:-$(readlink -f "$(command -v npm)")}
node_gyp=$(dirname "$npm_cli")/../node_modules/node-gyp/bin/node-gyp.js
[ -e "$node_gyp" ] || unavailable "npm brings no node-gyp"
node=$(cd "$root" && PATH="$root/node_modules/.bin:$PATH" node -p process.execPath)
# Its header files lie beside the Node that runs Countersign.
headers=$("$node" -p 'require("node:path").resolve(process.execPath, "../..")')

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$node" "$npm_cli" pack --silent "pkcs11js@$version" >/dev/null || unavailable "npm does not fetch it"
found=$(openssl dgst -sha512 -binary "pkcs11js-$version.tgz" | base64 -w0)
[ "$found" = "$integrity" ] || unavailable "its content is not the one that was reviewed"
tar -xzf "pkcs11js-$version.tgz"
(cd package && "$node" "$node_gyp" rebuild --nodedir="$headers") >build.log 2>&1 || {
  cat build.log >&2
  unavailable "it does not compile"
}
rm -rf "$target"
mv package "$target"
echo "built pkcs11js $version"
