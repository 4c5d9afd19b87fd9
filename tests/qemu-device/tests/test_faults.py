# SPDX-License-Identifier: GPL-2.0-or-later
"""Each fault that can be injected, set while the machine runs, and its end."""

from case import DeviceCase
from qemu import QemuError
from virtio import (COMMON_READ, LIST_QUERY, OK, QUEUE_PFN, STATUS, Admin, BlockRegisters, Disk)

FOREVER = 0xFFFFFFFF


class FaultCase(DeviceCase):
    def setUp(self):
        super().setUp()
        self.pf = self.machine(("blk", "vfs=2"))
        self.vfs = self.pf.enable(2)

    def fault(self, **values):
        for name, value in values.items():
            self.qemu.set("pf0", "fault-" + name.replace("_", "-"), value)


class AdminFaults(FaultCase):
    def setUp(self):
        super().setUp()
        self.admin = Admin(self.pf, self.memory)

    def read_status(self, member=1):
        return self.admin.command(COMMON_READ, member, bytes([STATUS]), 1)

    def test_each_error_status(self):
        for status, qualifier in ((6, 1), (11, 7), (12, 6), (16, 1), (22, 3), (28, 6), (99, 77)):
            self.fault(admin_status=status, admin_qualifier=qualifier, admin_count=1)
            self.assertEqual(self.read_status(), (status, qualifier, b""))
            self.assertEqual(self.read_status()[0], OK, "only one was to fail")

    def test_count(self):
        self.fault(admin_count=3)
        self.assertEqual([self.read_status()[0] for _ in range(4)], [22, 22, 22, 0])
        self.assertEqual(self.qemu.property("pf0", "fault-admin-count"), 0)
        self.fault(admin_count=FOREVER)
        self.assertEqual({self.read_status()[0] for _ in range(10)}, {22})
        self.fault(admin_count=0)
        self.assertEqual(self.read_status()[0], OK)

    def test_skip(self):
        self.fault(vf=1, admin_skip=2, admin_count=2)
        self.assertEqual(self.read_status(2)[0], OK, "it is about another VF, and does not count")
        self.assertEqual([self.read_status(1)[0] for _ in range(5)], [0, 0, 22, 22, 0])

    def test_one_opcode_of_one_member(self):
        self.fault(vf=2, admin_opcode=COMMON_READ, admin_count=FOREVER)
        self.assertEqual(self.read_status(1)[0], OK)
        self.assertEqual(self.read_status(2)[0], 22)
        self.assertEqual(self.admin.command(LIST_QUERY, 2, b"", 8)[0], OK)

    def test_a_command_that_fails_has_no_effect(self):
        self.fault(admin_count=1)
        data = bytes([QUEUE_PFN]) + bytes(7) + bytes([1, 2, 3, 4])
        self.assertEqual(self.admin.command(2, 1, data)[0], 22)
        self.assertEqual(BlockRegisters(self.vfs[0]).read(QUEUE_PFN, 4), 0)

    def test_never_completes(self):
        self.fault(admin_hang=True, admin_count=1)
        before = self.admin.queue.done()
        self.admin.start(COMMON_READ, 1, bytes([STATUS]), 1)
        self.assertEqual(self.qemu.property("pf0", "fault-admin-count"), 0, "it was taken")
        self.assertEqual(self.admin.queue.done(), before)
        self.admin.start(COMMON_READ, 1, bytes([STATUS]), 1)
        self.admin.queue.wait(before + 1)
        self.admin = Admin(self.pf, self.memory)
        self.assertEqual(self.read_status()[0], OK, "a reset of the PF ends it")


class VfFaults(FaultCase):
    def test_all_ones(self):
        gone, other = [Disk(BlockRegisters(vf), self.memory) for vf in self.vfs]
        self.fault(vf=1, all_ones=True)
        registers, vf = gone.registers, gone.vf
        self.assertEqual((registers.read(STATUS, 1), registers.read(0, 4)), (0xFF, 0xFFFFFFFF))
        self.assertEqual((vf.read(0x0E, 1), vf.read(4, 2), vf.read(0x100, 4)),
                         (0xFF, 0xFFFF, 0xFFFFFFFF))
        self.assertEqual(self.qemu.read(vf.bar(1), 4), 0xFFFFFFFF, "MSI-X table")
        self.assertEqual(self.qemu.read(vf.bar(4), 4), 0xFFFFFFFF, "modern registers")
        gone_at = gone.queues[0].done()
        registers.qemu.write(registers.base + 0x10, 0, 2)
        self.assertEqual(gone.queues[0].done(), gone_at)
        other.read_sector(0)

        self.fault(all_ones=False)
        self.assertEqual(registers.read(STATUS, 1), 7, "writes were dropped meanwhile")
        gone.read_sector(0)

    def test_all_ones_for_every_vf_and_vfs_to_come(self):
        self.fault(all_ones=True)
        self.assertEqual([vf.read(0x0E, 1) for vf in self.vfs], [0xFF, 0xFF])
        self.pf.disable()
        self.assertFalse(any(vf.exists() for vf in self.pf.enable(2)))
        self.fault(all_ones=False)
        self.assertTrue(all(vf.exists() for vf in self.vfs))

    def test_slow_reset(self):
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        registers = disk.registers
        self.fault(vf=1, slow_reset=5)
        registers.write(STATUS, 0, 1)
        self.assertNotEqual(registers.read(QUEUE_PFN, 4), 0, "not reset yet")
        registers.write(QUEUE_PFN, 1, 4)
        self.assertEqual([registers.read(STATUS, 1) for _ in range(6)], [7] * 5 + [0])
        self.assertEqual(registers.read(QUEUE_PFN, 4), 0)
        Disk(BlockRegisters(self.vfs[1]), self.memory)
        Disk(registers, self.memory).read_sector(0)

    def test_slow_reset_works_on_until_it_is_done(self):
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        self.fault(slow_reset=FOREVER)
        disk.registers.write(STATUS, 0, 1)
        self.assertEqual(disk.registers.read(STATUS, 1), 7)
        disk.vf.flr()
        self.assertEqual(disk.registers.read(STATUS, 1), 0, "FLR is not held up")

    def test_slow_reset_through_the_admin_queue(self):
        admin = Admin(self.pf, self.memory)
        block = BlockRegisters(self.vfs[0])
        block.write(STATUS, 3, 1)
        self.fault(slow_reset=2)
        admin.command(2, 1, bytes([STATUS]) + bytes(7) + b"\0")
        answers = [admin.command(COMMON_READ, 1, bytes([STATUS]), 1)[2] for _ in range(3)]
        self.assertEqual(answers, [b"\3", b"\3", b"\0"])


class Properties(FaultCase):
    def test_configuration_is_fixed(self):
        for name, value in (("vfs", 3), ("mmr", False), ("vsec-layout", "B")):
            with self.assertRaisesRegex(QemuError, "fixed once the device exists"):
                self.qemu.set("pf0", name, value)

    def test_counters_are_read_only(self):
        with self.assertRaises(QemuError):
            self.qemu.set("pf0", "bad-accesses", 0)

    def test_range(self):
        with self.assertRaisesRegex(QemuError, "use 0 to 255"):
            self.qemu.set("pf0", "fault-vf", 256)
