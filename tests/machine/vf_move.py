# SPDX-License-Identifier: BSD-2-Clause
"""vf_move.py 1.4|2021 mmr|admin [COUNT [SEED]]: two VMs under I/O, one with MSI-X and one with INTx. Orders that leave a VM its VF;
then both are moved from VF to VF, COUNT times each, at moments that the seed chooses. No byte and no interrupt is lost: the guests wait for each."""

import os
import random
import re
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

# What the state of a block VF has, and how many bytes a part's header and what is before all of them.
PARTS = {"1.4": ({"DEV_FEATURES", "DRV_FEATURES", "PCI_COMMON_CFG", "DEVICE_STATUS", "VQ_CFG", "VQ_NOTIFY_CFG"}, 16, 0),
         "2021": ({"PCI_COMMON_CFG", "DEV_CFG_SPACE", "QUEUE_CFG", "SPLIT_Q_RUN_STATE"}, 8, 4)}
TEXT = r"virtio-vf/1;abi={abi};cfg=[0-9a-f]{{8}};cfglen=\d+;driver=[0-9a-f]+;features=[0-9a-f]+;msix=\d+;qsz=1x\d+;type=2\n"


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

    def order(self, text, answer):
        """What became of an order for the VF of 'msix' that is begun: the match of ANSWER."""
        return self.run.wait(self.command(f"{text[0]} {self.vfs('msix')[0]} {text[1]}", r": begun"), answer)

    def show(self, control, abi, state, touched):
        """The compatibility text; with TOUCHED known the PF must not be sent a command for it."""
        vf = self.vfs("msix")[0]
        if touched is not None:
            control.set("blkpf", fault_vf=0, fault_admin_opcode=0xffff, fault_admin_status=22, fault_admin_count=1)
        text = self.order(("vf show", ""), rf"(?s)VF 0000:{vf}: of VM 'msix', {state}\n.*?({TEXT.format(abi=abi)})").group(1)
        if touched is not None:
            if control.get("blkpf", "fault-admin-count") != 1:
                raise machine.Failure("'vf show' has sent commands to the PF")
            control.set("blkpf", fault_admin_count=0)
        return text

    def save(self, abi, state):
        """The state, its parts decoded: they add up to its size. The VF is as before."""
        names, header, before = PARTS[abi]
        match = self.order(("vf save", ""), rf"(?s)saved: (\d+) bytes, of them (\d+) of the device\n(.*?)  (\d+) parts of the device's "
                           rf"state; the function's: (\d+) bytes\n.*?: save: done, it is {state}\n")
        total, device, text, count, function = match.groups()
        parts = re.findall(r"  (\w+)(?: \(optional\))? (?:0x)?[0-9a-f]+: (\d+) bytes:((?: [0-9a-f]{2})*)", text)
        length = sum(header + int(size) for _, size, _ in parts)
        if len(parts) != int(count) or length + before != int(device) or int(device) + int(function) >= int(total):
            raise machine.Failure(f"{count} parts, {length} bytes of {device}: {parts}")
        if not names <= {name for name, _, _ in parts}:
            raise machine.Failure(f"parts that are not there: {names - {name for name, _, _ in parts}}")
        return parts

    def orders(self, control, abi, transport):
        """'vf show', 'save' and 'state': what they do, and what they refuse."""
        here, there = self.vfs("msix")
        touched = False if transport == "mmr" else None
        text = self.show(control, abi, "running", touched)
        parts = self.save(abi, "running")
        status = [value for name, _, value in parts if name == "DEVICE_STATUS"]
        if abi == "1.4" and (len(status) != 1 or int(status[0], 16) & 7 != 7):
            raise machine.Failure(f"the driver is ready, and the status {status}")
        self.rounds("msix")
        # Quiesced: its registers work, so the VM may run; not with one that is frozen.
        self.order(("vf state", "quiesce"), r"quiesce: done, it is quiesced\n")
        self.order(("vf state", "freeze"), rf"(?s)VF 0000:{here}: its guest would lose what it writes to its registers: pause VM 'msix' first\n"
                   r".*?freeze failed \([^\n]*\), it is quiesced\n")
        self.command("vf list", rf"{here} +msix +quiesced")
        self.save(abi, "quiesced")
        if self.show(control, abi, "quiesced", touched) != text:
            raise machine.Failure("the text is another one when the VF is quiesced")
        self.order(("vf state", "run"), r"run: done, it is running\n")
        self.rounds("msix")
        self.command("vm pause msix", r"VM 'msix': paused")
        self.order(("vf state", "freeze"), r"freeze: done, it is stopped\n")
        self.order(("vf state", "freeze"), r"freeze: done, it is stopped\n")
        self.save(abi, "stopped")
        if self.show(control, abi, "stopped", touched) != text:
            raise machine.Failure("the text is another one when the VF is frozen")
        self.order(("vf state", "quiesce"), r"quiesce: done, it is quiesced\n")
        self.order(("vf state", "freeze"), r"freeze: done, it is stopped\n")
        self.command("vm resume msix", r"VM 'msix': resumed") # with its VF
        self.rounds("msix")
        self.command("vf list", rf"{here} +msix +running")
        for order, answer in ((f"state {there} quiesce", "no VM has that VF"), (f"save {there}", "no VM has that VF"),
                              (f"show {PF}:99", "no VM has that VF"), (f"state {here} stop", "'stop' is no state: quiesce, freeze or run"),
                              (f"state {PF} run", f"'{PF}' is no VF"), (f"save {here}-1", "too many VFs")):
            self.command(f"vf {order}", re.escape(answer))

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
        mover.orders(control, abi, transport)
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
