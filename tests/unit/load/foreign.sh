#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# foreign.sh FETCH OUT: files of Debian's that need a BIOS, or are packed: ipxe.lkrn, memdisk, memtest86+ia32.bin;
# xen.gz, and xen, unpacked; and SYSLINUX's installer, syslinux. FETCH is guest/linux/fetch.sh.
set -euo pipefail
fetch=$1 out=$2

mkdir -p "$out/download"
"$fetch" "$out/apt" "$out/download" ipxe:all syslinux-common:all syslinux:amd64 memtest86+:amd64 \
    xen-hypervisor-4.17-amd64:amd64
take() { # PACKAGE PATH NAME; a path may end in '*'
    local files
    dpkg-deb -x "$out/download/$(cat "$out/download/$1")" "$out/unpacked"
    files=("$out/unpacked/"$2)
    cp "${files[0]}" "$out/$3"
}
take ipxe:all boot/ipxe.lkrn ipxe.lkrn
take syslinux-common:all usr/lib/syslinux/memdisk memdisk
take syslinux:amd64 usr/bin/syslinux syslinux
take memtest86+:amd64 boot/memtest86+ia32.bin memtest86+ia32.bin
take xen-hypervisor-4.17-amd64:amd64 'boot/xen-*.gz' xen.gz
gzip -dc "$out/xen.gz" >"$out/xen"
rm -rf "$out/unpacked" "$out/apt" "$out/download"
: >"$out/ready"
