#!/usr/bin/env bash
# [dev|tsan] [CTEST ARGUMENT...]: the tests under ASan and UBSan (dev) and under TSan (tsan)
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

presets=(dev tsan)
if [[ ${1:-} == dev || ${1:-} == tsan ]]; then
  presets=("$1")
  shift
fi
require_packages "${WEIR_PACKAGES_KAFKA[@]}"
for preset in "${presets[@]}"; do
  build "$preset"
  (cd "$WEIR_ROOT" && ctest --preset "$preset" --parallel "$(nproc)" --no-tests=error "$@")
done
