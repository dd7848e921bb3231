#!/usr/bin/env bash
# [--kills N] [--seed S] [--rescale]: kill -9 under load against real Kafka; nothing may be lost, nothing doubled in files
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

require_packages python3 "${WEIR_PACKAGES_KAFKA[@]}"
build release weir weir_workload
directory=$(mktemp -d)
kafka=$WEIR_ROOT/deploy/kafka/kafka.sh
trap '"$kafka" down --purge --dir "$directory" >/dev/null 2>&1 || true' EXIT
"$kafka" up --port 0 --dir "$directory"
python3 "$WEIR_ROOT/tests/chaos/chaos.py" --weir "$WEIR_ROOT/build/release/weir" --workload "$WEIR_ROOT/build/release/tests/weir_workload" \
  --kafka "$(cat "$directory/bootstrap")" "$@"
