#!/usr/bin/env bash
# [--seed S] [--runs N]: whole jobs in simulated processes that crash, N seeds (100) from S (1) on; a seed gives the same run each time
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

seed=1
runs=100
while [[ $# -gt 0 ]]; do
  case $1 in
    --seed | --runs)
      [[ ${2:-} =~ ^[0-9]+$ ]] || die "sim: $1 needs a number"
      if [[ $1 == --seed ]]; then seed=$2; else runs=$2; fi
      shift
      ;;
    *) die "sim: unknown option '$1'" ;;
  esac
  shift
done
build release sim_tests
WEIR_SIM_SEED=$seed WEIR_SIM_RUNS=$runs "$WEIR_ROOT/build/release/tests/sim_tests" --gtest_filter='CrashRun.*'
