# SPDX-License-Identifier: BSD-2-Clause
"""vm_move.py ABI TRANSPORT: a VM under I/O on two VFs goes to another VM of the same machine, with other VFs of the same disks, by the
portal. It has never run before. No byte and no interrupt is lost: the guest waits for each. ABI is 1.4 or 2021, TRANSPORT mmr or admin.
"""

import os
import sys

import machine
import vfdisk
from disks import GUEST, VfMachine, vm_section, written

SERVICE = """[vm svc]
cpus = 3
memory = 160M
multiboot = portal.elf
cmdline = vfs=1
debug_exit = 0xf4
autostart = no
service = yes
"""


def start(folder, abi, transport):
    special = (",mmr=off" + (",strict-lists=on" if abi == "1.4" else "")) if transport == "admin" else ""
    rounds = "rounds way=2"
    config = ("[vmm]\nwhen_idle = halt\n[pf 02:00.0]\nnum_vfs = 2\n" +
              vm_section("here", rounds, "02:00.0/0", cpus=1, more="migrate = yes\n") +
              vm_section("there", rounds, "02:00.0/1", cpus=2, more="incoming = yes\nautostart = no\n") + SERVICE)
    image = machine.make_image(folder, config, [(GUEST, "vblk.elf"),
                                                (os.path.join(machine.BUILD, "guest", "portal.elf"), "portal.elf")])
    disk = vfdisk.make(folder)
    return VfMachine(image, [disk, disk], properties=f",migration={abi}{special}", cpus=4, memory="768M")


def test(folder):
    with start(folder, *sys.argv[1:3]) as run:
        run.wait_said("here", 0, r"round \d+ ok.*" * 2)
        mark = run.mark()
        run.send("vm start svc\r")
        run.wait(mark, r"VM 'svc': debug exit, status 1\n")
        run.wait(mark, r"VM 'here': stopped\n")
        run.require("[svc] PASS: ")
        run.wait_said("there", run.mark(), r"round \d+ ok.*" * 6)
        mark = run.mark()
        run.send("vm list\r")
        run.wait(mark, r"here +off")
        run.send("vm reset there\r")  # it has its program here, too
        run.wait_said("there", run.mark(), r"round \d+ ok.*" * 2)
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked")
        print("\n".join(line for line in run.log().splitlines() if "svc]" in line or "VM 'here'" in line or "VM 'there'" in line))


if __name__ == "__main__":
    machine.run_test(test)
