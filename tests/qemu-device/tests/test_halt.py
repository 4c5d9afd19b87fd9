# SPDX-License-Identifier: GPL-2.0-or-later
"""A stopped VF: no DMA, no interrupts, nothing lost. By every protocol."""

import os
import socket
import struct
import tempfile

from qemu import wait_for
from test_lifecycle import SLOW_DISK
from virtio import QUEUE_PFN, QUEUE_SELECT, STATUS, BlockRegisters, Disk, Legacy, Nic
from ways import WayCase, by_each_way

HUB = ["-netdev", "hubport,id=n1,hubid=0", "-netdev", "hubport,id=n2,hubid=0"]
FRAME = b"\xff" * 12 + b"\x88\xb5" + bytes(range(50))


class Stopping(WayCase):
    def test_no_dma_and_no_interrupt(self):
        self.start("blk", "vf-backends=one", self.image("one"))
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        other = Disk(BlockRegisters(self.vfs[1]), self.memory)
        disk.read_sector(1)
        self.admin.stop(1)
        chain = disk.start(0, 7, bytes(512))
        self.qemu.write(disk.messages + 4, 0, 4)
        other.read_sector(0)
        self.assertEqual((disk.queues[0].done(), disk.status(), disk.message(1)), (1, 0xFF, 0))
        self.admin.resume(1)
        disk.queues[0].wait(chain)
        self.assertEqual((disk.status(), disk.message(1)), (0, 0xABC1))
        self.assertTrue(self.qemu.get(disk.buffer + 0x200, 512).startswith(b"one sector 7."))
        self.assertEqual(self.stray(), 0)

    def test_without_a_doorbell_nothing_happens(self):
        self.start("blk")
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        self.admin.stop(1)
        disk.start(0, 0, bytes(512))
        self.admin.resume(1)
        disk.queues[0].wait(1)
        notify, disk.registers.notify = disk.registers.notify, lambda queue: None
        self.admin.stop(1)
        disk.start(0, 0, bytes(512))
        self.admin.resume(1)
        self.admin.stop(1)
        self.assertEqual(disk.queues[0].done(), 1)
        self.admin.resume(1)
        notify(0)
        disk.queues[0].wait(2)

    def test_modern_doorbell(self):
        self.start("blk")
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        _, offset, _, _ = self.vfs[0].virtio(2)
        disk.registers.notify = lambda queue: self.qemu.write(self.vfs[0].bar(4) + offset, 0, 2)
        disk.read_sector(0)
        self.admin.stop(1)
        disk.start(0, 0, bytes(512))
        self.assertEqual(disk.queues[0].done(), 1)
        self.admin.resume(1)
        disk.queues[0].wait(2)
        self.assertEqual(self.stray(), 0)

    def test_registers_still_work(self):
        self.start("blk")
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        self.admin.stop(1)
        disk.registers.write(QUEUE_SELECT, 5, 2)
        self.assertEqual(disk.registers.read(QUEUE_SELECT, 2), 5)
        self.assertEqual(disk.registers.read(STATUS, 1), 7)
        self.assertEqual(disk.registers.config(0, 4), 131072)
        modern = self.vfs[0].bar(4) + self.vfs[0].virtio(1)[1]
        self.assertEqual(self.qemu.read(modern + 22, 2), 5, "queue_select")
        self.assertEqual(self.qemu.read(modern + 20, 1), 7, "device_status")
        self.admin.resume(1)
        disk.read_sector(0)

    def test_reset_by_the_driver(self):
        self.start("blk")
        registers = BlockRegisters(self.vfs[0])
        Disk(registers, self.memory).read_sector(0)
        self.admin.stop(1)
        disk = Disk(registers, self.memory)
        disk.start(0, 0, bytes(512))
        self.assertEqual(disk.queues[0].done(), 0, "it is still stopped")
        self.admin.resume(1)
        disk.queues[0].wait(1)
        self.assertEqual(self.stray(), 0)

    def test_flr_runs_again(self):
        self.start("blk")
        Disk(BlockRegisters(self.vfs[0]), self.memory).read_sector(0)
        self.admin.stop(1)
        self.vfs[0].flr()
        Disk(BlockRegisters(self.vfs[0]), self.memory).read_sector(0)

    def test_many_times(self):
        self.start("blk")
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        for _ in range(20):
            self.admin.stop(1)
            self.admin.resume(1)
            disk.read_sector(0)
        self.assertEqual(self.stray(), 0)


class Outstanding(WayCase):
    """A disk that takes half a second for each request."""

    def start_busy(self, requests=12):
        image = self.image("one")
        self.start("blk", "vf-backends=slow", image + SLOW_DISK + [
            "-blockdev", "driver=throttle,node-name=slow,throttle-group=slow,file=one"])
        self.disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        for _ in range(requests):
            self.disk.start(0, 1, bytes(512))
        self.assertLess(self.disk.queues[0].done(), requests, "the disk should be busy")

    def test_is_finished_before_the_answer(self):
        self.start_busy()
        self.admin.queue.wait(self.start_stop(self.admin, 1))
        self.assertEqual((self.disk.queues[0].done(), self.disk.status()), (12, 0))
        self.assertEqual(self.disk.message(1), 0xABC1)
        self.assertEqual(self.stray(), 0)

    def test_takes_no_more(self):
        self.start_busy()
        chain = self.start_stop(self.admin, 1)
        self.disk.start(0, 1, bytes(512))
        self.admin.queue.wait(chain)
        self.assertEqual(self.disk.queues[0].done(), 12)
        self.admin.resume(1)
        self.disk.queues[0].wait(13)
        self.assertEqual(self.stray(), 0)

    def test_other_commands_meanwhile(self):
        self.start_busy()
        before = self.admin.queue.done()
        self.start_stop(self.admin, 1)
        slow, self.admin.answer = self.admin.answer, self.memory.take(0x1000)
        self.admin.queue.late = 1
        self.admin.stop(2)
        self.admin.resume(2)
        self.try_again(self.admin, 1)
        self.assertEqual(self.admin.queue.done(), before + 3, "the first is still under way")
        wait_for("the first", lambda: self.admin.queue.done() == before + 4)
        self.assertEqual(self.qemu.get(slow, 1), b"\0", "status OK")
        self.assertEqual(self.disk.queues[0].done(), 12)

    def test_a_buffer_at_address_0(self):
        """An address as any other."""
        self.start("blk")
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        header, body, status = 0, disk.buffer + 0x200, disk.buffer + 0x100
        self.qemu.put(header, struct.pack("<IIQ", 0, 0, 1))
        disk.queues[0].wait(disk.send(0, [(header, 16)], [(body, 512), (status, 1)]))
        self.assertEqual(disk.status(), 0)

    def test_queues_that_share_a_ring(self):
        """What comes back to it is seen, whichever queue it belongs to."""
        self.start("blk", "vf-queues=2")
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        disk.registers.write(QUEUE_SELECT, 1, 2)
        disk.registers.write(QUEUE_PFN, self.memory.dma(disk.queues[0].desc) >> 12, 4)
        for _ in range(2):
            disk.start(0, 0, bytes(512))
            disk.registers.notify(1)
            wait_for("a request", lambda: disk.status() == 0)
            self.admin.stop(1)
            self.admin.resume(1)
        disk.registers.write(QUEUE_SELECT, 0, 2)
        disk.registers.write(QUEUE_PFN, self.memory.dma(self.memory.take(0x4000)) >> 12, 4)
        self.admin.stop(1)
        self.admin.resume(1)

    def test_bus_master_off_meanwhile(self):
        """What comes back then is lost; it does not count as outstanding for ever."""
        self.start_busy()
        self.vfs[0].master(False)
        self.admin.stop(1)
        self.admin.resume(1)
        self.vfs[0].master()
        self.admin.stop(1)
        self.admin.resume(1)
        self.start_again()
        self.vfs[0].master(False)
        self.vfs[0].master()
        self.admin.stop(1)
        self.admin.resume(1)
        self.start_again()
        chain = self.start_stop(self.admin, 1)
        self.vfs[0].master(False)
        self.admin.queue.wait(chain)
        self.assertEqual(self.stray(), 0)

    def start_again(self):
        self.disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        for _ in range(4):
            self.disk.start(0, 1, bytes(512))

    def test_flr_meanwhile(self):
        self.start_busy()
        chain = self.start_stop(self.admin, 1)
        self.vfs[0].flr()
        self.admin.queue.wait(chain)
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        disk.start(0, 1, bytes(512))
        self.admin.stop(1)
        self.assertEqual(disk.queues[0].done(), 0, "the command took effect after the FLR")

    def test_vf_disable_meanwhile(self):
        self.start_busy()
        chain = self.start_stop(self.admin, 1)
        self.pf.disable()
        self.admin.queue.wait(chain)
        self.pf.enable(2)
        Disk(BlockRegisters(self.vfs[0]), self.memory).read_sector(0)

    def test_pf_reset_meanwhile(self):
        self.start_busy()
        self.start_stop(self.admin, 1)
        self.admin = self.ADMIN(self.pf, self.memory)
        self.admin.stop(2)
        before = self.admin.queue.done()
        self.disk.queues[0].wait(12)
        self.assertEqual(self.admin.queue.done(), before, "the reset ended that command")


class Interrupts(WayCase):
    def start_net(self):
        self.start("net", "vf-backends=n1:n2", HUB)
        self.nic = Nic(BlockRegisters(self.vfs[0]), self.memory)
        self.nic.registers.write(0x14, 0, 2)
        self.assertEqual(self.nic.registers.read(0x14, 2), 0, "configuration vector")

    def change_link(self, up):
        self.qemu.qmp("set_link", name="n1", up=up)

    def test_pending_until_resumed(self):
        self.start_net()
        self.change_link(False)
        self.assertEqual(self.nic.message(0), 0xABC0)
        self.qemu.write(self.nic.messages, 0, 4)
        self.admin.stop(1)
        self.change_link(True)
        self.assertEqual(self.nic.message(0), 0)
        self.admin.resume(1)
        self.assertEqual(self.nic.message(0), 0xABC0)
        self.assertEqual(self.stray(), 0)

    def pending(self):
        at = self.vfs[0].capability(0x11)
        return self.qemu.read(self.vfs[0].bar(1) + (self.vfs[0].read(at + 8, 4) & ~7), 4)

    def mask_entry(self, mask):
        self.qemu.write(self.vfs[0].bar(1) + 12, mask, 4)

    def test_pending_bits_are_kept(self):
        self.start_net()
        self.mask_entry(1)
        self.change_link(False)
        self.admin.stop(1)
        self.assertEqual(self.pending() & 1, 1)
        self.mask_entry(0)
        self.assertEqual((self.pending() & 1, self.nic.message(0)), (1, 0))
        self.admin.resume(1)
        self.assertEqual((self.pending() & 1, self.nic.message(0)), (0, 0xABC0))

    def test_masks_are_the_hosts_meanwhile(self):
        self.start_net()
        at = self.vfs[0].capability(0x11) + 2
        self.mask_entry(1)
        self.change_link(False)
        self.admin.stop(1)
        self.mask_entry(0)
        for control in (0xC000, 0x8000):
            self.vfs[0].write(at, control, 2)
            self.assertEqual(self.vfs[0].read(at, 2) & 0xC000, control)
            self.assertEqual(self.nic.message(0), 0)
        self.vfs[0].write(at, 0xC000, 2)
        self.admin.resume(1)
        self.assertEqual(self.nic.message(0), 0, "masked by the host")
        self.vfs[0].write(at, 0x8000, 2)
        self.assertEqual(self.nic.message(0), 0xABC0)
        self.assertEqual(self.stray(), 0)


class Frames(WayCase):
    def test_frames_wait(self):
        self.start("net", "vf-backends=n1:n2", HUB)
        one, two = [Nic(BlockRegisters(vf), self.memory) for vf in self.vfs]
        one.post()
        two.send_frame(FRAME)
        one.queues[0].wait(1)
        self.admin.stop(1)
        one.post()
        chain = two.send(1, [(two.transmit, two.HEADER + len(FRAME))], [])
        self.assertEqual(one.queues[0].done(), 1)
        self.admin.resume(1)
        self.assertEqual(one.received(), FRAME)
        two.queues[1].wait(chain)
        self.assertEqual(self.stray(), 0)

    def test_flr_forgets_them(self):
        """What came while no driver was there is not the next one's."""
        # A third port takes each frame, else the sender would wait.
        self.start("net", "vf-backends=n1:n2", HUB + ["-netdev", "hubport,id=n3,hubid=0"])
        two = Nic(BlockRegisters(self.vfs[1]), self.memory)
        two.send_frame(FRAME)
        self.vfs[0].flr()
        one = Nic(BlockRegisters(self.vfs[0]), self.memory)
        one.post()
        two.send_frame(FRAME[::-1])
        self.assertEqual(one.received(), FRAME[::-1])

    def test_sending_waits(self):
        self.start("net", "vf-backends=n1:n2", HUB)
        one, two = [Nic(BlockRegisters(vf), self.memory) for vf in self.vfs]
        two.post()
        self.admin.stop(1)
        self.qemu.put(one.transmit, bytes(one.HEADER) + FRAME)
        chain = one.send(1, [(one.transmit, one.HEADER + len(FRAME))], [])
        self.assertEqual((one.queues[1].done(), two.queues[0].done()), (0, 0))
        self.admin.resume(1)
        one.queues[1].wait(chain)
        self.assertEqual(two.received(), FRAME)
        self.assertEqual(self.stray(), 0)


class Machine(WayCase):
    def test_pause_of_the_machine(self):
        """QEMU stops and starts its devices with the machine; not those that are stopped by themselves."""
        self.start("net", "vf-backends=n1:n2", HUB)
        one, two = [Nic(BlockRegisters(vf), self.memory) for vf in self.vfs]
        two.post()
        self.admin.stop(1)
        self.qemu.put(one.transmit, bytes(one.HEADER) + FRAME)
        chain = one.send(1, [(one.transmit, one.HEADER + len(FRAME))], [])
        one.post()
        for command in ("stop", "cont"):
            self.qemu.qmp(command)
        two.send(1, [(one.transmit, two.HEADER + len(FRAME))], [])
        self.assertEqual((one.queues[1].done(), one.queues[0].done()), (0, 0))
        self.assertEqual(self.stray(), 0)
        self.admin.resume(1)
        one.queues[1].wait(chain)
        self.assertEqual(one.received(), FRAME)
        self.assertEqual(two.received(), FRAME)


class Hostile(WayCase):
    """A driver that writes everywhere while its VF is stopped, saved and restored."""

    def test_registers_and_rings(self):
        self.start("blk")
        registers = BlockRegisters(self.vfs[0])
        disk = Disk(registers, self.memory)
        modern = self.vfs[0].bar(4)
        writes = [lambda value=value, at=at, width=width: self.qemu.write(at, value, width)
                  for base in (registers.base, modern, modern + 0x2000, modern + 0x3000)
                  for at, width in [(base + 4 * n, 4) for n in range(8)] + [(base + 0x12, 1)]
                  for value in (0, 0xFFFFFFFF & (1 << 8 * width) - 1)]
        for number, write in enumerate(writes):
            self.admin.stop(1)
            write()
            for address in (disk.queues[0].avail, disk.queues[0].used, disk.queues[0].desc):
                self.qemu.put(address, bytes([number]) * 64)
            self.admin.save(1)
            self.admin.resume(1)
            write()
        self.assertEqual(self.stray(), 0)
        self.vfs[0].flr()
        Disk(registers, self.memory).read_sector(0)
        self.admin.stop(1)
        self.admin.resume(1)
        Disk(registers, self.memory).read_sector(0)

    def test_used_ring_as_a_buffer(self):
        """The device's own count of what is outstanding is led astray; stopping works."""
        self.start("blk")
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        queue = disk.queues[0]
        self.qemu.put(disk.buffer, struct.pack("<IIQ", 0, 0, 0))
        for _ in range(3):
            queue.add([(disk.buffer, 16)], [(queue.used + 64, 512), (disk.buffer + 0x100, 1)])
        disk.kick()
        self.admin.stop(1)
        self.admin.resume(1)
        self.vfs[0].flr()
        Disk(BlockRegisters(self.vfs[0]), self.memory).read_sector(0)

    def test_one_head_twice(self):
        self.start("blk")
        disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        queue = disk.queues[0]
        disk.read_sector(0)
        for slot in (1, 2, 3):
            self.qemu.write(queue.avail + 4 + 2 * slot, 0, 2)
        self.qemu.write(queue.avail + 2, 4, 2)
        disk.kick()
        self.admin.stop(1)
        self.assertEqual(queue.done(), 4)
        self.admin.save(1)
        self.admin.resume(1)


class OtherFamilies(WayCase):
    def test_console(self):
        self.start("console", "vf-backends=con", ["-chardev", "ringbuf,id=con,size=4096"])
        console = Legacy(BlockRegisters(self.vfs[0]), self.memory, 2)
        text = self.memory.take(0x1000)
        self.qemu.put(text, b"after")
        self.admin.stop(1)
        chain = console.send(1, [(text, 5)], [])
        self.assertEqual(self.qemu.qmp("ringbuf-read", device="con", size=100), "")
        self.admin.resume(1)
        console.queues[1].wait(chain)
        self.assertEqual(self.qemu.qmp("ringbuf-read", device="con", size=100), "after")
        self.assertEqual(self.stray(), 0)

    def test_entropy(self):
        self.start("rng")
        rng = Legacy(BlockRegisters(self.vfs[0]), self.memory, 1)
        buffer = self.memory.take(0x1000)
        self.admin.stop(1)
        chain = rng.send(0, [], [(buffer, 64)])
        self.assertEqual(rng.queues[0].done(), 0)
        self.admin.resume(1)
        self.assertGreater(rng.queues[0].wait(chain), 0)
        self.assertEqual(self.stray(), 0)

    def test_entropy_that_comes_late(self):
        """Asked for before the stop, and there after it: a stopped VF does not look for a buffer then."""
        folder = tempfile.TemporaryDirectory(prefix="portolan-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "egd")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            self.start("rng", "vf-backends=/objects/egd",
                       ["-chardev", f"socket,id=egd,path={path}", "-object", "rng-egd,id=egd,chardev=egd"])
            end = listener.accept()[0]
        with end:
            rng = Legacy(BlockRegisters(self.vfs[0]), self.memory, 1)
            buffer = self.memory.take(0x1000)
            chain = rng.send(0, [], [(buffer, 64)])
            self.assertEqual(end.recv(2)[1], 64)
            self.admin.stop(1)
            end.sendall(bytes(64))
            self.admin.resume(1)
            self.assertEqual(self.stray(), 0)
            self.assertEqual(end.recv(2)[1], 64, "it asks again")
            end.sendall(bytes(64))
            self.assertGreater(rng.queues[0].wait(chain), 0)
        self.assertEqual(self.stray(), 0)

    def test_scsi(self):
        self.start("scsi", "vf-backends=one", self.image("one"))
        scsi = Legacy(BlockRegisters(self.vfs[0]), self.memory, 3)
        buffer = self.memory.take(0x1000)
        lun, inquiry = bytes([1, 0, 0x40, 0, 0, 0, 0, 0]), bytes([0x12, 0, 0, 0, 36, 0])
        request = lun + struct.pack("<QBBB", 1, 0, 0, 0) + inquiry.ljust(32, b"\0")
        self.qemu.put(buffer, request)
        self.admin.stop(1)
        chain = scsi.send(2, [(buffer, len(request))], [(buffer + 0x100, 108), (buffer + 0x200, 36)])
        self.assertEqual(scsi.queues[2].done(), 0)
        self.admin.resume(1)
        scsi.queues[2].wait(chain)
        self.assertEqual(self.qemu.get(buffer + 0x208, 4), b"QEMU")
        self.assertEqual(self.stray(), 0)


by_each_way(globals())
