# SPDX-License-Identifier: BSD-2-Clause
"""pictures.py: make docs/pictures/*.png anew, from the screen of the test machine as QEMU dumps it. Run it after './portolan run
docs/examples/bios.cfg', which builds what it needs, and look at what comes out."""

import os
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "machine"))

import machine  # noqa: E402
from qmp import Qmp  # noqa: E402

PICTURES = os.path.join(TOP, "docs", "pictures")
SHARE = "/usr/share/seabios"
CONFIG = """[vmm]
when_idle = poweroff
[pf 02:00.0]
num_vfs = 1
[vm bios]
cpus = 1
memory = 256M
firmware = bios-256k.bin
vga_rom = vgabios-stdvga.bin
vf = 02:00.0/0
"""


def still(connection, path):
    """Dump the screen to PATH once two dumps, some time apart, are the same: nothing is being drawn, and the cursor shows."""
    last = None
    while True:
        connection.command("screendump", filename=path, format="png")
        with open(path, "rb") as file:
            now = file.read()
        if now == last:
            return
        last = now
        time.sleep(0.5) # how often it is looked, not how long something takes


def main(folder):
    disk, path = os.path.join(machine.BUILD, "linux", "bios-disk.img"), os.path.join(folder, "qmp")
    os.makedirs(PICTURES, exist_ok=True)
    files = [(os.path.join(SHARE, name), name) for name in ("bios-256k.bin", "vgabios-stdvga.bin")]
    image = machine.make_image(folder, CONFIG, files)
    with machine.Machine(image, display=True, disk=disk, extra=["-qmp", f"unix:{path},server=on,wait=off"]) as run, Qmp(path) as connection:
        run.expect("VM 'bios': started")
        still(connection, os.path.join(PICTURES, "first-screen.png"))
        while True:
            mark = run.mark()
            run.send("vm screen bios\r")
            if "GNU GRUB" in run.wait(mark, r"(\|.*\n){25}|the screen is dark\n|a picture of .* points\n")[0]:
                break
        run.send("vm key bios down\r")
        run.send("\x011")
        still(connection, os.path.join(PICTURES, "bios-guest.png"))


machine.run_test(main)
