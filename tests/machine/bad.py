# SPDX-License-Identifier: BSD-2-Clause
"""bad.py CASE: bad firmware, missing features, configurations that do not fit: each is said, with its remedy, and nothing hangs."""

import os
import sys

import bios
import machine

POWEROFF = "[vmm]\nwhen_idle = poweroff\n"
VM = POWEROFF + "[vm one]\ncpus = {cpus}\nmemory = {memory}\nmultiboot = hlt.elf\n"


def boot_mangled(folder, command, **options):
    """The machine with its firmware tables spoiled by COMMAND before the loader starts."""
    script = os.path.join(folder, "mangle.txt")
    with open(script, "w", encoding="ascii") as file:
        file.write(command + "\n")
    image = machine.make_image(folder, POWEROFF, extra=[
        (os.path.join(machine.BUILD, "tests", "mangle.efi"), "BOOTX64.EFI"),
        (os.path.join(machine.BUILD, "portolan.efi"), "portolan.efi"),
        (script, "mangle.txt")])
    return machine.Machine(image, **options)


def boot_with_kernel(folder, config, **options):
    """A configuration with a VM that could be loaded: only the machine is against it."""
    files = [(os.path.join(machine.BUILD, "guest", "hlt.elf"), "hlt.elf")]
    return machine.Machine(machine.make_image(folder, config, files), **options)


def ends_well(run, *texts):
    """The boot comes to its end, having said TEXTS."""
    run.expect_end()
    run.require("verdict: ", *texts)
    run.forbid("PANIC", "ERROR")


def cpu_does_not_start(folder):
    with boot_mangled(folder, "madt-add-cpu 119", cpus=2) as run:
        run.expect(r"CPU 2 \(APIC id 119\) does not start: it is left out; .* or disable the core in the firmware")
        run.expect(r"CPUs\s+3 found, 2 started")
        ends_well(run)


def madt_truncated(folder):
    with boot_mangled(folder, "madt-truncate", cpus=2) as run:
        run.expect(r"(?s)warning: .*?APIC")
        ends_well(run)


def xsdt_garbage(folder):
    with boot_mangled(folder, "xsdt-garbage") as run:
        run.expect(r"(?s)warning: .*?ACPI")
        run.expect(r"verdict: ")
        # Without ACPI there is no soft power-off either: it is said, and the machine halts.
        run.expect(r"no way to switch this machine off: it is halted")
        run.forbid("PANIC", "ERROR")


def no_mcfg(folder):
    with boot_mangled(folder, "no-mcfg") as run:
        ends_well(run, "ECAM       none", "no passthrough")


def bad_checksum(folder):
    with boot_mangled(folder, "bad-checksum MCFG") as run:
        run.expect(r"(?s)warning: .*?MCFG.*?checksum")
        ends_well(run, "ECAM       none")


def dmar_truncated(folder):
    with boot_mangled(folder, "dmar-truncate", iommu="intel") as run:
        run.expect(r"(?s)warning: .*?DMAR")
        ends_well(run, "no passthrough")


def no_svm(folder):
    config = VM.format(cpus="1", memory="64M")
    with boot_with_kernel(folder, config, cpu="EPYC,-svm") as run:
        ends_well(run, "verdict: this machine cannot run VMs", "enable SVM",
                  "error: this machine cannot run VMs: the report says what is missing",
                  "no VM is started")


def no_iommu(folder):
    config = (VM.format(cpus="1", memory="64M") + "vf = 0000:01:00.0/0\n"
              "[pf 0000:01:00.0]\nnum_vfs = 2\n")
    with boot_with_kernel(folder, config, iommu="none") as run:
        ends_well(run, "VM 'one' gets a VF, but this machine has no IOMMU",
                  "fix: enable the IOMMU (VT-d, AMD-Vi) in the firmware set-up", "no VM is started")


def too_much_memory(folder):
    with boot_with_kernel(folder, VM.format(cpus="1", memory="4G")) as run:
        ends_well(run, "VM 'one' wants 4096 MiB, but of this machine's memory only", "no VM is started")


def unknown_cpu(folder):
    with boot_with_kernel(folder, VM.format(cpus="7", memory="64M"), cpus=2) as run:
        ends_well(run, "CPU 7 is given to VM 'one', but this machine has CPUs 0 to 1",
                  "fix: choose CPUs from 0 to 1", "no VM is started")


def no_such_device(folder):
    image = machine.make_image(folder, POWEROFF + "[pf 0000:09:00.0]\nnum_vfs = 2\n"
                                                  "[pf 0000:01:00.0]\nnum_vfs = 99\n")
    with machine.Machine(image) as run:
        ends_well(run, "there is no virtio device at 0000:09:00.0",
                  "'num_vfs' is 99, but 0000:01:00.0 can have 4", "no VM is started")


def little_memory(folder):
    """As little as the firmware itself starts with."""
    with machine.Machine(machine.make_image(folder, POWEROFF), memory="128M") as run:
        ends_well(run)


def many_vfs(folder):
    with machine.Machine(machine.make_image(folder, POWEROFF), vfs=64) as run:
        ends_well(run, "64 VFs")


def screen(folder):
    """With a graphics card: the log goes on to the screen, which nobody reads here; it must do no harm."""
    with machine.Machine(machine.make_image(folder, POWEROFF), display=True) as run:
        ends_well(run)


def idle(folder):
    """Without when_idle the machine stays up, says so, and can be stopped by its power switch only."""
    with machine.Machine(machine.make_image(folder, "[vmm]\n")) as run:
        run.expect(r"no VM is running: the machine idles \(when_idle = halt\)")
        run.forbid("PANIC", "ERROR")


def reset_when_idle(folder):
    with machine.Machine(machine.make_image(folder, "[vmm]\nwhen_idle = reset\n")) as run:
        run.expect(r"no VM is running: the machine is reset \(when_idle = reset\)")
        run.expect_end()


def no_serial(folder):
    """A UART that is not there: nobody waits for it, and the machine ends by itself."""
    config = "[vmm]\nserial = 0x1f8\nwhen_idle = poweroff\n"
    with machine.Machine(machine.make_image(folder, config)) as run:
        run.expect_end()
        run.require("leaving the firmware")
        run.forbid("PANIC", "verdict: ")


def serial_none(folder):
    """No log on the serial line at all from where the configuration is read."""
    with machine.Machine(machine.make_image(folder, "[vmm]\nserial = none\nwhen_idle = poweroff\n")) as run:
        run.expect_end()
        run.require("leaving the firmware")
        run.forbid("PANIC", "verdict: ")


def threads(folder):
    """Two cores of two threads, one of each of them the VM's: warned of, with the CPU to give instead, or accepted."""
    section = "[vm one]\ncpus = {}\nmemory = 16M\nmultiboot = hlt.elf\ndebug_exit = 0xf4\n"
    hlt = [(os.path.join(machine.BUILD, "guest", "hlt.elf"), "hlt.elf")]
    for words, cpus, warnings in ("", "1", ["VM 'one' is a thread of the same core as CPU 0, the VMM's own",
                                            "fix: give VM 'one' CPU 2 instead of CPU 1; "]), \
                                 ("share_cores = yes\n", "1,2", []):
        iso = bios.make_iso(folder, POWEROFF + words + section.format(cpus), hlt)
        with bios.PcMachine(iso, cpus="4,cores=2,threads=2") as run:
            ends_well(run, "4 found, 4 started, 2 threads a core", "VM 'one': ", *warnings)
            if run.log().count("a thread of the same core") != len(warnings) // 2:
                raise machine.Failure("the warnings are not those expected")


if __name__ == "__main__":
    machine.run_test(globals()[sys.argv[1]])
