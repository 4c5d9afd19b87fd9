# SPDX-License-Identifier: BSD-2-Clause
"""dirty.py ENGINE: which pages of a VM's RAM are written. A guest writes known pages in every way and says which; the VMM,
asked on its console, must have seen those, and no other.

ENGINE is 'qemu', or 'bochs', whose TLB keeps what is not flushed, or 'vmx', which is Bochs as an Intel CPU."""

import os
import re
import sys

import bios
import bochs
import machine

PAGE = 4096
ARENA = range(16 << 20, 48 << 20, PAGE)
CONFIG = """[vmm]
when_idle = poweroff
[vm writer]
cpus = 1
memory = 64M
multiboot = dirty.elf
debug_exit = 0xf4
checkpoints = 60
"""


def start(folder, engine):
    files = [(os.path.join(machine.BUILD, "guest", "dirty.elf"), "dirty.elf")]
    if engine in bochs.MODELS:
        return bochs.BochsMachine(bios.make_iso(folder, CONFIG, files), model=bochs.MODELS[engine], cpus=2,
                                  memory=256)
    return bios.PcMachine(bios.make_iso(folder, CONFIG, files), cpus=2, memory="256M")


def pages(pattern, text):
    """The pages in the ranges that PATTERN, followed by a range, finds in TEXT."""
    return {page for first, last in re.findall(pattern + r"([0-9a-f]+)-([0-9a-f]+)", text)
            for page in range(int(first, 16), int(last, 16), PAGE)}


def order(run, letter, answer):
    """Type LETTER on the guest's console, in the foreground, until ANSWER; return what the guest said until then."""
    mark = run.mark()
    run.send(f"\x011{letter}")
    run.wait(mark, answer)
    run.send("\x010")
    return run.log(mark)


def dirty(run):
    """What the VMM says is dirty now."""
    mark = run.mark()
    run.send("vm dirty writer\r")
    count = run.wait(mark, r"vm dirty writer: (\d+) pages in \d+ runs(; more)?\n")
    found = pages(r"\n  ", run.log(mark))
    if len(found) != int(count[1]) or count[2]:
        raise machine.Failure(f"{count[0]!r}, but {len(found)} are listed")
    return found


def text(set_of_pages):
    return " ".join(f"{page:x}" for page in sorted(set_of_pages)) or "none"


def compare(found, wrote, may, own):
    print(f"wrote {text(wrote)}\nfound {text(found)}\n")
    strange = {page for page in found if page not in ARENA} - own
    found = {page for page in found if page in ARENA}
    for pages_wrong, what in ((wrote - found, "were written and not seen"), (found - wrote - may, "were seen and not written"),
                              (strange, "are not the guest's")):
        if pages_wrong:
            raise machine.Failure(f"these pages {what}: {text(pages_wrong)}")


def rounds(run):
    """Four rounds: all ways, some pages again, none, and some again."""
    run.wait_said("writer", 0, "ready 0")
    own = pages("own ", run.said("writer"))
    run.send("vm track writer\r")
    run.expect("vm track writer: done")
    for number in range(4):
        dirty(run) # what it did until it was ready
        said = order(run, "g", r"ready (\d|to end)")
        wrote, may = pages("wrote ", said), pages("may ", said)
        if not wrote and number != 2:
            raise machine.Failure("the guest has not said what it wrote")
        compare(dirty(run), wrote, may, own)


def test(folder):
    engine = sys.argv[1]
    with start(folder, engine) as run:
        run.expect(r"\[writer\] own")
        run.send("vm dirty writer\r")
        run.expect("vm dirty writer: it is not tracked")
        rounds(run)
        run.send("vm untrack writer\r")
        run.expect("vm untrack writer: done")
        run.send("vm dirty writer\r")
        run.expect("vm dirty writer: it is not tracked")
        order(run, "q", r"PASS: \d+ checks, 0 failed")
        run.expect_end()
        run.require_checkpoints("writer")
        run.forbid("PANIC", "ERROR", "FAIL")


if __name__ == "__main__":
    machine.run_test(test)
