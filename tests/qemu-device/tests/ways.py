# SPDX-License-Identifier: GPL-2.0-or-later
"""Test cases that run once for each protocol of migration."""

import struct

from case import DeviceCase
from old import ERR, MIGRATION, MODIFY_STATUS, QUIESCED, RUNNING, OldAdmin
from parts import MODE_SET, OF_SRIOV, PartsAdmin
from virtio import AdminRegisters, BlockRegisters, Disk


class Virtio14:
    """The way of virtio 1.4."""

    MIGRATION = "1.4"
    ADMIN = PartsAdmin

    def start_stop(self, admin, member):
        return admin.start(MODE_SET, member, b"\1" + bytes(7), 0)

    def try_again(self, admin, member):
        self.assertEqual(admin.mode(member, 0), (11, 7, b""))


class Old2021:
    """The way of 2021."""

    MIGRATION = "2021"
    ADMIN = OldAdmin

    def start_stop(self, admin, member):
        return admin.begin(MIGRATION, MODIFY_STATUS, struct.pack("<HH", member, QUIESCED))

    def try_again(self, admin, member):
        self.assertEqual(admin.modify(member, RUNNING), ERR)


# What of the SR-IOV group's commands is used, by protocol.
LISTS = {"1.4": OF_SRIOV, "2021": 0x7F}
WAYS = [Virtio14, Old2021]


class WayCase(DeviceCase):
    def start(self, family, properties="", extra=()):
        """A machine with two VFs of FAMILY."""
        self.pf = self.machine((family, f"vfs=2,migration={self.MIGRATION},{properties}"),
                               extra=extra)
        self.vfs = self.pf.enable(2)
        self.admin = self.ADMIN(self.pf, self.memory)

    def stray(self):
        return self.qemu.property("pf0", "stray-dma")


class MoveCase(WayCase):
    def shared_image(self):
        """Two nodes, a and b, on one image."""
        self.image("shared")
        return [argument for node in "ab" for argument in (
            "-blockdev", f"driver=raw,node-name={node},file.driver=file,file.locking=off,"
                         f"file.filename={self.images['shared']}")]

    def start_disk(self, properties="", **options):
        self.start("blk", "vf-backends=a:b," + properties, self.shared_image())
        self.disk = Disk(BlockRegisters(self.vfs[0]), self.memory, **options)

    def registers(self, vf):
        return BlockRegisters(vf) if vf.vsec() else AdminRegisters(self.admin, vf)

    def move(self, driver, source, target, kick=True):
        """The steps of a hypervisor; the driver knows nothing of it."""
        self.admin.stop(source)
        self.admin.stop(target)
        state = self.admin.save(source)
        self.admin.restore(target, state)
        driver.move(self.registers(self.vfs[target - 1]))
        self.admin.resume(target)
        self.vfs[source - 1].flr()
        if kick:
            driver.kick()
        return state


def by_each_way(namespace):
    """Replaces each WayCase that a module defines by one class for each way."""
    for name, case in list(namespace.items()):
        if isinstance(case, type) and issubclass(case, WayCase) and \
                case.__module__ == namespace["__name__"] and not issubclass(case, tuple(WAYS)):
            del namespace[name]
            for way in WAYS:
                both = name + way.__name__
                namespace[both] = type(both, (way, case), {"__module__": namespace["__name__"]})
