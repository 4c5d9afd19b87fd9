# SPDX-License-Identifier: BSD-2-Clause
"""vf.py CASE: a VM with a block VF, driven by its legacy registers."""

import os
import sys

import machine
import vfdisk
from disks import VfMachine, written

CONFIG = """[vmm]
when_idle = {idle}
{vmm}[pf 02:00.0]
num_vfs = 2
{pf}[vm guest]
cpus = 1
memory = 64M
multiboot = vblk.elf
cmdline = {cmdline}
vf = 02:00.0/1
debug_exit = 0xf4
checkpoints = 200
{more}"""

OTHER = """[pf 01:00.0]
num_vfs = 2
[vm other]
cpus = 0
memory = 64M
multiboot = vblk.elf
vf = 01:00.0/0
debug_exit = 0xf4
"""


def boot(folder, cmdline="", pf="", idle="poweroff", vmm="", more="", **options):
    files = [(os.path.join(machine.BUILD, "guest", "vblk.elf"), "vblk.elf")]
    image = machine.make_image(folder, CONFIG.format(cmdline=cmdline, pf=pf, idle=idle, vmm=vmm, more=more),
                               files)
    return VfMachine(image, [None, vfdisk.make(folder)], **options)


def run_guest(folder, *texts, forbid=(), **options):
    """The guest passes all its checks, TEXTS are in the log, and the disk is as it wrote it."""
    with boot(folder, **options) as run:
        status = int(run.expect(r"VM 'guest': debug exit, status (\d+)").group(1))
        run.expect_end()
        run.require("PASS: ", "VM 'guest': stopped", *texts)
        run.require_checkpoints("guest")
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", *forbid)
        if status != 1:
            raise machine.Failure(f"the guest ended with status {status}")
        print(run.log()[run.log().find("VM 'guest': slot"):])
    vfdisk.check(os.path.join(folder, "disk.img"), written)


def mmr(folder):
    run_guest(folder, "registers in its memory", "(ACS) is on in 2 of 2 ports", cmdline="count=256",
              forbid=["was blocked", "past the IOMMU"])


def stray(folder):
    """What lies beyond the VM's memory is out of the VF's reach, and the log says so."""
    run_guest(folder, "a write at 0x3f000", "was blocked", cmdline="count=16 stray")


def admin(folder):
    run_guest(folder, "by commands to its PF", cmdline="count=16", pf="transport = admin\n", forbid=["was blocked"])


def amd(folder):
    run_guest(folder, "registers in its memory", cmdline="count=64", iommu="amd", forbid=["was blocked"])


def holdings(run):
    """What the VMM holds for VFs now, by its own count."""
    run.send("stats\r")
    return run.expect(r"all VMs: (\d+) domains, (\d+) functions, (\d+) interrupts, (\d+) vectors, "
                      r"(\d+) pages of tables, (\d+) lost").groups()


def cycles(folder):
    """Starts and stops leave nothing behind; a VM that is reset under way finds its VF as new."""
    with boot(folder, cmdline="count=600", idle="halt") as run:
        held = []
        for _ in range(4):
            run.expect(r"group INTx")
            run.send("vm reset guest\r")
            if run.expect(r"VM 'guest': debug exit, status (\d+)").group(1) != "1":
                raise machine.Failure("the guest failed after its reset")
            run.expect(r"VM 'guest': stopped")
            held.append(holdings(run))
            run.send("vm start guest\r")
        run.expect("VM 'guest': started")
        run.send("vm stop guest\r")
        run.expect(r"VM 'guest': stopped")
        held.append(holdings(run))
        print(held)
        run.require("VM 'guest': reset: the operator wants it")
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked")
        if len(set(held)) != 1 or held[0][:4] != ("1", "1", "0", "0") or held[0][5] != "0":
            raise machine.Failure(f"the VMM holds more and more: {held}")


def pauses(folder):
    """Paused all the time in the middle of requests, with INTx and with MSI-X, a VM loses none of its VF's
    interrupts: the guest waits for each."""
    with boot(folder, cmdline="count=2000", idle="halt") as run:
        run.expect("group INTx")
        while "VM 'guest': stopped" not in run.log():
            run.send("vm pause guest\r")
            if run.expect(r"VM 'guest': (paused|stopped)").group(1) == "paused":
                run.send("vm resume guest\r")
                run.expect("VM 'guest': resumed")
        run.require("PASS: ", "VM 'guest': debug exit, status 1")
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked")
        before, after = run.log().split("group INTx")[1].split("group MSI-X")
        counts = before.count("VM 'guest': paused"), after.count("VM 'guest': paused")
        print(f"{counts[0]} pauses with INTx, {counts[1]} with MSI-X")
        if min(counts) < 5:
            raise machine.Failure(f"too few pauses to say something: {counts}")
    vfdisk.check(os.path.join(folder, "disk.img"), written)


def traced(folder):
    """All that a VM does is kept, and shown, while its VF interrupts it."""
    with boot(folder, cmdline="count=2000", idle="halt") as run:
        run.expect("group INTx")
        run.send("vm trace guest all\r")
        run.expect("vm trace guest: all")
        shown = 0
        while "VM 'guest': stopped" not in run.log():
            run.send("vm trace guest\r")
            run.expect(r"vm trace guest: \d+ entries\n|VM 'guest': stopped")
            shown += 1
        run.require("PASS: ", "VM 'guest': debug exit, status 1", ": interrupt ", ": port ", ": mmio ")
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked")
        print(f"the trace was shown {shown} times")
        if shown < 5:
            raise machine.Failure(f"the trace was shown {shown} times only")
    vfdisk.check(os.path.join(folder, "disk.img"), written)


def no_acs(folder):
    """Ports that let requests past the IOMMU: VFs of two VMs below them are not used together, unless that is asked for."""
    options = {"more": OTHER, "port": ",disable-acs=on", "cmdline": "count=8"}
    run_guest(folder, "(ACS) is on in 0 of 2 ports",
              "VM 'guest': VF 0000:02:00.2 may reach other devices past the IOMMU: port 0000:00:02.1",
              "VM 'other' and VM 'guest' are not separated", "VM 'other' is not started", **options,
              forbid=["VM 'other': started"])
    with boot(folder, vmm="unsafe_dma = yes\n", **options) as run:
        run.expect("VM 'other' and VM 'guest' are not separated.*are started all the same")
        run.expect("VM 'other': started")


def no_remapping(folder):
    """An IOMMU that lets a VF's guest send any interrupt: the VM is not started, unless that is asked for."""
    with boot(folder, cmdline="count=8", iommu="unmapped", idle="halt") as run:
        run.expect("VM 'guest' could send any interrupt.*it is not started")
        run.send("vm start guest\r")
        run.expect("VM 'guest': not started: not supported")
        run.forbid("PANIC", "ERROR", "VM 'guest': started")
    run_guest(folder, "interrupts not remapped", "it is started all the same (unsafe_dma = yes)", cmdline="count=8", iommu="unmapped",
              vmm="unsafe_dma = yes\n", forbid=["was blocked"])


CASES = {case.__name__: case for case in (mmr, stray, admin, amd, cycles, pauses, traced, no_acs, no_remapping)}

if __name__ == "__main__":
    machine.run_test(CASES[sys.argv[1]])
