#!/usr/bin/env bash
# Builds versitygw, an S3 server over a directory, and keeps it in the cache: the server that the tests of S3 storage run
# against. Pinned by version and by the checksum of its module, which pins its dependencies.
#
#   versitygw.sh          build if the cache has none, print the program's path
#   versitygw.sh --path   print the path only (it may not exist yet)
#
# Without Go 1.21 or newer (which fetches the toolchain that the module asks for) it says so and exits with 77.
set -euo pipefail

readonly MODULE=github.com/versity/versitygw
readonly VERSION=v1.8.0
readonly SUM='h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc='

program=${WEIR_CACHE:-$HOME/.cache/weir}/versitygw-$VERSION-$(uname -m)/versitygw
if [[ ${1:-} == --path || -x $program ]]; then
  echo "$program"
  exit 0
fi

fail() {
  echo "versitygw.sh: $1" >&2
  [[ -z ${2:-} || ! -f $2 ]] || tail -n 20 "$2" >&2
  exit "${3:-1}"
}
command -v go >/dev/null || fail "there is no Go here: the tests of S3 storage have no server (Go 1.21 or newer builds it)" "" 77
found=$(go env GOVERSION)
[[ $found =~ ^go1\.([0-9]+) && ${BASH_REMATCH[1]} -ge 21 ]] ||
  fail "$found is too old: the tests of S3 storage have no server (Go 1.21 or newer builds it)" "" 77

# One builder at a time; whoever waited finds the program.
folder=$(dirname "$program")
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
if [[ -x $program ]]; then
  echo "$program"
  exit 0
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-versitygw.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "versitygw.sh: building versitygw $VERSION once, into $folder" >&2
cd "$work"
export GOFLAGS=-mod=mod GOTOOLCHAIN=auto CGO_ENABLED=0
go mod download -json "$MODULE@$VERSION" >module.json 2>download.log ||
  fail "cannot fetch $MODULE@$VERSION through the Go module proxy" download.log
grep -qF "\"Sum\": \"$SUM\"" module.json || fail "the checksum of $MODULE@$VERSION differs from the pinned one" module.json
GOBIN=$work/bin go install -trimpath -ldflags='-s -w' "$MODULE/cmd/versitygw@$VERSION" >build.log 2>&1 ||
  fail "compiling failed" build.log
mkdir -p "$folder"
mv "$work/bin/versitygw" "$program.part"
mv "$program.part" "$program"
echo "$program"
