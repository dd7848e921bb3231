#!/usr/bin/env bash
# [tools | CTEST ARGUMENT...]: dashboards, rules and alerts against a real Prometheus and Alertmanager; tools: fetches the validators
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

require_packages "${WEIR_PACKAGES_MONITORING[@]}"
command -v go >/dev/null || require_packages golang-go
for program in deploy/grafana/strict deploy/compose/reader; do
  "$WEIR_ROOT/deploy/third_party/go_program.sh" "$program" >/dev/null
done
[[ ${1:-} != tools ]] || exit 0
build release
require_packages "${WEIR_PACKAGES_KAFKA[@]}"
exec ctest --test-dir "$WEIR_ROOT/build/release" --output-on-failure --no-tests=error -L monitoring "$@"
