# SPDX-License-Identifier: BSD-2-Clause
"""loader.py CASE: what the EFI loader does with bad files and bad firmware."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import machine  # noqa: E402  (found through the line above)

ESP_OFFSET = 2048 * 512
BACK = r"back to the firmware at the press of a key"
CONFIG = "[vmm]\n"
VM = "[vm one]\ncpus = 1\nmemory = 64M\nkernel = kernel.bin\n"


def volume(image, *command):
    """Run one of the mtools on the image's EFI system partition."""
    subprocess.run([command[0], "-i", f"{image}@@{ESP_OFFSET}", *command[1:]], check=True,
                   env=dict(os.environ, MTOOLS_SKIP_CHECK="1"))


def boot(image):
    return machine.Machine(image, pfs=False, iommu="none")


def mangled(folder, command):
    """An image whose firmware tables are spoiled by COMMAND before the loader starts."""
    script = os.path.join(folder, "mangle.txt")
    with open(script, "w", encoding="ascii") as file:
        file.write(command + "\n")
    return machine.make_image(folder, CONFIG, extra=[
        (os.path.join(machine.BUILD, "tests", "mangle.efi"), "BOOTX64.EFI"),
        (os.path.join(machine.BUILD, "portolan.efi"), "portolan.efi"),
        (script, "mangle.txt")])


def expect_return(run):
    """The loader gives up, a key ends its waiting, and the firmware goes on."""
    run.expect(BACK)
    run.send(" ")
    run.expect(r"BdsDxe: (failed to start|loading|starting)")


def missing_config(folder):
    image = machine.make_image(folder, CONFIG)
    volume(image, "mdel", "::EFI/BOOT/portolan.cfg")
    with boot(image) as run:
        run.expect(r"file portolan\.cfg, looked for in \\EFI\\BOOT\\ of the boot volume, "
                   r"cannot be opened: not found \(0x800000000000000e\)")
        expect_return(run)


def bad_config(folder):
    image = machine.make_image(folder, CONFIG)
    bad = os.path.join(folder, "bad.cfg")
    with open(bad, "w", encoding="ascii") as file:
        file.write("[vmm]\nno_such_key = 1\n")
    volume(image, "mcopy", "-o", bad, "::EFI/BOOT/portolan.cfg")
    with boot(image) as run:
        run.expect(r"portolan\.cfg:2: error: .*no_such_key")
        run.expect(r"portolan\.cfg is not a good configuration")
        expect_return(run)


def unchecked_image(folder, kernel):
    """An image with a VM whose KERNEL is none, which image.sh refuses to make: the configuration is replaced afterwards."""
    image = machine.make_image(folder, CONFIG, extra=[(kernel, "kernel.bin")])
    config = os.path.join(folder, "with-vm.cfg")
    with open(config, "w", encoding="ascii") as file:
        file.write(CONFIG + VM)
    volume(image, "mcopy", "-o", config, "::EFI/BOOT/portolan.cfg")
    return image


def missing_file(folder):
    """A file that the configuration names is not on the volume."""
    kernel = os.path.join(folder, "kernel.bin")
    with open(kernel, "wb") as file:
        file.write(b"kernel")
    image = unchecked_image(folder, kernel)
    volume(image, "mdel", "::EFI/BOOT/kernel.bin")
    with boot(image) as run:
        run.expect(r"file kernel\.bin, looked for in \\EFI\\BOOT\\ of the boot volume, "
                   r"cannot be opened: not found")
        run.expect(r"portolan\.cfg:5: error: the file 'kernel\.bin' cannot be read")
        run.expect(r"fix: ")
        expect_return(run)


def large_file(folder):
    """A file of 20 MiB shows its progress and arrives."""
    kernel = os.path.join(folder, "kernel.bin")
    with open(kernel, "wb") as file:
        file.truncate(20 << 20)
    image = unchecked_image(folder, kernel)
    with boot(image) as run:
        run.expect(r"kernel\.bin: 50 % of 20 MiB")
        run.expect(r"\\EFI\\BOOT\\kernel\.bin: 20971520 bytes")
        run.expect(r"leaving the firmware")


def no_key_pressed(folder):
    """Nobody presses a key: the firmware goes on by itself."""
    image = machine.make_image(folder, CONFIG)
    volume(image, "mdel", "::EFI/BOOT/portolan.cfg")
    with boot(image) as run:
        run.expect(BACK)
        run.expect(r"BdsDxe: (failed to start|loading|starting)")


def stale_map(folder):
    """ExitBootServices() fails a few times: the loader tries again."""
    with boot(mangled(folder, "stale-map 3")) as run:
        run.expect(r"leaving the firmware")
        run.expect(r"verdict: ")
        run.forbid("portolan: not started")


def stale_map_for_ever(folder):
    with boot(mangled(folder, "stale-map 1000")) as run:
        run.expect(r"does not let go of the machine \(ExitBootServices\): invalid parameter")
        run.expect(BACK)


def no_rsdp(folder):
    with boot(mangled(folder, "no-rsdp")) as run:
        run.expect(r"the firmware names no ACPI tables \(RSDP\)")
        run.expect(r"leaving the firmware")


CASES = [missing_config, bad_config, missing_file, large_file, no_key_pressed, stale_map,
         stale_map_for_ever, no_rsdp]

machine.run_test({case.__name__: case for case in CASES}[sys.argv[1]])
