# SPDX-License-Identifier: GPL-2.0-or-later
"""Block requests that the device has taken and the back end has not: finished or listed, never lost or done twice."""

import struct

from old import COMPLETED, IN_FLIGHT, OLD_OK, RUN_STATE, Field, decode, encode
from virtio import BlockRegisters, Disk
from ways import MoveCase, Old2021, by_each_way


class Requests(Disk):
    """Several requests at once, each with a place of its own."""

    def post(self, number, kind, sector, data=bytes(512)):
        at = self.buffer + 0x1000 + 0x400 * number
        self.qemu.put(at, struct.pack("<IIQ", kind, 0, sector) + b"\xff" * 16 + data)
        header, status, body = (at, 16), (at + 16, 1), (at + 32, 512)
        return self.send(0, [header, body] if kind else [header], [status] if kind else [body, status])

    def state_of(self, number):
        at = self.buffer + 0x1000 + 0x400 * number
        return self.qemu.read(at + 16, 1), self.qemu.get(at + 32, 512)

    def completed_heads(self):
        used = self.queues[0].used
        return [self.qemu.read(used + 4 + 8 * n, 4) for n in range(self.queues[0].done())]


class HoldCase(MoveCase):
    LISTS = "on"

    def start_held(self, properties=""):
        self.start("blk", f"vf-backends=a:b,list-in-flight={self.LISTS},{properties}",
                   self.shared_image())
        self.disk = Requests(BlockRegisters(self.vfs[0]), self.memory)
        self.hold(True)

    def hold(self, on):
        self.qemu.set("pf0", "fault-hold", on)

    def post_all(self):
        """Three writes and a read; the device takes them and does nothing."""
        for number in range(3):
            self.disk.post(number, 1, number, bytes([0x41 + number]) * 512)
        self.disk.post(3, 0, 9)
        self.assertEqual(self.disk.queues[0].done(), 0)

    def image_now(self):
        with open(self.images["shared"], "rb") as file:
            return [file.read(512)[:1] for _ in range(3)]

    def check_all(self):
        self.disk.queues[0].wait(4)
        self.assertEqual([self.disk.state_of(n)[0] for n in range(4)], [0] * 4)
        self.assertTrue(self.disk.state_of(3)[1].startswith(b"shared sector 9."))
        self.assertEqual(self.image_now(), [b"A", b"B", b"C"])
        self.assertEqual(len(set(self.disk.completed_heads())), 4, "each head once")
        self.assertEqual(self.stray(), 0)


class Held(HoldCase):
    """Both protocols, as far as they go the same way."""

    LISTS = "off"

    def test_released(self):
        self.start_held()
        self.post_all()
        self.hold(False)
        self.check_all()

    def test_finished_when_stopped(self):
        self.start_held()
        self.post_all()
        self.admin.stop(1)
        self.check_all()

    def test_reset_drops_them(self):
        self.start_held()
        self.post_all()
        self.vfs[0].flr()
        self.hold(False)
        self.assertEqual(self.image_now(), [b"s"] * 3)
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        disk.read_sector(0)

    def test_passed(self):
        """The first is kept, and stays so; later ones are done. A reset ends it."""
        self.start_held("vf-queue-size=16")
        self.qemu.set("pf0", "fault-hold-most", 1)
        self.disk.post(0, 1, 0, b"Z" * 512)
        for number in range(1, 4):
            self.disk.post(number, 1, number, bytes([0x41 + number]) * 512)
        self.disk.queues[0].wait(3)
        self.assertEqual(sorted(self.disk.completed_heads()), [3, 6, 9])
        self.hold(False)
        self.disk.post(1, 1, 0, b"A" * 512)
        self.disk.queues[0].wait(4)
        self.assertEqual(self.image_now(), [b"A", b"B", b"C"])
        self.assertEqual(self.disk.state_of(0)[0], 0xFF)
        self.vfs[0].flr()
        self.assertEqual(self.image_now(), [b"A", b"B", b"C"])
        Disk(BlockRegisters(self.vfs[0]), self.memory).read_sector(0)

    def test_vf_goes(self):
        self.start_held()
        self.post_all()
        self.pf.disable()
        self.hold(False)
        Disk(BlockRegisters(self.pf.enable(2)[0]), self.memory).read_sector(0)


class Listed(Old2021, HoldCase):
    """Only the protocol of 2021 has lists."""

    def saved_fields(self):
        self.admin.stop(1)
        return decode(self.admin.save(1))

    def test_list(self):
        self.start_held()
        self.post_all()
        fields = {field.kind: field.value for field in self.saved_fields()}
        self.assertEqual(fields[RUN_STATE], struct.pack("<HHH", 0, 4, 0))
        self.assertEqual(fields[IN_FLIGHT], struct.pack("<HHHHHH", 0, 4, 0, 3, 6, 9))
        self.assertEqual(self.disk.queues[0].done(), 0)

    def test_source_goes_on(self):
        self.start_held()
        self.post_all()
        self.admin.stop(1)
        self.admin.save(1)
        self.hold(False)
        self.assertEqual(self.disk.queues[0].done(), 0)
        self.admin.resume(1)
        self.check_all()

    def test_target_does_them(self):
        self.start_held()
        self.post_all()
        self.qemu.set("pf0", "fault-vf", 1)
        self.move(self.disk, 1, 2, kick=False)
        self.check_all()
        self.disk.read_sector(0)

    def test_target_holds_them_too(self):
        self.start_held()
        self.post_all()
        self.move(self.disk, 1, 2)
        self.assertEqual(self.disk.queues[0].done(), 0)
        self.move(self.disk, 2, 1)
        self.hold(False)
        self.check_all()

    def test_some_done_before(self):
        """Indexes in the middle, and heads that the ring has forgotten."""
        self.start_held("vf-queue-size=16")
        self.hold(False)
        for number in range(13):
            self.disk.read_sector(number % 4)
        before = self.disk.queues[0].done()
        self.hold(True)
        self.disk.post(0, 1, 0, b"Z" * 512)
        slot = self.disk.queues[0].avail + 4 + 2 * (before % 16)
        self.qemu.write(slot, 0xFFFF, 2)
        self.qemu.set("pf0", "fault-vf", 1)
        self.move(self.disk, 1, 2)
        self.disk.queues[0].wait(before + 1)
        self.assertEqual(self.disk.state_of(0)[0], 0)
        self.assertEqual(self.image_now()[0], b"Z")
        self.disk.read_sector(0)

    def test_done_twice_is_refused(self):
        """A list that does not fit the indexes."""
        self.start_held()
        self.post_all()
        fields = self.saved_fields()
        for kind, value in ((IN_FLIGHT, struct.pack("<HHHHH", 0, 3, 0, 3, 6)),
                            (RUN_STATE, struct.pack("<HHH", 0, 4, 1))):
            wrong = [Field(kind, value) if f.kind == kind else f for f in fields]
            self.admin.to(2, 2, 3)
            self.assertNotEqual(self.admin.restore_range(2, 0, encode(wrong)), OLD_OK)
            self.vfs[1].flr()

    def test_completed_are_given_back(self):
        """Requests whose data the source has moved, but not told of."""
        self.start_held()
        self.post_all()
        heads = struct.pack("<HHHH", 0, 2, 0, 3), struct.pack("<HHHH", 0, 2, 6, 9)
        fields = [f for f in self.saved_fields() if f.kind != IN_FLIGHT]
        fields += [Field(COMPLETED, heads[0]), Field(IN_FLIGHT, heads[1])]
        self.admin.stop(2)
        self.admin.restore(2, encode(fields))
        self.disk.move(BlockRegisters(self.vfs[1]))
        self.qemu.set("pf0", "fault-vf", 1)
        self.admin.resume(2)
        self.disk.queues[0].wait(4)
        self.assertEqual(sorted(self.disk.completed_heads()), [0, 3, 6, 9])
        self.assertEqual(self.disk.completed_heads()[:2], [0, 3])
        self.assertEqual([self.disk.state_of(n)[0] for n in range(4)], [0xFF, 0xFF, 0, 0])
        self.assertEqual(self.image_now(), [b"s", b"s", b"C"], "they are not done again")


by_each_way(globals())
