# SPDX-License-Identifier: GPL-2.0-or-later
"""What firmware and an operating system do: bridges, BARs, capabilities, SR-IOV."""

ECAM = 0xB0000000
WINDOW32 = 0xC0000000  # one 16 MiB window for each root port
WINDOW64 = 0x400000000  # one 1 GiB window for each root port
VFE, MSE = 1, 8
COMMAND_MEMORY, COMMAND_MASTER = 2, 4
CAP_MSIX, CAP_EXPRESS, CAP_VENDOR, CAP_PM = 0x11, 0x10, 0x09, 0x01
EXT_VSEC, EXT_ARI, EXT_SRIOV = 0x0B, 0x0E, 0x10


class Function:
    """One PCI function through ECAM."""

    def __init__(self, qemu, bus, devfn):
        self.qemu, self.bus, self.devfn = qemu, bus, devfn

    def _at(self, register):
        return ECAM + (self.bus << 20 | self.devfn << 12 | register)

    def read(self, register, width):
        return self.qemu.read(self._at(register), width)

    def write(self, register, value, width):
        self.qemu.write(self._at(register), value, width)

    def exists(self):
        # A VF has no ids of its own: the header type tells.
        return self.read(0x0E, 1) != 0xFF

    def capabilities(self):
        """[(id, offset)] of the ordinary capabilities."""
        found, at = [], self.read(0x34, 1)
        while at:
            found.append((self.read(at, 1), at))
            at = self.read(at + 1, 1)
        return found

    def capability(self, wanted):
        return next(at for number, at in self.capabilities() if number == wanted)

    def extended(self):
        """{id: offset} of the extended capabilities."""
        found, at = {}, 0x100
        while at:
            header = self.read(at, 4)
            if header in (0, 0xFFFFFFFF):
                break
            found[header & 0xFFFF] = at
            at = header >> 20
        return found

    def virtio(self, cfg_type):
        """(bar, offset, length, capability offset) of a virtio capability."""
        for number, at in self.capabilities():
            if number == CAP_VENDOR and self.read(at + 3, 1) == cfg_type:
                return self.read(at + 4, 1), self.read(at + 8, 4), self.read(at + 12, 4), at
        return None

    def master(self, on=True):
        command = self.read(4, 2) & ~COMMAND_MASTER
        self.write(4, command | (COMMAND_MASTER if on else 0), 2)

    def flr(self):
        at = self.capability(CAP_EXPRESS)
        self.write(at + 8, self.read(at + 8, 2) | 0x8000, 2)


def enable_ecam(qemu):
    for register, value in ((0x64, 0), (0x60, ECAM | 1)):
        qemu.out(0xCF8, 0x80000000 | register)
        qemu.out(0xCFC, value)


class PF(Function):
    """The PF below root port number PORT (00:02.PORT), after enumeration."""

    def __init__(self, qemu, port):
        super().__init__(qemu, port + 1, 0)
        self.port = port
        self.window32 = WINDOW32 + port * 0x1000000
        self.window64 = WINDOW64 + port * 0x40000000
        self.bridge = Function(qemu, 0, 2 << 3 | port)
        self.enumerate()

    def enumerate(self, bus=None):
        self.bus = bus or self.bus
        self.open_bridge()
        self.write(0x14, self.window32, 4)
        self.write(0x20, self.window64 & 0xFFFFFFFF, 4)
        self.write(0x24, self.window64 >> 32, 4)
        self.write(4, COMMAND_MEMORY | COMMAND_MASTER, 2)
        self.sriov = self.extended()[EXT_SRIOV]
        self._place_vf_bars()

    def open_bridge(self):
        limit32, limit64 = self.window32 + 0xFFFFFF, self.window64 + 0x3FFFFFFF
        self.bridge.write(0x18, self.bus << 8 | self.bus << 16, 4)
        self.bridge.write(0x20, self.window32 >> 16 | (limit32 & 0xFFF00000), 4)
        self.bridge.write(0x24, (self.window64 >> 16 & 0xFFF0) | (limit64 & 0xFFF00000), 4)
        self.bridge.write(0x28, self.window64 >> 32, 4)
        self.bridge.write(0x2C, limit64 >> 32, 4)
        self.bridge.write(4, COMMAND_MEMORY | COMMAND_MASTER, 2)

    def _place_vf_bars(self):
        """Size the VF BARs; {number: (address, size of one VF's part)}."""
        self.vf_bars = {}
        next32, next64 = self.window32 + 0x800000, self.window64 + 0x10000000
        numbers = iter(range(6))
        for number in numbers:
            at = self.sriov + 0x24 + 4 * number
            self.write(at, 0xFFFFFFFF, 4)
            mask = self.read(at, 4)
            if mask == 0:
                continue
            size = (~(mask & ~0xF) & 0xFFFFFFFF) + 1
            wide = bool(mask & 4)
            address = next64 if wide else next32
            self.vf_bars[number] = (address, size)
            self.write(at, address & 0xFFFFFFFF, 4)
            if wide:
                self.write(at + 4, address >> 32, 4)
                next64 += 0x10000000
                next(numbers)
            else:
                next32 += 0x200000

    def total_vfs(self):
        return self.read(self.sriov + 0x0E, 2)

    def control(self, value):
        self.write(self.sriov + 8, value, 2)

    def enable(self, count, control=VFE | MSE):
        """Enable COUNT VFs and return them."""
        self.write(self.sriov + 0x10, count, 2)
        self.control(control)
        return [VF(self, number) for number in range(1, count + 1)]

    def disable(self):
        self.control(0)

    def bar(self, number):
        return {1: self.window32, 4: self.window64}[number]


class VF(Function):
    """VF NUMBER (from 1) of PF."""

    def __init__(self, pf, number):
        offset, stride = pf.read(pf.sriov + 0x14, 2), pf.read(pf.sriov + 0x16, 2)
        super().__init__(pf.qemu, pf.bus, pf.devfn + offset + (number - 1) * stride)
        self.pf, self.number = pf, number

    def bar(self, number):
        address, size = self.pf.vf_bars[number]
        return address + (self.number - 1) * size

    def vsec(self):
        """(layout, bar, offset, length) of the legacy block, or None without one."""
        at = self.extended().get(EXT_VSEC)
        if at is None:
            return None
        length = self.read(at + 4, 4) >> 20
        if length == 20:
            return ("A", self.read(at + 9, 1), self.read(at + 12, 4), self.read(at + 16, 4))
        return ("B", self.read(at + 12, 1), self.read(at + 16, 4), self.read(at + 20, 4))

    def block(self):
        """Address of the legacy block."""
        _, bar, offset, _ = self.vsec()
        return self.bar(bar) + offset

    def msix(self, on):
        at = self.capability(CAP_MSIX)
        self.write(at + 2, 0x8000 if on else 0, 2)

    def vectors(self):
        return (self.read(self.capability(CAP_MSIX) + 2, 2) & 0x7FF) + 1

    def aim_vectors(self, address):
        """Vector i writes 0xabc0 + i to ADDRESS + 4 * i."""
        for vector in range(self.vectors()):
            entry = self.bar(1) + 16 * vector
            for offset, value in ((0, address + 4 * vector), (4, 0), (8, 0xABC0 + vector), (12, 0)):
                self.qemu.write(entry + offset, value, 4)
