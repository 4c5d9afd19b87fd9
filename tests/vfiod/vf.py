# SPDX-License-Identifier: BSD-2-Clause
"""vf.py: portolan-vfiod --vf, inside a Linux guest of the test machine: Debian's kernel, with an IOMMU, has a VF of the test device
by vfio-pci; the daemon serves it, behind its filter of system calls, and disk_client reads and writes the disk. No VMM is there.
What it did is compared from outside."""

import hashlib
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "tests", "machine"), os.path.join(TOP, "guest", "linux")]

import images  # noqa: E402
import machine  # noqa: E402

KERNEL = os.path.join(machine.BUILD, "linux", "amd64")
DAEMON = os.path.join(machine.BUILD, "portolan-vfiod")
CLIENT = os.path.join(machine.BUILD, "vfiod-disk-client")
DISK_BYTES = 1 << 20


def make_initrd(folder):
    """The RAM disk of build/linux, and behind it one with the programs."""
    root = os.path.join(folder, "root")
    images.add_program(root, DAEMON, "usr/bin/portolan-vfiod")
    shutil.copy(CLIENT, os.path.join(root, "usr", "bin", "disk-client"))
    os.makedirs(os.path.join(root, "tests"))
    shutil.copy(os.path.join(HERE, "guest"), os.path.join(root, "tests", "vfiod"))
    path = os.path.join(folder, "initrd")
    images.make_initrd(root, path)
    with open(os.path.join(KERNEL, "initrd.img"), "rb") as first, open(path, "rb") as second:
        data = first.read() + second.read()
    with open(path, "wb") as file:
        file.write(data)
    return path


class VfioMachine(machine.Machine):
    """QEMU with that kernel, an IOMMU and the PFs. Its time counts instructions, so that no timer of Linux's is late."""

    def arguments(self, folder, disk):
        return [machine.QEMU, "-M", "q35,kernel-irqchip=split", "-accel", "tcg,thread=single", *machine.ICOUNT, "-cpu", "EPYC", "-m", "384M",
                "-nodefaults", "-no-reboot", *machine.IOMMUS["intel"], *machine.PLUGIN,
                "-kernel", os.path.join(KERNEL, "vmlinuz"), "-initrd", make_initrd(folder),
                "-append", "console=ttyS0 panic=-1 quiet cryptomgr.notests intel_iommu=on portolan.test=vfiod",
                *machine.pf_arguments(1, disk)]


def test(folder):
    data = b"".join(hashlib.sha256(number.to_bytes(8, "little")).digest() for number in range(DISK_BYTES // 32))
    disk = os.path.join(folder, "disk")
    with open(disk, "wb") as file:
        file.write(data)
    half = data[:DISK_BYTES // 2]
    with VfioMachine(folder, disk=disk) as run:
        run.expect(r"init: test vfiod ended with status 0")
        run.expect_end()
        print(run.log())
        run.require("client: device 0x1001", f"client: {DISK_BYTES // 512} sectors by intx", f"client: {DISK_BYTES // 512} sectors by msix",
                    f"vfiod: intx {hashlib.sha256(data).hexdigest()}", f"vfiod: msix {hashlib.sha256(half + half).hexdigest()}",
                    "[02:00.1] fault addr 0x40012000", "[02:00.1] fault addr 0x40100000",
                    "client: what may not stay in RAM is refused", "raise RLIMIT_MEMLOCK", "vfiod: done")
        run.forbid("FAILED", "WARNING:", "BUG:", "Kernel panic")
    with open(disk, "rb") as file:
        if file.read() != half + half:
            raise machine.Failure("the disk's file is not what was written")


if __name__ == "__main__":
    machine.run_test(test)
