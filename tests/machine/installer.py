# SPDX-License-Identifier: BSD-2-Clause
"""installer.py: Debian's installer for i386 boots from the network, by iPXE and PXELINUX, as it does on a PC: its menu is on the VM's screen,
point by point as on plain QEMU, and then its kernel draws by its own driver for this VGA."""

import os
import time

import machine
from ipxe import FOREIGN, NET_ROM, NetMachine
from legacy_bios import SEABIOS
from qmp import Qmp
from screen import VGABIOS, compare

NETBOOT = os.path.join(FOREIGN, "netboot")

CONFIG = """[vmm]
when_idle = poweroff
[pf 01:00.0]
num_vfs = 1
[pf 02:00.0]
num_vfs = 1
[vm old]
cpus = 1
memory = 512M
firmware = bios-256k.bin
vga_rom = vgabios-stdvga.bin
net_rom = pxe-virtio.rom
boot = net,disk
vf = 02:00.0/0
vf = 01:00.0/0
checkpoints = 20
"""

# Plain QEMU with the same menu; and rows where there is something, as white as it is.
MENU = ["-netdev", f"user,id=net,ipv6=off,tftp={NETBOOT},bootfile=pxelinux.0", "-device", "virtio-net-pci,netdev=net,disable-modern=on", "-boot", "n"]
LIT = (slice(140, 200), b"\xff\xff\xff")


def wait_picture(run, size):
    """Ask for the VM's screen until it is a picture of SIZE."""
    run.wait(0, "VM 'old': started")
    end = time.monotonic() + machine.patience()
    while time.monotonic() < end:
        mark = run.mark()
        run.send("vm screen old\r")
        seen = run.wait(mark, r"(?:\|.*\n){25}|the screen is dark\n|a picture of .* points\n|vm screen old: .*\n").group()
        if seen == f"a picture of {size} points\n":
            return
        time.sleep(1) # who asks all the time takes the CPU from who is to answer
    raise machine.Failure(f"the screen never was a picture of {size} points")


def show(run, folder, connection, arguments, size, lit):
    """The VM in the foreground shows what plain QEMU with ARGUMENTS does."""
    run.send("\x011")
    compare(folder, connection, arguments, size, lit)
    mark = run.mark()
    run.send("\x010")
    run.wait(mark, "VMM: 'help'")


def test(folder):
    disk, path = (os.path.join(folder, name) for name in ("disk.img", "machine.qmp"))
    with open(disk, "wb") as file:
        file.truncate(1 << 20)
    image = machine.make_image(folder, CONFIG, [(SEABIOS, "bios-256k.bin"), (VGABIOS, "vgabios-stdvga.bin"), (NET_ROM, "pxe-virtio.rom")])
    with NetMachine(image, NETBOOT, ["pxelinux.0"], disks=[disk], memory="1G", display=True,
                    extra=["-qmp", f"unix:{path},server=on,wait=off"]) as run, Qmp(path) as connection:
        wait_picture(run, "640 x 480")
        show(run, folder, connection, MENU, (640, 480), LIT)
        run.send("vm key old enter\r")
        wait_picture(run, "1024 x 768")
        mark = run.mark()
        run.send("vm stop old\r")
        run.wait(mark, "VM 'old': stopped")
        run.expect_end()
        run.forbid("PANIC", "ERROR", "was blocked", "stays off", "not started")


if __name__ == "__main__":
    machine.run_test(test)
