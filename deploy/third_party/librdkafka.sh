#!/usr/bin/env bash
# Builds librdkafka as a static library and keeps it in the cache, because Debian 12 packages 2.0 and Weir needs 2.2 or
# newer. The source is the upstream tarball of Debian 13's source package, pinned by checksum.
#
#   librdkafka.sh           build if the cache has none, print the prefix
#   librdkafka.sh --prefix  print the prefix only (it may not exist yet)
set -euo pipefail

readonly VERSION=2.8.0
readonly SHA256=5bd1c46f63265f31c6bfcedcde78703f77d28238eadf23821c2b43fc30be3e25

# LZ4: the library's own copy, since its installed CMake files cannot find Debian's. No curl: OAUTHBEARER by OIDC is
# not used. SASL stays on: without it SCRAM is missing although the feature string lists it.
readonly OPTIONS=(
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_FLAGS=-fno-omit-frame-pointer -DCMAKE_POSITION_INDEPENDENT_CODE=ON
  -DRDKAFKA_BUILD_STATIC=ON -DRDKAFKA_BUILD_EXAMPLES=OFF -DRDKAFKA_BUILD_TESTS=OFF
  -DENABLE_LZ4_EXT=OFF -DWITH_CURL=OFF -DWITH_SSL=ON -DWITH_SASL=ON -DWITH_ZLIB=ON -DWITH_ZSTD=ON)

# The key covers whatever changes the result.
compiler=$(gcc -dumpfullversion 2>/dev/null || echo none)
key=$(printf '%s ' "$SHA256" "${OPTIONS[@]}" "$compiler" "$(uname -m)" | sha256sum | cut -c1-12)
prefix=${WEIR_CACHE:-$HOME/.cache/weir}/librdkafka-$VERSION-$key
if [[ ${1:-} == --prefix ]]; then
  echo "$prefix"
  exit 0
fi
if [[ -f $prefix/lib/librdkafka.a ]]; then
  echo "$prefix"
  exit 0
fi

# One builder at a time; whoever waited finds the finished prefix.
mkdir -p "$(dirname "$prefix")"
exec 9>"$prefix.lock"
flock 9
if [[ -f $prefix/lib/librdkafka.a ]]; then
  echo "$prefix"
  exit 0
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/weir-librdkafka.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() {
  echo "librdkafka.sh: $1" >&2
  [[ -z ${2:-} || ! -f $2 ]] || tail -n 30 "$2" >&2
  exit 1
}

# Own apt directories: the machine's package lists and sources stay as they are.
# The mirror is the one this machine already uses for Debian.
mirror=$(find /etc/apt/sources.list /etc/apt/sources.list.d -type f 2>/dev/null -exec cat {} + |
  sed -nE -e 's/^URIs:[[:space:]]*([^[:space:]]*debian)\/?([[:space:]].*)?$/\1/p' \
    -e 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]*debian)\/?[[:space:]].*/\2/p' | sed -n 1p) || true
[[ -n $mirror ]] || mirror=http://deb.debian.org/debian
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -f $keyring ]] || fail "no $keyring: install debian-archive-keyring"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
echo "deb-src [signed-by=$keyring] $mirror trixie main" >"$work/sources.list"
apt_options=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/nonexistent
  -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=$(id -un)")
echo "librdkafka.sh: building librdkafka $VERSION once, into $prefix" >&2
cd "$work"
apt-get "${apt_options[@]}" update -qq >apt.log 2>&1 || fail "cannot read Debian 13's source list from $mirror" apt.log
apt-get "${apt_options[@]}" source -qq --download-only "librdkafka=$VERSION-1" >apt.log 2>&1 ||
  fail "cannot fetch the source package librdkafka=$VERSION-1" apt.log
echo "$SHA256  librdkafka_$VERSION.orig.tar.gz" | sha256sum -c --quiet ||
  fail "the checksum of librdkafka_$VERSION.orig.tar.gz differs from the pinned one"
tar xzf "librdkafka_$VERSION.orig.tar.gz" -C source --strip-components=1

cmake -S source -B build -G Ninja "${OPTIONS[@]}" -DCMAKE_INSTALL_PREFIX="$work/prefix" -DCMAKE_INSTALL_LIBDIR=lib \
  >configure.log 2>&1 || fail "configuring failed" configure.log
ninja -C build >build.log 2>&1 || fail "compiling failed" build.log
ninja -C build install >install.log 2>&1 || fail "installing failed" install.log
rm -rf "$prefix.part" "$prefix"
cp -r "$work/prefix" "$prefix.part"
mv "$prefix.part" "$prefix"
echo "$prefix"
