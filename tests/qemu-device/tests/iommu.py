# SPDX-License-Identifier: GPL-2.0-or-later
"""The two IOMMUs, as far as a test needs them: who may reach 2 MiB of memory, shifted."""

VTD, AMDVI = 0xFED90000, 0xFED80000
TABLES = 0x8000000


class Vtd:
    """intel-iommu: 2 MiB of DMA addresses from 0 go to SHIFT, for the functions let in."""

    ARGUMENTS = ["-device", "intel-iommu"]

    def __init__(self, qemu, shift):
        self.qemu = qemu
        self.root, self.context, self.l3, self.l2, self.l1 = (
            TABLES + 0x1000 * n for n in range(5))
        for page in range(TABLES, TABLES + 0x20000, 0x1000):
            qemu.put(page, bytes(0x1000))
        qemu.write(self.l3, self.l2 | 3, 8)
        qemu.write(self.l2, self.l1 | 3, 8)
        for page in range(512):
            qemu.write(self.l1 + 8 * page, (shift + 4096 * page) | 3, 8)
        qemu.write(VTD + 0x20, self.root, 8)
        self._command(30)
        self._command(31)

    def _command(self, bit):
        self.qemu.write(VTD + 0x18, 1 << bit, 4)
        assert self.qemu.read(VTD + 0x1C, 4) >> bit & 1

    def let_in(self, function):
        """Only one bus at a time has a context table here."""
        self.qemu.write(self.root + 16 * function.bus, self.context | 1, 8)
        entry = self.context + 16 * function.devfn
        self.qemu.write(entry, self.l3 | 1, 8)
        self.qemu.write(entry + 8, 1 | 1 << 8, 8)

    def blocked(self):
        """Requester id of the first recorded fault, or None."""
        high = self.qemu.read(VTD + 0x228, 8)
        return high & 0xFFFF if high >> 63 else None


class AmdVi:
    """amd-iommu, the same. It does not record what QEMU's model blocks in this mode."""

    # QEMU 10 passes DMA by with pt=on, its default.
    ARGUMENTS = ["-device", "amd-iommu,pt=off"]

    def __init__(self, qemu, shift):
        self.qemu, self.pages, self.devices = qemu, TABLES, TABLES + 0x200000
        qemu.put(self.pages, bytes(0x1000))
        for page in range(512):
            qemu.write(self.pages + 8 * page, (shift + 4096 * page) | 1 | 3 << 61, 8)
        blocked = (3).to_bytes(8, "little") + (2).to_bytes(8, "little") + bytes(16)
        for page in range(self.devices, self.devices + 0x200000, 0x4000):
            qemu.put(page, blocked * 512)
        log = TABLES + 0x100000
        qemu.write(AMDVI + 0x00, self.devices | 511, 8)
        qemu.write(AMDVI + 0x10, log | 8 << 56, 8)
        qemu.write(AMDVI + 0x18, 1 | 1 << 2, 8)

    def let_in(self, function):
        entry = self.devices + 32 * (function.bus << 8 | function.devfn)
        self.qemu.write(entry, 3 | 1 << 9 | self.pages | 3 << 61, 8)
        self.qemu.write(entry + 8, 1, 8)

    def blocked(self):
        return None
