# SPDX-License-Identifier: BSD-2-Clause
"""vf_move.py 1.4|2021 mmr|admin [COUNT [SEED]]: two VMs under I/O, one with MSI-X and one with INTx, are moved from VF to VF, COUNT
times each, at moments that the seed chooses. No byte and no interrupt is lost: the guests wait for each."""

import os
import random
import sys

import machine
import qmp
import vfdisk
from disks import VfMachine, written

CONFIG = """[vmm]
when_idle = halt
[pf 02:00.0]
num_vfs = 4
transport = {transport}
[vm msix]
cpus = 1
memory = 64M
multiboot = vblk.elf
cmdline = rounds way=2 count=16
vf = 02:00.0/0
debug_exit = 0xf4
[vm intx]
cpus = 2
memory = 64M
multiboot = vblk.elf
cmdline = rounds way=1 count=16
vf = 02:00.0/1
debug_exit = 0xf4
"""

# Each VM and its two VFs, which have the same disk.
VMS = {"msix": (0, 2), "intx": (1, 3)}
PF = "02:00.0"


class Mover:
    """The machine, and where its VMs are."""

    def __init__(self, run):
        self.run, self.at = run, {name: 0 for name in VMS}
        for name in VMS:
            self.rounds(name)

    def rounds(self, name, count=1):
        """VM NAME goes on: COUNT whole rounds from here on."""
        self.run.wait_said(name, self.run.mark(), r"round \d+ ok.*" * (count + 1))

    def vfs(self, name):
        """The VF that NAME has, and the other one."""
        here, there = VMS[name][self.at[name]], VMS[name][1 - self.at[name]]
        return f"{PF}:{here}", f"{PF}:{there}"

    def command(self, text, *answers):
        mark = self.run.mark()
        self.run.send(text + "\r")
        for answer in answers:
            self.run.wait(mark, answer)
        return mark

    def move(self, name):
        """There or back. The VF of the last move may still be under reset: then the order is given again."""
        here, there = self.vfs(name)
        answer = None
        while answer != "begun":
            mark = self.command(f"vf move {here} {there}")
            answer = self.run.wait(mark, rf"vf {here}: (begun|not now|[^\n]*)[^\n]*\n").group(1)
            if answer not in ("begun", "not now"):
                raise machine.Failure(f"the order was refused: {answer}")
        match = self.run.wait(mark, rf"VM '{name}': (not )?moved from VF 0000:{here} to VF 0000:{there}.*\n")
        if match.group(1):
            raise machine.Failure(f"not moved: {match.group(0)}")
        self.run.wait(mark, r"  us: .* in all")
        self.at[name] = 1 - self.at[name]

    def lives_on(self, name):
        """Right after a move the VM is reset, has a checkpoint, is stopped and started: always with the VF that it has by then."""
        self.move(name)
        self.command(f"vm reset {name}", rf"vm reset {name}: done")
        self.rounds(name)
        self.move(name)
        self.command(f"vm checkpoint {name}", rf"VM '{name}': \d+ checkpoints taken")
        self.rounds(name)
        self.move(name)
        self.command(f"vm stop {name}", rf"VM '{name}': stopped")
        self.command(f"vm start {name}", rf"VM '{name}': started")
        self.command("vf list", rf"{self.vfs(name)[0]} +{name} +running", rf"{self.vfs(name)[1]} +- +free")
        self.rounds(name)
        self.move(name)
        self.rounds(name)

    def end(self, folder):
        for name in VMS:
            self.command(f"vm button {name}", rf"VM '{name}': debug exit, status 1\b", rf"VM '{name}': stopped")
        self.run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked", "the disk is gone", "' failed (")
        for name in VMS:
            self.run.wait_said(name, 0, "PASS: ")
        self.run.process.close(force=True)
        for name in VMS:
            vfdisk.check(os.path.join(folder, name + ".img"), written)


def boot(folder, abi, transport, properties=""):
    """The machine, and the path to its QMP."""
    image = machine.make_image(folder, CONFIG.format(transport=transport),
                               [(os.path.join(machine.BUILD, "guest", "vblk.elf"), "vblk.elf")])
    disks = [vfdisk.make(folder, name + ".img") for name in VMS]
    path = os.path.join(folder, "qmp")
    return VfMachine(image, disks * 2, properties=f",migration={abi}" + properties, cpus=3, extra=qmp.arguments(path)), path


def moves(folder, abi, transport, count, seed):
    choices = random.Random(seed)
    # By 2021 only a PF whose VFs have no registers in memory has commands for them. By 1.4 the VMM has to do with the standard's lists
    # of commands as well as with those that Linux needs.
    strict = ",strict-lists=on" if abi == "1.4" else ""
    run, path = boot(folder, abi, transport, ",mmr=off" + strict if transport == "admin" else "")
    with run, qmp.Qmp(path) as control:
        mover = Mover(run)
        mover.command("vf list", rf"PF 0000:{PF}: 4 VFs, migration: {abi}", rf"{PF}:0 +msix +running", rf"{PF}:2 +- +free")
        for _ in range(count):
            for name in VMS:
                for _ in range(choices.randrange(3)):
                    mover.rounds(name, 0)
                mover.move(name)
        for name in VMS:
            mover.rounds(name)
            mover.lives_on(name)
        if control.get("blkpf", "stray-dma") != 0:
            raise machine.Failure("a VF that was stopped tried to reach memory")
        mover.end(folder)
        print(run.log()[-6000:])


if __name__ == "__main__":
    abi, transport, *more = sys.argv[1:]
    count, seed = (int(more[0]) if more else 20), (int(more[1]) if more[1:] else 1)
    machine.run_test(lambda folder: moves(folder, abi, transport, count, seed))
