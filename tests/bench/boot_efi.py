# SPDX-License-Identifier: BSD-2-Clause
"""boot_efi.py: instructions from the EFI file's first to the VM's first; docs/performance.md.

By hand: the firmware in front of it takes two minutes when instructions are counted."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import machine  # noqa: E402

CONFIG = """[vmm]
when_idle = poweroff
[vm bench]
cpus = 1-2
memory = 128M
multiboot = hlt.elf
debug_exit = 0xf4
"""


def test(folder):
    files = [(os.path.join(machine.BUILD, "guest", "hlt.elf"), "hlt.elf")]
    image = machine.make_image(folder, CONFIG, files)
    with machine.Machine(image, cpus=3, pfs=False, icount=True, timeout=300) as run:
        seconds, micros = run.expect(r"\[ *(\d+)\.(\d{6})\] VM 'bench': started").groups()
        print(f"bench boot_efi {int(seconds) * 1000000 + int(micros)} thousand_instructions")


machine.run_test(test)
