#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""portolan-vfiod's protocol over its socket, with the function of puppet.c behind it: each message, pieces, handles,
memory, limits."""
import errno
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest

from puppet import *  # noqa: F403


class Messages(Case):
    def test_version(self):
        with Client(self.daemon, version=None) as client:
            said = client.say_version((0, 0), {"max_msg_fds": 16, "write_multiple": True, "migration": {"pgsize": 4096}})
            self.assertEqual(said, {"max_msg_fds": 16, "max_data_xfer_size": 1 << 20, "max_dma_maps": 65535,
                                    "pgsizes": 4096, "write_multiple": True, "migration": {"pgsize": 4096}})
        with Client(self.daemon, version=None) as client:
            self.refused(errno.EOPNOTSUPP, client.say_version, (1, 0), {})
            self.dropped(client)
        with Client(self.daemon, version=None) as client:
            self.refused(errno.EINVAL, client.ask, GET_INFO, struct.pack("<IIII", 16, 0, 0, 0))
            self.dropped(client)

    def test_information(self):
        with Client(self.daemon) as client:
            self.assertEqual(struct.unpack("<IIII", client.ask(GET_INFO, struct.pack("<IIII", 16, 0, 0, 0))), (16, 3, 9, 5))
            sizes = [client.region_info(i)[0][4] for i in range(9)]
            self.assertEqual(sizes, [64, 4096, 16384, 0, 0, 0, 0, 256, 0])
            counts = [struct.unpack("<IIII", client.ask(IRQ_INFO, struct.pack("<IIII", 16, 0, i, 0)))[3] for i in range(5)]
            self.assertEqual(counts, [1, 0, 40, 0, 0])
            self.refused(errno.EINVAL, client.region_info, 9)
            self.refused(errno.EOPNOTSUPP, client.ask, 77)

    def test_region_that_can_be_mapped(self):
        with Client(self.daemon) as client:
            (argsz, flags, _, cap, size, _), answer = client.region_info(2)
            self.assertEqual((argsz, flags, cap, size), (80, 15, 32, 16384))
            self.assertEqual(struct.unpack_from("<HHIII4Q", answer, 32), (1, 1, 0, 2, 0, 0, 4096, 8192, 8192))
            self.assertEqual(len(client.fds), 1)
            self.assertEqual(os.fstat(client.fds[0]).st_size, 16384)
            os.close(client.fds[0])
            self.assertEqual(client.region_info(2, 32)[0][0], 80)
            self.assertEqual(client.fds, [])

    def test_reads_and_writes(self):
        with Client(self.daemon) as client:
            data = bytes(range(256)) * 4
            client.write(1, 0, data)
            self.assertEqual(client.read(1, 3, 1000), data[3:1003])
            self.refused(errno.EINVAL, client.read, 1, 4000, 97)
            self.refused(errno.EINVAL, client.read, 1, 1 << 63, 1)
            self.refused(errno.EINVAL, client.write, 1, 4096, b"x")
            many = b"".join(struct.pack("<QIIQ", i, 0, 1, 0) for i in range(60))
            self.assertEqual(client.ask(WRITE_MULTI, struct.pack("<Q", 60) + many), struct.pack("<Q", 60))
            self.assertEqual(client.read(0, 0, 64), b"\1" * 60 + b"\0" * 4)
            self.assertTrue(order(client, FAIL, 10))
            self.refused(errno.EIO, client.read, 0, 0, 1)
            client.ask(RESET)
            self.assertEqual(client.read(0, 0, 64), bytes(64))

    def test_pieces_of_messages(self):
        rng = random.Random(1)
        with Client(self.daemon) as client:
            stream, wanted = b"", []
            for i in range(200):
                payload = struct.pack("<QII", i % 60, 0, 1)
                if i % 3 == 0:
                    stream += client.message(REGION_WRITE, payload + b"x", NO_REPLY)
                else:
                    stream += client.message(REGION_READ, payload)
                    wanted.append(client.id)
            while stream:  # cut anywhere
                cut = rng.randint(1, 40)
                client.socket.sendall(stream[:cut])
                stream = stream[cut:]
            for identity in wanted:
                client.answer(identity)
            writes = [sum(1 for i in range(200) if i % 3 == 0 and i % 60 == at) for at in range(64)]
            self.assertEqual(list(client.read(0, 0, 64)), writes)

    def test_too_long(self):
        with Client(self.daemon) as client:
            client.send(client.message(REGION_WRITE, bytes(3 << 20)))
            self.refused(errno.E2BIG, client.answer)
            self.assertEqual(client.read(CONFIG, 0, 2), b"\xf4\x1a")
            client.send(client.message(REGION_WRITE, size=15))
            self.dropped(client)

    def test_command_line(self):
        for options, code in ((["--help"], 0), (["--version"], 0), (["--print-capabilities"], 0), ([], 1), (["--fd=3"], 1),
                              (["--fd=x", "--simulated=puppet"], 1), (["--fd=0", "--simulated=puppet"], 1),
                              (["--socket-path=/x/y/z", "--simulated=puppet"], 1), (["--nonsense"], 1), (["word"], 1),
                              (["--socket-path=a", "--simulated=wrong"], 1), (["--protocol=2022"], 1),
                              (["--socket-path=a", "--fd=0", "--simulated=puppet"], 1),
                              (["--socket-path=" + "a" * 200, "--simulated=puppet"], 1),
                              (["--socket-path=a", "--simulated=puppet", "--simulated=puppet"], 1)):
            result = subprocess.run([BUILD / "vfiod-puppet", *options], capture_output=True, stdin=subprocess.DEVNULL)
            self.assertEqual(result.returncode, code, options)
            self.assertTrue(result.stdout if code == 0 else result.stderr, options)
            if options == ["--print-capabilities"]:
                said = json.loads(result.stdout)
                self.assertEqual(said["protocols"]["today"]["capabilities"]["max_msg_fds"], 16)


class Handles(Case):
    def test_notifications(self):
        with Client(self.daemon) as client:
            argsz = struct.unpack_from("<IIII", client.ask(IO_FDS, struct.pack("<IIII", 16, 0, 0, 0)))
            self.assertEqual((argsz[0], argsz[3], client.fds), (16 + 16 * 40, 16, []))  # as many as one message has
            answer = client.ask(IO_FDS, struct.pack("<IIII", 4096, 0, 0, 0))
            self.assertEqual(len(client.fds), 16)
            for i in range(16):
                self.assertEqual(struct.unpack_from("<QQIIIIQ", answer, 16 + i * 40), (16, 2, i, 0, 3, 0, i))
                os.eventfd_write(client.fds[i], 1)
            wait_for(lambda: struct.unpack("<I", client.read(1, 1056, 4))[0] == 16, "kicks")
            for fd in client.fds:
                os.close(fd)

    def test_intx(self):
        with Client(self.daemon) as client, Event() as event, Event() as unmask:
            client.set_irqs(EVENTFD | TRIGGER, INTX, 0, 1, [event.fd])
            order(client, SET_INTX, 1)
            self.assertEqual(event.count(), 1)
            order(client, SET_INTX, 0)
            order(client, SET_INTX, 1)
            self.assertEqual(event.count(), 0)  # masked
            client.set_irqs(NONE | UNMASK, INTX, 0, 1)
            self.assertEqual(event.count(), 1)
            client.set_irqs(EVENTFD | UNMASK, INTX, 0, 1, [unmask.fd])
            os.eventfd_write(unmask.fd, 1)
            self.assertEqual(event.wait(), 1)
            order(client, SET_INTX, 0)
            client.set_irqs(NONE | TRIGGER, INTX, 0, 0)
            order(client, SET_INTX, 1)
            self.assertEqual(event.count(), 0)

    def test_an_unmask_handle_that_is_none(self):
        for make in (lambda: os.open("/dev/zero", os.O_RDONLY), lambda: os.open("/dev/null", os.O_RDONLY),
                     lambda: os.memfd_create("none")):
            with Client(self.daemon) as client, Event() as event:
                fd = make()
                client.set_irqs(EVENTFD | TRIGGER, INTX, 0, 1, [event.fd])
                client.set_irqs(EVENTFD | UNMASK, INTX, 0, 1, [fd])
                os.close(fd)
                client.read(CONFIG, 0, 4)
        self.works()

    def test_vectors(self):
        with Client(self.daemon) as client:
            events = [Event(blocking=i % 2 == 1) for i in range(40)]
            for start in range(0, 40, 16):
                some = [event.fd for event in events[start:start + 16]]
                client.set_irqs(EVENTFD | TRIGGER, MSIX, start, len(some), some)
            for i in range(40):
                self.assertTrue(order(client, SEND_VECTOR, i))
                self.assertEqual([event.count() for event in events], [int(k == i) for k in range(40)])
            client.set_irqs(EVENTFD | TRIGGER, MSIX, 5, 1)  # de-assigned
            self.assertFalse(order(client, SEND_VECTOR, 5))
            client.set_irqs(BOOL | TRIGGER, MSIX, 4, 3, data=b"\1\1\1")
            self.assertEqual([events[i].count() for i in (4, 5, 6)], [1, 0, 1])
            client.set_irqs(NONE | TRIGGER, MSIX, 0, 0)
            self.assertFalse(order(client, SEND_VECTOR, 6))
            for event in events:
                event.close()

    def test_signals_that_would_wait(self):
        """An eventfd that is full and would block, and a pipe that is."""
        with Client(self.daemon) as client, Event(blocking=True) as event:
            os.eventfd_write(event.fd, (1 << 64) - 2)
            reader, writer = os.pipe()
            os.set_blocking(writer, False)
            try:
                while True:
                    os.write(writer, bytes(4096))
            except BlockingIOError:
                os.set_blocking(writer, True)
            client.set_irqs(EVENTFD | TRIGGER, MSIX, 0, 2, [event.fd, writer])
            os.close(writer)
            order(client, SEND_VECTOR, 0)
            order(client, SEND_VECTOR, 1)
            os.close(reader)
            order(client, SEND_VECTOR, 1)  # nobody can read it any more
            self.assertEqual(client.read(CONFIG, 0, 2), b"\xf4\x1a")

    def test_each_is_closed_once(self):
        """However a message with handles ends, the daemon has as many as before."""
        folder = f"/proc/{self.daemon.process.pid}/fd"
        with Client(self.daemon) as client, Event() as event, Memory(PAGE) as memory:
            before = len(os.listdir(folder))
            for _ in range(20):
                self.refused(errno.EINVAL, client.ask, GET_INFO, struct.pack("<IIII", 16, 0, 0, 0), [event.fd] * 3)
                self.refused(errno.EINVAL, client.set_irqs, EVENTFD | TRIGGER, MSIX, 0, 3, [event.fd] * 2)
                self.refused(errno.EINVAL, client.map, 1, PAGE, memory.fd)
                self.refused(errno.EOPNOTSUPP, client.ask, 99, b"", [event.fd] * 16)
                client.map(0, PAGE, memory.fd)
                self.refused(errno.EEXIST, client.map, 0, PAGE, memory.fd)
                client.unmap(0, PAGE)
                client.set_irqs(EVENTFD | TRIGGER, MSIX, 0, 16, [event.fd] * 16)
                client.set_irqs(EVENTFD | TRIGGER, MSIX, 0, 16, [event.fd] * 16)
                client.set_irqs(NONE | TRIGGER, MSIX, 0, 0)
                client.send(client.message(GET_INFO, b"", NO_REPLY), [event.fd])
                client.send(client.message(REGION_WRITE, bytes(2 << 20)), [event.fd] * 8)
                self.refused(errno.E2BIG, client.answer)
            self.assertEqual(len(os.listdir(folder)), before)
            client.set_irqs(EVENTFD | TRIGGER, MSIX, 0, 16, [event.fd] * 16)
            client.map(0, PAGE, memory.fd)
        wait_for(lambda: len(os.listdir(folder)) == before - 1, "end of the client's handles")

    def test_too_many(self):
        with Client(self.daemon) as client, Event() as event:
            client.send(client.message(SET_IRQS, struct.pack("<IIIII", 20, 36, MSIX, 0, 17)), [event.fd] * 17)
            self.dropped(client)


class Dma(Case):
    def test_copies(self):
        with Client(self.daemon) as client, Memory(16 * PAGE) as memory:
            client.map(0, 4 * PAGE, memory.fd)
            client.map(1 << 40, 4 * PAGE, memory.fd, 8 * PAGE)
            memory.map[100:105] = b"hello"
            self.assertTrue(order(client, COPY, 100, (1 << 40) + 7, 5))
            self.assertEqual(memory.map[8 * PAGE + 7:8 * PAGE + 12], b"hello")
            for arguments in ((0, 4 * PAGE - 1, 2), (4 * PAGE, 0, 1), (0, 5 * PAGE, 1), (0, (1 << 64) - 1, 2),
                              (0, 1 << 41, 1), ((1 << 40) - 1, 0, 1), (0, 0, 1 << 63), (0, 0, 0)):
                self.assertFalse(order(client, COPY, *arguments), arguments)
            self.assertTrue(order(client, RUN, 3 * PAGE, 9 * PAGE, 0))
            self.assertEqual(struct.unpack("<Q", client.read(1, 0, 8))[0], PAGE)
            client.unmap(0, 4 * PAGE)
            self.assertFalse(order(client, COPY, 0, 1 << 40, 1))
            client.unmap(0, 0, 2)
            self.assertFalse(order(client, COPY, 1 << 40, 1 << 40, 1))

    def test_permissions(self):
        with Client(self.daemon) as client, Memory(4 * PAGE) as memory:
            client.map(0, PAGE, memory.fd, 0, 1)
            client.map(PAGE, PAGE, memory.fd, PAGE, 2)
            client.map(2 * PAGE, PAGE)  # by messages only
            self.assertTrue(order(client, COPY, 0, PAGE, 8))
            self.assertFalse(order(client, COPY, 0, 8, 8))
            self.assertFalse(order(client, COPY, PAGE, PAGE + 8, 8))
            self.assertFalse(order(client, COPY, 0, 2 * PAGE, 8))
            # A file that may only be read is only read.
            with tempfile.NamedTemporaryFile() as file:
                file.truncate(PAGE)
                with open(file.name, "rb") as again:
                    self.refused(errno.EINVAL, client.map, 8 * PAGE, PAGE, again.fileno())
                    client.map(8 * PAGE, PAGE, again.fileno(), 0, 1)
            self.assertTrue(order(client, COPY, 8 * PAGE, PAGE, 8))

    def test_wrong_maps(self):
        with Client(self.daemon) as client, Memory(4 * PAGE) as memory, Event() as event:
            reader, writer = os.pipe()
            for fd in (event.fd, reader, writer, client.socket.fileno()):
                self.refused(errno.EINVAL, client.map, 0, PAGE, fd)
            self.refused(errno.EINVAL, client.map, 0, 5 * PAGE, memory.fd)
            self.refused(errno.EINVAL, client.map, 0, PAGE, memory.fd, 4 * PAGE)
            self.refused(errno.EINVAL, client.map, 0, PAGE, memory.fd, 0, 0)
            self.refused(errno.ENOENT, client.unmap, 0, PAGE)
            # Where the function's DMA cannot go.
            self.refused(errno.EINVAL, client.map, 0xfee00000, PAGE, memory.fd)
            self.refused(errno.ENOENT, client.unmap, 0xfee00000, PAGE)
            os.close(reader)
            os.close(writer)

    def test_all_maps_that_there_may_be(self):
        """65,535 pages of one file, in an order that is none; one more is refused, and unmapping any makes room."""
        pages = list(range(65535))
        random.Random(3).shuffle(pages)
        with Client(self.daemon) as client, Memory(65536 * PAGE) as memory:
            for at in range(0, len(pages), 500):
                some = pages[at:at + 500]
                for page in some:
                    client.send(client.message(DMA_MAP, struct.pack("<IIQQQ", 32, 3, page * PAGE, 2 * page * PAGE, PAGE),
                                               NO_REPLY if page != some[-1] else 0), [memory.fd])
                client.answer()
            self.refused(errno.ENOSPC, client.map, 1 << 50, PAGE, memory.fd)
            memory.map[65534 * PAGE:65534 * PAGE + 4] = b"last"
            self.assertTrue(order(client, COPY, 2 * 65534 * PAGE, 2 * 7 * PAGE, 4))
            self.assertEqual(memory.map[7 * PAGE:7 * PAGE + 4], b"last")
            client.unmap(2 * 77 * PAGE, PAGE)
            client.map(1 << 50, PAGE, memory.fd)
        self.works()

    def test_memory_that_is_taken_away(self):
        """The client's file is cut off below what is mapped: its connection ends, nothing else."""
        with Memory(16 * PAGE) as memory:
            client = Client(self.daemon)
            client.map(0, 16 * PAGE, memory.fd)
            os.ftruncate(memory.fd, PAGE)
            client.send(client.message(REGION_WRITE, struct.pack("<QII3Q", 1032, 1, 24, 8 * PAGE, 4 * PAGE, 100)))
            client.answer()
            client.send(client.message(REGION_WRITE, struct.pack("<QIII", 1024, 1, 4, COPY)))
            self.dropped(client)
            self.assertIn("took away memory", self.daemon.said())

    def test_log(self):
        with Client(self.daemon, max_msg_fds=8, migration={"pgsize": 4096}) as client, Memory(300 * PAGE) as memory:
            client.map(0, 200 * PAGE, memory.fd)
            self.refused(errno.EBUSY, client.dirty, 0, 200 * PAGE)
            client.feature(SET | 6, struct.pack("<QII", 4096, 0, 0))
            client.map(200 * PAGE, 100 * PAGE, memory.fd, 200 * PAGE)
            self.assertEqual(client.dirty(0, 300 * PAGE), [])
            for page in (0, 1, 63, 64, 199, 200, 299):
                self.assertTrue(order(client, COPY, 0, page * PAGE + 5, 3))
            self.assertTrue(order(client, COPY, 0, 100 * PAGE - 1, 2))  # two pages
            self.assertEqual(client.dirty(64 * PAGE, 128 * PAGE), [0, 35, 36])
            self.assertEqual(client.dirty(0, 300 * PAGE, 4 * PAGE), [0, 15, 49, 50, 74])
            self.assertEqual(client.dirty(0, 300 * PAGE), [])
            client.feature(SET | 7)
            self.refused(errno.EBUSY, client.feature, SET | 7)
            # Only what was asked for.
            client.feature(SET | 6, struct.pack("<QIIQQ", 4096, 1, 0, 0, 200 * PAGE))
            self.assertTrue(order(client, COPY, 0, 199 * PAGE, 3))
            self.assertTrue(order(client, COPY, 0, 250 * PAGE, 3))
            self.assertEqual(client.dirty(0, 300 * PAGE), [199])
        self.works()


class Migration(Case):
    def test_another_daemon_goes_on(self):
        data = bytes(random.Random(2).randbytes(1023)) + b"\0"
        with Client(self.daemon) as source, Daemon("puppet") as other, Client(other) as target:
            self.assertEqual(struct.unpack("<Q", source.feature(GET | 1, argsz=16))[0], 5)
            source.write(1, 0, data)
            self.assertEqual(source.state(), RUNNING)
            source.set_state(PRE_COPY)
            self.assertEqual(source.save(), b"")
            self.assertEqual(len(source.ask(PRECOPY_INFO, struct.pack("<IIQQ", 24, 0, 0, 0))), 24)
            source.set_state(STOP_COPY)
            self.refused(errno.EINVAL, source.set_state, PRE_COPY)
            stream = source.save(100)
            target.set_state(RESUMING)
            target.load(stream, 77)
            target.set_state(RUNNING)
            self.assertEqual(target.read(1, 0, 1024), data)

    def test_a_bad_state(self):
        with Client(self.daemon) as client:
            client.set_state(RESUMING)
            client.load(b"short")
            self.refused(errno.EINVAL, client.set_state, RUNNING)
            self.assertEqual(client.state(), RESUMING)
            client.load(b"x" * 1018 + b"\xee")
            self.refused(errno.EINVAL, client.set_state, STOP)
            client.ask(RESET)
            self.assertEqual(client.state(), RUNNING)
            client.set_state(RESUMING)
            client.load(b"\xee" * 1024)
            self.refused(errno.EINVAL, client.set_state, RUNNING)
            self.assertEqual(client.state(), 0)  # ERROR
            self.refused(errno.EBUSY, client.set_state, RUNNING)
            client.ask(RESET)
            self.assertEqual(client.state(), RUNNING)


class Of2021(Case):
    def client(self):
        return Client(self.daemon, (0, 1), max_fds=16, max_msg_size=1 << 20, migration={"pgsize": 4096})

    def test_tables_and_dirty_pages(self):
        with self.client() as client, Memory(64 * PAGE) as memory:
            self.assertEqual(client.capabilities, {"max_fds": 16, "max_msg_size": (1 << 20) + 256,
                                                   "migration": {"pgsize": 4096}})
            table = struct.pack("<QQQIIQQQII", 0, 32 * PAGE, 0, 3, 1, 32 * PAGE, 32 * PAGE, 32 * PAGE, 3, 1)
            client.ask(DMA_MAP, table, [memory.fd, memory.fd])
            client.ask(V2021_DIRTY, struct.pack("<II", 8, 1))
            self.assertTrue(order(client, COPY, 0, 33 * PAGE, 4))
            got = client.ask(V2021_DIRTY, struct.pack("<IIQQQQQ", 48, 4, 0, 64 * PAGE, PAGE, 8, 0))
            self.assertEqual(struct.unpack("<QQQQ", got), (PAGE, 8, 0, 1 << 33))
            self.assertTrue(order(client, COPY, 0, 2 * PAGE, 4))
            entry = struct.pack("<QQQIIQQQ", 0, 32 * PAGE, 0, 3, 1, PAGE, 8, 0)
            got = client.ask(DMA_UNMAP, entry)
            self.assertEqual(got, entry + struct.pack("<Q", 1 << 2))
            self.assertFalse(order(client, COPY, 0, 33 * PAGE, 4))
            client.ask(V2021_DIRTY, struct.pack("<II", 8, 2))

    def test_parts_of_maps_are_unmapped(self):
        """What is left of a map shows the same memory as before, and what was written there is still known."""
        def unmap(page, pages):
            client.ask(DMA_UNMAP, struct.pack("<QQQII", page * PAGE, pages * PAGE, 0, 3, 0))

        def dirty():
            got = client.ask(V2021_DIRTY, struct.pack("<IIQQQQQ", 48, 4, 0, 64 * PAGE, PAGE, 8, 0))
            return [page for page in range(64) if int.from_bytes(got[24:], "little") >> page & 1]

        with self.client() as client, Memory(64 * PAGE) as memory:
            for page in range(64):
                memory.map[page * PAGE] = page
            client.ask(DMA_MAP, struct.pack("<QQQII", 0, 64 * PAGE, 0, 3, 1), [memory.fd])
            client.ask(V2021_DIRTY, struct.pack("<II", 8, 1))
            for page in (1, 9, 30, 40, 63):
                self.assertTrue(order(client, COPY, 5 * PAGE, page * PAGE + 1, 1))
            unmap(20, 2)  # of the middle
            unmap(0, 8)   # the beginning
            unmap(56, 8)  # the end
            self.refused(errno.ENOENT, unmap, 7, 2)
            self.refused(errno.ENOENT, unmap, 19, 4)
            self.assertEqual(dirty(), [9, 30, 40])
            last = memory.map[30 * PAGE]
            for page, there in ((7, False), (8, True), (19, True), (20, False), (21, False), (22, True), (55, True), (56, False)):
                self.assertEqual(order(client, COPY, page * PAGE, 30 * PAGE, 1), there, page)
                last = page if there else last
                self.assertEqual(memory.map[30 * PAGE], last)
            self.assertFalse(order(client, COPY, 20 * PAGE - 1, 30 * PAGE, 2))
            self.assertTrue(order(client, COPY, 8 * PAGE, 19 * PAGE + 1, 1))
            self.assertEqual(dirty(), [19, 30])
            unmap(8, 12)
            unmap(22, 34)
            self.refused(errno.ENOENT, unmap, 22, 1)
        self.works()

    def test_interrupts_are_messages(self):
        with self.client() as client, Event() as event:
            self.assertTrue(order(client, SEND_VECTOR, 9))
            self.assertEqual(client.own, [(V2021_INTERRUPT, struct.pack("<I", 9))])
            client.set_irqs(EVENTFD | TRIGGER, MSIX, 9, 1, [event.fd])
            self.assertTrue(order(client, SEND_VECTOR, 9))
            self.assertEqual((len(client.own), event.count()), (1, 1))
            client.ask(V2021_RESET)

    def test_as_much_as_a_message_may_have(self):
        with self.client() as client:
            client.write(MIGRATION, 0, struct.pack("<I", 4))
            client.write(MIGRATION, 4096, bytes(1 << 20))
            self.refused(errno.EINVAL, client.write, MIGRATION, 4096, bytes((1 << 20) + 1))
            self.refused(errno.E2BIG, client.write, MIGRATION, 4096, bytes((1 << 20) + 300))

    def test_migration_region(self):
        def number(offset, size=8):
            return int.from_bytes(client.read(MIGRATION, offset, size), "little")

        data = bytes(random.Random(4).randbytes(1023)) + b"\0"
        stream, sizes = b"", []
        with self.client() as client:
            client.write(1, 0, data)
            client.write(MIGRATION, 0, struct.pack("<I", 2))
            while number(8):
                at = number(16)
                sizes.append(number(24))
                stream += client.read(MIGRATION, at, sizes[-1])
            client.write(MIGRATION, 0, struct.pack("<I", 1))
            client.write(1, 0, bytes(1024))
            client.write(MIGRATION, 0, struct.pack("<I", 4))
            for size in sizes:
                client.write(MIGRATION, number(16), stream[:size])
                client.write(MIGRATION, 24, struct.pack("<Q", size))
                stream = stream[size:]
            client.write(MIGRATION, 0, struct.pack("<I", 1))
            self.assertEqual(client.read(1, 0, 1024), data)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main(verbosity=2)
