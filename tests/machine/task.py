# SPDX-License-Identifier: BSD-2-Clause
"""task.py: a VM that switches tasks by hardware on an Intel CPU is stopped, and the log says why; another one goes on."""

import os

import bios
import bochs
import machine

CONFIG = """[vmm]
when_idle = poweroff
[vm tasks]
cpus = 1
memory = 64M
multiboot = modes.elf
[vm other]
cpus = 2
memory = 64M
multiboot = modes.elf
cmdline = no-task
debug_exit = 0xf4
"""


def test(folder):
    files = [(os.path.join(machine.BUILD, "guest", "modes.elf"), "modes.elf")]
    iso = bios.make_iso(folder, CONFIG, files)
    with bochs.BochsMachine(iso, model="tigerlake", cpus=3, memory=320) as run:
        run.expect_end()
        run.require("VM 'tasks': vCPU 0 switches to another task by hardware", "VM 'tasks': stopped", "VM 'other': debug exit, status 1")
        run.forbid("PANIC", "ERROR", "FAIL")


machine.run_test(test)
