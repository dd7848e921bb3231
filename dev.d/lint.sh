#!/usr/bin/env bash
# [--fix|--format]: clang-format, then clang 16 with thread-safety analysis, clang-tidy, each header compiled alone
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

# --format checks the layout only; --fix writes it.
mode=${1:-all}
case $mode in all | --fix | --format) ;; *) die "lint: unknown argument '$mode'" ;; esac
require_packages git "${WEIR_PACKAGES_CLANG[@]}"
cd "$WEIR_ROOT"
mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.cc' '*.h')
[[ ${#files[@]} -gt 0 ]] || die "lint: no sources here"
if [[ $mode == --fix ]]; then
  clang-format-16 -i "${files[@]}"
  exit 0
fi
clang-format-16 --dry-run --Werror "${files[@]}" || die "layout differs: ./dev lint --fix"
[[ $mode == all ]] || exit 0
# What cmake/lint_source.sh has not met for a month will not come again.
mkdir -p "$WEIR_CACHE/lint"
find "$WEIR_CACHE/lint" -type f -mtime +30 -delete
build lint all all_verify_interface_header_sets
