# SPDX-License-Identifier: GPL-2.0-or-later
"""The base of all tests: a machine, a time limit, QEMU's output when something fails."""

import os
import signal
import sys
import tempfile
import unittest

from pci import PF, enable_ecam
from qemu import Qemu
from virtio import Memory

SO = os.environ.get("PORTOLAN_MMR_SO", "")
SECONDS = 60


def pf_arguments(pfs):
    """PFS is [(family, properties)]: each below a root port of its own, ids pf0, pf1..."""
    arguments = []
    for port, (family, properties) in enumerate(pfs):
        arguments += ["-device", f"pcie-root-port,id=rp{port},chassis={port + 1},slot={port + 1},"
                                 f"addr=2.{port},multifunction=on",
                      "-device", f"portolan-{family}-pf,id=pf{port},bus=rp{port},{properties}"]
    return arguments


def make_image(path, tag):
    """64 KiB in which every sector says which image and which sector it is."""
    with open(path, "wb") as file:
        for sector in range(128):
            file.write(f"{tag} sector {sector}".encode().ljust(512, b"."))


class DeviceCase(unittest.TestCase):
    """A test of the device. machine() starts QEMU; it ends with the test."""

    def run(self, result=None):
        self.qemu = None
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if self.qemu and len(result.failures) + len(result.errors) > before:
            print(f"--- {self.id()}: {' '.join(self.qemu.command)}", file=sys.stderr)
            print(f"--- QEMU printed:\n{self.qemu.printed}---", file=sys.stderr)
        return result

    def setUp(self):
        self.images = {}

        def expire(_number, _frame):
            raise TimeoutError(f"{self.id()} took more than {SECONDS} s")
        signal.signal(signal.SIGALRM, expire)
        signal.alarm(SECONDS)
        self.addCleanup(signal.alarm, 0)

    def machine(self, *pfs, extra=()):
        """Start a machine with PFS, in place of the one before; sets qemu, memory and pfs."""
        if self.qemu:
            self.qemu.stop()
        self.qemu = Qemu(SO, list(extra) + pf_arguments(pfs))
        self.addCleanup(self.qemu.stop)
        enable_ecam(self.qemu)
        self.memory = Memory(self.qemu)
        self.pfs = [PF(self.qemu, port) for port in range(len(pfs))]
        return self.pfs[0]

    def image(self, tag):
        """-blockdev arguments for a new image with the node name TAG; its path is images[TAG]."""
        folder = tempfile.TemporaryDirectory(prefix="portolan-")
        self.addCleanup(folder.cleanup)
        self.images[tag] = os.path.join(folder.name, tag + ".img")
        make_image(self.images[tag], tag)
        return ["-blockdev", f"driver=raw,node-name={tag},file.driver=file,"
                             f"file.filename={self.images[tag]}"]
