# SPDX-License-Identifier: BSD-2-Clause
"""firmware.py: a VM's board and CPUs begin as SeaBIOS leaves QEMU's 'pc', at the start and after a reset.

The guest 'firmware' prints every register on both. ALLOWED names each one that may differ, and why; docs/platform.md explains
the reasons. An entry that no register needs any more is an error, too."""

import os
import re
import subprocess

import bios
import machine

GUEST = os.path.join(machine.BUILD, "guest", "firmware.elf")
MEMORY = "64"
CPUS = "2"

CONFIG = f"""[vmm]
when_idle = halt
[vm firmware]
cpus = 1-{CPUS}
memory = {MEMORY}M
multiboot = firmware.elf
debug_exit = 0xf4
checkpoints = 60
"""

# Pattern of the names, reason. The guest's values are "None" where a machine has nothing of that name.
ALLOWED = [
    (r"pic\.imr\..*", "nobody in the VM serves a BIOS's interrupts, so all lines are masked but the cascade"),
    (r"pic\.elcr\.slave", "the SCI is a level, as ACPI wants it; SeaBIOS leaves that to the OS"),
    (r"pci\.address", "left over from the last access to configuration space"),
    (r"pci\.00\.0\.04|pci\.01\.0\.04|pci\.01\.3\.04", "the bits that the data sheets call wired are wired"),
    (r"pci\.00\.0\.54", "QEMU tells coreboot the size of RAM there"),
    (r"pci\.00\.0\.(58|5c)", "PAM: all below 1 MiB is RAM, and the VM's registers say so"),
    (r"pci\.00\.0\.70", "SMRAM: there is no system management mode to lock"),
    (r"pci\.01\.1\..*", "no IDE"),
    (r"pit\.(control|null_count|counts)\.0[12]", "refresh and speaker as IBM's BIOS sets them; SeaBIOS leaves them alone"),
    (r"pit\.port61", "QEMU's speaker outlives a reset"),
    (r"rtc\.(38|3d)", "boot order: no floppy"),
    (r"kbc\.mode", "the system flag is one bit of status and mode, as in the chip; QEMU has two"),
    (r"kbc\.status", "left over: whether data or a command was written last"),
    (r"uart\.mcr", "0 by the data sheet; QEMU begins with OUT2, and SeaBIOS leaves it alone"),
    (r"pm\.control", "ACPI is on: there is no SMI by which a guest could turn it on"),
    (r"pm\.gpe_.*", "no general-purpose events"),
    (r"lapic\.03", "the VM's local APICs have directed EOI"),
    (r"lapic\.30", "left over from SeaBIOS's start of the other CPUs"),
    (r"bda\.equipment", "no mouse"),
    (r"(second\.)?cpu\.feature\.3a", "an Intel register, which QEMU gives AMD CPUs too"),
    (r"(second\.)?cpu\.hwcr\..*", "the TSC runs at one speed"),
    (r"(second\.)?cpu\.smm\.c0010111", "no system management mode"),
    (r"cpu\.mtrr_variable\.20[01]", "the PCI hole begins where RAM may end, at E0000000h"),
    (r"second\.cpu\.mtrr_.*", "INIT keeps MTRRs (SDM 3, 9.1.1); QEMU clears them"),
]


def states(text):
    """The registers {"first"|"again": {name: value}} that the guest printed in TEXT."""
    boots, section, prefix = {}, None, ""
    for line in text.splitlines():
        words = line.split("] ")[-1].split()
        if words[:1] == ["boot"] and len(words) == 2:
            section, prefix = boots.setdefault(words[1], {}), ""
        elif words == ["second"]:
            prefix = "second."
        elif words[:1] == ["state"] and len(words) == 3 and section is not None:
            section[prefix + words[1]] = words[2]
    if sorted(boots) != ["again", "first"] or "PASS: " not in text:
        raise machine.Failure(f"the guest did not end:\n{text}")
    return boots


def reference():
    done = subprocess.run(
        [machine.QEMU, "-M", "pc", "-accel", "tcg", "-cpu", "EPYC", "-smp", CPUS, "-m", MEMORY, "-nodefaults", "-display",
         "none", "-monitor", "none", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", GUEST],
        capture_output=True, timeout=machine.patience(), check=False)
    return states(done.stdout.decode(errors="replace"))


def vm(folder):
    files = [(GUEST, "firmware.elf")]
    with bios.PcMachine(bios.make_iso(folder, CONFIG, files), cpus=3, memory="512M") as run:
        run.expect(r"VM 'firmware': stopped")
        run.require("VM 'firmware': debug exit, status 1")
        run.require_checkpoints("firmware")
        run.forbid("PANIC", "ERROR")
        return states(run.log())


def reason_of(name, used):
    for pattern, reason in ALLOWED:
        if re.fullmatch(pattern, name):
            used.add(pattern)
            return reason
    return None


def compare(boot, wanted, got, used):
    """The faults of BOOT; prints the allowed differences, those for one reason together. Adds to USED what allowed them."""
    names = sorted(set(wanted) | set(got))
    faults, allowed = [], {}
    for name in names:
        theirs, ours = wanted.get(name), got.get(name)
        if theirs == ours:
            continue
        reason = reason_of(name, used)
        if reason is None:
            faults.append(f"{boot} {name}: SeaBIOS leaves {theirs}, the VM has {ours}, and that is not allowed")
        else:
            allowed.setdefault(reason, []).append(f"{name} {theirs}/{ours}")
    print(f"{boot} boot: {len(names)} registers; different (SeaBIOS's value/the VM's):")
    for reason, differences in allowed.items():
        print(f"  {reason}: {', '.join(differences[:8])}{f' and {len(differences) - 8} more' if differences[8:] else ''}")
    return faults


def test(folder):
    wanted, got = reference(), vm(folder)
    faults, used = [], set()
    for boot in ("first", "again"):
        faults += compare(boot, wanted[boot], got[boot], used)
    unused = [pattern for pattern, _ in ALLOWED if pattern not in used]
    if unused:
        faults.append(f"allowed without need: {unused}")
    for name in sorted(set(got["first"]) | set(got["again"])):
        if got["first"].get(name) != got["again"].get(name):
            faults.append(f"{name} is {got['first'].get(name)} at the start, {got['again'].get(name)} after a reset")
    if faults:
        raise machine.Failure("; ".join(faults))


machine.run_test(test)
