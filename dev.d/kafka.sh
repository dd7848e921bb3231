#!/usr/bin/env bash
# up|down|status|tool: a real Apache Kafka broker on this machine (./dev kafka --help)
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

require_packages "${WEIR_PACKAGES_KAFKA[@]}"
exec "$WEIR_ROOT/deploy/kafka/kafka.sh" "$@"
