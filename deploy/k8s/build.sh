#!/usr/bin/env bash
# Builds the programs of a Kubernetes cluster from the Go module proxy and keeps them in the cache: control plane, etcd,
# CoreDNS, and those of a node. The go.sum files here pin every module by checksum. It is done once, and takes about ten
# minutes of CPU and 3 GiB of Go's build cache.
#
#   build.sh           build what the cache lacks, print the folder
#   build.sh --prefix  print the folder only (it may not exist yet)
set -euo pipefail

readonly KUBERNETES_VERSION=1.35.4
readonly GO_MINOR_MIN=26
readonly PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
key=$(cat "$here"/{build.sh,coredns/main.go,{kubernetes,etcd,coredns}/{go.mod,go.sum}} | sha256sum | cut -c1-12)
prefix=${WEIR_CACHE:-$HOME/.cache/weir}/kubernetes-$KUBERNETES_VERSION-$key
if [[ ${1:-} == --prefix || -d $prefix ]]; then
  echo "$prefix"
  exit 0
fi

fail() {
  echo "build.sh: $1" >&2
  [[ -z ${2:-} || ! -f $2 ]] || tail -n 30 "$2" >&2
  exit 1
}
[[ $(uname -sm) == "Linux x86_64" ]] || fail "the cluster's scripts are for Linux on x86-64"
command -v go >/dev/null || fail "no go: install Go 1.$GO_MINOR_MIN or newer (Debian 12's golang-go is too old)"
[[ $(go env GOVERSION) =~ ^go1\.([0-9]+) && ${BASH_REMATCH[1]} -ge $GO_MINOR_MIN ]] ||
  fail "$(go env GOVERSION) is too old: install Go 1.$GO_MINOR_MIN or newer"

# One builder at a time; whoever waited finds the finished folder.
mkdir -p "$(dirname "$prefix")"
exec 9>"$prefix.lock"
flock 9
if [[ -d $prefix ]]; then
  echo "$prefix"
  exit 0
fi
work=$(mktemp -d "$prefix.XXXXXX")
trap 'rm -rf "$work"' EXIT
log=$work/log
export CGO_ENABLED=0 GOTOOLCHAIN=local GOPROXY=${GOPROXY:-https://proxy.golang.org}

# The version that the API server reports, which chart and kubelet look at, is set by the linker.
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=v$KUBERNETES_VERSION -X $package.gitMajor=1 -X $package.gitMinor=35 -X $package.gitTreeState=clean"
done

# go_build <module folder> <package> <program>: by go.sum alone; a module that it does not name is an error.
go_build() {
  echo "build.sh: $3" >&2
  (cd "$here/$1" && nice -n 10 go build -p "${WEIR_GO_JOBS:-1}" -mod=readonly -trimpath -buildvcs=false -ldflags "$flags" -o "$work/out/$3" "$2") \
    >"$log" 2>&1 || fail "building $3 failed" "$log"
}
mkdir "$work/out"
for program in "${PROGRAMS[@]}"; do go_build kubernetes "k8s.io/kubernetes/cmd/$program" "$program"; done
go_build coredns . coredns
go_build etcd go.etcd.io/etcd/server/v3 etcd
mv "$work/out" "$prefix"
echo "$prefix"
