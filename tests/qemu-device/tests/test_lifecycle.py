# SPDX-License-Identifier: GPL-2.0-or-later
"""Many VFs, many cycles, and every kind of reset."""

from case import DeviceCase
from pci import VFE, enable_ecam
from qemu import wait_for
from virtio import QUEUE_PFN, STATUS, Admin, BlockRegisters, Disk, Nic

CYCLES = 100
LEAK = 16 * 1024  # KiB; the VFs of CYCLES cycles would leave more than 50 MiB
# Two requests a second: twelve are not done when the last has been sent, however busy the host is.
SLOW_DISK = ["-object", "throttle-group,id=slow,x-bps-total=1024,x-bps-total-max=1024"]


class ManyVfs(DeviceCase):
    def test_64_on_each_pf(self):
        self.machine(("net", "vfs=64"), ("blk", "vfs=64,null-size=1M"))
        nets, blks = [pf.enable(64) for pf in self.pfs]
        self.assertEqual(len({BlockRegisters(vf).base for vf in nets + blks}), 128)
        for vf in blks:
            self.assertEqual(self.qemu.read(vf.block() + 0x14, 4), 2048)
        macs = {self.qemu.get(vf.block() + 0x14, 4) + bytes([self.qemu.read(vf.block() + 0x19, 1)])
                for vf in nets}
        self.assertEqual(len(macs), 64)
        for vf in (blks[0], blks[31], blks[63]):
            Disk(BlockRegisters(vf), self.memory).read_sector(1)
        for pf in self.pfs:
            self.assertEqual(Admin(pf, self.memory).command(3, 64, bytes([STATUS]), 1)[0], 0)
            pf.disable()
        self.assertFalse(any(vf.exists() for vf in nets + blks))

    def test_the_most_there_can_be(self):
        pf = self.machine(("rng", "vfs=255"))
        vfs = pf.enable(255)
        self.assertEqual((vfs[0].devfn, vfs[254].devfn), (1, 255))
        self.assertTrue(vfs[254].exists())
        self.assertTrue(BlockRegisters(vfs[254]).read(0, 4))


class Cycles(DeviceCase):
    def test_enable_and_disable(self):
        self.machine(("net", "vfs=2,vf-backends=n1,migration=1.4"),
                     ("blk", "vfs=2,vf-backends=one,migration=2021"),
                     ("scsi", "vfs=2,vf-backends=two"), ("console", "vfs=2,vf-backends=con"),
                     ("rng", "vfs=2"),
                     extra=self.image("one") + self.image("two") +
                     ["-netdev", "hubport,id=n1,hubid=0", "-chardev", "null,id=con"])
        before = self.back_ends()
        self.cycle(CYCLES // 10)
        resident = self.resident()
        self.cycle(CYCLES)
        wait_for("back ends to be free", lambda: self.back_ends() == before)
        wait_for("VFs to be gone from memory", lambda: self.resident() < resident + LEAK)

    def cycle(self, cycles):
        for cycle in range(cycles):
            for pf in self.pfs:
                # At once: what QEMU has yet to clean up must not be in the way.
                vfs = pf.enable(2)
                self.assertTrue(all(vf.exists() for vf in vfs), f"cycle {cycle}")
                pf.disable()

    def back_ends(self):
        """What exists, and what of it is attached to something."""
        nodes = self.qemu.qmp("query-named-block-nodes")
        devices = self.qemu.qmp("query-block")
        network = self.qemu.qmp("human-monitor-command", **{"command-line": "info network"})
        return sorted(node["node-name"] for node in nodes), len(devices), network

    def resident(self):
        """QEMU's memory in KiB."""
        with open(f"/proc/{self.qemu.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def test_io_in_every_cycle(self):
        pf = self.machine(("blk", "vfs=2,vf-backends=one:two"),
                          extra=self.image("one") + self.image("two"))
        start = self.memory.next
        for cycle in range(CYCLES // 4):
            self.memory.next = start
            for vf, tag in zip(pf.enable(2), (b"one", b"two")):
                disk = Disk(BlockRegisters(vf), self.memory)
                self.assertTrue(disk.read_sector(cycle).startswith(tag + b" sector %d." % cycle))
            pf.disable()


class Resets(DeviceCase):
    def slow_disk(self, properties="vfs=2,vf-backends=slow"):
        """A PF whose first VF takes seconds for a request."""
        image = self.image("one")
        return self.machine(("blk", properties), extra=image + SLOW_DISK + [
            "-blockdev", "driver=throttle,node-name=slow,throttle-group=slow,file=one"])

    def busy_disk(self, pf):
        """A driver of VF 1 with requests under way."""
        disk = Disk(BlockRegisters(pf.enable(2)[0]), self.memory)
        for _ in range(12):
            disk.start(0, 1, bytes(512))
        self.assertLess(disk.queues[0].done(), 12, "the disk should be busy")
        return disk

    def let_go(self, registers):
        """The disk is as fast as any from here on; what was under way on it has ended when a new driver's request has."""
        self.qemu.qmp("qom-set", path="/objects/slow", property="limits", value={"bps-total": 0, "bps-total-max": 0})
        Disk(registers, self.memory).read_sector(0)

    def test_flr(self):
        pf = self.machine(("blk", "vfs=2"))
        vfs = pf.enable(2)
        disks = [Disk(BlockRegisters(vf), self.memory) for vf in vfs]
        vfs[0].flr()
        self.assertEqual(vfs[0].read(4, 2), 0, "bus master off")
        self.assertEqual(vfs[0].read(vfs[0].capability(0x11) + 2, 2) >> 15, 0, "MSI-X off")
        registers = disks[0].registers
        self.assertEqual((registers.read(STATUS, 1), registers.read(QUEUE_PFN, 4)), (0, 0))
        disks[1].read_sector(0)
        Disk(registers, self.memory).read_sector(0)

    def test_flr_during_io(self):
        disk = self.busy_disk(self.slow_disk())
        disk.vf.flr()
        done = disk.queues[0].done()
        self.assertEqual(disk.registers.read(STATUS, 1), 0)
        self.let_go(disk.registers)
        self.assertEqual(disk.queues[0].done(), done, "no DMA after FLR")

    def test_vf_disable_during_io(self):
        pf = self.slow_disk()
        disk = self.busy_disk(pf)
        pf.disable()
        done = disk.queues[0].done()
        self.assertFalse(disk.vf.exists())
        vf = pf.enable(2)[0]
        self.assertEqual(BlockRegisters(vf).read(STATUS, 1), 0)
        self.let_go(BlockRegisters(vf))
        self.assertEqual(disk.queues[0].done(), done, "no DMA after VF Disable")

    def test_pf_flr(self):
        pf = self.machine(("blk", "vfs=2,vf-backends=one"), extra=self.image("one"))
        vfs = pf.enable(2)
        Disk(BlockRegisters(vfs[0]), self.memory).read_sector(0)
        pf.flr()
        self.check_sriov_is_reset(pf, vfs)

    def check_sriov_is_reset(self, pf, vfs):
        sriov = pf.sriov
        self.assertEqual((pf.read(sriov + 8, 2), pf.read(sriov + 0x10, 2)), (0, 0))
        self.assertEqual(pf.read(sriov + 0x24 + 16, 4), 0xC, "VF BAR 4 has its type alone")
        self.assertFalse(any(vf.exists() for vf in vfs))
        pf.enumerate()
        disk = Disk(BlockRegisters(pf.enable(2)[0]), self.memory)
        self.assertTrue(disk.read_sector(2).startswith(b"one sector 2."))
        self.assertEqual(Admin(pf, self.memory).command(3, 1, bytes([STATUS]), 1)[2], b"\7")

    def test_machine_reset(self):
        pf = self.machine(("blk", "vfs=2,vf-backends=one"), extra=self.image("one"))
        vfs = pf.enable(2)
        Admin(pf, self.memory)
        self.qemu.qmp("system_reset")
        self.qemu.wait_event("RESET")
        enable_ecam(self.qemu)
        pf.open_bridge()
        self.check_sriov_is_reset(pf, vfs)

    def test_admin_selection_ends_with_pf_flr(self):
        pf = self.machine(("blk", "vfs=2"))
        Admin(pf, self.memory)
        pf.flr()
        pf.enumerate()
        pf.enable(1, VFE)
        admin = Admin(pf, self.memory, use=0)
        self.assertEqual(admin.command(3, 1, bytes([STATUS]), 1)[:2], (22, 2))

    def test_net_vf_reset_with_buffers_posted(self):
        pf = self.machine(("net", "vfs=1"))
        nic = Nic(BlockRegisters(pf.enable(1)[0]), self.memory)
        nic.post()
        nic.reset()
        self.assertEqual(nic.registers.read(QUEUE_PFN, 4), 0)
        Nic(nic.registers, self.memory).send_frame(bytes(60))
