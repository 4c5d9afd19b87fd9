# SPDX-License-Identifier: BSD-2-Clause
"""ovmf.py TRANSPORT: OVMF, unmodified, starts in a VM, and its virtio drivers, for the legacy interface alone, find the disk behind a VF:
its shell runs the script on it, which writes a file and starts Debian's amd64 kernel by its EFI stub, with its root on the VF."""

import os
import shutil
import subprocess
import sys

import bios
import machine
from disks import VfMachine

OVMF = "/usr/share/ovmf/OVMF.fd"
IMAGES = os.path.join(machine.BUILD, "linux", "amd64")
SECTOR = 512
BOOT_FIRST, ROOT_FIRST = 2048, 2048 + (64 << 11) # the partitions' first sectors
WORDS = "written by the shell"
CPUS = {"mmr": "1", "admin": "0,1"}

CONFIG = f"""[vmm]
when_idle = poweroff
[pf 02:00.0]
num_vfs = 1
transport = {{transport}}
[vm new]
cpus = {{cpus}}
memory = 512M
firmware = OVMF.fd
vf = 02:00.0/0
checkpoints = {machine.CHECKPOINTS}
"""

SCRIPT = f"""echo the script is read
echo {WORDS} >a fs0:\\written.txt
fs0:\\vmlinuz.efi initrd=\\initrd.img console=ttyS0 root=/dev/vda2 portolan.test=data
"""


def make_disk(folder):
    """A FAT partition with a script for OVMF's shell, a kernel and its RAM disk; and a partition with the root."""
    path, script, table = (os.path.join(folder, name) for name in ("disk.img", "startup.nsh", "table"))
    root = os.path.join(IMAGES, "rootfs.img")
    with open(script, "w", encoding="ascii", newline="\r\n") as file:
        file.write(SCRIPT)
    with open(table, "w", encoding="ascii") as file:
        file.write(f"label: dos\nstart={BOOT_FIRST}, size={ROOT_FIRST - BOOT_FIRST}, type=ef\nstart={ROOT_FIRST}, type=83\n")
    with open(path, "wb") as disk:
        disk.truncate(ROOT_FIRST * SECTOR + os.path.getsize(root))
    bios.run_tool("/bin/sh", "-c", 'PATH=$PATH:/sbin:/usr/sbin sfdisk -q "$0" <"$1"', path, table)
    fat = f"{path}@@{BOOT_FIRST * SECTOR}"
    bios.run_tool("mformat", "-i", fat, "-h", "255", "-s", "63", "-H", str(BOOT_FIRST), "-T", str(ROOT_FIRST - BOOT_FIRST), "::")
    bios.run_tool("mcopy", "-i", fat, script, os.path.join(IMAGES, "initrd.img"), "::")
    bios.run_tool("mcopy", "-i", fat, os.path.join(IMAGES, "vmlinuz"), "::vmlinuz.efi")
    with open(path, "r+b") as disk, open(root, "rb") as file:
        disk.seek(ROOT_FIRST * SECTOR)
        shutil.copyfileobj(file, disk)
    return path, fat


def test(folder):
    disk, fat = make_disk(folder)
    image = machine.make_image(folder, CONFIG.format(transport=sys.argv[1], cpus=CPUS[sys.argv[1]]), [(OVMF, "OVMF.fd")])
    with VfMachine(image, [disk], memory="1G") as run:
        run.expect("UEFI Interactive Shell")
        run.expect("the script is read")
        run.expect("data: right")
        run.expect("test data ended with status 0")
        run.expect("VM 'new': stop: its guest has switched it off")
        run.expect_end()
        run.require_checkpoints("new")
        run.forbid("PANIC", "ERROR", "was blocked", "stays off")
    done = subprocess.run(["mtype", "-i", fat, "::written.txt"], capture_output=True, text=True, check=False)
    if done.stdout.strip() != WORDS:
        raise machine.Failure(f"the shell has not written its file: {done.stdout!r} {done.stderr}")


if __name__ == "__main__":
    machine.run_test(test)
