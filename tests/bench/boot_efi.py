# SPDX-License-Identifier: BSD-2-Clause
"""boot_efi.py: instructions from the EFI file's first to the VM's first; docs/performance.md.

By hand: the firmware in front of it takes two minutes when instructions are counted."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import figures  # noqa: E402
import machine  # noqa: E402


def test(folder):
    files = [(os.path.join(machine.BUILD, "guest", "hlt.elf"), "hlt.elf")]
    image = machine.make_image(folder, figures.CONFIG.format(guest="hlt.elf"), files)
    with machine.Machine(image, cpus=3, pfs=False, icount=True) as run:
        print(f"bench boot_efi {figures.of_boot(run)} thousand_instructions")


machine.run_test(test)
