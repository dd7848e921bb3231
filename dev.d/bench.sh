#!/usr/bin/env bash
# nexmark|micro|behaviour: speed, and results compared with an oracle (./dev bench nexmark --help)
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

usage() {
  cat <<'USAGE'
usage: ./dev bench nexmark [options]   Nexmark over a real Kafka, beside a loop written by hand; --help tells the options
       ./dev bench behaviour [slow|idle|cold|pause] [options]
                                       a job behind a slow sink, without input, and at its start
       ./dev bench micro [options]     unit costs (Google Benchmark; its own options, e.g. --benchmark_filter=Channel)
USAGE
}

verb=${1:-}
[[ $# -eq 0 ]] || shift
case $verb in
  nexmark)
    require_packages python3
    for argument in "$@"; do
      if [[ $argument == -h || $argument == --help ]]; then exec python3 "$WEIR_ROOT/bench/nexmark/nexmark.py" --help; fi
    done
    require_packages "${WEIR_PACKAGES_KAFKA[@]}"
    build release weir weir_bench_nexmark_gen weir_bench_nexmark_oracle weir_bench_nexmark_hand_loop
    exec python3 "$WEIR_ROOT/bench/nexmark/nexmark.py" "$@"
    ;;
  behaviour)
    require_packages python3 "${WEIR_PACKAGES_KAFKA[@]}"
    build release weir
    exec python3 "$WEIR_ROOT/bench/behaviour/behaviour.py" "$@"
    ;;
  micro)
    build release weir_bench_micro
    exec "$WEIR_ROOT/build/release/bench/weir_bench_micro" "$@"
    ;;
  -h | --help | help)
    usage
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
