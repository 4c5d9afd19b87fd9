# SPDX-License-Identifier: BSD-2-Clause
"""drivers.py CASE: the ways of many old drivers with devices of all types (guest/drivers), in one boot.

CASE is 'reference' (QEMU's own legacy devices, without Portolan: what the guest asks for is what a real legacy device
gives), 'mmr' (a VM with a VF of each type) or 'admin' (the same, by commands of the PFs)."""

import os
import re
import socket
import sys
import threading

import machine
import qmp
import vfdisk

GUEST = os.path.join(machine.BUILD, "guest", "drivers.elf")
SECTORS = 4096
GROWTH = 4096 # bytes; disk.c knows it as the sectors of a request
# How many drivers there are for each type, as the guest should have run them.
GROUPS = {"net": 10, "block": 9, "console": 4, "rng": 7, "scsi": 5}
# PF n is behind root port n, alone on bus n. What stands behind its second VF.
PFS = {"net": "net", "blk": "block", "console": "console", "rng": "rng", "scsi": "scsi"}
PAIRS = ",vf-queues=2"

CONFIG = """[vmm]
when_idle = poweroff
{pfs}[vm guest]
cpus = 1
memory = 64M
multiboot = drivers.elf
{vfs}debug_exit = 0xf4
checkpoints = 200
"""


class Mirror(threading.Thread):
    """The other end of the console: sends each line back with its letters in reverse order."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.lines = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)

    def run(self):
        connection = self.listener.accept()[0]
        with connection, connection.makefile("rb") as stream:
            for line in stream:
                connection.sendall(line[-2::-1] + b"\n")
                self.lines += 1


class Grower:
    """Makes the block device's file larger, through QEMU's own monitor."""

    def __init__(self, path):
        self.path, self.monitor = path, None
        self.size = SECTORS * vfdisk.SECTOR

    def grow(self):
        self.monitor = self.monitor or qmp.Qmp(self.path)
        self.size += GROWTH
        self.monitor.command("block_resize", **{"node-name": "block", "size": self.size})


class Backends:
    """Files, a network and a console's other end, in FOLDER; the same for both kinds of device."""

    def __init__(self, folder):
        self.disks = {name: os.path.join(folder, name + ".img") for name in ("block", "scsi")}
        for path in self.disks.values():
            with open(path, "wb") as file:
                for number in range(SECTORS):
                    file.write(vfdisk.sector(number))
        path = os.path.join(folder, "console")
        self.mirror = Mirror(path)
        self.mirror.start()
        monitor = os.path.join(folder, "monitor")
        self.grower = Grower(monitor)
        self.arguments = qmp.arguments(monitor) + [
            "-netdev", "user,id=net,ipv6=off", "-chardev", f"socket,id=console,path={path}", "-object", "rng-builtin,id=rng"]
        for name, image in self.disks.items():
            self.arguments += ["-blockdev", f"{machine.IMAGE},node-name={name},filename={image}"]

    def check(self, said):
        """The guest passed, ran all that there is, and the disks are as it says and not otherwise."""
        if "PASS: " not in said or "FAIL" in said:
            raise machine.Failure("the guest did not pass")
        counts = {name: len(re.findall(rf"group {name}, ", said)) for name in GROUPS}
        if counts != GROUPS:
            raise machine.Failure(f"groups of checks were left out: {counts}")
        for name, path in self.disks.items():
            check_disk(path, changes(said, name))
        if self.mirror.lines < GROUPS["console"]:
            raise machine.Failure(f"only {self.mirror.lines} lines came from the consoles")


def changes(said, name):
    """What the guest says that it wrote to disk NAME: {sector: what its bytes are larger by}."""
    changed = {}
    for group in re.split(r"group ", said)[1:]:
        if group.startswith(name + ","):
            for first, last, shift in re.findall(r"sectors (\d+) to (\d+) are larger by (\d+)", group):
                changed.update(dict.fromkeys(range(int(first), int(last) + 1), int(shift)))
    if len(set(changed.values())) != GROUPS[name]:
        raise machine.Failure(f"{name}: not every driver wrote: {sorted(set(changed.values()))}")
    return changed


def check_disk(path, changed):
    with open(path, "rb") as file:
        for number in range(SECTORS):
            if file.read(vfdisk.SECTOR) != vfdisk.sector(number, changed.get(number, 0)):
                raise machine.Failure(f"{path}: sector {number} is not what it should be")


class ReferenceMachine(machine.Machine):
    """QEMU's 'pc' machine with its own legacy devices, each a PCI function, and no VMM: image is the guest."""

    def __init__(self, image, backends):
        self.backends = backends
        super().__init__(image)

    def arguments(self, image, **options):
        command = [machine.QEMU, "-M", "pc", "-accel", "tcg", "-cpu", "EPYC", "-m", "128", "-nodefaults", "-no-reboot",
                   "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", image] + self.backends.arguments
        for device in ("virtio-net-pci,netdev=net,romfile=", "virtio-blk-pci,drive=block", "virtio-serial-pci",
                       "virtio-rng-pci,rng=rng", "virtio-scsi-pci"):
            command += ["-device", device + ",disable-modern=on,disable-legacy=off"]
        return command + ["-device", "virtconsole,chardev=console", "-device", "scsi-hd,drive=scsi"]

    def said(self, name, mark=0):
        return self.log(mark) # the guest has the serial line for itself


class DriversMachine(machine.Machine):
    """The test machine with a PF of each type, each of whose second VFs has a back end."""

    def __init__(self, image, backends, errors, **options):
        self.backends, self.errors = backends, errors
        super().__init__(image, **options)

    def arguments(self, image, **options):
        extra = ["-d", "guest_errors", "-D", self.errors] + self.backends.arguments
        for number, (kind, name) in enumerate(PFS.items(), 1):
            extra += ["-device", f"pcie-root-port,id=rp{number},slot={number},chassis={number},addr=2.{number - 1},"
                                 "multifunction=on",
                      "-device", f"portolan-{kind}-pf,id={kind}pf,bus=rp{number},vfs=2,vf-backends=:{backend(name)}{PAIRS if kind == 'net' else ''}"]
        return machine.qemu_command(image, pfs=False, extra=extra, **options)


def backend(name):
    """A back end as the test device wants it: entropy by its object's path."""
    return "/objects/rng" if name == "rng" else name


def run_guest(run, grower):
    """Until the guest's verdict; the disk grows when it says that it waits for that. Returns what it said."""
    grown = 0
    while True:
        run.expect(r"\n")
        said = run.said("guest")
        while grown < said.count("waiting for another"):
            grower.grow()
            grown += 1
        if re.search(r"(PASS|FAIL): \d+ checks, \d+ failed", said):
            return said


def reference(folder):
    backends = Backends(folder)
    with ReferenceMachine(GUEST, backends) as run:
        said = run_guest(run, backends.grower)
        run.expect_end()
        backends.check(said)
        print(run.log())


def run_vm(folder, transport, says):
    backends = Backends(folder)
    numbers = range(1, len(PFS) + 1)
    config = CONFIG.format(pfs="".join(f"[pf {n:02x}:00.0]\nnum_vfs = 2\ntransport = {transport}\n" for n in numbers),
                           vfs="".join(f"vf = {n:02x}:00.0/1\n" for n in numbers))
    image = machine.make_image(folder, config, [(GUEST, "drivers.elf")])
    errors = os.path.join(folder, "errors")
    with DriversMachine(image, backends, errors) as run:
        said = run_guest(run, backends.grower)
        run.expect(r"VM 'guest': debug exit, status 1\b")
        run.expect_end()
        run.require("VM 'guest': stopped", says)
        run.require_checkpoints("guest")
        run.forbid("PANIC", "ERROR", "nobody asked for", "was blocked")
        backends.check(said)
        check_errors(errors)
        print(run.log()[run.log().find("VM 'guest': slot"):])


def check_errors(path):
    """However the guest read its registers: what reached the VFs were accesses to one register each."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            if "is not an access to one register" in line:
                raise machine.Failure(line.strip())


def mmr(folder):
    run_vm(folder, "mmr", "registers in its memory")


def admin(folder):
    run_vm(folder, "admin", "by commands to its PF")


if __name__ == "__main__":
    machine.run_test({case.__name__: case for case in (reference, mmr, admin)}[sys.argv[1]])
