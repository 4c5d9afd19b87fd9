# SPDX-License-Identifier: BSD-2-Clause
"""ovmf_drivers.py CASE: further virtio drivers of OVMF's, for the legacy interface alone, in a VM with VFs. net: it gets an
address by DHCP and a program by TFTP, and starts that: Portolan's own, which says what such a machine lacks. scsi: its shell copies a file
on the disk of a SCSI VF, which is looked at from outside."""

import os
import random
import sys

import bios
import machine
from ipxe import NetMachine
from legacy_bios import ScsiMachine
from ovmf import OVMF

DISK_SIZE = 64 << 20
FILE_SIZE = 300_001 # no multiple of a sector

CONFIG = f"""[vmm]
when_idle = poweroff
[pf 01:00.0]
num_vfs = 1
[vm new]
cpus = 0
memory = 256M
firmware = OVMF.fd
vf = 01:00.0/0
checkpoints = {machine.CHECKPOINTS}
"""

SCRIPT = """cp fs0:\\file.bin fs0:\\copy.bin
comp fs0:\\file.bin fs0:\\copy.bin
echo the script ends here
"""


def make_disk(folder, *files):
    """A disk that is one FAT file system, with a script for OVMF's shell and FILES."""
    path, startup = (os.path.join(folder, name) for name in ("disk.img", "startup.nsh"))
    with open(startup, "w", encoding="ascii", newline="\r\n") as file:
        file.write(SCRIPT)
    with open(path, "wb") as disk:
        disk.truncate(DISK_SIZE)
    bios.run_tool("mformat", "-i", path, "-F", "::")
    bios.run_tool("mcopy", "-i", path, startup, *files, "::")
    return path


def make_file(folder):
    path = os.path.join(folder, "file.bin")
    with open(path, "wb") as file:
        file.write(random.Random(1).randbytes(FILE_SIZE))
    return path


def check_copy(folder, disk, path):
    """The disk has it, byte by byte."""
    copy = os.path.join(folder, "copy.bin")
    bios.run_tool("mcopy", "-n", "-i", disk, "::copy.bin", copy)
    with open(path, "rb") as one, open(copy, "rb") as other:
        if one.read() != other.read():
            raise machine.Failure("the copy on the disk is not what it should be")


def stop(run):
    run.ask("vm stop new", r"VM 'new': stopped\n")
    run.expect_end()
    run.require_checkpoints("new")
    run.forbid("PANIC", "ERROR", "was blocked", "stays off")


def net(folder):
    served = os.path.join(folder, "served")
    os.mkdir(served)
    os.symlink(os.path.join(machine.BUILD, "portolan.efi"), os.path.join(served, "portolan.efi"))
    image = machine.make_image(folder, CONFIG, [(OVMF, "OVMF.fd")])
    with NetMachine(image, served, ["portolan.efi"], memory="1G") as run:
        for pattern in (r"Start PXE over IPv4(.|\n)*Station IP address is 10\.0\.2\.15", "NBP file downloaded successfully",
                        "portolan: this image was not started from a file"):
            run.wait_said("new", 0, pattern)
        stop(run)


def scsi(folder):
    path = make_file(folder)
    disk = make_disk(folder, path)
    image = machine.make_image(folder, CONFIG, [(OVMF, "OVMF.fd")])
    with ScsiMachine(image, [None], others=[disk], memory="1G") as run:
        run.wait_said("new", 0, "UEFI Interactive Shell")
        run.wait_said("new", 0, "the script ends here")
        if "no differences encountered" not in run.said("new"):
            raise machine.Failure("OVMF's shell found its copy another file")
        stop(run)
    check_copy(folder, disk, path)


CASES = {"net": net, "scsi": scsi}

if __name__ == "__main__":
    machine.run_test(CASES[sys.argv[1]])
