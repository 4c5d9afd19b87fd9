# SPDX-License-Identifier: BSD-2-Clause
"""sim_vf.py ENGINE: a guest with a disk on a VF in Bochs, which has no PCI Express: 'vmx', 'vmx-plain' or 'bochs', as for guest.py.

The image is the product but for what binds VFs to hardware (tests/simvf), where a disk in the VMM's memory stands in, served by the last CPU. The guest reads
and writes it polled, by INTx and by MSI-X; each of its notifications goes the short way, and each end of a request is an
interrupt of the host. All that it can see is saved and built anew meanwhile."""

import os
import re
import sys

import bochs
import machine
from bios import run_tool

SIM = os.path.join(machine.BUILD, "simvf")
COUNT = 8
CONFIG = f"""[vmm]
when_idle = poweroff
[vm vblk]
cpus = 1
memory = 16M
multiboot = vblk.elf
cmdline = count={COUNT}
debug_exit = 0xf4
checkpoints = {machine.CHECKPOINTS}
"""
REQUESTS = 3 * (COUNT + 2 * 256 // 8) # of the three ways: reads, and writes that are read again


def make_iso(folder, config, guest):
    """An ISO image with the simulated VF for CONFIG, which names GUEST's program."""
    os.symlink(os.path.join(machine.BUILD, "guest", guest), os.path.join(folder, guest))
    path = os.path.join(folder, "portolan.cfg")
    with open(path, "w", encoding="ascii") as file:
        file.write(config)
    iso = os.path.join(folder, "boot.iso")
    run_tool(os.path.join(machine.TOP, "tools", "iso.sh"), SIM, path, iso)
    return iso


def test(folder):
    iso = make_iso(folder, CONFIG, "vblk.elf")
    with bochs.BochsMachine(iso, model=bochs.MODELS[sys.argv[1]], cpus=3, memory=256) as run:
        run.expect(r"VM 'vblk': slot 4 is a simulated disk")
        run.expect(r"VM 'vblk': debug exit, status 1\b")
        run.expect_end()
        run.require("0 failed")
        run.require_checkpoints("vblk")
        run.forbid("PANIC", "ERROR", "FAIL")
        print(run.log()[run.log().find("started"):])
        wanted = [0, REQUESTS // 3, REQUESTS // 3]
        counts = [int(number) for number in re.findall(r"(\d+) interrupts, \d+ without", run.log())]
        if len(counts) != len(wanted) or any(count < least for count, least in zip(counts, wanted)):
            raise machine.Failure(f"interrupts by way: {counts}, not at least {wanted}")


if __name__ == "__main__":
    machine.run_test(test)
