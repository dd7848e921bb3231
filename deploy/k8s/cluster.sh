#!/usr/bin/env bash
# A real Kubernetes cluster on this machine for tests: etcd, the control plane, and one or two nodes, each a kubelet with
# containerd and kube-proxy, in network, mount and process namespaces of their own. One cluster a machine. Needs root, the
# programs of build.sh and the Debian packages that ./dev k8s installs.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: cluster.sh up [--nodes N] [--ipv6] [--image FILE]...  start a cluster, wait until its nodes are ready; a running one stays
       cluster.sh down                              end it; nothing stays: processes, network, control groups, files
       cluster.sh status                            say where it is; exit code 1 if it does not run
       cluster.sh crash NODE                        kill the node and all on it at once, as a machine that loses its power
       cluster.sh isolate NODE                      cut the node's link: it lives, and nobody reaches it
       cluster.sh rejoin NODE                       mend the link
       cluster.sh kubectl ARG...                    kubectl as administrator

  --nodes N     1 (default) or 2; the first one, node0, runs the control plane too
  --ipv6        nodes, pods and Services have addresses of IPv6 alone
  --image FILE  an OCI archive that each node gets, as deploy/image/build.sh makes it

`down` removes the folder of its files; one that is not empty and was not made by `up` is refused.

Files are in ${WEIR_K8S_DIR:-~/.cache/weir/kubernetes-cluster}: admin.kubeconfig, log/. From the machine, pods and the API server
are reached by their addresses; pods reach the machine as 172.30.213.254, or
fd00:213::fe. StorageClasses: "local" (the default; a volume is tied to its node) and "shared" (a volume that every node reaches); volumes are made in advance.
USAGE
}

# use_addresses <4|6>: what is written differently in the two kinds.
use_addresses() {
  if [[ $1 == 6 ]]; then
    NODE=fd00:213:: PREFIX=64 MACHINE=fd00:213::fe PODS=fd02:213::/32 SERVICES=fd03:213::/112 SERVICES_FIRST=fd03:213::1 DNS=fd03:213::a ALL=::/0
    API="https://[fd00:213::1]:6443" BIND="::" KIND=IPv6
  else
    NODE=172.30.213. PREFIX=24 MACHINE=172.30.213.254 PODS=10.213.0.0/16 SERVICES=10.214.0.0/24 SERVICES_FIRST=10.214.0.1 DNS=10.214.0.10 ALL=0.0.0.0/0
    API=https://172.30.213.1:6443 BIND=0.0.0.0 KIND=IPv4
  fi
}
use_addresses 4
node_address() { echo "$NODE$(($1 + 1))"; }
pods_of() { if [[ $KIND == IPv6 ]]; then echo "fd02:213:$1::/64"; else echo "10.213.$1.0/24"; fi; }

readonly LINK=weir-k8s GROUP=weir-k8s
readonly VOLUMES=12 # of each class, per node or shared
# Folders that programs of a node write to wherever they are told to: each node has its own.
readonly PLACES=(/var/lib/cni /var/lib/kubelet /var/log/containers)
readonly MARKER=.weir-kubernetes-cluster # in the folder that `up` has made
readonly READY_SECONDS_MAX=180
readonly PROGRAMS=(containerd ctr runc unshare nsenter tini nft iptables conntrack ip openssl buildah busybox curl)

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
cache=${WEIR_CACHE:-$HOME/.cache/weir}
dir=${WEIR_K8S_DIR:-$cache/kubernetes-cluster}

fail() {
  echo "cluster.sh: $1" >&2
  [[ -z ${2:-} || ! -f $2 ]] || tail -n 20 "$2" >&2
  exit 1
}

# await <seconds> <what> <log or ""> <command...>: until the command succeeds.
await() {
  local seconds=$1 what=$2 log=$3 end=$((SECONDS + $1))
  shift 3
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "$what: not within $seconds s" "$log"
    sleep 0.1
  done
}

# A process by its id and start time, so that a recycled id is not taken for it.
process_of() {
  local pid=$1
  [[ -r /proc/$pid/stat ]] && echo "$pid $(sed 's/.*) //' "/proc/$pid/stat" | cut -d' ' -f20)"
}

# living <file>: the process id that the file holds, if that process still lives.
living() {
  local saved
  saved=$(cat "$1" 2>/dev/null) && [[ -n $saved && $(process_of "${saved% *}") == "$saved" ]] && echo "${saved% *}"
}

init_of() { living "$dir/$1/init"; }

# in_node <node> <command...>: nsenter -m goes to /, so paths must be absolute.
in_node() {
  local init
  init=$(init_of "$1") || fail "$1 does not run"
  shift
  nsenter -t "$init" -n -m -p -- "$@"
}

# daemon <node> <name> <command...>: in the background, with its log; it ends with its node.
daemon() {
  local node=$1 name=$2 init
  shift 2
  init=$(init_of "$node") || fail "$node does not run"
  setsid nsenter -t "$init" -n -m -p -- "$@" >>"$dir/log/$name-$node.log" 2>&1 </dev/null 7>&- &
  disown $!
}

kubectl() { KUBECONFIG=$dir/admin.kubeconfig "$bin/kubectl" "$@"; }
api() { curl -sfg -m 2 --cacert "$dir/pki/ca.crt" --cert "$dir/pki/admin.crt" --key "$dir/pki/admin.key" "$API$1"; }

# Control groups: version 2 has one tree, version 1 a tree for each controller, and with some a bare one of version 2 beside them.
group_roots() {
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
    echo /sys/fs/cgroup
  else
    local root
    for root in cpu cpuacct cpuset memory pids blkio devices freezer systemd unified; do
      [[ ! -d /sys/fs/cgroup/$root ]] || echo "/sys/fs/cgroup/$root"
    done
  fi
}

make_group() {
  local root file
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
    echo "+cpu +cpuset +memory +pids +io" >/sys/fs/cgroup/cgroup.subtree_control
  fi
  for root in $(group_roots); do
    mkdir -p "$root/$GROUP-$1"
    # Version 1: a new group has no cores and no memory nodes until someone gives it some.
    for file in cpuset.cpus cpuset.mems; do
      if [[ $root == */cpuset ]]; then cat "$root/$file" >"$root/$GROUP-$1/$file"; fi
    done
  done
}

remove_groups() {
  local root group end=$((SECONDS + 20))
  for root in $(group_roots); do
    for group in "$root/$GROUP"-*; do
      [[ -d $group ]] || continue
      # Killed processes leave their groups a moment later.
      until find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null && [[ ! -d $group ]]; do
        ((SECONDS < end)) || fail "the control group $group is still in use"
        sleep 0.1
      done
    done
  done
}

# certificate <name> <subject> [subjectAltName]
certificate() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$2" -keyout "$dir/pki/$1.key" -out "$dir/pki/$1.csr"
  openssl x509 -req -in "$dir/pki/$1.csr" -CA "$dir/pki/ca.crt" -CAkey "$dir/pki/ca.key" -CAcreateserial -days 30 -out "$dir/pki/$1.crt" \
    -extfile <(printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n%s' "${3:+subjectAltName=$3}")
}

# kubeconfig <name>: for the certificate of that name; certificates are inside, so that the file can be used anywhere.
kubeconfig() {
  cat >"$dir/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: weir, cluster: {server: "$API", certificate-authority-data: $(base64 -w0 "$dir/pki/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$dir/pki/$1.crt"), client-key-data: $(base64 -w0 "$dir/pki/$1.key")}}]
contexts: [{name: weir, context: {cluster: weir, user: $1}}]
current-context: weir
END
}

make_identities() {
  mkdir -p "$dir/pki"
  chmod 700 "$dir/pki"
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=Weir test cluster" \
      -keyout "$dir/pki/ca.key" -out "$dir/pki/ca.crt"
    openssl ecparam -genkey -name prime256v1 -noout -out "$dir/pki/accounts.key"
    openssl ec -in "$dir/pki/accounts.key" -pubout -out "$dir/pki/accounts.pub"
    certificate apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:$(node_address 0),IP:$SERVICES_FIRST"
    certificate to-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
    certificate admin /O=system:masters/CN=admin
    certificate controllers /CN=system:kube-controller-manager
    certificate scheduler /CN=system:kube-scheduler
    certificate proxy /CN=system:kube-proxy
  } >"$dir/log/openssl.log" 2>&1 || fail "openssl could not make the certificates" "$dir/log/openssl.log"
  local name
  for name in admin controllers scheduler proxy; do kubeconfig "$name"; done
}

# start_namespaces <number>: a node without anything in it, joined to the bridge that node0 has.
start_namespaces() {
  local number=$1 node=node$1
  mkdir -p "$dir/$node/sysctl" "$dir/$node/volumes"
  local place
  for place in "${PLACES[@]}"; do
    mkdir -p "$dir/$node/places$place"
    if [[ ! -d $place ]]; then
      mkdir "$place"
      echo "$place" >>"$dir/made"
    fi
  done
  # Private propagation keeps every mount of the node off this machine; shared inside, as the kubelet wants it.
  setsid unshare --fork --pid --net --mount --propagation private --mount-proc --kill-child tini -s -- sleep infinity \
    >/dev/null 2>&1 </dev/null 7>&- &
  local outer=$! init=""
  disown "$outer" # its end is no news
  process_of "$outer" >"$dir/$node/outer"
  await 10 "the namespaces of $node" "" grep -q . "/proc/$outer/task/$outer/children"
  init=$(tr -d ' ' <"/proc/$outer/task/$outer/children")
  # Until tini runs, the namespaces are not complete.
  await 10 "the namespaces of $node" "" grep -q tini "/proc/$init/comm"
  process_of "$init" >"$dir/$node/init"
  in_node "$node" bash -euc '
    mount --make-rshared /
    mount -t tmpfs -o mode=755 tmpfs /run
    ln -s /run /run/run
    for place in "${@:2}"; do mount --bind "$1/places$place" "$place"; done
    # The kubelet sets these for the whole machine, which is not its own here: it finds them set.
    while read -r name value; do
      echo "$value" >"$1/sysctl/$name"
      mount --bind "$1/sysctl/$name" "/proc/sys/${name//.//}"
    done <<<"vm.overcommit_memory 1
vm.panic_on_oom 0
kernel.panic 10
kernel.panic_on_oops 1
kernel.keys.root_maxkeys 1000000
kernel.keys.root_maxbytes 25000000"
    ip link set lo up
    for name in ipv4/ip_forward ipv6/conf/all/forwarding bridge/bridge-nf-call-iptables bridge/bridge-nf-call-ip6tables; do
      [[ ! -e /proc/sys/net/$name ]] || echo 1 >"/proc/sys/net/$name"
    done
  ' node "$dir/$node" "${PLACES[@]}" || fail "cannot prepare the namespaces of $node"

  # An address of IPv6 is used at once: nobody else can have it.
  local first at_once=()
  [[ $KIND != IPv6 ]] || at_once=(nodad)
  if [[ $number -eq 0 ]]; then
    first=$init
    ip link add "$LINK" type veth peer name host netns "/proc/$init/ns/net"
    ip address add "$MACHINE/$PREFIX" dev "$LINK" "${at_once[@]}"
    ip link set "$LINK" up
    # With an address of its own: else it has the lowest of its ports', which changes when a node is gone, and nobody finds
    # the API server until the neighbours have noticed.
    in_node node0 bash -euc 'ip link add nodes address 02:77:65:69:72:01 type bridge; ip link set host master nodes up; ip link set nodes up'
    in_node node0 ip address add "$(node_address 0)/$PREFIX" dev nodes "${at_once[@]}"
  else
    first=$(init_of node0)
    nsenter -t "$first" -n ip link add "to-$node" type veth peer name nodes netns "/proc/$init/ns/net"
    nsenter -t "$first" -n ip link set "to-$node" master nodes up
    in_node "$node" ip address add "$(node_address "$number")/$PREFIX" dev nodes "${at_once[@]}"
    in_node "$node" ip link set nodes up
    nsenter -t "$first" -n ip route add "$(pods_of "$number")" via "$(node_address "$number")"
    in_node "$node" ip route add "$(pods_of 0)" via "$(node_address 0)"
  fi
  in_node "$node" ip route add default via "$MACHINE"
  ip route add "$(pods_of "$number")" via "$(node_address "$number")" dev "$LINK"
}

start_control_plane() {
  daemon node0 etcd "$bin/etcd" --name weir --data-dir "$dir/etcd" --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster weir=http://127.0.0.1:2380
  await "$READY_SECONDS_MAX" "etcd is not healthy" "$dir/log/etcd-node0.log" in_node node0 curl -sf -m 2 http://127.0.0.1:2379/health
  # Pods leave a lost node after 10 s instead of 5 minutes, so that a test of it takes a minute.
  daemon node0 apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --advertise-address="$(node_address 0)" --secure-port=6443 \
    --bind-address="$BIND" --service-cluster-ip-range="$SERVICES" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --tls-cert-file="$dir/pki/apiserver.crt" --tls-private-key-file="$dir/pki/apiserver.key" --client-ca-file="$dir/pki/ca.crt" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$dir/pki/accounts.pub" \
    --service-account-signing-key-file="$dir/pki/accounts.key" --kubelet-client-certificate="$dir/pki/to-kubelet.crt" \
    --kubelet-client-key="$dir/pki/to-kubelet.key" --kubelet-certificate-authority="$dir/pki/ca.crt" \
    --kubelet-preferred-address-types=InternalIP --profiling=false \
    --default-not-ready-toleration-seconds=10 --default-unreachable-toleration-seconds=10
  await "$READY_SECONDS_MAX" "the API server is not ready" "$dir/log/apiserver-node0.log" api /readyz
  daemon node0 controllers "$bin/kube-controller-manager" --kubeconfig="$dir/controllers.kubeconfig" \
    --authentication-kubeconfig="$dir/controllers.kubeconfig" --authorization-kubeconfig="$dir/controllers.kubeconfig" \
    --bind-address=127.0.0.1 --leader-elect=false --root-ca-file="$dir/pki/ca.crt" --use-service-account-credentials=true \
    --service-account-private-key-file="$dir/pki/accounts.key" --node-monitor-grace-period=40s
  daemon node0 scheduler "$bin/kube-scheduler" --kubeconfig="$dir/scheduler.kubeconfig" \
    --authentication-kubeconfig="$dir/scheduler.kubeconfig" --authorization-kubeconfig="$dir/scheduler.kubeconfig" \
    --bind-address=127.0.0.1 --leader-elect=false
  await "$READY_SECONDS_MAX" "the controllers do not work" "$dir/log/controllers-node0.log" api /api/v1/namespaces/default/serviceaccounts/default
}

# Names of Services, as pods ask for them.
start_dns() {
  cat >"$dir/Corefile" <<END
.:53 {
  bind $(node_address 0)
  errors
  ready :8181
  kubernetes cluster.local {
    kubeconfig $dir/admin.kubeconfig
    ttl 1
  }
}
END
  daemon node0 coredns "$bin/coredns" -conf "$dir/Corefile"
  kubectl create -f - >/dev/null <<END
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: "$DNS", ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: $KIND
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
endpoints: [{addresses: ["$(node_address 0)"], conditions: {ready: true}}]
END
}

# start_node <number>
start_node() {
  local number=$1 node=node$1 address image
  local home=$dir/$node
  address=$(node_address "$number")
  certificate "$node" "/O=system:nodes/CN=system:node:$node" "DNS:$node,IP:$address" >>"$dir/log/openssl.log" 2>&1
  kubeconfig "$node"
  mkdir -p "$home"/{cni,kubelet,images}
  # restrict_oom_score_adj, and oomScoreAdj and maxOpenFiles below: for machines where root may not raise its own limits.
  # AppArmor: its profiles belong to the whole machine.
  cat >"$home/containerd.toml" <<END
version = 2
root = "$home/images"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$home/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
[plugins."io.containerd.internal.v1.opt"]
  path = "$home/opt"
END
  cat >"$home/cni/10-pods.conflist" <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(pods_of "$number")"}]], "routes": [{"dst": "$ALL"}], "dataDir": "$home/addresses"}}]}
END
  echo "nameserver $DNS" >"$home/resolv.conf"
  cat >"$home/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$GROUP-$node
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
address: "$address"
tlsCertFile: $dir/pki/$node.crt
tlsPrivateKeyFile: $dir/pki/$node.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $dir/pki/ca.crt}}
authorization: {mode: Webhook}
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
clusterDNS: ["$DNS"]
clusterDomain: cluster.local
resolvConf: $home/resolv.conf
volumePluginDir: $home/plugins
podLogsDir: $home/pod-logs
evictionHard: {memory.available: 100Mi, nodefs.available: "2%", imagefs.available: "2%", nodefs.inodesFree: "1%"}
imageGCHighThresholdPercent: 99
imageGCLowThresholdPercent: 98
serializeImagePulls: false
nodeStatusUpdateFrequency: 5s
END
  make_group "$node"
  daemon "$node" containerd containerd -c "$home/containerd.toml"
  await 30 "containerd of $node" "$dir/log/containerd-$node.log" in_node "$node" ctr version
  for image in "$dir/pause.tar" "${images[@]}"; do
    in_node "$node" ctr -n k8s.io images import "$image" >>"$dir/log/images-$node.log" 2>&1 || fail "$node cannot import $image" "$dir/log/images-$node.log"
  done
  daemon "$node" kubelet "$bin/kubelet" --config="$home/kubelet.yaml" --kubeconfig="$dir/$node.kubeconfig" --hostname-override="$node" \
    --node-ip="$address" --root-dir="$home/kubelet" --cert-dir="$home/kubelet-pki"
  daemon "$node" proxy "$bin/kube-proxy" --kubeconfig="$dir/proxy.kubeconfig" --hostname-override="$node" --proxy-mode=nftables \
    --cluster-cidr="$PODS" --conntrack-max-per-core=0 --oom-score-adj=0
}

node_is_ready() {
  [[ $(kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]
}

# What holds a pod's namespaces open: a program that sleeps.
make_pause_image() {
  mkdir -p "$dir/pause"
  cp "$(command -v busybox)" "$dir/pause/busybox"
  printf 'FROM scratch\nCOPY busybox /busybox\nUSER 65535:65535\nENTRYPOINT ["/busybox", "sleep", "infinity"]\n' >"$dir/pause/Containerfile"
  local storage=(--root "$dir/pause/storage" --runroot "$dir/pause/run" --storage-driver vfs)
  {
    buildah "${storage[@]}" bud --isolation chroot --format oci --timestamp 0 -t localhost/pause:1 "$dir/pause" &&
      buildah "${storage[@]}" push localhost/pause:1 "oci-archive:$dir/pause.tar:localhost/pause:1"
  } >"$dir/log/pause.log" 2>&1 || fail "cannot make the image that holds a pod" "$dir/log/pause.log"
}

make_volumes() {
  local class node i path
  {
    for class in local shared; do
      cat <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: $class, annotations: {storageclass.kubernetes.io/is-default-class: "$([[ $class == local ]] && echo true || echo false)"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
END
    done
    for ((node = 0; node < nodes; ++node)); do
      for ((i = 0; i < VOLUMES; ++i)); do
        path=$dir/node$node/volumes/$i
        mkdir -p "$path"
        cat <<END
apiVersion: v1
kind: PersistentVolume
metadata: {name: node$node-$i}
spec:
  capacity: {storage: 20Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: local
  local: {path: $path}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node$node]}]}]}}
---
END
      done
    done
    for ((i = 0; i < VOLUMES; ++i)); do
      path=$dir/shared/$i
      mkdir -p "$path"
      # The kubelet gives no group to a volume that it does not own.
      chown 65532:65532 "$path"
      cat <<END
apiVersion: v1
kind: PersistentVolume
metadata: {name: shared-$i}
spec:
  capacity: {storage: 20Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: shared
  hostPath: {path: $path, type: Directory}
---
END
    done
  } | kubectl create -f - >"$dir/log/volumes.log" 2>&1 || fail "the volumes were refused" "$dir/log/volumes.log"
}

check_machine() {
  [[ $(id -u) -eq 0 ]] || fail "needs root: namespaces, control groups, network"
  local program
  for program in "${PROGRAMS[@]}"; do
    command -v "$program" >/dev/null || fail "no program '$program': ./dev k8s up installs what is needed"
  done
  [[ -d $bin ]] || fail "no programs of the cluster in $bin: ./dev k8s build makes them, once"
  local other
  other=$({ ip -4 route show; ip -6 route show; } | grep -E "^(172\.30\.213\.|10\.213\.|10\.214\.|fd0[023]:213:)" || true)
  [[ -z $other ]] || fail "this machine already has a route into the cluster's networks: $other"
  for image in "${images[@]}"; do
    [[ -f $image ]] || fail "--image: there is no file $image"
  done
}

up() {
  if init_of node0 >/dev/null && [[ $(cat "$dir/addresses") != "$KIND" ]]; then
    fail "a cluster with addresses of $(cat "$dir/addresses") runs: cluster.sh down ends it"
  fi
  if init_of node0 >/dev/null && api /readyz >/dev/null; then
    status
    return
  fi
  down
  check_machine
  mkdir -p "$dir/log"
  echo "made by cluster.sh: down removes this folder" >"$dir/$MARKER"
  echo "$KIND" >"$dir/addresses"
  # A cluster that did not come up leaves nothing; what its log said last has been printed.
  trap 'trap - EXIT; down' EXIT
  local number
  for ((number = 0; number < nodes; ++number)); do start_namespaces "$number"; done
  make_identities
  make_pause_image
  start_control_plane
  start_dns
  for ((number = 0; number < nodes; ++number)); do start_node "$number"; done
  make_volumes
  for ((number = 0; number < nodes; ++number)); do
    await "$READY_SECONDS_MAX" "node$number is not ready" "$dir/log/kubelet-node$number.log" node_is_ready "node$number"
  done
  await 30 "the cluster's names are not served" "$dir/log/coredns-node0.log" in_node node0 curl -sf -m 2 http://127.0.0.1:8181/ready
  trap - EXIT
  status
}

# crash <node>: its init dies, and with it every process of the node; its link goes with its network namespace.
crash() {
  local outer
  outer=$(living "$dir/$1/outer") || fail "$1 does not run"
  local init
  init=$(init_of "$1" || true)
  kill -9 "$outer" # --kill-child
  await 20 "$1 still lives" "" bash -c "! kill -0 $outer ${init:-}"
}

isolate() { set_link "$1" down; }
rejoin() { set_link "$1" up; }

set_link() {
  [[ $1 != node0 ]] || fail "node0 is where the control plane runs: it cannot be isolated from it"
  init_of "$1" >/dev/null || fail "$1 does not run"
  in_node node0 ip link set "to-$1" "$2"
}

down() {
  if [[ -d $dir && ! -f $dir/$MARKER && -n $(ls -A "$dir") ]]; then
    fail "$dir has no file $MARKER, so cluster.sh has not made what lies there; nothing is removed"
  fi
  local node
  for node in "$dir"/node*; do
    if living "$node/outer" >/dev/null; then crash "$(basename "$node")"; fi
  done
  if ip link show "$LINK" >/dev/null 2>&1; then ip link delete "$LINK"; fi
  remove_groups
  if [[ -f $dir/made ]]; then xargs -r rmdir --ignore-fail-on-non-empty <"$dir/made"; fi
  [[ ! -d $dir ]] || rm -rf --one-file-system "$dir"
}

status() {
  if ! init_of node0 >/dev/null; then
    echo "cluster.sh: no cluster runs from $dir"
    return 1
  fi
  echo "kubernetes: $API, KUBECONFIG=$dir/admin.kubeconfig"
}

verb=${1:-}
[[ $# -eq 0 ]] || shift
nodes=1
images=()
case $verb in
  up)
    while [[ $# -gt 0 ]]; do
      case $1 in
        -h | --help)
          usage
          exit
          ;;
        --ipv6)
          use_addresses 6
          shift
          continue
          ;;
        --nodes | --image) [[ $# -ge 2 ]] || fail "$1 needs a value" ;;
        *) fail "unknown option '$1'. See --help" ;;
      esac
      case $1 in
        --nodes) nodes=$2 ;;
        --image) images+=("$(readlink -f "$2")") ;;
      esac
      shift 2
    done
    [[ $nodes == [12] ]] || fail "--nodes: '$nodes' is not 1 or 2"
    ;;
  crash | isolate | rejoin) [[ $# -eq 1 ]] || fail "$verb: which node? See --help" ;;
  kubectl) ;;
  down | status) [[ $# -eq 0 ]] || fail "$verb takes no arguments" ;;
  -h | --help | help)
    usage
    exit
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
[[ $verb == up || $(cat "$dir/addresses" 2>/dev/null) != IPv6 ]] || use_addresses 6
bin=$("$here/build.sh" --prefix)
if [[ $verb == kubectl ]]; then init_of node0 >/dev/null || fail "no cluster runs from $dir: ./dev k8s up"; fi
case $verb in
  up | down | crash | isolate | rejoin)
    mkdir -p "$(dirname "$dir")"
    exec 7>"$dir.lock"
    flock 7
    ;;
esac
"$verb" "$@"
