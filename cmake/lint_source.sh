#!/usr/bin/env bash
# Stands before the compiler in the lint preset: lint_source.sh CLANG_TIDY ROOT COMPILER FLAG... -o OBJECT -c SOURCE
#
# Analyses a source instead of compiling it: clang-tidy reports clang's own warnings too (thread safety among them), so
# that one pass is enough and no code is made. The object is an empty file that says "clean". A header, which CMake
# wraps in a file NAME.h.cxx, is only checked for compiling alone; the sources that include it have it analysed.
#
# What was clean once is not analysed again, in any working copy: $WEIR_CACHE/lint/ holds an empty file for each, named
# by a hash of all that the answer depends on: tool, checks, flags, and the text after preprocessing, with its comments
# (NOLINT), without the working copy's path.
set -euo pipefail

tidy=$1 root=$2 compiler=$3
shift 3
flags=() object="" source="" depfile=""
while [[ $# -gt 0 ]]; do
  case $1 in
    -o) object=$2 && shift ;;
    -c) source=$2 && shift ;;
    -MF) depfile=$2 && shift ;;
    -MT) shift ;;
    -MD) ;;
    *) flags+=("$1") ;;
  esac
  shift
done
checks=$root/.clang-tidy
mkdir -p "${object%/*}"
rm -f "$object"

key=$({
  "$tidy" --version
  cat "$checks" "$0"
  printf '%s\n' "${flags[@]}"
  "$compiler" "${flags[@]}" -MD -MT "$object" -MF "$depfile" -E -C "$source"
} | sed "s|$root/||g" | sha256sum)
clean=${WEIR_CACHE:-$HOME/.cache/weir}/lint/${key%% *}
# A change of the checks, or of this script, makes Ninja ask again.
sed -i "1s|:|: $checks $0|" "$depfile"

if [[ ! -e $clean ]]; then
  if [[ $source == *.h.cxx ]]; then
    "$compiler" "${flags[@]}" -fsyntax-only "$source"
  else
    # Silent when clean: stderr counts the warnings in third-party headers, whatever they were.
    report=$("$tidy" --quiet --warnings-as-errors='*' "$source" -- --driver-mode=g++ "${flags[@]}" 2>&1) || {
      printf '%s\n' "$report" >&2
      exit 1
    }
  fi
  mkdir -p "${clean%/*}"
fi
touch "$clean" "$object"
