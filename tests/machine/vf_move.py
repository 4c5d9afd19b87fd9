# SPDX-License-Identifier: BSD-2-Clause
"""vf_move.py ABI TRANSPORT QUEUES [COUNT [IOMMU]]: two VMs under I/O, one with MSI-X and one with INTx. Orders that leave a VM its VF;
then both are moved from VF to VF, COUNT times each (20), at random moments. No byte and no interrupt is lost: the guests wait for each. ABI is 1.4 or 2021, TRANSPORT mmr or
admin, QUEUES how many a disk has, IOMMU intel or amd.

vf_move.py table COUNT: all of them, one after the other."""

import itertools
import os
import random
import re
import sys
import typing

import disks
import machine
import qmp
import vfdisk
from disks import VfMachine, vm_section, written

# Each VM's interrupts, its vCPUs, and its two VFs, which have the same disk.
VMS = {"msix": (2, 1, (0, 2)), "intx": (1, 2, (1, 3))}
PF = "02:00.0"


class Case(typing.NamedTuple):
    abi: str
    transport: str
    queues: int
    count: int = 20
    iommu: str = "intel"

    def properties(self):
        # By 2021 only a PF whose VFs have no registers in memory has commands for them. By 1.4 the VMM has to do with the standard's
        # lists of commands as well as with those that Linux needs.
        special = (",mmr=off" + (",strict-lists=on" if self.abi == "1.4" else "")) if self.transport == "admin" else ""
        return f",migration={self.abi},vf-queues={self.queues}{special}"


# What the state of a block VF has, and how many bytes a part's header and what is before all of them.
PARTS = {"1.4": ({"DEV_FEATURES", "DRV_FEATURES", "PCI_COMMON_CFG", "DEVICE_STATUS", "VQ_CFG", "VQ_NOTIFY_CFG"}, 16, 0),
         "2021": ({"PCI_COMMON_CFG", "DEV_CFG_SPACE", "QUEUE_CFG", "SPLIT_Q_RUN_STATE"}, 8, 4)}
TEXT = r"virtio-vf/1;abi={abi};cfg=[0-9a-f]{{8}};cfglen=\d+;driver=[0-9a-f]+;features=[0-9a-f]+;msix=\d+;qsz={queues}x\d+;type=2\n"


class Mover:
    """The machine, where its VMs are, and {VM: [(microseconds, bytes of state, queues in use)]} of their moves."""

    def __init__(self, run):
        self.run, self.at, self.moves = run, {name: 0 for name in VMS}, {name: [] for name in VMS}
        for name in VMS:
            self.rounds(name)

    def rounds(self, name, count=1):
        """VM NAME goes on: COUNT whole rounds from here on."""
        self.run.wait_said(name, self.run.mark(), r"round \d+ ok.*" * (count + 1))

    def vfs(self, name):
        """The VF that NAME has, and the other one."""
        pair = VMS[name][2]
        return f"{PF}:{pair[self.at[name]]}", f"{PF}:{pair[1 - self.at[name]]}"

    def move(self, name):
        """There or back."""
        moved, more, mark = self.run.move(name, *self.vfs(name))
        if not moved:
            raise machine.Failure(f"not moved{more}")
        told = self.run.log(mark)
        queues = re.findall(r"  queue \d+: used index (\d+) at the stop, now (\d+) of (\d+) offered", told)
        if any((int(offered) - int(at)) % 65536 > 256 for stop, now, offered in queues for at in (stop, now)):
            raise machine.Failure(f"an index is not within its ring: {queues}")
        self.moves[name].append((int(re.search(r"  us: .*; (\d+) in all", told)[1]), int(re.search(r": (\d+) bytes", more)[1]), len(queues)))
        self.at[name] = 1 - self.at[name]

    def lives_on(self, name):
        """Right after a move the VM is reset, has a checkpoint, is stopped and started: always with the VF that it has by then."""
        ask = self.run.ask
        self.move(name)
        ask(f"vm reset {name}", rf"vm reset {name}: done")
        self.rounds(name)
        self.move(name)
        ask(f"vm checkpoint {name}", rf"VM '{name}': \d+ checkpoints taken")
        self.rounds(name)
        self.move(name)
        ask(f"vm stop {name}", rf"VM '{name}': stopped")
        ask(f"vm start {name}", rf"VM '{name}': started")
        ask("vf list", rf"{self.vfs(name)[0]} +{name} +running", rf"{self.vfs(name)[1]} +- +free")
        self.rounds(name)
        self.move(name)
        self.rounds(name)

    def order(self, text, answer):
        """What became of an order for the VF of 'msix' that is begun: the match of ANSWER."""
        return self.run.wait(self.run.ask(f"{text[0]} {self.vfs('msix')[0]} {text[1]}", r": begun"), answer)

    def show(self, control, case, state, touched):
        """The compatibility text; with TOUCHED known the PF must not be sent a command for it."""
        vf = self.vfs("msix")[0]
        if touched is not None:
            control.set("blkpf", fault_vf=0, fault_admin_opcode=0xffff, fault_admin_status=22, fault_admin_count=1)
        text = self.order(("vf show", ""), rf"(?s)VF 0000:{vf}: of VM 'msix', {state}\n.*?({TEXT.format(abi=case.abi, queues=case.queues)})").group(1)
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

    def orders(self, control, case):
        """'vf show', 'save' and 'state': what they do, and what they refuse."""
        here, there = self.vfs("msix")
        abi, touched = case.abi, False if case.transport == "mmr" else None
        text = self.show(control, case, "running", touched)
        parts = self.save(abi, "running")
        status = [value for name, _, value in parts if name == "DEVICE_STATUS"]
        if abi == "1.4" and (len(status) != 1 or int(status[0], 16) & 7 != 7):
            raise machine.Failure(f"the driver is ready, and the status {status}")
        self.rounds("msix")
        # Quiesced: its registers work, so the VM may run; not with one that is frozen.
        self.order(("vf state", "quiesce"), r"quiesce: done, it is quiesced\n")
        self.order(("vf state", "freeze"), rf"(?s)VF 0000:{here}: its guest would lose what it writes to its registers: pause VM 'msix' first\n"
                   r".*?freeze failed \([^\n]*\), it is quiesced\n")
        self.run.ask("vf list", rf"{here} +msix +quiesced")
        self.save(abi, "quiesced")
        if self.show(control, case, "quiesced", touched) != text:
            raise machine.Failure("the text is another one when the VF is quiesced")
        self.order(("vf state", "run"), r"run: done, it is running\n")
        self.rounds("msix")
        self.run.ask("vm pause msix", r"VM 'msix': paused")
        self.order(("vf state", "freeze"), r"freeze: done, it is stopped\n")
        self.order(("vf state", "freeze"), r"freeze: done, it is stopped\n")
        self.save(abi, "stopped")
        if self.show(control, case, "stopped", touched) != text:
            raise machine.Failure("the text is another one when the VF is frozen")
        self.order(("vf state", "quiesce"), r"quiesce: done, it is quiesced\n")
        self.order(("vf state", "freeze"), r"freeze: done, it is stopped\n")
        self.run.ask("vm resume msix", r"VM 'msix': resumed") # with its VF
        self.rounds("msix")
        self.run.ask("vf list", rf"{here} +msix +running")
        for order, answer in ((f"state {there} quiesce", "no VM has that VF"), (f"save {there}", "no VM has that VF"),
                              (f"show {PF}:99", "no VM has that VF"), (f"state {here} stop", "'stop' is no state: quiesce, freeze or run"),
                              (f"state {PF} run", f"'{PF}' is no VF"), (f"save {here}-1", "too many VFs")):
            self.run.ask(f"vf {order}", re.escape(answer))

    def end(self, folder):
        for name in VMS:
            self.run.ask(f"vm button {name}", rf"VM '{name}': debug exit, status 1\b", rf"VM '{name}': stopped")
        self.run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked", "the disk is gone", "' failed (")
        for name in VMS:
            self.run.wait_said(name, 0, "PASS: ")
        self.run.kill()
        for name in VMS:
            vfdisk.check(os.path.join(folder, name + ".img"), written)

    def rows(self, case):
        """What the table has of CASE."""
        for name, moves in self.moves.items():
            us, sizes, queues = zip(*moves)
            if max(queues) != case.queues:
                raise machine.Failure(f"VM '{name}' has used {max(queues)} queues, not {case.queues}")
            yield (f"{case.abi:5} {case.transport:6} {case.iommu:6} {case.queues:6} {name:5} {len(moves):5} "
                   f"{min(us):8} {sorted(us)[len(us) // 2]:8} {max(us):8} {max(sizes):6}")


HEAD = "abi   regs   iommu  queues VM    moves   us min   median      max  bytes"


def boot(folder, case, **options):
    """The machine, and the path to its QMP."""
    image = disks.make_image(folder, {PF: f"num_vfs = 4\ntransport = {case.transport}\n"},
                             *(vm_section(name, f"rounds way={way} queues={case.queues} count=16", f"{PF}/{vfs[0]}", cpus=cpus)
                               for name, (way, cpus, vfs) in VMS.items()))
    images, path = [vfdisk.make(folder, name + ".img") for name in VMS], os.path.join(folder, "qmp")
    return VfMachine(image, images * 2, properties=case.properties(), cpus=3, iommu=case.iommu, extra=qmp.arguments(path), **options), path


def moves(folder, case, seed=1, **options):
    """The rows of the table."""
    os.makedirs(folder, exist_ok=True)
    choices = random.Random(seed)
    run, path = boot(folder, case, **options)
    with run, qmp.Qmp(path) as control:
        mover = Mover(run)
        run.ask("vf list", rf"PF 0000:{PF}: 4 VFs, migration: {case.abi}", rf"{PF}:0 +msix +running", rf"{PF}:2 +- +free")
        mover.orders(control, case)
        for _ in range(case.count):
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
        return list(mover.rows(case))


def table(folder, count):
    rows, total = [HEAD], 0
    for number, way in enumerate(itertools.product(("1.4", "2021"), ("mmr", "admin"), (1, 4), ("intel", "amd"))):
        case = Case(*way[:3], count, way[3])
        rows += moves(os.path.join(folder, str(number)), case, seed=number)
        print("\n".join(rows[-2:]), flush=True)
        total += len(VMS) * count
    print("\n".join(rows) + f"\n{total} moves at random moments, and four more of each VM: no byte and no interrupt lost")


def test(folder, abi, transport, queues, count=20, iommu="intel"):
    # One of them on a machine whose CPUs miss messages now and then, as QEMU's do, once in millions of times.
    options = {"plugin": ",lose-polls=on"} if (abi, transport) == ("2021", "admin") else {}
    print("\n".join([HEAD] + moves(folder, Case(abi, transport, int(queues), int(count), iommu), **options)))


if __name__ == "__main__":
    if sys.argv[1] == "table":
        machine.run_test(lambda folder: table(folder, int(sys.argv[2])))
    else:
        machine.run_test(lambda folder: test(folder, *sys.argv[1:]))
