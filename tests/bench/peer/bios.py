# SPDX-License-Identifier: BSD-2-Clause
"""bios.py biosbench.bin [KERNEL]: the figures of guest/biosbench under Linux KVM and QEMU, with the same SeaBIOS, as lines for peers.txt.
See README.md."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

import peer

sys.path.insert(0, os.path.join(peer.TOP, "tests", "bench"))

import biosbench  # noqa: E402
import machine  # noqa: E402

# QEMU's own legacy devices for the VFs; what it says of itself is the figures' end.
INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /dev /proc /sys /tmp
$b mount -t devtmpfs none /dev
$b mount -t proc none /proc
$b mount -t sysfs none /sys
$b mount -t debugfs none /sys/kernel/debug
for cpu in /sys/devices/system/cpu/cpu[1-9]; do echo 1 >$cpu/online; done
for module in {modules}; do $b insmod /$module.ko; done
$b uname -rv
$b mkfifo /serial.in /serial.out
$b dd if=/dev/zero of=/first bs=8 count=1 2>/dev/null
FIRST_RUN=/first LD_PRELOAD=/firstrun.so {qemu} -L {roms} -M pc -accel kvm -cpu host -m 64 -nodefaults -vga std -display none \\
    -chardev pipe,id=serial,path=/serial -serial chardev:serial \\
    -blockdev driver=file,node-name=disk,filename=/disk.img -device virtio-blk-pci,drive=disk,disable-modern=on,bootindex=0 \\
    -blockdev {second},node-name=second -device virtio-blk-pci,drive=second,disable-modern=on &
exec 3>/serial.in
while read -r word name value; do
    echo "$word $name $value"
    [ "$word" = waits ] || continue
    echo "exits $($b cat /sys/kernel/debug/kvm/exits)"
    case $name in the_end*) break ;; esac
    $b printf x >&3
done </serial.out
echo "offset $($b cat /sys/kernel/debug/kvm/*/vcpu0/tsc-offset)"
echo "first $($b od -A n -t x8 /first)"
$b poweroff -f
"""


def make_initramfs(folder, guest, kernel):
    """QEMU with its libraries, the ROMs, and a disk that begins with GUEST."""
    root, tree = os.path.join(folder, "root"), os.path.dirname(os.path.dirname(os.path.abspath(kernel)))
    version = os.path.basename(kernel).removeprefix("vmlinuz-")
    os.makedirs(os.path.join(root, "bin"))
    busybox = os.path.join(tree, "bin", "busybox")
    peer.copy_system(root, peer.MODULES, os.path.join(tree, "lib", "modules", version), busybox if os.path.exists(busybox) else "/bin/busybox")
    qemu = shutil.which(machine.QEMU)
    libraries = subprocess.run(["ldd", qemu], capture_output=True, text=True, check=True).stdout
    for path in [qemu, *re.findall(r"(/\S+) \(0x", libraries)]:
        os.makedirs(root + os.path.dirname(path), exist_ok=True)
        shutil.copy(path, root + path)
    os.makedirs(root + biosbench.ROMS)
    for name in ("bios-256k.bin", "vgabios-stdvga.bin"):
        shutil.copy(os.path.join(biosbench.ROMS, name), root + biosbench.ROMS)
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", os.path.join(root, "firstrun.so"),
                    os.path.join(peer.HERE, "firstrun.c")], check=True)
    shutil.copy(guest, os.path.join(root, "disk.img"))
    os.truncate(os.path.join(root, "disk.img"), 1 << 20)
    modules = " ".join(os.path.basename(module).removesuffix(".ko") for module in peer.MODULES)
    with open(os.path.join(root, "init"), "w", encoding="ascii") as file:
        file.write(INIT.format(modules=modules, qemu=qemu, roms=biosbench.ROMS, second=biosbench.SECOND))
    return peer.pack(folder, root)


def main():
    kernel = sys.argv[2] if len(sys.argv) > 2 else peer.newest_kernel()
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        text = peer.run([
            machine.QEMU, "-M", "pc", "-accel", "tcg,thread=single", "-cpu", "EPYC", "-smp", "2", "-m", "1G", "-nodefaults", "-no-reboot",
            "-display", "none", "-monitor", "none", "-serial", "stdio", *machine.ICOUNT,
            "-kernel", kernel, "-initrd", make_initramfs(folder, sys.argv[1], kernel),
            "-append", "console=ttyS0 mitigations=off panic=-1 maxcpus=1 tsc=reliable"])
    counts = {name: {"all": int(exits)} for name, exits in re.findall(r"waits (\w+)\s+exits (\d+)", text)}
    values = biosbench.of_guest(text)
    tsc = int(re.search(r"count boot ([0-9a-f]{16})", text).group(1), 16)
    offset, first = int(re.search(r"offset (-?\d+)", text).group(1)), int(re.search(r"first +([0-9a-f]{16})", text).group(1), 16)
    values["bios_boot"] = (tsc - offset - first) // 1000
    print("# " + re.search(r"^(\d+\.\d+\.\d+-\S+ #.*)$", text, re.M).group(1))
    for name in biosbench.WORK:
        values[name] = biosbench.exits_by_reason(counts, name)["all"]
    for name, value in values.items():
        print(f"{name} {value}")


main()
