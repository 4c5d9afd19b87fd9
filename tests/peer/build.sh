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
# shellcheck source=../../tools/apt.sh
. "$here/../../tools/apt.sh"
mkdir -p "$1"
out=$(cd "$1" && pwd)
apt=$out/apt
root=$out/root
suite=trixie

# Release 6.13 is the first whose virtio-vfio-pci migrates VFs.
oldest=6.13

say() { printf 'peer: %s\n' "$*" >&2; }

# cannot REASON: no failure of the project's.
cannot() {
    [ ! -e "$apt/log" ] || tail -n 20 "$apt/log" >&2
    printf 'cannot be had: %s\n' "$*"
    exit 77
}

fingerprint() { sha256sum <"$here/build.sh"; }

is_current() { [ "$(cat "$out/stamp" 2>/dev/null)" = "$(fingerprint)" ]; }

# The sources that have the system's own suite, with newer suites in its place; no others.
newer_sources() {
    local codename file
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    apt_write_sources
    awk -v old="$codename" -v new="$suite" '{
        for (i = 2; i <= NF; i++) if ($i == old) { $i = new; print; $i = new "-backports"; print; next }
    }' "$apt/sources.list" >"$apt/newer.list"
    mv "$apt/newer.list" "$apt/sources.list"
    for file in "$apt"/parts/*.sources; do
        [ -e "$file" ] || continue
        awk -v old="$codename" -v new="$suite" 'BEGIN { RS = "" } {
            count = split($0, lines, "\n"); text = ""; hit = 0
            for (i = 1; i <= count; i++) {
                fields = split(lines[i], field, " ")
                if (field[1] == "Suites:") {
                    for (j = 2; j <= fields; j++) if (field[j] == old) hit = 1
                    lines[i] = "Suites: " new " " new "-backports"
                }
                text = text lines[i] "\n"
            }
            if (hit) print text
        }' "$file" >"$file.newer"
        mv "$file.newer" "$file"
    done
    cat "$apt/sources.list" "$apt"/parts/*.sources 2>/dev/null | grep -q "$suite-backports" ||
        cannot "the system's sources of packages have no suite '$codename' of Debian's to find '$suite-backports' beside"
}

# The newest kernel of the suite, by the package that names it.
find_release() {
    release=$(apt-cache show --no-all-versions "linux-image-amd64/$suite-backports" 2>>"$apt/log" |
        sed -n 's/^Depends:.*linux-image-\([0-9][^ ,]*-amd64\).*/\1/p' | head -n 1) || release=
    [ -n "$release" ] || cannot "$suite-backports of the archive, or a Linux in it: what apt says is above"
    dpkg --compare-versions "${release%%[+-]*}" ge "$oldest" ||
        cannot "the archive's newest Linux is $release, and $oldest is the first that will do"
}

# fetch PACKAGE...: with all that they need.
fetch() {
    apt-get -q -y --no-install-recommends -t "$suite-backports" --download-only install "$@" >>"$apt/log" 2>&1 ||
        cannot "these packages of $suite-backports: $*"
}

debs() { find "$apt/cache/archives" -name "$1_*.deb"; }

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

is_current && exit 0
exec 9>"$out/lock"
flock 9
is_current && exit 0
for tool in apt-get dpkg-deb depmod unshare xz tar; do
    command -v "$tool" >/dev/null || cannot "$tool: install apt dpkg kmod util-linux xz-utils tar"
done
rm -rf "$out/stamp" "$out/lib" "$root" "$apt"
mkdir -p "$apt"
newer_sources
apt_write_conf amd64
export APT_CONFIG=$apt/apt.conf # the system's own configuration, until here
say "reading the lists of $suite and $suite-backports"
apt-get -q --error-on=any update >"$apt/log" 2>&1 || say "not all lists could be read; what the others have is used"
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
fingerprint >"$out/stamp"
say "ready: Linux $release"
