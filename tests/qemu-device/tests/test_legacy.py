# SPDX-License-Identifier: GPL-2.0-or-later
"""The legacy block in the memory BAR, used as a legacy driver does."""

from case import DeviceCase
from virtio import (CONFIG_VECTOR, GUEST_FEATURES, HOST_FEATURES, ISR, QUEUE_NOTIFY, QUEUE_PFN,
                    QUEUE_SELECT, QUEUE_SIZE, QUEUE_VECTOR, STATUS, BlockRegisters, Disk, Nic)

ALL_ONES = {1: 0xFF, 2: 0xFFFF, 4: 0xFFFFFFFF, 8: 0xFFFFFFFFFFFFFFFF}


class Registers(DeviceCase):
    def setUp(self):
        super().setUp()
        self.machine(("net", "vfs=1,vf-queues=2"), ("blk", "vfs=1,null-size=1M"))
        self.net, self.blk = [BlockRegisters(pf.enable(1)[0]) for pf in self.pfs]

    def bad(self, pf):
        return self.qemu.property(pf, "bad-accesses")

    def test_header(self):
        blk = self.blk
        features = blk.read(HOST_FEATURES, 4)
        self.assertTrue(features & 1 << 27, "ANY_LAYOUT")
        blk.write(GUEST_FEATURES, 1 << 9, 4)
        self.assertEqual(blk.read(GUEST_FEATURES, 4), 1 << 9)
        blk.write(HOST_FEATURES, 0, 4)
        self.assertEqual(blk.read(HOST_FEATURES, 4), features, "read-only")
        self.assertEqual(blk.read(QUEUE_SIZE, 2), 256)
        blk.write(QUEUE_SELECT, 1, 2)
        self.assertEqual((blk.read(QUEUE_SELECT, 2), blk.read(QUEUE_SIZE, 2)), (1, 0))
        blk.write(QUEUE_SELECT, 0, 2)
        blk.write(QUEUE_PFN, 0x1234, 4)
        self.assertEqual(blk.read(QUEUE_PFN, 4), 0x1234)
        blk.write(STATUS, 3, 1)
        self.assertEqual(blk.read(STATUS, 1), 3)
        blk.write(STATUS, 0, 1)
        self.assertEqual((blk.read(STATUS, 1), blk.read(QUEUE_PFN, 4), blk.read(GUEST_FEATURES, 4)),
                         (0, 0, 0), "status 0 resets")
        self.assertEqual(blk.read(ISR, 1), 0)
        self.assertEqual(self.bad("pf1"), 0)

    def test_access_rules(self):
        wrong = [(0, 1), (0, 2), (0, 8), (1, 1), (2, 2), (8, 2), (QUEUE_SIZE, 4), (QUEUE_SIZE, 1),
                 (QUEUE_SELECT, 4), (QUEUE_NOTIFY, 4), (QUEUE_NOTIFY, 1), (STATUS, 2), (STATUS, 4),
                 (ISR, 2), (0x11, 2), (0x14 + 6, 4), (0x14 + 1, 2), (0x14, 8), (0x14 + 60, 4)]
        for count, (offset, width) in enumerate(wrong, 1):
            with self.subTest(offset=offset, width=width):
                self.assertEqual(self.blk.read(offset, width), ALL_ONES[width])
                self.assertEqual(self.bad("pf1"), count)
        before = self.blk.read(STATUS, 1)
        self.blk.write(STATUS, 0x0303, 2)
        self.assertEqual(self.blk.read(STATUS, 1), before, "a write that is refused does nothing")
        self.assertEqual(self.bad("pf1"), len(wrong) + 1)

    def test_configuration_moves_with_msix(self):
        for registers, at_zero in ((self.blk, 2048), (self.net, None)):
            off = registers.read(0x14, 4)
            registers.vf.msix(True)
            self.assertEqual(registers.read(0x18, 4), off)
            self.assertEqual(registers.read(CONFIG_VECTOR, 2), 0xFFFF)
            self.assertEqual(registers.read(QUEUE_VECTOR, 2), 0xFFFF)
            registers.vf.msix(False)
            self.assertEqual(registers.read(0x14, 4), off)
            if at_zero:
                self.assertEqual(off, at_zero, "capacity in sectors")

    def test_vectors(self):
        blk = self.blk
        blk.vf.msix(True)
        for register in (CONFIG_VECTOR, QUEUE_VECTOR):
            for value, expected in ((1, 1), (0, 0), (blk.vf.vectors(), 0xFFFF), (0xFFFF, 0xFFFF)):
                blk.write(register, value, 2)
                self.assertEqual(blk.read(register, 2), expected)
        self.assertEqual(self.bad("pf1"), 0)

    def test_net_configuration(self):
        net = self.net
        mac = bytes(net.read(0x14 + i, 1) for i in range(6))
        self.assertEqual((mac[0], mac[5]), (0x06, 1), "local address, numbered like the VF")
        self.assertEqual(net.read(0x14, 4), int.from_bytes(mac[:4], "little"))
        self.assertEqual(net.read(0x14 + 8, 2), 2, "queue pairs")
        for i in range(6):
            net.write(0x14 + i, 0x20 + i, 1)
        self.assertEqual(bytes(net.read(0x14 + i, 1) for i in range(6)), bytes(range(0x20, 0x26)))
        self.assertEqual(self.bad("pf0"), 0)

    def test_blk_configuration(self):
        blk = self.blk
        self.assertEqual((blk.read(0x14, 4), blk.read(0x18, 4)), (2048, 0), "capacity")
        self.assertEqual(blk.read(0x14 + 20, 4), 512, "block size")
        widths = [(8, 4), (12, 4), (16, 2), (18, 1), (19, 1), (24, 1), (26, 2), (28, 4), (32, 1),
                  (34, 2), (36, 4)]
        for offset, width in widths:
            blk.read(0x14 + offset, width)
        self.assertEqual(self.bad("pf1"), 0)

    def test_status_does_not_turn_bus_master_on(self):
        for status in (0, 1, 3):
            self.blk.write(STATUS, status, 1)
            self.assertEqual(self.blk.vf.read(4, 2), 0)


class Traffic(DeviceCase):
    def test_block_io_reaches_the_images(self):
        pf = self.machine(("blk", "vfs=2,vf-backends=one:two"),
                          extra=self.image("one") + self.image("two"))
        for vf, tag in zip(pf.enable(2), ("one", "two")):
            disk = Disk(BlockRegisters(vf), self.memory)
            self.assertEqual(disk.registers.config(0, 4), 128)
            self.assertTrue(disk.read_sector(3).startswith(f"{tag} sector 3.".encode()))
            self.assertEqual(disk.message(1), 0xABC1, "MSI-X message of queue 0")
            disk.write_sector(5, b"written".ljust(512, b"!"))
            with open(self.images[tag], "rb") as image:
                image.seek(5 * 512)
                self.assertEqual(image.read(8), b"written!")
        self.assertEqual(self.qemu.property("pf0", "bad-accesses"), 0)

    def test_null_disk(self):
        pf = self.machine(("blk", "vfs=1,null-size=1M"))
        disk = Disk(BlockRegisters(pf.enable(1)[0]), self.memory)
        self.assertEqual(disk.read_sector(7), bytes(512))
        disk.write_sector(7, b"x" * 512)

    def test_frame_between_vfs(self):
        pf = self.machine(("net", "vfs=2,vf-backends=n1:n2"),
                          extra=["-netdev", "hubport,id=n1,hubid=0",
                                 "-netdev", "hubport,id=n2,hubid=0"])
        sender, receiver = [Nic(BlockRegisters(vf), self.memory) for vf in pf.enable(2)]
        receiver.post()
        frame = b"\xff" * 6 + bytes.fromhex("065412345601") + b"\x88\xb5" + b"over the registers".ljust(60)
        sender.send_frame(frame)
        self.assertEqual(receiver.received(), frame)
        self.assertEqual((sender.message(2), receiver.message(1)), (0xABC2, 0xABC1))

    def test_isr_without_msix(self):
        pf = self.machine(("blk", "vfs=1"))
        disk = Disk(BlockRegisters(pf.enable(1)[0]), self.memory, msix=False)
        disk.read_sector(0)
        self.assertEqual(disk.vf.read(6, 2) & 8, 0, "a VF asserts no INTx")
        self.assertEqual(disk.registers.read(ISR, 1), 1)
        self.assertEqual(disk.registers.read(ISR, 1), 0, "reading clears")

    def test_masked_vector_is_pending(self):
        pf = self.machine(("blk", "vfs=1"))
        disk = Disk(BlockRegisters(pf.enable(1)[0]), self.memory)
        entry = disk.vf.bar(1) + 16
        self.qemu.write(entry + 12, 1, 4)
        disk.read_sector(0)
        self.assertEqual(disk.message(1), 0)
        self.assertEqual(self.qemu.read(disk.vf.bar(1) + 0x800, 4), 2, "pending bit of vector 1")
        self.qemu.write(entry + 12, 0, 4)
        self.assertEqual(disk.message(1), 0xABC1)


class AtOnce(DeviceCase):
    """A disk that is slow, and whose requests are done when the doorbell's write returns all the same."""

    SLOW = ["-blockdev", "driver=null-co,node-name=slow,size=1048576,read-zeroes=on,latency-ns=200000000"]

    def done_at_once(self, properties):
        vf = self.machine(("blk", "vfs=1,vf-backends=slow" + properties), extra=self.SLOW).enable(1)[0]
        self.disk = Disk(BlockRegisters(vf), self.memory)
        self.disk.start(0, 1, bytes(512))
        return self.disk.queues[0].done()

    def test_on(self):
        self.assertEqual((self.done_at_once(",answer-at-once=on"), self.disk.status()), (1, 0))

    def test_off(self):
        self.assertEqual(self.done_at_once(""), 0)
        self.disk.queues[0].wait(1)
