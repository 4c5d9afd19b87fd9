#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# foreign.sh FETCH OUT: files of Debian's that need a BIOS, or are packed: ipxe.lkrn, memdisk, memtest86+ia32.bin;
# xen.gz, and xen, unpacked; SYSLINUX's installer, syslinux, its boot record, mbr.bin, and its menu, *.c32; netboot, the
# Debian installer's files for i386 machines that boot from the network; and virtio_blk.ko for its kernel. FETCH is
# guest/linux/fetch.sh.
set -euo pipefail
fetch=$1 out=$2

mkdir -p "$out/download"
"$fetch" "$out/apt" "$out/download" ipxe:all syslinux-common:all syslinux:amd64 memtest86+:amd64 \
    xen-hypervisor-4.17-amd64:amd64 debian-installer-12-netboot-i386:all
take() { # PACKAGE PATH NAME: a file, whose path may end in '*', or a folder
    local files
    dpkg-deb -x "$out/download/$(cat "$out/download/$1")" "$out/unpacked"
    files=("$out/unpacked/"$2)
    rm -rf "${out:?}/$3"
    cp -r "${files[0]}" "$out/$3"
}
take ipxe:all boot/ipxe.lkrn ipxe.lkrn
take syslinux-common:all usr/lib/syslinux/memdisk memdisk
take syslinux-common:all usr/lib/syslinux/mbr/mbr.bin mbr.bin
for module in menu libcom32 libutil; do
    take syslinux-common:all "usr/lib/syslinux/modules/bios/$module.c32" "$module.c32"
done
take syslinux:amd64 usr/bin/syslinux syslinux
take memtest86+:amd64 boot/memtest86+ia32.bin memtest86+ia32.bin
take xen-hypervisor-4.17-amd64:amd64 'boot/xen-*.gz' xen.gz
take debian-installer-12-netboot-i386:all usr/lib/debian-installer/images/12/i386/text netboot
gzip -dc "$out/xen.gz" >"$out/xen"

# The installer fetches its drivers for disks from a mirror, as udebs, when it has asked its first questions. The package of
# the same kernel has the same module. Where a kernel says its release: Documentation/x86/boot.rst of Linux, kernel_version.
kernel=$out/netboot/debian-installer/i386/linux
release=$(od -An -t u2 -j $((0x20e)) -N 2 "$kernel")
release=$(dd if="$kernel" bs=1 skip=$((release + 0x200)) count=64 2>/dev/null | tr '\0 ' '\n\n' | sed -n 1p)
"$fetch" "$out/apt" "$out/download" "linux-image-$release:i386"
dpkg-deb --fsys-tarfile "$out/download/$(cat "$out/download/linux-image-$release:i386")" |
    tar -x -O "./lib/modules/$release/kernel/drivers/block/virtio_blk.ko" >"$out/virtio_blk.ko"
rm -rf "$out/unpacked" "$out/apt" "$out/download"
: >"$out/ready"
