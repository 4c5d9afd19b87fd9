# SPDX-License-Identifier: GPL-2.0-or-later
"""The administration virtqueue: every command, every error, every length."""

import struct

from case import DeviceCase
from pci import VFE, MSE
from qemu import wait_for
from virtio import (COMMON_READ, COMMON_WRITE, DEV_READ, DEV_WRITE, EINVAL, HOST_FEATURES,
                    INVALID_FIELD, INVALID_GROUP, INVALID_MEMBER, INVALID_OPCODE, LIST_QUERY,
                    LIST_USE, NOTIFY_INFO, OK, QUEUE_NOTIFY, QUEUE_PFN, QUEUE_SELECT, QUEUE_SIZE,
                    SELF, STATUS, Admin, AdminRegisters, BlockRegisters, Disk, Nic)

DONE = (OK, 0, b"")


def refused(qualifier):
    return (EINVAL, qualifier, b"")


def write_data(offset, data):
    return bytes([offset]) + bytes(7) + data


class AdminCase(DeviceCase):
    def setUp(self):
        super().setUp()
        self.pf = self.machine(("blk", "vfs=3,null-size=1M"), ("net", "vfs=3"))
        self.vfs = self.pf.enable(2)

    def admin(self, **options):
        return Admin(self.pf, self.memory, **options)


class Queue(AdminCase):
    def test_features_and_index(self):
        for pf, queues in zip(self.pfs, (1, 3)):
            admin = Admin(pf, self.memory, use=0)
            self.assertEqual(admin.offered() >> 32 & 0x223, 0x223,
                             "VERSION_1, ACCESS_PLATFORM, SR_IOV, ADMIN_VQ")
            self.assertEqual(admin.get(0x12, 2), queues, "num_queues leaves it out")
            self.assertGreaterEqual(admin.index, queues)
            self.assertEqual(admin.get(62, 2), 1)
            self.assertEqual(admin.get(60, 4), 1 << 16 | admin.index)

    def test_needs_the_feature(self):
        admin = self.admin(features=1 << 32 | 1 << 33, use=0)
        admin.start(LIST_QUERY, 0, b"", 8)
        wait_for("DEVICE_NEEDS_RESET", lambda: admin.get(0x14, 1) & 0x40)
        self.assertEqual(admin.queue.done(), 0)

    def test_many_commands_in_order(self):
        admin = self.admin()
        for number in range(200):
            data = write_data(QUEUE_SELECT, struct.pack("<H", number))
            self.assertEqual(admin.command(COMMON_WRITE, 1, data), DONE)
            self.assertEqual(admin.command(COMMON_READ, 1, bytes([QUEUE_SELECT]), 2)[2],
                             struct.pack("<H", number))

    def test_interrupt(self):
        admin = self.admin(use=0)
        messages = self.memory.take(0x1000)
        at = self.pf.capability(0x11)
        entry = self.pf.bar(1) + 16
        for offset, value in ((0, messages), (4, 0), (8, 0x5151), (12, 0)):
            self.qemu.write(entry + offset, value, 4)
        self.pf.write(at + 2, 0x8000, 2)
        admin.put(0x16, admin.index, 2)
        admin.put(0x1A, 1, 2)
        admin.command(LIST_QUERY, 0, b"", 8)
        self.assertEqual(self.qemu.read(messages, 4), 0x5151)


class Lists(AdminCase):
    def test_query(self):
        admin = self.admin(use=0)
        self.assertEqual(admin.command(LIST_QUERY, 0, b"", 8), (OK, 0, b"\x7f" + bytes(7)))
        self.assertEqual(admin.command(LIST_QUERY, 0, b"", 8, SELF), (OK, 0, b"\x03" + bytes(7)))
        self.assertEqual(admin.command(LIST_QUERY, 0, b"", 3), (OK, 0, b"\x7f\0\0"), "truncated")
        self.assertEqual(admin.command(LIST_QUERY, 0, bytes(40), 64)[2], b"\x7f" + bytes(7))

    def test_only_what_was_selected(self):
        admin = self.admin(use=0)
        for opcode in range(2, 7):
            self.assertEqual(admin.command(opcode, 1, bytes(8), 8), refused(INVALID_OPCODE))
        self.assertEqual(admin.use(1 << COMMON_READ), DONE)
        self.assertEqual(admin.command(COMMON_READ, 1, bytes([STATUS]), 1), (OK, 0, b"\0"))
        self.assertEqual(admin.command(DEV_READ, 1, bytes([0]), 4), refused(INVALID_OPCODE))
        self.assertEqual(admin.use(0x7F), DONE, "may be repeated")
        self.assertEqual(admin.command(DEV_READ, 1, bytes([0]), 4)[0], OK)

    def test_selection_of_what_is_not_there(self):
        admin = self.admin()
        for data in (struct.pack("<Q", 0x80), struct.pack("<QQ", 0x7F, 1)):
            self.assertEqual(admin.command(LIST_USE, 0, data), refused(INVALID_FIELD))
        self.assertEqual(admin.use(0x7F, SELF), refused(INVALID_FIELD))
        self.assertEqual(admin.command(COMMON_READ, 1, bytes([STATUS]), 1)[0], OK, "unchanged")
        self.assertEqual(admin.command(LIST_USE, 0, b"\x7f" + bytes(23)), DONE, "zeros may follow")

    def test_reset_forgets_the_selection(self):
        self.admin()
        again = self.admin(use=0)
        self.assertEqual(again.command(COMMON_READ, 1, bytes([STATUS]), 1), refused(INVALID_OPCODE))


class Validation(AdminCase):
    def test_group(self):
        admin = self.admin()
        for group in (2, 0xFFFF):
            self.assertEqual(admin.command(LIST_QUERY, 0, b"", 8, group), refused(INVALID_GROUP))
        self.pf.disable()
        self.assertEqual(admin.command(COMMON_READ, 1, b"", 8), refused(INVALID_GROUP))
        self.assertEqual(admin.command(LIST_QUERY, 0, b"", 8, SELF)[0], OK)

    def test_lists_without_a_group(self):
        """Linux asks before it sets VF Enable; the standard refuses that."""
        self.pf.disable()
        admin = self.admin(use=0)
        self.assertEqual(admin.command(LIST_QUERY, 0, b"", 8)[0], OK)
        self.assertEqual(admin.use(0x7F), DONE)
        self.pf.enable(1)
        self.assertEqual(admin.command(COMMON_READ, 1, bytes([STATUS]), 1)[0], OK)

    def test_lists_without_a_group_strictly(self):
        pf = self.machine(("blk", "vfs=1,strict-lists=on"))
        admin = Admin(pf, self.memory, use=0)
        for opcode in (LIST_QUERY, LIST_USE):
            self.assertEqual(admin.command(opcode, 0, bytes(8), 8), refused(INVALID_GROUP))
        pf.enable(1)
        self.assertEqual(admin.use(0x7F), DONE)

    def test_opcode(self):
        admin = self.admin()
        for opcode in (7, 0x0E, 0x40, 0x7FFF, 0x8000, 0xFFFF):
            self.assertEqual(admin.command(opcode, 1, b"", 8), refused(INVALID_OPCODE))
        self.assertEqual(admin.command(COMMON_READ, 0, b"", 8, SELF), refused(INVALID_OPCODE))

    def test_member(self):
        admin = self.admin()
        for member in (0, 3, 4, 1 << 32 | 1, (1 << 64) - 1):
            self.assertEqual(admin.command(COMMON_READ, member, bytes([STATUS]), 1),
                             refused(INVALID_MEMBER))
            self.assertEqual(admin.command(NOTIFY_INFO, member, b"", 64), refused(INVALID_MEMBER))

    def test_order(self):
        admin = self.admin()
        self.assertEqual(admin.command(99, 99, b"", 8, 9), refused(INVALID_GROUP))
        self.assertEqual(admin.command(99, 99, b"", 8), refused(INVALID_OPCODE))
        self.assertEqual(admin.command(COMMON_READ, 99, b"\xff", 8), refused(INVALID_MEMBER))


class LegacyCommands(AdminCase):
    def test_header_is_the_same_as_in_the_block(self):
        admin, block = self.admin(), BlockRegisters(self.vfs[1])
        through = AdminRegisters(admin, self.vfs[1])
        for offset, width in ((HOST_FEATURES, 4), (QUEUE_SIZE, 2), (QUEUE_PFN, 4), (STATUS, 1)):
            self.assertEqual(through.read(offset, width), block.read(offset, width))
        through.write(QUEUE_PFN, 0x777, 4)
        self.assertEqual(block.read(QUEUE_PFN, 4), 0x777)
        self.assertEqual(BlockRegisters(self.vfs[0]).read(QUEUE_PFN, 4), 0, "the other VF")
        through.write(STATUS, 0, 1)
        self.assertEqual(block.read(QUEUE_PFN, 4), 0)

    def test_one_field_only(self):
        admin = self.admin()
        for offset, width in ((0, 5), (QUEUE_SIZE, 4), (QUEUE_SIZE + 1, 2), (STATUS, 2), (0x13, 2),
                              (0x14, 2), (20, 1), (255, 1)):
            self.assertEqual(admin.command(COMMON_READ, 1, bytes([offset]), width),
                             refused(INVALID_FIELD), f"{width} bytes at {offset:#x}")
            self.assertEqual(admin.command(COMMON_WRITE, 1, write_data(offset, bytes(width))),
                             refused(INVALID_FIELD))
        for offset, width in ((0, 9), (7, 2), (18, 2), (6, 4), (60, 1), (200, 1)):
            self.assertEqual(admin.command(DEV_READ, 1, bytes([offset]), width),
                             refused(INVALID_FIELD), f"{width} bytes at {offset}")
        self.assertEqual(admin.command(COMMON_READ, 1, bytes([0]), 0), refused(INVALID_FIELD))
        self.assertEqual(admin.command(COMMON_WRITE, 1, write_data(STATUS, b"")),
                         refused(INVALID_FIELD))

    def test_parts_of_a_field(self):
        admin = self.admin()
        admin.command(COMMON_WRITE, 1, write_data(QUEUE_PFN, bytes.fromhex("44332211")))
        self.assertEqual(admin.command(COMMON_READ, 1, bytes([QUEUE_PFN + 1]), 2)[2], b"\x33\x22")
        admin.command(COMMON_WRITE, 1, write_data(QUEUE_PFN + 3, b"\x99"))
        self.assertEqual(admin.command(COMMON_READ, 1, bytes([QUEUE_PFN]), 4)[2],
                         bytes.fromhex("44332299"))

    def test_buffers_padded_to_eight_bytes(self):
        admin = self.admin()
        pad = bytes(7)
        self.assertEqual(admin.command(COMMON_READ, 1, bytes([STATUS]) + pad, 8), (OK, 0, b"\0"))
        self.assertEqual(admin.command(COMMON_READ, 1, bytes([QUEUE_SIZE]) + pad, 8)[2], b"\0\x01")
        self.assertEqual(admin.command(DEV_READ, 1, bytes([0]) + pad, 8)[2], struct.pack("<Q", 2048))
        self.assertEqual(admin.command(DEV_READ, 1, bytes([20]) + pad, 8)[2], struct.pack("<I", 512))
        data = write_data(QUEUE_SELECT, struct.pack("<H6x", 5))
        self.assertEqual(admin.command(COMMON_WRITE, 1, data), DONE)
        self.assertEqual(admin.command(COMMON_READ, 1, bytes([QUEUE_SELECT]), 2)[2], b"\x05\0")

    def test_mac_byte_by_byte(self):
        self.pfs[1].enable(1)
        admin = Admin(self.pfs[1], self.memory)
        for number in range(6):
            data = write_data(number, bytes([0x30 + number]) + bytes(7))
            self.assertEqual(admin.command(DEV_WRITE, 1, data), DONE)
        self.assertEqual(admin.command(DEV_READ, 1, b"\0", 6), (OK, 0, b"012345"))
        self.assertEqual(admin.command(DEV_READ, 1, b"\4", 2), (OK, 0, b"45"))

    def test_device_configuration_does_not_move_with_msix(self):
        admin = self.admin()
        off = admin.command(DEV_READ, 1, b"\0", 4)
        self.vfs[0].msix(True)
        self.assertEqual(admin.command(DEV_READ, 1, b"\0", 4), off)
        self.assertEqual(admin.command(COMMON_READ, 1, b"\x14", 2), (OK, 0, b"\xff\xff"))
        self.assertEqual(admin.command(COMMON_READ, 1, b"\x18", 2), refused(INVALID_FIELD))

    def test_notify_info(self):
        admin = self.admin()
        status, _, result = admin.command(NOTIFY_INFO, 2, b"", 64)
        self.assertEqual((status, len(result)), (OK, 64))
        flags, bar, offset = struct.unpack("<BB6xQ", result[:16])
        self.assertEqual(flags, 2, "in the VF's own BAR")
        self.assertIn(bar, range(1, 6))
        self.assertEqual(offset % 2, 0)
        self.assertEqual([result[i] for i in (16, 32, 48)], [0, 0, 0], "end of the list")
        self.assertEqual(admin.command(NOTIFY_INFO, 2, b"", 16)[2], result[:16], "truncated")

    def test_block_io(self):
        registers = AdminRegisters(self.admin(), self.vfs[0])
        before = self.qemu.property("pf0", "admin-commands")
        disk = Disk(registers, self.memory)
        self.assertEqual(registers.config(0, 4), 2048)
        disk.write_sector(1, b"q" * 512)
        self.assertEqual(disk.message(1), 0xABC1)
        self.assertGreater(self.qemu.property("pf0", "admin-commands"), before)

    def test_the_block_needs_no_commands(self):
        before = self.qemu.property("pf0", "admin-commands")
        Disk(BlockRegisters(self.vfs[0]), self.memory).read_sector(0)
        self.assertEqual(self.qemu.property("pf0", "admin-commands"), before)

    def test_notify_register(self):
        registers = AdminRegisters(self.admin(), self.vfs[0])
        registers.notify = lambda queue: registers.write(QUEUE_NOTIFY, queue, 2)
        Disk(registers, self.memory).read_sector(0)


class BesidesTheDevicesOwnQueues(AdminCase):
    def test_net_pf(self):
        """QEMU's net device removes and adds queues as features say; ours stays."""
        pf = self.pfs[1]
        pf.enable(2, VFE | MSE)
        mac_and_ctrl = 1 << 5 | 1 << 17
        for features in (0, mac_and_ctrl, 0):
            admin = Admin(pf, self.memory, features=features | 1 << 32 | 1 << 33 | 1 << 41)
            self.assertEqual(admin.command(COMMON_READ, 2, bytes([STATUS]), 1), (OK, 0, b"\0"))
            self.assertEqual(admin.get(0x12, 2), 3)
        self.assertTrue(Nic(BlockRegisters(pf.enable(2)[0]), self.memory).features)
