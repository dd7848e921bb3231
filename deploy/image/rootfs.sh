#!/usr/bin/env bash
# Makes the root file system of the image: Debian 12 packages unpacked, no package manager, one user. Which packages they
# are stands in /var/lib/dpkg/status.d, a file for each with its checksums beside it, where scanners of images look.
#
#   rootfs.sh WEIR_BINARY FOLDER    on Debian 12, with its own apt sources; the Containerfile runs it too
set -euo pipefail

[[ $# -eq 2 && -x $1 ]] || { echo "usage: rootfs.sh WEIR_BINARY FOLDER" >&2; exit 2; }
weir=$(readlink -f "$1")
root=$2
# bash is for `helm test` and for people who look into a pod.
readonly PACKAGES=(
  base-files netbase tzdata ca-certificates bash libtinfo6 libc6 libgcc-s1 libstdc++6 libssl3 zlib1g libbrotli1
  libsasl2-2 libsasl2-modules libsasl2-modules-db libdb5.3 libsimdjson14 libfmt9 libdate-tz3 libcpp-httplib0.11
  libprometheus-cpp-core1.0
  # libcurl and what it links.
  libcurl4 libnghttp2-14 libidn2-0 libunistring2 libpsl5 librtmp1 libgnutls30 libhogweed6 libnettle8 libgmp10 libp11-kit0
  libffi8 libtasn1-6 libssh2-1 libldap-2.5-0 libzstd1 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libkeyutils1
  libcom-err2)

mkdir -p "$root"
root=$(readlink -f "$root")
[[ -z $(ls -A "$root") ]] || { echo "rootfs.sh: $root is not empty" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
(cd "$work" && apt-get -q -o APT::Sandbox::User=root download "${PACKAGES[@]}" >log 2>&1) || { tail -n 20 "$work/log" >&2; exit 1; }
# What bash and libc expect, before anything is unpacked into it.
mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root/var/lib/dpkg/status.d"
ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root/"
for package in "$work"/*.deb; do
  # Through the links: packages of Debian 12 still hold /bin and /lib.
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner -C "$root" \
    --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./usr/share/lintian/*' \
    --exclude='./usr/share/doc/*/[!c]*' --exclude='./usr/share/bash-completion/*'
  name=$(dpkg-deb --field "$package" Package)
  dpkg-deb --field "$package" >"$root/var/lib/dpkg/status.d/$name"
  dpkg-deb --ctrl-tarfile "$package" | tar -xO ./md5sums >"$root/var/lib/dpkg/status.d/$name.md5sums" 2>/dev/null ||
    rm "$root/var/lib/dpkg/status.d/$name.md5sums" # a package of links alone has none
done
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
printf 'root:x:0:0::/root:/usr/sbin/nologin\nweir:x:65532:65532::/var/lib/weir:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nweir:x:65532:\n' >"$root/etc/group"
install -D -m 755 "$weir" "$root/usr/bin/weir"
strip "$root/usr/bin/weir"
install -d -m 1777 "$root/tmp"
install -d -m 755 -o 65532 -g 65532 "$root/var/lib/weir"

# A library that is missing shows here and not in a pod.
chroot "$root" /usr/bin/weir --version
