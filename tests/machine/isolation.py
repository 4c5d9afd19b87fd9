# SPDX-License-Identifier: BSD-2-Clause
"""isolation.py: a VM that misuses its VF in every way, beside one that works on another VF of the same PF.

The one is guest/vbad, which does what the test writes into a sector of its disk; the other is guest/vblk, which says after
each round that its disk and its memory are right."""

import mmap
import os
import re
import struct
import sys

import machine
import qmp
from disks import SECTOR, VfMachine, check_disk, make_disk

CONFIG = """[vmm]
when_idle = halt
[pf 02:00.0]
num_vfs = 3
[vm good]
cpus = 1
memory = 64M
multiboot = vblk.elf
cmdline = rounds count=16
vf = 02:00.0/0
debug_exit = 0xf4
[vm bad]
cpus = 2
memory = 64M
multiboot = vbad.elf
vf = 02:00.0/1
debug_exit = 0xf4
"""

MACHINE_MEMORY = 512 << 20
VM_MEMORY = 64 << 20
ORDER_SECTOR = 4095
ORDER_FORMAT = "<Q504s"
WITNESS_STEP = 0x9e3779b97f4a7c15
WITNESS_SIZE = 64 << 10
PAGE = 4096
DIRT = 0x6b6b6b6b6b6b6b6b
BAD_VF = r"0000:02:[0-9a-f]{2}\.[0-7]"


def words(first, count, step):
    return b"".join(struct.pack("<Q", (first + i) * step & (1 << 64) - 1) for i in range(count))


class Watch:
    """Memory of the machine that must stay as it is."""

    def __init__(self, what, address, content):
        self.what, self.address, self.content = what, address, content

    def check(self, control):
        if control.memory(self.address, len(self.content)) != self.content:
            raise machine.Failure(f"{self.what}, at {self.address:#x}, was changed")


def find(control, *patterns):
    """Where each of PATTERNS stands in the machine's memory: a list of lists of addresses."""
    control.command("pmemsave", val=0, size=MACHINE_MEMORY, filename=os.path.join(control.folder, "memory.bin"))
    with open(os.path.join(control.folder, "memory.bin"), "rb") as file, \
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        found = []
        for pattern in patterns:
            places, at = [], memory.find(pattern)
            while at >= 0:
                places.append(at)
                at = memory.find(pattern, at + 1)
            found.append(places)
    return found


class Test:
    """The two VMs, and the way to give orders to the bad one."""

    def __init__(self, run, control, orders):
        self.run, self.control, self.orders = run, control, orders
        self.number = 0
        self.watched = []

    def order(self, text):
        self.number += 1
        with open(self.orders, "r+b") as file:
            file.seek(ORDER_SECTOR * SECTOR)
            file.write(struct.pack(ORDER_FORMAT, self.number, text.encode()))

    def rounds(self):
        """The good VM goes on: a whole round from here on."""
        self.run.expect(r"\[good\] round \d+ ok")
        self.run.expect(r"\[good\] round \d+ ok")

    def check(self):
        for watch in self.watched:
            watch.check(self.control)
        self.run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for")

    def case(self, text, answer):
        """The bad VM does TEXT, which it ends by ANSWER; nobody is harmed."""
        self.order(text)
        said = self.run.expect(rf"\[bad\] ({answer}[^\r\n]*)").group(1)
        self.run.expect(r"\[bad\] ready, (\d+) failed")
        if self.run.process.match.group(1) != "0":
            raise machine.Failure(f"a check of the bad VM failed in {text!r}")
        self.check()
        self.rounds()
        return said

    def blocked(self, kind, address):
        """The log names VM and VF for what they did at ADDRESS."""
        if not re.search(rf"VM 'bad': VF {BAD_VF}: a {kind} at {address:#x} was blocked", self.run.log()):
            self.run.expect(rf"VM 'bad': VF {BAD_VF}: a {kind} at {address:#x} was blocked")


def watch_memory(test):
    """What is the good VM's, and the VMM's, and must not change: find it in the machine's memory."""
    log = b"VM 'bad': started"
    witnesses, logs = find(test.control, words(1, 64, WITNESS_STEP), log)
    if len(witnesses) != 1 or not logs:
        raise machine.Failure(f"the memory to watch was found at {witnesses} and {logs}")
    test.watched = [Watch("the good VM's memory", witnesses[0], words(1, WITNESS_SIZE // 8, WITNESS_STEP))]
    test.watched += [Watch("the VMM's memory", at, log) for at in logs]
    return witnesses[0], logs


def targets(test, witness, logs):
    """Addresses that the bad VM's VF must not reach."""
    bars = [region["address"] for bus in test.control.command("query-pci") for device in bus["devices"]
            for region in all_regions(device) if region["type"] == "memory" and region["address"] > 0]
    places = {"the good VM": witness + PAGE, "the VMM": logs[0] & -PAGE, "the end of its RAM": VM_MEMORY,
              "no RAM": 0x3f000000, "the IOMMU": 0xfed90000, "the I/O APIC": 0xfec00000, "its own BAR": 0xe0000000}
    places.update({f"BAR at {at:#x}": at for at in sorted(set(bars))[-4:]})
    return places


def all_regions(device):
    yield from device["regions"]
    for below in device.get("pci_bridge", {}).get("devices", []):
        yield from all_regions(below)


def do_dma(test, places):
    for name, address in places.items():
        print(name, hex(address))
        for kind, answer in (("write", "write to"), ("read", "read from")):
            if "the device did it" in test.case(f"{kind} {address:x} {DIRT:x}", answer):
                raise machine.Failure(f"the bad VM's VF could {kind} {name} at {address:#x}")
            test.blocked(kind, address)


def play(test):
    witness, logs = watch_memory(test)
    do_dma(test, targets(test, witness, logs))


def isolation(folder):
    files = [(os.path.join(machine.BUILD, "guest", name), name) for name in ("vblk.elf", "vbad.elf")]
    image = machine.make_image(folder, CONFIG, files)
    good, bad = make_disk(folder, "good.img"), make_disk(folder, "bad.img")
    path = os.path.join(folder, "qmp")
    with VfMachine(image, [good, bad], cpus=3, extra=qmp.arguments(path)) as run, qmp.Qmp(path) as control:
        test = Test(run, control, bad)
        run.expect(r"\[bad\] ready")
        test.rounds()
        play(test)
        print(run.log()[run.log().find("VM 'good': slot"):])


machine.run_test(isolation)
