#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clients of portolan-vfiod that do what they should not, and the daemon as a process."""
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import unittest

from puppet import *  # noqa: F403


class Clients(Case):
    def test_one_at_a_time(self):
        with Client(self.daemon) as client:
            other = Client(self.daemon, version=None)
            self.assertEqual(other.socket.recv(1), b"")
            other.close()
            self.assertEqual(client.read(CONFIG, 0, 2), b"\xf4\x1a")
        self.works()

    def test_disappear_anywhere(self):
        """A client ends within a message, at each of its bytes; memory and handles go with it."""
        with Memory(PAGE) as memory:
            with Client(self.daemon) as client:
                whole = client.message(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, PAGE))
            for cut in range(0, len(whole) + 1, 3):
                client = Client(self.daemon)
                if cut:
                    client.send(whole[:cut], [memory.fd])
                client.close()
            self.works()

    def test_do_not_read(self):
        """One that asks and never reads the answers waits, and takes no memory; others are served after it."""
        client = Client(self.daemon)
        client.socket.setblocking(False)
        request = client.message(REGION_READ, struct.pack("<QII", 0, 1, 4096)) * 1000
        sent = 0
        try:
            while sent < 64 << 20:
                sent += client.socket.send(request)
        except BlockingIOError:
            pass
        self.assertLess(sent, 64 << 20)
        client.close()
        self.works()
        with open(f"/proc/{self.daemon.process.pid}/statm") as statm:
            self.assertLess(int(statm.read().split()[1]) * PAGE, 256 << 20)

    def test_do_not_read_interrupts(self):
        """One that does not read them is dropped when no more can be kept for it."""
        client = Client(self.daemon, (0, 1), max_fds=16, max_msg_size=1 << 20)
        client.write(1, 1032, struct.pack("<QQQ", 3, 1000000, 0))
        client.send(client.message(REGION_WRITE, struct.pack("<QIII", 1024, 1, 4, SEND_VECTOR)))
        wait_for(lambda: "does not read what it is sent" in self.daemon.said(), "end of the client")
        self.dropped(client)

    def test_hostile(self):
        """Noise, after a good beginning; the daemon lives."""
        rng = random.Random(5)
        with Memory(16 * PAGE) as memory, Event() as event:
            for _ in range(150):
                client = Client(self.daemon, (0, rng.randint(0, 1)), **rng.choice([{"max_fds": 9}, {"max_msg_fds": 9}]))
                client.socket.settimeout(LIMIT)
                try:
                    for _ in range(rng.randint(1, 12)):
                        payload = rng.randbytes(rng.choice([0, 8, 16, 20, 24, 32, 48, 300]))
                        if rng.random() < 0.7:
                            payload = b"".join(struct.pack("<I", rng.choice([0, 1, 2, 3, 4, 8, 24, 32, 36, 4096, 8192, 1 << 31]))
                                               for _ in range(len(payload) // 4))
                        size = rng.choice([None] * 6 + [rng.randint(0, 4000), rng.getrandbits(32)])
                        client.send(client.message(rng.randint(0, 20), payload, rng.choice([0, 0, 0, NO_REPLY, 1, 0x20]), size),
                                    rng.choice([(), (), [memory.fd], [event.fd] * rng.randint(1, 16)]))
                except (BrokenPipeError, ConnectionResetError):
                    pass
                client.close()
        self.works()


class Process(Case):
    def test_ends_well_and_leaves_no_socket(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Client(self.daemon) as client:
                self.daemon.process.send_signal(number)
                self.assertEqual(self.daemon.process.wait(LIMIT), 0)
                with self.assertRaises((ConnectionResetError, BrokenPipeError)):
                    client.read(CONFIG, 0, 4)
            self.assertFalse(os.path.exists(self.daemon.path))
            self.assertIn("closed", self.daemon.end())
            self.daemon = Daemon("puppet")

    def test_takes_the_place_of_one_that_was_killed(self):
        again = [BUILD / "vfiod-puppet", f"--socket-path={self.daemon.path}", "--simulated=puppet", "--seccomp=none"]
        result = subprocess.run(again, capture_output=True)
        self.assertEqual(result.returncode, 1)  # it lives
        self.works()
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.assertTrue(os.path.exists(self.daemon.path))
        self.daemon.process = subprocess.Popen(again, stderr=self.daemon.log)

        def connects():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                return probe.connect_ex(self.daemon.path) == 0
        wait_for(connects, "daemon")
        self.works()

    def test_is_given_a_socket(self):
        """By --fd: one that listens, or the client's, with which the daemon ends."""
        for listens in (True, False):
            if listens:
                path = self.daemon.path + "2"
                given = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                given.bind(path)
                given.listen()
            else:
                ours, given = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            process = subprocess.Popen([BUILD / "vfiod-puppet", f"--fd={given.fileno()}", "--simulated=puppet", "--seccomp=none"],
                                       pass_fds=[given.fileno()], stderr=subprocess.DEVNULL)
            given.close()
            client = Client.__new__(Client)
            if listens:
                client.__init__(path)
            else:
                client.socket, client.id, client.own, client.fds = ours, 0, [], []
                client.say_version((0, 0), {})
            self.assertEqual(client.read(CONFIG, 0, 4), b"\xf4\x1a\x01\x10")
            client.close()
            if listens:
                process.terminate()
            self.assertEqual(process.wait(LIMIT), 0)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main(verbosity=2)
