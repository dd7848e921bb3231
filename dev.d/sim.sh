#!/usr/bin/env bash
# [--job files|kafka] [--seed S] [--seeds N]: whole jobs in simulated processes that crash, beside a simulated Kafka or with files only (without --job: both), N seeds (100) from S (1) on; a seed gives the same run each time
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

seed=1
seeds=100
tests='CrashRun.*:KafkaRun.Files*'
while [[ $# -gt 0 ]]; do
  case $1 in
    --seed | --seeds)
      [[ ${2:-} =~ ^[0-9]+$ ]] || die "sim: $1 needs a number"
      if [[ $1 == --seed ]]; then seed=$2; else seeds=$2; fi
      shift
      ;;
    --job)
      case ${2:-} in
        files) tests='CrashRun.*' ;;
        kafka) tests='KafkaRun.Files*' ;;
        *) die "sim: --job is 'files' or 'kafka'" ;;
      esac
      shift
      ;;
    *) die "sim: unknown option '$1'" ;;
  esac
  shift
done
build release sim_tests
WEIR_SIM_SEED=$seed WEIR_SIM_RUNS=$seeds "$WEIR_ROOT/build/release/tests/sim_tests" --gtest_filter="$tests"
