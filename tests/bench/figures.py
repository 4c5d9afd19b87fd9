# SPDX-License-Identifier: BSD-2-Clause
"""Figures of the benchmarks: beside their peers, within their limits."""

import os
import re

import machine

# The VM that a guest of guest/ measures in.
CONFIG = """[vmm]
when_idle = poweroff
[vm bench]
cpus = 1-2
memory = 128M
multiboot = {guest}
debug_exit = 0xf4
"""

PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers.txt")


def read_peers():
    """{NAME: figure} of peers.txt: lines 'NAME FIGURE', and comments."""
    peers = {}
    with open(PEERS, encoding="ascii") as file:
        for line in file:
            words = line.split("#")[0].split()
            if len(words) >= 2:
                peers[words[0]] = words[1]
    return peers


def of_guest(log):
    """{NAME: median} of a guest's lines 'bench NAME MIN MEDIAN'."""
    return {name: int(median) for name, median in re.findall(r"\bbench (\w+) \d+ (\d+)\n", log)}


def of_boot(run):
    """Thousands of instructions until the VM's first, which RUN prints next: time is a nanosecond for each."""
    seconds, micros = run.expect(r"\[ *(\d+)\.(\d{6})\] VM 'bench': started").groups()
    return int(seconds) * 1000000 + int(micros)


def show(limits, values):
    """Print VALUES {NAME: figure} for people and programs. LIMITS {NAME: (unit, lowest, highest)} must have each of them."""
    peers = read_peers()
    if values.keys() != limits.keys():
        raise machine.Failure(f"figures that are missing or not known: {sorted(values.keys() ^ limits.keys())}")
    texts = {name: f"{value:.2f}" if isinstance(value, float) else str(value) for name, value in values.items()}
    for name, (unit, _, _) in limits.items():
        print(f"bench {name} {texts[name]} {unit} peer={peers.get(name, 'none')}")
    print(f"\n{'':18}{'Portolan':>10}{'KVM':>10}")
    for name, (unit, _, _) in limits.items():
        print(f"{name:18}{texts[name]:>10}{peers.get(name, '-'):>10}  {unit.replace('_', ' ')}")
    for name, (unit, lowest, highest) in limits.items():
        if not lowest <= values[name] <= highest:
            raise machine.Failure(f"{name}: {texts[name]} {unit} is not within {lowest}..{highest}")
