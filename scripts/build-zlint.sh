#!/bin/sh
# Builds zlint, which reads every certificate, CRL and OCSP response that the tests make, into .build/. Version and content of
# all its sources are those of scripts/zlint/go.sum.
set -eu
cd "$(dirname "$0")/zlint"
target=../../.build/zlint
[ -x "$target" ] && [ ! go.sum -nt "$target" ] && exit 0
go=$(sh ../go.sh)
echo "  … building zlint" >&2
GOFLAGS=-mod=readonly "$go" build -o "$target" github.com/zmap/zlint/v3/cmd/zlint
