# SPDX-License-Identifier: BSD-2-Clause
"""vf_dirty.py: which pages of a VM's RAM are written, by its CPUs and by its VF, while it works with its disk: two copies of its whole
memory are compared with what the VMM says, for each kind of map that a PF may have, and for PFs that have none."""

import os
import struct

import dirty
import disks
import machine
import qmp
import vfdisk
from disks import VfMachine, vm_section

MEMORY = 64 << 20
MACHINE_MEMORY = 512 << 20
PAGE = 4096
RAM_ALIGN = 2 << 20
PF = "02:00.0"
VF = f"{PF}:0"
# The PF's migration protocol and its kinds of maps; whether it can tell what a VF writes.
KINDS = [("2021", ",dirty-modes=1", True), ("2021", ",dirty-modes=2", True), ("2021", ",dirty-modes=4", True), ("2021", ",dirty-modes=8", True),
         ("2021", ",dirty-modes=0", False), ("1.4", "", False), ("none", "", False)]


def ask(run, text, answer):
    """The match of ANSWER, in whole lines behind TEXT."""
    of_vf = text.startswith("vf ") and text != "vf list"
    return run.wait(run.order(text) if of_vf else run.ask(text), answer)


def stop(run, abi):
    """The VM's CPUs and its VF stand still, as they do when a VM is moved; a VF that only runs may have a request to end."""
    ask(run, "vm pause writer", r"VM 'writer': paused")
    if abi != "none":
        ask(run, f"vf state {VF} freeze", "freeze: done")


def go_on(run):
    ask(run, "vm resume writer", r"vm resume writer: done")
    run.wait_said("writer", run.mark(), r"round \d+ ok.*" * 2)


def ram_of(control):
    """Where the VM's RAM lies in the machine's: where its kernel's first bytes are, and RAM can begin."""
    with open(os.path.join(machine.BUILD, "guest", "vblk.elf"), "rb") as file:
        elf = file.read()
    headers, = struct.unpack_from("<I", elf, 28)
    _, offset, _, address, size = struct.unpack_from("<5I", elf, headers)
    code = elf[offset:offset + min(size, PAGE)]
    found = [at for at in range(0, MACHINE_MEMORY - MEMORY + 1, RAM_ALIGN) if control.memory(at + address, len(code)) == code]
    if len(found) != 1:
        raise machine.Failure(f"the guest's code is in memory at {found}")
    return found[0]


def report(run):
    """How many pages the VF's device has written, then all that were written, by whom ever."""
    count = int(ask(run, f"vf dirty {VF} report", r": (\d+) pages written since the last report.*\n.*dirty report: done")[1])
    return count, dirty.dirty(run, "writer")


def check(before, after, count, found, exact):
    changed = {at for at in range(0, MEMORY, PAGE) if before[at:at + PAGE] != after[at:at + PAGE]}
    print(f"{count} pages by the VF, {len(found)} in all, {len(changed)} changed: {dirty.text(changed)}")
    if changed - found:
        raise machine.Failure(f"these pages were written and not seen: {dirty.text(changed - found)}")
    if not changed or count == 0:
        raise machine.Failure("nothing was written")
    if exact and len(found) > 2 * len(changed) + 16:
        raise machine.Failure(f"too much was seen: {dirty.text(found)}")
    if not exact and (count != MEMORY // PAGE or len(found) != count):
        raise machine.Failure("not all counts as written, although nobody can tell")


def work(run, control, abi, exact):
    run.wait_said("writer", 0, r"round \d+ ok")
    ask(run, f"vf dirty {VF} report", r"'vf dirty ... on' comes first")
    ask(run, "vm track writer", "vm track writer: done")
    ask(run, f"vf dirty {VF} on", ("" if exact else r"its PF cannot tell(.*\n)*.*") + "dirty on: done")
    ask(run, f"vf dirty {VF} on", r"dirty on failed \(conflict\)")
    stop(run, abi)
    at = ram_of(control)
    report(run)
    for _ in range(2):
        before = control.memory(at, MEMORY)
        go_on(run)
        stop(run, abi)
        count, found = report(run)
        check(before, control.memory(at, MEMORY), count, found, exact)
    ask(run, f"vf dirty {VF} off", r"dirty off: done")
    ask(run, f"vf dirty {VF} report", r"'vf dirty ... on' comes first")
    go_on(run)


def lives_on(run, exact):
    """A move has a last report; the next tracking is of the new VF; a reset ends it."""
    if exact:
        ask(run, f"vf dirty {VF} on", "dirty on: done")
        go = ask(run, f"vf move {VF} {PF}:1", r": (\d+) pages written since the last report.*\n(.*\n)*.*VM 'writer': moved from")
        ask(run, f"vf dirty {PF}:1 on", "dirty on: done")
        ask(run, "vf list", rf"{PF}:1 +writer +running, its writes are noted")
        print(f"{go[1]} pages until the move")
        ask(run, "vm reset writer", "vm reset writer: done")
        run.wait_said("writer", run.mark(), r"round \d+ ok")
        ask(run, f"vf dirty {PF}:1 report", r"'vf dirty ... on' comes first")
        ask(run, f"vf dirty {PF}:1 on", "dirty on: done")
    ask(run, "vm button writer", r"VM 'writer': debug exit, status 1\b")
    ask(run, "", r"VM 'writer': stopped")


def one(folder, abi, properties, exact):
    print(f"migration={abi}{properties}", flush=True)
    os.makedirs(folder)
    image = disks.make_image(folder, {PF: "num_vfs = 4\n"}, vm_section("writer", "rounds way=2", f"{PF}/0"))
    disk, path = vfdisk.make(folder, "disk.img"), os.path.join(folder, "qmp")
    run = VfMachine(image, [disk] * 2, properties=f",migration={abi}{properties}", cpus=2, extra=qmp.arguments(path))
    with run, qmp.Qmp(path) as control:
        work(run, control, abi, exact)
        lives_on(run, exact)
        run.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked")
        run.wait_said("writer", 0, "PASS: ")


def test(folder):
    for number, (abi, properties, exact) in enumerate(KINDS):
        one(os.path.join(folder, str(number)), abi, properties, exact)


machine.run_test(test)
