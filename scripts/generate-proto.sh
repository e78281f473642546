#!/bin/sh
# Regenerates proto/gen from proto: the TypeScript types, and the descriptor that the
# transports load. A test fails when the checked-in files differ.
set -eu
cd "$(dirname "$0")/../proto"
buf lint
buf format -w
rm -rf gen
buf generate
node ../scripts/generate-descriptor.mjs
