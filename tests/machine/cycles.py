# SPDX-License-Identifier: BSD-2-Clause
"""cycles.py [COUNT [SEED [IOMMU]]]: VMs with VFs of two PFs, under I/O, are started, stopped and reset COUNT times in all, in every
way, at random moments. Afterwards the VMM holds what it held before, and the VMs' I/O is right."""

import os
import random
import re
import sys
import time

import pexpect

import machine
import vfdisk

PARTS = 8 # at most; after each one all VMs are off, and what is held is compared
PART = 30 # cycles, at least
PATIENCE = 180 # seconds in which no VM gets on: something hangs
ROUNDS_AT_END = 5 # lines of progress

CONFIG = """[vmm]
when_idle = halt
[pf 01:00.0]
num_vfs = 4
transport = admin
[pf 02:00.0]
num_vfs = 4
"""

SECTION = """[vm {name}]
cpus = {cpus}
memory = 4M
multiboot = churn.elf
cmdline = name={name} msix={msix} area={area}
vf = 01:00.0/{index}
vf = 02:00.0/{index}
debug_exit = 0xf4
autostart = no
"""

# Each VM: its CPUs, and whether it uses MSI-X. The first CPU is the console's.
VMS = {"a": ("1", 0), "b": ("2", 1), "c": ("3-4", 1)}
OWN_FIRST, OWN_STEP, OWN_SECTORS = 1024, 128, 64

# What may be done with a VM that runs. Keys are typed on the guest's console: they make the guest do it.
STOPS = ["stop", "stop stop", "key p", "key d"]
RESETS = ["reset", "reset reset", "key t", "key r", "key R"]
STARTING, RUNNING, STOPPING, OFF = (f"not now, the VM is '{state}'" for state in ("starting", "running", "stopping", "off"))
TWICE = ("reset reset", "key R")


class Vm:
    """One VM as the serial line shows it, and what is done to it."""

    def __init__(self, run, number, name, choices):
        self.run, self.number, self.name, self.random = run, number, name, choices
        self.begun = self.progress = self.stopped = 0
        self.answers, self.done = [], {}
        self.rest = "" # of what the guest said: a line whose end is long in coming is shown in pieces
        self.front = False # keys are typed for it: its lines have no name before them, and others' lines may come in between
        self.sure = False # the guest has begun, and no reset is on its way: it will read its console

    def __str__(self):
        return f"{self.name} has begun {self.begun} times and stopped {self.stopped} times, with {self.progress} lines of progress"

    def see(self, line):
        """LINE came over the serial line."""
        said = re.search(r"\[(\w+)\][ +](.*)", line)
        self.front = (self.front or f"[VM {self.number}, {self.name}: " in line) and "[VMM: " not in line
        if said and said[1] == self.name:
            self.rest += said[2]
        elif self.front and not line.startswith("["):
            self.rest += line
        while whole := re.search(rf"{self.name}: (?:(begins)|\d+ rounds)", self.rest):
            self.begun += whole[1] is not None
            self.progress += whole[1] is None
            self.rest = self.rest[whole.end():]
        self.stopped += f"VM '{self.name}': stopped" in line
        answer = re.search(rf"vm (?:start|stop|reset) {self.name}: (.*)", line)
        if answer:
            self.answers.append(answer.group(1))

    # What follows are generators: each 'yield' is a condition that is waited for.

    def command(self, *words):
        """Type commands in one go, and wait for their answers."""
        before = len(self.answers)
        self.run.send("".join(f"vm {word} {self.name}\r" for word in words))
        yield lambda: len(self.answers) == before + len(words)
        return self.answers[before:]

    def expect(self, answers, *allowed):
        for answer, texts in zip(answers, allowed):
            if answer not in texts:
                raise machine.Failure(f"VM {self.name}: the answer was '{answer}', not one of {texts}")

    def start(self):
        """Start it, sometimes twice; the log says 'stopped' a moment before it can be started again."""
        words = ["start"] if self.random.random() < 0.8 else ["start", "start"]
        begun = self.begun
        answers = yield from self.command(*words)
        while answers[0] in (STOPPING, OFF):
            answers = (yield from self.command(*words))
        self.expect(answers, ["begun"], [STARTING, RUNNING])
        self.sure = False
        return begun

    def moment(self, begun):
        """Let the guest get on, or not. BEGUN: how often it had begun when it was sent off."""
        progress = self.progress + self.random.choice([0, 0, 1, 2])
        if self.random.random() < 0.25:
            return
        yield lambda: self.begun > begun and self.progress >= progress

    def stop(self, way):
        stopped = self.stopped
        if way.startswith("key"):
            self.type(way)
        else:
            answers = yield from self.command(*way.split())
            self.expect(answers, ["done"], ["done", OFF, STOPPING])
        yield lambda: self.stopped == stopped + 1
        if self.random.random() < 0.1:
            for word in self.random.choice([["stop"], ["reset"], ["stop", "reset"]]):
                self.expect((yield from self.command(word)), [OFF, STOPPING])

    def reset(self, way):
        begun = self.begun
        if way.startswith("key"):
            self.type(way)
        else:
            answers = yield from self.command(*way.split())
            while answers[0] == STARTING: # there is nothing to reset yet
                answers = yield from self.command(*way.split())
            self.expect(answers, ["done"], ["done"])
        if way in TWICE:
            self.sure = False
        return begun

    def type(self, way):
        self.run.send(f"\x01{self.number}{way.split()[1]}\x010")

    def cycle(self, count):
        """COUNT stops and resets, and off at the end."""
        running = False
        while count > 0:
            if not running:
                begun = yield from self.start()
                running = True
                fresh = True
            yield from self.moment(begun)
            if self.begun > begun and fresh:
                self.sure = True
            ways = [way for way in STOPS + RESETS if self.sure or not way.startswith("key")]
            way = self.random.choice(ways) if count > 1 else self.random.choice([w for w in ways if w in STOPS])
            self.done[way] = self.done.get(way, 0) + 1
            count -= 1
            if way in STOPS:
                yield from self.stop(way)
                running = False
            else:
                fresh = self.sure and way not in TWICE
                self.sure = False
                begun = yield from self.reset(way)

    def work(self):
        """Full I/O, after all that."""
        begun = yield from self.start()
        yield lambda: self.begun == begun + 1
        progress = self.progress
        yield lambda: self.progress >= progress + ROUNDS_AT_END
        yield from self.stop("stop")


class CycleMachine(machine.Machine):
    """The test machine; behind each VF the same disk, and a network of its own."""

    def __init__(self, image, disk, **options):
        self.disk, self.rest = disk, ""
        super().__init__(image, **options)

    def arguments(self, image, **options):
        indices = range(len(VMS))
        extra = ["-device", "pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on",
                 "-device", "pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1"]
        for index in indices:
            extra += ["-netdev", f"user,id=net{index},ipv6=off",
                      "-blockdev", f"{machine.IMAGE},node-name=file{index},filename={self.disk},locking=off",
                      "-blockdev", f"driver=raw,node-name=disk{index},file=file{index}"]
        nets = ":".join(f"net{index}" for index in indices)
        disks = ":".join(f"disk{index}" for index in indices)
        extra += ["-device", f"portolan-net-pf,id=netpf,bus=rp1,vfs=4,vf-backends={nets}",
                  "-device", f"portolan-blk-pf,id=blkpf,bus=rp2,vfs=4,vf-backends={disks}"]
        return machine.qemu_command(image, pfs=False, extra=extra, **options)

    def lines(self):
        """The whole lines that have come, after waiting for some."""
        try:
            self.rest += self.process.read_nonblocking(1 << 16, PATIENCE)
        except pexpect.TIMEOUT:
            raise machine.Failure(f"nothing was printed for {PATIENCE} s") from None
        except pexpect.EOF:
            raise machine.Failure("the machine ended") from None
        self.place = self.mark()
        lines = re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", self.rest).replace("\r", "\n").split("\n")
        self.rest = lines.pop()
        return lines

    def run_all(self, vms, lives):
        """Carry LIVES, one of each of VMS, on together until all have ended."""
        waiting = {life: next(life, None) for life in lives}
        moved = time.monotonic()
        while any(waiting.values()):
            for line in self.lines():
                for vm in vms:
                    vm.see(line)
            for life, ready in list(waiting.items()):
                while ready and ready():
                    ready = waiting[life] = next(life, None)
                    moved = time.monotonic()
            if time.monotonic() - moved > PATIENCE:
                raise machine.Failure(f"no VM got on for {PATIENCE} s: " + "; ".join(map(str, vms)))


HELD = [r"memory: (\d+) KiB of RAM free, (\d+) KiB of the VMM's own in use",
        r"VFs: (\d+) in use, (\d+) reset, (\d+) to be reset; (\d+) may do DMA", r"DMA: (\d+) KiB",
        r"all VMs: (\d+) domains, (\d+) functions, (\d+) interrupts, (\d+) vectors, (\d+) pages of tables, (\d+) lost"]
NAMES = ["KiB of RAM free", "KiB of the VMM's", "VFs in use", "VFs reset", "VFs to be reset", "VFs that may do DMA",
         "KiB mapped for DMA", "IOMMU domains", "functions attached", "remapped interrupts", "CPUs' vectors",
         "pages of IOMMU tables", "pages lost"]


def holdings(run):
    """What the VMM holds now, by its own count."""
    run.send("stats\r")
    run.rest = ""
    found = []
    run.expect(r"the VMM: \d+ of \d+ VMs run")
    for pattern in HELD:
        found += run.expect(pattern).groups()
    run.expect(r"vmm> ")
    return dict(zip(NAMES, map(int, found)))


def compare(before, after, when):
    for name in NAMES:
        if before[name] != after[name]:
            raise machine.Failure(f"{when}: {name}: {after[name]}, before {before[name]}")


def test(folder):
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    iommu = sys.argv[3] if len(sys.argv) > 3 else "intel"
    config = CONFIG + "".join(SECTION.format(name=name, cpus=cpus, msix=msix, index=index,
                                             area=OWN_FIRST + index * OWN_STEP)
                              for index, (name, (cpus, msix)) in enumerate(VMS.items()))
    files = [(os.path.join(machine.BUILD, "guest", "churn.elf"), "churn.elf")]
    image = machine.make_image(folder, config, files)
    disk = vfdisk.make(folder)
    with CycleMachine(image, disk, cpus=5, iommu=iommu) as run:
        run.expect(r"the machine idles|vmm> ")
        vms = [Vm(run, number + 1, name, random.Random(f"{seed} {name}")) for number, name in enumerate(VMS)]
        run.run_all(vms, [vm.cycle(1) for vm in vms]) # what is taken once and kept
        before = holdings(run)
        begin = time.monotonic()
        left, parts = count, max(1, min(PARTS, count // PART))
        for part in range(parts):
            shares = [(left // (parts - part) + i) // len(vms) for i in range(len(vms))]
            left -= sum(shares)
            run.run_all(vms, [vm.cycle(share) for vm, share in zip(vms, shares)])
            compare(before, holdings(run), f"after {count - left} cycles, seed {seed}")
        took = time.monotonic() - begin
        run.run_all(vms, [vm.work() for vm in vms])
        compare(before, holdings(run), f"at the end, seed {seed}")
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked", "cannot be reset", "all ones")
        for name, value in before.items():
            print(f"  {name:<24}{value:>10}")
        for way in STOPS + RESETS:
            print(f"  {way:<24}{sum(vm.done.get(way, 0) for vm in vms):>10}")
        print(f"{count} cycles, seed {seed}: {took:.1f} s")
    own = [range(OWN_FIRST + i * OWN_STEP, OWN_FIRST + i * OWN_STEP + OWN_SECTORS) for i in range(len(VMS))]
    vfdisk.check(disk, lambda number: any(number in sectors for sectors in own))


machine.run_test(test)
