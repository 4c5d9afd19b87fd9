#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# tool_test.sh PORTOLAN_CHECK FOREIGN: its exit statuses, options and messages. FOREIGN has files of Debian's,
# from tests/unit/load/foreign.sh.
set -euo pipefail
check=$1 foreign=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# expect STATUS TEXT ARGUMENTS...: TEXT stands in what it prints.
expect() {
    local wanted=$1 text=$2 status=0 output
    shift 2
    output=$("$check" "$@" 2>&1) || status=$?
    if [ "$status" -ne "$wanted" ] || [[ $output != *"$text"* ]]; then
        printf 'portolan-check %s: status %s, not %s, or no "%s" in:\n%s\n' "$*" "$status" "$wanted" "$text" "$output"
        failed=1
    fi
}

cat >"$work/good.cfg" <<'END'
[pf 01:00.0]
num_vfs = 4
[vm one]
cpus = 2-3
memory = 512M
kernel = boot/vmlinuz
initrd = boot/initrd
vf = 01:00.0/3
END
expect 1 "good.cfg:6: error: the file 'boot/vmlinuz' is missing" "$work/good.cfg"
mkdir "$work/boot"
# A whole bzImage of 8 KiB by its header: protocol 2.15, loaded at 1 MiB, needs 1 MiB there.
at() { # OFFSET BYTES
    printf '%b' "$2" | dd of="$work/boot/vmlinuz" bs=1 seek=$(($1)) conv=notrunc status=none
}
truncate -s 8K "$work/boot/vmlinuz"
at 0x1f1 '\x02'
at 0x1fe '\x55\xaa\xeb\x6aHdrS\x0f\x02'
at 0x211 '\x01\0\0\0\0\x10'
at 0x22c '\xff\xff\xff\x7f'
at 0x238 '\xff\x07'
at 0x25a '\x10'
at 0x262 '\x10'
: >"$work/boot/initrd"
expect 1 "good.cfg:7: error: the file 'boot/initrd' is empty" "$work/good.cfg"
echo initrd >"$work/boot/initrd"
expect 0 "good: 1 VMs, 1 PFs, 2 files" "$work/good.cfg"
expect 0 "" --quiet "$work/good.cfg"
expect 0 "boot/vmlinuz"$'\t'"$work/boot/vmlinuz"$'\t-\n'"boot/initrd"$'\t'"$work/boot/initrd"$'\t'- --list-files "$work/good.cfg"
expect 0 "CPU 3 of VM 'one' is a thread of the same core as CPU 0, the VMM's own" --cpus 4 --threads 0,3 --threads 1,2 "$work/good.cfg"
expect 0 "fix: give VM 'one' CPU 1 instead of CPU 3" --cpus 4 --threads 0,3 --threads 1,2 "$work/good.cfg"
[ -z "$("$check" --quiet --cpus 4 --threads 0,1 --threads 2,3 "$work/good.cfg")" ] || failed=1
expect 2 "--threads does not take '0,256'" --threads 0,256 "$work/good.cfg"
expect 2 "--threads does not take '0-1'" --threads 0-1 "$work/good.cfg"
# The configuration's own folder goes before the other one, and is meant if the file is in neither.
mkdir -p "$work/other/boot"
echo other >"$work/other/boot/vmlinuz" # no kernel: an error, if it were read
mv "$work/boot/initrd" "$work/other/boot/initrd"
expect 1 "the file 'boot/initrd' is missing" "$work/good.cfg"
expect 0 "good" --files "$work/other" "$work/good.cfg"
expect 0 $'\t'"$work/boot/vmlinuz"$'\t-\n'"boot/initrd"$'\t'"$work/other/boot/initrd" \
    --files "$work/other" --list-files "$work/good.cfg"
mv "$work/other/boot/initrd" "$work/boot/initrd"
rm -r "$work/other"
expect 0 $'\t'"$work/boot/initrd" --files "$work/other" --list-files "$work/good.cfg"
expect 0 "good" --cpus 4 --memory 1G --pf 01:00.0=8 "$work/good.cfg"
expect 1 "this machine has CPUs 0 to 1" --cpus 2 "$work/good.cfg"
expect 1 "only 256 MiB are left" --memory 256M "$work/good.cfg"
expect 1 "there is no virtio device at 0000:01:00.0" --pf 02:00.0=8 "$work/good.cfg"
expect 1 "no IOMMU" --no-iommu "$work/good.cfg"
expect 2 "--pf does not take 'x'" --pf x "$work/good.cfg"
expect 2 "--cpus does not take '0'" --cpus 0 "$work/good.cfg"
expect 2 "usage:" "$work/good.cfg" "$work/good.cfg"
expect 2 "usage:"
expect 2 "missing.cfg" "$work/missing.cfg"

# What could not be loaded at boot is said here, by the same plan.
cp "$foreign"/{ipxe.lkrn,memdisk,xen,xen.gz} "$work/boot"
vm() { # MEMORY KEY FILE [LINE]
    printf '[vm one]\ncpus = 1\nmemory = %s\n%s = boot/%s\n%b' "$1" "$2" "$3" "${4:-}" >"$work/vm.cfg"
}
vm 2M kernel vmlinuz
expect 0 "good" "$work/vm.cfg"
vm 2M kernel vmlinuz 'initrd = boot/xen.gz\n'
expect 1 "vm.cfg:4: error: VM 'one' cannot be loaded: boot/xen.gz: 2 MiB do not fit" "$work/vm.cfg"
vm 2M kernel vmlinuz "cmdline = $(printf 'x%.0s' {1..1020})\n"
expect 0 "good" "$work/vm.cfg"
vm 16M multiboot xen
expect 0 "good" "$work/vm.cfg"
vm 2M multiboot xen
expect 1 "cannot be loaded: boot/xen: the segment at 0x200000" "$work/vm.cfg"
vm 2M multiboot xen.gz
expect 1 "cannot be loaded: boot/xen.gz: the segment at 0x200000" "$work/vm.cfg"
vm 16M multiboot xen.gz 'module = boot/xen.gz x\nmodule = boot/vmlinuz\n'
expect 0 "good" "$work/vm.cfg"
expect 0 "boot/xen.gz"$'\t'"$work/boot/xen.gz"$'\t'gzip$'\n'"boot/vmlinuz"$'\t'"$work/boot/vmlinuz"$'\t'- \
    --list-files "$work/vm.cfg"
# What is not booted is not unpacked, so it is not looked into.
truncate -s 100000 "$work/boot/xen.gz"
expect 1 "the file 'boot/xen.gz' is a gzip file that cannot be unpacked" "$work/vm.cfg"
vm 16M multiboot xen 'module = boot/xen.gz\n'
expect 0 "good" "$work/vm.cfg"
vm 512M kernel ipxe.lkrn
expect 1 "no Linux, but a 16-bit program in its format" "$work/vm.cfg"
vm 512M kernel memdisk
expect 1 "('MEMDISK 6.04 20200816')" "$work/vm.cfg"
# With firmware and its option ROM they can.
truncate -s 64K "$work/boot/bios.bin"
printf '\xea' | dd of="$work/boot/bios.bin" bs=1 seek=65520 conv=notrunc status=none
printf '\x55\xaa' >"$work/boot/rom.bin"
for kernel in ipxe.lkrn memdisk vmlinuz; do
    vm 512M kernel $kernel 'firmware = boot/bios.bin\nkernel_rom = boot/rom.bin\n'
    expect 0 "good" "$work/vm.cfg"
done
vm 2M kernel memdisk 'firmware = boot/bios.bin\nkernel_rom = boot/rom.bin\ninitrd = boot/xen\n'
expect 1 "cannot be loaded: boot/xen: its" "$work/vm.cfg"
vm 512M kernel bios.bin 'firmware = boot/bios.bin\nkernel_rom = boot/rom.bin\n'
expect 1 "cannot be loaded: boot/bios.bin: neither Linux nor a program of its form" "$work/vm.cfg"
for key in net_rom vga_rom; do
    vm 512M firmware bios.bin "$key = boot/rom.bin\n"
    expect 0 "good" "$work/vm.cfg"
    vm 512M firmware bios.bin "$key = boot/bios.bin\n"
    expect 1 "cannot be loaded: boot/bios.bin: '$key' wants an option ROM" "$work/vm.cfg"
done
# The variables of a firmware: whole blocks, not too many; with a doubt where the two are no pair.
truncate -s 64K "$work/boot/vars.fd"
vm 512M firmware bios.bin 'nvram = boot/vars.fd\n'
expect 0 "good" "$work/vm.cfg"
truncate -s 60K "$work/boot/vars.fd"
expect 0 "vm.cfg:5: warning: VM 'one': boot/vars.fd: 0xf000 bytes do not belong to boot/bios.bin with its 0x10000" "$work/vm.cfg"
truncate -s 61000 "$work/boot/vars.fd"
expect 1 "vm.cfg:5: error: VM 'one' cannot be loaded: boot/vars.fd: 0xee48 bytes are no firmware's variables: a multiple of 4 KiB" "$work/vm.cfg"
truncate -s 8M "$work/boot/vars.fd"
expect 1 "vm.cfg:5: error: VM 'one' cannot be loaded: boot/vars.fd: 0x800000 bytes, and 0x10000 of boot/bios.bin: more than 8 MiB" "$work/vm.cfg"
vm 512M firmware bios.bin 'nvram = boot/none.fd\n'
expect 1 "vm.cfg:5: error: the file 'boot/none.fd' is missing" "$work/vm.cfg"
exit "$failed"
