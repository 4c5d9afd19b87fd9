# SPDX-License-Identifier: BSD-2-Clause
"""dirty.py ENGINE: which pages of a VM's RAM are written. A guest writes known pages in every way and says which; the VMM,
asked on its console, must have seen those, and no other.

ENGINE is 'qemu', or 'bochs', whose TLB keeps what is not flushed, or 'vmx', which is Bochs as an Intel CPU with PML; 'vmx-plain': as one
without."""

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
[vm wr]
cpus = 1
memory = 64M
multiboot = dirty.elf
debug_exit = 0xf4
checkpoints = 60
{more}"""

# Where an Intel CPU sets bits A and D in a guest's tables that is a write for EPT (SDM 3, 29.3.3.2); without EPT's dirty bits, which
# PML needs, Bochs does not ask EPT for that.
WORDS = {"vmx-plain": "cmdline = no-walks\n"}


def start(folder, engine):
    files = [(os.path.join(machine.BUILD, "guest", "dirty.elf"), "dirty.elf")]
    config = CONFIG.format(more=WORDS.get(engine, ""))
    if engine in bochs.MODELS:
        return bochs.BochsMachine(bios.make_iso(folder, config, files), model=bochs.MODELS[engine], cpus=2,
                                  memory=256)
    return bios.PcMachine(bios.make_iso(folder, config, files), cpus=2, memory="256M")


def pages(pattern, text):
    """The pages in the ranges that PATTERN, followed by a range, finds in TEXT."""
    return {page for first, last in re.findall(pattern + r"([0-9a-f]+)-([0-9a-f]+)", text)
            for page in range(int(first, 16), int(last, 16), PAGE)}


def order(run, letter, answer):
    """Type LETTER on the guest's console, in the foreground, until ANSWER; return what the guest said until then. Bochs's UART holds
    16 characters: no more are typed before they are taken."""
    mark = run.mark()
    run.send(f"\x011{letter}")
    run.wait_said("wr", mark, answer)
    said = run.said("wr", mark)
    run.send("\x010")
    run.wait(mark, r"'help' lists the commands")
    return said


def dirty(run, name):
    """What the VMM says is dirty now of VM NAME."""
    mark = run.mark()
    run.send(f"vm dirty {name}\r")
    count = run.wait(mark, rf"vm dirty {name}: (\d+) pages in \d+ runs(; more)?\n")
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
    run.wait_said("wr", 0, "ready 0")
    own = pages("own ", run.said("wr"))
    run.send("vm track wr\r")
    run.expect("vm track wr: done")
    for number in range(4):
        dirty(run, "wr") # what it did until it was ready
        said = order(run, "g", r"ready (\d|to end)")
        wrote, may = pages("wrote ", said), pages("may ", said)
        if not wrote and number != 2:
            raise machine.Failure("the guest has not said what it wrote")
        compare(dirty(run, "wr"), wrote, may, own)


def test(folder):
    engine = sys.argv[1]
    with start(folder, engine) as run:
        run.expect(r"\[wr\] own")
        run.send("vm dirty wr\r")
        run.expect("vm dirty wr: it is not tracked")
        rounds(run)
        run.send("vm untrack wr\r")
        run.expect("vm untrack wr: done")
        run.send("vm dirty wr\r")
        run.expect("vm dirty wr: it is not tracked")
        run.send("\x011q") # and the machine goes off
        run.wait_said("wr", 0, r"PASS: \d+ checks, 0 failed")
        run.expect_end()
        run.require_checkpoints("wr")
        run.forbid("PANIC", "ERROR", "FAIL")


if __name__ == "__main__":
    machine.run_test(test)
