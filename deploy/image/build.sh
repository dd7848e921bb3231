#!/usr/bin/env bash
# Makes the image of the Containerfile on Debian 12 without a container registry, from a binary that is already built,
# and prints its size: build.sh [WEIR_BINARY] [ARCHIVE.tar]. Needs root and the package buildah.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
weir=${1:-$root/build/release/weir}
archive=${2:-$root/build/weir-image.tar}
[[ $(id -u) -eq 0 ]] || { echo "build.sh: needs root" >&2; exit 1; }
command -v buildah >/dev/null || { echo "build.sh: no buildah: apt-get install buildah" >&2; exit 1; }
[[ -x $weir ]] || { echo "build.sh: no $weir: ./dev build release weir" >&2; exit 1; }

version=$(sed -n 's/^project(weir VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)
image=localhost/weir:$version
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$root/deploy/image/rootfs.sh" "$weir" "$work/context/rootfs"

# The Containerfile's last stage, its files taken from the folder instead of from the stage before.
sed -n '/^FROM scratch/,$p' "$root/deploy/image/Containerfile" | sed 's/^COPY --from=rootfs .rootfs/COPY rootfs/' >"$work/Containerfile"
storage=(--root "$work/storage" --runroot "$work/run" --storage-driver vfs)
buildah "${storage[@]}" bud --quiet --isolation chroot --format oci --build-arg VERSION="$version" \
  --build-arg REVISION="$revision" --timestamp 0 -f "$work/Containerfile" -t "$image" "$work/context" >"$work/id"
mkdir -p "$(dirname "$archive")"
rm -f "$archive"
buildah "${storage[@]}" push --quiet "$image" "oci-archive:$archive:$image"
echo "$image: $(($(du -sk "$work/context/rootfs" | cut -f1) / 1024)) MiB unpacked, $(($(stat -c %s "$archive") >> 20)) MiB as $archive"
