#!/usr/bin/env bash
# Builds a small Go program of this tree whose modules are pinned by its go.sum, and keeps it in the cache:
# deploy/grafana/strict decodes dashboards by Grafana's own types, deploy/compose/reader reads compose files by the library
# of the compose specification. Tests use them where they have been built.
#
#   go_program.sh FOLDER           build what the cache lacks, print the program
#   go_program.sh FOLDER --prefix  print the program only (it may not exist yet)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[[ $# -ge 1 && -f $root/$1/go.mod ]] || { echo "usage: go_program.sh deploy/grafana/strict|deploy/compose/reader [--prefix]" >&2; exit 2; }
source=$root/$1
name=$(basename "$1")
key=$(cat "$source"/main.go "$source"/go.mod "$source"/go.sum | sha256sum | cut -c1-12)
prefix=${WEIR_CACHE:-$HOME/.cache/weir}/go-$name-$key
if [[ ${2:-} == --prefix || -x $prefix/$name ]]; then
  echo "$prefix/$name"
  exit 0
fi

fail() {
  echo "go_program.sh: $1" >&2
  [[ -z ${2:-} || ! -f $2 ]] || tail -n 30 "$2" >&2
  exit 1
}
command -v go >/dev/null || fail "no go: apt-get install golang-go"

# One builder at a time; whoever waited finds the program.
mkdir -p "$(dirname "$prefix")"
exec 9>"$prefix.lock"
flock 9
if [[ ! -x $prefix/$name ]]; then
  work=$(mktemp -d "$prefix.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # Own module cache, since nothing of it is needed afterwards.
  (cd "$source" && GOMODCACHE=$work/modules GOCACHE=$work/build GOFLAGS="-modcacherw -mod=readonly" GOTOOLCHAIN=local CGO_ENABLED=0 \
    timeout 900 go build -trimpath -o "$work/out/$name" .) >"$work/log" 2>&1 || fail "cannot build $1" "$work/log"
  mv "$work/out" "$prefix"
fi
echo "$prefix/$name"
