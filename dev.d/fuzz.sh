#!/usr/bin/env bash
# [TARGET...] [--seconds N]: libFuzzer with ASan and UBSan on the targets of tests/fuzz, each for N seconds (60)
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

seconds=60
targets=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --seconds)
      [[ ${2:-} =~ ^[0-9]+$ ]] || die "fuzz: --seconds needs a number"
      seconds=$2
      shift
      ;;
    -*) die "fuzz: unknown option '$1'" ;;
    *) targets+=("$1") ;;
  esac
  shift
done
if [[ ${#targets[@]} -eq 0 ]]; then
  for file in "$WEIR_ROOT"/tests/fuzz/*_fuzz.cc; do targets+=("$(basename "$file" _fuzz.cc)"); done
fi
for target in "${targets[@]}"; do
  [[ -f $WEIR_ROOT/tests/fuzz/${target}_fuzz.cc ]] || die "fuzz: there is no target '$target'"
done
build fuzz "${targets[@]/%/_fuzz}" "${targets[@]/%/_replay}"
binaries=$WEIR_ROOT/build/fuzz/fuzz
failed=()
for target in "${targets[@]}"; do
  # What libFuzzer finds out about coverage is kept between runs, beside the build.
  corpus=$WEIR_ROOT/build/fuzz/corpus/$target
  findings=$WEIR_ROOT/build/fuzz/findings/$target
  mkdir -p "$corpus" "$findings"
  "$binaries/${target}_replay" --write-seeds "$corpus"
  kept=$WEIR_ROOT/tests/fuzz/corpus/$target
  [[ -d $kept ]] || kept=
  say "fuzzing $target for $seconds s"
  status=0
  "$binaries/${target}_fuzz" "$corpus" ${kept:+"$kept"} -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=4096 \
    -timeout=10 -print_final_stats=1 -artifact_prefix="$findings/" -verbosity=0 2>&1 | grep -E '^(==|SUMMARY|stat::|artifact_prefix|ERROR|    #)' ||
    status=${PIPESTATUS[0]}
  [[ $status -eq 0 ]] || failed+=("$target")
done
if [[ ${#failed[@]} -gt 0 ]]; then
  die "fuzz: failing inputs of ${failed[*]} are in build/fuzz/findings; keep them in tests/fuzz/corpus/<target>/ with the fix"
fi
say "fuzz: ${#targets[@]} targets, nothing found"
