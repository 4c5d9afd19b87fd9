# SPDX-License-Identifier: GPL-2.0-or-later
"""Each command of both protocols fails in each way; a VF dies in each state."""

import struct

from case import DeviceCase
from old import (DIRTY, DNR, ERR, FREEZED, GET_STATUS, IDENTITY, INIT, INTERNAL_ERR, MAP_PENDING,
                 MIGRATION, MODIFY_STATUS, OLD_OK, PENDING_BYTES, PULL_BITMAP, QUIESCED, REPORT_MAP,
                 RESTORE, RUNNING, SAVE, START_TRACK, STOP_TRACK, OldAdmin)
from parts import (ALL, CAP_GET, CAP_LIST, CAP_SET, CREATE, DESTROY, GET, METADATA_GET, MODE_SET,
                   MODIFY, PARTS_GET, PARTS_SET, QUERY, SET, SIZE, PartsAdmin)
from qemu import wait_for
from test_lifecycle import SLOW_DISK
from virtio import LIST_QUERY, LIST_USE, OK, SELF, SRIOV, BlockRegisters, Disk
from ways import WayCase, by_each_way

ONCE = 1
GONE = (6, 5, b"")


class FaultCase(DeviceCase):
    MIGRATION = "1.4"
    ADMIN = PartsAdmin

    def setUp(self):
        super().setUp()
        self.pf = self.machine(("blk", f"vfs=2,migration={self.MIGRATION}"))
        self.vfs = self.pf.enable(2)
        self.admin = self.ADMIN(self.pf, self.memory)

    def fault(self, **values):
        for name, value in values.items():
            self.qemu.set("pf0", "fault-" + name.replace("_", "-"), value)

    def clear(self):
        self.fault(admin_count=0, admin_hang=False, admin_break=False, admin_late=0, admin_short=0,
                   admin_corrupt=0, admin_die=0, admin_status=22, admin_qualifier=1)

    def hit(self):
        return self.qemu.property("pf0", "fault-admin-count") == 0


class PartsCommands(FaultCase):
    """(opcode, member, data, room, group) of a command of each kind that works."""

    def commands(self):
        self.admin.create(1, GET)
        self.admin.create(1, SET)
        self.admin.stop(1)
        state = self.admin.save(1)
        get, put = struct.pack("<H2xI", 0, 2), struct.pack("<H2xI", 0, 3)
        free = struct.pack("<H2xI", 0, 9)
        return [(LIST_QUERY, 0, b"", 8, SRIOV), (LIST_USE, 0, struct.pack("<Q", 0x3FC7F), 0, SRIOV),
                (CAP_LIST, 0, b"", 8, SELF), (CAP_GET, 0, bytes(8), 8, SELF),
                (CREATE, 1, free + bytes(16), 0, SRIOV), (MODIFY, 1, free + bytes(16), 0, SRIOV),
                (QUERY, 1, free + bytes(8), 8, SRIOV), (DESTROY, 1, free, 0, SRIOV),
                (METADATA_GET, 1, get + bytes([SIZE] + [0] * 7), 64, SRIOV),
                (PARTS_GET, 1, get + bytes([ALL] + [0] * 7), 0x4000, SRIOV),
                (PARTS_SET, 1, put + state, 0, SRIOV), (MODE_SET, 1, b"\1" + bytes(7), 0, SRIOV)]

    def opcodes(self):
        return sorted(command[0] for command in self.commands())

    def test_every_opcode_is_here(self):
        self.assertEqual(self.opcodes() + [CAP_SET], [0, 1, 7, 8] + list(range(0x0A, 0x12)) + [9])

    def test_status(self):
        for command in self.commands():
            for status, qualifier in ((6, 1), (11, 7), (12, 6), (16, 1), (17, 3), (22, 3), (28, 6),
                                      (99, 77)):
                self.fault(admin_opcode=command[0], admin_status=status,
                           admin_qualifier=qualifier, admin_count=ONCE)
                self.assertEqual(self.admin.command(*command), (status, qualifier, b""))
            self.assertEqual(self.admin.command(*command)[0], OK, f"opcode {command[0]:#x}: no effect")

    def test_short(self):
        for command in self.commands():
            self.clear()
            for missing in (1, 8, 0xFFFFFFFF):
                self.prepare(command)
                self.fault(admin_opcode=command[0], admin_short=missing, admin_count=ONCE)
                used = self.admin.queue.wait(self.admin.start(*command))
                self.fault(admin_short=0)
                whole = 8 + len(self.good(command))
                self.assertEqual(used, max(whole - missing, 0))

    def prepare(self, command):
        """Object 9 is what a command about it needs."""
        if command[0] == CREATE:
            self.admin.object(DESTROY, 1, 9)
        elif command[0] in (MODIFY, QUERY, DESTROY):
            self.admin.object(CREATE, 1, 9)

    def good(self, command):
        """The result as it should be."""
        self.prepare(command)
        status, _, result = self.admin.command(*command)
        self.assertEqual(status, OK, f"opcode {command[0]:#x}")
        return result

    def test_corrupt(self):
        for command in self.commands():
            good = self.good(command)
            for byte in {1, len(good)} - {0}:
                self.prepare(command)
                self.fault(admin_opcode=command[0], admin_corrupt=byte, admin_count=ONCE)
                status, _, bad = self.admin.command(*command)
                self.assertEqual((status, self.hit()), (OK, True))
                self.assertEqual([n for n in range(len(good)) if good[n] != bad[n]],
                                 [byte - 1] if good else [])
            self.clear()

    def test_late(self):
        for command in self.commands():
            self.clear()
            self.fault(admin_opcode=command[0], admin_late=50, admin_count=ONCE)
            before = self.admin.queue.done()
            chain = self.admin.start(*command)
            self.assertEqual((self.hit(), self.admin.queue.done()), (True, before))
            self.admin.queue.wait(chain)
            self.assertEqual(self.qemu.get(self.admin.answer, 1), b"\0", f"opcode {command[0]:#x}")

    def test_hang(self):
        commands = self.commands()
        for command in commands:
            self.fault(admin_opcode=command[0], admin_hang=True, admin_count=ONCE)
            before = self.admin.queue.done()
            self.admin.start(*command)
            self.assertTrue(self.hit())
            self.admin.queue.late += 1
            self.admin.command(LIST_QUERY, 0, b"", 8, SELF)
            self.assertEqual(self.admin.queue.done(), before + 1)

    def test_break(self):
        for command in self.commands():
            self.fault(admin_opcode=command[0], admin_break=True, admin_count=ONCE)
            self.admin.start(*command)
            wait_for("DEVICE_NEEDS_RESET", lambda: self.admin.get(0x14, 1) & 0x40)
            before = self.admin.queue.done()
            self.admin.start(LIST_QUERY, 0, b"", 8)
            self.assertEqual(self.admin.queue.done(), before)
            self.clear()
            self.admin = PartsAdmin(self.pf, self.memory)
            self.admin.resume(1)
            self.commands()

    def test_late_and_then_a_reset(self):
        self.fault(admin_late=100000, admin_count=ONCE)
        self.admin.start(LIST_QUERY, 0, b"", 8)
        self.clear()
        self.admin = PartsAdmin(self.pf, self.memory)
        self.fault(admin_late=20, admin_count=ONCE)
        chain = self.admin.start(MODE_SET, 1, b"\1" + bytes(7), 0)
        self.pf.disable()
        self.admin.queue.wait(chain)


class OldCommands(FaultCase):
    MIGRATION = "2021"
    ADMIN = OldAdmin

    def commands(self):
        """(class, command, data, room) of a command of each kind that works, VF 1 being FREEZED."""
        self.admin.to(1, QUIESCED, FREEZED)
        length = self.admin.pending(1)[1]
        state = self.admin.save_range(1, 0, length)[1]
        self.assertEqual(self.admin.track(1, PULL_BITMAP, 0, 1 << 20), OLD_OK)
        vf = struct.pack("<HH", 1, 0)
        return [(MIGRATION, IDENTITY, b"", 8), (MIGRATION, GET_STATUS, vf, 4),
                (MIGRATION, MODIFY_STATUS, struct.pack("<HH", 1, FREEZED), 0),
                (MIGRATION, PENDING_BYTES, vf, 8),
                (MIGRATION, SAVE, struct.pack("<H6xQQ", 1, 0, length), length),
                (MIGRATION, RESTORE, struct.pack("<H6xQQ", 1, 0, length) + state, 0),
                (DIRTY, IDENTITY, b"", 8),
                (DIRTY, MAP_PENDING, struct.pack("<H6xQ", 1, 0), 8),
                (DIRTY, REPORT_MAP, struct.pack("<H6xQQQ", 1, 0, 32, 0), 32),
                (DIRTY, STOP_TRACK, struct.pack("<H6xQ", 1, 0), 0),
                (DIRTY, START_TRACK, struct.pack("<HHIQQ", 1, PULL_BITMAP, 4096, 0, 1 << 20), 0)]

    def opcode(self, command):
        return command[0] << 8 | command[1]

    def test_every_command_is_here(self):
        self.assertEqual(sorted(self.opcode(c) for c in self.commands()),
                         [0x4000 + n for n in range(6)] + [0x4100 + n for n in range(5)])

    def test_status(self):
        for command in self.commands():
            for status in (ERR, ERR | DNR, 2 | DNR, 3 | DNR, 4, 5, 5 | DNR, 40, 70, 127, 255):
                self.fault(admin_opcode=self.opcode(command), admin_status=status,
                           admin_count=ONCE)
                self.assertEqual(self.admin.old(*command), (status, bytes(command[3])))
            self.assertEqual(self.admin.old(*command)[0], OLD_OK,
                             f"command {self.opcode(command):#x}: no effect")

    def test_short(self):
        for command in self.commands():
            self.fault(admin_opcode=self.opcode(command), admin_short=1, admin_count=ONCE)
            used = self.admin.queue.wait(self.admin.begin(*command))
            self.assertEqual(used, command[3])
            self.assertEqual(self.qemu.get(self.admin.answer + command[3], 1), b"\xee",
                             "the status is not there")

    def test_corrupt(self):
        for command in self.commands():
            if not command[3]:
                self.assertEqual(self.admin.old(*command)[0], OLD_OK)
                continue
            good = self.admin.old(*command)
            for byte in (1, command[3]):
                self.fault(admin_opcode=self.opcode(command), admin_corrupt=byte, admin_count=ONCE)
                status, bad = self.admin.old(*command)
                self.assertEqual(status, OLD_OK)
                self.assertEqual([n for n in range(command[3]) if good[1][n] != bad[n]], [byte - 1])

    def test_late(self):
        for command in self.commands():
            self.fault(admin_opcode=self.opcode(command), admin_late=50, admin_count=ONCE)
            before = self.admin.queue.done()
            chain = self.admin.begin(*command)
            self.assertEqual((self.hit(), self.admin.queue.done()), (True, before))
            self.admin.queue.wait(chain)
            self.assertEqual(self.qemu.get(self.admin.answer + command[3], 1), b"\0")

    def test_hang(self):
        for command in self.commands():
            self.fault(admin_opcode=self.opcode(command), admin_hang=True, admin_count=ONCE)
            before = self.admin.queue.done()
            self.admin.begin(*command)
            self.assertTrue(self.hit())
            self.admin.queue.late += 1
            self.fault(admin_opcode=0xFFFF)
            self.admin.old(MIGRATION, IDENTITY, b"", 8)
            self.assertEqual(self.admin.queue.done(), before + 1)

    def test_break(self):
        self.fault(admin_opcode=0x4002, admin_break=True, admin_count=ONCE)
        self.admin.begin(MIGRATION, MODIFY_STATUS, struct.pack("<HH", 1, QUIESCED))
        wait_for("DEVICE_NEEDS_RESET", lambda: self.admin.get(0x14, 1) & 0x40)
        self.admin = OldAdmin(self.pf, self.memory)
        self.assertEqual(self.admin.state(1), INIT, "it was not carried out")


class Death(FaultCase):
    """All-ones, in each status of the old protocol."""

    MIGRATION = "2021"
    ADMIN = OldAdmin
    WAYS = {INIT: [], RUNNING: [RUNNING], QUIESCED: [QUIESCED], FREEZED: [QUIESCED, FREEZED]}

    def live_again(self):
        self.clear()
        self.fault(all_ones=False)
        self.vfs[0].flr()
        self.assertEqual(self.admin.state(1), INIT)
        self.admin.to(1, QUIESCED, FREEZED, QUIESCED, RUNNING)
        Disk(BlockRegisters(self.vfs[0]), self.memory).read_sector(0)

    def test_by_itself(self):
        for way in self.WAYS.values():
            self.admin.to(1, *way)
            self.fault(vf=1, all_ones=True)
            self.assertFalse(self.vfs[0].exists())
            for status in range(4):
                self.assertEqual(self.admin.modify(1, status), INTERNAL_ERR | DNR)
            self.assertEqual(self.admin.track(1, PULL_BITMAP, 0, 4096), INTERNAL_ERR | DNR)
            self.live_again()
            self.vfs[0].flr()

    def test_by_a_command(self):
        for before, way in self.WAYS.items():
            for when in (1, 2):
                with self.subTest(before=before, when=when):
                    self.admin.to(1, *way)
                    self.fault(vf=1, admin_die=when, admin_count=ONCE)
                    self.assertEqual(self.admin.modify(1, before),
                                     INTERNAL_ERR | DNR if when == 1 else OLD_OK)
                    self.assertEqual((self.vfs[0].exists(), self.vfs[1].exists()), (False, True))
                    self.assertEqual(self.admin.modify(1, QUIESCED), INTERNAL_ERR | DNR)
                    self.live_again()
                    self.vfs[0].flr()

    def test_all_parts_commands(self):
        pf = self.machine(("blk", "vfs=1,migration=1.4"))
        pf.enable(1)
        admin = PartsAdmin(pf, self.memory)
        admin.create(1, GET)
        admin.create(1, SET)
        self.fault(all_ones=True)
        self.assertEqual(admin.mode(1, 1), GONE)
        self.assertEqual(admin.metadata(1, SIZE), GONE)
        self.assertEqual(admin.get_parts(1), GONE)
        self.assertEqual(admin.set_parts(1, b""), GONE)
        self.assertEqual(admin.object(DESTROY, 1, 2)[0], OK, "objects are the PF's")


class WhileDraining(WayCase):
    def test_death(self):
        image = self.image("one")
        self.start("blk", "vf-backends=slow", image + SLOW_DISK + [
            "-blockdev", "driver=throttle,node-name=slow,throttle-group=slow,file=one"])
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        for _ in range(12):
            disk.start(0, 1, bytes(512))
        chain = self.start_stop(self.admin, 1)
        self.qemu.set("pf0", "fault-vf", 1)
        self.qemu.set("pf0", "fault-all-ones", True)
        self.admin.queue.wait(chain)
        done = disk.queues[0].done()
        self.assertLess(done, 12)
        self.assertNotEqual(self.qemu.read(self.admin.answer, 1), 0)
        self.qemu.qmp("qom-set", path="/objects/slow", property="limits",
                      value={"bps-total": 0, "bps-total-max": 0})
        Disk(BlockRegisters(self.vfs[1]), self.memory).read_sector(0)
        self.assertEqual(disk.queues[0].done(), done, "no DMA of a VF that is gone")
        self.qemu.set("pf0", "fault-all-ones", False)
        self.vfs[0].flr()
        again = Disk(BlockRegisters(self.vfs[0]), self.memory)
        again.read_sector(0)
        self.admin.stop(1)
        self.admin.resume(1)
        again.read_sector(0)


by_each_way(globals())
