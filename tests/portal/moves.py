# SPDX-License-Identifier: BSD-2-Clause
"""Whole VMs between two simulated machines, by the portal: what a service VM's program does."""
import sys
import tempfile

from client import (Client, Device, Ended, PRE_COPY, Refused, RESUMING, RUNNING, STOP, STOP_COPY, SESSION, Sim, STATUS)

PAGE = 4096
WINDOW = 1 << 20


def refused(what, call, *arguments):
    try:
        call(*arguments)
    except Refused as error:
        assert str(error).split()[0] == what, f"{error}, not {what}"
        return
    raise AssertionError(f"{what} was wanted of {arguments}")


class Pair:
    """Two machines, the second of which awaits VM 'a' of the first."""

    def __init__(self, folder, memory="4M", vfs=2, rate=3000):
        vm = f"a,memory={memory},vfs={vfs},rate={rate},disk={folder}/disk,stream=40000,migrate"
        self.machines = [Sim(folder, "one", vm, "service,service"), Sim(folder, "two", f"{vm},incoming", "service,service")]
        self.vfs = vfs
        self.source, self.target = (Client(m) for m in self.machines)
        for client in (self.source, self.target):
            assert client.line("hello")["portal"] == "1"

    def close(self):
        for machine in self.machines:
            machine.close()

    def open(self):
        self.target.line("incoming a")
        self.machines[1].wait_for("a", "incoming")
        self.vm = [Device(c, 1, "vm a") for c in (self.source, self.target)]
        self.vf = [[Device(self.source, 2 + i, f"vf a {i}") for i in range(self.vfs)],
                   [Device(self.target, 2 + i, f"vf a {i} 30000e54") for i in range(self.vfs)]]
        assert self.vm[0].text() == self.vm[1].text()
        for pair in zip(*self.vf):
            assert pair[0].text() == pair[1].text()

    def pages(self, numbers):
        """Through both windows, where they are."""
        done = 0
        for first in sorted({n // 256 for n in numbers}):
            for client in (self.source, self.target):
                client.line(f"show 1 {first * WINDOW} {WINDOW} {WINDOW}")
            size, from_ram, writable = self.source.window[WINDOW]
            assert size == WINDOW and not writable
            size, to_ram, writable = self.target.window[WINDOW]
            assert size == WINDOW and writable
            for n in numbers:
                if n // 256 == first:
                    at = n % 256 * PAGE
                    self.target.ram[to_ram + at:to_ram + at + PAGE] = self.source.ram[from_ram + at:from_ram + at + PAGE]
                    done += 1
        for client in (self.source, self.target):
            client.line(f"hide 0 {64 << 20}")
            assert not client.window
        return done

    def dirty(self):
        numbers = []
        for start, size in self.vm[0].region(0)[1]:
            numbers += self.vm[0].report(start, size)
        return numbers

    def rounds(self):
        self.vm[0].track()
        self.vm[0].set_state(PRE_COPY)
        self.vm[1].set_state(RESUMING)
        size, areas = self.vm[0].region(0)
        assert sum(a[1] for a in areas) == size
        self.pages(range(size // PAGE))
        for _ in range(3):
            self.pages(self.dirty())

    def stop(self):
        self.vm[0].set_state(STOP_COPY)
        self.pages(self.dirty())

    def states(self):
        stream = self.vm[0].read_all(16384)
        assert len(stream) == 40000
        for source, target in zip(*self.vf):
            source.set_state(STOP_COPY)
            record = source.read_all(1000)
            source.set_state(STOP)
            target.set_state(RESUMING)
            target.write_all(record, 999)
            target.set_state(STOP)
        self.vm[1].write_all(stream, 10000)
        self.vm[1].set_state(STOP)
        self.target.event("event state vm=a state=ready")

    def hand_over(self):
        self.source.line("handover a")
        self.vm[1].set_state(RUNNING)
        self.source.line("confirm a")
        self.source.line("close 1")
        self.target.line("close 1")


def whole(folder):
    """A VM moves, and its RAM is what it was: portal-sim compares."""
    pair = Pair(folder)
    pair.open()
    before = int(pair.machines[0].vm("a")["ticks"])
    pair.rounds()
    pair.stop()
    pair.states()
    refused("wrong-state", pair.target.line, "show 1 0 4096 0")
    pair.hand_over()
    pair.machines[0].wait_for("a", "off")
    pair.machines[1].wait_for("a", "running")
    assert int(pair.machines[1].vm("a")["ticks"]) > before
    pair.source.event("event state vm=a state=off")
    pair.close()


def lost(folder):
    """The source's service VM dies at each step before the handover: the VM runs on, the target waits again."""
    steps = ("open", "rounds", "stop", "states")
    pair = Pair(folder)
    for count in range(1, len(steps) + 1):
        for step in steps[:count]:
            getattr(pair, step)()
        pair.source.write(SESSION, 1)
        pair.source.begin()
        pair.machines[0].wait_for("a", "running")
        assert pair.machines[0].vm("a")["tracked"] == "0"
        pair.target.write(SESSION, 1)
        pair.target.begin()
        if count == len(steps):
            pair.machines[1].wait_for("a", "ready")
            pair.machines[1].order("resolve a there")
        pair.machines[1].wait_for("a", "incoming")
        pair.machines[1].order("stop a")
        for client in (pair.source, pair.target):
            client.line("hello")
    for step in steps:
        getattr(pair, step)()
    pair.hand_over()
    pair.machines[1].wait_for("a", "running")
    pair.close()


def unconfirmed(folder):
    """After the handover nobody but the operator decides."""
    pair = Pair(folder)
    for step in ("open", "rounds", "stop", "states"):
        getattr(pair, step)()
    pair.source.line("handover a")
    refused("EBUSY", pair.vm[0].set_state, RUNNING)
    pair.source.line("close 1")
    assert pair.machines[0].vm("a")["state"] == "handed-over"
    refused("wrong-state", pair.source.line, "open 1 vm a")
    pair.machines[0].order("resolve a here")
    assert pair.machines[0].vm("a")["state"] == "running"
    pair.target.line("close 1")
    assert pair.machines[1].vm("a")["state"] == "ready"
    pair.close()


def refusals(folder):
    """Each order fails once: it is said, and what ran runs on."""
    pair = Pair(folder)
    one, two = pair.machines
    one.order("fault a track device-error")
    one.order("fault a stop timed-out")
    one.order("delay a stop 30")
    one.order("fault a save-vf device-error")
    two.order("fault a load invalid")
    pair.open()
    refused("EIO", pair.vm[0].track)
    pair.vm[0].track()
    refused("EBUSY", pair.vm[0].track)
    refused("110", pair.vm[0].set_state, STOP_COPY)
    assert pair.vm[0].state() == RUNNING
    refused("EBUSY", pair.vm[0].set_state, RESUMING)
    refused("EBUSY", pair.vf[0][0].set_state, STOP_COPY)
    pair.vm[1].set_state(RESUMING)
    pair.vm[0].set_state(STOP_COPY)
    refused("EIO", pair.vf[0][0].set_state, STOP_COPY)
    pair.pages(range(pair.vm[0].region(0)[0] // PAGE))
    refused("wrong-state", pair.source.line, "handover a")
    try:
        pair.states()
        raise AssertionError("a load that fails went well")
    except Refused as error:
        assert str(error) == "EINVAL", error
    refused("EBUSY", pair.vm[1].set_state, RUNNING)
    pair.target.line("close 1")
    two.wait_for("a", "incoming")
    pair.vm[0].set_state(RUNNING)
    one.wait_for("a", "running")
    pair.close()


def others(folder):
    """While one channel waits others are answered; what is wrong in frames ends the session."""
    pair = Pair(folder)
    pair.machines[0].order("delay a stop 300")
    pair.open()
    ident = pair.vm[0].send(16, b"\x10\0\0\0\2\0\2\0" + b"\3\0\0\0\xff\xff\xff\xff")
    assert pair.source.line("vm 0")["vm"] == "a"
    pair.vf[0][1].text()
    pair.vm[0].answer(ident)
    for bad in (b"\0\0\0\0\0\0\0\0", b"\1\x80\0\0\1\0\0\0x", b"\xe9\3\0\0\0\0\0\0", b"\1\0\0\0\x12\0\0\0x", b"\1\0\0\0\1\0\1\0x"):
        pair.source.put(bad)
        try:
            while True:
                pair.source.get()
        except Ended:
            pair.machines[0].wait_for("a", "running")
        pair.source.write(SESSION, 1)
        pair.source.begin()
        pair.source.line("hello")
        assert pair.source.read(STATUS) & 2 == 0
    pair.close()


def operator(folder):
    """What the operator wishes and does is told."""
    pair = Pair(folder)
    one, two = pair.machines
    one.order("migrate a there:4444")
    pair.source.event("event migrate vm=a to=there:4444")
    one.order("cancel a")
    pair.source.event("event cancel vm=a")
    two.order("incoming a")
    pair.target.event("event incoming vm=a")
    pair.target.event("event state vm=a state=incoming")
    for command, event in (("pause", "state vm=a state=paused"), ("resume", "state vm=a state=running"),
                           ("reset", "reset vm=a"), ("powerdown", "powerdown vm=a"), ("stop", "state vm=a state=off"),
                           ("start", "state vm=a state=running")):
        pair.source.line(f"{command} a")
        pair.source.event(f"event {event}")
    pair.close()


if __name__ == "__main__":
    for case in (whole, lost, unconfirmed, refusals, others, operator):
        with tempfile.TemporaryDirectory() as folder:
            case(folder)
        print(f"{case.__name__}: ok", flush=True)
    sys.exit(0)
