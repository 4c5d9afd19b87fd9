# SPDX-License-Identifier: BSD-2-Clause
"""vf.py CASE: a VM with a block VF, driven by its legacy registers."""

import os
import sys

import machine
from disks import VfMachine, check_disk, make_disk

CONFIG = """[vmm]
when_idle = {idle}
[pf 02:00.0]
num_vfs = 2
{pf}[vm guest]
cpus = 1
memory = 64M
multiboot = vblk.elf
cmdline = {cmdline}
vf = 02:00.0/1
debug_exit = 0xf4
"""


def boot(folder, cmdline="", pf="", idle="poweroff", **options):
    files = [(os.path.join(machine.BUILD, "guest", "vblk.elf"), "vblk.elf")]
    image = machine.make_image(folder, CONFIG.format(cmdline=cmdline, pf=pf, idle=idle), files)
    return VfMachine(image, [None, make_disk(folder)], **options)


def run_guest(folder, *texts, forbid=(), **options):
    """The guest passes all its checks, TEXTS are in the log, and the disk is as it wrote it."""
    with boot(folder, **options) as run:
        run.expect(r"VM 'guest': debug exit, status (\d+)")
        status = int(run.process.match.group(1))
        run.expect_end()
        run.require("PASS: ", "VM 'guest': stopped", *texts)
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", *forbid)
        if status != 1:
            raise machine.Failure(f"the guest ended with status {status}")
        print(run.log()[run.log().find("VM 'guest': slot"):])
    check_disk(os.path.join(folder, "disk.img"))


def mmr(folder):
    run_guest(folder, "registers in its memory", cmdline="count=256", forbid=["was blocked"])


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
            run.expect(r"VM 'guest': debug exit, status (\d+)")
            if run.process.match.group(1) != "1":
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


CASES = {case.__name__: case for case in (mmr, stray, admin, amd, cycles)}

machine.run_test(CASES[sys.argv[1]])
