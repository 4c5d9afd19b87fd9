# SPDX-License-Identifier: GPL-2.0-or-later
"""What can differ between devices: the VSEC, the place of the block, queues, the kind of device."""

import struct

from case import DeviceCase
from pci import EXT_VSEC
from qemu import wait_for
from virtio import (HOST_FEATURES, QUEUE_SELECT, QUEUE_SIZE, Admin, AdminRegisters, BlockRegisters,
                    Disk, Legacy, Nic)

# family: MMR device id, virtio id
FAMILIES = {"net": (0x10F9, 1), "blk": (0x10FA, 2), "console": (0x10FC, 3), "scsi": (0x10FD, 8),
            "rng": (0x10FE, 4)}


class Block(DeviceCase):
    def test_layouts(self):
        pf = self.machine(("blk", "vfs=1,vsec-layout=A,vsec-id=0x1234"),
                          ("blk", "vfs=1,vsec-layout=B"))
        for pf, layout, length in zip(self.pfs, "AB", (20, 24)):
            vf = pf.enable(1)[0]
            at = vf.extended()[EXT_VSEC]
            header = vf.read(at + 4, 4)
            self.assertEqual((header >> 16 & 0xF, header >> 20), (1, length))
            self.assertEqual(vf.read(at + (8 if layout == "A" else 11), 1), 10, "cfg_type")
            self.assertEqual(vf.vsec()[:3], (layout, 4, 0x5000))
            self.assertGreaterEqual(vf.vsec()[3], 24 + 60, "header and device configuration")
            Disk(BlockRegisters(vf), self.memory).read_sector(0)
        self.assertEqual(self.pfs[0].enable(1)[0].read(0x114, 2), 0x1234)

    def test_places(self):
        places = [(4, 0x5000), (4, 0x5FF0), (4, 0x7004), (4, 0x20000), (0, 0), (0, 0x1000),
                  (0, 0x1FF8)]
        self.machine(*[("blk", f"vfs=2,mmr-bar={bar},mmr-offset={offset:#x}")
                       for bar, offset in places])
        for pf, (bar, offset) in zip(self.pfs, places):
            with self.subTest(bar=bar, offset=offset):
                vf = pf.enable(2)[1]
                self.assertEqual(vf.vsec()[1:3], (bar, offset))
                self.assertLessEqual(offset + vf.vsec()[3], pf.vf_bars[bar][1])
                Disk(BlockRegisters(vf), self.memory).read_sector(0)

    def test_own_bar_is_not_prefetchable(self):
        pf = self.machine(("blk", "vfs=1,mmr-bar=0,mmr-offset=0x1000"))
        self.assertEqual(pf.vf_bars[0][1], 0x2000)
        self.assertEqual(pf.read(pf.sriov + 0x24, 4) & 0xF, 0, "32-bit, not prefetchable")

    def test_without_a_block(self):
        self.machine(("net", "vfs=2,mmr=off,vf-backends=n1:n2"), ("blk", "vfs=2,mmr=off"),
                     extra=["-netdev", "hubport,id=n1,hubid=0", "-netdev", "hubport,id=n2,hubid=0"])
        for pf, device in zip(self.pfs, (0x1041, 0x1042)):
            self.assertEqual(pf.read(pf.sriov + 0x1A, 2), device)
            self.assertNotIn(0, pf.vf_bars, "BAR 0 is free for the hypervisor's I/O BAR")
            vf = pf.enable(2)[0]
            self.assertIsNone(vf.vsec())
            self.assertEqual(vf.read(8, 1), 1, "revision")
            self.assertGreaterEqual(vf.read(0x2E, 2), 0x40, "subsystem id of no legacy device")
        disk = Disk(AdminRegisters(Admin(self.pfs[1], self.memory), self.pfs[1].enable(2)[1]),
                    self.memory)
        disk.write_sector(3, b"z" * 512)
        admin = Admin(self.pfs[0], self.memory)
        sender, receiver = [Nic(AdminRegisters(admin, vf), self.memory)
                            for vf in self.pfs[0].enable(2)]
        receiver.post()
        sender.send_frame(b"\xff" * 12 + b"\x88\xb5" + bytes(50))
        self.assertEqual(len(receiver.received()), 64)


class Queues(DeviceCase):
    def sizes(self, vf, count):
        registers, sizes = BlockRegisters(vf), []
        for number in range(count):
            registers.write(QUEUE_SELECT, number, 2)
            sizes.append(registers.read(QUEUE_SIZE, 2))
        return sizes

    def test_sizes_and_numbers(self):
        cases = [("blk", "vf-queue-size=16,vf-queues=4", [16] * 4 + [0]),
                 ("blk", "vf-queue-size=1024", [1024, 0]),
                 ("net", "vf-queue-size=1024,vf-queues=3", [1024, 256] + [64, 0]),
                 ("scsi", "vf-queue-size=64,vf-queues=2", [64] * 4 + [0])]
        self.machine(*[(family, "vfs=1," + properties) for family, properties, _ in cases])
        for pf, (family, properties, expected) in zip(self.pfs, cases):
            with self.subTest(family=family, properties=properties):
                self.assertEqual(self.sizes(pf.enable(1)[0], len(expected)), expected)

    def test_net_pairs_appear_with_mq(self):
        pf = self.machine(("net", "vfs=1,vf-queues=3"))
        registers = BlockRegisters(pf.enable(1)[0])
        self.assertTrue(registers.read(HOST_FEATURES, 4) >> 22 & 1, "MQ")
        registers.write(4, 1 << 22 | 1 << 17, 4)
        self.assertEqual(self.sizes(registers.vf, 8), [256] * 6 + [64, 0])
        self.assertEqual(registers.vf.vectors(), 8)

    def test_second_pair(self):
        """What goes out by any pair reaches the network; and QEMU comes to its end with a VF whose pairs have different peers."""
        pf = self.machine(("net", "vfs=2,vf-queues=2,vf-backends=n1:n2"),
                          extra=["-netdev", "hubport,id=n1,hubid=0", "-netdev", "hubport,id=n2,hubid=0"])
        sender, other = (BlockRegisters(vf) for vf in pf.enable(2))
        sender, other = Legacy(sender, self.memory, 5, features=1 << 22 | 1 << 17), Nic(other, self.memory)
        at, frame = self.memory.take(0x1000), b"\xff" * 12 + b"\x88\xb5" + bytes(range(50))
        self.qemu.put(at, bytes([4, 0, 2, 0]))  # VQ_PAIRS_SET
        sender.queues[4].wait(sender.send(4, [(at, 2), (at + 2, 2)], [(at + 0x800, 1)]))
        self.qemu.put(at, bytes(Nic.HEADER) + frame)
        other.post()
        sender.queues[3].wait(sender.send(3, [(at, Nic.HEADER + len(frame))], []))
        self.assertEqual(other.received(), frame)
        self.assertEqual(self.qemu.quit(), 0)

    def test_small_queue_works(self):
        pf = self.machine(("blk", "vfs=1,vf-queue-size=4"))
        disk = Disk(BlockRegisters(pf.enable(1)[0]), self.memory)
        for sector in range(20):
            disk.read_sector(sector)


class Families(DeviceCase):
    def test_identities(self):
        self.machine(*[(family, "vfs=2") for family in FAMILIES])
        for pf, (family, (device, virtio_id)) in zip(self.pfs, FAMILIES.items()):
            with self.subTest(family=family):
                self.assertEqual(pf.read(0, 4), (0x1040 + virtio_id) << 16 | 0x1AF4)
                self.assertEqual(pf.read(pf.sriov + 0x1A, 2), device)
                vf = pf.enable(2)[1]
                self.assertEqual(vf.read(0x2E, 2), virtio_id)
                self.assertEqual(vf.vsec()[0], "A")
                admin = Admin(pf, self.memory)
                self.assertEqual(AdminRegisters(admin, vf).read(HOST_FEATURES, 4),
                                 BlockRegisters(vf).read(HOST_FEATURES, 4))

    def test_console(self):
        pf = self.machine(("console", "vfs=2,vf-backends=con"),
                          extra=["-chardev", "ringbuf,id=con,size=4096"])
        # A console without MULTIPORT: receive queue 0, transmit queue 1.
        console = Legacy(BlockRegisters(pf.enable(2)[0]), self.memory, 2)
        text = self.memory.take(0x1000)
        self.qemu.put(text, b"on the console")
        console.queues[1].wait(console.send(1, [(text, 14)], []))
        self.assertEqual(self.qemu.qmp("ringbuf-read", device="con", size=100), "on the console")
        console.send(0, [], [(text, 100)])
        self.qemu.qmp("ringbuf-write", device="con", data="x")
        Legacy(BlockRegisters(pf.enable(2)[1]), self.memory, 2)

    def test_entropy(self):
        pf = self.machine(("rng", "vfs=1"))
        rng = Legacy(BlockRegisters(pf.enable(1)[0]), self.memory, 1)
        buffer = self.memory.take(0x1000)
        length = rng.queues[0].wait(rng.send(0, [], [(buffer, 64)]))
        self.assertGreater(length, 0)
        wait_for("bytes", lambda: self.qemu.get(buffer, length) != bytes(length))

    def test_scsi(self):
        pf = self.machine(("scsi", "vfs=2,vf-backends=one"), extra=self.image("one"))
        for vf in pf.enable(2):
            scsi = Legacy(BlockRegisters(vf), self.memory, 3)
            buffer = self.memory.take(0x1000)
            lun, inquiry = bytes([1, 0, 0x40, 0, 0, 0, 0, 0]), bytes([0x12, 0, 0, 0, 36, 0])
            request = lun + struct.pack("<QBBB", 1, 0, 0, 0) + inquiry.ljust(32, b"\0")
            self.qemu.put(buffer, request)
            scsi.queues[2].wait(scsi.send(2, [(buffer, len(request))],
                                          [(buffer + 0x100, 108), (buffer + 0x200, 36)]))
            self.assertEqual(self.qemu.read(buffer + 0x100 + 11, 1), 0, "response OK")
            self.assertEqual(self.qemu.get(buffer + 0x208, 4), b"QEMU")
