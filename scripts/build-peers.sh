#!/bin/sh
# Installs the servers that `npm run bench -- --peers` compares GigVault with into .build/peers, at these versions.
set -eu
cd "$(dirname "$0")/.."
go=$(sh scripts/go.sh)
export GOBIN="$PWD/.build/peers" GOFLAGS=-buildvcs=false
# Without C: step-ca's drivers for smart cards want libraries that nobody needs here.
export CGO_ENABLED=0
for program in \
  github.com/smallstep/certificates/cmd/step-ca@v0.30.2 \
  github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9 \
  github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3; do
  name=${program##*/}
  binary="$GOBIN/${name%@*}"
  "$go" version -m "$binary" 2>/dev/null | grep -q "mod.*[[:space:]]${name#*@}[[:space:]]" && continue
  echo "  … building $name" >&2
  "$go" install "$program"
done
