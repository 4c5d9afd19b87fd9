# SPDX-License-Identifier: BSD-2-Clause
"""An old driver of virtio's legacy interface (virtio 0.9.5), over vfio-user: as a guest's, with its memory in a file."""
import struct

from client import *  # noqa: F403

PAGE = 4096
ACKNOWLEDGE, DRIVER, DRIVER_OK = 1, 2, 4
FEATURES, GUEST_FEATURES, PFN, SIZE, SELECT, NOTIFY, STATUS, ISR, CONFIG_VECTOR, QUEUE_VECTOR = (
    0, 4, 8, 12, 14, 16, 18, 19, 20, 22)
NEXT, WRITE = 1, 2
DECODE_AND_MASTER = 7


class Ring:
    """A split ring of SIZE entries at ADDRESS of a guest, which has MEMORY from address 0 on."""

    def __init__(self, memory, address, size):
        self.memory, self.address, self.size = memory, address, size
        self.available = address + 16 * size
        self.used = (self.available + 6 + 2 * size + PAGE - 1) & -PAGE
        self.end = (self.used + 6 + 8 * size + PAGE - 1) & -PAGE
        memory.map[address:self.end] = bytes(self.end - address)
        self.offered = self.seen = 0

    def offer(self, head, buffers):
        """Buffers (address, length, whether the device writes), as descriptors from HEAD on."""
        for i, (address, length, writes) in enumerate(buffers):
            flags = (WRITE if writes else 0) | (NEXT if i + 1 < len(buffers) else 0)
            struct.pack_into("<QIHH", self.memory.map, self.address + 16 * (head + i), address, length, flags, head + i + 1)
        struct.pack_into("<H", self.memory.map, self.available + 4 + 2 * (self.offered % self.size), head)
        self.offered = (self.offered + 1) & 0xffff
        struct.pack_into("<H", self.memory.map, self.available + 2, self.offered)

    def used_index(self):
        return struct.unpack_from("<H", self.memory.map, self.used + 2)[0]

    def take(self):
        """The heads and lengths of what the device has used since the last time."""
        found = []
        while self.seen != self.used_index():
            found.append(struct.unpack_from("<II", self.memory.map, self.used + 4 + 8 * (self.seen % self.size)))
            self.seen = (self.seen + 1) & 0xffff
        return found


class Function:
    """The function at the other end of CLIENT, as its driver has it."""

    def __init__(self, client, memory):
        self.client, self.memory, self.msix = client, memory, False

    def get(self, offset, width):
        return int.from_bytes(self.client.read(0, offset, width), "little")

    def put(self, offset, width, value):
        self.client.write(0, offset, value.to_bytes(width, "little"))

    def begin(self, features=0, msix=False):
        client = self.client
        client.write(CONFIG, 4, struct.pack("<H", DECODE_AND_MASTER))
        if msix:
            at = client.read(CONFIG, 0x34, 1)[0]
            while client.read(CONFIG, at, 1)[0] != 0x11:
                at = client.read(CONFIG, at + 1, 1)[0]
            client.write(CONFIG, at + 2, struct.pack("<H", 0x8000))
        self.msix = msix
        self.put(STATUS, 1, 0)
        self.put(STATUS, 1, ACKNOWLEDGE)
        self.put(STATUS, 1, ACKNOWLEDGE | DRIVER)
        self.offered = self.get(FEATURES, 4)
        self.put(GUEST_FEATURES, 4, self.offered & features)

    def ring(self, queue, address, vector=None):
        self.put(SELECT, 2, queue)
        ring = Ring(self.memory, address, self.get(SIZE, 2))
        if vector is not None:
            self.put(QUEUE_VECTOR, 2, vector)
            assert self.get(QUEUE_VECTOR, 2) == vector
        self.put(PFN, 4, address // PAGE)
        return ring

    def run(self):
        self.put(STATUS, 1, ACKNOWLEDGE | DRIVER | DRIVER_OK)

    def config(self, offset, size):
        return self.client.read(0, (24 if self.msix else 20) + offset, size)


class Disk:
    """A block device that is read and written by one request at a time, or many."""
    HEADERS, DATA = 64 * PAGE, 80 * PAGE  # in the guest's memory

    def __init__(self, client, memory, msix=False, event=None):
        self.function = Function(client, memory)
        self.memory, self.event = memory, event
        self.function.begin(msix=msix)
        self.queue = self.function.ring(0, 16 * PAGE, 1 if msix else None)
        self.function.run()
        self.sectors = struct.unpack("<Q", self.function.config(0, 8))[0]

    def offer(self, slot, kind, sector, size, data=None):
        """Request SLOT, which has descriptors 3 * SLOT.. and SIZE bytes of data at DATA + 16 KiB * SLOT."""
        header, at = self.HEADERS + 32 * slot, (self.DATA + slot * 16384 if data is None else data)
        self.memory.map[header:header + 17] = struct.pack("<IIQB", kind, 0, sector, 0xff)
        self.queue.offer(3 * slot, [(header, 16, False), (at, size, kind == 0), (header + 16, 1, True)])

    def kick(self):
        self.function.put(NOTIFY, 2, 0)

    def status(self, slot):
        return self.memory.map[self.HEADERS + 32 * slot + 16]

    def finish(self, count):
        done = []
        while len(done) < count:
            wait_for(lambda: self.queue.used_index() != self.queue.seen, "used buffer")
            done += self.queue.take()
        return done

    def one(self, kind, sector, size):
        self.offer(0, kind, sector, size)
        self.kick()
        self.finish(1)
        return self.status(0)

    def read(self, sector, size):
        assert self.one(0, sector, size) == 0
        return self.memory.map[self.DATA:self.DATA + size]

    def write(self, sector, data):
        self.memory.map[self.DATA:self.DATA + len(data)] = data
        assert self.one(1, sector, len(data)) == 0
