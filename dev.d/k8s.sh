#!/usr/bin/env bash
# tools: fetch Helm and the schemas that the tests of the Helm chart use
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

[[ $# -eq 1 && $1 == tools ]] || die "usage: ./dev k8s tools"
command -v npm >/dev/null || require_packages npm
command -v go >/dev/null || require_packages golang-go
exec "$WEIR_ROOT/deploy/third_party/kubernetes_tools.sh"
