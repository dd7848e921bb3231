#!/usr/bin/env bash
# [--cache]: stop brokers that tests left running, remove build/; --cache: downloads and third-party builds too
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

for directory in "$WEIR_ROOT"/build/*/kafka; do
  [[ ! -d $directory ]] || "$WEIR_ROOT/deploy/kafka/kafka.sh" down --dir "$directory"
done
rm -rf "$WEIR_ROOT/build"
[[ ${1:-} != --cache ]] || rm -rf "$WEIR_CACHE"
