# SPDX-License-Identifier: BSD-2-Clause
"""vf_faults.py mmr|admin|silent|stop: devices that break while VMs use them. Who loses a VF is told, and all others go on."""

import os
import sys

import machine
import qmp
import vfdisk
from disks import VfMachine, written

CONFIG = """[vmm]
when_idle = halt
[pf 02:00.0]
num_vfs = 2
{pf}[vm good]
cpus = 1
memory = 64M
multiboot = vblk.elf
cmdline = rounds count=16
vf = 02:00.0/0
debug_exit = 0xf4
[vm hurt]
cpus = {cpu}
memory = 64M
multiboot = vblk.elf
cmdline = rounds count=16 restart
vf = {other}/1
debug_exit = 0xf4
"""

FOREVER = 0xffffffff
EAGAIN, EINVAL = 11, 22
LOST = r"VM hurt: VF 0000:02:00\.2 \(slot 2\) "


class Test:
    """Two VMs that work in rounds; the VF of one, the second of its PF, is going to be hurt."""

    def __init__(self, run, control, *names):
        self.run, self.control = run, control
        for name in names:
            self.rounds(name)

    def rounds(self, name):
        """VM NAME goes on: a whole round from here on."""
        self.run.wait_said(name, self.run.mark(), r"round \d+ ok.*round \d+ ok")

    def fault(self, **properties):
        """Set properties of the device, in this order: what switches a fault on goes last."""
        self.control.set("blkpf", fault_vf=2, **properties)

    def command(self, text, *answers, hurt=None, good=None):
        """TEXT at the operator's prompt; the log has ANSWERS, and the VMs say HURT and GOOD."""
        mark = self.run.mark()
        self.run.send(text + "\r")
        for answer in answers:
            self.run.wait(mark, answer)
        for name, said in (("hurt", hurt), ("good", good)):
            if said:
                self.run.wait_said(name, mark, said)

    def loses(self, why, **properties):
        """With the fault of PROPERTIES the VF is lost, with the message WHY, and the other VM goes on."""
        mark = self.run.mark()
        self.fault(**properties)
        self.run.wait(mark, LOST + why)
        self.run.wait_said("hurt", mark, "the disk is gone")
        self.rounds("good")

    def works_again(self, command):
        """After COMMAND for the VM that lost it, the VF is as new."""
        mark = self.run.mark()
        self.run.send(f"vm {command} hurt\r")
        self.run.wait_said("hurt", mark, "round 1 ok.*round 2 ok")
        self.rounds("good")

    def end(self, folder, *names):
        """The VMs end well, and their disks are right."""
        for name in names:
            self.command(f"vm button {name}", rf"VM '{name}': debug exit, status 1\b", rf"VM '{name}': stopped")
        self.run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked")
        for name in names:
            self.run.wait_said(name, 0, "PASS: ")
        print(self.run.log()[self.run.log().find("VM 'good': slot"):])
        self.run.kill()
        for name in names:
            vfdisk.check(os.path.join(folder, name + ".img"), written)


def boot(folder, pf="", other=None, properties="", cpu=2):
    """The test machine, and its QMP path. The VF to hurt is of the same PF, with PF in the configuration, or of another one,
    with OTHER; PROPERTIES are those of the devices."""
    files = [(os.path.join(machine.BUILD, "guest", "vblk.elf"), "vblk.elf")]
    image = machine.make_image(folder, CONFIG.format(pf=pf + (other or ""), other="01:00.0" if other else "02:00.0", cpu=cpu), files)
    good, hurt = [vfdisk.make(folder, name + ".img") for name in ("good", "hurt")]
    path = os.path.join(folder, "qmp")
    options = {"others": [None, hurt], "other": properties} if other else {}
    run = VfMachine(image, [good, None if other else hurt], properties=properties, cpus=3, extra=qmp.arguments(path), **options)
    return run, path


def mmr(folder):
    """Registers in memory: all ones, slow resets."""
    run, path = boot(folder)
    with run, qmp.Qmp(path) as control:
        test = Test(run, control, "good", "hurt")
        test.loses("answers all ones", fault_all_ones=True)
        # While it is so, the VM can be stopped but not started.
        test.command("vm stop hurt", r"VF 0000:02:00\.2 cannot be reset", r"VM 'hurt': stopped")
        test.command("vm start hurt", r"VM 'hurt' is not started: its VFs cannot be given to it")
        test.rounds("good")
        test.fault(fault_all_ones=False)
        test.works_again("start")
        # A reset that takes its time is waited for.
        test.fault(fault_slow_reset=1000)
        test.rounds("hurt")
        # One without an end is not. The FLR of the VM's reset ends it, until the guest resets the VF once more.
        test.loses("did not finish a reset within 1 s", fault_slow_reset=FOREVER)
        test.command("vm reset hurt", LOST + "did not finish a reset within 1 s", hurt="round 1 ok.*the disk is gone")
        test.fault(fault_slow_reset=0)
        test.works_again("reset")
        test.end(folder, "good", "hurt")


def admin(folder):
    """Registers by commands to the PF: tries again, errors, no answer."""
    run, path = boot(folder, pf="transport = admin\n")
    with run, qmp.Qmp(path) as control:
        test = Test(run, control, "good", "hurt")
        test.fault(fault_admin_status=EAGAIN, fault_admin_count=5)
        test.rounds("hurt")
        if control.get("blkpf", "fault-admin-count") != 0:
            raise machine.Failure("the commands that were to be tried again were not sent")
        # Registers whose commands are refused read all ones; whether the VF is lost depends on what the guest was about to do.
        mark = run.mark()
        test.fault(fault_admin_status=EINVAL, fault_admin_count=FOREVER)
        run.wait_said("hurt", mark, "the disk is gone")
        run.wait(mark, r"admin command LEGACY_\S+ \(\d\) for member 2 of group 1 failed: EINVAL")
        test.rounds("good")
        test.fault(fault_admin_count=0)
        test.works_again("reset")
        # A command is not answered: none is sent for that VF any more, and all are for the other VM's, which a reset sends anew.
        test.loses("gets no answers to commands of its PF", fault_admin_hang=True, fault_admin_count=1)
        run.require("for member 2 was not answered in time; until it is, none is sent for that member")
        test.rounds("good")
        test.command("vm reset good", good="round 1 ok")
        test.command("vm stop hurt", r"VM 'hurt': stopped")
        test.command("vm start hurt", r"VM 'hurt' is not started: PF 0000:02:00\.0 takes no more commands for its VF until it is reset, "
                     r"which would take the VFs of VM 'good' away")
        test.rounds("good")
        test.command("vm stop good", r"VM 'good': stopped")
        test.command("vm start hurt", r"PF 0000:02:00\.0 is reset", hurt="round 1 ok")
        test.command("vm start good", good="round 1 ok")
        test.rounds("hurt")
        test.rounds("good")
        test.end(folder, "good", "hurt")


def silent(folder):
    """Two PFs that never answer a command: one is not needed for its VFs, whose registers are in memory. The VM that needs the
    other one's commands is not started."""
    run, path = boot(folder, other="[pf 01:00.0]\nnum_vfs = 2\ntransport = admin\n",
                     properties=f",fault-admin-count={FOREVER},fault-admin-hang=on")
    with run, qmp.Qmp(path) as control:
        test = Test(run, control, "good")
        run.wait(0, r"VM 'hurt' is not started: its VFs cannot be had")
        run.require("PF 0000:01:00.0: its commands for VFs cannot be used", "PF 0000:02:00.0: its commands for VFs cannot be used")
        control.set("otherpf", fault_admin_count=0)
        test.command("vm start hurt", r"VM 'hurt' is not started: its VFs cannot be had")
        test.rounds("good")
        test.end(folder, "good")


def stop(folder):
    """The console's own CPU runs a VM that waits for a command without an answer, which may take ten minutes: the console goes on,
    and the VM can be stopped at once."""
    run, path = boot(folder, pf="transport = admin\nadmin_timeout = 600\n", cpu=0)
    with run, qmp.Qmp(path) as control:
        test = Test(run, control, "good", "hurt")
        test.fault(fault_admin_hang=True, fault_admin_count=1)
        while control.get("blkpf", "fault-admin-count") != 0:
            test.rounds("good")
        test.command("vm list", r"hurt +running")
        test.rounds("good")
        test.command("vm stop hurt", LOST + "gets no answers to commands of its PF", r"VM 'hurt': stopped")
        run.forbid("was not answered in time")
        test.end(folder, "good")


CASES = {case.__name__: case for case in (mmr, admin, silent, stop)}

machine.run_test(CASES[sys.argv[1]])
