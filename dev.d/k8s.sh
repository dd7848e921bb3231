#!/usr/bin/env bash
# tools|build|up|down|status|kubectl|test: a real Kubernetes cluster on this machine, and the tests on it (./dev k8s --help)
set -euo pipefail
source "$WEIR_ROOT/dev.d/setup.bash"

usage() {
  cat <<'USAGE'
usage: ./dev k8s tools            fetch Helm and the schemas that the tests of the Helm chart use
       ./dev k8s build            build the programs of a cluster into the cache, once: about ten minutes of CPU
       ./dev k8s up [--nodes N] [--ipv6]
                                  start a cluster with the image of weir, wait until it is ready
       ./dev k8s down             end it without a trace
       ./dev k8s status           say where it is
       ./dev k8s kubectl ARG...   kubectl as administrator
       ./dev k8s test [CASE...]   start a cluster and Kafka, run the cluster's tests, end both
USAGE
}

readonly CLUSTER=$WEIR_ROOT/deploy/k8s/cluster.sh
readonly IMAGE=$WEIR_ROOT/build/weir-image.tar

tools() {
  command -v npm >/dev/null || require_packages npm
  command -v go >/dev/null || require_packages golang-go
  "$WEIR_ROOT/deploy/third_party/kubernetes_tools.sh" >/dev/null
}

packages() {
  require_packages buildah busybox-static conntrack containerd containernetworking-plugins curl iproute2 ipset iptables nftables openssl runc tini util-linux
}

verb=${1:-}
[[ $# -eq 0 ]] || shift
case $verb in
  tools)
    tools
    exec "$WEIR_ROOT/deploy/third_party/kubernetes_tools.sh" --prefix
    ;;
  build)
    tools
    exec "$WEIR_ROOT/deploy/k8s/build.sh"
    ;;
  up)
    packages
    build release weir
    "$WEIR_ROOT/deploy/image/build.sh" "$WEIR_ROOT/build/release/weir" "$IMAGE" >&2
    exec "$CLUSTER" up --image "$IMAGE" "$@"
    ;;
  down | status | kubectl) exec "$CLUSTER" "$verb" "$@" ;;
  test)
    packages
    require_packages python3 "${WEIR_PACKAGES_KAFKA[@]}"
    build release weir weir_workload
    exec python3 "$WEIR_ROOT/tests/deploy/cluster_test.py" "$WEIR_ROOT/build/release/weir" "$WEIR_ROOT" \
      "$WEIR_ROOT/build/release/tests/weir_workload" "$@"
    ;;
  -h | --help | help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
