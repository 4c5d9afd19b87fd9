# SPDX-License-Identifier: GPL-2.0-or-later
"""The protocol of 2021: framing, status, every error of each command, the saved state."""

import struct

from case import DeviceCase
from old import (COMMON, DEV_CFG, DNR, ERR, FREEZED, GET_STATUS, IDENTITY, INIT, INTERNAL_ERR,
                 INVALID_CLASS, INVALID_COMMAND, IN_FLIGHT, MIGRATION, MODIFY_STATUS, MULTICAST,
                 OLD_OK, PENDING_BYTES, QUEUE_CFG, QUIESCED, RESTORE, RUNNING, RUN_STATE, RX_MODE,
                 SAVE, SUBVENDOR, TRANSFER_ERR, UNICAST, VLAN, Field, OldAdmin, decode, encode)
from parts import OF_SRIOV, PartsAdmin
from virtio import (LIST_QUERY, QUEUE_SELECT, STATUS, Admin, AdminRegisters, BlockRegisters, Disk,
                    Nic)

REFUSED = ERR | DNR


class OldCase(DeviceCase):
    FAMILY, PROPERTIES = "blk", ""

    def setUp(self):
        super().setUp()
        self.pf = self.machine((self.FAMILY, "vfs=3,migration=2021," + self.PROPERTIES))
        self.vfs = self.pf.enable(2)
        self.admin = OldAdmin(self.pf, self.memory)


class Framing(OldCase):
    def test_features(self):
        self.assertEqual(self.admin.offered() >> 41 & 0x1F, 0b01011,
                         "ADMIN_VQ, indirect descriptors, ADMIN_MIGRATION; not in order")

    def test_identity(self):
        self.assertEqual(self.admin.old(MIGRATION, IDENTITY, b"", 8),
                         (OLD_OK, struct.pack("<HHHH", 1, 0, 0, 0)))

    def test_more_room_than_result(self):
        status, result = self.admin.old(MIGRATION, GET_STATUS, struct.pack("<HH", 1, 0), 16)
        self.assertEqual((status, result), (OLD_OK, bytes(16)))

    def test_one_descriptor_each(self):
        qemu, admin = self.qemu, self.admin
        qemu.put(admin.request, bytes([MIGRATION, IDENTITY]))
        chain = admin.queue.add([(admin.request, 2)], [(admin.answer, 9)])
        qemu.write(admin.doorbell, admin.index, 2)
        self.assertEqual(admin.queue.wait(chain), 9)
        self.assertEqual(qemu.get(admin.answer, 9), b"\1" + bytes(8))

    def test_unknown(self):
        for kind in (0, 1, 63, 66, 128, 255):
            self.assertEqual(self.admin.old(kind, 0)[0], INVALID_CLASS | DNR)
        for command in (6, 7, 255):
            self.assertEqual(self.admin.old(MIGRATION, command)[0], INVALID_COMMAND | DNR)

    def test_too_short(self):
        short = {GET_STATUS: (3, 4), MODIFY_STATUS: (3, 0), PENDING_BYTES: (3, 8), SAVE: (23, 0),
                 RESTORE: (23, 0)}
        for command, (size, room) in short.items():
            data = struct.pack("<H", 1).ljust(size, b"\0")
            self.assertEqual(self.admin.old(MIGRATION, command, data, room)[0], TRANSFER_ERR | DNR)
        for command, size, room in ((IDENTITY, 0, 7), (GET_STATUS, 4, 3), (PENDING_BYTES, 4, 7)):
            data = struct.pack("<H", 1).ljust(size, b"\0")
            self.assertEqual(self.admin.old(MIGRATION, command, data, room)[0], TRANSFER_ERR | DNR)

    def test_no_such_vf(self):
        for member in (0, 3, 4, 0xFFFF):
            for command in (GET_STATUS, MODIFY_STATUS, PENDING_BYTES, SAVE, RESTORE):
                data = struct.pack("<H", member).ljust(24, b"\0")
                self.assertEqual(self.admin.old(MIGRATION, command, data, 8)[0], REFUSED)
        self.pf.disable()
        self.assertEqual(self.admin.modify(1, QUIESCED), REFUSED)

    def test_a_dead_vf(self):
        self.qemu.set("pf0", "fault-vf", 1)
        self.qemu.set("pf0", "fault-all-ones", True)
        self.assertEqual(self.admin.modify(1, QUIESCED), INTERNAL_ERR | DNR)
        self.assertEqual(self.admin.modify(2, QUIESCED), OLD_OK)

    def test_a_list_query_is_a_command_of_class_0(self):
        """What a host that takes it for virtio 1.4 gets: a status in the last byte."""
        chain = self.admin.start(LIST_QUERY, 0, b"", 8)
        self.assertEqual(self.admin.queue.wait(chain), 16)
        self.assertEqual(self.qemu.get(self.admin.answer, 16), bytes(15) + b"\x82")


class BothFramings(OldCase):
    """Without the block the legacy commands of virtio 1.4 share the queue."""

    PROPERTIES = "mmr=off"

    def test_both(self):
        self.assertEqual(self.admin.command(LIST_QUERY, 0, b"", 8), (0, 0, b"\x7f" + bytes(7)))
        self.assertEqual(self.admin.use(0x7F), (0, 0, b""))
        self.assertEqual(self.admin.use(OF_SRIOV), (22, 3, b""))
        registers = AdminRegisters(self.admin, self.vfs[0])
        registers.write(QUEUE_SELECT, 3, 2)
        self.assertEqual(registers.read(QUEUE_SELECT, 2), 3)
        self.admin.stop(1)
        self.assertEqual(self.admin.state(1), QUIESCED)


class Status(OldCase):
    def test_every_transition(self):
        ways = {INIT: [], RUNNING: [RUNNING], QUIESCED: [QUIESCED], FREEZED: [QUIESCED, FREEZED]}
        allowed = {(INIT, RUNNING), (INIT, QUIESCED), (RUNNING, QUIESCED), (QUIESCED, RUNNING),
                   (QUIESCED, FREEZED), (FREEZED, QUIESCED)}
        for before, way in ways.items():
            for after in range(5):
                with self.subTest(before=before, after=after):
                    self.vfs[0].flr()
                    self.admin.to(1, *way)
                    works = before == after or (before, after) in allowed
                    self.assertEqual(self.admin.modify(1, after), OLD_OK if works else REFUSED)
                    self.assertEqual(self.admin.state(1), after if works else before)

    def test_init_works_like_running(self):
        self.assertEqual(self.admin.state(1), INIT)
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        disk.read_sector(0)
        self.assertEqual(self.admin.state(1), INIT)
        self.admin.to(1, RUNNING)
        disk.registers.write(STATUS, 0, 1)
        self.assertEqual(self.admin.state(1), RUNNING, "a reset by the driver is no FLR")
        self.vfs[0].flr()
        self.assertEqual(self.admin.state(1), INIT)

    def test_flr_in_each_state(self):
        for way in ([QUIESCED], [QUIESCED, FREEZED]):
            self.admin.to(1, *way)
            self.vfs[0].flr()
            self.assertEqual(self.admin.state(1), INIT)
            Disk(BlockRegisters(self.vfs[0]), self.memory).read_sector(0)

    def test_frozen_registers(self):
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        disk.vf.msix(False)
        disk.read_sector(0)
        modern = self.vfs[0].bar(4) + self.vfs[0].virtio(1)[1]
        isr = self.vfs[0].bar(4) + self.vfs[0].virtio(3)[1]
        self.admin.to(1, QUIESCED, FREEZED)
        for write in (lambda: disk.registers.write(STATUS, 0, 1),
                      lambda: disk.registers.write(QUEUE_SELECT, 7, 2),
                      lambda: self.qemu.write(modern + 20, 0, 1)):
            write()
        self.assertEqual((disk.registers.read(STATUS, 1), disk.registers.read(QUEUE_SELECT, 2)),
                         (7, 0))
        self.assertEqual([disk.registers.read(0x13, 1), self.qemu.read(isr, 1)] * 2, [1] * 4,
                         "reading ISR does not clear it")
        disk.start(0, 0, bytes(512))
        self.assertEqual(self.qemu.property("pf0", "frozen-writes"), 4)
        self.admin.to(1, QUIESCED, RUNNING)
        self.assertEqual(disk.queues[0].done(), 1, "the doorbell was dropped as well")
        disk.kick()
        disk.queues[0].wait(2)
        self.assertEqual(disk.registers.read(0x13, 1), 1)
        self.assertEqual(disk.registers.read(0x13, 1), 0)


class Transfer(OldCase):
    def setUp(self):
        super().setUp()
        self.disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        self.disk.read_sector(0)

    def test_only_when_frozen(self):
        for way in ([], [RUNNING], [QUIESCED]):
            self.admin.to(1, *way)
            self.assertEqual(self.admin.pending(1)[0], REFUSED)
            self.assertEqual(self.admin.save_range(1, 0, 4)[0], REFUSED)
            self.assertEqual(self.admin.restore_range(1, 0, b"1234"), REFUSED)

    def test_save_in_any_pieces(self):
        whole = self.save(1)
        self.assertEqual(self.admin.pending(1), (OLD_OK, len(whole)), "it does not shrink")
        for size in (1, 7, 64, len(whole)):
            pieces = [self.admin.save_range(1, at, min(size, len(whole) - at))[1]
                      for at in range(0, len(whole), size)]
            self.assertEqual(b"".join(pieces), whole)
        self.assertEqual(self.admin.save_range(1, len(whole), 0), (OLD_OK, b""))
        for offset, length in ((0, len(whole) + 1), (len(whole) + 1, 0), (1 << 63, 1 << 63)):
            self.assertEqual(self.admin.save_range(1, offset, length, 8)[0], REFUSED)
        self.assertEqual(self.admin.save_range(1, 0, 9, 8)[0], TRANSFER_ERR | DNR)

    def save(self, member):
        self.admin.to(member, QUIESCED, FREEZED)
        return self.admin.save_range(member, 0, self.admin.pending(member)[1])[1]

    def put(self, pieces):
        self.admin.to(2, QUIESCED, FREEZED)
        self.assertEqual({self.admin.restore_range(2, at, data) for at, data in pieces}, {OLD_OK})
        self.admin.to(2, QUIESCED)
        self.assertEqual(self.admin.save(2), self.whole, "what is to be taken up is the state")
        self.vfs[1].flr()

    def test_restore_in_any_pieces(self):
        self.whole = self.save(1)
        for size in (1, 5, 100, len(self.whole)):
            pieces = [(at, self.whole[at:at + size]) for at in range(0, len(self.whole), size)]
            self.put(pieces)
            self.put(list(reversed(pieces)))
        self.put([(0, self.whole[:90]), (50, self.whole[50:]), (20, self.whole[20:60])])

    def test_restore_of_wrong_lengths(self):
        whole = self.save(1)
        self.admin.to(2, QUIESCED, FREEZED)
        self.assertEqual(self.admin.restore_range(2, 0, whole, len(whole) + 1), TRANSFER_ERR | DNR)
        self.assertEqual(self.admin.restore_range(2, 1 << 20, b"x"), REFUSED)
        self.assertEqual(self.admin.restore_range(2, (1 << 64) - 1, b"xx"), REFUSED)
        self.assertEqual(self.admin.modify(2, QUIESCED), OLD_OK, "nothing was written")

    def test_incomplete(self):
        whole = self.save(1)
        for pieces in ([(0, whole[:-1])], [(0, whole[:40]), (41, whole[41:])], [(8, whole[8:])]):
            self.admin.to(2, QUIESCED, FREEZED)
            for at, data in pieces:
                self.assertEqual(self.admin.restore_range(2, at, data), OLD_OK)
            self.assertEqual(self.admin.modify(2, QUIESCED), REFUSED)
            self.assertEqual(self.admin.state(2), FREEZED)
            self.assertEqual(self.admin.modify(2, QUIESCED), OLD_OK, "it is forgotten")
        self.admin.to(2, FREEZED)
        self.assertEqual(self.admin.restore_range(2, 0, whole), OLD_OK, "a second attempt")

    def test_something_behind_the_end(self):
        whole = self.save(1)
        self.admin.to(2, QUIESCED, FREEZED)
        self.assertEqual(self.admin.restore_range(2, 0, whole + b"\0"), REFUSED)

    def test_state_of_a_vf_that_was_never_started(self):
        data = self.admin.save(2) if self.admin.modify(2, QUIESCED) == OLD_OK else b""
        kinds = [field.kind for field in decode(data)]
        self.assertEqual(kinds, [COMMON, DEV_CFG, QUEUE_CFG])


class Contents(OldCase):
    """What the state says, and what a target refuses."""

    def setUp(self):
        super().setUp()
        self.disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        for sector in range(3):
            self.disk.read_sector(sector)
        self.vfs[1].master()
        self.admin.stop(1)
        self.admin.stop(2)
        self.fields = decode(self.admin.save(1))

    def find(self, kind):
        return next(field.value for field in self.fields if field.kind == kind)

    def test_fields(self):
        queue = self.disk.queues[0]
        self.assertEqual(self.find(RUN_STATE), struct.pack("<HHH", 0, 3, 3))
        self.assertEqual(self.find(QUEUE_CFG), struct.pack(
            "<HHHHHQQQHH", 0, queue.size, 1, 1, 0, queue.desc, queue.avail, queue.used, 0, 0))
        common = struct.unpack("<IQIQHHHBB", self.find(COMMON))
        self.assertEqual(common[1] & 0xFFFFFFFF, self.disk.features)
        self.assertEqual((common[3], common[4:8]), (0, (0xFFFF, 1, 0, 7)))
        self.assertEqual(struct.unpack("<Q", self.find(DEV_CFG)[:8])[0], 131072)

    def restore(self, fields):
        data = fields if isinstance(fields, bytes) else encode(fields)
        self.admin.to(2, FREEZED)
        status = self.admin.restore_range(2, 0, data)
        if status == OLD_OK:
            status = self.admin.modify(2, QUIESCED)
        self.admin.modify(2, QUIESCED)
        return status

    def changed(self, kind, offset, data):
        return [Field(f.kind, f.value[:offset] + data + f.value[offset + len(data):])
                if f.kind == kind else f for f in self.fields]

    def test_lengths(self):
        for number, field in enumerate(self.fields):
            for value in (field.value[:-1], field.value + b"\0"):
                wrong = list(self.fields)
                wrong[number] = Field(field.kind, value)
                self.assertEqual(self.restore(wrong), REFUSED, f"field {field.kind}")

    def test_missing_and_twice(self):
        for field in self.fields:
            self.assertEqual(self.restore(self.fields + [field]), REFUSED, f"{field.kind} twice")
            if field.kind != RUN_STATE:
                rest = [f for f in self.fields if f is not field]
                self.assertEqual(self.restore(rest), REFUSED, f"no {field.kind}")
        self.assertEqual(self.restore(list(reversed(self.fields))), REFUSED, "order")

    def test_optional(self):
        without = [f for f in self.fields if f.kind != RUN_STATE]
        self.assertEqual(self.restore(without + [Field(77, b"abc")]), OLD_OK)
        self.disk.move(BlockRegisters(self.vfs[1]))
        self.admin.resume(2)
        self.disk.read_sector(0)
        self.assertEqual(self.disk.queues[0].done(), 4, "indexes from memory")

    def test_values(self):
        for kind, offset, data in (
                (COMMON, 16, struct.pack("<Q", 1 << 50)), (COMMON, 24, b"\x09\0"),
                (COMMON, 26, b"\2\0"), (COMMON, 26, b"\xff\xff"), (DEV_CFG, 0, b"\1"),
                (QUEUE_CFG, 0, b"\1\0"), (QUEUE_CFG, 2, b"\x80\0"), (QUEUE_CFG, 4, b"\x09\0"),
                (QUEUE_CFG, 10, bytes(8)), (RUN_STATE, 0, b"\1\0"), (RUN_STATE, 2, b"\4\0")):
            self.assertEqual(self.restore(self.changed(kind, offset, data)), REFUSED,
                             f"field {kind} at {offset}")
        self.assertEqual(self.restore(struct.pack("<I", 0)), REFUSED, "no fields")
        self.assertEqual(self.restore(self.fields), OLD_OK, "a second attempt")

    def test_index_that_memory_does_not_have(self):
        self.assertEqual(self.restore(self.changed(RUN_STATE, 2, b"\4\0\4\0")), OLD_OK)
        self.assertEqual(self.admin.modify(2, RUNNING), REFUSED)
        self.assertEqual(self.admin.state(2), QUIESCED)
        self.assertEqual(self.restore(self.fields), OLD_OK)
        self.assertEqual(self.admin.modify(2, RUNNING), OLD_OK)

    def test_heads(self):
        wrong = [struct.pack("<HHH", 0, 1, 0), struct.pack("<HH", 0, 1), struct.pack("<HHH", 1, 1, 0),
                 struct.pack("<HHH", 0, 0xFFFF, 0), b"\0\0"]
        for value in wrong:
            self.assertEqual(self.restore(self.fields + [Field(IN_FLIGHT, value)]), REFUSED)
        fields = self.changed(RUN_STATE, 2, b"\4\0\3\0")
        self.assertEqual(self.restore(fields + [Field(IN_FLIGHT, struct.pack("<HHH", 0, 1, 256))]),
                         REFUSED, "a head beyond the queue")

    def test_every_byte_of_a_corrupted_state(self):
        """Refused or taken, the device lives on."""
        whole = encode(self.fields)
        for at in range(0, len(whole)):
            data = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1:]
            self.restore(data)
            self.vfs[1].flr()
            self.admin.stop(2)
        self.vfs[1].master()
        self.assertEqual(self.restore(self.fields), OLD_OK)


class NetContents(OldCase):
    FAMILY = "net"

    def test_fields(self):
        Nic(BlockRegisters(self.vfs[0]), self.memory)
        self.admin.stop(1)
        fields = {field.kind: field.value for field in decode(self.admin.save(1))}
        self.assertEqual(fields[RX_MODE], b"\1" + bytes(5), "promiscuous until told otherwise")
        self.assertEqual(len(fields[VLAN]), 512)
        self.assertEqual((fields[UNICAST], fields[MULTICAST], fields[SUBVENDOR]), (b"", b"", b"\1\0"))
        self.assertEqual(fields[DEV_CFG][:2], b"\x06\x54")


class Confusion(DeviceCase):
    def test_each_looks_like_itself(self):
        """Bit 41 is ADMIN_VQ in both; bit 44 tells."""
        self.machine(("blk", "vfs=1,migration=1.4"), ("blk", "vfs=1,migration=2021"),
                     ("blk", "vfs=1"))
        offered = [Admin(pf, self.memory, use=0).offered() for pf in self.pfs]
        self.assertEqual([bits >> 41 & 1 for bits in offered], [1, 1, 1])
        self.assertEqual([bits >> 44 & 1 for bits in offered], [0, 1, 0])
        for pf in self.pfs[:1]:
            pf.enable(1)
            PartsAdmin(pf, self.memory)
