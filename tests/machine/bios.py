# SPDX-License-Identifier: BSD-2-Clause
"""BIOS machines: ISO images with GRUB, and a QEMU 'pc' with SeaBIOS, without UEFI, PCI Express and ECAM."""

import os
import shutil
import subprocess

import machine

GRUB_MODULES = "/usr/lib/grub/i386-pc"
LOADER = os.path.join(machine.BUILD, "portolan.mb2")


def run_tool(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise machine.Failure(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def make_iso_of(config_path, iso):
    """An ISO image for the configuration file CONFIG_PATH, as './portolan image' makes it."""
    run_tool(os.path.join(machine.TOP, "tools", "iso.sh"), machine.BUILD, config_path, iso)
    return iso


def make_iso(folder, config, files=()):
    """An ISO image for CONFIG (text) with FILES [(path, name)] that it names."""
    for path, name in files:
        target = os.path.join(folder, name)
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.symlink(os.path.abspath(path), target)
    path = os.path.join(folder, "portolan.cfg")
    with open(path, "w", encoding="ascii") as file:
        file.write(config)
    return make_iso_of(path, os.path.join(folder, "boot.iso"))


def make_iso_by_hand(folder, grub, texts):
    """An ISO image whose grub.cfg is GRUB (text), with portolan.mb2 and TEXTS {name: contents, text or bytes} at its top."""
    root = os.path.join(folder, "root")
    os.makedirs(os.path.join(root, "boot", "grub"))
    shutil.copy(LOADER, os.path.join(root, "portolan.mb2"))
    for name, text in {"boot/grub/grub.cfg": grub, **texts}.items():
        with open(os.path.join(root, name), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode("ascii"))
    iso = os.path.join(folder, "boot.iso")
    run_tool("grub-mkrescue", "-d", GRUB_MODULES, "--output", iso, root)
    return iso


def pc_command(iso, cpus=2, memory="512M", cpu="EPYC", screen=False, icount=False, board="pc", plugin="", extra=()):
    """The command line of the QEMU machine; its first serial line is standard input and output. PLUGIN: more arguments of machine.PLUGIN."""
    command = [machine.QEMU, "-M", board, "-accel", "tcg,thread=single" if icount else "tcg", "-cpu", cpu, "-smp", str(cpus), "-m", memory,
               "-nodefaults", "-no-reboot", "-cdrom", iso]
    command += [machine.PLUGIN[0], machine.PLUGIN[1] + plugin]
    command += machine.ICOUNT if icount else ()
    return command + (["-vga", "std"] if screen else []) + list(extra)


class PcMachine(machine.Machine):
    """One run of the QEMU machine without UEFI, PCI Express and ECAM."""

    def arguments(self, image, **options):
        return pc_command(image, **options)
