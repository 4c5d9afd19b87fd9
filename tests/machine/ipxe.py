# SPDX-License-Identifier: BSD-2-Clause
"""ipxe.py CASE: Debian's stock iPXE finds the net VF by its legacy driver, as option ROM and as a kernel that SeaBIOS starts, gets an
address by DHCP, and fetches by TFTP and HTTP what comes next."""

import functools
import http.server
import os
import re
import shutil
import sys
import threading

import machine
from disks import VfMachine
from legacy_bios import MOVES, SEABIOS

NET_ROM = "/usr/lib/ipxe/qemu/pxe-virtio.rom"
KERNEL_ROM = "/usr/share/qemu/linuxboot_dma.bin"
FOREIGN = os.path.join(machine.BUILD, "tests", "foreign")
FILES = [(SEABIOS, "bios-256k.bin"), (NET_ROM, "pxe-virtio.rom"), (KERNEL_ROM, "linuxboot_dma.bin"),
         (os.path.join(FOREIGN, "ipxe.lkrn"), "ipxe.lkrn")]
LINES = 3000 # in a file that is fetched whole

CONFIG = """[vmm]
when_idle = poweroff
[pf 01:00.0]
num_vfs = 2
transport = {transport}
{vms}"""

VM = """[vm {name}]
cpus = {cpu}
memory = 64M
firmware = bios-256k.bin
vf = 01:00.0/{cpu}
debug_exit = 0xf4
checkpoints = {checkpoints}
{more}"""


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args): # pylint: disable=redefined-builtin
        self.server.asked.append(format % args)


class Server:
    """An HTTP server for the files of FOLDER, on a port of the host's own; QEMU's user network has it at 10.0.2.2."""

    def __init__(self, folder):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.server.asked = []
        self.url = f"http://10.0.2.2:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def require(self, *names):
        """Each of NAMES was asked for, and given."""
        for name in names:
            if not any(re.search(rf'"GET /{name} HTTP[^"]*" 200', line) for line in self.server.asked):
                raise machine.Failure(f"{name} was not fetched by HTTP: {self.server.asked}")


class NetMachine(VfMachine):
    """With user networks behind the net VFs: each serves the folder TFTP and names a file of BOOTS to who asks for an address."""

    def __init__(self, image, tftp, boots, disks=(None,), **options):
        self.tftp, self.boots = tftp, boots
        super().__init__(image, list(disks), **options)

    def arguments(self, image, extra=(), **options):
        nets = [argument for number, boot in enumerate(self.boots) for argument in
                ("-netdev", f"user,id=net{number},ipv6=off,tftp={self.tftp}" + (f",bootfile={boot}" if boot else ""))]
        command = super().arguments(image, extra=extra, **options)
        pf = next(index for index, word in enumerate(command) if word.startswith("portolan-net-pf"))
        command[pf] += ",vf-backends=" + ":".join(f"net{number}" for number in range(len(self.boots)))
        return command[:pf - 1] + nets + command[pf - 1:]


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
        file.write(text)


def fetches(transport):
    def case(folder):
        """One VM boots the option ROM, which fetches a script by TFTP, by HTTP a kernel with a 16-bit entry, iPXE's, and that by TFTP a
        Multiboot kernel. The other has iPXE as its kernel, and fetches the next by HTTP."""
        served = os.path.join(folder, "served")
        os.mkdir(served)
        server = Server(served)
        os.symlink(FILES[3][0], os.path.join(served, "ipxe.lkrn"))
        os.symlink(os.path.join(machine.BUILD, "guest", "hlt.elf"), os.path.join(served, "hlt.elf"))
        # SeaBIOS keeps the last character back until the next one comes, or its timer: so a line follows what is waited for.
        last = "echo all lines are there\necho and the kernel is started\n"
        for name, way in (("tftp.ipxe", "tftp://10.0.2.2"), ("http.ipxe", server.url)):
            write(served, name, "#!ipxe\n" + "# a comment to make it long\n" * LINES + f"kernel {way}/hlt.elf\n{last}boot\n")
        write(served, "first.ipxe", f"#!ipxe\necho first by TFTP for ${{net0/mac}} at ${{net0/ip}}\n"
              f"kernel {server.url}/ipxe.lkrn dhcp && chain tftp://10.0.2.2/tftp.ipxe\nboot\n")
        vms = VM.format(name="rom", cpu=0, checkpoints=machine.CHECKPOINTS, more="net_rom = pxe-virtio.rom\nboot = net,disk\n")
        vms += VM.format(name="kernel", cpu=1, checkpoints=machine.CHECKPOINTS, more="kernel = ipxe.lkrn\nkernel_rom = linuxboot_dma.bin\n"
                         f"cmdline = dhcp && chain {server.url}/http.ipxe\n")
        image = machine.make_image(folder, CONFIG.format(transport=transport, vms=vms), FILES)
        with NetMachine(image, served, ["first.ipxe", None]) as run:
            run.expect_end()
            for name, patterns in (("rom", (r"first by TFTP for ([0-9a-f]{2}:){5}[0-9a-f]{2} at 10\.0\.2\.15", "Booting from ROM")),
                                   ("kernel", ("Booting from ROM",))):
                for pattern in (*patterns, "all lines are there", "PASS: "):
                    if not re.search(pattern, MOVES.sub("", run.said(name))):
                        raise machine.Failure(f"VM '{name}' did not say {pattern!r}")
                run.require(f"VM '{name}': debug exit, status 1")
                run.require_checkpoints(name)
            run.forbid("PANIC", "ERROR", "was blocked", "stays off", "not started")
        server.require("ipxe.lkrn", "http.ipxe", "hlt.elf")
    return case


def linux(folder):
    """The option ROM boots Debian's kernel, fetched by HTTP, with its RAM disk, by TFTP; its root is on a block VF."""
    images = os.path.join(machine.BUILD, "linux", "i386")
    disk = os.path.join(folder, "root.img")
    shutil.copy(os.path.join(images, "rootfs.img"), disk)
    server = Server(images)
    served = os.path.join(folder, "served")
    os.mkdir(served)
    os.symlink(os.path.join(images, "initrd.img"), os.path.join(served, "initrd.img"))
    write(served, "linux.ipxe", f"#!ipxe\nkernel {server.url}/vmlinuz console=ttyS0 root=/dev/vda portolan.test=data\n"
          "initrd tftp://10.0.2.2/initrd.img\nboot\n")
    vm = VM.format(name="linux", cpu=0, checkpoints=machine.CHECKPOINTS, more="vf = 02:00.0/0\nnet_rom = pxe-virtio.rom\nboot = net,disk\n")
    config = CONFIG.format(transport="auto", vms="[pf 02:00.0]\nnum_vfs = 1\n" + vm.replace("64M", "256M"))
    image = machine.make_image(folder, config, FILES)
    with NetMachine(image, served, ["linux.ipxe"], disks=[disk], memory="1G") as run:
        run.expect("data: right")
        run.expect("test data ended with status 0")
        run.expect("VM 'linux': stop: its guest has switched it off")
        run.expect_end()
        run.forbid("PANIC", "ERROR", "was blocked", "stays off")
    server.require("vmlinuz")


CASES = {"linux": linux, "mmr": fetches("mmr"), "admin": fetches("admin")}

if __name__ == "__main__":
    machine.run_test(CASES[sys.argv[1]])
