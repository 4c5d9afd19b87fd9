# SPDX-License-Identifier: BSD-2-Clause
"""biosbench.py: what a BIOS and its services cost in a VM, counted in instructions and in exits; docs/performance.md.

SeaBIOS with a screen boots guest/biosbench from a block VF, which reads another and writes to the screen. Each figure is printed as 'bench
NAME VALUE UNIT peer=VALUE'.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import counted  # noqa: E402
import figures  # noqa: E402
import machine  # noqa: E402

PROGRAM = os.path.join(machine.BUILD, "guest", "biosbench.bin")
ROMS = "/usr/share/seabios"

# Answered while the guest notifies it: nobody waits, whatever the host does.
SECOND = "driver=null-co,read-zeroes=on,size=268435456"
AT_ONCE = ",answer-at-once=on"

CONFIG = """[vmm]
when_idle = poweroff
[pf 02:00.0]
num_vfs = 2
[vm guest]
cpus = 1
memory = 64M
firmware = bios-256k.bin
vga_rom = vgabios-stdvga.bin
vf = 02:00.0/0
vf = 02:00.0/1
"""

# Every figure, its unit, the least and the most that it may be: about twice what it is today; of 'bios_boot', what it is by KVM.
FIGURES = {
    "bios_boot": ("thousand_instructions", 1, 112755),
    "bios_read": ("instructions", 1, 14500),
    "bios_read_exits": ("exits_per_64_KiB", 1, 13),
    "bios_scroll": ("thousand_instructions", 1, 500000),
    "bios_scroll_exits": ("exits_per_screen", 1, 17300),
}
WORK = {"bios_read_exits": ("reads", 128), "bios_scroll_exits": ("write", 1)} # as often as the guest does it at first


def of_guest(log):
    """The guest's own figures, in its lines 'count NAME VALUE'."""
    found = {name: int(value, 16) for name, value in re.findall(r"count (\w+) ([0-9a-f]{16})", log)}
    return {"bios_boot": found["boot"] // 1000, "bios_read": found["read"], "bios_scroll": found["scroll"] // 1000}


def exits_by_reason(counts, work):
    """{REASON: exits} for one piece of WORK: what twice as many took more."""
    name, count = WORK[work]
    names = list(counts)
    first = names.index(name + "_a")
    before, between, after = (counts[name] for name in names[first:first + 3])
    return {reason: (after[reason] - 2 * between.get(reason, 0) + before.get(reason, 0)) / count for reason in after}


def measure(folder):
    disk = os.path.join(folder, "disk.img")
    with open(PROGRAM, "rb") as program, open(disk, "wb") as file:
        file.write(program.read())
        file.truncate(1 << 20)
    roms = [(os.path.join(ROMS, name), name) for name in ("bios-256k.bin", "vgabios-stdvga.bin")]
    iso = bios.make_iso(folder, CONFIG, roms)
    counts = {}
    with counted.VfMachine(iso, disks=(f"{machine.IMAGE},filename={disk}", SECOND), properties=AT_ONCE) as run:
        while "the_end" not in counts:
            name = run.expect(r"waits (\w{7})").group(1)
            reasons, milliseconds = counted.statistics(run)
            counts[name] = {reason: exits for reason, (exits, _) in reasons.items()}
            if name == "started":
                boot = milliseconds * 1000 + sum(ticks for _, ticks in reasons.values()) // 1000
                print(f"the boot: {milliseconds} million instructions in the guest, and exits, with thousands of instructions in the VMM: " +
                      ", ".join(f"{reason} {exits}, {ticks // 1000}" for reason, (exits, ticks) in reasons.items() if exits))
            run.send("\x01sx" if name == "started" else "x") # to its serial port, where it was left from then on
        run.forbid("PANIC", "ERROR", "FAIL", "was blocked")
        values = {**of_guest(run.log()), "bios_boot": boot} # its TSC runs since before its VFs were reset
    print("exits by reason:")
    for name in WORK:
        reasons = exits_by_reason(counts, name)
        values[name] = sum(reasons.values())
        print(f"  {name}: " + ", ".join(f"{reason} {exits:.2f}" for reason, exits in reasons.items() if abs(exits) >= 0.005))
    return values


def test(folder):
    figures.show(FIGURES, measure(folder))


if __name__ == "__main__":
    machine.run_test(test)
