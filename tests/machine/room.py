# SPDX-License-Identifier: BSD-2-Clause
"""room.py: VFs for which firmware has left no room. SeaBIOS packs the ports' windows side by side at the end of the space
below 4 GiB: the outer one's can grow, down, and the other's cannot, so that of its VFs some fit."""

import os

import bios
import machine
import vfdisk
from disks import written

VFS = 200
CONFIG = f"""[vmm]
when_idle = poweroff
[pf 01:00.0]
num_vfs = fit
[pf 02:00.0]
num_vfs = {VFS}
[vm beyond]
cpus = 0
memory = 64M
multiboot = vblk.elf
vf = 01:00.0/{VFS - 1}
[vm guest]
cpus = 1
memory = 64M
multiboot = vblk.elf
cmdline = count=64
vf = 02:00.0/{VFS - 1}
debug_exit = 0xf4
"""


def test(folder):
    files = [(os.path.join(machine.BUILD, "guest", "vblk.elf"), "vblk.elf")]
    disk = f"{machine.IMAGE},node-name=disk,filename={vfdisk.make(folder)}"
    extra = [*machine.IOMMUS["intel"], "-blockdev", disk,
             "-device", "pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on",
             "-device", "pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1",
             "-device", f"portolan-net-pf,id=netpf,bus=rp1,vfs={VFS}",
             "-device", f"portolan-blk-pf,id=blkpf,bus=rp2,vfs={VFS},vf-backends={':' * (VFS - 1)}disk"]
    with bios.PcMachine(bios.make_iso(folder, CONFIG, files), board="q35,kernel-irqchip=split", extra=extra) as run:
        run.expect(r"PCI 0000:01:00\.0: no room for \d+ MiB of VF BAR in the \w+ window of bridge 0000:00:02\.0")
        run.expect(r"PCI 0000:01:00\.0: switch on SR-IOV support and 'above 4G decoding' \(64-bit MMIO\) in the firmware set-up\s")
        fit = int(run.expect(rf"PCI 0000:01:00\.0: (\d+) of its {VFS} VFs have room and are used").group(1))
        run.expect(rf"PF 0000:01:00\.0: {fit} VFs, ")
        run.expect(r"PCI 0000:00:02\.1: the bridge's memory window is now 0x[bcdef]\w{7}-0x[bcdef]\w{7}\s")
        run.expect(rf"PF 0000:02:00\.0: {VFS} VFs, ")
        run.expect(rf"VM 'beyond' cannot have VF {VFS - 1} of 0000:01:00\.0 and is not started: its PF has room for fewer VFs")
        run.expect(r"VM 'guest': debug exit, status 1")
        run.expect_end()
        run.require("PASS: ", "VM 'guest': stopped")
        run.forbid("PANIC", "ERROR", "FAIL", "was blocked")
    if not 0 < fit < VFS:
        raise machine.Failure(f"{fit} of {VFS} VFs fit, so this was no test")
    vfdisk.check(os.path.join(folder, "disk.img"), written)
    print(f"{fit} of {VFS} VFs fit in a window that cannot grow; all {VFS} in one that can, and the last one works")


machine.run_test(test)
