#!/usr/bin/env bash
# [PRESET] [TARGET...]: build into build/PRESET; release (the default), dev, tsan, lint or fuzz
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

preset=release
if [[ $# -gt 0 ]]; then
  preset=$1
  shift
fi
build "$preset" "$@"
