# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration space of PF and VF: what the PCIe standard says, not what is convenient."""

from case import DeviceCase
from pci import (CAP_EXPRESS, CAP_MSIX, EXT_ARI, EXT_SRIOV, EXT_VSEC, MSE, VFE, VF)


class PfConfig(DeviceCase):
    def test_identity_and_capabilities(self):
        for port, (family, device) in enumerate((("net", 0x1041), ("blk", 0x1042))):
            with self.subTest(family=family):
                pf = self.machine(("net", "vfs=3"), ("blk", "vfs=3")) if port == 0 else self.pfs[1]
                self.assertEqual(pf.read(0, 4), device << 16 | 0x1AF4)
                self.assertEqual(pf.read(8, 1), 1, "a modern device has revision 1")
                self.assertLessEqual({EXT_ARI, EXT_SRIOV}, set(pf.extended()))
                self.assertTrue(pf.read(pf.capability(CAP_EXPRESS) + 4, 4) >> 28 & 1, "FLR")
                for cfg_type in (1, 2, 3, 4):
                    self.assertIsNotNone(pf.virtio(cfg_type))

    def test_sriov_registers(self):
        for port, device in enumerate((0x10F9, 0x10FA)):
            pf = self.machine(("net", "vfs=3"), ("blk", "vfs=3")) if port == 0 else self.pfs[1]
            sriov = pf.sriov
            self.assertEqual((pf.read(sriov + 0x0C, 2), pf.total_vfs()), (3, 3))
            self.assertEqual((pf.read(sriov + 0x14, 2), pf.read(sriov + 0x16, 2)), (1, 1))
            self.assertEqual(pf.read(sriov + 0x1A, 2), device)
            self.assertEqual(pf.read(sriov + 0x1C, 4) & 0x553, 0x553, "page sizes")
            self.assertEqual(pf.read(sriov + 0x20, 4), 1, "4 KiB pages at first")

    def test_vf_bars(self):
        pf = self.machine(("blk", "vfs=3"))
        self.assertEqual({bar: size for bar, (_, size) in pf.vf_bars.items()},
                         {1: 0x1000, 4: 0x8000})
        self.assertEqual(pf.read(pf.sriov + 0x24 + 16, 4) & 0xF, 0xC, "64-bit, prefetchable")
        self.assertEqual(pf.read(pf.sriov + 0x24, 4), 0, "no VF BAR 0")


class Enabling(DeviceCase):
    def test_vf_appears_with_vf_enable(self):
        pf = self.machine(("blk", "vfs=2"))
        self.assertFalse(VF(pf, 1).exists())
        vfs = pf.enable(2, VFE)
        self.assertTrue(all(vf.exists() for vf in vfs))
        self.assertFalse(VF(pf, 3).exists())
        pf.disable()
        self.assertFalse(any(vf.exists() for vf in vfs))

    def test_memory_needs_mse(self):
        pf = self.machine(("blk", "vfs=2"))
        vfs = pf.enable(2, VFE)
        for vf in vfs:
            vf.write(4, 7, 2)
            self.assertEqual(self.qemu.read(vf.block(), 4), 0, "decoded without VF MSE")
        pf.control(VFE | MSE)
        self.assertTrue(all(self.qemu.read(vf.block(), 4) for vf in vfs))
        pf.control(VFE)
        self.assertEqual(self.qemu.read(vfs[0].block(), 4), 0, "decoded after VF MSE was cleared")

    def test_num_vfs_is_fixed_while_enabled_and_kept_afterwards(self):
        pf = self.machine(("blk", "vfs=4"))
        pf.enable(3)
        pf.write(pf.sriov + 0x10, 1, 2)
        self.assertEqual(pf.read(pf.sriov + 0x10, 2), 3)
        pf.disable()
        self.assertEqual(pf.read(pf.sriov + 0x10, 2), 3)
        pf.write(pf.sriov + 0x10, 1, 2)
        self.assertEqual(pf.read(pf.sriov + 0x10, 2), 1)

    def test_more_vfs_than_there_are(self):
        pf = self.machine(("blk", "vfs=2"))
        pf.enable(3)
        self.assertFalse(VF(pf, 1).exists())

    def test_vf_bars_move(self):
        pf = self.machine(("blk", "vfs=2"))
        vf = pf.enable(2)[1]
        old = vf.block()
        features = self.qemu.read(old, 4)
        address, size = pf.vf_bars[4]
        pf.vf_bars[4] = (address + 0x100000, size)
        pf.write(pf.sriov + 0x24 + 16, (address + 0x100000) & 0xFFFFFFFF, 4)
        self.assertEqual(self.qemu.read(vf.block(), 4), features)
        self.assertEqual(self.qemu.read(old, 4), 0)


class VfConfig(DeviceCase):
    def setUp(self):
        super().setUp()
        self.pf = self.machine(("net", "vfs=2"), ("blk", "vfs=2"))
        self.vfs = [pf.enable(2)[1] for pf in self.pfs]

    def test_ids(self):
        for vf, virtio_id in zip(self.vfs, (1, 2)):
            self.assertEqual(vf.read(0, 4), 0xFFFFFFFF, "ids come from the PF's capability")
            self.assertEqual(vf.read(0, 2), 0xFFFF)
            self.assertEqual(vf.read(8, 1), 0, "revision of a transitional device")
            self.assertEqual(vf.read(0x2C, 2), 0x1AF4)
            self.assertEqual(vf.read(0x2E, 2), virtio_id)
            self.assertEqual(vf.read(0x0E, 1), 0, "header type")

    def test_only_bus_master_is_writable_in_command(self):
        vf = self.vfs[1]
        for value, expected in ((0xFFFF, 4), (0, 0), (0x0003, 0), (0x0006, 4)):
            vf.write(4, value, 2)
            self.assertEqual(vf.read(4, 2), expected)
        vf.write(4, 0xFFFFFFFF, 4)
        self.assertEqual(vf.read(4, 4) & 0xFFFF, 4)

    def test_no_interrupt_pin_no_bars(self):
        for vf in self.vfs:
            vf.write(0x3C, 0xFF, 1)
            self.assertEqual(vf.read(0x3C, 4), 0)
            for bar in range(0x10, 0x34, 4):
                if bar not in (0x2C,):
                    vf.write(bar, 0xFFFFFFFF, 4)
                    self.assertEqual(vf.read(bar, 4), 0, f"register {bar:#x}")
            vf.write(0x0C, 0xFFFF, 2)
            self.assertEqual(vf.read(0x0C, 2), 0, "cache line size and latency timer")

    def test_capabilities(self):
        for vf in self.vfs:
            express = vf.capability(CAP_EXPRESS)
            self.assertTrue(vf.read(express + 4, 4) >> 28 & 1, "FLR")
            vf.write(express + 8, 0x7FFF, 2)
            self.assertEqual(vf.read(express + 8, 2), 0, "device control belongs to the PF")
            self.assertTrue(vf.capability(CAP_MSIX))
            self.assertEqual(set(vf.extended()), {EXT_ARI, EXT_VSEC})
            for cfg_type in (1, 2, 3, 4):
                self.assertEqual(vf.virtio(cfg_type)[0], 4, "modern registers are in BAR 4")
            self.assertTrue(vf.read(6, 2) & 0x10, "capability list")

    def test_modern_registers(self):
        vf = self.vfs[1]
        common = vf.bar(4) + vf.virtio(1)[1]
        self.qemu.write(common, 1, 4)
        high = self.qemu.read(common + 4, 4)
        self.assertTrue(high & 1, "VERSION_1")
        self.assertTrue(high & 2, "ACCESS_PLATFORM: the DMA goes through the IOMMU")
