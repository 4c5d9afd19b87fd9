# SPDX-License-Identifier: BSD-2-Clause
"""multiboot2.py CASE: GRUB starts the VMM on a QEMU 'pc' with SeaBIOS; and what the loader says to bad modules."""

import gzip
import os
import sys

import bios
import machine

POWEROFF = "[vmm]\nwhen_idle = poweroff\n"
VM = POWEROFF + "[vm one]\ncpus = 1\nmemory = 64M\nkernel = guests/kernel'1\ninitrd = initrd.gz\n"
NOT_STARTED = r"portolan: not started; the machine is halted"

GUEST = os.path.join(machine.BUILD, "guest", "hlt.elf")

# A grub.cfg as a person writes it; MODULES is what the case adds.
GRUB = "set timeout=0\nmultiboot2 /portolan.mb2 {arguments}\n{modules}boot\n"


def boot_by_hand(folder, modules, texts, arguments="", option="--nounzip ", before=""):
    grub = GRUB.format(arguments=arguments, modules=before + "".join(f"module2 {option}{line}\n" for line in modules))
    return bios.PcMachine(bios.make_iso_by_hand(folder, grub, texts))


def report(folder):
    """The whole way, with a screen, as './portolan image CFG -o FILE.iso' makes it."""
    iso = bios.make_iso_of(os.path.join(machine.TOP, "docs", "examples", "report.cfg"), os.path.join(folder, "boot.iso"))
    with bios.PcMachine(iso, screen=True) as run:
        run.expect(r"Multiboot 2 loader")
        run.expect(r"TSC runs at .* by the ACPI PM timer")
        run.expect(r"CPUs: 2 found, 2 started")
        run.expect(r"PCI: no ECAM")
        run.expect(r"memory\s+511 MiB, usable 50\d MiB, longest run for VMs (49|50)\d MiB")
        run.expect(r"PCI\s+5 functions")
        run.expect(r"verdict: this machine can run VMs; no passthrough: no ECAM")
        run.expect(r"VMM: \d+ KiB image")
        run.expect_end()
        run.require("no VM is running: the machine is switched off")
        run.forbid("PANIC", "ERROR", "no screen for the log")


def no_screen(folder):
    """Without a graphics card, and with more memory than 32 bits can address."""
    with bios.PcMachine(bios.make_iso(folder, POWEROFF), cpus=4, memory="6G") as run:
        run.expect(r"no screen for the log")
        run.expect(r"CPUs: 4 found, 4 started")
        run.expect(r"memory\s+614\d MiB, usable 61\d\d MiB")
        run.expect_end()
        run.forbid("PANIC", "ERROR")


def no_acpi(folder):
    """Without ACPI: one CPU, time by the PIT, and it is said why."""
    with bios.PcMachine(bios.make_iso(folder, "[vmm]\nwhen_idle = reset\n"), extra=["-M", "acpi=off"]) as run:
        run.expect(r"neither boot loader nor BIOS name ACPI tables \(RSDP\); turn ACPI on in the BIOS set-up")
        run.expect(r"ACPI: the boot loader found no RSDP")
        run.expect(r"TSC runs at .* by the PIT")
        run.expect(r"CPUs: 1 found, 1 started")
        run.expect(r"verdict: ")
        run.expect_end()
        run.forbid("PANIC", "ERROR")


def cpu_of_32_bits(folder):
    with bios.PcMachine(bios.make_iso(folder, POWEROFF), cpu="qemu32") as run:
        run.expect(r"portolan: this CPU has no 64-bit mode: Portolan cannot run on it")


def files(folder):
    """The files that a configuration names arrive as they are, also a compressed one, by their names."""
    module = os.path.join(folder, "some-module")
    with open(module, "wb") as file:
        file.write(b"\x1f\x8b" + 5000 * b"not really compressed")
    config = POWEROFF + "[vm one]\ncpus = 1\nmemory = 64M\nautostart = no\nmultiboot = guests/kernel'1\nmodule = initrd.gz\n"
    iso = bios.make_iso(folder, config, [(GUEST, "guests/kernel'1"), (module, "initrd.gz")])
    with bios.PcMachine(iso) as run:
        run.expect(rf"guests/kernel'1: {os.path.getsize(GUEST)} bytes")
        run.expect(r"initrd\.gz: 105002 bytes")
        run.expect(r"verdict: ")
        run.forbid("PANIC", "ERROR", NOT_STARTED)


def packed(folder):
    """A guest packed with gzip: GRUB unpacks it if it may, and if not the VMM says what it is."""
    with open(GUEST, "rb") as file:
        data = gzip.compress(file.read())
    texts = {"portolan.cfg": POWEROFF + "[vm one]\ncpus = 1\nmemory = 64M\nmultiboot = hlt.gz\ndebug_exit = 0xf4\n", "hlt.gz": data}
    config = ["--nounzip /portolan.cfg portolan.cfg"]
    with boot_by_hand(os.path.join(folder, "good"), config + ["/hlt.gz hlt.gz"], texts, option="", before="insmod gzio\n") as run:
        run.expect(r"VM 'one': debug exit, status 1")
        run.expect_end()
        run.forbid("PANIC", "ERROR", "compressed with gzip")
    with boot_by_hand(os.path.join(folder, "bad"), config + ["--nounzip /hlt.gz hlt.gz"], texts, option="") as run:
        run.expect(r"hlt\.gz: compressed with gzip, which cannot be loaded: unpack it \(gunzip\)")
        run.expect(r"VM 'one' cannot be loaded")
        run.expect_end()
        run.forbid("PANIC", "ERROR")


def no_modules(folder):
    with boot_by_hand(folder, [], {}) as run:
        run.expect(r"the boot loader gave no modules.*module2 --nounzip /portolan.cfg portolan.cfg")
        run.expect(NOT_STARTED)


def bad_config(folder):
    with boot_by_hand(folder, ["/bad.cfg bad.cfg"], {"bad.cfg": "[vmm]\nserial = com9\n"}) as run:
        run.expect(r"bad\.cfg:2: error")
        run.expect(r"bad\.cfg is not a good configuration \(1 errors\)")
        run.expect(NOT_STARTED)


def missing_file(folder):
    texts = {"portolan.cfg": VM.replace("guests/kernel'1", "kernel.bin"), "kernel": "kernel"}
    with boot_by_hand(folder, ["/portolan.cfg portolan.cfg", "/kernel kernel.bin"], texts) as run:
        run.expect(r"kernel\.bin: 6 bytes")
        run.expect(r"portolan\.cfg:7: error: the file 'initrd\.gz' is not among the boot loader's modules")
        run.expect(r"add: module2 --nounzip /initrd\.gz initrd\.gz")
        run.expect(NOT_STARTED)


def empty_file(folder):
    texts = {"portolan.cfg": VM.replace("guests/kernel'1", "kernel.bin"), "kernel": ""}
    with boot_by_hand(folder, ["/portolan.cfg portolan.cfg", "/kernel kernel.bin"], texts) as run:
        run.expect(r"portolan\.cfg:6: error: the file 'kernel\.bin' is empty")
        run.expect(NOT_STARTED)


def other_config(folder):
    """The command line chooses among modules; one that is not there is said."""
    texts = {"one.cfg": "[vmm]\nwhen_idle = reset\n", "two.cfg": POWEROFF}
    modules = ["/one.cfg one.cfg", "/two.cfg two.cfg"]
    with boot_by_hand(os.path.join(folder, "good"), modules, texts, "two.cfg") as run:
        run.expect(r"two\.cfg: 27 bytes")
        run.expect(r"when_idle = poweroff")
        run.expect_end()
    with boot_by_hand(os.path.join(folder, "bad"), modules, texts, "three.cfg") as run:
        run.expect(r"the command line names the configuration 'three\.cfg', but no module has that name")
        run.expect(NOT_STARTED)


if __name__ == "__main__":
    machine.run_test(globals()[sys.argv[1]])
