# SPDX-License-Identifier: BSD-2-Clause
"""syslinux.py: SYSLINUX on an old kind of disk, a boot record and a FAT partition, behind a VF: its menu on the VM's screen, where keys choose;
Debian's i386 kernel with its root on the VF. The same disk, which nothing of this changes, then under plain QEMU, and once more in a VM."""

import os
import shutil

import bios
import machine
from disks import VfMachine
from ipxe import FOREIGN
from legacy_bios import DOWN, SEABIOS, PlainPc, press, wait_screen
from legacy_programs import see
from screen import VGABIOS

SECTOR = 512
BOOT_FIRST, ROOT_FIRST = 2048, 2048 + (64 << 11) # the partitions' first sectors
IMAGES = os.path.join(machine.BUILD, "linux", "i386")
MODULES = ("menu.c32", "libcom32.c32", "libutil.c32")
CHOICE = "The kernel of this disk"

CONFIG = """[vmm]
when_idle = poweroff
[pf 02:00.0]
num_vfs = 1
[vm old]
cpus = 1
memory = 256M
firmware = bios-256k.bin
vga_rom = vgabios-stdvga.bin
vf = 02:00.0/0
checkpoints = 20
"""

MENU = f"""UI menu.c32
PROMPT 0
TIMEOUT 0
MENU TITLE SYSLINUX of an old disk
LABEL again
  MENU LABEL This menu once more
  CONFIG syslinux.cfg
LABEL linux
  MENU LABEL {CHOICE}
  KERNEL vmlinuz
  INITRD initrd.img
  APPEND console=ttyS0 root=/dev/vda2 portolan.test=data
"""


def make_disk(folder):
    """SYSLINUX's boot record; a FAT partition with SYSLINUX, its menu, a kernel and its RAM disk; and a partition with the root."""
    path, root, config = (os.path.join(folder, name) for name in ("disk.img", "root.img", "syslinux.cfg"))
    shutil.copy(os.path.join(IMAGES, "rootfs.img"), root)
    roots = os.path.getsize(root) // SECTOR
    with open(path, "wb") as disk:
        disk.truncate((ROOT_FIRST + roots) * SECTOR)
    with open(config, "w", encoding="ascii") as file:
        file.write(MENU)
    table = os.path.join(folder, "table")
    with open(table, "w", encoding="ascii") as file:
        file.write(f"label: dos\nstart={BOOT_FIRST}, size={ROOT_FIRST - BOOT_FIRST}, type=e, bootable\nstart={ROOT_FIRST}, type=83\n")
    bios.run_tool("/bin/sh", "-c", 'PATH=$PATH:/sbin:/usr/sbin sfdisk -q "$0" <"$1"', path, table)
    fat = f"{path}@@{BOOT_FIRST * SECTOR}"
    bios.run_tool("mformat", "-i", fat, "-h", "255", "-s", "63", "-H", str(BOOT_FIRST), "-T", str(ROOT_FIRST - BOOT_FIRST), "::")
    bios.run_tool(os.path.join(FOREIGN, "syslinux"), "--install", "--offset", str(BOOT_FIRST * SECTOR), path)
    files = [os.path.join(FOREIGN, name) for name in MODULES] + [os.path.join(IMAGES, name) for name in ("vmlinuz", "initrd.img")]
    bios.run_tool("mcopy", "-i", fat, *files, config, "::")
    with open(path, "r+b") as disk, open(os.path.join(FOREIGN, "mbr.bin"), "rb") as record, open(root, "rb") as file:
        disk.write(record.read(440))
        disk.seek(ROOT_FIRST * SECTOR)
        shutil.copyfileobj(file, disk)
    return path


def before_root(path):
    """All of the disk that the systems on it only read."""
    with open(path, "rb") as disk:
        return disk.read(ROOT_FIRST * SECTOR)


def in_vm(image, disk):
    """SYSLINUX's menu is on the VM's screen, Down and Enter choose, and the kernel has its root on the VF."""
    with VfMachine(image, [disk], memory="1G") as run:
        see(run, rf"SYSLINUX of an old disk(.|\n)*This menu once more *(.|\n)*{CHOICE}")
        run.strike("old", "enter down enter")
        run.expect("data: right")
        run.expect("test data ended with status 0")
        run.expect("VM 'old': stop: its guest has switched it off")
        run.expect_end()
        run.forbid("PANIC", "ERROR", "was blocked", "stays off")


def in_plain_pc(disk):
    with PlainPc(disk) as run:
        wait_screen(run, 0, CHOICE)
        press(run, DOWN + "\r", "data: right")
        run.expect_end()


def test(folder):
    disk = make_disk(folder)
    before = before_root(disk)
    image = machine.make_image(folder, CONFIG, [(SEABIOS, "bios-256k.bin"), (VGABIOS, "vgabios-stdvga.bin")])
    in_vm(image, disk)
    in_plain_pc(disk)
    in_vm(image, disk)
    if before_root(disk) != before:
        raise machine.Failure("something has written to the disk outside of its root")


if __name__ == "__main__":
    machine.run_test(test)
