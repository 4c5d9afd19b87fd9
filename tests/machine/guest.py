# SPDX-License-Identifier: BSD-2-Clause
"""guest.py ENGINE NAME [CPUS [COMMAND LINE]]: run the small test guest NAME in a VM with CPUS vCPUs on CPUs of their own.

ENGINE is 'qemu' (UEFI, SVM as QEMU's TCG has it) or 'bochs' (BIOS; SVM with ASIDs and a TLB that keeps what is not flushed)."""

import os
import sys

import bios
import bochs
import machine

CONFIG = """[vmm]
when_idle = poweroff
[vm guest]
cpus = {cpus}
memory = 64M
multiboot = {name}.elf
{cmdline}debug_exit = 0xf4
"""


def start(folder, engine, name, cpus, arguments):
    config = CONFIG.format(name=name, cpus=f"1-{cpus}",
                           cmdline=f"cmdline = {arguments}\n" if arguments else "")
    files = [(os.path.join(machine.BUILD, "guest", name + ".elf"), name + ".elf")]
    if engine == "bochs":
        return bochs.BochsMachine(bios.make_iso(folder, config, files), timeout=300, cpus=cpus + 1, memory=256)
    return machine.Machine(machine.make_image(folder, config, files), cpus=cpus + 1, pfs=False)


def test(folder):
    engine, name = sys.argv[1:3]
    cpus = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with start(folder, engine, name, cpus, " ".join(sys.argv[4:])) as run:
        run.expect(r"VM 'guest': debug exit, status (\d+)")
        status = int(run.process.match.group(1))
        run.expect(r"the machine is switched off")
        run.require("PASS: ", "VM 'guest': stopped")
        run.forbid("PANIC", "ERROR", "FAIL")
        if status != 1:
            raise machine.Failure(f"the guest ended with status {status}")
        print(run.log()[run.log().find("VM 'guest': started"):])


machine.run_test(test)
