# SPDX-License-Identifier: BSD-2-Clause
"""guest.py NAME [CPUS]: run the small test guest NAME in a VM with CPUS vCPUs, on a machine with one CPU more."""

import os
import sys

import machine

CONFIG = """[vmm]
when_idle = poweroff
[vm guest]
cpus = {cpus}
memory = 128M
multiboot = {name}.elf
debug_exit = 0xf4
"""


def test(folder):
    name, cpus = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    image = machine.make_image(
        folder, CONFIG.format(name=name, cpus=f"1-{cpus}" if cpus > 1 else "1"),
        [(os.path.join(machine.BUILD, "guest", name + ".elf"), name + ".elf")])
    with machine.Machine(image, cpus=cpus + 1, pfs=False) as run:
        run.expect(r"VM 'guest': debug exit, status (\d+)")
        status = int(run.process.match.group(1))
        run.expect_end()
        run.require("PASS: ", "VM 'guest': stopped")
        run.forbid("PANIC", "ERROR", "FAIL")
        if status != 1:
            raise machine.Failure(f"the guest ended with status {status}")
        print(run.log()[run.log().find("VM 'guest': started"):])


machine.run_test(test)
