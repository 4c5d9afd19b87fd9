#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The simulated functions behind portolan-vfiod: an old driver's disk and network, by INTx and MSI-X, moved between
daemons, under a client that is not gentle. Once with the daemon that users have, in its sandbox, and once under ASan."""
import hashlib
import os
import random
import struct
import sys
import tempfile
import unittest

from virtio import *  # noqa: F403

GUEST = 1024 * PAGE
SECTORS = 4096


class Case(unittest.TestCase):
    program = "vfiod-checked"

    def setUp(self):
        self.image = tempfile.NamedTemporaryFile()
        self.content = bytearray(random.Random(7).randbytes(SECTORS * 512))
        self.image.write(self.content)
        self.image.flush()
        self.memory = Memory(GUEST)

    def tearDown(self):
        self.memory.close()
        self.image.close()

    def daemon(self, options=""):
        return Daemon(f"block,file={self.image.name}{options}", self.program)

    def client(self, daemon, memory=None):
        client = Client(daemon, max_msg_fds=16, migration={"pgsize": PAGE})
        client.map(0, GUEST, (memory or self.memory).fd)
        return client

    def on_disk(self):
        with open(self.image.name, "rb") as image:
            return image.read()


class Block(Case):
    def test_reads_and_writes(self):
        for options in ("", ",transport=admin", ",queue-size=16"):
            with self.daemon(options) as daemon, self.client(daemon) as client:
                disk = Disk(client, self.memory)
                self.assertEqual(disk.sectors, SECTORS)
                for sector, size in ((0, 512), (7, 4096), (SECTORS - 32, 16384)):
                    self.assertEqual(disk.read(sector, size), self.content[sector * 512:sector * 512 + size])
                data = os.urandom(8192)
                disk.write(100, data)
                self.content[100 * 512:100 * 512 + 8192] = data
                self.assertEqual(disk.read(99, 1024), self.content[99 * 512:101 * 512])
                self.assertNotEqual(disk.one(0, SECTORS, 512), 0)  # beyond its end
            self.assertEqual(self.on_disk(), self.content)

    def test_intx(self):
        with self.daemon() as daemon, self.client(daemon) as client, Event() as event:
            client.set_irqs(EVENTFD | TRIGGER, INTX, 0, 1, [event.fd])
            disk = Disk(client, self.memory)
            for i in range(20):
                disk.offer(0, 0, i, 512)
                disk.kick()
                event.wait()
                disk.finish(1)
                self.assertEqual(disk.function.get(ISR, 1), 1)
                self.assertEqual(disk.function.get(ISR, 1), 0)
                client.set_irqs(NONE | UNMASK, INTX, 0, 1)
            # Not acknowledged, it comes again when it is unmasked.
            disk.one(0, 0, 512)
            event.wait()
            client.set_irqs(NONE | UNMASK, INTX, 0, 1)
            event.wait()

    def test_msix(self):
        with self.daemon() as daemon, self.client(daemon) as client, Event() as config, Event() as queue:
            client.set_irqs(EVENTFD | TRIGGER, MSIX, 0, 2, [config.fd, queue.fd])
            disk = Disk(client, self.memory, msix=True)
            for i in range(20):
                disk.offer(0, 0, i, 512)
                disk.kick()
                queue.wait()
                disk.finish(1)
                self.assertEqual(self.memory.map[disk.DATA:disk.DATA + 512], self.content[i * 512:i * 512 + 512])
            self.assertEqual(config.count(), 0)

    def test_notified_by_handle(self):
        with self.daemon() as daemon, self.client(daemon) as client:
            answer = client.ask(IO_FDS, struct.pack("<IIII", 4096, 0, 0, 0))
            offset, size, index, kind, flags, _, match = struct.unpack_from("<QQIIIIQ", answer, 16)
            self.assertEqual((offset, size, kind, flags, match), (NOTIFY, 2, 0, 3, 0))
            handle = client.fds[index]
            disk = Disk(client, self.memory)
            disk.offer(0, 0, 5, 1024)
            os.eventfd_write(handle, 1)
            disk.finish(1)
            os.close(handle)
            self.assertEqual(self.memory.map[disk.DATA:disk.DATA + 1024], self.content[5 * 512:7 * 512])

    def test_many_at_once(self):
        rng = random.Random(8)
        with self.daemon(",queue-size=128") as daemon, self.client(daemon) as client:
            disk = Disk(client, self.memory)
            for _ in range(10):
                wanted = {}
                for slot in range(40):
                    sector, size = rng.randrange(SECTORS - 32), 512 * rng.randint(1, 32)
                    disk.offer(slot, 0, sector, size)
                    wanted[3 * slot] = (slot, sector, size)
                disk.kick()
                for head, length in disk.finish(40):
                    slot, sector, size = wanted.pop(head)
                    self.assertEqual((disk.status(slot), length), (0, size + 1))
                    at = disk.DATA + slot * 16384
                    self.assertEqual(hashlib.sha256(self.memory.map[at:at + size]).digest(),
                                     hashlib.sha256(self.content[sector * 512:sector * 512 + size]).digest())

    def test_memory_goes_during_io(self):
        """Data buffers in a map that comes and goes while requests are under way; the rings stay."""
        rng = random.Random(9)
        window = 1 << 32
        with self.daemon() as daemon, self.client(daemon) as client, Memory(16 * PAGE) as other:
            disk = Disk(client, self.memory)
            for round in range(50):
                client.map(window, 16 * PAGE, other.fd)
                for slot in range(4):
                    disk.offer(slot, 0, rng.randrange(SECTORS - 128), 4096 * rng.randint(1, 4), window + slot * 16384)
                stream = client.message(REGION_WRITE, struct.pack("<QIIH", NOTIFY, 0, 2, 0), NO_REPLY)
                client.send(stream)
                client.unmap(window, 16 * PAGE)
                disk.finish(4)
                # What is gone is an error of the request, and of nothing else.
                disk.offer(0, 0, 0, 512, window)
                disk.kick()
                disk.finish(1)
                self.assertNotEqual(disk.status(0), 0)
                self.assertEqual(disk.read(round, 512), self.content[round * 512:round * 512 + 512])

    def test_client_goes_and_another_comes(self):
        with self.daemon() as daemon:
            for i in range(5):
                with self.client(daemon) as client:
                    disk = Disk(client, self.memory)
                    disk.write(i, bytes([i]) * 512)
                    for slot in range(8):
                        disk.offer(slot, 0, slot, 512)
                    client.send(client.message(REGION_WRITE, struct.pack("<QIIH", NOTIFY, 0, 2, 0)))
            with self.client(daemon) as client:
                self.assertEqual(Disk(client, self.memory).read(0, 2560), b"".join(bytes([i]) * 512 for i in range(5)))

    def test_memory_is_taken_away_during_io(self):
        """The client cuts its memory off below rings, headers and data: it is dropped, and others are served."""
        for left in (0, 16 * PAGE, 17 * PAGE, 64 * PAGE, 80 * PAGE, 82 * PAGE):
            with self.daemon() as daemon, Memory(GUEST) as memory:
                client = self.client(daemon, memory)
                disk = Disk(client, memory)
                for slot in range(4):
                    disk.offer(slot, slot % 2, 2000 + 64 * slot, 16384)
                os.ftruncate(memory.fd, left)
                client.send(client.message(REGION_WRITE, struct.pack("<QIIH", NOTIFY, 0, 2, 0)))
                if left < 80 * PAGE:  # else it is the kernel that finds nothing there: an error of the request
                    with self.assertRaises(ConnectionResetError):
                        while True:
                            client.read_message()
                else:
                    client.answer()
                client.close()
                with self.client(daemon) as client:
                    client.ask(RESET)
                    self.assertEqual(Disk(client, self.memory).read(0, 512), self.content[:512])

    def test_rings_that_make_no_sense(self):
        """A hostile guest; the daemon's client finds a function that works after a reset."""
        rng = random.Random(10)
        with self.daemon() as daemon:
            for _ in range(60):
                with self.client(daemon) as client:
                    client.ask(RESET)
                    disk = Disk(client, self.memory)
                    for at in range(disk.queue.address, disk.queue.address + 64 * 16, 4):
                        value = rng.choice([0, 1, 2, 3, 4, 7, 16 * PAGE, GUEST - 1, GUEST, 1 << 31, rng.getrandbits(32)])
                        struct.pack_into("<I", self.memory.map, at, value)
                    for at in range(disk.queue.available, disk.queue.available + 64, 2):
                        struct.pack_into("<H", self.memory.map, at, rng.choice([0, 1, 2, 5, 255, 256, 65535]))
                    disk.kick()
                    for _ in range(30):
                        disk.function.put(rng.randrange(24), rng.choice([1, 2, 4]), rng.getrandbits(8))
            with self.client(daemon) as client:
                client.ask(RESET)
                self.assertEqual(Disk(client, self.memory).read(0, 512), self.content[:512])


class Move(Case):
    def dirty_copy(self, client, pages, other):
        """What a VMM does with the pages that the log names: copy them."""
        for page in pages:
            other.map[page * PAGE:(page + 1) * PAGE] = self.memory.map[page * PAGE:(page + 1) * PAGE]

    def test_to_another_daemon(self):
        """A disk goes to another process in the middle of its work, with what its DMA wrote as its log tells; between
        both transports, by each ABI of the device."""
        for here, there in (("", ""), (",abi=2021", ",abi=2021"), (",transport=admin", ""),
                            (",abi=2021", ",abi=2021,transport=admin")):
            with self.daemon(here) as source, self.daemon(there) as target, Memory(GUEST) as other, Event() as event:
                with self.client(source) as client, self.client(target, other) as next_client:
                    client.set_irqs(EVENTFD | TRIGGER, INTX, 0, 1, [event.fd])
                    disk = Disk(client, self.memory)
                    disk.write(1000, b"before" + bytes(506))
                    client.set_state(PRE_COPY)
                    client.feature(SET | 6, struct.pack("<QII", PAGE, 0, 0))
                    other.map[:] = self.memory.map[:]
                    data = disk.read(40, 16384)
                    dirty = client.dirty(0, GUEST)
                    self.assertTrue({(disk.DATA // PAGE) + i for i in range(4)} <= set(dirty), dirty)
                    stream = client.save()
                    client.set_state(STOP_COPY)
                    stream += client.save()
                    dirty += client.dirty(0, GUEST)
                    # The guest's CPU wrote these, which is not the function's to tell.
                    cpu = range(disk.HEADERS // PAGE, disk.HEADERS // PAGE + 1), range(16, disk.queue.used // PAGE)
                    self.dirty_copy(client, {*dirty, *cpu[0], *cpu[1]}, other)
                    self.assertEqual(other.map[disk.DATA:disk.DATA + 16384], data)
                    next_client.set_state(RESUMING)
                    next_client.load(stream, 500)
                    next_client.set_state(RUNNING)
                    disk.function.client, disk.function.memory, disk.memory, disk.queue.memory = (
                        next_client, other, other, other)
                    self.assertEqual(disk.read(1000, 512), b"before" + bytes(506))
                    disk.write(2000, b"after" + bytes(507))
                    # The source goes on from where it was stopped if it has to.
                    client.set_state(RUNNING)
                    self.assertEqual(client.state(), RUNNING)

    def test_what_does_not_fit_is_refused(self):
        """A state is refused by a function that is another, and by one whose bytes were changed; the source goes on."""
        with self.daemon() as source, self.client(source) as client:
            disk = Disk(client, self.memory)
            client.set_state(STOP_COPY)
            stream = client.save()
            client.set_state(RUNNING)
            self.assertEqual(disk.read(3, 512), self.content[3 * 512:4 * 512])
        damaged = bytearray(stream)
        damaged[len(damaged) // 2] ^= 1
        for options, state in ((",queue-size=64", stream), ("", bytes(damaged)), ("", stream[:-8]), ("", stream[:9])):
            with self.subTest(options, size=len(state)), self.daemon(options) as target, self.client(target) as client:
                client.set_state(RESUMING)
                with self.assertRaises(Refused):
                    client.load(state)
                    client.set_state(RUNNING)
                client.ask(RESET)
                self.assertEqual(client.state(), RUNNING)
                self.assertEqual(Disk(client, self.memory).read(3, 512), self.content[3 * 512:4 * 512])


class FarDisk(Disk):
    def finish(self, count):
        done = []

        def some():
            self.function.client.pump()
            done.extend(self.queue.take())
            return len(done) >= count
        wait_for(some, "used buffers")
        return done


class Far(Case):
    """Memory without a handle, or some of it."""

    def far_client(self, daemon, near=0, **capabilities):
        client = FarClient(daemon, max_msg_fds=16, **capabilities)
        client.memory = self.memory.map
        if near:
            client.map(0, near, self.memory.fd)
        client.map(near, GUEST - near)
        return client

    def test_reads_and_writes(self):
        data = os.urandom(8192)
        # All of it; only the data; messages that are short.
        for near, limits in ((0, {}), (Disk.DATA, {}), (0, {"max_data_xfer_size": 1000})):
            with self.daemon() as daemon, self.far_client(daemon, near, **limits) as client, Event() as queue:
                client.set_irqs(EVENTFD | TRIGGER, MSIX, 1, 1, [queue.fd])
                disk = FarDisk(client, self.memory, msix=True)
                for sector, size in ((0, 512), (7, 4096), (SECTORS - 32, 16384)):
                    self.assertEqual(disk.read(sector, size), self.content[sector * 512:sector * 512 + size], (near, limits, sector))
                    client.read(CONFIG, 0, 4)  # what it asked for last is answered
                    queue.wait()
                disk.write(100, data)
                self.content[100 * 512:100 * 512 + 8192] = data
                self.assertEqual(disk.read(99, 1024), self.content[99 * 512:101 * 512])
                most = 16 + limits.get("max_data_xfer_size", 64 << 10)
                self.assertTrue(all(len(payload) <= most for _, payload in client.own))
            self.assertEqual(self.on_disk(), self.content)

    def test_many_at_once(self):
        with self.daemon(",queue-size=128") as daemon, self.far_client(daemon) as client:
            disk = FarDisk(client, self.memory)
            for slot in range(40):
                disk.offer(slot, 0, 8 * slot, 4096)
            disk.kick()
            self.assertEqual([head for head, _ in disk.finish(40)], [3 * slot for slot in range(40)])
            for slot in range(40):
                at = disk.DATA + slot * 16384
                self.assertEqual(self.memory.map[at:at + 4096], self.content[4096 * slot:4096 * (slot + 1)])

    def test_a_client_that_does_not_answer(self):
        """It has one message, and all else works; the next client has the function."""
        with self.daemon() as daemon:
            with self.far_client(daemon) as client:
                disk = FarDisk(client, self.memory)
                client.silent = True
                disk.offer(0, 0, 5, 512)
                disk.kick()
                for _ in range(100):
                    self.assertEqual(client.read(CONFIG, 0, 2), b"\xf4\x1a")
                    disk.kick()
                wait_for(lambda: client.read(CONFIG, 0, 2) and client.own, "message")
                self.assertEqual(len(client.own), 1)
                client.ask(RESET)
            with self.client(daemon) as client:
                self.assertEqual(Disk(client, self.memory).read(5, 512), self.content[5 * 512:6 * 512])
        daemon = self.daemon()
        with self.far_client(daemon) as client:
            disk = FarDisk(client, self.memory)
            client.silent = True
            disk.offer(0, 0, 5, 512)
            disk.kick()
            wait_for(lambda: client.pump() or client.own, "message")
            daemon.end()  # with the message not answered


    def test_memory_goes_during_io(self):
        """Under a message that is not answered yet: the answer comes, or an error, or none; a reset ends it."""
        for ending in ("answer", "error", "none"):
            with self.daemon() as daemon, self.far_client(daemon) as client:
                disk = FarDisk(client, self.memory)
                client.silent = True
                disk.offer(0, 0, 5, 512)
                disk.kick()
                wait_for(lambda: client.pump() or client.own, "message")
                command, payload = client.own[-1]
                client.unmap(0, GUEST)
                client.silent = False
                if ending == "answer":
                    client.obey(client.own_id, command, payload)
                elif ending == "error":
                    client.socket.sendall(struct.pack("<HHIII", client.own_id, command, 16, 0x21, 14))
                self.assertEqual(client.read(CONFIG, 0, 2), b"\xf4\x1a")
                client.ask(RESET)
                client.map(0, GUEST)
                if ending == "none":
                    client.obey(client.own_id, command, payload)
                self.assertEqual(FarDisk(client, self.memory).read(5, 512), self.content[5 * 512:6 * 512])


class Released(Block):
    """All of it with the daemon that is installed, in its sandbox."""
    program = "portolan-vfiod"


class ReleasedFar(Far):
    program = "portolan-vfiod"


class ReleasedMove(Move):
    program = "portolan-vfiod"


class Sandbox(unittest.TestCase):
    def test_kernel_holds_it(self):
        with tempfile.NamedTemporaryFile() as image:
            image.truncate(SECTORS * 512)
            with Daemon(f"block,file={image.name}", "portolan-vfiod") as daemon, Client(daemon):
                with open(f"/proc/{daemon.process.pid}/status") as status:
                    fields = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
                self.assertEqual((fields["Seccomp"], fields["NoNewPrivs"]), ("2", "1"))


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main(verbosity=2)
