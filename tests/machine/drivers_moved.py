# SPDX-License-Identifier: BSD-2-Clause
"""drivers_moved.py 1.4|2021 mmr|admin HOW: the ways of many old drivers (guest/drivers), moved from VF to VF. What stands behind both
VFs is the same disk, console, network and source of entropy. HOW is one of

  moments SEED [N]    while each goes on with its device from its first register access to its last, again and again, that device is
                      exchanged for another at random moments, one to N times (3)
  steps EVERY FIRST   at each EVERYth step of a way, from its step FIRST: before an access to a register, before it looks whether the
                      device wants to be told of what is in the ring, before it tells it, before it sleeps"""

import collections
import fcntl
import os
import random
import re
import select
import socket
import struct
import sys
import termios
import threading
import time

import drivers
import machine
import qmp
import vfdisk
from drivers import GROUPS, GROWTH, GUEST, PAIRS, PFS, SECTORS

CONFIG = """[vmm]
when_idle = poweroff
{pfs}[vm guest]
cpus = 1
memory = 64M
multiboot = drivers.elf
cmdline = {how}
{vfs}debug_exit = 0xf4
"""

DELAY_MAX = 0.3 # seconds until the next move
SHORTEST = 32 # steps that each way has
AGAIN = 0.01 # seconds until a VF is asked again that took no frame
KEPT = 16 # frames that a VF may have had on the way: more than a driver has under way
MAC = bytes.fromhex("525500000002")


# What the guest says.
GROUP = r"group (\w+), (.*?)(?=  |group |PASS|FAIL|$)"
STEP = r"  step \d+\."
ENDED = r"(?:PASS|FAIL): \d+ checks, \d+ failed"


def listen(path, kind):
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(path)
    return listener


class Mirror(threading.Thread):
    """The other end of both VFs' consoles: sends each line back, with its letters in reverse order, to where the VM is now. With LOCK
    held nothing is on its way there."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.lines, self.current, self.lock = 0, 0, threading.Lock()
        self.paths = [os.path.join(folder, f"console{vf}") for vf in (0, 1)]
        self.listeners = [listen(path, socket.SOCK_STREAM) for path in self.paths]
        for listener in self.listeners:
            listener.listen(1)

    def run(self):
        ends, text = [listener.accept()[0] for listener in self.listeners], b""
        while True:
            ready = select.select(ends, [], [])[0]
            # What the VF of before has sent comes first: that one had stopped when the other began.
            end = ready[0] if len(ready) == 1 else ends[1 - self.current]
            got = end.recv(4096)
            if not got:
                return
            *lines, text = (text + got).split(b"\n")
            for line in lines:
                with self.lock:
                    self.answer(ends[self.current], line[::-1] + b"\n")

    def answer(self, end, line):
        self.lines += 1
        end.sendall(line)
        while struct.unpack("i", fcntl.ioctl(end, termios.TIOCOUTQ, bytes(4)))[0]: # the guest has not all of it
            time.sleep(0.001)


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def answer_to(frame):
    """What the gateway says to FRAME: who it is, or an echo."""
    if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x01":
        return frame[6:12] + MAC + frame[12:20] + b"\x00\x02" + MAC + frame[38:42] + frame[22:32] + bytes(18)
    if frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == 8:
        end = 14 + int.from_bytes(frame[16:18], "big")
        icmp = bytes(4) + frame[38:end]
        icmp = icmp[:2] + struct.pack(">H", checksum(icmp)) + icmp[4:]
        return frame[6:12] + MAC + frame[12:26] + frame[30:34] + frame[26:30] + icmp + frame[end:]
    return None


class Gateway(threading.Thread):
    """A network of two VFs of which the VM has one, and a gateway. It answers to where the VM is now; what may have been lost on its way
    to a VF that the VM has left comes once more, as protocols have it. A VF that takes nothing holds up nobody."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.lock, self.current = threading.Lock(), 0
        self.kept, self.waiting = collections.deque(maxlen=KEPT), collections.deque(maxlen=KEPT)
        self.paths = [(os.path.join(folder, f"net{vf}"), os.path.join(folder, f"gateway{vf}")) for vf in (0, 1)]
        self.ends = [listen(path, socket.SOCK_DGRAM) for _, path in self.paths]
        for end in self.ends:
            end.setblocking(False)

    def run(self):
        while True:
            for end in select.select(self.ends, [], [], AGAIN)[0]:
                answer = answer_to(end.recv(2048))
                if answer:
                    self.kept.append(answer)
                    self.waiting.append(answer)
            with self.lock:
                self.send()

    def send(self):
        """What waits, as far as the VF takes it."""
        try:
            while self.waiting:
                self.ends[self.current].sendto(self.waiting[0], self.paths[self.current][0])
                self.waiting.popleft()
        except BlockingIOError:
            pass

    def moved(self, vf):
        with self.lock:
            self.current = vf
            self.waiting.extend(self.kept) # those that wait stay the last


class Backends(drivers.Backends):
    """As drivers.Backends, each for two VFs."""

    def __init__(self, folder):
        self.disks = {name: vfdisk.make(folder, name + ".img") for name in ("block", "scsi")}
        self.mirror, self.gateway = Mirror(folder), Gateway(folder)
        self.mirror.start()
        self.gateway.start()
        self.monitor = os.path.join(folder, "monitor")
        self.arguments = qmp.arguments(self.monitor) + ["-object", "rng-builtin,id=rng"]
        for vf in (0, 1):
            ours, theirs = self.gateway.paths[vf]
            self.arguments += ["-netdev", f"dgram,id=net{vf},local.type=unix,local.path={ours},remote.type=unix,remote.path={theirs}",
                               "-chardev", f"socket,id=console{vf},path={self.mirror.paths[vf]}"]
            for name, image in self.disks.items():
                self.arguments += ["-blockdev", f"{machine.IMAGE},node-name={name}{vf},filename={image},locking=off"]

    def moved(self, kind, vf):
        if kind == "net":
            self.gateway.moved(vf)
        elif kind == "console":
            self.mirror.current = vf


class MovedMachine(machine.Machine):
    """The test machine with a PF of each type, whose two VFs have the same behind them."""

    def __init__(self, image, backends, properties, **options):
        self.backends, self.properties = backends, properties
        super().__init__(image, **options)

    def arguments(self, image, **options):
        extra = list(self.backends.arguments)
        for number, (kind, name) in enumerate(PFS.items(), 1):
            ends = ":".join("/objects/rng" if name == "rng" else f"{name}{vf}" for vf in (0, 1))
            extra += ["-device", f"pcie-root-port,id=rp{number},slot={number},chassis={number},addr=2.{number - 1},"
                                 "multifunction=on",
                      "-device", f"portolan-{kind}-pf,id={kind}pf,bus=rp{number},vfs=2,vf-backends={ends}{self.properties}" +
                                 (PAIRS + ",vf-one-mac=on" if kind == "net" else "")]
        return machine.qemu_command(image, pfs=False, extra=extra, **options)


class Mover:
    """The machine, where the devices of its VM are, and how large its disk is."""

    def __init__(self, run, backends, seed):
        self.run, self.backends, self.choices = run, backends, random.Random(seed)
        self.at = dict.fromkeys(PFS.values(), 0)
        self.numbers = {name: number for number, name in enumerate(PFS.values(), 1)}
        self.monitor, self.grown, self.size = qmp.Qmp(backends.monitor), 0, SECTORS * vfdisk.SECTOR
        self.moves = collections.Counter()

    def said(self):
        return self.run.said("guest")

    def move(self, kind):
        """Did it work, and what does the log say?"""
        here, there = (f"{self.numbers[kind]:02x}:00.0:{self.at[kind] ^ flip}" for flip in (0, 1))
        moved, why, _ = self.run.move("guest", here, there)
        if moved:
            self.at[kind] ^= 1
            self.backends.moved(kind, self.at[kind])
        return moved, why

    def resize(self, vf):
        self.monitor.command("block_resize", **{"node-name": f"block{vf}", "size": self.size})

    def grow(self):
        """The disk grows for both VFs whenever the guest waits for that. In between they are not alike: a move is refused."""
        while self.grown < self.said().count("waiting for another"):
            self.grown += 1
            self.size += GROWTH
            self.resize(self.at["block"])
            if self.grown == 1:
                moved, why = self.move("block")
                if moved or not re.search(r"'compare' failed .*cfg is '\w+' here and '\w+' there", why):
                    raise machine.Failure(f"to a disk of another size: {why}")
            self.resize(1 - self.at["block"])

    def wait(self, condition):
        """Until CONDITION(what the guest has said), with a disk that grows."""
        while not condition(self.said()):
            self.grow()
            self.run.expect(r"\n")

    def pause(self):
        """Some time, in which the guest goes on: that is what makes moments random."""
        end = time.monotonic() + self.choices.random() * DELAY_MAX
        while time.monotonic() < end:
            self.grow()
            time.sleep(0.01)
            self.run.send("\r") # and what the guest says is read
            self.run.expect(r"\n")

    def must_move(self, number):
        """The device of way NUMBER."""
        kind = re.findall(GROUP, self.said())[number][0]
        with self.backends.mirror.lock if kind == "console" else threading.Lock():
            moved, why = self.move(kind)
        if not moved:
            raise machine.Failure(f"not moved{why}")
        self.moves[number] += 1

    def button(self):
        mark = self.run.mark()
        self.run.send("vm button guest\r")
        self.run.wait(mark, "vm button guest: done")

    def at_moments(self, number, most):
        """One way of driving a device, from when the guest has begun it. False: there was none."""
        self.wait(lambda said: len(re.findall(GROUP, said)) > number or re.search(ENDED, said))
        if re.search(ENDED, self.said()):
            return False
        for _ in range(self.choices.randint(1, most)):
            self.pause()
            self.must_move(number)
        self.pause()
        self.button()
        return True

    def at_step(self, number):
        """The next step at which the guest waits, of NUMBER before it. False: there was none."""
        self.wait(lambda said: len(re.findall(STEP, said)) > number or re.search(ENDED, said))
        if re.search(ENDED, self.said()):
            return False
        self.must_move(len(re.findall(GROUP, self.said())) - 1)
        self.button()
        return True


def test(folder, abi, transport, how, numbers_of_it):
    options, seed = "moved=1", 0
    if how == "moments":
        seed, most = (*numbers_of_it, 3)[:2]
    else:
        options = "every={} first={}".format(*numbers_of_it)
    backends = Backends(folder)
    numbers = range(1, len(PFS) + 1)
    config = CONFIG.format(pfs="".join(f"[pf {n:02x}:00.0]\nnum_vfs = 2\ntransport = {transport}\n" for n in numbers),
                           vfs="".join(f"vf = {n:02x}:00.0/0\n" for n in numbers), how=options)
    image = machine.make_image(folder, config, [(GUEST, "drivers.elf")])
    # By 2021 only a PF whose VFs have no registers in memory has commands for them.
    properties = f",migration={abi}" + (",mmr=off" if transport == "admin" else "")
    with MovedMachine(image, backends, properties) as run:
        mover, number = Mover(run, backends, seed), 0
        while mover.at_moments(number, most) if how == "moments" else mover.at_step(number):
            number += 1
        run.expect(r"VM 'guest': debug exit, status 1\b")
        strays = [mover.monitor.get(f"{kind}pf", "stray-dma") for kind in PFS]
        run.expect_end()
        run.forbid("PANIC", "ERROR", "nobody asked for", "was blocked")
        backends.check(run.said("guest"))
        ways = re.findall(GROUP, run.said("guest"))
        for way, (kind, name) in enumerate(ways):
            print(f"{kind:8} {name:32} {mover.moves[way]} moves")
        print(f"{abi}, {transport}, {options}, seed {seed}: {len(ways)} ways, {sum(mover.moves.values())} moves")
        if any(strays):
            raise machine.Failure(f"VFs that were stopped tried to reach memory: {strays}")
        if len(mover.moves) != len(ways) and (how == "moments" or numbers_of_it[1] < SHORTEST):
            raise machine.Failure(f"only {len(mover.moves)} ways of {len(ways)} were moved")


if __name__ == "__main__":
    machine.run_test(lambda folder: test(folder, *sys.argv[1:4], [int(number) for number in sys.argv[4:]]))
