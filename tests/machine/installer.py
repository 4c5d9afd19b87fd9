# SPDX-License-Identifier: BSD-2-Clause
"""installer.py CASE: Debian's installer for i386 boots from the network, by iPXE and PXELINUX, as it does on a PC. Its menu, and its first
question, in text mode and in VBE's frame buffer, are on the VM's screen as on plain QEMU's. In its shell the VFs are network and disk."""

import hashlib
import os
import sys
import time

import machine
import vfdisk
from ipxe import FOREIGN, NET_ROM, NetMachine, Server, write
from legacy_bios import SEABIOS
from legacy_programs import see
from qmp import Qmp
from screen import VGABIOS, Wanted, plain_qemu, same

NETBOOT = os.path.join(FOREIGN, "netboot")
MODULE = "virtio_blk.ko"

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

# In place of the menu: the installer with PARAMETERS of its kernel and its own. On a busy host a plain QEMU's timer check fails now and then,
# so that its kernel gives up, and CPUs stand still for so long that watchdogs write over the screen: both kernels are without.
PXELINUX = """default install
prompt 0
label install
  kernel debian-installer/i386/linux
  append {parameters} initrd=debian-installer/i386/initrd.gz --- quiet no_timer_check nowatchdog
"""
# As the netboot's own help has it (boot-screens/f8.txt), without a frame buffer; nomodeset keeps the kernel's own driver for this VGA away.
TEXT = "vga=normal fb=false nomodeset"
VESA = "vga=788 nomodeset" # 800 x 600 points of 16 bits

MENU = Wanted((640, 480), slice(140, 200), b"\xff\xff\xff") # rows where something is, as white as it is
# QEMU shows the last dot of the characters B0h to DFh twice (hw/display/vga.c, vga_draw_text); a VGA, as VGADOC's VGA.TXT has it (port 3C0h,
# index 10h, bit 2), that of C0h to DFh: the shades B0h to B2h, of which one is beside a list, are others in their ninth dot.
# Where it stands that is to be chosen, there is more than one word's room of red.
QUESTION_TEXT = Wanted((720, 400), slice(224, 240), b"\xa8\0\0" * 80, ninth=False)
QUESTION_VESA = Wanted((800, 600), slice(368, 384), b"\xad\0\0" * 80)

# What its shell is to do: get the module, which it has none of for a disk, as it gets others when it has come so far; read the disk.
SCRIPT = """set -e
wget -q {url}/{module}
insmod {module}
until [ -b /dev/vda ]; do sleep 1; done
ip addr show dev eth0
echo "size: $(cat /sys/block/vda/size)"
echo "disk: $(sha256sum </dev/vda | cut -c 1-64)"
"""


def plain_arguments(served):
    return ["-m", "512", "-boot", "n", "-netdev", f"user,id=net,ipv6=off,tftp={served},bootfile=pxelinux.0",
            "-device", "virtio-net-pci,netdev=net,disable-modern=on"]


def serve(folder, parameters):
    """The netboot's files, with an own configuration of PXELINUX's; where they are."""
    served = os.path.join(folder, "served")
    os.makedirs(os.path.join(served, "pxelinux.cfg"))
    for name in ("pxelinux.0", "ldlinux.c32", "debian-installer"):
        os.symlink(os.path.join(NETBOOT, name), os.path.join(served, name))
    write(served, os.path.join("pxelinux.cfg", "default"), PXELINUX.format(parameters=parameters))
    return served


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
    raise machine.Late(f"the screen never was a picture of {size} points")


def show(run, folder, connections, wanted):
    """The VM in the foreground shows the picture WANTED as plain QEMU does."""
    run.send("\x011")
    same(folder, *connections, wanted)
    mark = run.mark()
    run.send("\x010")
    run.wait(mark, "VMM: 'help'")


def start(folder, served, disk):
    """The test machine with the VM, its network's files at SERVED."""
    image = machine.make_image(folder, CONFIG, [(SEABIOS, "bios-256k.bin"), (VGABIOS, "vgabios-stdvga.bin"), (NET_ROM, "pxe-virtio.rom")])
    path = os.path.join(folder, "machine.qmp")
    return NetMachine(image, served, ["pxelinux.0"], disks=[disk], memory="1G", display=True, extra=["-qmp", f"unix:{path},server=on,wait=off"])


def stop(run):
    mark = run.mark()
    run.send("vm stop old\r")
    run.wait(mark, "VM 'old': stopped")
    run.expect_end()
    run.forbid("PANIC", "ERROR", "was blocked", "stays off", "not started")


def picture(folder):
    """Its menu, in a picture; and then its kernel draws by its own driver for this VGA."""
    with plain_qemu(folder, plain_arguments(NETBOOT)) as plain, start(folder, NETBOOT, vfdisk.make(folder)) as run, \
            Qmp(os.path.join(folder, "machine.qmp")) as connection:
        wait_picture(run, "640 x 480")
        show(run, folder, (connection, plain), MENU)
        run.strike("old", "enter")
        wait_picture(run, "1024 x 768")
        stop(run)


def question(parameters, wait, wanted):
    def case(folder):
        """Its first question is WANTED, as on plain QEMU; WAIT(run) returns once the VM may show it."""
        served = serve(folder, parameters)
        with plain_qemu(folder, plain_arguments(served)) as plain, start(folder, served, vfdisk.make(folder)) as run, \
                Qmp(os.path.join(folder, "machine.qmp")) as connection:
            wait(run)
            show(run, folder, (connection, plain), wanted)
            stop(run)
    return case


def typed(run, *words):
    """Type WORDS in the VM's shell, and Enter."""
    run.strike("old", " space ".join("'" + word for word in words) + " enter")


def shell(folder):
    """Its shell has an address of the VF's network by DHCP, fetches by it, and reads the VF's disk."""
    disk, served = vfdisk.make(folder), serve(folder, TEXT + " net.ifnames=0")
    server = Server(served)
    os.symlink(os.path.join(FOREIGN, MODULE), os.path.join(served, MODULE))
    write(served, "s", SCRIPT.format(url=server.url, module=MODULE))
    with open(disk, "rb") as file:
        contents = file.read()
    with start(folder, served, disk) as run:
        see(run, "Select a language")
        run.strike("old", "alt-f2")
        see(run, "Please press Enter to activate this console")
        run.strike("old", "enter")
        see(run, "(?m)^~ #")
        typed(run, "udhcpc", "-i", "eth0")
        see(run, r"lease of 10\.0\.2\.15 obtained(.|\n)*\n~ #")
        typed(run, "wget", server.url.removeprefix("http://") + "/s")
        see(run, r"(?m)100%(.|\n)*\n~ #")
        typed(run, "sh", "s")
        see(run, rf"inet 10\.0\.2\.15(.|\n)*size: {len(contents) // vfdisk.SECTOR}\n(.|\n)*disk: {hashlib.sha256(contents).hexdigest()}")
        stop(run)
    server.require(MODULE, "s")
    vfdisk.check(disk, lambda number: 0)


CASES = {"picture": picture, "shell": shell,
         "text": question(TEXT, lambda run: see(run, "Select a language"), QUESTION_TEXT),
         "vesa": question(VESA, lambda run: wait_picture(run, "800 x 600"), QUESTION_VESA)}

if __name__ == "__main__":
    machine.run_test(CASES[sys.argv[1]])
