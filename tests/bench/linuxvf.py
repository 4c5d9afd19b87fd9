# SPDX-License-Identifier: BSD-2-Clause
"""linuxvf.py: what part of a CPU Debian's kernel has for itself while it reads from a VF; docs/performance.md.

The VMM counts what it and the guest execute. Sleep is left out: an exit for HLT counts as guest/bench measures it. It
takes some minutes, and is not among the tests.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import counted  # noqa: E402
import machine  # noqa: E402

HLT = 2674  # instructions: 'hlt' of bench.py
CONFIG = counted.CONFIG + """memory = 256M
kernel = amd64/vmlinuz
initrd = amd64/initrd.img
cmdline = console=ttyS0 panic=-1 quiet
"""
PREPARE = "modprobe -a virtio_pci virtio_blk"
WORK = {
    "4 KiB read": (4000, "dd if=/dev/vda of=/dev/null bs=4k count=4000 iflag=direct"),
    "MiB read": (200, "dd if=/dev/vda of=/dev/null bs=1M count=200 skip=50"),
}


def shell(run, line):
    run.send(line + "; echo done-$((3*3))\r")
    run.expect("done-9")


def measure(run, name):
    count, line = WORK[name]
    before, guest_before = counted.statistics(run)
    shell(run, line)
    after, guest_after = counted.statistics(run)
    change = {reason: tuple(new - old for new, old in zip(after[reason], before.get(reason, (0, 0)))) for reason in after}
    guest = (guest_after - guest_before) * 1000000
    vmm = sum(HLT * exits if reason == "hlt" else ticks for reason, (exits, ticks) in change.items())
    print(f"bench linux_{name.replace(' ', '_')} {guest / (guest + vmm):.2f} of_the_CPU peer=none", flush=True)
    print(f"  {guest // count} instructions of the guest and {vmm // count} of the VMM; exits: "
          + ", ".join(f"{reason} {exits / count:.2f}" for reason, (exits, _) in change.items() if exits >= 0.005 * count), flush=True)


def test(folder):
    iso = bios.make_iso(folder, CONFIG)
    with counted.VfMachine(iso, memory="1G") as run:
        run.expect(r"init: 1 CPUs, \S+")
        run.send("\x011")
        run.expect(r"VM 1, \S+: running")
        shell(run, PREPARE)
        for name in WORK:
            measure(run, name)


machine.run_test(test)
