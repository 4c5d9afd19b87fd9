# SPDX-License-Identifier: BSD-2-Clause
"""vf_move_set.py ABI OTHER WAY [COUNT [SEED]]: a VM with three disks, two VFs of a PF that speaks ABI and one of a PF that speaks OTHER,
all under I/O, moves with all of them at once: COUNT times at moments that the seed chooses; then with a fault of each step in one VF,
which must leave all of them where they were, or, when others run by then, that one alone. WAY: interrupts, 1 INTx, 2 MSI-X."""

import os
import random
import re
import sys

import disks
import machine
import qmp
import vfdisk
from disks import VfMachine, vm_section, written
from vf_move_faults import AGAIN, HARMLESS, NO_FAULT, REFUSAL, STEPS, SOURCE, TOO_LATE

# The VM's VFs: PF, its name in the machine, and the two VFs that take turns and have the same disk.
MEMBERS = (("02:00.0", "blkpf", (0, 2)), ("02:00.0", "blkpf", (1, 3)), ("01:00.0", "otherpf", (0, 1)))
HURT = (1, 2)  # those that faults are tried in: one of each PF


class Set:
    """The machine, and which of its two VFs each member has."""

    def __init__(self, run, control, abis):
        self.run, self.control, self.abis, self.at = run, control, abis, [0] * len(MEMBERS)
        self.goes_on(0)

    def goes_on(self, mark, rounds=1):
        """The VM has begun and ended ROUNDS whole rounds since MARK, and no disk is gone."""
        if "gone" in self.run.wait_said("set", mark, r"round \d+ ok.*" * (rounds + 1) + "|the disk is gone").group(0):
            raise machine.Failure("a VF of the set is lost")

    def vf(self, member, there):
        pf, _, numbers = MEMBERS[member]
        return f"{pf}:{numbers[self.at[member] ^ there]}"

    def move(self):
        """All to the other VF. Which did, what the log says of the first that did not, and where that ends."""
        words = " ".join(f"{self.vf(member, 0)} {self.vf(member, 1)}" for member in range(len(MEMBERS)))
        mark = self.run.order(f"vf move {words}")
        end = self.run.wait(mark, r"  us: .* in all")
        log, moved = self.run.log(mark), []
        for member in range(len(MEMBERS)):
            match = re.search(rf"VM 'set': (not )?moved from VF 0000:{self.vf(member, 0)} to VF 0000:{self.vf(member, 1)}", log)
            if not match:
                raise machine.Failure(f"nothing is said of member {member}")
            moved.append(not match.group(1))
        self.at = [at ^ gone for at, gone in zip(self.at, moved)]
        why = re.search(r"'.*?' failed \([^)]*\)", log)
        return moved, why.group() if why else "", self.run.mark_behind(mark, end.group())

    def refusals(self):
        """Orders that touch nothing."""
        for words, answer in (("02:00.0:0 02:00.0:2 02:00.0:0 02:00.0:3", "each once and each to another"),
                              ("02:00.0:0 02:00.0:2 02:00.0:1 02:00.0:2", "each once and each to another"),
                              ("02:00.0:0-1 02:00.0:2", "are not as many VFs"), ("02:00.0:0-16 02:00.0:2-18", "too many VFs"),
                              ("02:00.0:1-0 02:00.0:2-3", "too many VFs, or none"), ("02:00.0:0-1 02:00.0:1-2", "the second VF is a VM's"),
                              ("02:00.0:0 02:00.0:2 02:00.0:1", "usage: vf move"), ("02:00.0:0 02:00.0:2 02:00.0:3 01:00.0:3", "no VM has that VF")):
            mark = self.run.mark()
            self.run.send(f"vf move {words}\r")
            self.run.wait(mark, answer)
        mark = self.run.mark()
        self.run.send("vf move 02:00.0:0 02:00.0:2 02:00.0:1 01:00.0:3\r")  # that one has no disk
        self.run.wait(mark, r"not moved from VF 0000:02:00.0:0 to VF 0000:02:00.0:2, as another VF was not")
        self.run.wait(mark, r"not moved from VF 0000:02:00.0:1 to VF 0000:01:00.0:3: 'compare' failed")
        self.run.wait(mark, r"  us: .* in all")
        self.goes_on(self.run.mark())

    def cell(self, member, step, title, properties, right):
        """A fault in MEMBER at STEP. RIGHT: who moves."""
        name, who, opcode, skip = step
        pf, device, numbers = MEMBERS[member]
        number = 1 + numbers[self.at[member] ^ (who != SOURCE)]
        self.control.set(device, fault_vf=number, fault_admin_opcode=opcode, fault_admin_skip=skip, **properties, fault_admin_count=1)
        moved, why, mark = self.move()
        if self.control.get(device, "fault-admin-count") != 0:
            raise machine.Failure(f"{name}, {title}: no such command was sent")
        self.control.set(device, **NO_FAULT)
        print(f"{name:14} {who:6} of {pf} {title:9} {' '.join('moved ' if one else 'stayed' for one in moved)} {why}", flush=True)
        if moved != right:
            raise machine.Failure(f"{name}, {title}: {moved}, not {right}")
        self.goes_on(mark)
        moved, why, mark = self.move()
        if not all(moved):
            raise machine.Failure(f"{name}, {title}: the second move failed, too: {why}")
        self.goes_on(mark)

    def faults(self):
        size = len(MEMBERS)
        for member in HURT:
            abi = self.abis[MEMBERS[member][1]]
            for step in STEPS[abi]:
                right = [True] * size if step[0] in HARMLESS else [False] * size
                if step[0] == "run target":
                    right = [one != member for one in range(size)]
                self.cell(member, step, "refused", REFUSAL[abi], right)
            self.cell(member, STEPS[abi][0], "try again", AGAIN[abi], [True] * size)
            self.cell(member, STEPS[abi][0], "too late", dict(fault_admin_late=TOO_LATE), [False] * size)


def moves(run, control, abis, count, seed):
    choices = random.Random(seed)
    vfs = Set(run, control, abis)
    vfs.refusals()
    for _ in range(count):
        for _ in range(choices.randrange(3)):
            vfs.goes_on(run.mark(), 0)
        moved, why, mark = vfs.move()
        if not all(moved):
            raise machine.Failure(f"not moved: {why}")
        vfs.goes_on(mark, 0)
    vfs.faults()
    run.ask("vm checkpoint set", r"VM 'set': \d+ checkpoints taken")
    run.ask("vm reset set", "vm reset set: done")
    vfs.goes_on(run.mark())
    for pf in ("blkpf", "otherpf"):
        if control.get(pf, "stray-dma") != 0:
            raise machine.Failure("a VF that was stopped tried to reach memory")
    mark = run.mark()
    run.send("vm button set\r")
    run.wait(mark, r"VM 'set': debug exit, status 1\b")
    run.wait(mark, r"VM 'set': stopped")


def test(folder, abi, other, way, count=20, seed=1):
    image = disks.make_image(folder, dict.fromkeys(("02:00.0", "01:00.0"), "num_vfs = 4\nadmin_timeout = 1\n"),
                             vm_section("set", f"rounds disks={len(MEMBERS)} way={way} count=16", "02:00.0/0", "02:00.0/1", "01:00.0/0"))
    images = [vfdisk.make(folder, f"disk{number}.img") for number in range(len(MEMBERS))]
    path = os.path.join(folder, "qmp")
    run = VfMachine(image, images[:2] * 2, properties=f",migration={abi}", others=[images[2]] * 2, other=f",migration={other}",
                    extra=qmp.arguments(path))
    with run, qmp.Qmp(path) as control:
        moves(run, control, {"blkpf": abi, "otherpf": other}, count, seed)
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked", "the disk is gone")
        run.wait_said("set", 0, "PASS: ")
        run.kill()
    for disk in images:
        vfdisk.check(disk, written)


if __name__ == "__main__":
    machine.run_test(lambda folder: test(folder, *sys.argv[1:3], *map(int, sys.argv[3:])))
