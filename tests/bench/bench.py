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
import machine  # noqa: E402

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers.txt")
CONFIG = """[vmm]
when_idle = poweroff
[vm bench]
cpus = 1-2
memory = 128M
multiboot = bench.elf
debug_exit = 0xf4
"""

# Every figure, its unit, and the most that it may be: several times what it is today, so that only a change for the
# worse by its order fails. A new row of guest/bench needs one here.
FIGURES = {
    "cpuid": ("instructions", 10000),
    "out_unclaimed": ("instructions", 6000),
    "in_unclaimed": ("instructions", 6000),
    "in_pic": ("instructions", 6000),
    "rdmsr": ("instructions", 10000),
    "cr4": ("instructions", 12000),
    "self_ipi": ("instructions", 16000),
    "apic_eoi": ("instructions", 16000),
    "hlt": ("instructions", 12000),
    "deadline_arm": ("instructions", 12000),
    "timer_running": ("instructions", 6000),
    "timer_halted": ("instructions", 6000),
    "ipi_running": ("instructions", 20000),
    "ipi_halted": ("instructions", 20000),
    "boot": ("thousand_instructions", 1000000),
    "image_efi": ("bytes", 512 << 10),
    "image_multiboot2": ("bytes", 512 << 10),
    "image_in_memory": ("KiB", 2048),
    "ram": ("KiB", 4096),
    "page_tables": ("KiB", 1024),
}


def read_peers():
    """{NAME: figure} of peers.txt: lines 'NAME FIGURE', and comments."""
    peers = {}
    with open(PEERS, encoding="ascii") as file:
        for line in file:
            words = line.split("#")[0].split()
            if len(words) >= 2:
                peers[words[0]] = words[1]
    return peers


def one(pattern, text):
    match = re.search(pattern, text)
    if not match:
        raise machine.Failure(f"{pattern!r} was not printed")
    return match.groups()


def measure(folder):
    """{NAME: figure} of one run of guest/bench as a VM, and of the VMM that runs it."""
    iso = bios.make_iso(folder, CONFIG, [(os.path.join(machine.BUILD, "guest", "bench.elf"), "bench.elf")])
    with bios.PcMachine(iso, cpus=3, icount=True, timeout=150) as run:
        run.expect(r"VM 'bench': debug exit, status 1\b")
        run.expect_end()
        run.forbid("PANIC", "ERROR", "FAIL", "skipped")
        text = run.log()
        figures = {name: int(median) for name, median in re.findall(r"\] bench (\w+) \d+ (\d+)\n", text)}
        seconds, micros = one(r"\[ *(\d+)\.(\d{6})\] VM 'bench': started", text)
        figures["boot"] = int(seconds) * 1000000 + int(micros)
        names = ("image_in_memory", "ram", "page_tables")
        sizes = one(r"VMM: (\d+) KiB image, (\d+) KiB of RAM in use, (\d+) KiB of page tables", text)
        figures.update(zip(names, map(int, sizes)))
    for name, file in (("image_efi", "portolan.efi"), ("image_multiboot2", "portolan.mb2")):
        figures[name] = os.path.getsize(os.path.join(machine.BUILD, file))
    return figures


def test(folder):
    figures, peers = measure(folder), read_peers()
    if figures.keys() != FIGURES.keys():
        raise machine.Failure(f"figures that are missing or not known: {sorted(figures.keys() ^ FIGURES.keys())}")
    for name, (unit, _) in FIGURES.items():
        print(f"bench {name} {figures[name]} {unit} peer={peers.get(name, 'none')}")
    print(f"\n{'':18}{'Portolan':>10}{'KVM':>10}")
    for name, (unit, _) in FIGURES.items():
        print(f"{name:18}{figures[name]:10}{peers.get(name, '-'):>10}  {unit.replace('_', ' ')}")
    for name, (unit, limit) in FIGURES.items():
        if not 0 < figures[name] <= limit:
            raise machine.Failure(f"{name}: {figures[name]} {unit} is not within 1..{limit}")


machine.run_test(test)
