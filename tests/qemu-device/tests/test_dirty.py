# SPDX-License-Identifier: GPL-2.0-or-later
"""Maps of the pages that a VF has written to, compared with the whole memory."""

import os
import struct

from case import DeviceCase
from iommu import Vtd
from old import (DIRTY, DNR, ERR, FEATURES, IDENTITY, INTERNAL_ERR, INVALID_CLASS, INVALID_COMMAND,
                 MAP_PENDING, OLD_OK, PULL_BITMAP, PULL_BYTEMAP, PUSH_BITMAP, PUSH_BYTEMAP,
                 QUIESCED, REPORT_MAP, START_TRACK, STOP_TRACK, TRANSFER_ERR, OldAdmin)
from qemu import wait_for
from test_halt import FRAME, HUB
from test_in_flight import Requests
from test_lifecycle import SLOW_DISK
from virtio import BlockRegisters, Disk, Legacy, Memory, Nic

REFUSED = ERR | DNR
RAM = 64 << 20
PAGE = 4096
PAGES = RAM // PAGE
MODES = (PUSH_BITMAP, PUSH_BYTEMAP, PULL_BITMAP, PULL_BYTEMAP)


def pages_in(data, mode, first=0):
    """The numbers of the pages that a map marks."""
    if mode in (PUSH_BYTEMAP, PULL_BYTEMAP):
        return {first + n for n, byte in enumerate(data) if byte}
    return {first + 8 * n + bit for n, byte in enumerate(data) if byte
            for bit in range(8) if byte >> bit & 1}


def page_of(address):
    return address // PAGE


def pages_of(address, length):
    return set(range(address // PAGE, (address + length - 1) // PAGE + 1))


class DirtyCase(DeviceCase):
    def start(self, family="blk", properties="", extra=()):
        self.pf = self.machine((family, "vfs=2,migration=2021," + properties),
                               extra=["-m", str(RAM >> 20)] + list(extra))
        self.vfs = self.pf.enable(2)
        self.admin = OldAdmin(self.pf, self.memory)
        self.begin_maps()

    def begin_maps(self):
        """A map in each mode; the pushed ones lie in two segments."""
        self.maps = {}
        for mode in MODES:
            size = PAGES // 8 if mode in (PUSH_BITMAP, PULL_BITMAP) else PAGES
            pieces = [(self.memory.take(size // 2), size // 2) for _ in range(2)]
            self.maps[mode] = (size, pieces if mode in (PUSH_BITMAP, PUSH_BYTEMAP) else [])

    def track_all(self, member, mode):
        status = self.admin.track(member, mode, 0, RAM, segments=self.maps[mode][1])
        self.assertEqual(status, OLD_OK)

    def fetch(self, member, mode):
        """The pages of a map, which begins anew."""
        size, pieces = self.maps[mode]
        if pieces:
            data = b"".join(self.qemu.get(at, length) for at, length in pieces)
            for at, length in pieces:
                self.qemu.put(at, bytes(length))
            return pages_in(data, mode)
        # Answers have place for 64 KiB.
        data = b""
        while len(data) < size:
            status, part = self.admin.report(member, 0, len(data), min(0x8000, size - len(data)))
            self.assertEqual(status, OLD_OK)
            data += part
        return pages_in(data, mode)

    def whole_memory(self):
        path = self.qemu.path("memory")
        self.qemu.qmp("pmemsave", val=0, size=RAM, filename=path)
        with open(path, "rb") as file:
            data = file.read()
        os.unlink(path)
        return data

    def changes(self, work):
        """The pages that differ after WORK, which is the device's alone."""
        before = self.whole_memory()
        work()
        after = self.whole_memory()
        return {n for n in range(PAGES)
                if before[n * PAGE:n * PAGE + PAGE] != after[n * PAGE:n * PAGE + PAGE]}

    def without_the_hosts(self, pages):
        """Without the pages that a pushed map itself lies in."""
        own = set()
        for _, pieces in self.maps.values():
            for at, length in pieces:
                own |= pages_of(at, length)
        return pages - own


class WholeMemory(DirtyCase):
    """Nothing that has changed is missing, and nothing is told that could not have changed."""

    def compare(self, mode, work, allowed):
        self.track_all(1, mode)
        changed = self.without_the_hosts(self.changes(work))
        told = self.fetch(1, mode)
        self.assertTrue(changed, "it did something")
        self.assertEqual(changed - told, set(), "missed")
        self.assertEqual(told - allowed, set(), "made up")
        self.assertEqual(self.fetch(1, mode), set(), "it begins anew")
        self.assertEqual(self.admin.untrack(1, 0), OLD_OK)
        return told

    def ring_pages(self, driver):
        pages = pages_of(driver.messages, 4 * 16)
        for queue in driver.queues:
            pages |= pages_of(queue.used, 4 + 8 * queue.size)
        return pages

    def test_disk(self):
        self.start(properties="vf-backends=one", extra=self.image("one"))
        disk = Requests(BlockRegisters(self.vfs[0]), self.memory)
        buffers = self.memory.take(0x40000)
        queue = disk.queues[0]
        for turn, mode in enumerate(MODES):
            writable = set()
            for number in range(8):
                # Data over page boundaries, at addresses that differ each time.
                at = buffers + turn * 0x9000 + number * 0x1000 + 0xF00
                header = disk.buffer + 0x40 * number
                self.qemu.put(header, struct.pack("<IIQ", 0, 0, number))
                queue.add([(header, 16)], [(at, 512), (at + 0x700, 1)])
                writable |= pages_of(at, 512) | pages_of(at + 0x700, 1)

            def work():
                disk.kick()
                queue.wait()
            told = self.compare(mode, work, writable | self.ring_pages(disk))
            self.assertIn(page_of(queue.used), told)
            self.assertIn(page_of(disk.messages), told, "a message is a write, too")

    def test_reading_is_not_writing(self):
        self.start()
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        self.track_all(1, PULL_BITMAP)
        disk.start(1, 3, b"w" * 512)
        disk.queues[0].wait()
        self.assertEqual(self.fetch(1, PULL_BITMAP) - self.ring_pages(disk),
                         pages_of(disk.buffer + 0x100, 1), "the status, in the page of the data")

    def test_net(self):
        self.start("net", "vf-backends=n1:n2", HUB)
        one, two = [Nic(BlockRegisters(vf), self.memory) for vf in self.vfs]
        for mode in MODES:
            one.post()
            self.qemu.put(two.transmit, bytes(two.HEADER) + FRAME)
            before = one.queues[0].done()

            # VF 2 works as well: only its own map has its pages.
            theirs = self.ring_pages(two)
            self.track_all(1, mode)
            changed = self.without_the_hosts(self.changes(lambda: two.send_frame(FRAME)))
            changed -= theirs | pages_of(two.transmit, 0x1000) | pages_of(two.queues[1].desc, 0x3000)
            told = self.fetch(1, mode)
            self.assertEqual(one.queues[0].done(), before + 1)
            self.assertTrue(changed)
            self.assertEqual(changed - told, set())
            self.assertEqual(told - pages_of(one.receive, 2048) - self.ring_pages(one), set())
            self.admin.untrack(1, 0)

    def test_other_families(self):
        self.start("rng")
        rng = Legacy(BlockRegisters(self.vfs[0]), self.memory, 1)
        buffer = self.memory.take(0x3000)
        rng.queues[0].add([], [(buffer + 0xFE0, 64)])

        def work():
            rng.kick()
            rng.queues[0].wait()
        told = self.compare(PULL_BITMAP, work, pages_of(buffer + 0xFE0, 64) | self.ring_pages(rng))
        self.assertTrue(pages_of(buffer + 0xFE0, 64) <= told)

    def test_a_ring_entry_over_a_page_boundary(self):
        self.start(properties="vf-queue-size=1024")
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        queue = disk.queues[0]
        for _ in range(511):
            disk.read_sector(0)
        self.assertEqual((queue.used + 4 + 8 * 511) % PAGE, PAGE - 4)
        self.track_all(1, PULL_BITMAP)
        disk.read_sector(0)
        self.assertIn(page_of(queue.used) + 1, self.fetch(1, PULL_BITMAP))
        self.assertEqual(self.qemu.read(queue.used + 4 + 8 * 511 + 4, 4), 513)


class InFlight(DirtyCase):
    """A page is told after the write, whenever the map was read."""

    def start_busy(self):
        self.start(properties="vf-backends=slow", extra=self.image("one") + SLOW_DISK + [
            "-blockdev", "driver=throttle,node-name=slow,throttle-group=slow,file=one"])
        self.disk = Requests(BlockRegisters(self.vfs[0]), self.memory)
        self.buffer_page = page_of(self.disk.buffer + 0x1000 + 0x400 * 11)  # of the last request

    def busy(self):
        for number in range(12):
            self.disk.post(number, 0, 1)
        self.assertLess(self.disk.queues[0].done(), 12)

    def test_read_while_under_way(self):
        self.start_busy()
        self.track_all(1, PULL_BITMAP)
        self.busy()
        self.fetch(1, PULL_BITMAP)
        self.disk.queues[0].wait(12)
        self.assertIn(self.buffer_page, self.fetch(1, PULL_BITMAP))

    def test_begun_before_the_tracking(self):
        self.start_busy()
        self.busy()
        self.track_all(1, PULL_BITMAP)
        self.disk.queues[0].wait(12)
        self.assertIn(self.buffer_page, self.fetch(1, PULL_BITMAP))

    def test_all_of_it_is_told_when_quiesced(self):
        self.start_busy()
        self.track_all(1, PUSH_BITMAP)
        self.busy()
        self.fetch(1, PUSH_BITMAP)
        self.admin.to(1, QUIESCED)
        self.assertEqual(self.disk.queues[0].done(), 12)
        self.assertIn(self.buffer_page, self.fetch(1, PUSH_BITMAP))

    def test_reset_while_under_way(self):
        self.start_busy()
        self.track_all(1, PULL_BITMAP)
        self.busy()
        self.fetch(1, PULL_BITMAP)
        self.disk.registers.write(0x12, 0, 1)
        wait_for("reset", lambda: self.disk.registers.read(0x12, 1) == 0)
        self.assertIn(self.buffer_page, self.fetch(1, PULL_BITMAP))


class Ranges(DirtyCase):
    def test_identity(self):
        self.start(properties="dirty-ranges=7")
        self.assertEqual(self.admin.old(DIRTY, IDENTITY, b"", 8),
                         (OLD_OK, struct.pack("<HHI", 26, 22, 7)))

    def test_several_ranges_and_page_sizes(self):
        self.start()
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        low, high = disk.buffer & ~0xFFFF, disk.queues[0].used & ~0xFFFF
        for start, page in ((low, 0x10000), (high, 4096)):
            self.assertEqual(self.admin.track(1, PULL_BITMAP, start, 0x10000, page), OLD_OK)
        disk.read_sector(0)
        self.assertEqual(self.admin.map_pending(1, low), (OLD_OK, 1))
        self.assertEqual(self.admin.report(1, low, 0, 1), (OLD_OK, b"\1"))
        self.assertEqual(self.admin.map_pending(1, high), (OLD_OK, 2))
        used = pages_in(self.admin.report(1, high, 0, 2)[1], PULL_BITMAP, page_of(high))
        self.assertIn(page_of(disk.queues[0].used), used)
        self.assertEqual(self.admin.map_pending(1, low), (OLD_OK, 0))

    def test_pieces_of_a_map(self):
        self.start()
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        self.track_all(1, PULL_BYTEMAP)
        disk.read_sector(0)
        at = page_of(disk.buffer)
        self.assertEqual(self.admin.report(1, 0, at - 1, 3), (OLD_OK, b"\0\1\0"))
        self.assertEqual(self.admin.report(1, 0, at - 1, 3), (OLD_OK, bytes(3)))
        self.assertEqual(self.admin.map_pending(1, 0), (OLD_OK, PAGES), "the used ring is left")
        self.assertEqual(self.admin.report(1, 0, PAGES, 0), (OLD_OK, b""))
        for offset, length in ((PAGES, 1), (PAGES + 1, 0), (1 << 63, 1 << 63)):
            self.assertEqual(self.admin.report(1, 0, offset, length, 8)[0], REFUSED)
        self.assertEqual(self.admin.report(1, 0, 0, 9, 8)[0], TRANSFER_ERR | DNR)

    def test_what_is_refused(self):
        self.start()
        for mode, start, length, page in (
                (0, 0, RAM, PAGE), (5, 0, RAM, PAGE), (0xF001, 0, RAM, PAGE),
                (PULL_BITMAP, 0, 0, PAGE), (PULL_BITMAP, 0, RAM, 0), (PULL_BITMAP, 0, RAM, 512),
                (PULL_BITMAP, 0, RAM, 4097), (PULL_BITMAP, 1, RAM, PAGE),
                (PULL_BITMAP, 0, RAM + 1, PAGE), (PULL_BITMAP, (1 << 64) - PAGE, 2 * PAGE, PAGE),
                (PULL_BITMAP, 0, PAGE << 27, PAGE), (PULL_BYTEMAP, 0, PAGE << 23, PAGE),
                (PUSH_BITMAP, 0, RAM, PAGE)):
            self.assertEqual(self.admin.track(1, mode, start, length, page), REFUSED,
                             f"mode {mode}, {length:#x} from {start:#x}, page size {page}")
        short = [(self.maps[PUSH_BITMAP][1][0][0], PAGES // 8 - 1)]
        self.assertEqual(self.admin.track(1, PUSH_BITMAP, 0, RAM, segments=short), REFUSED)
        self.assertEqual(self.admin.track(1, PULL_BITMAP, 0, PAGE << 26), OLD_OK)

    def test_twice(self):
        """A second START is refused until a STOP; what a failed migration leaves behind."""
        self.start()
        self.track_all(1, PULL_BITMAP)
        for start, length in ((0, RAM), (PAGE, PAGE), (RAM - PAGE, 2 * PAGE)):
            self.assertEqual(self.admin.track(1, PULL_BITMAP, start, length), REFUSED)
        self.track_all(2, PULL_BITMAP)
        self.assertEqual(self.admin.untrack(1, 0), OLD_OK)
        self.assertEqual(self.admin.untrack(1, 0), REFUSED)
        self.track_all(1, PULL_BITMAP)
        for start in range(3):
            self.assertEqual(self.admin.track(1, PULL_BITMAP, RAM + start * PAGE, PAGE), OLD_OK)
        self.assertEqual(self.admin.track(1, PULL_BITMAP, 2 * RAM, PAGE), REFUSED, "a fifth")

    def test_no_such_range(self):
        self.start()
        self.track_all(1, PUSH_BITMAP)
        for start in (PAGE, RAM):
            self.assertEqual(self.admin.untrack(1, start), REFUSED)
            self.assertEqual(self.admin.map_pending(1, start)[0], REFUSED)
            self.assertEqual(self.admin.report(1, start, 0, 1)[0], REFUSED)
        self.assertEqual(self.admin.map_pending(1, 0)[0], REFUSED, "it is pushed")
        self.assertEqual(self.admin.report(1, 0, 0, 1)[0], REFUSED)

    def test_too_short_and_no_such_vf(self):
        self.start()
        for command, size, room in ((START_TRACK, 23, 0), (STOP_TRACK, 15, 0), (MAP_PENDING, 15, 8),
                                    (REPORT_MAP, 31, 0), (IDENTITY, 0, 7)):
            data = struct.pack("<H", 1)[:size].ljust(size, b"\0")
            self.assertEqual(self.admin.old(DIRTY, command, data, room)[0], TRANSFER_ERR | DNR)
        for command in (START_TRACK, STOP_TRACK, MAP_PENDING, REPORT_MAP):
            for member in (0, 3):
                data = struct.pack("<H", member).ljust(32, b"\0")
                self.assertEqual(self.admin.old(DIRTY, command, data, 8)[0], REFUSED)
        self.assertEqual(self.admin.old(DIRTY, 5)[0], INVALID_COMMAND | DNR)

    def test_resets_end_it(self):
        self.start()
        self.track_all(1, PULL_BITMAP)
        self.vfs[0].flr()
        self.track_all(1, PULL_BITMAP)
        self.admin = OldAdmin(self.pf, self.memory)
        self.track_all(1, PULL_BITMAP)
        self.pf.disable()
        self.pf.enable(2)
        self.track_all(1, PULL_BITMAP)

    def test_a_reset_by_the_driver_does_not(self):
        self.start()
        self.track_all(1, PULL_BITMAP)
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        disk.read_sector(0)
        self.assertIn(page_of(disk.buffer), self.fetch(1, PULL_BITMAP))


class Modes(DirtyCase):
    def test_only_those_offered(self):
        self.start(properties="dirty-modes=6")
        self.assertEqual(self.admin.offered() >> 46 & 0xF, 6)
        self.admin = OldAdmin(self.pf, self.memory, FEATURES & ~(0xF << 46) | 6 << 46)
        statuses = [self.admin.track(1, mode, mode * RAM, RAM, segments=self.maps[mode][1])
                    for mode in MODES]
        self.assertEqual(statuses, [REFUSED, OLD_OK, OLD_OK, REFUSED])

    def test_only_those_negotiated(self):
        self.start()
        self.admin = OldAdmin(self.pf, self.memory, FEATURES & ~(0xF << 46))
        self.assertEqual({self.admin.track(1, mode, 0, RAM) for mode in MODES}, {REFUSED})

    def test_a_device_without_maps(self):
        self.start(properties="dirty-modes=0")
        self.assertEqual(self.admin.offered() >> 46 & 0xF, 0)
        self.assertEqual(self.admin.old(DIRTY, IDENTITY, b"", 8)[0], INVALID_CLASS | DNR)


class Iommu(DeviceCase):
    """The map is by IOVA; a pushed one lies in the PF's address space."""

    SHIFT = 0x2000000

    def start(self, let_in_pf=True):
        self.pf = self.machine(("blk", "vfs=1,migration=2021"), extra=Vtd.ARGUMENTS)
        self.iommu = Vtd(self.qemu, self.SHIFT)
        self.shifted = Memory(self.qemu, self.SHIFT + 0x10000, self.SHIFT)
        self.vf = self.pf.enable(1)[0]
        for function in (self.pf, self.vf):
            self.iommu.let_in(function)
        self.admin = OldAdmin(self.pf, self.shifted)
        self.disk = Disk(BlockRegisters(self.vf), self.shifted)
        self.map = self.shifted.take(0x1000)

    def test_iova(self):
        self.start()
        segments = [(self.map, 0x1000)]
        self.assertEqual(self.admin.track(1, PUSH_BITMAP, 0, 0x1000000, segments=segments), OLD_OK)
        self.disk.read_sector(0)
        told = pages_in(self.qemu.get(self.map, 0x200), PUSH_BITMAP)
        self.assertIn(page_of(self.disk.buffer - self.SHIFT), told)
        self.assertNotIn(page_of(self.disk.buffer), told)
        self.assertEqual(self.admin.untrack(1, 0), OLD_OK)

    def test_a_map_that_cannot_be_written(self):
        self.start()
        segments = [(self.map + 0x40000000, 0x1000)]
        self.assertEqual(self.admin.track(1, PUSH_BITMAP, 0, 0x1000000, segments=segments), OLD_OK)
        self.disk.read_sector(0)
        self.assertEqual(self.admin.untrack(1, 0), INTERNAL_ERR | DNR, "all may be dirty")
        self.assertEqual(self.admin.untrack(1, 0), REFUSED, "it has ended")

    def test_stopped_and_moved(self):
        self.start()
        self.admin.stop(1)
        self.admin.save(1)
        self.admin.resume(1)
        self.disk.read_sector(0)
        self.assertEqual(self.qemu.property("pf0", "stray-dma"), 0)
