# SPDX-License-Identifier: BSD-2-Clause
"""vm_hosts_faults.py: a small guest whose disk is busy is to go from one test machine to the other, and something goes wrong in the middle of
the rounds: an order to cancel, a cable that is pulled, the reset of either service VM. It runs on where it was, and in the end it moves."""

import time

import machine
import pair
from vm_hosts import LIMITS, row_of
from vm_hosts_small import CASES, Rounds

# A move that would never end by itself: anything can come between.
SLOW = {"max_bandwidth": 8 << 10, "downtime_limit": 0, "x_portolan_max_rounds": 1000000}


class Faults:
    """Each fault: what happens, what 'query-migrate' then says, and how all is made good again."""

    def __init__(self, two):
        self.two = two

    def cancel(self):
        self.two.agents["a"].command("migrate_cancel")

    def cut(self):
        self.two.segment.cut("b-service")

    def plug_in(self):
        self.two.segment.cut("b-service", False)

    def reset(self, name):
        """The service VM of machine NAME is reset; its agent comes back."""
        run = self.two.machines[name]
        mark = run.ask("vm reset service", r"vm reset service: done")
        self.two.agents[name] = self.two.enter_context(self.two.agent(name, mark))

    def table(self):
        nothing = lambda: None
        return (("cancel", self.cancel, ("cancelled",), nothing), ("the cable of the target's service VM is pulled", self.cut, ("failed",), self.plug_in),
                ("the target's service VM is reset", lambda: self.reset("b"), ("failed",), nothing),
                ("the source's service VM is reset", lambda: self.reset("a"), (None,), nothing))


def in_rounds(two):
    """The move is under way, and pages are sent."""
    end = time.monotonic() + machine.patience()
    while True:
        told = two.agents["a"].command("query-migrate")
        if told.get("status") == "active" and told["ram"]["transferred"] > SLOW["max_bandwidth"]:
            return
        if told.get("status") not in ("setup", "active") or time.monotonic() > end:
            raise machine.Failure(f"the move is not in its rounds: {told}")
        time.sleep(0.1)


def test(folder):
    case = CASES["mmr-admin"]._replace(abi="2021")
    guest = Rounds(case)
    disk = guest.make_disk(folder)
    plan = pair.Plan({"a": case.a, "b": case.b}, guest.lines(), case.abi, disks=(disk,), files=guest.files(), net=False)
    with pair.Pair(folder, plan) as two:
        two.connect()
        guest.lives(two.a, 0)
        for name, happen, status, mend in Faults(two).table():
            two.ended("b") # what the target made of the fault before
            two.await_incoming("b")
            two.begin("a", "b", **SLOW)
            in_rounds(two)
            mark = two.a.mark()
            happen()
            told = two.ended("a")
            if told.get("status") not in status:
                raise machine.Failure(f"{name}: the move ended so: {told}")
            guest.lives(two.a, mark)
            two.wait_state("a", "running")
            mend()
            two.wait_state("b", "incoming")
            print(f"{name}: {told.get('error-desc', 'the new agent knows nothing of it')}; the VM runs on", flush=True)
        two.ended("b")
        row = row_of("a", "b", two.move("a", "b", max_bandwidth=0, **LIMITS))
        guest.lives(two.b, 0)
        two.wait_state("a", "off")
        print(f"then it moved: {row.rounds} rounds, {row.bytes:,} bytes", flush=True)
        guest.end(two.b, disk)
        for each in two.machines.values():
            each.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked", "the disk is gone")


if __name__ == "__main__":
    machine.run_test(test)
