# SPDX-License-Identifier: GPL-2.0-or-later
"""Drivers: a legacy one for VFs, over either transport, and one for the PF's admin queue."""

import struct

from qemu import wait_for

HOST_FEATURES, GUEST_FEATURES, QUEUE_PFN, QUEUE_SIZE = 0x00, 0x04, 0x08, 0x0C
QUEUE_SELECT, QUEUE_NOTIFY, STATUS, ISR = 0x0E, 0x10, 0x12, 0x13
CONFIG_VECTOR, QUEUE_VECTOR = 0x14, 0x16

LIST_QUERY, LIST_USE, COMMON_WRITE, COMMON_READ = 0, 1, 2, 3
DEV_WRITE, DEV_READ, NOTIFY_INFO = 4, 5, 6
SELF, SRIOV = 0, 1
OK, EINVAL = 0, 22
INVALID_OPCODE, INVALID_FIELD, INVALID_GROUP, INVALID_MEMBER = 2, 3, 4, 5


class Memory:
    """Guest memory handed out in pieces. DMA addresses are lower by SHIFT."""

    def __init__(self, qemu, start=0x1000000, shift=0):
        self.qemu, self.next, self.shift = qemu, start, shift

    def take(self, size):
        at = self.next
        self.next += (size + 0xFFFF) & ~0xFFFF
        for page in range(at, at + size, 0x4000):
            self.qemu.put(page, bytes(min(0x4000, at + size - page)))
        return at

    def dma(self, address):
        return address - self.shift


class Queue:
    """A split ring in the legacy layout, which suits modern queues too."""

    def __init__(self, memory, size):
        self.memory, self.qemu, self.size = memory, memory.qemu, size
        bytes_first = 16 * size + 6 + 2 * size
        self.desc = memory.take(((bytes_first + 4095) & ~4095) + 6 + 8 * size)
        self.avail = self.desc + 16 * size
        self.used = (self.desc + bytes_first + 4095) & ~4095
        self.added = self.free = 0
        self.late = 0  # chains that are overtaken by later ones

    def add(self, readable, writable):
        """One chain of [(address, length)]; not notified yet."""
        chain = [(a, n, 0) for a, n in readable] + [(a, n, 2) for a, n in writable]
        head = self.free
        for number, (address, length, flags) in enumerate(chain):
            slot = self.free
            self.free = (self.free + 1) % self.size
            flags |= 1 if number + 1 < len(chain) else 0
            self.qemu.put(self.desc + 16 * slot, struct.pack(
                "<QIHH", self.memory.dma(address), length, flags, self.free))
        self.qemu.write(self.avail + 4 + 2 * (self.added % self.size), head, 2)
        self.added += 1
        self.qemu.write(self.avail + 2, self.added & 0xFFFF, 2)
        return self.added

    def done(self):
        return self.qemu.read(self.used + 2, 2)

    def wait(self, upto=None):
        """Wait for the chain that add() numbered UPTO; the length its used entry has."""
        upto = (upto or self.added) - self.late
        wait_for(f"used index {upto}", lambda: self.done() == upto & 0xFFFF)
        return self.qemu.read(self.used + 4 + 8 * ((upto - 1) % self.size) + 4, 4)


class BlockRegisters:
    """The legacy registers of a VF in its memory BAR."""

    def __init__(self, vf):
        self.vf, self.qemu, self.base = vf, vf.qemu, vf.block()

    def read(self, offset, width):
        return self.qemu.read(self.base + offset, width)

    def write(self, offset, value, width):
        self.qemu.write(self.base + offset, value, width)

    def config(self, offset, width, msix=True):
        return self.read(offset + (0x18 if msix else 0x14), width)

    def notify(self, queue):
        self.write(QUEUE_NOTIFY, queue, 2)


class AdminRegisters:
    """The same registers through the PF's administration queue."""

    def __init__(self, admin, vf):
        self.admin, self.vf, self.qemu = admin, vf, vf.qemu

    def _command(self, *arguments):
        status, _, result = self.admin.command(*arguments)
        assert status == OK, f"admin command: status {status}"
        return result

    def read(self, offset, width):
        result = self._command(COMMON_READ, self.vf.number, bytes([offset]), width)
        return int.from_bytes(result, "little")

    def write(self, offset, value, width):
        self._command(COMMON_WRITE, self.vf.number,
                      bytes([offset]) + bytes(7) + value.to_bytes(width, "little"), 0)

    def config(self, offset, width, msix=True):
        result = self._command(DEV_READ, self.vf.number, bytes([offset]), width)
        return int.from_bytes(result, "little")

    def notify(self, queue):
        info = self._command(NOTIFY_INFO, self.vf.number, b"", 64)
        flags, bar, offset = struct.unpack("<BB6xQ", info[:16])
        assert flags == 2, f"first notify entry has flags {flags}"
        self.qemu.write(self.vf.bar(bar) + offset, queue, 2)


class Legacy:
    """A legacy driver with MSI-X: config vector 0, queue i on vector i + 1."""

    def __init__(self, registers, memory, queues, features=0, msix=True):
        self.registers, self.vf, self.memory = registers, registers.vf, memory
        self.qemu = memory.qemu
        self.messages = memory.take(0x1000)
        self.vf.master()
        self.vf.aim_vectors(memory.dma(self.messages))
        self.vf.msix(msix)
        self.reset()
        for status in (1, 3):
            registers.write(STATUS, status, 1)
        self.features = registers.read(HOST_FEATURES, 4)
        registers.write(GUEST_FEATURES, features & self.features, 4)
        self.queues = [self._queue(number, msix) for number in range(queues)]
        registers.write(STATUS, 7, 1)

    def reset(self):
        self.registers.write(STATUS, 0, 1)
        wait_for("reset", lambda: self.registers.read(STATUS, 1) == 0)

    def _queue(self, number, msix):
        registers = self.registers
        registers.write(QUEUE_SELECT, number, 2)
        queue = Queue(self.memory, registers.read(QUEUE_SIZE, 2))
        pfn = self.memory.dma(queue.desc) >> 12
        registers.write(QUEUE_PFN, pfn, 4)
        assert registers.read(QUEUE_PFN, 4) == pfn
        if msix:
            vector = min(number + 1, self.vf.vectors() - 1)
            registers.write(QUEUE_VECTOR, vector, 2)
            assert registers.read(QUEUE_VECTOR, 2) == vector
        return queue

    def move(self, registers):
        """What a hypervisor does of it: the function's own bits. The rest is in the device's state."""
        self.registers, self.vf = registers, registers.vf
        self.vf.master()
        self.vf.aim_vectors(self.memory.dma(self.messages))
        self.vf.msix(True)

    def kick(self):
        for number in range(len(self.queues)):
            self.registers.notify(number)

    def send(self, number, readable, writable):
        chain = self.queues[number].add(readable, writable)
        self.registers.notify(number)
        return chain

    def message(self, vector):
        return self.qemu.read(self.messages + 4 * vector, 4)


class Disk(Legacy):
    """A legacy virtio-blk driver."""

    def __init__(self, registers, memory, **options):
        super().__init__(registers, memory, 1, **options)
        self.buffer = memory.take(0x1000)

    def start(self, kind, sector, data):
        """Begin a request whose 512 bytes of data are at buffer + 0x200."""
        self.qemu.put(self.buffer, struct.pack("<IIQ", kind, 0, sector))
        self.qemu.put(self.buffer + 0x200, data)
        self.qemu.write(self.buffer + 0x100, 0xFF, 1)
        header, status = (self.buffer, 16), (self.buffer + 0x100, 1)
        body = (self.buffer + 0x200, 512)
        return self.send(0, [header, body] if kind else [header], [status] if kind else [body, status])

    def status(self):
        return self.qemu.read(self.buffer + 0x100, 1)

    def transfer(self, kind, sector, data=bytes(512)):
        self.queues[0].wait(self.start(kind, sector, data))
        assert self.status() == 0, f"request status {self.status()}"
        return self.qemu.get(self.buffer + 0x200, 512)

    def read_sector(self, sector):
        return self.transfer(0, sector)

    def write_sector(self, sector, data):
        self.transfer(1, sector, data)


class Nic(Legacy):
    """A legacy virtio-net driver without mergeable buffers: 10-byte headers."""

    HEADER = 10

    def __init__(self, registers, memory, **options):
        super().__init__(registers, memory, 2, features=1 << 5, **options)
        self.receive, self.transmit = memory.take(0x1000), memory.take(0x1000)

    def post(self):
        return self.send(0, [], [(self.receive, 2048)])

    def send_frame(self, frame):
        self.qemu.put(self.transmit, bytes(self.HEADER) + frame)
        self.queues[1].wait(self.send(1, [(self.transmit, self.HEADER + len(frame))], []))

    def received(self):
        length = self.queues[0].wait()
        return self.qemu.get(self.receive + self.HEADER, length - self.HEADER)


class Admin:
    """A modern PF driver that sets up the administration queue and nothing else."""

    def __init__(self, pf, memory, features=1 << 32 | 1 << 33 | 1 << 37 | 1 << 41, use=0x7F):
        self.pf, self.qemu, self.memory = pf, pf.qemu, memory
        self.common = pf.bar(4) + pf.virtio(1)[1]
        _, offset, _, at = pf.virtio(2)
        self.notify, self.multiplier = pf.bar(4) + offset, pf.read(at + 16, 4)
        self.negotiate(features)
        self.index = self.get(60, 2)
        self._set_up_queue()
        self.put(0x14, 15, 1)
        self.request, self.answer = memory.take(0x1000), memory.take(0x1000)
        if use:
            self.use(use)

    def get(self, offset, width):
        return self.qemu.read(self.common + offset, width)

    def put(self, offset, value, width):
        self.qemu.write(self.common + offset, value, width)

    def negotiate(self, features):
        for status in (0, 1, 3):
            self.put(0x14, status, 1)
        for word in (0, 1):
            self.put(8, word, 4)
            self.put(12, features >> 32 * word & 0xFFFFFFFF, 4)
        self.put(0x14, 11, 1)
        assert self.get(0x14, 1) & 8, "the PF refused the features"

    def offered(self):
        words = []
        for word in (0, 1):
            self.put(0, word, 4)
            words.append(self.get(4, 4))
        return words[0] | words[1] << 32

    def _set_up_queue(self):
        self.put(0x16, self.index, 2)
        self.queue = Queue(self.memory, self.get(0x18, 2))
        for offset, address in ((0x20, self.queue.desc), (0x28, self.queue.avail),
                                (0x30, self.queue.used)):
            self.put(offset, self.memory.dma(address), 4)
            self.put(offset + 4, 0, 4)
        self.put(0x1C, 1, 2)
        self.doorbell = self.notify + self.multiplier * self.get(0x1E, 2)

    def start(self, opcode, member, data, room, group=SRIOV):
        """Post a command with exactly these lengths."""
        self.qemu.put(self.request, struct.pack("<HH12xQ", opcode, group, member) + data)
        self.qemu.put(self.answer, b"\xee" * (8 + room))
        chain = self.queue.add([(self.request, 24 + len(data))], [(self.answer, 8 + room)])
        self.qemu.write(self.doorbell, self.index, 2)
        return chain

    def command(self, opcode, member, data=b"", room=0, group=SRIOV):
        """(status, qualifier, result as long as the device says)."""
        used = self.queue.wait(self.start(opcode, member, data, room, group))
        answer = self.qemu.get(self.answer, used)
        status, qualifier = struct.unpack("<HH", answer[:4])
        return status, qualifier, answer[8:]

    def use(self, opcodes, group=SRIOV):
        return self.command(LIST_USE, 0, struct.pack("<Q", opcodes), 0, group)
