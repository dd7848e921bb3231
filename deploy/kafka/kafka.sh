#!/usr/bin/env bash
# A real Apache Kafka broker (KRaft, one node) for development, tests and benchmarks. Several run side by side, each
# with its own directory and ports. Needs java, mvn and openssl; ./dev kafka installs them.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: kafka.sh up [options]       start a broker and wait until it serves; a running one is left as it is
       kafka.sh down [options]     stop it; its data stays unless --purge
       kafka.sh status [options]   say where it listens; exit code 1 if it does not run
       kafka.sh tool NAME ARG...   a command of Kafka: topics, groups, configs, offsets, console-consumer,
                                   console-producer, perf-consumer, perf-producer, transactions

options
  --dir DIR      data, log, process id (WEIR_KAFKA_DIR; default ~/.cache/weir/kafka-broker)
  --port PORT    PLAINTEXT listener (WEIR_KAFKA_PORT; default 9092, or the one the directory had before); 0 picks a free
                 block of six: PORT PLAINTEXT, +1 controller, +2 SASL_SSL, +3 SSL, +4 SASL_PLAINTEXT, +5 --address
  --heap SIZE    JVM heap (WEIR_KAFKA_HEAP; default 256m, 1g with --load)
  --load         full just-in-time compiler and G1, for benchmarks; default is a small, quickly started JVM
  --address IP   also listen on this address of the machine, PLAINTEXT, for clients that do not reach 127.0.0.1
  --secure       also the three listeners with SASL and TLS; certificates are made in DIR/tls
  --purge        with down: remove what `up` put into the directory, and the directory if it is empty then; one that
                 `up` has not used is refused

DIR/bootstrap holds the PLAINTEXT address, DIR/kafka.pid the process id, DIR/broker.log the log.
USAGE
}

readonly VERSION=4.4.0
readonly MARKER=.weir-kafka-broker
readonly OWN=(data tls server.properties format.log broker.log bootstrap address kafka.pid lock "$MARKER")
readonly READY_SECONDS_MAX=90
readonly STOP_SECONDS_MAX=30
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
cache=${WEIR_CACHE:-$HOME/.cache/weir}
jars=$cache/kafka-$VERSION-$(sha256sum <"$here/jars.sha256" | cut -c1-12)

fail() {
  echo "kafka: $*" >&2
  exit 1
}

# Downloads the jars from Maven Central once; every start checks their checksums.
ensure_jars() {
  if [[ ! -d $jars ]]; then
    mkdir -p "$cache"
    exec 8>"$jars.lock"
    flock 8
    if [[ ! -d $jars ]]; then
      echo "kafka: downloading Apache Kafka $VERSION once, into $jars" >&2
      rm -rf "$jars.part"
      mvn -B -q -ntp -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        "-DoutputDirectory=$jars.part" >"$cache/kafka-download.log" 2>&1 ||
        { tail -n 20 "$cache/kafka-download.log" >&2 && fail "downloading the jars failed"; }
      mv "$jars.part" "$jars"
    fi
    exec 8>&-
  fi
  (cd "$jars" && sha256sum -c --quiet "$here/jars.sha256") >&2 ||
    fail "a jar in $jars differs from the pinned checksum; remove that folder to download again"
}

# The pid of the broker of $directory, if it runs; a recycled process id does not count.
running_pid() {
  local pid
  pid=$(cat "$directory/kafka.pid" 2>/dev/null) || return 1
  [[ -n $pid && -r /proc/$pid/cmdline ]] || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "kafka.Kafka $directory/server.properties" || return 1
  echo "$pid"
}

java_tool() {
  java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*" "$@"
}

# True if nobody listens on the block's six ports.
block_is_free() {
  local port
  for port in "$1" $(($1 + 1)) $(($1 + 2)) $(($1 + 3)) $(($1 + 4)) $(($1 + 5)); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 1; fi
  done
}

# Below the range from which the system gives out ports, so that a stopped broker finds its ports free again.
random_block() {
  local base
  while :; do
    base=$((15000 + RANDOM % 2800 * 6))
    if block_is_free "$base"; then
      echo "$base"
      return
    fi
  done
}

make_certificates() {
  local tls=$directory/tls
  [[ ! -f $tls/broker.keystore.pem ]] || return 0
  mkdir -p "$tls"
  local log=$tls/openssl.log
  {
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=Weir test CA" -keyout "$tls/ca.key" -out "$tls/ca.pem" &&
      local name subject &&
      for name in broker client; do
        subject=/CN=$([[ $name == broker ]] && echo localhost || echo alice)
        openssl req -newkey rsa:2048 -nodes -subj "$subject" -keyout "$tls/$name.key" -out "$tls/$name.csr" &&
          openssl x509 -req -in "$tls/$name.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial -days 3650 \
            -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out "$tls/$name.pem" || return 1
      done
  } >"$log" 2>&1 || { cat "$log" >&2 && fail "openssl could not make the certificates"; }
  cat "$tls/broker.key" "$tls/broker.pem" "$tls/ca.pem" >"$tls/broker.keystore.pem"
}

write_configuration() {
  local port=$1 more_listeners=""
  [[ -z $address ]] || more_listeners=",ADDRESS://$address:$((port + 5))"
  [[ $secure == no ]] ||
    more_listeners+=",SASL_SSL://127.0.0.1:$((port + 2)),SSL://127.0.0.1:$((port + 3)),SASL_PLAINTEXT://127.0.0.1:$((port + 4))"
  local templates=("$here/server.properties")
  [[ $secure == no ]] || templates+=("$here/secure.properties")
  cat "${templates[@]}" | sed -e "s#@MORE_LISTENERS@#$more_listeners#" -e "s#@PORT@#$port#" \
    -e "s#@CONTROLLER_PORT@#$((port + 1))#" -e "s#@DIRECTORY@#$directory#" >"$directory/server.properties"
}

# Starts the JVM and waits; returns 1 if it ended by itself (the log says why).
start_broker() {
  local port=$1 jvm=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1)
  [[ $load == no ]] || jvm=(-XX:+UseG1GC -XX:MaxGCPauseMillis=20)
  write_configuration "$port"
  if [[ ! -f $directory/data/meta.properties ]]; then
    local scram=()
    [[ $secure == no ]] || scram=(--add-scram 'SCRAM-SHA-256=[name=alice,password=alice-secret]'
      --add-scram 'SCRAM-SHA-512=[name=alice,password=alice-secret]')
    java_tool kafka.tools.StorageTool format -t "$(java_tool kafka.tools.StorageTool random-uuid)" \
      -c "$directory/server.properties" "${scram[@]}" >"$directory/format.log" 2>&1 ||
      { cat "$directory/format.log" >&2 && fail "formatting $directory/data failed"; }
  fi
  # No inherited descriptor but the log: whoever waits for this script's output must not wait for the broker.
  setsid nohup java "-Xms$heap" "-Xmx$heap" "${jvm[@]}" -XX:MaxDirectMemorySize=512m -Djava.awt.headless=true \
    -cp "$jars/*" kafka.Kafka "$directory/server.properties" >"$directory/broker.log" 2>&1 </dev/null 7>&- &
  local pid=$! end=$((SECONDS + READY_SECONDS_MAX))
  echo "$pid" >"$directory/kafka.pid"
  while :; do
    kill -0 "$pid" 2>/dev/null || return 1
    if grep -q 'Kafka Server started' "$directory/broker.log" && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "127.0.0.1:$port" >"$directory/bootstrap"
      return 0
    fi
    if ((SECONDS >= end)); then
      kill -9 "$pid"
      return 1
    fi
    sleep 0.05
  done
}

# Marks the directory as a broker's, so that --purge may remove these names in it. A folder `data` or `tls` that was there
# before is somebody's, unless a broker has formatted it.
claim() {
  [[ ! -f $directory/$MARKER ]] || return 0
  if [[ ! -f $directory/data/meta.properties ]]; then
    local name
    for name in data tls; do
      [[ ! -e $directory/$name ]] || fail "$directory/$name is there and no broker's: give another --dir"
    done
  fi
  echo "made by kafka.sh: down --purge removes ${OWN[*]}" >"$directory/$MARKER"
}

up() {
  command -v java >/dev/null || fail "no java: ./dev kafka up installs it"
  mkdir -p "$directory"
  directory=$(cd "$directory" && pwd)
  claim
  exec 7>"$directory/lock"
  flock 7
  if running_pid >/dev/null; then
    status
    return
  fi
  ensure_jars
  # A broker that was secure, or had an address, keeps it when it is started again.
  [[ ! -d $directory/tls ]] || secure=yes
  [[ -z $address ]] || echo "$address" >"$directory/address"
  [[ ! -f $directory/address ]] || address=$(cat "$directory/address")
  [[ $secure == no ]] || make_certificates
  local before=""
  [[ ! -f $directory/bootstrap ]] || before=$(sed 's/.*://' "$directory/bootstrap")
  local attempt chosen
  for attempt in 1 2 3 4 5; do
    case ${port:-} in
      "") chosen=${before:-9092} ;;
      0) chosen=${before:-$(random_block)} ;;
      *) chosen=$port ;;
    esac
    if start_broker "$chosen"; then
      status
      return
    fi
    # Someone took a port of a block that was free a moment ago: another block.
    [[ ${port:-} == 0 && -z $before ]] && grep -q 'Address already in use' "$directory/broker.log" || break
  done
  tail -n 20 "$directory/broker.log" >&2
  fail "the broker did not start; whole log: $directory/broker.log"
}

down() {
  if [[ $purge == yes && -d $directory && ! -f $directory/$MARKER && -n $(ls -A "$directory") ]]; then
    fail "--purge: $directory has no file $MARKER, so kafka.sh has not made what lies there; nothing is removed"
  fi
  local pid
  if pid=$(running_pid); then
    kill "$pid" 2>/dev/null || true
    local end=$((SECONDS + STOP_SECONDS_MAX))
    while kill -0 "$pid" 2>/dev/null && ((SECONDS < end)); do sleep 0.05; done
    kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$directory/kafka.pid"
  if [[ $purge == yes && -d $directory ]]; then
    (cd "$directory" && rm -rf -- "${OWN[@]}")
    rmdir --ignore-fail-on-non-empty "$directory"
  fi
}

status() {
  local pid
  if ! pid=$(running_pid); then
    echo "kafka: no broker runs from $directory"
    return 1
  fi
  echo "kafka: $(cat "$directory/bootstrap"), process $pid, directory $directory"
}

tool() {
  [[ $# -gt 0 ]] || fail "tool: which one? See --help"
  local name=$1 class
  shift
  case $name in
    topics) class=org.apache.kafka.tools.TopicCommand ;;
    groups) class=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
    configs) class=org.apache.kafka.tools.ConfigCommand ;;
    offsets) class=org.apache.kafka.tools.GetOffsetShell ;;
    transactions) class=org.apache.kafka.tools.TransactionsCommand ;;
    console-consumer) class=org.apache.kafka.tools.consumer.ConsoleConsumer ;;
    console-producer) class=org.apache.kafka.tools.ConsoleProducer ;;
    perf-consumer) class=org.apache.kafka.tools.ConsumerPerformance ;;
    perf-producer) class=org.apache.kafka.tools.ProducerPerformance ;;
    *) fail "tool: there is no '$name'. See --help" ;;
  esac
  ensure_jars
  java_tool "$class" "$@"
}

verb=${1:-}
[[ $# -eq 0 ]] || shift
case $verb in
  up | down | status) ;;
  tool)
    tool "$@"
    exit
    ;;
  -h | --help | help)
    usage
    exit
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac

directory=${WEIR_KAFKA_DIR:-$cache/kafka-broker}
port=${WEIR_KAFKA_PORT:-}
heap=${WEIR_KAFKA_HEAP:-}
address=""
load=no
secure=no
purge=no
while [[ $# -gt 0 ]]; do
  case $1 in
    --dir | --port | --heap | --address)
      [[ $# -ge 2 ]] || fail "$1 needs a value"
      case $1 in
        --dir) directory=$2 ;;
        --port) port=$2 ;;
        --heap) heap=$2 ;;
        --address) address=$2 ;;
      esac
      shift
      ;;
    --load) load=yes ;;
    --secure) secure=yes ;;
    --purge) purge=yes ;;
    -h | --help)
      usage
      exit
      ;;
    *) fail "unknown option '$1'. See --help" ;;
  esac
  shift
done
[[ -z $port || $port =~ ^[0-9]+$ ]] || fail "--port: '$port' is not a port number"
[[ -z $address || $address =~ ^[0-9.]+$ ]] || fail "--address: '$address' is no IPv4 address"
[[ $directory == /* ]] || directory=$PWD/$directory
[[ -n $heap ]] || heap=$([[ $load == yes ]] && echo 1g || echo 256m)
"$verb"
