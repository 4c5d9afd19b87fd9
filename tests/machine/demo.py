# SPDX-License-Identifier: BSD-2-Clause
"""demo.py [--vms N] [--move] | --migrate: the main job before your eyes. Debian's kernel, unmodified, in a VM whose root file system is on a
virtio-blk VF and whose network is a virtio-net VF; both VFs have their legacy registers in memory only. Ends 'demo: PASS'
and 0, or says what failed."""

import argparse
import hashlib
import os
import random
import re
import shutil
import sys
import tempfile
import typing

import gaps
import machine
import qmp

IMAGES = os.path.join(machine.BUILD, "linux")


class Vm(typing.NamedTuple):
    """One VM with a block and a net VF. KIND is a folder of IMAGES; its driver uses INTERRUPTS, MSI-X or INTx."""
    name: str
    kind: str = "amd64"
    interrupts: str = "MSI-X"


class Plan(typing.NamedTuple):
    """VMs, how the legacy registers of the net and block VFs are reached, how many bytes come through the network, how many
    vCPUs each VM has, how many checkpoints are taken of each while it works, a fifth with each of STAGES; before as many at most.
    MOVES: how often each of their VFs is exchanged for another while they work, by the protocol ABI of the PFs. QUEUES: how many
    a disk has, and pairs a network."""
    vms: list
    net: str = "auto"
    block: str = "auto"
    payload: int = 4 << 20
    cpus: int = 1
    checkpoints: int = 0
    moves: int = 0
    abi: str = "none"
    queues: int = 1


# What a guest says when it goes on to its first program, to reading its disk, writing it, and to each way of using its network.
STAGES = [r"init: \d+ CPUs", "data: on", r"known\.bin: OK", "PING", "packets transmitted"]

# The size of the queues of a guest's VFs at most.
QUEUE_SIZE = 1024
# Of how many of a VF's queues the VMM says at most where they were at a move.
QUEUES_SHOWN = 4

SECTION = """
[vm {vm.name}]
cpus = {cpu}
memory = 256M
kernel = {vm.kind}/vmlinuz
initrd = {vm.kind}/initrd.img
cmdline = console=ttyS0 panic=-1 quiet root=/dev/vda portolan.test={options}
vf = 0000:02:00.0/{index}
vf = 0000:01:00.0/{index}
"""

PFS = "01:00.0", "02:00.0"

CONFIG = """[vmm]
when_idle = halt
[pf 0000:01:00.0]
num_vfs = {vfs}
transport = {plan.net}
[pf 0000:02:00.0]
num_vfs = {vfs}
transport = {plan.block}
"""


class Screen:
    """Shows the serial line, without the firmware's cursor movements and what QEMU's CPU model lacks."""

    def __init__(self, log):
        self.log = log
        self.rest = ""

    def write(self, text):
        self.log.append(text.replace("\r", ""))
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if not line.startswith("qemu-system-x86_64: warning:"):
                sys.stdout.write(plain(line) + "\n")

    def flush(self):
        sys.stdout.flush()


class DemoMachine(machine.Machine):
    """The test machine with a copy of the root file system and a network of its own behind each VF."""

    def __init__(self, image, disks, payload, plan, **options):
        self.disks, self.payload, self.plan = disks, payload, plan
        super().__init__(image, **options)
        self.control = qmp.Qmp(control_of(payload)) if plan.moves else None

    def arguments(self, image, **options):
        """Behind each VM's VFs a network and a disk; with moves, behind as many other VFs the same once more. There a network is a hub."""
        vfs = vfs_of(self.plan)
        extra = ["-device", "pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on",
                 "-device", "pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1"]
        for number, disk in enumerate(self.disks):
            hub = self.plan.moves > 0
            extra += ["-netdev", f"user,id={'user' if hub else 'net'}{number},tftp={self.payload}"]
            extra += ["-netdev", f"hubport,id=hub{number},hubid={number},netdev=user{number}",
                      "-object", f"filter-dump,id=dump{number},netdev=user{number},file={frames_of(self.payload, number)}"] if hub else []
            for vf in range(number, vfs, 2):
                extra += ["-netdev", f"hubport,id=net{vf},hubid={number}"] if hub else []
                extra += ["-blockdev", f"{machine.IMAGE},node-name=disk{vf},filename={disk}" + (",locking=off" if hub else "")]
        nets, disks = (":".join(f"{kind}{vf}" if vf % 2 < len(self.disks) else "" for vf in range(vfs)) for kind in ("net", "disk"))
        # By 2021 only a PF whose VFs have no registers in memory has commands for them.
        net, block = (f"vfs={vfs},migration={self.plan.abi},vf-queues={self.plan.queues}" + (",mmr=off" if transport == "admin" and self.plan.abi == "2021" else "")
                      for transport in (self.plan.net, self.plan.block))
        extra += ["-device", f"portolan-net-pf,id=netpf,bus=rp1,{net},vf-backends={nets}",
                  "-device", f"portolan-blk-pf,id=blkpf,bus=rp2,{block},vf-backends={disks}"]
        if self.plan.moves:
            extra += qmp.arguments(control_of(self.payload))
            options["plugin"] = gaps.COUNT
        return machine.qemu_command(image, pfs=False, extra=extra, **options)


def control_of(payload):
    return os.path.join(os.path.dirname(payload), "qmp")


def frames_of(payload, number):
    """Where the frames of network NUMBER are written to."""
    return os.path.join(os.path.dirname(payload), f"net{number}.pcap")


def announcements(path):
    """How often somebody says in the frames of the file PATH, unasked, where its own address is now: by ARP, of itself."""
    with open(path, "rb") as file:
        data = file.read()
    at, count = 24, 0 # behind the file's header
    while at + 16 <= len(data):
        size = int.from_bytes(data[at + 8:at + 12], "little")
        frame, at = data[at + 16:at + 16 + min(size, 42)], at + 16 + size
        count += len(frame) == 42 and frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42] != bytes(4)
    return count


def vfs_of(plan):
    """How many VFs each PF has. A VM's is the one of its index, or, when it was moved, two further on."""
    return 4 if plan.moves else 2


def require(log, pattern, meaning):
    """The groups of PATTERN in LOG."""
    match = re.search(pattern, log)
    if not match:
        raise machine.Failure(f"not seen: {meaning}")
    return match.groups()


def plain(log):
    return re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", log)


def lines_of(log, name):
    """What VM NAME said."""
    return "\n".join(re.findall(rf"\[{name}\] (.*)", log))


def statistics(run, name):
    """What the VMM counts about VM NAME."""
    before = run.mark()
    run.send(f"stats {name}\r")
    run.expect(rf"{name}: off")
    run.expect(r"all VMs: \d+ domains.*\n")
    run.send("vm list\r") # behind the last line
    run.expect(rf"\d +{name} +off")
    return plain(run.log(before))


def row(name, value):
    print(f"  {name:<34}{value}")


def show_interrupts(said, wanted):
    """The guest's own count of its devices' interrupts, all of the kind that is WANTED."""
    counts = dict.fromkeys(("virtio0", "virtio1"), 0)
    lines = re.findall(r"^ *\d+:((?: +\d+)+) +(PCI-MSI|IO-APIC) +\S+ +(virtio\d\S*(?:, virtio\d\S*)*)", said, re.MULTILINE)
    for each, controller, users in lines: # one count for each CPU
        if controller != {"MSI-X": "PCI-MSI", "INTx": "IO-APIC"}[wanted]:
            raise machine.Failure(f"{users} has its interrupts through {controller}, and not as {wanted}")
        for user in users.split(", "):
            counts[user.split("-")[0]] += sum(map(int, each.split()))
    if not all(counts.values()):
        raise machine.Failure(f"the guest counts no {wanted} interrupts of a device: {lines}")
    row(f"interrupts in the guest, {wanted}", f"{counts['virtio0']} of the disk, {counts['virtio1']} of the network")


def show_counters(counted, wanted):
    """The VMM's own count, which must name no interrupt of the other kind."""
    for reason, exits in re.findall(r"^ {4}(\S.*?) +(\d+) exits +\d+ cycles", counted, re.MULTILINE):
        row(f"exits: {reason}", exits)
    counters = re.findall(r"(\d+) notifies, (\d+) interrupts .*?, (\d+) messages .*?, (\d+) INTx", counted)
    if len(counters) != 2:
        raise machine.Failure("the VMM counts nothing about two VFs")
    for kind, (notifies, interrupts, messages, intx) in zip(("block VF", "net VF"), counters):
        row(kind, f"{notifies} notifies, {interrupts} interrupts; to the guest {messages} messages, {intx} INTx")
        sent, other = (messages, intx) if wanted == "MSI-X" else (intx, messages)
        if int(sent) == 0 or int(other) != 0:
            raise machine.Failure(f"the {kind} of a guest with {wanted} sent it {messages} messages and {intx} INTx")


def show(vm, said, counted, payload, cpus):
    """The table of one VM. PAYLOAD is the file from the network. Raises Failure for what is not as it must be."""
    kernel = require(said, rf"init: {cpus} CPUs, (\S+)", "the kernel")[0]
    functions = re.findall(r"demo: function (\S+) device 0x(\w+) revision 0x(\w+) driver (\S+) ports (\w+)", said)
    devices = sorted(function[1] for function in functions)
    if devices != ["1000", "1001"] or any(int(function[2], 16) or function[3] != "virtio-pci" for function in functions):
        raise machine.Failure(f"the guest's functions are not a legacy net and a legacy block device: {functions}")
    require(said, r"data: on /dev/vda", "the root file system on the VF")
    require(said, r"known\.bin: OK", "the checksum of what was read")
    require(said, r"data: right", "what was written, read again")
    read, written = require(said, r"demo: disk (\d+) (\d+) bytes", "the disk's counters")
    require(said, r"5 packets transmitted, 5 packets received", "five answers to five pings")
    if require(said, r"demo: payload (\w+)", "the file from the network")[0] != hashlib.sha256(payload).hexdigest():
        raise machine.Failure("the file from the network has another checksum")
    received, sent, bytes_in, bytes_out = require(said, r"demo: packets (\d+) (\d+) bytes (\d+) (\d+)", "the net counters")
    print(f"\n{vm.name}: Linux {kernel}")
    for function, device, _, driver, ports in functions:
        kind = {"1000": "net", "1001": "block"}[device]
        row(f"legacy {kind} at {function}", f"1af4:{device} revision 0, ports {ports}h, driver {driver}")
    row("disk, read, checksum right", f"{int(read):,} bytes")
    row("disk, written, read again", f"{int(written):,} bytes")
    row("network, file's checksum right", f"{len(payload):,} bytes; {int(bytes_in):,} in, {int(bytes_out):,} out")
    row("packets", f"{received} received, {sent} sent; 5 of 5 pings answered")
    show_interrupts(said, vm.interrupts)
    show_counters(counted, vm.interrupts)


def show_commands(plan, before, after):
    """Administration commands of the PFs while the guests worked: none, but for registers that are reached so."""
    print()
    for kind, transport, first, last in zip(("block", "net"), (plan.block, plan.net), before, after):
        row(f"admin commands of the {kind} PF", f"{first} until the first VM started, {last - first} since")
        if (last == first) == (transport == "admin"):
            raise machine.Failure(f"with transport = {transport} the {kind} PF had {last - first} commands")


def commands_in(counted):
    """How many commands the block PF and the net PF have had, by the VMM's own count."""
    return [int(count) for count in re.findall(r"its PF: (\d+) commands", counted)]


def first_commands(run, name):
    """The same, of a VM that has just started."""
    before = run.mark()
    run.send(f"stats {name}\r")
    run.expect(r"all VMs: \d+ domains")
    run.expect(r"its PF: \d+ commands")
    run.expect(r"its PF: \d+ commands")
    return commands_in(plain(run.log(before)))


def take_checkpoints(run, plan):
    """Of each VM at random moments: as many while it boots as it works, a share with each kind of work. How many were asked for."""
    left = {vm.name: list(STAGES) for vm in plan.vms if plan.checkpoints}
    asked = dict.fromkeys(left, 0)

    def wants_more(name):
        boots = len(left[name]) == len(STAGES) and asked[name] < plan.checkpoints
        return left[name] and (re.search(left[name][0], run.said(name)) or
                               (boots and f"VM '{name}': {asked[name]} checkpoints taken" in run.log()) or not asked[name])

    while any(left.values()):
        for name in run.wait_in(lambda: " ".join(filter(wants_more, left)), r".+")[0].split():
            if re.search(left[name][0], run.said(name)):
                left[name].pop(0)
            share = plan.checkpoints // len(STAGES)
            asked[name] += share
            run.send(f"vm checkpoint {name} {share}\r")
    return asked


def show_checkpoints(log, name, asked):
    """Each was compared when it was taken; they must all have been before the work's end."""
    taken = re.findall(rf"VM '{name}': (\d+) checkpoints taken, of (\d+) bytes each", log)
    if not taken or int(taken[-1][0]) != asked:
        raise machine.Failure(f"VM '{name}' was to have {asked} checkpoints taken, and said {taken}")
    row("checkpoints", f"{asked:,} of {int(taken[-1][1]):,} bytes, each saved, destroyed, loaded, the same again")


class Move(typing.NamedTuple):
    """What the VMM said of one move; queues: used index when the VF stood still and later, and the index up to which buffers are there;
    pages that were written since the move before: by the VM's CPUs, and by the VF, None if nobody can tell; how the guest stood still."""
    vm: str
    here: str
    there: str
    size: int
    device: int
    queues: list
    us: int
    by_cpu: int
    by_vf: int | None
    pause: gaps.Pause


def track(run, plan, name, vfs):
    """From here on it is noted which pages VM NAME writes, and which its VFS do, where their PFs can tell."""
    run.ask(f"vm track {name}", rf"vm track {name}: done")
    for vf in vfs if plan.abi == "2021" else ():
        mark = run.order(f"vf dirty {vf} on", ended=f"VM '{name}': stopped")
        run.wait(mark, rf"VF 0000:{vf}: dirty on: done")


def move_set(run, plan, name, pairs):
    """VM NAME is moved from VFs to others, all PAIRS together."""
    mark = run.ask(f"vm dirty {name}")
    by_cpu = int(run.wait(mark, rf"vm dirty {name}: (\d+) pages").group(1))
    gaps.forget(run.control)
    mark = run.order("vf move " + " ".join(vf for pair in pairs for vf in pair), ended=f"VM '{name}': stopped")
    us = run.wait(mark, rf"  us: .*; (\d+) in all|VM '{name}' does not run any more").group(1)
    pause = gaps.on_one(run.control, cpus_of(plan, name)) if us else None
    told, moves = run.log(mark), []
    for here, there in pairs:
        match = re.search(rf"VM '{name}': moved from VF 0000:{here} to VF 0000:{there}: (\d+) bytes, of them (\d+) of the device", told)
        if not match:
            raise machine.Failure(f"VM '{name}' was not moved: {told}")
        own = re.split(" moved from |  us: ", told[match.end():])[0]
        queues = re.findall(r"  queue \d+: used index (\d+) at the stop, now (\d+) of (\d+) offered", own)
        by_vf = re.search(rf"VF 0000:{here}: (\d+) pages written since", told)
        moves.append(Move(name, here, there, int(match[1]), int(match[2]), [tuple(map(int, queue)) for queue in queues], int(us),
                          by_cpu, int(by_vf[1]) if by_vf else None, pause))
    track(run, plan, name, [there for _, there in pairs])
    return moves


def cpus_of(plan, name):
    first = 1 + plan.cpus * [vm.name for vm in plan.vms].index(name)
    return range(first, first + plan.cpus)


def tell_guests(folder, word):
    """Whether guests are to do 'more' rounds or have done 'enough': a file that they get from time to time."""
    path = os.path.join(folder, "tftp", "rounds")
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(word + "\n")
    os.replace(path + ".new", path)


def move_vfs(run, folder, plan):
    """All VFs of all VMs are exchanged there and back, a VM's together or alone, in an order that a seed chooses: all the time while the
    VMs boot and do their first round, then as often as PLAN says. Then each has a checkpoint. All moves."""
    if not plan.moves:
        return []
    for vm in plan.vms:
        run.wait(0, rf"VM '{vm.name}': started")
    for index, vm in enumerate(plan.vms):
        track(run, plan, vm.name, [f"{pf}:{index}" for pf in PFS])
    choices, turn, left, moves = random.Random(1), 0, plan.moves, []
    while left:
        orders = []
        for index, vm in enumerate(plan.vms):
            pairs = [tuple(f"{pf}:{index + 2 * (half ^ turn % 2)}" for half in (0, 1)) for pf in PFS]
            orders += [(vm.name, pairs)] if choices.randrange(2) else [(vm.name, [pair]) for pair in pairs]
        choices.shuffle(orders)
        for name, pairs in orders:
            moves += move_set(run, plan, name, pairs)
        turn += 1
        left -= all("demo: round 1: " in run.said(vm.name) for vm in plan.vms)
    for vm in plan.vms:
        mark = run.mark()
        run.send(f"vm checkpoint {vm.name}\r")
        run.wait(mark, rf"VM '{vm.name}': \d+ checkpoints taken")
        if "ended" in run.wait_said(vm.name, mark, r"demo: round \d+: |init: test demo ended").group(0):
            raise machine.Failure(f"VM '{vm.name}' has ended after its VFs were moved")
    tell_guests(folder, "enough")
    return moves


def show_moves(folder, log, plan, moves, payload):
    """A row for each move of a VF in use, and what came of the guests' rounds meanwhile. 'us' is what the VMM says; 'us off' and the
    instructions are those between two of the guest's own; exits are counted from the order on."""
    print(f"\n  {'VM':<8}{'from':<12}{'to':<12}{'us':>8}{'us off':>9}{'instructions':>13}{'exits':>8}{'bytes':>8}{'device':>8}{'pages by CPU':>14}{'by VF':>8}"
          "   each queue: used at the stop, used and offered later")
    for move in filter(lambda move: move.queues, moves):
        queues = "; ".join(f"{stop}, {used} of {offered}" for stop, used, offered in move.queues)
        print(f"  {move.vm:<8}{move.here:<12}{move.there:<12}{move.us:>8}{move.pause.us:>9}{move.pause.instructions:>13,}{move.pause.exits:>8}{move.size:>8}"
              f"{move.device:>8}{move.by_cpu:>14}"
              f"{'-' if move.by_vf is None else move.by_vf:>8}   {queues}")
        if any((offered - used) % 65536 > QUEUE_SIZE or (offered - stop) % 65536 > QUEUE_SIZE for stop, used, offered in move.queues):
            raise machine.Failure("an index is not within its ring")
    digest = hashlib.sha256(payload).hexdigest()
    for number, vm in enumerate(plan.vms):
        own = [move for move in moves if move.vm == vm.name]
        rounds = re.findall(r"demo: round \d+: disk right, payload (\w+), (\d+) packets transmitted, (\d+) packets received",
                            lines_of(log, vm.name))
        if not rounds or any(sum_ != digest for sum_, _, _ in rounds):
            raise machine.Failure(f"a file that VM '{vm.name}' got while it was moved is not right: {rounds}")
        in_use = sum(bool(move.queues) for move in own)
        for pf, queues in zip(PFS, (2 * plan.queues + 1, plan.queues)): # of a net VF also the control queue
            shown = max(len(move.queues) for move in own if move.here.startswith(pf[:2]))
            if plan.queues > 1 and shown != min(queues, QUEUES_SHOWN):
                raise machine.Failure(f"VM '{vm.name}' has used {shown} queues of its VF of {pf}, not {queues}")
        if in_use < plan.moves:
            raise machine.Failure(f"VM '{vm.name}' was moved {in_use} times while it used the VF")
        sent, received = (sum(int(each[i]) for each in rounds) for i in (1, 2))
        row(f"{vm.name}: moves", f"{len(own)}, of which {in_use} of VFs in use; pauses of {min(move.us for move in own)} to {max(move.us for move in own)} us, "
            f"{min(move.pause.instructions for move in own):,} to {max(move.pause.instructions for move in own):,} instructions")
        if plan.abi == "2021" and not (any(move.by_cpu for move in own) and any(move.by_vf for move in own)):
            raise machine.Failure(f"nobody has seen the CPUs or the VFs of VM '{vm.name}' write")
        announced = announcements(frames_of(os.path.join(folder, "tftp"), number))
        nets = sum(move.here.startswith("01:") and bool(move.queues) for move in own)
        row(f"{vm.name}: announcements", f"{announced} on the network, after {nets} moves of a net VF in use")
        if announced < nets / 2: # a guest without an address yet has nothing to say, and one that has not looked yet says it once for two
            raise machine.Failure(f"VM '{vm.name}' did not announce itself after moves")
        row(f"{vm.name}: rounds meanwhile", f"{len(rounds)}, disk and file right; I/O errors: 0; {sent} pings, {sent - received} not answered")


def start(folder, plan, payload, **options):
    """The test machine with the VMs of PLAN, each with a disk of its own."""
    config = CONFIG.format(plan=plan, vfs=vfs_of(plan))
    for index, vm in enumerate(plan.vms):
        cpus = cpus_of(plan, vm.name)
        words = "demo,rounds" if plan.moves else "demo"
        words += " pci=nomsi" if vm.interrupts == "INTx" else ""
        # A kernel that counts few ticks in 76 ms by its TSC panics: it has too little of a busy host's time, which vCPUs that wait
        # for each other at each checkpoint make worse. One that gets none at all hangs here, too, when it calibrates its timer.
        words += " no_timer_check" if plan.checkpoints else ""
        config += SECTION.format(vm=vm, cpu="{}-{}".format(cpus[0], cpus[-1]), index=index, options=words)
    image = machine.make_image(folder, config)
    served = os.path.join(folder, "tftp")
    os.mkdir(served)
    with open(os.path.join(served, "payload.bin"), "wb") as file:
        file.write(payload)
    tell_guests(folder, "more")
    disks = [shutil.copy(os.path.join(IMAGES, vm.kind, "rootfs.img"), os.path.join(folder, vm.name + ".img")) for vm in plan.vms]
    return DemoMachine(image, disks, served, plan, cpus=len(plan.vms) * plan.cpus + 1, memory="1G", **options)


def demo(folder, plan):
    """The VMs of PLAN do their work, and each is shown in a table. Raises Failure."""
    payload = os.urandom(plan.payload)
    names = [vm.name for vm in plan.vms]
    print(f"demo: starting the test machine: UEFI firmware, {len(names) + 1} CPUs, an IOMMU, virtio-net and virtio-blk PFs",
          flush=True)
    with start(folder, plan, payload) as run:
        run.process.logfile_read = Screen(run.seen)
        run.expect(r"verdict: ")
        run.expect(r"VM '\w+': started")
        commands = first_commands(run, names[0])
        asked = take_checkpoints(run, plan)
        moves = move_vfs(run, folder, plan)
        run.wait(0, r"no VM is running")
        log = plain(run.log())
        counted = {name: statistics(run, name) for name in names}
        run.process.logfile_read = run
    for vm in plan.vms:
        said = lines_of(log, vm.name)
        require(said, r"init: test demo ended with status 0", f"the end of the work in VM '{vm.name}'")
        show(vm, said, counted[vm.name], payload, plan.cpus)
        if vm.name in asked:
            show_checkpoints(log, vm.name, asked[vm.name])
    if moves:
        show_moves(folder, log, plan, moves, payload)
    else:
        show_commands(plan, commands, commands_in(counted[names[0]]))
    for text in ("PANIC", "ERROR", "was blocked", "Call Trace", "I/O error"):
        if text in log:
            raise machine.Failure(f"{text!r} was printed")


def run_plan(plan):
    """Ends the program: 0 if all of PLAN went well."""
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        try:
            demo(folder, plan)
            passed = True
        except machine.Failure as failure:
            print(f"demo: {failure}")
            passed = False
    print("demo: PASS" if passed else "demo: FAIL")
    sys.exit(not passed)


def main():
    parser = argparse.ArgumentParser(prog="portolan demo", description=__doc__)
    parser.add_argument("--vms", type=int, choices=(1, 2), default=1, help="VMs at once, on VFs of the same PFs")
    parser.add_argument("--move", action="store_true", help="each VF is exchanged for another and back, ten times, while the VM works")
    parser.add_argument("--migrate", action="store_true", help="a VM goes to another test machine and back, three times, while it works")
    options = parser.parse_args()
    if options.migrate:
        import demo_migrate # it needs what no other demo does
        demo_migrate.run()
    run_plan(Plan([Vm("left"), Vm("right")][:options.vms], moves=20 if options.move else 0, abi="2021" if options.move else "none"))


if __name__ == "__main__":
    main()
