# SPDX-License-Identifier: BSD-2-Clause
"""reset_loop.py: a VM whose program faults at once is given up after some resets, and can be started again; one that does
some work each time before it faults is reset for ever."""

import os

import machine

DEATHS_MAX = 16 # RESET_LOOP_DEATHS_MAX

CONFIG = """[vmm]
when_idle = halt
[vm bad]
cpus = 1
memory = 16M
multiboot = reset.elf
cmdline = die=200
[vm works]
cpus = 2
memory = 16M
multiboot = reset.elf
cmdline = die=100 work
debug_exit = 0xf4
"""


def test(folder):
    files = [(os.path.join(machine.BUILD, "guest", "reset.elf"), "reset.elf")]
    with machine.Machine(machine.make_image(folder, CONFIG, files), cpus=3, pfs=False) as run:
        run.expect_all(rf"VM 'bad' stays off: it died {DEATHS_MAX} times in a row", r"VM 'bad': stopped",
                       r"VM 'works': debug exit, status 1", r"VM 'works': stopped")
        run.send("vm start bad\r")
        run.expect(rf"VM 'bad' stays off: it died {DEATHS_MAX} times in a row")
        run.expect(r"VM 'bad': stopped")
        run.require("[works] PASS: ")
        run.forbid("PANIC", "ERROR", "FAIL")


machine.run_test(test)
