# What the verbs share: packages, the third-party builds and the CMake build. Sourced after `set -euo pipefail`, with
# WEIR_ROOT set by ./dev.

: "${WEIR_ROOT:?run this through ./dev}"
export WEIR_CACHE=${WEIR_CACHE:-$HOME/.cache/weir}

readonly WEIR_PACKAGES_BUILD=(
  g++ cmake ninja-build ccache mold git ca-certificates debian-archive-keyring dpkg-dev
  libbenchmark-dev libbrotli-dev libbz2-dev libcli11-dev libcpp-httplib-dev libcurl4-openssl-dev libfmt-dev libgmock-dev libgtest-dev
  libhowardhinnant-date-dev liblz4-dev libpg-query-dev libprotobuf-c-dev libre2-dev librocksdb-dev libsasl2-dev libsimdjson-dev
  libsnappy-dev libspdlog-dev libssl-dev libutf8proc-dev libxxhash-dev libzstd-dev nlohmann-json3-dev
  prometheus-cpp-dev python3 tzdata zlib1g-dev)
readonly WEIR_PACKAGES_CLANG=(clang-16 clang-tidy-16 clang-format-16 libclang-rt-16-dev)
readonly WEIR_PACKAGES_KAFKA=(maven openjdk-17-jre-headless openssl)
readonly WEIR_PACKAGES_TEST=(python3-jsonschema)
readonly WEIR_PACKAGES_MONITORING=(prometheus prometheus-alertmanager)

say() { echo "dev: $*" >&2; }

die() {
  say "$*"
  exit 1
}

# run_quietly <log> <command...>: silent on success, the log's end on failure.
run_quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    die "failed: $* (whole log: $log)"
  fi
}

# require_packages <package...>: installs the missing ones; touches apt only if one is missing.
require_packages() {
  local package missing=()
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: make sure yourself that these are there: $*"
    return
  fi
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  local sudo=()
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || die "needs root to install packages: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  say "installing ${missing[*]}"
  local log
  log=$(mktemp "${TMPDIR:-/tmp}/weir-apt.XXXXXX")
  run_quietly "$log" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update -q
  run_quietly "$log" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
    install -q -y --no-install-recommends "${missing[@]}"
  rm -f "$log"
}

check_preset() {
  case $1 in
    release | dev | tsan | lint | fuzz) ;;
    *) die "there is no preset '$1': release, dev, tsan, lint or fuzz" ;;
  esac
}

# configure <preset>: packages, librdkafka, CMake.
configure() {
  check_preset "$1"
  require_packages "${WEIR_PACKAGES_BUILD[@]}"
  case $1 in lint | fuzz) require_packages "${WEIR_PACKAGES_CLANG[@]}" ;; esac
  "$WEIR_ROOT/deploy/third_party/librdkafka.sh" >/dev/null
  (cd "$WEIR_ROOT" && run_quietly "build/$1/configure.log" cmake --preset "$1")
}

# build <preset> [target...]: configures and builds; ninja's own output shows progress and errors.
build() {
  local preset=$1
  shift
  configure "$preset"
  local targets=("$@")
  [[ ${#targets[@]} -gt 0 ]] || targets=(all)
  local status=()
  [[ -t 1 ]] || status=(--quiet)
  ninja -C "$WEIR_ROOT/build/$preset" "${status[@]}" "${targets[@]}" || die "building ${targets[*]} ($preset) failed"
}
