#!/usr/bin/env bash
# [CTEST ARGUMENT...]: build release and run every test, those against a real Kafka too
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

build release
require_packages "${WEIR_PACKAGES_TEST[@]}" "${WEIR_PACKAGES_KAFKA[@]}" "${WEIR_PACKAGES_MONITORING[@]}"

# Without it the tests of S3 storage say that they were skipped.
"$WEIR_ROOT/deploy/third_party/versitygw.sh" >/dev/null || say "the tests of S3 storage will be skipped"

# ctest's closing lines stay the last ones: they are held back until it has ended, and the reasons of skipped tests are
# put before them.
log=$WEIR_ROOT/build/release/Testing/Temporary/LastTest.log
rm -f "$log"
closing=$WEIR_ROOT/build/release/ctest-closing.txt
: >"$closing"
status=0
ctest --test-dir "$WEIR_ROOT/build/release" --output-on-failure --no-tests=error --parallel "$(nproc)" "$@" 2>&1 |
  awk -v closing="$closing" '/^[0-9]+% tests passed/ { held = 1 } held { print > closing; next } { print; fflush() }' ||
  status=${PIPESTATUS[0]}
if [[ -f $log ]]; then
  # GoogleTest prints "file:line: Skipped", then the reason.
  awk '/^[0-9]+\/[0-9]+ Test: / { name = $3 } take && NF { print "SKIPPED " name ": " $0; take = 0 }
       /: Skipped$/ { take = 1 }
       / \.\.\. skipped / { sub(/ \.\.\. skipped /, ": "); print "SKIPPED " $0 }' "$log"
fi
cat "$closing"
exit "$status"
