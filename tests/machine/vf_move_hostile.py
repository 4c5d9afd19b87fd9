# SPDX-License-Identifier: BSD-2-Clause
"""vf_move_hostile.py ABI TRANSPORT [COUNT [SEED]]: a VM whose guest writes nonsense into its VF's registers, rings, MSI-X table and
configuration space without a pause (guest/fuzz) is moved from VF to VF, COUNT times (30) at random moments, beside a VM that checks
each byte of its disk. Nobody but the hostile guest is harmed, and it cannot stop a move. ABI is 1.4 or 2021, TRANSPORT mmr or admin."""

import os
import random
import re
import sys

import disks
import machine
import qmp
import vfdisk
from disks import VfMachine, vm_section, written

PF = "02:00.0"
SLOT = 4
VFS = {"hostile": (0, 2), "witness": (1, 3)} # each VM's, which have the same disk
BATCH = 6000 # accesses of the VF, at most, from one move to the next

HOSTILE = f"""[vm hostile]
cpus = 1
memory = 64M
multiboot = fuzz.elf
cmdline = tcg=1 vf={SLOT} seed={{seed}} count=1000000000000 every=50
vf = {PF}/{VFS["hostile"][0]} slot={SLOT}
debug_exit = 0xf4
"""
REGISTERS = r"registers: (\d+) reads, (\d+) writes, \d+ commands refused, (\d+) accesses to none\n.*? (\d+) notifies"


class Hunt:
    def __init__(self, run, seed):
        self.run, self.choices, self.at, self.rows = run, random.Random(seed), 0, []

    def vfs(self):
        pair = VFS["hostile"]
        return f"{PF}:{pair[self.at]}", f"{PF}:{pair[1 - self.at]}"

    def stats(self):
        """Accesses of the hostile VM's VF since it has it; exits for ports and for memory."""
        mark = self.run.ask("stats hostile")
        match = self.run.wait(mark, rf"(?s)hostile: [^\n]*, (\d+) resets.*?{REGISTERS}.*?vCPU 0.*?\n +port +(\d+) exits.*?\n +memory +(\d+) exits")
        resets, *accesses, ports, memory = map(int, match.groups())
        return sum(accesses), ports, memory, resets

    def harass(self):
        """Wait until the guest has made some accesses of its VF, however long that takes, and of its table."""
        before = self.stats()
        wanted = self.choices.randrange(1, BATCH)
        while True:
            now = self.stats()
            if now[0] >= before[0] + wanted and now[2] > before[2]:
                return now[0] - before[0]

    def move(self):
        accesses = self.harass()
        here, there = self.vfs()
        moved, why, mark = self.run.move("hostile", here, there)
        self.at ^= moved
        self.rows.append(f"{len(self.rows):4} {accesses:8} {'moved' if moved else 'stayed' + why}")
        print(self.rows[-1], flush=True)
        self.run.ask("vf list", rf"{self.vfs()[0]} +hostile +running", rf"{self.vfs()[1]} +- +free")
        self.run.wait_said("witness", mark, r"round \d+ ok.*round \d+ ok")
        self.check()
        if not moved:
            raise machine.Failure(f"a hostile guest has stopped its move{why}")

    def check(self):
        self.run.forbid("PANIC", "ERROR", "FAIL", "the disk is gone", "nobody asked for")

    def end(self):
        """The hostile VM's VF is as new for whoever has it next; the witness ends by itself."""
        self.run.ask("vm stop hostile", r"VM 'hostile': stopped")
        mark = self.run.ask("vm start hostile", r"VM 'hostile': started")
        self.run.wait_said("hostile", mark, "the VF works")
        self.run.ask("vm stop hostile", r"VM 'hostile': stopped")
        self.run.ask("vm button witness", r"VM 'witness': debug exit, status 1\b", r"VM 'witness': stopped")
        self.run.wait_said("witness", 0, "PASS: ")
        self.check()


def test(folder, abi, transport, count=30, seed=1):
    config = f"[vmm]\nwhen_idle = halt\n[pf {PF}]\nnum_vfs = 4\ntransport = {transport}\n" + HOSTILE.format(seed=seed) + \
        vm_section("witness", "rounds way=1 count=16", f"{PF}/{VFS['witness'][0]}", cpus=2)
    image = machine.make_image(folder, config, [(os.path.join(machine.BUILD, "guest", name), name) for name in ("fuzz.elf", "vblk.elf")])
    images, path = [vfdisk.make(folder, name + ".img") for name in VFS], os.path.join(folder, "qmp")
    properties = f",migration={abi},vf-queues=4" + (",mmr=off" if transport == "admin" else "")
    with VfMachine(image, images * 2, properties=properties, cpus=3, extra=qmp.arguments(path)) as run, qmp.Qmp(path) as control:
        hunt = Hunt(run, int(seed))
        run.wait_said("hostile", 0, "the VF works")
        run.wait_said("witness", 0, r"round \d+ ok")
        for _ in range(int(count)):
            hunt.move()
        resets = hunt.stats()[3]
        hunt.end()
        if control.get("blkpf", "stray-dma") != 0:
            raise machine.Failure("a VF that was stopped tried to reach memory")
        print(f"{len(hunt.rows)} moves, {resets} resets of the hostile VM")
    vfdisk.check(images[1], written)


if __name__ == "__main__":
    machine.run_test(lambda folder: test(folder, *sys.argv[1:]))
