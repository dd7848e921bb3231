#!/usr/bin/env bash
# [--limit MIB] [--factor N] [--parallelism N]: state several times larger than a control group's limit; right result, no kill
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

require_packages python3
build release weir
exec python3 "$WEIR_ROOT/tests/memory/memory_limit.py" --weir "$WEIR_ROOT/build/release/weir" --limit 256 "$@"
