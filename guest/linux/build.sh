#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh OUT: Debian's own kernels with small file systems around them, for VMs that run Linux.
#
#   OUT/amd64, OUT/i386, OUT/i386-pae   one folder for each of Debian's kernels:
#     vmlinuz                           the kernel as Debian ships it
#     initrd.img                        busybox, the modules for virtio, the tests: a shell on ttyS0
#     rootfs.img                        an ext4 file system with the same and 16 MiB of known data, for a disk
#
# What is needed comes once from Debian's archive (fetch.sh). Afterwards this knows in no time whether there is
# something to do. 'build.sh --refresh OUT' asks the archive for newer packages.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # depmod, mke2fs, for users who are not root

refresh=no
[ "${1:-}" = --refresh ] && { refresh=yes; shift; }
[ $# -eq 1 ] || { echo "usage: ${0##*/} [--refresh] OUT" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
python=/usr/bin/python3

say() { printf 'linux-images: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# FOLDER PACKAGE ARCHITECTURE: what is built. The package depends on that of the newest kernel.
kernels="amd64 linux-image-amd64 amd64
i386 linux-image-686 i386
i386-pae linux-image-686-pae i386"

listed_modules() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/modules"; }

# unpack_kernel DEB VERSION TO: the kernel, and those modules that are listed with all that they need.
unpack_kernel() {
    local deb=$1 release=$2 to=$3 work=$3/work module
    rm -rf "$work"
    mkdir -p "$work"
    dpkg-deb --fsys-tarfile "$deb" |
        tar -C "$work" -x --wildcards "./boot/vmlinuz-$release" "./lib/modules/$release/modules.*" \
            "./lib/modules/$release/kernel/drivers" "./lib/modules/$release/kernel/fs" \
            "./lib/modules/$release/kernel/lib" "./lib/modules/$release/kernel/net" \
            "./lib/modules/$release/kernel/crypto" "./lib/modules/$release/kernel/arch" \
            "./lib/modules/$release/kernel/virt"
    depmod -b "$work" "$release"
    rm -rf "${to:?}/lib"
    mkdir -p "$to/lib/modules/$release"
    # A module that is built into this kernel is in no file; one that is nowhere is an error of the list.
    listed_modules | while read -r module; do
        grep -q "/$module\.ko" "$work/lib/modules/$release"/modules.{dep,builtin} ||
            die "$release has no module $module, which guest/linux/modules lists"
        sed -n "s|^\(.*/$module\.ko[^:]*\):|\1|p" "$work/lib/modules/$release/modules.dep"
    done | tr ' ' '\n' | sort -u | sed '/^$/d' >"$work/wanted"
    tar -C "$work/lib/modules/$release" -c -T "$work/wanted" modules.builtin modules.order \
        modules.builtin.modinfo | tar -C "$to/lib/modules/$release" -x
    depmod -b "$to" "$release"
    mv "$work/boot/vmlinuz-$release" "$to/vmlinuz"
    rm -rf "$work"
}

# Three kernels and two busyboxes; only what is needed of them stays.
fetch_packages() {
    local download=$out/download folder package architecture deb release
    mkdir -p "$download"
    while read -r folder package architecture; do
        "$here/fetch.sh" "$out/apt" "$download" "$package:$architecture" busybox-static:"$architecture"
        deb=$(cat "$download/$package:$architecture")
        release=${deb#linux-image-}
        release=${release%%_*}
        say "unpacking $deb"
        mkdir -p "$out/$folder"
        unpack_kernel "$download/$deb" "$release" "$out/$folder"
        dpkg-deb --fsys-tarfile "$download/$(cat "$download/busybox-static:$architecture")" |
            tar -x -O --wildcards '*bin/busybox' >"$out/$folder/busybox"
        chmod 755 "$out/$folder/busybox"
        { echo "$release"; dpkg-deb -f "$download/$deb" Package Version; } >"$out/$folder/version"
    done <<<"$kernels"
    rm -rf "$download" "$out/apt"
    packages_fingerprint >"$out/packages.stamp"
}

build_images() {
    local folder rest
    while read -r folder rest; do
        say "building $folder/initrd.img and $folder/rootfs.img around $(head -n 1 "$out/$folder/version")"
        "$python" -B "$here/images.py" "$here" "$out/$folder"
    done <<<"$kernels"
    # Of their packages, for VMs with firmware.
    ln -sf /usr/share/seabios/{bios-256k,vgabios-stdvga}.bin /usr/lib/ipxe/qemu/pxe-virtio.rom /usr/share/qemu/linuxboot_dma.bin "$out/"
    images_fingerprint >"$out/images.stamp"
}

# What the packages' part of the result depends on, and what the images' part does beside it.
packages_fingerprint() {
    { printf '%s\n' "$kernels"; listed_modules; declare -f listed_modules unpack_kernel fetch_packages; } | sha256sum
}
images_fingerprint() {
    (cd "$here" && find . -type f ! -name CMakeLists.txt -print0 | sort -z | xargs -0 sha256sum)
    cat "$out"/packages.stamp "$out"/*/version 2>/dev/null || true
}

packages_are_current() { [ "$(cat "$out/packages.stamp" 2>/dev/null)" = "$(packages_fingerprint)" ]; }
is_current() {
    [ "$refresh" = no ] && packages_are_current &&
        [ "$(cat "$out/images.stamp" 2>/dev/null)" = "$(images_fingerprint)" ]
}

is_current && exit 0
exec 9>"$out/lock"
flock 9
is_current && exit 0

for tool in apt-get dpkg-deb depmod mke2fs "$python"; do
    command -v "$tool" >/dev/null || die "$tool is missing: install apt dpkg kmod e2fsprogs python3"
done

if [ "$refresh" = yes ] || ! packages_are_current; then
    rm -f "$out/packages.stamp" "$out/images.stamp"
    rm -rf "$out/apt" # what an interrupted run has left; its downloads are good, but not the newest
    [ "$refresh" = no ] || rm -rf "$out/download"
    fetch_packages
fi
build_images
say "ready: $out"
