# SPDX-License-Identifier: BSD-2-Clause
"""An endless loop, with interrupts off and on, is stopped, reset and started again from the console."""

import os

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


def test(folder):
    image = machine.make_image(folder, CONFIG, [(os.path.join(machine.BUILD, "guest", "loop.elf"), "loop.elf")])
    with machine.Machine(image, cpus=3, pfs=False) as run:
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
