# SPDX-License-Identifier: BSD-2-Clause
"""The other end of what guest/linux/tests/moved does: one TCP connection that lives as long as the test, and the disk from outside."""

import hashlib
import os
import re
import socket
import subprocess
import threading
import time

import machine

BLOCKS, BLOCK = 256, 4096
# How far a guest's clock may be ahead of ours, since what it says comes late.
AHEAD = 2.0


class Life:
    """Waits for one guest's connection; sends it RATE bytes a second, and reads its ticks."""

    def __init__(self, rate=64 << 10):
        self.rate, self.sum, self.sent = rate, hashlib.sha256(), 0
        self.ticks, self.failure = [], None # (our time, number, uptime, RTC)
        self.enough = threading.Event()
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1)
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.serve, daemon=True)]
        self.threads[0].start()

    def serve(self):
        self.connection = self.listener.accept()[0]
        self.listener.close()
        self.threads.append(threading.Thread(target=self.read, daemon=True))
        self.threads[1].start()
        try:
            while not self.enough.is_set():
                data = os.urandom(self.rate // 10)
                self.connection.sendall(data)
                self.sum.update(data)
                self.sent += len(data)
                self.enough.wait(0.1)
            self.connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.failure = f"the TCP connection failed: {error}"

    def read(self):
        try:
            for line in self.connection.makefile("r", encoding="ascii"):
                match = re.fullmatch(r"tick (\d+) ([\d.]+) (\d+)\n", line)
                if not match:
                    self.failure = f"the guest said {line!r}"
                    return
                self.ticks.append((time.monotonic(), int(match[1]), float(match[2]), int(match[3])))
        except OSError as error:
            if not self.enough.is_set():
                self.failure = f"the TCP connection failed: {error}"

    def wait(self, count=5):
        """COUNT ticks come from here on: the guest lives and its connection, too."""
        want, end = len(self.ticks) + count, time.monotonic() + machine.patience()
        while len(self.ticks) < want:
            if self.failure or time.monotonic() > end:
                raise machine.Failure(self.failure) if self.failure else machine.Late("no word from the guest within the time limit")
            time.sleep(0.05)

    def stop(self):
        """The guest is told that it is enough."""
        self.enough.set()
        self.threads[0].join(machine.patience())

    def check(self, said):
        """What the guest SAID at its end; its clocks. Returns (ticks, pings sent, pings lost)."""
        if self.failure:
            raise machine.Failure(self.failure)
        received = re.search(r"moved: received ([0-9a-f]{64})", said)
        if not received or received[1] != self.sum.hexdigest():
            raise machine.Failure(f"what came through the TCP connection is not right: {received and received[0]}")
        for (_, number, up, rtc), (_, after, later, rtc_later) in zip(self.ticks, self.ticks[1:]):
            if after != number + 1 or later < up or rtc_later < rtc:
                raise machine.Failure(f"a clock went back, or a tick is missing: {number} {up} {rtc}, then {after} {later} {rtc_later}")
        least = min(ours - up for ours, _, up, _ in self.ticks[:5])
        for ours, number, up, _ in self.ticks:
            if ours - up < least - AHEAD:
                raise machine.Failure(f"at tick {number} the guest's clock is {least - ours + up:.1f} s ahead")
            least = max(least, min(ours - up, least))
        sent, got = map(int, re.search(r"moved: (\d+) packets transmitted, (\d+) packets received", said).groups())
        return len(self.ticks), sent, sent - got


def check_disk(path, said, folder):
    """The image PATH, from outside: a clean file system, the known data, and at each place of 'sequence' the last block that the guest SAID
    it has written there: none is lost, and none that was written over came once more. Returns how many it has written."""
    run = lambda *command: subprocess.run(command, capture_output=True, text=True, check=False)
    done = run("/sbin/e2fsck", "-f", "-n", path)
    if done.returncode:
        raise machine.Failure(f"the file system is not clean: {done.stdout}{done.stderr}")
    files = {name: os.path.join(folder, name) for name in ("sequence", "known.bin", "SHA256SUMS")}
    for name, out in files.items():
        run("/sbin/debugfs", "-R", f"dump /data/{name} {out}", path)
    with open(files["known.bin"], "rb") as file, open(files["SHA256SUMS"], encoding="ascii") as sums:
        if hashlib.sha256(file.read()).hexdigest() != sums.read().split()[0]:
            raise machine.Failure("the known data on the disk is not right")
    written = int(re.search(r"moved: written (\d+)", said)[1])
    with open(files["sequence"], "rb") as file:
        blocks = [file.read(BLOCK) for _ in range(BLOCKS)]
    for place, block in enumerate(blocks):
        number = written - (written - place) % BLOCKS
        wanted = f"block {number}".ljust(BLOCK).encode("ascii") if number > 0 else bytes(BLOCK)
        if block != wanted:
            raise machine.Failure(f"at place {place} there is {block[:16]!r}, not block {number}")
    return written
