# SPDX-License-Identifier: BSD-2-Clause
"""loop.py ENGINE: an endless loop, with interrupts off and on, is stopped, reset and started again from the console.

ENGINE is 'qemu' or 'bochs', as for guest.py."""

import os
import sys

import bios
import bochs
import machine

CONFIG = """[vmm]
when_idle = poweroff
[vm deaf]
cpus = 1
memory = 16M
multiboot = loop.elf
[vm busy]
cpus = 2
memory = 16M
multiboot = loop.elf
cmdline = interrupts
"""


def start(folder, engine):
    files = [(os.path.join(machine.BUILD, "guest", "loop.elf"), "loop.elf")]
    if engine == "bochs":
        return bochs.BochsMachine(bios.make_iso(folder, CONFIG, files), timeout=350, cpus=3, memory=256)
    return machine.Machine(machine.make_image(folder, CONFIG, files), cpus=3, pfs=False)


def test(folder):
    with start(folder, sys.argv[1]) as run:
        run.expect_all(r"\[deaf\] loop: looping with interrupts off", r"\[busy\] loop: looping with interrupts on")
        run.send("vm reset deaf\r")
        run.expect(r"\[deaf\] loop: looping with interrupts off")
        run.send("vm stop deaf\r")
        run.expect(r"VM 'deaf': stopped")
        run.send("vm list\r")
        run.expect_all(r"deaf +off", r"busy +running")
        run.send("vm start deaf\r")
        run.expect(r"\[deaf\] loop: looping with interrupts off")
        run.send("vm stop busy\r")
        run.expect(r"VM 'busy': stopped")
        run.send("vm stop 1\r")
        run.expect(r"VM 'deaf': stopped")
        run.expect_end()
        run.forbid("PANIC", "ERROR")


machine.run_test(test)
