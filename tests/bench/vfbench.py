# SPDX-License-Identifier: BSD-2-Clause
"""vfbench.py: what the way to a virtio VF costs, counted in instructions and in exits; docs/performance.md.

guest/vbench runs as a VM with a block and a net VF, and its work on the disk again under plain QEMU, on QEMU's own
legacy virtio-blk-pci. Each figure is printed as 'bench NAME VALUE UNIT peer=VALUE'.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import counted  # noqa: E402
import figures  # noqa: E402
import machine  # noqa: E402

GUEST = os.path.join(machine.BUILD, "guest", "vbench.elf")
COUNT = 256
CONFIG = counted.CONFIG + f"""memory = 64M
multiboot = vbench.elf
cmdline = wait count={COUNT}
debug_exit = 0xf4
"""

# Every figure, its unit, the least and the most that it may be. Instructions repeat exactly: the limit of 'notify' is the
# target, the others are about twice what they are today. When a request ends is the host's affair, and so whether
# it finds the guest running or asleep, and how many end at once: the limits of exits are what a driver of this kind
# can make at worst.
FIGURES = {
    "notify": ("instructions", 1, 100),
    "status_write": ("instructions", 1, 1000),
    "select_write": ("instructions", 1, 1000),
    "features_read": ("instructions", 1, 900),
    "size_read": ("instructions", 1, 920),
    "status_read": ("instructions", 1, 910),
    "config_read": ("instructions", 1, 1050),
    "isr_read": ("instructions", 1, 700),
    "msix": ("instructions", 1, 2400),
    "msix_whole": ("instructions", 1, 9800),
    "intx": ("instructions", 1, 3300),
    "intx_whole": ("instructions", 1, 12500),
    "exits_depth1": ("exits_per_block", 1, 4.1),
    "exits_depth32": ("exits_per_block", 0.01, 3),
    "exits_ping": ("exits_per_ping", 2, 5.1),
    "ratio_depth1": ("of_plain_QEMU", 0.15, 1.3),
    "ratio_depth32": ("of_plain_QEMU", 0.3, 1.3),
}
WORK = {"exits_depth1": "depth_1", "exits_depth32": "depth32", "exits_ping": "ping___"}


def run_portolan(folder):
    """The guest's figures, and {NAME: {REASON: exits so far}} at each of its waits. It is in the foreground while it works."""
    iso = bios.make_iso(folder, CONFIG, [(GUEST, "vbench.elf")])
    counts = {}
    with counted.VfMachine(iso) as run:
        while "the_end_" not in counts:
            name = run.expect(r"waits (\S{8})").group(1)
            counts[name] = {reason: exits for reason, (exits, _) in counted.statistics(run)[0].items()}
            run.send("x")
        run.expect(r"VM 'guest': debug exit, status 1\b")
        run.expect_end()
        run.forbid("PANIC", "ERROR", "FAIL", "was blocked")
        return figures.of_guest(run.log()), counts


def run_plain():
    """The figures of the same guest on QEMU's own device, without a VMM."""
    command = [machine.QEMU, "-M", "pc", "-accel", "tcg,thread=single", "-cpu", "EPYC", "-m", "128M", "-nodefaults", "-no-reboot",
               "-display", "none", "-monitor", "none", "-serial", "stdio", *machine.ICOUNT,
               "-kernel", GUEST, "-append", f"busy count={COUNT}", "-blockdev", counted.DISK + ",node-name=disk",
               "-device", "virtio-blk-pci,disable-modern=on,drive=disk", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=machine.patience())
    if done.returncode != 1:
        raise machine.Failure(f"the guest failed under plain QEMU:\n{done.stdout}{done.stderr}")
    return figures.of_guest(done.stdout.replace("\r", ""))


def exits_by_reason(counts, name):
    """{REASON: exits} for each piece of work NAME: what twice as many took more."""
    names = list(counts)
    first = names.index(name + "a")
    before, between, after = (counts[name] for name in names[first:first + 3])
    return {reason: (after[reason] - 2 * between.get(reason, 0) + before.get(reason, 0)) / COUNT for reason in after}


def test(folder):
    values, counts = run_portolan(folder)
    plain = run_plain()
    print("exits by reason:")
    for name, work in WORK.items():
        reasons = exits_by_reason(counts, work)
        values[name] = sum(reasons.values())
        print(f"  {name}: " + ", ".join(f"{reason} {exits:.2f}" for reason, exits in reasons.items() if abs(exits) >= 0.005))
    print("instructions for each block of 4 KiB, and the same under plain QEMU:")
    for depth in ("depth1", "depth32"):
        busy = values.pop("busy_" + depth)
        print(f"  {depth}: {busy}, {plain['busy_' + depth]}")
        values["ratio_" + depth] = plain["busy_" + depth] / busy
    figures.show(FIGURES, values)


machine.run_test(test)
