# SPDX-License-Identifier: GPL-2.0-or-later
"""DMA goes through the IOMMU under the requester id of the function, PF or VF."""

from case import DeviceCase
from iommu import AmdVi, Vtd
from virtio import LIST_QUERY, Admin, BlockRegisters, Disk, Memory

SHIFT = 0x2000000


class WithIommu:
    """What both IOMMUs have to do."""

    IOMMU = None

    def start(self, properties="vfs=3,vf-backends=one:two"):
        """A machine whose IOMMU is on and lets nobody in yet."""
        self.pf = self.machine(("blk", properties), extra=self.IOMMU.ARGUMENTS
                               + self.image("one") + self.image("two"))
        self.iommu = self.IOMMU(self.qemu, SHIFT)
        self.shifted = Memory(self.qemu, SHIFT + 0x10000, SHIFT)

    def test_mapped_passes_and_unmapped_is_blocked(self):
        self.start()
        let_in, kept_out = self.pf.enable(2)
        self.iommu.let_in(let_in)
        disk = Disk(BlockRegisters(let_in), self.shifted)
        self.assertTrue(disk.read_sector(3).startswith(b"one sector 3."))
        self.assertEqual(disk.message(1), 0xABC1, "interrupt messages pass too")

        other = Disk(BlockRegisters(kept_out), self.shifted)
        other.start(0, 3, bytes(512))
        disk.read_sector(4)
        self.assertEqual((other.queues[0].done(), other.status(), other.message(1)), (0, 0xFF, 0))
        self.assertEqual(self.qemu.get(other.buffer + 0x200, 512), bytes(512))
        self.check_fault(kept_out)

    def check_fault(self, function):
        if self.IOMMU is Vtd:
            self.assertEqual(self.iommu.blocked(), function.bus << 8 | function.devfn)

    def test_pf(self):
        self.start()
        self.pf.enable(1)
        self.iommu.let_in(self.pf)
        admin = Admin(self.pf, self.shifted)
        self.assertEqual(admin.command(LIST_QUERY, 0, b"", 8)[0], 0)

    def test_pf_is_not_let_in_as_another_function(self):
        self.start()
        vfs = self.pf.enable(2)
        for vf in vfs:
            self.iommu.let_in(vf)
        admin = Admin(self.pf, self.shifted, use=0)
        admin.start(LIST_QUERY, 0, b"", 8)
        Disk(BlockRegisters(vfs[0]), self.shifted).read_sector(0) # what works later has ended: the command would have, too
        self.assertEqual(admin.queue.done(), 0)
        self.check_fault(self.pf)

    def test_bus_number_changes(self):
        self.start()
        self.pf.enumerate(bus=9)
        vf = self.pf.enable(1)[0]
        self.iommu.let_in(self.pf)
        self.iommu.let_in(vf)
        Admin(self.pf, self.shifted)
        disk = Disk(BlockRegisters(vf), self.shifted)
        self.assertTrue(disk.read_sector(3).startswith(b"one sector 3."))

    def test_64_vfs_one_let_in(self):
        self.start("vfs=64")
        vfs = self.pf.enable(64)
        self.iommu.let_in(vfs[63])
        let_in = Disk(BlockRegisters(vfs[63]), self.shifted)
        blocked = Disk(BlockRegisters(vfs[62]), self.shifted)
        blocked.start(0, 0, bytes(512))
        self.assertEqual(let_in.read_sector(0), bytes(512))
        self.assertEqual(blocked.queues[0].done(), 0)


class IntelIommu(WithIommu, DeviceCase):
    IOMMU = Vtd


class AmdIommu(WithIommu, DeviceCase):
    IOMMU = AmdVi
