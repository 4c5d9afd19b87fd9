# SPDX-License-Identifier: BSD-2-Clause
"""trackbench.py: how long a VM is parked to ask a PF what its VF has written, when that is nothing: what is left is for the size of the
VM's RAM. For each kind of map, and where the PF has none. In instructions; docs/performance.md.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import counted  # noqa: E402
import figures  # noqa: E402
import machine  # noqa: E402
import vfdisk  # noqa: E402

GUEST = os.path.join(machine.BUILD, "guest", "vblk.elf")
VF = "02:00.0:0"
MODES = {"push_bits": 1, "push_bytes": 2, "pull_bits": 4, "pull_bytes": 8, "none": 0}
SIZES = (64, 512)  # MiB of the VM's RAM
CONFIG = """[vmm]
when_idle = halt
[pf 02:00.0]
num_vfs = 1
[vm guest]
cpus = 1
memory = {size}M
multiboot = vblk.elf
cmdline = rounds way=0 count=16
vf = 02:00.0/0
"""


def measure(folder, mode, size):
    """Thousands of instructions of a report of a VM that is paused, after one before it."""
    iso = bios.make_iso(folder, CONFIG.format(size=size), [(GUEST, "vblk.elf")])
    disk = f"{machine.IMAGE},filename={vfdisk.make(folder)},locking=off"
    with counted.VfMachine(iso, disks=[disk], properties=f",migration=2021,dirty-modes={mode}", memory=f"{2 * size + 256}M") as run:
        run.wait_said("guest", 0, r"round \d+ ok")
        run.wait(run.order(f"vf dirty {VF} on"), "dirty on: done")
        run.ask("vm pause guest", "VM 'guest': paused")
        for _ in range(2):
            told = run.wait(run.order(f"vf dirty {VF} report"), r"(\d+) pages written .* took (\d+) us(.*\n)*.*report: done")
        run.forbid("PANIC", "ERROR", "FAIL")
    if (int(told[1]) != 0) != (mode == 0):
        raise machine.Failure(f"a VM that is paused: {told[1]} pages written")
    return int(told[2])


def test(folder):
    values, limits = {}, {}
    for name, mode in MODES.items():
        for size in SIZES:
            values[f"report_{name}_{size}M"] = measure(folder, mode, size)
            limits[f"report_{name}_{size}M"] = ("thousand_instructions", 0, 20 + size)
    figures.show(limits, values)


machine.run_test(test)
