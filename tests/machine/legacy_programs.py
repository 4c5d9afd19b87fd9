# SPDX-License-Identifier: BSD-2-Clause
"""legacy_programs.py CASE: what people start in place of a system, behind SeaBIOS and on a VM's screen: memtest86+ as a kernel; SYSLINUX on
a floppy that memdisk shows to the BIOS."""

import os
import re
import subprocess
import sys
import time

import bios
import machine
from ipxe import FOREIGN, KERNEL_ROM
from qmp import Qmp
from screen import SEABIOS, VGABIOS, Wanted, compare

FILES = [(SEABIOS, "bios-256k.bin"), (VGABIOS, "vgabios-stdvga.bin"), (KERNEL_ROM, "linuxboot_dma.bin")]

CONFIG = """[vmm]
when_idle = poweroff
[vm old]
cpus = 1
memory = 64M
firmware = bios-256k.bin
vga_rom = vgabios-stdvga.bin
kernel_rom = linuxboot_dma.bin
checkpoints = 20
{more}"""


def see(run, pattern):
    """Ask for the VM's screen until PATTERN is on it; return its match. A picture has no text."""
    run.wait(0, "VM 'old': started")
    end = time.monotonic() + machine.patience()
    while time.monotonic() < end:
        mark = run.mark()
        run.send("vm screen old\r")
        run.wait(mark, r"(\|.*\n){25}|the screen is dark\n|a picture of .* points\n|vm screen old: .*\n")
        lines = "\n".join(re.findall(r"(?m)^\|(.*)$", run.log(mark)))
        if match := re.search(pattern, lines):
            print(lines)
            return match
        time.sleep(1) # who asks all the time takes the CPU from who is to answer
    raise machine.Failure(f"no {pattern!r} on the screen")


def start(folder, more, files):
    return bios.PcMachine(bios.make_iso(folder, CONFIG.format(more=more), FILES + files), cpus=2, memory="256M")


def stop(run):
    mark = run.mark()
    run.send("vm stop old\r")
    run.wait(mark, "VM 'old': stopped")
    run.expect_end()
    run.forbid("PANIC", "ERROR", "stays off", "not started")


def memtest(folder):
    """A whole pass over the VM's memory, without errors."""
    with start(folder, "kernel = memtest\n", [(os.path.join(FOREIGN, "memtest86+ia32.bin"), "memtest")]) as run:
        see(run, r"Memtest86\+ v6")
        errors = see(run, r"Pass(?:es)?: +[1-9]\d* .*Errors: +(\d+)").group(1)
        if errors != "0":
            raise machine.Failure(f"{errors} errors in the VM's memory")
        stop(run)


def make_floppy(folder):
    """A floppy as SYSLINUX makes it, with a text that it shows and a choice."""
    path = os.path.join(folder, "floppy.img")
    with open(path, "wb") as file:
        file.truncate(1440 << 10)
    texts = {"syslinux.cfg": "DISPLAY hello.txt\nPROMPT 1\nTIMEOUT 0\nSAY the configuration is read\nDEFAULT nothing\n"
             "LABEL again\n  CONFIG second.cfg\n",
             "second.cfg": "PROMPT 1\nTIMEOUT 0\nSAY the second is read\n", "hello.txt": "text of the floppy\n"}
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
    bios.run_tool("mformat", "-i", path, "-f", "1440", "::")
    bios.run_tool(os.path.join(FOREIGN, "syslinux"), "--install", path)
    bios.run_tool("mcopy", "-i", path, *(os.path.join(folder, name) for name in texts), "::")
    return path


def memdisk(folder):
    """memdisk has the floppy in RAM; SYSLINUX reads it by the INT 13h that memdisk has put before the BIOS's, and takes keys."""
    files = [(os.path.join(FOREIGN, "memdisk"), "memdisk"), (make_floppy(folder), "floppy.img")]
    with start(folder, "kernel = memdisk\ninitrd = floppy.img\ncmdline = floppy\n", files) as run:
        see(run, r"text of the floppy(.|\n)*the configuration is read(.|\n)*boot:")
        run.strike("old", "'again enter")
        see(run, r"the second is read(.|\n)*boot:")
        stop(run)


def gfxterm(folder):
    """GRUB's graphical terminal, from a CD that memdisk shows, by VBE's linear frame buffer: as on plain QEMU, point by point."""
    iso = bios.make_iso_by_hand(folder, "insmod all_video\ninsmod gfxterm\nloadfont unicode\nset gfxmode=640x480x32\nterminal_output gfxterm\n"
                                "cat /words\nwhile true; do sleep 60; done\n", {"words": "words in a picture\n" * 10})
    os.rename(iso, os.path.join(folder, "grub.iso"))
    iso, path = os.path.join(folder, "grub.iso"), os.path.join(folder, "machine.qmp")
    os.mkdir(os.path.join(folder, "own"))
    files = FILES + [(os.path.join(FOREIGN, "memdisk"), "memdisk"), (iso, "grub.iso")]
    image = bios.make_iso(os.path.join(folder, "own"), CONFIG.format(more="kernel = memdisk\ninitrd = grub.iso\ncmdline = iso\n"), files)
    with bios.PcMachine(image, cpus=2, memory="256M", screen=True, extra=["-qmp", f"unix:{path},server=on,wait=off"]) as run:
        run.expect("VM 'old': started")
        run.send("\x011")
        with Qmp(path) as connection:
            compare(folder, connection, ["-kernel", os.path.join(FOREIGN, "memdisk"), "-initrd", iso, "-append", "iso"],
                    Wanted((640, 480), slice(0, 200), b"\xa8\xa8\xa8"))
        mark = run.mark()
        run.send("\x010")
        run.wait(mark, "VMM: 'help'")
        stop(run)


CASES = {"gfxterm": gfxterm, "memtest": memtest, "memdisk": memdisk}

if __name__ == "__main__":
    machine.run_test(CASES[sys.argv[1]])
