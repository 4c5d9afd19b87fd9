#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh OUT: a Linux of Debian's newer suites that drives the test device's PFs by their administration queue.
#
#   OUT/vmlinuz    the kernel as Debian ships it
#   OUT/lib        its modules for virtio and VFIO, with virtio-vfio-pci, which Debian does not build
#   OUT/busybox
#   OUT/release    the kernel's release
#
# Packages come through a private state of apt from the archive that the system itself uses, from a newer suite of it. The
# module is built from the source package of the same version with Debian's compiler for it, in a root of its own. Only
# what is above stays. Afterwards this knows in no time whether there is something to do.
#
# Exit 77: what is needed cannot be had here; the last line says why.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

[ $# -eq 1 ] || { echo "usage: ${0##*/} OUT" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=newer.sh
. "$here/newer.sh"
mkdir -p "$1"
out=$(cd "$1" && pwd)
apt=$out/apt
root=$out/root

# Release 6.13 is the first whose virtio-vfio-pci migrates VFs.
oldest=6.13

# The newest kernel of the suite, by the package that names it.
find_release() {
    release=$(apt-cache show --no-all-versions "linux-image-amd64/$suite-backports" 2>>"$apt/log" |
        sed -n 's/^Depends:.*linux-image-\([0-9][^ ,]*-amd64\).*/\1/p' | head -n 1) || release=
    [ -n "$release" ] || cannot "$suite-backports of the archive, or a Linux in it: what apt says is above"
    dpkg --compare-versions "${release%%[+-]*}" ge "$oldest" ||
        cannot "the archive's newest Linux is $release, and $oldest is the first that will do"
}

# Everything in one root, nothing configured: only the links that packages make when they are installed are missing.
unpack_root() {
    local deb
    mkdir -p "$root"
    dpkg-deb -x "$(debs base-files)" "$root" # with /bin and /lib as links: first
    while read -r deb; do
        dpkg-deb -x "$deb" "$root"
    done < <(find "$apt/cache/archives" -name '*.deb' ! -name 'linux-source-*' ! -name 'linux-modules-*')
    ln -sf gawk "$root/usr/bin/awk"
}

# The kernel's own sources of the module, and nothing else of them.
unpack_module() {
    mkdir -p "$root/build"
    dpkg-deb --fsys-tarfile "$(debs 'linux-source-[0-9]*')" | tar -x -O --wildcards '*/linux-source-*.tar.xz' |
        xz -dc | tar -C "$root/build" --strip-components=5 -x --wildcards 'linux-source-*/drivers/vfio/pci/virtio/*'
}

# in_root COMMAND...: a user namespace lets one who is not root change the root.
in_root() {
    local user=()
    [ "$(id -u)" -eq 0 ] || user=(--map-root-user)
    # shellcheck disable=SC2016
    unshare "${user[@]}" --mount sh -c 'mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"' "$root" "$@"
}

build_module() {
    in_root /usr/bin/true || cannot "a root folder of its own to compile in (unshare, chroot): not allowed here"
    in_root /usr/bin/make -C "/lib/modules/$release/build" M=/build CONFIG_VIRTIO_VFIO_PCI=m \
        CONFIG_VIRTIO_VFIO_PCI_ADMIN_LEGACY=y KCFLAGS=-DCONFIG_VIRTIO_VFIO_PCI_ADMIN_LEGACY=1 modules >"$out/module.log" 2>&1 || {
        cat "$out/module.log" >&2
        say "virtio-vfio-pci of $release does not compile"
        exit 1
    }
}

# The modules that are wanted, unpacked, with the index that modprobe needs.
keep_modules() {
    local to=$out/lib/modules/$release name
    mkdir -p "$to"
    dpkg-deb --fsys-tarfile "$(debs "linux-modules-${release//+/\\+}" | head -n 1)" |
        tar -C "$to" --wildcards --transform 's,.*/,,' -x '*/vfio/*.ko*' '*/irqbypass.ko*' '*/failover.ko*' '*/net_failover.ko*' \
            '*/virtio_net.ko*' '*/virtio_blk.ko*'
    find "$to" -name '*.ko.xz' -exec xz -d {} +
    find "$to" -name '*.ko.zst' -exec zstd -q -d --rm {} +
    cp "$root/usr/lib/modules/$release"/modules.{builtin,builtin.modinfo,order} "$to"
    cp "$root/build/virtio-vfio-pci.ko" "$to"
    depmod -b "$out" "$release"
    for name in virtio_net virtio_blk vfio_iommu_type1 virtio-vfio-pci; do
        grep -q "^$name\.ko:" "$to/modules.dep" || { say "$release has no module $name"; exit 1; }
    done
}

begin "$here/build.sh" depmod unshare xz tar || exit 0
rm -rf "$out/stamp" "$out/lib" "$root" "$apt"
read_newer
find_release
version=${release%%[+-]*}
say "downloading Linux $release, its source and its compiler (350 MB)"
fetch "linux-image-$release" "linux-headers-$release" "linux-source-${version%.*}" busybox-static \
    binutils make dash coreutils sed grep gawk base-files
say "building virtio-vfio-pci"
unpack_root
unpack_module
build_module
keep_modules
cp "$(find "$root/boot" "$root/usr/lib/modules/$release" -name 'vmlinuz*' | head -n 1)" "$out/vmlinuz"
cp "$(find "$root/usr/bin" "$root/bin" -name busybox | head -n 1)" "$out/busybox"
printf '%s\n' "$release" >"$out/release"
rm -rf "$root" "$apt"
fingerprint "$here/build.sh" >"$out/stamp"
say "ready: Linux $release"
