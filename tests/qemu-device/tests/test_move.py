# SPDX-License-Identifier: GPL-2.0-or-later
"""A driver's VF is exchanged for another, by every protocol."""

import struct

from qemu import wait_for
from test_halt import FRAME, HUB
from virtio import CONFIG_VECTOR, AdminRegisters, BlockRegisters, Disk, Legacy, Nic
from ways import LISTS, MoveCase, by_each_way


class Disks(MoveCase):
    def test_there_and_back(self):
        self.start_disk()
        for turn in range(10):
            data = bytes([turn]) * 512
            self.disk.write_sector(turn, data)
            self.move(self.disk, 1 + turn % 2, 2 - turn % 2)
            self.assertEqual(self.disk.read_sector(turn), data)
            self.assertEqual(self.disk.queues[0].done(), self.disk.queues[0].added)
        self.assertEqual(self.disk.message(1), 0xABC1)
        self.assertEqual(self.stray(), 0)

    def test_request_posted_meanwhile(self):
        self.start_disk()
        self.admin.stop(1)
        chain = self.disk.start(0, 5, bytes(512))
        self.admin.resume(1)
        self.disk.queues[0].wait(chain)
        self.disk.queues[0].add([(self.disk.buffer, 16)],
                                [(self.disk.buffer + 0x200, 512), (self.disk.buffer + 0x100, 1)])
        self.move(self.disk, 1, 2, kick=False)
        self.assertEqual(self.disk.queues[0].done(), 1, "a new device has heard no doorbell")
        self.disk.kick()
        self.disk.queues[0].wait(2)

    def test_wrapped_indexes(self):
        self.start_disk("vf-queue-size=4")
        for turn in range(9):
            self.disk.read_sector(turn)
            self.move(self.disk, 1 + turn % 2, 2 - turn % 2)
        self.disk.read_sector(0)

    def test_four_queues(self):
        self.start_disk("vf-queues=4")
        self.move(self.disk, 1, 2)
        self.disk.read_sector(3)
        self.assertEqual(self.disk.registers.config(34, 2), 4)

    def test_event_index(self):
        self.start_disk(features=1 << 29 | 1 << 28)
        self.assertEqual(self.disk.features >> 28 & 3, 3)
        for turn in range(6):
            self.qemu.write(self.disk.messages + 4, 0, 4)
            used_event = self.disk.queues[0].avail + 4 + 2 * self.disk.queues[0].size
            self.qemu.write(used_event, turn, 2)
            self.disk.read_sector(turn)
            self.assertEqual(self.disk.message(1), 0xABC1, "an interrupt after each move")
            self.move(self.disk, 1 + turn % 2, 2 - turn % 2)
        self.assertEqual(self.stray(), 0)

    def test_without_msix(self):
        self.start_disk(msix=False)
        self.move(self.disk, 1, 2)
        self.disk.vf.msix(False)
        self.disk.read_sector(1)
        self.assertEqual(self.disk.registers.read(0x13, 1), 1, "ISR")

    def test_never_started(self):
        """The state of a VF whose guest has no driver yet."""
        self.start("blk", "vf-backends=a:b", self.shared_image())
        self.admin.stop(1)
        self.admin.stop(2)
        self.admin.restore(2, self.admin.save(1))
        self.admin.resume(2)
        Disk(BlockRegisters(self.vfs[1]), self.memory).read_sector(0)

    def test_through_the_admin_queue(self):
        self.start("blk", "mmr=off,vf-backends=a:b", self.shared_image())
        self.admin.use(LISTS[self.MIGRATION])
        registers = AdminRegisters(self.admin, self.vfs[0])
        disk = Disk(registers, self.memory)
        disk.write_sector(2, b"m" * 512)
        self.move(disk, 1, 2)
        self.assertEqual(disk.read_sector(2), b"m" * 512)
        self.assertEqual(self.stray(), 0)

    def test_source_runs_on_after_a_save(self):
        self.start_disk()
        for _ in range(3):
            self.admin.stop(1)
            self.admin.save(1)
            self.admin.resume(1)
            self.disk.read_sector(0)
        self.move(self.disk, 1, 2)
        self.disk.read_sector(0)


class Nets(MoveCase):
    def test_there_and_back(self):
        self.start("net", "vf-backends=n1:n2", HUB)
        nic = Nic(BlockRegisters(self.vfs[0]), self.memory)
        for number, byte in enumerate(b"\x02moved"):
            registers = nic.registers
            self.qemu.write(registers.base + 0x18 + number, byte, 1)
        for turn in range(4):
            self.move(nic, 1 + turn % 2, 2 - turn % 2)
            mac = self.qemu.get(nic.registers.base + 0x18, 4) + \
                bytes([self.qemu.read(nic.registers.base + 0x1C + i, 1) for i in (0, 1)])
            self.assertEqual(mac, b"\x02moved")
            other = Nic(BlockRegisters(self.vfs[turn % 2]), self.memory)
            nic.post()
            other.send_frame(FRAME)
            self.assertEqual(nic.received(), FRAME)
            other.post()
            nic.send_frame(FRAME)
            self.assertEqual(other.received(), FRAME)
            other.reset()
        self.assertEqual(self.stray(), 0)


    def test_queue_pairs(self):
        """MQ changes how many queues there are, and which one is the control queue."""
        self.start("net", "vf-queues=2")
        driver = Legacy(BlockRegisters(self.vfs[0]), self.memory, 5,
                        features=1 << 22 | 1 << 19 | 1 << 18 | 1 << 17)
        self.command(driver, 4, 0, struct.pack("<H", 2))
        self.command(driver, 0, 0, b"\0")
        self.command(driver, 1, 0, struct.pack("<I", 1) + b"\2moved" +
                     struct.pack("<I", 1) + b"\3group")
        self.command(driver, 2, 0, struct.pack("<H", 77))
        first = self.move(driver, 1, 2)
        self.command(driver, 2, 0, struct.pack("<H", 78))
        second = self.move(driver, 2, 1)
        self.assertEqual(len(first), len(second))
        self.assertEqual(sum(a != b for a, b in zip(first, second)),
                         1 if self.MIGRATION == "1.4" else 3, "a VLAN; run indexes")
        self.assertIn(b"\2moved", second)
        self.command(driver, 1, 1, b"\2again")
        self.assertEqual(self.qemu.get(driver.registers.base + 0x18, 4), b"\2aga")

    def test_frames_of_before(self):
        """A network brings frames to both VFs: the new one has those that came since it was stopped, and no others again."""
        hub = ["-netdev", "hubport,id=n1,hubid=0", "-netdev", "hubport,id=n2,hubid=0", "-netdev", "hubport,id=n3,hubid=0"]
        self.pf = self.machine(("net", f"vfs=3,migration={self.MIGRATION},vf-backends=n1:n2:n3"), extra=hub)
        self.vfs = self.pf.enable(3)
        self.admin = self.ADMIN(self.pf, self.memory)
        nic, other = (Nic(BlockRegisters(self.vfs[n]), self.memory) for n in (0, 2))
        nic.post()
        other.send_frame(FRAME)
        self.assertEqual(nic.received(), FRAME)
        for _ in range(4):
            nic.post()
        self.admin.stop(2)
        self.admin.stop(1)
        late = FRAME[:-1] + b"!"
        self.qemu.put(other.transmit, bytes(other.HEADER) + late)
        other.send(1, [(other.transmit, other.HEADER + len(late))], []) # a hub has it until somebody takes it
        self.admin.restore(2, self.admin.save(1))
        nic.move(self.registers(self.vfs[1]))
        self.admin.resume(2)
        nic.kick()
        nic.queues[0].wait(2)
        other.send_frame(FRAME)
        nic.queues[0].wait(3)
        self.assertEqual(nic.queues[0].done(), 3)

    ANNOUNCE = 1 << 21 | 1 << 17 | 1 << 16 # GUEST_ANNOUNCE, CTRL_VQ, STATUS

    def status(self, driver):
        """The link's and the announcement's bit."""
        return driver.registers.config(6, 2)

    def start_announcer(self, features):
        self.start("net")
        driver = Legacy(BlockRegisters(self.vfs[0]), self.memory, 3, features=features)
        self.assertEqual(driver.features & features, features)
        driver.registers.write(CONFIG_VECTOR, 0, 2)
        return driver

    def test_guest_announce(self):
        """Once after each move, by an interrupt, until the driver says that it has done it."""
        driver = self.start_announcer(self.ANNOUNCE)
        for turn in range(4):
            self.qemu.write(driver.messages, 0, 4)
            self.assertEqual(self.status(driver), 1)
            self.move(driver, 1 + turn % 2, 2 - turn % 2)
            self.assertEqual(driver.message(0), 0xABC0)
            self.assertEqual(self.status(driver), 3)
            self.command(driver, 3, 0, b"", queue=2)
        self.assertEqual(self.status(driver), 1)

    def test_announces_nothing(self):
        """Not without the feature; nor when it runs on after a save, which is no move."""
        driver = self.start_announcer(1 << 17 | 1 << 16)
        self.qemu.write(driver.messages, 0, 4)
        self.move(driver, 1, 2)
        self.assertEqual(self.status(driver), 1)
        driver = Legacy(BlockRegisters(self.vfs[0]), self.memory, 3, features=self.ANNOUNCE)
        driver.registers.write(CONFIG_VECTOR, 0, 2)
        self.admin.stop(1)
        self.admin.save(1)
        self.admin.resume(1)
        self.assertEqual(self.status(driver), 1)
        self.assertEqual(driver.message(0), 0)

    def test_announces_when_that_was_due(self):
        """The move comes before the driver has looked: it is asked again by the next VF."""
        driver = self.start_announcer(self.ANNOUNCE)
        self.move(driver, 1, 2)
        self.move(driver, 2, 1)
        self.assertEqual(self.status(driver), 3)
        self.command(driver, 3, 0, b"", queue=2)
        self.assertEqual(self.status(driver), 1)

    def command(self, driver, kind, command, data, queue=4):
        at = self.memory.take(0x1000)
        self.qemu.put(at, bytes([kind, command]) + data)
        self.qemu.write(at + 0x800, 0xFF, 1)
        parts = [(at, 2)] + ([(at + 2, len(data))] if data else [])
        driver.queues[queue].wait(driver.send(queue, parts, [(at + 0x800, 1)]))
        self.assertEqual(self.qemu.read(at + 0x800, 1), 0)


class OtherFamilies(MoveCase):
    def test_console(self):
        self.start("console", "vf-backends=c1:c2",
                   ["-chardev", "ringbuf,id=c1,size=4096", "-chardev", "ringbuf,id=c2,size=4096"])
        console = Legacy(BlockRegisters(self.vfs[0]), self.memory, 2)
        text = self.memory.take(0x1000)
        self.qemu.put(text, b"on the other")
        self.move(console, 1, 2)
        console.queues[1].wait(console.send(1, [(text, 12)], []))
        self.assertEqual(self.qemu.qmp("ringbuf-read", device="c2", size=100), "on the other")

    def test_entropy(self):
        self.start("rng")
        rng = Legacy(BlockRegisters(self.vfs[0]), self.memory, 1)
        buffer = self.memory.take(0x1000)
        self.move(rng, 1, 2)
        length = rng.queues[0].wait(rng.send(0, [], [(buffer, 64)]))
        wait_for("bytes", lambda: self.qemu.get(buffer, length) != bytes(length))

    def test_scsi(self):
        self.start("scsi")
        scsi = Legacy(BlockRegisters(self.vfs[0]), self.memory, 3)
        buffer = self.memory.take(0x1000)
        lun, inquiry = bytes([1, 0, 0x40, 0, 0, 0, 0, 0]), bytes([0x12, 0, 0, 0, 36, 0])
        request = lun + struct.pack("<QBBB", 1, 0, 0, 0) + inquiry.ljust(32, b"\0")
        self.qemu.put(buffer, request)
        self.move(scsi, 1, 2)
        scsi.queues[2].wait(scsi.send(2, [(buffer, len(request))],
                                      [(buffer + 0x100, 108), (buffer + 0x200, 36)]))
        self.assertEqual(self.qemu.get(buffer + 0x208, 4), b"QEMU")


by_each_way(globals())
