# SPDX-License-Identifier: BSD-2-Clause
"""tsc.py ENGINE: VMs whose TSCs run at other rates than the machine's. ENGINE is 'vmx': Bochs as an Intel CPU that scales TSCs; or
'qemu', whose CPU does not: the VM is not started, and the log says why."""

import os
import sys

import bios
import bochs
import machine

VMM = "[vmm]\nwhen_idle = poweroff\n"
VM = """[vm {name}]
cpus = {cpu}
memory = 16M
multiboot = tsc.elf
cmdline = khz={khz}
debug_exit = 0xf4
checkpoints = 60
"""
RATES = {"slow": 700_000, "fast": 6_000_000}


def make_iso(folder, text):
    return bios.make_iso(folder, VMM + text, [(os.path.join(machine.BUILD, "guest", "tsc.elf"), "tsc.elf")])


def scaled(folder):
    text = "".join(VM.format(name=name, cpu=cpu, khz=khz) + f"tsc_khz = {khz}\n"
                   for cpu, (name, khz) in enumerate(RATES.items()))
    with bochs.BochsMachine(make_iso(folder, text), model="tigerlake", cpus=len(RATES), memory=256) as run:
        run.expect_end()
        for name, khz in RATES.items():
            run.require(f"[{name}] PASS: ", f"[{name}] tsc: {khz}000 Hz, by CPUID", f"VM '{name}': debug exit, status 1")
        run.require_checkpoints(*RATES)
        run.forbid("PANIC", "ERROR", "FAIL")
        print(run.log()[run.log().find("started"):])


# Its TSC counts nanoseconds there.
def refused(folder):
    text = VM.format(name="same", cpu=1, khz=1_000_000) + VM.format(name="other", cpu=2, khz=700_000) + "tsc_khz = 700000\n"
    with bios.PcMachine(make_iso(folder, text), cpus=3, icount=True) as run:
        run.expect(r"VM 'other': this CPU cannot run a guest's TSC at 700000 kHz: only at its own \d+; leave 'tsc_khz' out")
        run.expect_end()
        run.require("[same] PASS: ", "VM 'same': debug exit, status 1")
        run.forbid("PANIC", "FAIL", "VM 'other': started")


machine.run_test({"vmx": scaled, "qemu": refused}[sys.argv[1]])
