# SPDX-License-Identifier: GPL-2.0-or-later
"""Loading: what is refused, and in which words."""

import os
import shutil
import tempfile
import unittest

from case import SO, pf_arguments
from qemu import run_to_failure


class Refused(unittest.TestCase):
    def refused(self, arguments, text, so=SO):
        code, output = run_to_failure(so, arguments)
        self.assertNotEqual(code, 0, output)
        self.assertIn(text, output)

    def test_properties(self):
        for properties, text in (
                ("vsec-layout=C", "choose A or B"),
                ("mmr-bar=1", "choose 0 or 4"),
                ("mmr-offset=0x4000", "0x5000 or more"),
                ("mmr-offset=0x5002", "a multiple of 4"),
                ("vfs=256", "use 0 to 255"),
                ("migration=1.3", "choose none, 1.4 or 2021"),
                ("vf-queues=0", "use 1 or more"),
                ("vfs=1,vf-backends=a:b", "raise vfs or shorten the list")):
            with self.subTest(properties=properties):
                self.refused(pf_arguments([("blk", properties)]), text)

    def test_fixed_queue_size(self):
        self.refused(pf_arguments([("rng", "vf-queue-size=64")]), "leave vf-queue-size out")

    def test_unknown_argument(self):
        self.refused([], "there are mend-injection=off", so=SO + ",mend-injection=no")

    def test_not_behind_a_root_port(self):
        self.refused(["-device", "portolan-blk-pf"], "add a pcie-root-port")

    def test_too_many_functions(self):
        arguments = pf_arguments([("blk", "vfs=255")])
        arguments[-1] += ",addr=1.0"
        self.refused(arguments, "lower vfs")

    def test_vf_by_itself(self):
        self.refused(["-device", "portolan-blk-vf"], "portolan-blk-vf")

    def test_another_qemu(self):
        """The same plugin, as if it had been built for another distribution's QEMU."""
        with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
            other = os.path.join(folder, "other.so")
            with open(SO, "rb") as file:
                image = file.read()
            shutil.copy(SO, other)
            start = image.index(b"(Debian ") if b"(Debian " in image else None
            if start is None:
                self.skipTest("built for a QEMU that is no package")
            with open(other, "r+b") as file:
                file.seek(start)
                file.write(b"(Fedora ")
            self.refused([], "build.sh again", so=other)
