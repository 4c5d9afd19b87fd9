# SPDX-License-Identifier: BSD-2-Clause
"""guest.py ENGINE GUEST...: run small test guests in one boot, each in a VM with its name and on CPUs of its own.

ENGINE is 'qemu' (UEFI, SVM as QEMU's TCG has it), 'icount' (the same from BIOS, with time counted in instructions), 'bochs'
(BIOS; SVM with ASIDs and a TLB that keeps what is not flushed) or 'vmx' (Bochs as an Intel CPU; 'vmx-plain': as one without APICv).
GUEST is NAME[,CPUS[,WORD]...]: 'smp,4', 'reset,1,no-triple-fault'; the WORDs are the guest's command line.

All that a guest can see is saved, destroyed and built anew while it runs, at random moments: it must not notice.

In QEMU, whose CPUs share the host's, two guests run at a time, in the order of the arguments: give those that mostly sleep
first.
In Bochs they run all at once: it counts time in instructions, each CPU's by themselves, so that they cannot disturb each
other. But each CPU more makes it slower: one guest a boot costs no more there."""

import os
import re
import sys

import bios
import bochs
import machine

AT_A_TIME = 2
PASSED = 1 # what 'debug exit' says of a guest that ended itself by 0

VMM = """[vmm]
when_idle = {idle}
"""
VM = """[vm {name}]
cpus = {cpus}
memory = 64M
multiboot = {name}.elf
autostart = {autostart}
debug_exit = 0xf4
checkpoints = {checkpoints}
"""


class Guest:
    """One of the guests, by its argument, with its CPUs from FIRST on."""

    def __init__(self, argument, first):
        parts = argument.split(",")
        self.name = parts[0]
        self.cpus = int(parts[1]) if len(parts) > 1 else 1
        self.words = " ".join(parts[2:])
        self.first = first

    def config(self, autostart):
        text = VM.format(name=self.name, cpus=f"{self.first}-{self.first + self.cpus - 1}", autostart=autostart,
                         checkpoints=machine.CHECKPOINTS)
        return text + (f"cmdline = {self.words}\n" if self.words else "")

    def file(self):
        return (os.path.join(machine.BUILD, "guest", self.name + ".elf"), self.name + ".elf")

    def fault(self, log):
        """What LOG has against this guest; None: it passed."""
        status = re.search(rf"VM '{self.name}': debug exit, status (\d+)", log)
        if not status:
            return "did not end"
        if int(status[1]) != PASSED:
            return f"ended with status {status[1]}"
        if not re.search(rf"\[{self.name}\] PASS: \d+ checks, 0 failed", log):
            return "did not say PASS"
        if f"VM '{self.name}': stopped" not in log:
            return "was not stopped"
        return None


def parse(engine, arguments):
    """CPU 0 has the VMM's own work as well; in Bochs, where each CPU more makes all slower, a guest runs there."""
    first = 0 if engine in bochs.MODELS else 1
    guests = []
    for argument in arguments:
        guests.append(Guest(argument, first))
        first += guests[-1].cpus
    return guests


def start(folder, engine, guests):
    cpus = guests[-1].first + guests[-1].cpus
    memory = 192 + 64 * len(guests)
    files = [guest.file() for guest in guests]
    if engine in bochs.MODELS:
        config = VMM.format(idle="poweroff") + "".join(guest.config("yes") for guest in guests)
        return bochs.BochsMachine(bios.make_iso(folder, config, files), model=bochs.MODELS[engine], cpus=cpus,
                                  memory=memory)
    config = VMM.format(idle="halt") + "".join(guest.config("no") for guest in guests)
    if engine == "icount":
        return bios.PcMachine(bios.make_iso(folder, config, files), cpus=cpus, memory=f"{memory}M", icount=True)
    return machine.Machine(machine.make_image(folder, config, files), cpus=cpus, memory=f"{memory}M", pfs=False)


def run_guests(run, engine, guests):
    if engine in bochs.MODELS:
        run.expect(r"the machine is switched off")
        return
    run.expect(r"console: Ctrl-A")
    for number, guest in enumerate(guests):
        if number >= AT_A_TIME:
            run.expect(r"VM '[a-z0-9]+': stopped")
        run.send(f"vm start {guest.name}\r")
    for _ in guests[-AT_A_TIME:]:
        run.expect(r"VM '[a-z0-9]+': stopped")


def test(folder):
    engine = sys.argv[1]
    guests = parse(engine, sys.argv[2:])
    with start(folder, engine, guests) as run:
        try:
            run_guests(run, engine, guests)
        except machine.Failure as failure:
            print(f"FAILED: {failure}")
        faults = [f"guest '{guest.name}' {fault}" for guest in guests if (fault := guest.fault(run.log()))]
        if faults:
            raise machine.Failure("; ".join(faults))
        run.require_checkpoints(*(guest.name for guest in guests))
        run.forbid("PANIC", "ERROR", "FAIL")
        print(run.log()[run.log().find("console: Ctrl-A"):])


machine.run_test(test)
