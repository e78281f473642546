#!/bin/sh
# Static checks, then every test. The last line printed is `Tests: N passed, N failed`.
set -u
cd "$(dirname "$0")/.."
if [ $# -eq 0 ] && ! sh scripts/check.sh; then
  echo "Tests: 0 passed, 1 failed"
  exit 1
fi
exec env NODE_OPTIONS='--experimental-vm-modules --disable-warning=ExperimentalWarning' jest "$@"
