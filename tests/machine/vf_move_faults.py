# SPDX-License-Identifier: BSD-2-Clause
"""vf_move_faults.py 1.4|2021: at each command of a move, of the source or the target, each thing that can go wrong. The VM goes on with
the one VF or the other, and its next move succeeds. The table of what happened is printed."""

import os
import re
import sys

import disks
import machine
import qmp
import vfdisk
from disks import VfMachine, vm_section, written

PF, VFS = "02:00.0", 24 # all with the same disk, and one more without
TOO_LATE = 2500 # ms
SOURCE, TARGET = "source", "target"

# Step, whose command, its opcode, and how many of those come before.
STEPS = {
    "1.4": (("quiesce", SOURCE, 0x11, 0), ("open state", SOURCE, 0x0a, 0), ("size of state", SOURCE, 0x0e, 0),
            ("read state", SOURCE, 0x0f, 0), ("close state", SOURCE, 0x0d, 0), ("stop target", TARGET, 0x11, 0),
            ("open target", TARGET, 0x0a, 0), ("write state", TARGET, 0x10, 0), ("close target", TARGET, 0x0d, 0),
            ("run target", TARGET, 0x11, 1)),
    "2021": (("quiesce", SOURCE, 0x4002, 0), ("freeze", SOURCE, 0x4002, 1), ("size of state", SOURCE, 0x4003, 0),
             ("read state", SOURCE, 0x4004, 0), ("quiesce target", TARGET, 0x4002, 0), ("freeze target", TARGET, 0x4002, 1),
             ("write state", TARGET, 0x4005, 0), ("thaw target", TARGET, 0x4002, 2), ("run target", TARGET, 0x4002, 3)),
}

# What a device of each kind says to mean it.
REFUSAL = {"1.4": dict(fault_admin_status=22, fault_admin_qualifier=1), "2021": dict(fault_admin_status=0x81)}
AGAIN = {"1.4": dict(fault_admin_status=11, fault_admin_qualifier=7), "2021": dict(fault_admin_status=1)}

# Fault, its properties, and the outcomes that are right: 'moved', 'stayed', and 'lost' where the VF itself has died.
FAULTS = (
    ("refused", REFUSAL, ("stayed",)),
    ("try again", AGAIN, ("moved",)),
    ("late", dict(fault_admin_late=100), ("moved",)),
    ("too late", dict(fault_admin_late=TOO_LATE), ("stayed", "moved")),
    ("short", dict(fault_admin_short=1), ("stayed", "moved")),
    ("corrupt", dict(fault_admin_corrupt=9), ("stayed", "moved")),
    ("dies before", dict(fault_admin_die=1), ("stayed", "lost")),
    ("dies after", dict(fault_admin_die=2), ("stayed", "moved", "lost")),
    ("no answer", dict(fault_admin_hang=True), ("stayed",)),
)
# The end of an object that is not needed any more: whatever comes of it, the move goes on. A VF that stays may be dead.
HARMLESS = ("close state", "close target")
NO_FAULT = dict(fault_admin_count=0, fault_admin_skip=0, fault_admin_late=0, fault_admin_short=0, fault_admin_corrupt=0,
                fault_admin_die=0, fault_admin_hang=False, fault_all_ones=False)


class Table:
    def __init__(self, run, control, abi):
        self.run, self.control, self.abi = run, control, abi
        self.here, self.stuck, self.rows = 0, set(), []
        self.goes_on(0)

    def goes_on(self, mark):
        """A whole round from MARK on; False: the VM has lost its VF."""
        return "gone" not in self.run.wait_said("hurt", mark, r"round \d+ ok.*round \d+ ok|the disk is gone").group(0)

    def other(self):
        """A VF that is free and for which no answer was or is due."""
        return next(number for number in range(VFS) if number != self.here and number not in self.stuck)

    def move(self, there):
        """Did the VM move, what does the log say, and where does that end, after which the VM goes on?"""
        moved, why, mark = self.run.move("hurt", f"{PF}:{self.here}", f"{PF}:{there}")
        if moved:
            self.here = there
        return mark, moved, why

    def reset(self):
        mark = self.run.mark()
        self.run.send("vm reset hurt\r")
        self.run.wait(mark, "vm reset hurt: done")
        if not self.goes_on(self.run.mark()):
            raise machine.Failure("the VF is not as new after the VM's reset")

    def refusals(self):
        """Orders that touch nothing: of and for VFs that are not there, or are another's, or are not alike."""
        for order, answer in ((f"{PF}:{VFS + 9} {PF}:1", "no VM has that VF"), (f"{PF}:0 {PF}:0", "the second VF is a VM's"),
                              (f"{PF}:0 {PF}:{VFS + 9}", "the second VF cannot be had"), (f"{PF} {PF}:1", "is no VF")):
            mark = self.run.mark()
            self.run.send(f"vf move {order}\r")
            self.run.wait(mark, answer)
        mark, moved, why = self.move(VFS)
        if moved or not re.search(r"'compare' failed \(.*\): cfg is '\w+' here and '\w+' there", why):
            raise machine.Failure(f"a disk of another size: {why}")
        self.goes_on(mark)

    def cell(self, step, fault):
        name, who, opcode, skip = step
        title, properties, right = fault
        there = self.other()
        number = 1 + (self.here if who == SOURCE else there)
        properties = properties.get(self.abi, properties)
        self.control.set("blkpf", fault_vf=number, fault_admin_opcode=opcode, fault_admin_skip=skip, **properties, fault_admin_count=1)
        mark, moved, why = self.move(there)
        if self.control.get("blkpf", "fault-admin-count") != 0:
            raise machine.Failure(f"{name}, {title}: no such command was sent")
        if title in ("no answer", "too late"):
            self.stuck.add(number - 1)
        outcome = "moved" if moved else "stayed"
        last = who == SOURCE and title == "no answer" # nothing more can be had from that VF
        if not last and not self.goes_on(mark):
            outcome = "lost"
        self.control.set("blkpf", **NO_FAULT)
        if outcome == "lost":
            self.reset()
        reason = (re.search(r"'.*?' failed \([^)]*\)", why) or [""])[0]
        self.rows.append(f"{name:14} {who:6} {title:11} {outcome:6} {reason}")
        print(self.rows[-1], flush=True)
        if outcome not in right and not (name in HARMLESS and outcome in ("moved", "lost")):
            raise machine.Failure(f"{name}, {title}: {outcome}, which is not one of {right}")
        if not last:
            self.again(name, title)

    def again(self, name, title):
        """Without the fault the next move succeeds."""
        mark, moved, why = self.move(self.other())
        if not moved:
            raise machine.Failure(f"{name}, {title}: the second move failed, too: {why}")
        if not self.goes_on(mark):
            raise machine.Failure(f"{name}, {title}: after the second move the VF is lost")


def test(folder, abi):
    image = disks.make_image(folder, {PF: f"num_vfs = {VFS + 1}\nadmin_timeout = 1\n"}, vm_section("hurt", "rounds count=16", f"{PF}/0"))
    path, disk = os.path.join(folder, "qmp"), vfdisk.make(folder)
    run = VfMachine(image, [disk] * VFS + [None], properties=f",migration={abi}", extra=qmp.arguments(path))
    with run, qmp.Qmp(path) as control:
        table = Table(run, control, abi)
        cells = [(step, fault) for step in STEPS[abi] for fault in FAULTS]
        hangs = [cell for cell in cells if cell[0][1] == SOURCE and cell[1][0] == "no answer"]
        table.refusals()
        for step, fault in cells:
            if (step, fault) not in hangs:
                table.cell(step, fault)
        run.forbid("PANIC", "ERROR", "nobody asked for", "was blocked")
        mark = run.mark()
        run.send("vm button hurt\r")
        run.wait(mark, r"VM 'hurt': debug exit, status 1\b")
        run.wait(mark, r"VM 'hurt': stopped")
        if control.get("blkpf", "stray-dma") != 0:
            raise machine.Failure("a VF that was stopped tried to reach memory")
        run.kill()
    vfdisk.check(disk, written)
    print(f"{len(table.rows)} cells")


if __name__ == "__main__":
    machine.run_test(lambda folder: test(folder, sys.argv[1]))
