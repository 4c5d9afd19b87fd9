# SPDX-License-Identifier: GPL-2.0-or-later
"""Test cases that run once for each protocol of migration."""

from case import DeviceCase
from parts import MODE_SET, PartsAdmin


class Virtio14:
    """The way of virtio 1.4."""

    MIGRATION = "1.4"
    ADMIN = PartsAdmin

    def start_stop(self, admin, member):
        return admin.start(MODE_SET, member, b"\1" + bytes(7), 0)

    def try_again(self, admin, member):
        self.assertEqual(admin.mode(member, 0), (11, 7, b""))


WAYS = [Virtio14]


class WayCase(DeviceCase):
    def start(self, family, properties="", extra=()):
        """A machine with two VFs of FAMILY."""
        self.pf = self.machine((family, f"vfs=2,migration={self.MIGRATION},{properties}"),
                               extra=extra)
        self.vfs = self.pf.enable(2)
        self.admin = self.ADMIN(self.pf, self.memory)

    def stray(self):
        return self.qemu.property("pf0", "stray-dma")


def by_each_way(namespace):
    """Replaces each WayCase of a module by one class for each way."""
    for name, case in list(namespace.items()):
        if isinstance(case, type) and issubclass(case, WayCase) and case is not WayCase:
            del namespace[name]
            for way in WAYS:
                both = name + way.__name__
                namespace[both] = type(both, (way, case), {"__module__": namespace["__name__"]})
