# SPDX-License-Identifier: BSD-2-Clause
"""bench.py: what leaving the guest, and the VMM itself, cost, counted in instructions; docs/performance.md.

The machine's clock advances by one nanosecond with each instruction, so that figures depend on the code alone, not on
the machine that this runs on; they repeat exactly. Each is printed as 'bench NAME VALUE UNIT peer=VALUE'.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import figures  # noqa: E402
import machine  # noqa: E402

# Every figure, its unit, and the most that it may be: several times what it is today, so that only a change for the
# worse by its order fails. A new row of guest/bench needs one here.
FIGURES = {
    "cpuid": ("instructions", 10000),
    "out_unclaimed": ("instructions", 1500),
    "in_unclaimed": ("instructions", 1500),
    "in_pic": ("instructions", 3000),
    "rdmsr": ("instructions", 10000),
    "cr4": ("instructions", 12000),
    "tpr_write": ("instructions", 6000),
    "self_ipi": ("instructions", 16000),
    "apic_eoi": ("instructions", 16000),
    "hlt": ("instructions", 12000),
    "deadline_arm": ("instructions", 12000),
    "timer_running": ("instructions", 6000),
    "timer_halted": ("instructions", 6000),
    "ipi_running": ("instructions", 20000),
    "ipi_halted": ("instructions", 20000),
    "boot": ("thousand_instructions", 1000000),
    "image_efi": ("bytes", 768 << 10),
    "image_multiboot2": ("bytes", 768 << 10),
    "image_in_memory": ("KiB", 2048),
    "ram": ("KiB", 4096),
    "page_tables": ("KiB", 1024),
}


def one(pattern, text):
    match = re.search(pattern, text)
    if not match:
        raise machine.Failure(f"{pattern!r} was not printed")
    return match.groups()


def measure(folder):
    """{NAME: figure} of one run of guest/bench as a VM, and of the VMM that runs it."""
    config = figures.CONFIG.format(guest="bench.elf")
    iso = bios.make_iso(folder, config, [(os.path.join(machine.BUILD, "guest", "bench.elf"), "bench.elf")])
    with bios.PcMachine(iso, cpus=3, icount=True) as run:
        boot = figures.of_boot(run)
        run.expect(r"VM 'bench': debug exit, status 1\b")
        run.expect_end()
        run.forbid("PANIC", "ERROR", "FAIL", "skipped")
        text = run.log()
        values = figures.of_guest(text)
        values["boot"] = boot
        names = ("image_in_memory", "ram", "page_tables")
        sizes = one(r"VMM: (\d+) KiB image, (\d+) KiB of RAM in use, (\d+) KiB of page tables", text)
        values.update(zip(names, map(int, sizes)))
    for name, file in (("image_efi", "portolan.efi"), ("image_multiboot2", "portolan.mb2")):
        values[name] = os.path.getsize(os.path.join(machine.BUILD, file))
    return values


def test(folder):
    figures.show({name: (unit, 1, highest) for name, (unit, highest) in FIGURES.items()}, measure(folder))


machine.run_test(test)
