#!/bin/sh
# Builds zlint, which reads every certificate, CRL and OCSP response that the tests make, into .build/. Version and content of
# all its sources are those of scripts/zlint/go.sum. Go from 1.21 fetches the Go that zlint asks for by itself.
set -eu
cd "$(dirname "$0")/zlint"
target=../../.build/zlint
[ -x "$target" ] && [ ! go.sum -nt "$target" ] && exit 0
PATH="$PATH:/usr/local/go/bin"
if ! command -v go >/dev/null; then
  echo "error: the tests need Go from 1.21 in the PATH, to build zlint from scripts/zlint" >&2
  exit 1
fi
echo "  … building zlint" >&2
GOFLAGS=-mod=readonly go build -o "$target" github.com/zmap/zlint/v3/cmd/zlint
