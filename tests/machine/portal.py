# SPDX-License-Identifier: BSD-2-Clause
"""portal.py ENGINE: a guest in the service VM speaks to the portal, and carries a VM to another one of the same machine. The guest
in it, which writes to its memory and checks it, notices nothing.

ENGINE is 'qemu', or 'bochs', whose TLB keeps what is not flushed, or 'vmx', which is Bochs as an Intel CPU."""

import os
import sys

import bios
import bochs
import machine

NUMBERS = {"here": 1, "there": 2} # of the VMs that are typed to
VM = """[vm {name}]
cpus = {cpu}
memory = 64M
multiboot = dirty.elf
debug_exit = 0xf4
{more}
"""
CONFIG = "[vmm]\nwhen_idle = poweroff\n" + VM.format(name="here", cpu=1, more="migrate = yes") + VM.format(
    name="there", cpu=2, more="incoming = yes\nautostart = no") + """[vm svc]
cpus = 3
memory = 160M
multiboot = portal.elf
debug_exit = 0xf4
autostart = no
service = yes
checkpoints = %d
""" % machine.CHECKPOINTS


def start(folder, engine):
    files = [(os.path.join(machine.BUILD, "guest", name), name) for name in ("dirty.elf", "portal.elf")]
    if engine in bochs.MODELS:
        return bochs.BochsMachine(bios.make_iso(folder, CONFIG, files), model=bochs.MODELS[engine], cpus=4, memory=512)
    return bios.PcMachine(bios.make_iso(folder, CONFIG, files), cpus=4, memory="512M")


def order(run, name, letter, answer):
    """Type LETTER on the console of VM NAME, in the foreground, until ANSWER."""
    mark = run.mark()
    run.send(f"\x01{NUMBERS[name]}{letter}")
    run.wait_said(name, mark, answer)
    run.send("\x010")


def test(folder):
    with start(folder, sys.argv[1]) as run:
        run.wait_said("here", 0, "ready 0")
        order(run, "here", "g", "ready 1")
        run.send("vm start svc\r")
        run.wait(0, r"VM 'svc': debug exit, status 1\n")
        run.wait(0, r"VM 'here': stopped\n")
        for answer in ("ready 2", "ready 3", "ready to end"):
            order(run, "there", "g", answer)
        order(run, "there", "q", r"PASS: \d+ checks, 0 failed")
        run.expect_end()
        run.require_checkpoints("svc")
        run.require("[svc] PASS: ", "VM 'there': debug exit, status 1")
        run.forbid("PANIC", "ERROR", "FAIL")


if __name__ == "__main__":
    machine.run_test(test)
