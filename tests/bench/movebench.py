# SPDX-License-Identifier: BSD-2-Clause
"""movebench.py: what it takes to move VFs of a VM together, from one to all that a VM can have, by both protocols, counted in instructions,
in commands and in bytes; docs/performance.md.

guest/vblk works with all of its 16 disks meanwhile, and polls them. Each figure is printed as 'bench NAME VALUE UNIT peer=VALUE'.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import counted  # noqa: E402
import figures  # noqa: E402
import gaps  # noqa: E402
import machine  # noqa: E402
import qmp  # noqa: E402
import vfdisk  # noqa: E402

GUEST = os.path.join(machine.BUILD, "guest", "vblk.elf")
CPUS = 1,  # the guest's
PF, VFS = "02:00.0", 16  # that a VM can have; as many are free
ABIS, SIZES = ("1.4", "2021"), (1, 2, 4, 8, 16)
CONFIG = f"""[vmm]
when_idle = halt
[pf {PF}]
num_vfs = {2 * VFS}
[vm guest]
cpus = 1
memory = 64M
multiboot = vblk.elf
cmdline = rounds way=0 disks={VFS} count=16
""" + "".join(f"vf = {PF}/{number}\n" for number in range(VFS))

# Every figure, its unit, and the most that it may be for each VF: about twice what it is today.
FIGURES = {"pause": ("thousand_instructions", 1300), "still": ("thousand_instructions", 1350), "commands": ("commands", 20), "state": ("bytes", 11000)}


class Mover:
    """The VM's first VFs go there and back."""

    def __init__(self, run, control):
        self.run, self.control = run, control

    def move(self, size, here, there):
        """{FIGURE: value} of a move of SIZE VFs from the row HERE to the row THERE, of a VM that is at work before and after."""
        self.run.wait_said("guest", self.run.mark(), r"round \d+ ok")
        commands = self.control.get("blkpf", "admin-commands")
        gaps.forget(self.control)
        mark = self.run.order(f"vf move {PF}:{here} {PF}:{there}")
        times = self.run.wait(mark, r"  us: .*; (\d+) in all")
        sizes = [int(number) for number in re.findall(r"VM 'guest': moved from .*: (\d+) bytes, of them", self.run.log(mark))]
        if len(sizes) != size:
            raise machine.Failure(f"{len(sizes)} of {size} VFs were moved")
        pause, still = int(times.group(1)), gaps.on_one(self.control, CPUS).instructions // 1000
        print(f"{size:2} VFs, {times.group()}; {still} thousand instructions without the guest", flush=True)
        if not pause <= still <= pause * 1.1:
            raise machine.Failure("the emulator has counted another pause than the VMM")
        commands = self.control.get("blkpf", "admin-commands") - commands
        self.run.wait_said("guest", self.run.mark(), r"round \d+ ok.*round \d+ ok")
        return {"pause": pause, "still": still, "commands": commands, "state": sum(sizes)}


def measure(folder, abi):
    """{NAME: figure} of the moves by ABI. Of a VF's first move a PF of 2021 is asked in what state it is: the way back counts."""
    iso = bios.make_iso(folder, CONFIG, [(GUEST, "vblk.elf")])
    disk, path, values = vfdisk.make(folder), os.path.join(folder, "qmp" + abi), {}
    run = counted.VfMachine(iso, disks=[f"{machine.IMAGE},filename={disk},locking=off"] * 2 * VFS, properties=f",migration={abi}",
                            more=qmp.arguments(path), plugin=gaps.COUNT)
    print(f"by {abi}:")
    with run, qmp.Qmp(path) as control:
        mover = Mover(run, control)
        for size in SIZES:
            rows = f"0-{size - 1}", f"{VFS}-{VFS + size - 1}"
            mover.move(size, *rows)
            for name, value in mover.move(size, *reversed(rows)).items():
                values[f"{name}_{abi}_{size}"] = value
        if control.get("blkpf", "stray-dma") != 0:
            raise machine.Failure("a VF that was stopped tried to reach memory")
        run.forbid("PANIC", "ERROR", "FAIL", "was blocked", "the disk is gone")
    return values


def test(folder):
    values, limits = {}, {}
    for abi in ABIS:
        values.update(measure(folder, abi))
        limits.update({f"{name}_{abi}_{size}": (unit, 1, size * most) for size in SIZES for name, (unit, most) in FIGURES.items()})
    figures.show(limits, values)
    for name in (f"{name}_{abi}" for abi in ABIS for name in FIGURES):
        for size in SIZES:  # a VF of a set takes no more than one alone
            if values[f"{name}_{size}"] > size * values[f"{name}_1"]:
                raise machine.Failure(f"{name}: {values[f'{name}_{size}']} for {size} VFs, and {values[f'{name}_1']} for one")


machine.run_test(test)
