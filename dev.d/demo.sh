#!/usr/bin/env bash
# [--seconds N]: the clickstream example, no Kafka to install; KAFKA_BROKERS=host:port uses a real one
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

build release weir
cd "$WEIR_ROOT"
exec build/release/weir demo jobs/examples/clicks.weir.json "$@"
