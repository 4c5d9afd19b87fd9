# SPDX-License-Identifier: BSD-2-Clause
"""flood.py CASE: a guest on the VMM's own CPU that floods it; the log stays readable, and the console answers.

What is judged is what the log says, and the VMM's own clock where an exit without an end would take tens of seconds."""

import os
import re
import sys

import machine
import vfdisk
from disks import VfMachine

CONFIG = """[vmm]
when_idle = halt
{more}[vm flood]
cpus = 0
memory = 16M
multiboot = flood.elf
cmdline = {what}
debug_exit = 0xf4
{vf}"""

BURST = 32 # lines of a guest's doing; then one a minute
ACCESSES = 1000 # of a VF in an exit, by commands; a page of a REP makes tens of thousands
STOP_S = 10 # ten times the promise: the host may be busy


def make_image(folder, what, more="", vf=""):
    files = [(os.path.join(machine.BUILD, "guest", name + ".elf"), name + ".elf") for name in ("flood",)]
    return machine.make_image(folder, CONFIG.format(what=what, more=more, vf=vf), files)


def stop(run, name="flood"):
    """The console answers, and the VM is stopped in time."""
    run.send("vm list\r")
    run.expect(rf"{name} +running")
    run.send(f"vm stop {name}\r")
    lines = [rf"\[ *(\d+\.\d+)\] VM '{name}': {what}" for what in ("stop: the operator wants it", "stopped")]
    run.expect_all(*lines) # on two CPUs, in any order
    asked, done = (float(re.search(line, run.log()).group(1)) for line in lines)
    if done - asked > STOP_S:
        raise machine.Failure(f"the VM stopped after {done - asked} s only")
    run.send("vm list\r")
    run.expect(rf"{name} +off")
    run.forbid("PANIC", "ERROR")


def resets(folder, what):
    """The VM is reset again and again, hundreds of times: what is logged of it is the burst."""
    with machine.Machine(make_image(folder, what), cpus=1, pfs=False) as run:
        count = 0
        while count < 4 * BURST:
            run.expect(r"\[flood\] flood: begins")
            count += 1
        stop(run)
        lines = len(re.findall(r"VM 'flood': reset", run.log()))
        run.send("stats flood\r")
        left_out = int(run.expect(r"flood: off, \d+ resets, \d+ lines of the log, (\d+) more left out").group(1))
        minutes = 1 + int(float(re.findall(r"\[ *(\d+\.\d+)\]", run.log())[-1])) // 60
        print(f"{count} resets seen, {lines} logged, {left_out} lines left out")
        if not 1 <= lines <= BURST + minutes or left_out < BURST:
            raise machine.Failure(f"{lines} lines of resets, {left_out} left out")


def debug_exit(folder, what):
    """2,048 writes to the debug exit port in one instruction are one line."""
    with machine.Machine(make_image(folder, what), cpus=1, pfs=False) as run:
        run.expect(r"VM 'flood': stopped")
        run.send("vm list\r")
        run.expect(r"flood +off")
        lines = len(re.findall(r"VM 'flood': (?:debug exit|stop:)", run.log()))
        if lines != 2:
            raise machine.Failure(f"{lines} lines of one debug exit")
        run.forbid("PANIC", "ERROR")


def uart(folder, what):
    """Text without an end, nothing of it lost, beside another VM's; the log's and the operator's have their turn."""
    more = "[vm other]\ncpus = 1\nmemory = 16M\nmultiboot = flood.elf\ncmdline = uart\ndebug_exit = 0xf4\n"
    with machine.Machine(make_image(folder, what, more), cpus=2, pfs=False) as run:
        run.expect_all(r"\[flood\] flood: begins", r"\[other\] flood: begins")
        run.expect_all(r"\[flood\] abcdef", r"\[other\] abcdef")
        stop(run)
        stop(run, "other")
        text = "".join(chr(ord("a") + i % 26) if i % 64 != 63 else "\n" for i in range(4096))
        for name in ("flood", "other"):
            said = re.findall(rf"\[{name}\] ([a-z]+)\n", run.log())[:-1]
            wanted = text.splitlines()
            for number, line in enumerate(said):
                if line != wanted[number % len(wanted)]:
                    raise machine.Failure(f"[{name}] line {number} is '{line}'")
            print(f"{name}: {len(said)} lines")
        run.forbid("are lost")


def function(folder, what):
    """Each element is many commands to the VF's PF."""
    image = make_image(folder, what, "[pf 02:00.0]\nnum_vfs = 2\ntransport = admin\n", "vf = 02:00.0/1\n")
    with VfMachine(image, [None, vfdisk.make(folder)], cpus=1) as run:
        run.expect(r"\[flood\] flood: begins")
        first, accesses, exits = None, 0, 0
        while first is None or accesses < first + 1000: # it is at it
            run.send("stats flood\r")
            stats = run.expect(r"registers: (\d+) reads, (\d+) writes(?s:.*?)vCPU 0 on CPU 0:(?s:.*?)vmm> ")
            row = re.search(r"string port +(\d+) exits", stats.group())
            if row: # on a busy host it may not have begun
                accesses, exits = int(stats[1]) + int(stats[2]), int(row[1])
                first = accesses if first is None else first
        stop(run)
        print(f"{accesses} accesses of the VF in {exits} exits")
        if accesses > ACCESSES * exits:
            raise machine.Failure("one exit does too much")


CASES = {"i8042": resets, "cf9": resets, "exit": debug_exit, "uart": uart, "msix": function, "status": function}

if __name__ == "__main__":
    machine.run_test(lambda folder: CASES[sys.argv[1]](folder, sys.argv[1]))
