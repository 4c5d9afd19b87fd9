# SPDX-License-Identifier: BSD-2-Clause
"""vfbench.py: what the way to a virtio VF costs, counted in instructions and in exits; docs/performance.md.

guest/vbench runs as a VM with a block and a net VF, and its disk work again under plain QEMU, on QEMU's own legacy
virtio-blk-pci. Each figure is printed as 'bench NAME VALUE UNIT peer=VALUE'.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import figures  # noqa: E402
import machine  # noqa: E402

GUEST = os.path.join(machine.BUILD, "guest", "vbench.elf")
BLOCKS = 256
CTRL_A = "\x01"
CONFIG = f"""[vmm]
when_idle = poweroff
[pf 01:00.0]
num_vfs = 1
[pf 02:00.0]
num_vfs = 1
[vm guest]
cpus = 1
memory = 64M
multiboot = vbench.elf
cmdline = wait blocks={BLOCKS}
vf = 02:00.0/0
vf = 01:00.0/0
debug_exit = 0xf4
"""
"""Each with the most that it may be. Notifications and whole interrupts are what a busy guest lives by."""
FIGURES = {
}
# SeaBIOS gives a bridge no room for VFs of its own accord.
ROOM = "mem-reserve=4M,pref64-reserve=16M"


class VfMachine(machine.Machine):
    """A q35 with SeaBIOS and PFs: OVMF would take minutes where instructions are counted."""

    def arguments(self, image, **options):
        return [machine.QEMU, "-M", "q35,kernel-irqchip=split", "-accel", "tcg,thread=single", "-cpu", "EPYC", "-smp", "2",
                "-m", "512M", "-nodefaults", "-no-reboot", "-cdrom", image, *machine.IOMMUS["intel"], *machine.ICOUNT,
                "-plugin", machine.DEVICE,
                "-device", f"pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on,{ROOM}",
                "-device", f"pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1,{ROOM}",
                "-netdev", "user,id=net0",
                "-device", "portolan-net-pf,id=netpf,bus=rp1,vfs=1,vf-backends=net0",
                "-device", "portolan-blk-pf,id=blkpf,bus=rp2,vfs=1"]


def plain(text):
    return re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", text)


def statistics(run):
    before = len(run.log())
    run.send("stats guest\r")
    run.expect(r"vCPU 0 on CPU \d+: .*\n")
    run.send("vm list\r") # behind the last line
    run.expect(r"guest +running")
    text = plain(run.log()[before:])
    return {name.strip(): int(count) for name, count in re.findall(r"^ {4}(\S[a-z0-9 ]*?) +(\d+) exits", text, re.M)}


def test(folder):
    iso = bios.make_iso(folder, CONFIG, [(GUEST, "vbench.elf")])
    with VfMachine(iso, timeout=150) as run:
        seen = []
        while True:
            run.expect(r"waits (\S{8})")
            name = run.process.match.group(1)
            seen.append((name, statistics(run)))
            print(seen[-1])
            run.send(CTRL_A + "1")
            run.expect("VM 1, ")
            run.send("x")
            run.send(CTRL_A + "0")
            if name == "the_end_":
                break
        run.expect(r"VM 'guest': debug exit, status 1\b")
        run.expect_end()
        print(run.log())


machine.run_test(test)
