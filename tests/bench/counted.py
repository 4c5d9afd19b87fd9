# SPDX-License-Identifier: BSD-2-Clause
"""A test machine with VFs that counts instructions, and what the VMM in it counts."""

import re

import bios
import machine

# A request takes as long as one to a fast SSD, or a driver would never sleep.
DISK = "driver=null-co,read-zeroes=on,size=268435456,latency-ns=100000"

# SeaBIOS leaves a bridge no room for VFs of its own accord.
ROOM = "mem-reserve=4M,pref64-reserve=16M"

CONFIG = """[vmm]
when_idle = poweroff
[pf 01:00.0]
num_vfs = 1
[pf 02:00.0]
num_vfs = 1
[vm guest]
cpus = 1
vf = 02:00.0/0
vf = 01:00.0/0
"""


class VfMachine(machine.Machine):
    """A q35 with PFs, an IOMMU and SeaBIOS: OVMF takes minutes where instructions are counted. DISKS are of VFs of the block PF,
    which has PROPERTIES, too."""

    def arguments(self, image, disks=(DISK,), properties="", more=(), **options):
        nodes = [f"disk{number}" for number in range(len(disks))]
        drives = [f"{disk},node-name={node}" for node, disk in zip(nodes, disks)]
        return bios.pc_command(image, icount=True, board="q35,kernel-irqchip=split", **options, extra=[
            *machine.IOMMUS["intel"],
            "-device", f"pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on,{ROOM}",
            "-device", f"pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1,{ROOM}",
            "-netdev", "user,id=net", *(part for drive in drives for part in ("-blockdev", drive)),
            "-device", "portolan-net-pf,id=netpf,bus=rp1,vfs=1,vf-backends=net",
            "-device", f"portolan-blk-pf,id=blkpf,bus=rp2,vfs={len(disks)},vf-backends={':'.join(nodes)}{properties}", *more])


def statistics(run):
    """({REASON: (exits, ticks)}, milliseconds in the guest) until now; 'guest' is in the foreground before and after."""
    run.send("\x010")
    before = run.mark()
    run.send("stats guest\r")
    run.expect(r"vCPU 0 on CPU \d+: .*\n")
    run.send("vm list\r")  # behind the last line
    run.expect(r"guest +running")
    text = re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", run.log(before))
    run.send("\x011")
    run.expect(r"VM 1, \S+: running")
    rows = re.findall(r"^ {4}(\S[a-z0-9 ]*?) +(\d+) exits +(\d+) cycles", text, re.M)
    milliseconds = int(re.search(r"(\d+) ms in the guest", text).group(1))
    return {name: (int(exits), int(ticks)) for name, exits, ticks in rows}, milliseconds
