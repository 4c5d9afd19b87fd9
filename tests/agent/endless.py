#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sources that talk without end: records that are none of the VM's, the same ones again and again, nothing in them, or bytes that
trickle. A target gives each of them up, says why, and takes the next move; one that is only slow is not given up. The agent of these
tests has seconds of patience where others have minutes."""
import itertools
import os
import select
import socket
import struct
import time

import agents
from agents import (ACCEPT, DEVICE, LIMIT, PAGES, REFUSE, ROUND, TEXT, VM, Pair, preamble, record, records, run_tests,
                    wait_for)

OPTIONAL, UNKNOWN = 1, 77
PAGE = 4096
RAM = 2 << 20


def pages(*entries):
    """A record PAGES: each entry is an address, how many, and 8 bytes that they consist of."""
    body = b"".join(struct.pack("<QQ", address | count - 1 << 2 | 1, filler) for address, count, filler in entries)
    return record(PAGES, 0, struct.pack("<II", 0, len(body)) + body)


def rounds(number, left=512):
    return record(ROUND, OPTIONAL, struct.pack("<QQ", number, left))


class Source:
    """A stranger with the first words of a real source, to HOST."""

    def __init__(self, host, words):
        self.host = host
        self.socket = socket.create_connection(("127.0.0.1", host.port))
        self.said = b""
        self.socket.sendall(words)

    def answers(self):
        """What came back, as far as it is there; None: the target is gone."""
        while select.select([self.socket], [], [], 0)[0]:
            try:
                part = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not part:
                return None
            self.said += part
        return self.said

    def await_accept(self):
        wait_for(lambda: ACCEPT in [kind for kind, _ in records(self.answers())], "ACCEPT")

    def send(self, data):
        """False: nobody listens any more."""
        try:
            self.socket.sendall(data)
        except ConnectionError:
            return False
        return self.answers() is not None and REFUSE not in [kind for kind, _ in records(self.said)]

    def talk(self, makes, pause=0.0):
        """Send what MAKES() gives until nobody listens: how long that took."""
        begun = time.monotonic()
        while self.send(makes()):
            assert time.monotonic() < begun + LIMIT, "it is listened to for ever"
            time.sleep(pause)
        return time.monotonic() - begun

    def given_up(self, says):
        status = self.host.qmp.ended()
        assert status["status"] == "failed" and says in status["error-desc"], (says, status)
        assert not status["x-portolan-undecided"], status
        self.socket.close()
        wait_for(lambda: self.host.state() in ("off", "incoming"), "end of it")


def greeting(folder, pair):
    """VM and TEXTs of a real source, and all of its stream, from a file."""
    path = os.path.join(folder, "saved")
    pair.a.qmp.do("migrate", uri=f"file:{path}")
    assert pair.a.qmp.ended()["status"] == "completed"
    wait_for(lambda: pair.a.state() == "off", "end of the saved VM")
    with open(path, "rb") as file:
        data = file.read()
    return data[:16] + b"".join(part for kind, part in records(data) if kind in (VM, TEXT)), data


def hasty(folder):
    agents.PROGRAM = "agent-hasty"
    return Pair(folder, vm="memory=2M,vfs=1")


def test_unknown(folder):
    """Records that it may skip, before all else, in the middle, and without a pause."""
    with hasty(folder) as pair:
        words, _ = greeting(folder, pair)
        skipped = record(UNKNOWN, OPTIONAL, b"x" * 4096) * 16
        source = Source(pair.b, preamble(1, 1))
        source.talk(lambda: skipped)
        source.given_up("given up")
        source = Source(pair.b, words)
        source.await_accept()
        source.talk(lambda: skipped)
        source.given_up("given up")


def test_again(folder):
    """Rounds that are none, and pages beyond those that the rounds have."""
    with hasty(folder) as pair:
        words, _ = greeting(folder, pair)
        for makes, says in ((lambda: rounds(1), "round 1 came after round 1"),
                            (lambda: pages((0, 1, 7)), "the source does not end"),
                            (lambda: pages(*[(at, 256, at) for at in range(0, RAM, 256 * PAGE)]), "the source does not end"),
                            (lambda: pages(), "has none"),
                            (lambda: record(DEVICE, 0, struct.pack("<II", 1, 0)), "has nothing in it")):
            source = Source(pair.b, words)
            source.await_accept()
            source.talk(makes)
            source.given_up(says)
        source = Source(pair.b, words)
        source.await_accept()
        numbers = itertools.count(1)
        whole = pages((0, 512, 5))
        source.talk(lambda: rounds(next(numbers)) + whole)
        source.given_up("1000 rounds")
        assert next(numbers) > 1000


def test_trickle(folder):
    """A word now and then, whether it is a record, or a byte of one."""
    with hasty(folder) as pair:
        words, _ = greeting(folder, pair)
        source = Source(pair.b, words)
        source.await_accept()
        addresses = itertools.cycle(range(0, RAM, PAGE))
        assert source.talk(lambda: pages((next(addresses), 1, 3)), 0.5) > 5
        source.given_up("given up")
        source = Source(pair.b, words)
        source.await_accept()
        large = itertools.cycle(record(UNKNOWN, OPTIONAL, bytes(4096)))
        source.talk(lambda: bytes([next(large)]), 0.05)
        source.given_up("given up")
        source = Source(pair.b, words[:16])
        late = itertools.chain(words[16:-1], itertools.repeat(0))
        source.talk(lambda: bytes([next(late)]), 0.05)
        source.given_up("given up")


def test_slow(folder):
    """An honest source that is slow for longer than the patience is; its VM runs in the end."""
    with hasty(folder) as pair:
        words, data = greeting(folder, pair)
        source = Source(pair.b, words)
        source.await_accept()
        rest = [part for kind, part in records(data) if kind not in (VM, TEXT)]
        stream, sent = b"".join(rest), 0
        begun = time.monotonic()
        while sent < len(stream):
            step = max(2048, len(stream) // 100)
            assert source.send(stream[sent:sent + step]), (source.said, pair.b.qmp.status())
            sent += step
            time.sleep(0.12)
        assert time.monotonic() - begun > 8
        assert pair.b.qmp.ended()["status"] == "completed", pair.b.qmp.status()
        wait_for(pair.b.runs, "VM from a slow source")
        source.socket.close()


TESTS = [test_unknown, test_again, test_trickle, test_slow]

if __name__ == "__main__":
    run_tests(TESTS)
