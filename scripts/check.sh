#!/bin/sh
# Everything that reads the code without running it: types, format and lint, layers, unused code, contracts.
set -eu
cd "$(dirname "$0")/.."
echo "types";          node node_modules/tsc7/bin/tsc -p .
echo "format, lint";   biome check --error-on-warnings .
echo "layers";         depcruise --config .dependency-cruiser.cjs libs services >/dev/null || { depcruise --config .dependency-cruiser.cjs --output-type err libs services; exit 1; }
echo "unused code";    knip --no-progress
echo "contracts";      (cd proto && buf lint)
