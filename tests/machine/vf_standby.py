# SPDX-License-Identifier: BSD-2-Clause
"""vf_standby.py 1.4|2021 mmr|admin QUEUES: VFs with QUEUES die under VMs in full I/O. A VM with a standby goes on with that, or with
what the operator orders; what the dead VF still had, in whatever order it did the rest, is done by the new one, once, and no byte is
wrong. A VM without a standby is not moved with requests under way."""

import os
import sys

import disks
import machine
import qmp
import vfdisk
from disks import VfMachine, vm_section, written

PF, NAMES, ALL = "0000:02:00.0", ("kept", "plain"), 0
CHECKPOINTS = "checkpoints = 500\n" # in each of its lives, the most in its beginning: nobody is to take its VF for lost meanwhile
NO_STANDBY = rf"(VM 'kept': VF {PF}:0 is lost, and its standby cannot be had|VF {PF}:2 cannot be reset; its VM is not moved)"


# How many others pass a request, so that of its ring all entries have been written over; its queue has an eighth of them.
PASSED = {1: r"(2[6-9]\d|[3-9]\d\d|\d{4,})", 4: r"([2-9]\d{3}|\d{5,})"}


class Test:
    def __init__(self, run, control, transport, queues):
        self.run, self.control, self.transport, self.queues = run, control, transport, queues
        self.rounds(*NAMES)

    def rounds(self, *names):
        """Each VM goes on: a whole round from here on."""
        for name in names:
            self.run.wait_said(name, self.run.mark(), r"round \d+ ok.*round \d+ ok")

    def dies(self, vf, dead=True):
        """VF, from 0, or ALL of them with None, answers nothing any more, or again."""
        self.control.set("blkpf", fault_vf=ALL if vf is None else vf + 1, fault_all_ones=dead)

    def gone(self, mark, *names):
        """The guests give their disks up. By commands the PF still knows the registers of a VF that is gone: the guests wait."""
        for name in names if self.transport == "mmr" else ():
            self.run.wait_said(name, mark, "the disk is gone")

    def reset(self, *names):
        for name in names:
            self.run.ask(f"vm reset {name}", f"vm reset {name}: done")
        self.rounds(*names)

    def passed(self, vf):
        """VF of 'kept' keeps one request back while others end, more than the 256 that its ring has room for."""
        mark = self.run.mark()
        self.control.set("blkpf", fault_vf=vf + 1, fault_hold_most=1, fault_hold=True)
        self.run.wait_said("kept", mark, rf"passed by {PASSED[self.queues]}(?!\d)")

    def caught_up(self, mark):
        """Nothing is left behind: what was kept back has been done, too."""
        self.control.set("blkpf", fault_hold=False)
        self.run.wait_said("kept", mark, r"passed by \d{1,2}(?!\d).*passed by \d{1,2}(?!\d)")

    def nothing_left(self):
        """The standby is dead, too: the guest sees what one without a standby sees, and a reset tries everything again."""
        mark = self.run.mark()
        self.dies(None)
        self.run.wait(mark, NO_STANDBY)
        self.gone(mark, *NAMES)
        self.dies(None, dead=False)
        self.reset(*NAMES)

    def kept(self, vf=0, to=2, out_of_order=True):
        if out_of_order:
            self.passed(vf)
        mark = self.run.mark()
        self.dies(vf)
        self.run.wait(mark, rf"VM 'kept': VF {PF}:{vf} is lost: its standby takes its place")
        self.run.wait(mark, rf"VM 'kept': moved from VF {PF}:{vf}, which is lost, to VF {PF}:{to}")
        self.caught_up(mark)
        self.rounds(*NAMES)
        self.run.ask("vf list", rf":{vf} +- +free", rf":{to} +kept +running")
        if "the disk is gone" in self.run.said("kept", mark):
            raise machine.Failure("the guest saw that its VF died")
        self.dies(vf, dead=False)

    def ordered(self):
        """Its standby is dead, too, when the VF dies; the operator gives it another one before it can look. Its own VF is there
        again by then, and has not forgotten."""
        self.passed(0)
        for name in NAMES:
            self.run.ask(f"vm pause {name}", f"VM '{name}': paused")
        self.control.set("blkpf", fault_hold=False) # what has been passed stays held
        mark = self.run.mark()
        self.dies(None)
        self.run.wait(mark, NO_STANDBY)
        self.dies(None, dead=False)
        self.run.ask(f"vf move {PF}:0 {PF}:4", rf"VM 'kept': moved from VF {PF}:0, which is lost, to VF {PF}:4")
        mark = self.run.mark()
        self.run.ask("vm resume kept", "VM 'kept': resumed")
        self.caught_up(mark)
        self.run.ask("vm resume plain", "VM 'plain': resumed")
        self.reset("plain")

    def refused(self):
        """Nobody followed the requests of the VM without a standby."""
        self.control.set("blkpf", fault_vf=2, fault_hold_most=1, fault_hold=True)
        self.rounds("kept")
        self.run.ask("vm pause plain", "VM 'plain': paused")
        self.dies(1)
        self.run.ask(f"vf move {PF}:1 {PF}:3",
                     rf"VM 'plain': not moved from VF {PF}:1 to VF {PF}:3: 'exchange' failed \([^)]*\): which requests of queue \d+ "
                     "the lost VF still had is not known; only those of a VM with a standby are followed")
        mark = self.run.mark()
        self.run.ask("vm resume plain", "VM 'plain': resumed")
        self.run.wait_said("plain", mark, "the disk is gone")
        self.control.set("blkpf", fault_hold=False)
        self.dies(1, dead=False)
        self.reset("plain")

    def used_up(self):
        """There is no second standby."""
        mark = self.run.mark()
        self.dies(2)
        self.gone(mark, "kept")
        self.dies(2, dead=False)
        self.reset("kept")
        self.rounds("plain")


def test(folder, abi, transport, queues):
    image = disks.make_image(folder, {"02:00.0": f"num_vfs = 5\ntransport = {transport}\n"},
                             vm_section("kept", f"rounds deep way=2 queues={queues} count=16", "02:00.0/0", more=f"standby = 02:00.0/2\n{CHECKPOINTS}"),
                             vm_section("plain", f"rounds way=1 queues={queues} count=16", "02:00.0/1", cpus=2, more=CHECKPOINTS))
    path, images = os.path.join(folder, "qmp"), [vfdisk.make(folder, name + ".img") for name in NAMES]
    properties = f",migration={abi},vf-queues={queues}" + (",mmr=off" if transport == "admin" else "")
    run = VfMachine(image, images * 2 + images[:1], properties=properties, cpus=3, extra=qmp.arguments(path))
    with run, qmp.Qmp(path) as control:
        case = Test(run, control, transport, int(queues))
        case.nothing_left()
        for out_of_order in True, False, True: # at different moments; each time back to the first VF, whose FLR has to be over
            case.kept(out_of_order=out_of_order)
            mark = run.mark()
            run.ask("vm stop kept", r"VM 'kept': stopped")
            run.ask("vm start kept", r"VM 'kept': started")
            case.rounds("kept")
            move_back(case)
        case.ordered()
        case.kept(vf=4)
        case.refused()
        case.used_up()
        for name in NAMES:
            run.ask(f"vm button {name}", rf"VM '{name}': debug exit, status 1\b", rf"VM '{name}': stopped")
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked")
        for name in NAMES:
            run.wait_said(name, 0, "PASS: ")
        print(run.log()[-6000:])
        run.kill()
    for name in NAMES:
        vfdisk.check(os.path.join(folder, name + ".img"), written)


def move_back(case):
    """VF 0 lives again."""
    moved, why, _ = case.run.move("kept", "02:00.0:2", "02:00.0:0")
    if not moved:
        raise machine.Failure(f"not moved back{why}")
    case.rounds("kept")


machine.run_test(lambda folder: test(folder, *sys.argv[1:]))
