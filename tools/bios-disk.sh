#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bios-disk.sh LINUX OUT [ARGUMENTS]: a disk that a BIOS boots, as an old installation has it: GRUB behind the master boot record
# and, on the first partition, Debian's kernel and its root file system. LINUX is a folder of build/linux with both; ARGUMENTS
# are added to the kernel's command line. GRUB writes to the BIOS's screen and waits 5 seconds in its menu, or GRUB_TIMEOUT.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # for users who are not root

linux=$1 out=$2 arguments=${3:-} timeout=${GRUB_TIMEOUT:-5}
grub=/usr/lib/grub/i386-pc first=2048 # the partition's first sector
[ -r "$linux/rootfs.img" ] || { echo "bios-disk: $linux: no image of a kernel there" >&2; exit 1; }

tmp=$out.tmp work=$(mktemp -d)
trap 'rm -rf "$tmp" "$work"' EXIT
cat >"$work/grub.cfg" <<END
set timeout=$timeout
menuentry "Debian" {
    linux /boot/vmlinuz console=ttyS0 root=/dev/vda1 $arguments
    initrd /boot/initrd.img
}
menuentry "Boot the disk's first sector again" {
    chainloader (hd0)+1
}
END
# The partition: the file system, larger by what is added, and that.
cp "$linux/rootfs.img" "$work/partition"
truncate -s +32M "$work/partition"
resize2fs "$work/partition" >"$work/log" 2>&1
debugfs -w -f - "$work/partition" >"$work/log" 2>&1 <<END
mkdir boot
mkdir boot/grub
write $linux/vmlinuz boot/vmlinuz
write $linux/initrd.img boot/initrd.img
write $work/grub.cfg boot/grub/grub.cfg
END
e2fsck -fn "$work/partition" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

grub-mkimage -O i386-pc -o "$work/core" -p '(hd0,msdos1)/boot/grub' \
    biosdisk part_msdos ext2 normal linux chain echo configfile reboot halt
size=$(stat -c %s "$work/partition")
[ "$(stat -c %s "$work/core")" -le $(((first - 1) * 512)) ] || { echo "bios-disk: GRUB is too big" >&2; exit 1; }
truncate -s $((first * 512 + size)) "$tmp"
printf 'label: dos\nstart=%s, size=%s, type=83, bootable\n' "$first" $((size / 512)) | sfdisk -q "$tmp"
# The boot record's code only: behind it is the table. It loads what begins in sector 1.
dd if="$grub/boot.img" of="$tmp" bs=440 count=1 conv=notrunc status=none
dd if="$work/core" of="$tmp" bs=512 seek=1 conv=notrunc status=none
dd if="$work/partition" of="$tmp" bs=1M seek=$((first * 512 >> 20)) conv=notrunc,sparse status=none
mv "$tmp" "$out"
