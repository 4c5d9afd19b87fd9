# SPDX-License-Identifier: BSD-2-Clause
"""isolation.py intel|amd: a VM that misuses its VF in every way, beside one that works on another VF of the same PF.

The one is guest/vbad, which does what the test writes into a sector of its disk; the other is guest/vblk, which says after
each round that its disk and its memory are right."""

import mmap
import os
import re
import struct
import sys

import machine
import qmp
import vfdisk
from disks import VfMachine, written
from vfdisk import SECTOR

CONFIG = """[vmm]
when_idle = halt
[pf 02:00.0]
num_vfs = 3
[vm bad]
cpus = 2
memory = 64M
multiboot = vbad.elf
vf = 02:00.0/1
debug_exit = 0xf4
checkpoints = 200
[vm good]
cpus = 1
memory = 64M
multiboot = vblk.elf
cmdline = rounds count=16
vf = 02:00.0/0
debug_exit = 0xf4
checkpoints = 200
"""

MACHINE_MEMORY = 512 << 20
VM_MEMORY = 64 << 20
ORDER_SECTOR = 4095
ORDER_FORMAT = "<Q504s"
WITNESS_STEP = 0x9e3779b97f4a7c15
WITNESS_SIZE = 64 << 10
PAGE = 4096
DEVICE_VECTORS = 0x30 # and up
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
    path = os.path.join(control.folder, "memory.bin")
    control.command("pmemsave", val=0, size=MACHINE_MEMORY, filename=path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        os.unlink(path) # before the host begins to write it to its disk
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

    def __init__(self, run, control, orders, iommu):
        self.run, self.control, self.orders, self.iommu = run, control, orders, iommu
        self.number = 0
        self.watched = []

    def order(self, text):
        self.number += 1
        with open(self.orders, "r+b") as file:
            file.seek(ORDER_SECTOR * SECTOR)
            file.write(struct.pack(ORDER_FORMAT, self.number, text.encode()))

    def rounds(self):
        """The good VM goes on: a whole round from here on."""
        self.run.wait_said("good", self.run.mark(), r"round \d+ ok.*round \d+ ok")

    def check(self):
        for watch in self.watched:
            watch.check(self.control)
        self.run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for")

    def case(self, text, answer):
        """The bad VM does TEXT, which it ends by ANSWER; nobody is harmed."""
        mark = self.run.mark()
        self.order(text)
        self.run.wait_said("bad", mark, answer)
        if self.run.wait_said("bad", mark, r"ready, (\d+) failed").group(1) != "0":
            raise machine.Failure(f"a check of the bad VM failed in {text!r}")
        self.check()
        self.rounds()
        return self.run.said("bad", mark)

    def blocked(self, kind, address):
        """The log names VM and VF for what they did at ADDRESS. QEMU's AMD-Vi records nothing."""
        if self.iommu == "amd":
            return
        self.run.wait(0, rf"VM 'bad': VF {BAD_VF}: a {kind} at {address:#x} was blocked")


def vmm_text():
    """The code of the VMM, and how far into its image it lies."""
    with open(os.path.join(machine.BUILD, "portolan-core.elf.stripped"), "rb") as file:
        elf = file.read()
    table, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    loads = [struct.unpack_from("<IIQQQQQQ", elf, table + i * size) for i in range(count)]
    loads = [load for load in loads if load[0] == 1]
    _, _, offset, address, _, length, _, _ = next(load for load in loads if load[1] & 1)
    return elf[offset:offset + length], address - loads[0][3]


def watch_memory(test):
    """What is the good VM's, and the VMM's, and must not change: find it in the machine's memory. The bad VM is made first and gets
    the lowest memory, so that the addresses of the others' are none of its own RAM."""
    witnesses, = find(test.control, words(1, 64, WITNESS_STEP))
    text, offset = vmm_text()
    core = int(test.run.wait(0, r"VMM core: \d+ KiB at 0x(\w+)").group(1), 16) + offset
    if len(witnesses) != 1 or min(witnesses[0], core) < VM_MEMORY:
        raise machine.Failure(f"the memory to watch is at {witnesses} and {core:#x}")
    test.watched = [Watch("the good VM's memory", witnesses[0], words(1, WITNESS_SIZE // 8, WITNESS_STEP)),
                    Watch("the VMM's code", core, text)]
    test.check()
    return witnesses[0], core


def targets(test, witness, core):
    """Addresses that the bad VM's VF must not reach."""
    bars = [region["address"] for bus in test.control.command("query-pci") for device in bus["devices"]
            for region in all_regions(device) if region["type"] == "memory" and region["address"] > 0]
    places = {"the good VM": witness + PAGE, "the VMM": core & -PAGE, "the end of its RAM": VM_MEMORY,
              "no RAM": 0x3f000000, "the IOMMU": 0xfed90000, "the I/O APIC": 0xfec00000, "its own BAR": 0xe0000000}
    places.update({f"BAR at {at:#x}": at for at in sorted(set(bars))[-1:]})
    return places


def all_regions(device):
    yield from device["regions"]
    for below in device.get("pci_bridge", {}).get("devices", []):
        yield from all_regions(below)


def do_dma(test, places):
    """A blocked write has no effect, a blocked read gives nothing away, whatever the device says of it to its driver."""
    for name, address in places.items():
        print(f"DMA to {name}, at {address:#x}")
        before = test.control.memory(address, 8) if address < MACHINE_MEMORY else None
        test.case(f"write {address:x} {DIRT:x}", "write to")
        test.blocked("write", address)
        loot = re.search(r"loot: (\w{16})", test.case(f"read {address:x}", "read from"))
        test.blocked("read", address)
        if loot and before and any(before) and struct.pack("<Q", int(loot.group(1), 16)) == before:
            raise machine.Failure(f"the bad VM's VF could read {name}, at {address:#x}")


# What the device is to write where interrupt messages go. Entries of VT-d's remapping table; and messages in the old format
# to CPUs 0 (the VMM's), 1 and 2 (the VMs'): fixed with vectors of exceptions and of devices, SMI, NMI, INIT, start-up, ExtINT.
# QEMU's VT-d lets the old format pass whatever the VMM tells it (no CFI), so only its AMD-Vi can be tried with those.
FORGED = {
    "intel": [(0xfee00010 | entry << 5, 0) for entry in (0, 1, 2, 4095)],
    "amd": [(0xfee00000 | cpu << 12, data) for cpu in range(3)
            for data in (0x3, 0x12, 0x31, 0x4031, 0x200, 0x400, 0x500, 0x610, 0x700)],
}
TRACE = {
    "intel": lambda folder: [],
    "amd": lambda folder: ["-trace", "amdvi_mem_ir*", "-D", os.path.join(folder, "trace")],
}
MISUSES = {"chains": "chains: ", "table": "table: ", "bars": "bars: ", "decode": "decode: ", "flood": "flood: 100000 ",
           "resets": "resets: "}


def check_forged(folder):
    """QEMU's AMD-Vi tells in its trace what became of each message. One that passes as it is comes out with vector 0, and would
    not be noticed otherwise: all that were delivered must have a vector that the VMM gives to devices."""
    with open(os.path.join(folder, "trace"), encoding="utf-8", errors="replace") as file:
        trace = file.read()
    trace = trace[max(trace.find("amdvi_mem_ir_write_req addr 0x4 "), 0):] # the first forged one that shows; before, firmware ran
    forged = len(re.findall(r"amdvi_mem_ir_write_req addr 0x[1-9a-f]", trace))
    delivered = [int(data, 16) & 0xff for data in re.findall(r"amdvi_mem_ir_write addr \S+ data 0x(\w+)\s*\n", trace)]
    passed = sum(vector < DEVICE_VECTORS for vector in delivered)
    print(f"{forged} forged messages seen; of {len(delivered)} that were delivered, of all devices, {passed} are none of the VMM's")
    if forged < len(FORGED["amd"]) * (SECTOR // 4 - 1) or passed or not delivered:
        raise machine.Failure("the IOMMU did not see the forged messages, or let some through")


def do_rings(test, places):
    for name in ("the good VM", "no RAM", "the IOMMU", "its own BAR"):
        print(f"a queue in {name}, at {places[name]:#x}")
        test.case(f"ring {places[name]:x}", "ring at")


class Leaving:
    """A way for the bad VM to go with I/O under way: END is what the log or the VM says of it. A VM that does not end, but only comes
    to this, has to be STOPPED; one that does is STARTED again, or comes back by itself."""

    def __init__(self, text, end, stopped=False, started=True):
        self.text, self.end, self.stopped, self.started = text, end, stopped, started


LEAVINGS = (Leaving("triple", r"VM 'bad': vCPU 0: triple fault: reset", started=False),
            Leaving("exit", r"VM 'bad': stopped"),
            Leaving("init", r"VM 'bad': reset: its guest wants it", started=False), # what lies at the reset vector
            Leaving("storm", r"storm: until stopped", stopped=True))


def leave(test, leaving):
    print(leaving.text)
    mark = test.run.mark()
    test.order(leaving.text)
    test.run.wait_in(lambda: test.run.log(mark) + test.run.said("bad", mark), leaving.end)
    if leaving.stopped:
        test.rounds()
        test.run.send("vm stop bad\r")
        test.run.wait(mark, r"VM 'bad': stopped")
    test.check()
    test.rounds()
    if leaving.started:
        test.run.send("vm start bad\r")
    # "ready" only once, when it has looked at the order that is there: the next one is new to it.
    test.run.wait_said("bad", mark, "ready, 0 failed")


def be_honest(test):
    """The bad VM's VF still works, for honest work too."""
    print(test.case("honest 0 37", "honest: all right"))
    mark = test.run.mark()
    test.order("pass")
    test.run.wait(mark, r"VM 'bad': debug exit, status 1\b")
    test.run.wait(mark, r"VM 'bad': stopped")


def play(test):
    places = targets(test, *watch_memory(test))
    do_dma(test, places)
    for address, data in FORGED[test.iommu]:
        print(f"message {data:#x} to {address:#x}")
        test.case(f"forge {address:x} {data:x}", "message ")
    if test.iommu == "intel": # what the kind of IOMMU has no part in
        do_rings(test, places)
        for text, answer in MISUSES.items():
            print(test.case(text, answer))
        for leaving in LEAVINGS:
            leave(test, leaving)
    be_honest(test)
    test.check()
    print("the good VM's last checks")
    mark = test.run.mark()
    test.run.send("vm button good\r")
    test.run.wait(mark, r"VM 'good': debug exit, status 1\b")
    test.run.wait(mark, r"VM 'good': stopped")


def isolation(folder):
    files = [(os.path.join(machine.BUILD, "guest", name), name) for name in ("vblk.elf", "vbad.elf")]
    image = machine.make_image(folder, CONFIG, files)
    good, bad = vfdisk.make(folder, "good.img"), vfdisk.make(folder, "bad.img")
    path, iommu = os.path.join(folder, "qmp"), sys.argv[1]
    with VfMachine(image, [good, bad], cpus=3, iommu=iommu, extra=qmp.arguments(path) + TRACE[iommu](folder)) as run, \
            qmp.Qmp(path) as control:
        test = Test(run, control, bad, iommu)
        run.wait_said("bad", 0, "ready, 0 failed")
        test.rounds()
        play(test)
        for name in ("good", "bad"):
            run.wait_said(name, 0, "PASS: ")
        run.require_checkpoints("good", "bad")
        print(run.log()[run.log().find("VM 'bad': slot"):])
    vfdisk.check(good, written)
    if iommu == "amd":
        check_forged(folder)


machine.run_test(isolation)
