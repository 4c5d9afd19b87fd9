#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
The table of what may be lost: at each record of a move between two agents, and for each order of the VMM, each fault. After it exactly
one side runs, or none, if nobody but the operator can know; then he decides; and in any case the next move succeeds. The whole table
is printed: who ran after the fault, and what had to be decided.

    faults.py [--part I/N]
"""
import collections
import sys
import tempfile
import threading

from agents import (ACCEPT, COMMIT, DEVICE, END, NAMES, PAGES, READY, ROUND, RUNNING, TEXT, VM, Between, Pair, Refused,
                    check_moved, move, rest, wait_for)

# (from the source?, record, which of them): where a fault happens. 0 is the preamble.
PLACES = [(True, 0, 1), (False, 0, 1), (True, VM, 1), (True, TEXT, 2), (False, VM, 1), (False, TEXT, 3), (False, ACCEPT, 1),
          (True, ROUND, 1), (True, PAGES, 1), (True, PAGES, 4), (True, ROUND, 2), (True, DEVICE, 1), (True, DEVICE, 3),
          (True, END, 1), (False, READY, 1), (True, COMMIT, 1), (False, RUNNING, 1)]
FAULTS = ["cut", "cut-after", "corrupt", "kill-source", "kill-target", "cancel", "cancel-console", "reset-source", "reset-target",
          "term-source", "term-target", "session-source", "session-target"]
# (whose, order of the VMM, status): what it refuses.
ORDERS = [("source", "track", "device-error"), ("source", "report", "device-error"), ("source", "stop", "timed-out"),
          ("source", "save-vf", "device-error"), ("target", "load-vf", "conflict"), ("target", "load", "invalid"),
          ("target", "run", "device-error"), ("target", "incoming", "out-of-memory")]

SOURCE, TARGET, NOBODY = "source", "target", "nobody"


def name_of(place):
    return f"{'>' if place[0] else '<'} {NAMES[place[1]]} {place[2]}"


class Fault:
    """A hook for Between: at PLACE, the fault KIND."""

    def __init__(self, kind, place, source, target):
        self.kind, self.place, self.source, self.target = kind, place, source, target
        self.counts = collections.Counter()
        self.delivered = set()  # (from the source?, record)
        self.armed = threading.Event()  # 'migrate' has been answered
        self.struck = False
        self.happened = threading.Event()  # and the record has gone on
        self.refused = False  # to cancel it
        self.cut_next = False
        self.before = set()  # what was delivered before the fault

    def __call__(self, from_source, kind, data):
        kind = max(kind, 0)
        self.counts[from_source, kind] += 1
        if self.place == (from_source, kind, self.counts[from_source, kind]):
            data = self.strike(data)
            self.struck = True
        if data is not None:
            self.delivered.add((from_source, kind))
        return data

    def passed(self):
        if self.struck:
            self.happened.set()

    def strike(self, data):
        self.armed.wait()
        self.before = set(self.delivered)
        if self.kind == "cut":
            return None
        if self.kind == "corrupt":
            at = len(data) * 2 // 3
            return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:]
        getattr(self, self.kind.replace("-", "_"))()
        return data

    def cut_after(self):
        """This record arrives, and no other, in neither direction."""
        self.cut_next = True

    def kill_source(self):
        self.source.kill()

    def kill_target(self):
        self.target.kill()

    def cancel(self):
        try:
            self.source.qmp.do("migrate_cancel")
        except Refused:
            self.refused = True

    def cancel_console(self):
        said = self.source.said()
        if self.source.sim.say("cancel g") == "ok":
            wait_for(lambda: self.source.qmp.status()["status"] in ("cancelling", "cancelled") or self.source.said() != said,
                     "the order to cancel")

    def reset_source(self):
        """A reset of the service VM: its agent is gone with it."""
        self.source.kill()
        self.source.sim.order("reset-service")

    def reset_target(self):
        self.target.kill()
        self.target.sim.order("reset-service")

    def session_source(self):
        """The portal's session ends, and the agent lives on."""
        self.source.sim.order("end-session")

    def session_target(self):
        self.target.sim.order("end-session")

    @staticmethod
    def term(host):
        """It has taken notice when it says something, or ends."""
        said = host.said()
        host.agent.terminate()
        wait_for(lambda: host.agent.poll() is not None or host.said() != said, "notice of SIGTERM")

    def term_source(self):
        self.term(self.source)

    def term_target(self):
        self.term(self.target)


def expected(fault):
    """
    Who runs after the fault, by what arrived: READY is what lets the source hand over, COMMIT what lets the target run. Who is killed,
    ends or has cancelled acts on nothing that comes after that; what is damaged has not arrived.
    """
    ready, commit = (False, READY), (True, COMMIT)
    source_acts = fault.kind in ("kill-source", "reset-source", "term-source", "session-source", "cancel",
                                 "cancel-console")
    target_acts = fault.kind in ("kill-target", "reset-target", "term-target", "session-target")
    damaged = {fault.place[:2]} if fault.kind == "corrupt" else set()
    told_source = ready in (fault.before if source_acts else fault.delivered - damaged)
    told_target = commit in (fault.before if target_acts else fault.delivered - damaged)
    return TARGET if told_target else NOBODY if told_source else SOURCE


def settle(host):
    """The agent is there and at rest."""
    if host.agent.poll() is not None:
        host.qmp.close()
        host.start()
    rest(host)


def who_runs(source, target):
    states = source.state(), target.state()
    assert not (states[0] == "running" and states[1] == "running"), states
    return SOURCE if states[0] == "running" else TARGET if states[1] == "running" else NOBODY


def decide(source, target, number):
    """What only the operator can: returns what he said, and who runs then."""
    said = []
    here = number % 2 == 0  # if nobody runs: both ways in turn
    left, ready = source.state() == "handed-over", target.state() == "ready"
    runs = who_runs(source, target)
    if runs == NOBODY:
        assert left and (ready or here or target.state() in ("incoming", "off")), (source.state(), target.state())
        here = here or not ready
        runs = SOURCE if here else TARGET
        source.sim.order(f"resolve g {'here' if here else 'there'}")
        said.append(f"source: {'here' if here else 'there'}")
        if ready:
            target.sim.order(f"resolve g {'there' if here else 'here'}")
            said.append(f"target: {'there' if here else 'here'}")
    elif left:
        source.sim.order("resolve g there")
        said.append("source: there")
    return said, runs


def second_attempt(source, target, runs, forgotten):
    """The next move, from where it runs now, succeeds. FORGOTTEN: a source that was killed cannot say that it did not hand over."""
    said = []
    first, second = (source, target) if runs == SOURCE else (target, source)
    wait_for(first.runs, "VM before the second attempt")
    if runs == SOURCE and target.state() == "ready" and forgotten:
        target.sim.order("resolve g there")
        said.append("target: there")
    move(first, second)
    return said, (second, first)


def play(pair, place, kind, number):
    """One cell: what to print, and who is source and target afterwards."""
    source, target = pair
    fault = Fault(kind, place, source, target)
    between = Between(target.port, lambda *record: hook(fault, *record), fault.passed)
    source.qmp.do("migrate", uri=f"tcp:127.0.0.1:{between.port}")
    fault.armed.set()
    wait_for(fault.happened.is_set, lambda: f"{place}: {source.qmp.status()}")
    if kind.startswith(("kill", "reset")):
        between.close()
    if kind.startswith("term"):
        (source if kind == "term-source" else target).agent.wait()
    for host in pair:
        settle(host)
    between.close()
    if kind == "cancel":
        late = (False, READY) in fault.before
        assert fault.refused == late, f"cancelled at {place}: refused: {fault.refused}"
        assert source.qmp.status()["status"] == ("completed" if late else "cancelled"), source.qmp.status()
    return finish(pair, expected(fault), number, kind in ("kill-source", "reset-source", "term-source"))


def hook(fault, from_source, kind, data):
    if fault.cut_next:
        return None
    return fault(from_source, kind, data)


def finish(pair, wanted, number, forgotten):
    source, target = pair
    wait_for(lambda: who_runs(source, target) == wanted,
             lambda: f"{wanted} running: {source.state()}, {target.state()}, {source.qmp.status()}")
    states = f"{source.state()}/{target.state()}"
    said, runs = decide(source, target, number)
    if wanted == TARGET:
        check_moved(source, target)
    more, pair = second_attempt(source, target, runs, forgotten)
    return f"{wanted:7} {states:22} {', '.join(said + more) or '-'}", pair


def play_order(pair, side, order, status, number):
    """An order that the VMM does not carry out."""
    source, target = pair
    host = source if side == "source" else target
    if order == "incoming" and host.state() != "off":
        host.sim.order("stop g")
        wait_for(lambda: host.state() == "off", "stop")
    host.sim.order(f"fault g {order} {status}")
    source.qmp.do("migrate", uri=f"tcp:127.0.0.1:{target.port}")
    ended = source.qmp.ended()
    assert ended["status"] == "failed" and ended["error-desc"], ended
    settle(target)
    return finish(pair, NOBODY if order == "run" else SOURCE, number, False)


def cells():
    for place in PLACES:
        for kind in FAULTS:
            yield place, kind
    for order in ORDERS:
        yield None, order


def main():
    part, parts = 0, 1
    if len(sys.argv) > 2 and sys.argv[1] == "--part":
        part, parts = (int(word) for word in sys.argv[2].split("/"))
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as folder, Pair(folder, vm="memory=2M,vfs=2,rate=300,stream=20000",
                                                       options=("--insecure", "--compress=never")) as both:
        pair = (both.a, both.b)
        for number, (place, kind) in enumerate(cells()):
            if number % parts != part:
                continue
            name = f"{name_of(place)} {kind}" if place else " ".join(kind)
            try:
                text, pair = play(pair, place, kind, number) if place else play_order(pair, *kind, number)
            except BaseException:
                print(f"{number:3} {name:34} FAILED", flush=True)
                raise
            counts[text.split()[0]] += 1
            print(f"{number:3} {name:34} {text}", flush=True)
    print(f"faults: {sum(counts.values())} cells: {dict(counts)}; after each the next move succeeded")
    assert sum(counts.values()) >= 10


if __name__ == "__main__":
    main()
