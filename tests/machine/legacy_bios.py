# SPDX-License-Identifier: BSD-2-Clause
"""legacy_bios.py CASE: SeaBIOS, unmodified, boots guest/bios from the disk behind a VF, and what it finds is as under plain QEMU."""

import os
import re
import shutil
import subprocess
import sys
import time

import pexpect

import bios
import bochs
import machine
import vfdisk
from disks import VfMachine

SEABIOS = "/usr/share/seabios/bios-256k.bin"
PROGRAM = os.path.join(machine.BUILD, "guest", "bios.bin")
EXIT_PASSED = 1
MOVES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
FOREGROUND, DOWN = "\x1d1", "\x1b[B"
# GRUB's menu is there. SeaBIOS gives a character up that the serial line does not take within half a second, so either will do.
MENU = r"Press enter to boot|\*Debian"
AGAIN = 3 # seconds until a key is pressed once more, and twice as long each time: SeaBIOS drops what comes behind 15 keys

# The sectors of guest/bios: its own, of which the last counts the resets, and those that it writes.
OWN = 64
COUNT_SECTOR, COUNT_MAGIC, RESETS = 63, 0x5a, 4
WRITE_FIRST, WRITE_COUNT, WRITE_SHIFT = 2040, 17, 3

# Where guest/bios crosses what programs counted too small, in sectors of a second disk, and what it writes there.
BORDERS = (63, 255 * 63, 1024 * 16 * 63, 1 << 22, 1 << 23, 1024 * 255 * 63, 1 << 24, 1 << 28)
BORDER_BEFORE, BORDER_COUNT, BORDER_SHIFT = 8, 17, 5
LARGE = 129 << 30
RUN_MAX = 256 << 10 # so much at most of a sparse file is there where a few sectors were written

CONFIG = """[vmm]
when_idle = {idle}
[pf 01:00.0]
num_vfs = 1
transport = {first}
[pf 02:00.0]
num_vfs = 2
{vms}"""

VM = """[vm {name}]
cpus = {cpus}
memory = 64M
firmware = bios-256k.bin
vf = {vf}
debug_exit = 0xf4
checkpoints = {checkpoints}
{more}"""


def make_disk(folder, name):
    """A disk that boots guest/bios, with known contents behind it."""
    path = vfdisk.make(folder, name)
    with open(PROGRAM, "rb") as file:
        program = file.read()
    if len(program) > COUNT_SECTOR * vfdisk.SECTOR:
        raise machine.Failure("guest/bios has grown into the sector that counts its resets")
    with open(path, "r+b") as file:
        file.write(program)
        file.seek(COUNT_SECTOR * vfdisk.SECTOR)
        file.write(bytes((0, COUNT_MAGIC)))
    return path


def check_disk(path):
    """Only what the guest says that it writes has been written."""
    with open(path, "rb") as file:
        disk = file.read()
    with open(PROGRAM, "rb") as file:
        program = file.read()
    if disk[:len(program)] != program:
        raise machine.Failure("the program on the disk is no longer what it was")
    if tuple(disk[COUNT_SECTOR * vfdisk.SECTOR:][:2]) != (RESETS, COUNT_MAGIC):
        raise machine.Failure("the resets are not counted on the disk")
    for number in range(OWN, vfdisk.SECTORS):
        shift = WRITE_SHIFT if WRITE_FIRST <= number < WRITE_FIRST + WRITE_COUNT else 0
        if disk[number * vfdisk.SECTOR:][:vfdisk.SECTOR] != vfdisk.sector(number, shift):
            raise machine.Failure(f"sector {number} of the disk is not what it should be")


def make_large(folder, name):
    """A disk without contents, of 129 GiB."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.truncate(LARGE)
    return path


def runs_of(file):
    """The parts of a sparse file that are there: where each begins, and its bytes."""
    at = 0
    while True:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError: # no more
            return
        end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
        if end - at > RUN_MAX:
            raise machine.Failure(f"{end - at} bytes from {at} on of the large disk were written")
        file.seek(at)
        yield at, file.read(end - at)
        at = end


def check_large(path):
    """guest/bios has written across its borders, and nowhere else."""
    left = {border - BORDER_BEFORE + number for border in BORDERS for number in range(BORDER_COUNT)}
    with open(path, "rb") as file:
        for at, data in runs_of(file):
            for offset in range(0, len(data), vfdisk.SECTOR):
                number = (at + offset) // vfdisk.SECTOR
                wanted = vfdisk.sector(number, BORDER_SHIFT) if number in left else bytes(vfdisk.SECTOR)
                left.discard(number)
                if data[offset:offset + vfdisk.SECTOR] != wanted:
                    raise machine.Failure(f"sector {number} of the large disk is not what it should be")
    if left:
        raise machine.Failure(f"sectors of the large disk were not written: {sorted(left)}")


def findings(text):
    """What the guest has said, without what the BIOS says on the same line."""
    return re.findall(r"(life \d: .*|memory: .*|tables: .*|gate: .*|disk: .*|clock: .*|PASS: .*|FAIL: .*)", text.replace("\r", ""))


def reference(path, cpus, large):
    """What it says under plain QEMU; it is given the same disk, and LARGE as the second, or None."""
    command = [machine.QEMU, "-M", "pc", "-accel", "tcg", "-cpu", "EPYC", "-smp", str(cpus), "-m", "64", "-nodefaults", "-vga", "none",
               "-display", "none", "-monitor", "none", "-serial", "stdio", "-action", "reboot=reset",
               "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-blockdev", f"{machine.IMAGE},node-name=disk,filename={path}",
               "-device", "virtio-blk-pci,drive=disk,disable-modern=on,disable-legacy=off,bootindex=0"]
    if large:
        command += ["-blockdev", f"{machine.IMAGE},node-name=large,filename={large}",
                    "-device", "virtio-blk-pci,drive=large,disable-modern=on,disable-legacy=off"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=machine.patience(), check=False)
    except subprocess.TimeoutExpired as late:
        raise machine.Failure(f"no end in time under plain QEMU: {late.stdout}") from None
    text = done.stdout.decode(errors="replace")
    if done.returncode != EXIT_PASSED:
        raise machine.Failure(f"status {done.returncode} under plain QEMU: {text}\n{done.stderr.decode(errors='replace')}")
    return findings(text)


def boot(folder, disks, vms, model=VfMachine, idle="poweroff", files=((SEABIOS, "bios-256k.bin"),), **options):
    config = CONFIG.format(idle=idle, first="admin" if model is VfMachine else "auto",
                           vms="".join(VM.format(checkpoints=machine.CHECKPOINTS, **vm) for vm in vms))
    return model(machine.make_image(folder, config, files), disks[1:], others=disks[:1], **options)


def transports(folder):
    """One VM of two CPUs by admin commands and one by registers in memory, with checkpoints at random moments. The latter has
    another disk in a lower slot, a large one, that is not the first in the boot order."""
    disks = [make_disk(folder, f"{name}.img") for name in ("admin", "mmr")] + [make_large(folder, "large.img")]
    vms = [{"name": "admin", "cpus": "0,1", "vf": "01:00.0/0", "more": ""},
           {"name": "mmr", "cpus": "2", "vf": "02:00.0/0 slot=5", "more": "vf = 02:00.0/1 slot=3\n"}]
    with boot(folder, disks, vms, cpus=3) as run:
        run.expect_end()
        run.require("by commands to its PF", "registers in its memory")
        run.forbid("PANIC", "ERROR", "was blocked", "stays off")
        for vm in vms:
            run.require(f"VM '{vm['name']}': debug exit, status 1")
            run.require_checkpoints(vm["name"])
        said = {vm["name"]: findings("\n".join(re.findall(rf"\[{vm['name']}\] (.*)", run.log()))) for vm in vms}
        print(run.log()[run.log().find("VM 'admin'"):])
    check_large(disks[2])
    for name, path, cpus, large in (("admin", disks[0], 2, None), ("mmr", disks[1], 1, make_large(folder, "reference-large.img"))):
        check_disk(path)
        print(f"{name}: {said[name]}")
        expected = reference(make_disk(folder, "reference.img"), cpus, large)
        if said[name] != expected:
            raise machine.Failure(f"VM '{name}' said {said[name]}, under plain QEMU it is {expected}")


def make_linux(folder, arch):
    """GRUB and a kernel of ARCH with its root on the disk; GRUB waits for somebody who chooses."""
    path = os.path.join(folder, "linux.img")
    done = subprocess.run([os.path.join(machine.TOP, "tools", "bios-disk.sh"), os.path.join(machine.BUILD, "linux", arch), path,
                           "portolan.test=data"], env=dict(os.environ, GRUB_TIMEOUT="3600"), capture_output=True, text=True, check=False)
    if done.returncode:
        raise machine.Failure(f"no disk: {done.stdout}{done.stderr}")
    return path


# What SeaBIOS says of its work, from its first words on.
STEPS = ("SeaBIOS \\(version", "Found QEMU fw_cfg", "Relocating init", "PCI bus & bridge init", "allocation pass #1", "PCI: init bdf=00:01.3",
         "Found 2 cpu", "Copying MPTABLE", "parse DSDT", "found virtio-scsi", "PS2 keyboard initialized", "Space available for UMB",
         "enter handle_19")
ONE_CPU_STEPS = tuple(step for step in STEPS if "2 cpu" not in step and "scsi" not in step)


class ScsiMachine(VfMachine):
    """With a disk behind a SCSI VF, of the PF where the other block PF would be."""

    def block_pf(self, name, port, disks, properties):
        if port != "rp1":
            return VfMachine.block_pf(name, port, disks, properties)
        return ["-blockdev", f"{machine.IMAGE},node-name=scsi,filename={disks[0]}",
                "-device", f"portolan-scsi-pf,id=scsipf,bus={port},vfs=2,vf-backends=scsi"]


def resets(folder):
    """The operator resets a VM where SeaBIOS has come to each of STEPS; then it boots all the same, from a SCSI VF."""
    disk = make_disk(folder, "disk.img")
    vm = {"name": "bios", "cpus": "0,1", "vf": "01:00.0/0", "more": "debugcon = yes\n"}
    with boot(folder, [disk], [vm], model=ScsiMachine) as run:
        for step in STEPS:
            run.expect(step)
            run.send("vm reset bios\r")
            run.expect("VM 'bios': reset: the operator wants it")
        run.expect("PASS: BIOS")
        run.expect_end()
        run.require("VM 'bios': debug exit, status 1")
        run.require_checkpoints("bios")
        run.forbid("PANIC", "ERROR", "was blocked", "stays off")
    check_disk(disk)


# A guest without a BIOS, whose disk is the second of CONFIG's second PF.
LINUX = """[vm linux]
cpus = 3
memory = 256M
kernel = amd64/vmlinuz
initrd = amd64/initrd.img
cmdline = console=ttyS0 panic=-1 quiet root=/dev/vda portolan.test=data
vf = 02:00.0/1
"""


def beside(folder):
    """Two guests with a BIOS and Linux at the same time; the operator stops the first and starts it again where SeaBIOS has come to each
    of STEPS. All three come to their ends, and what they have on their disks is right."""
    disks = [make_disk(folder, f"{name}.img") for name in ("first", "second")] + [os.path.join(folder, "root.img")]
    shutil.copy(os.path.join(machine.BUILD, "linux", "amd64", "rootfs.img"), disks[2])
    vms = [{"name": "first", "cpus": "1", "vf": "01:00.0/0", "more": "debugcon = yes\n"},
           {"name": "second", "cpus": "2", "vf": "02:00.0/0", "more": LINUX}]
    files = [(SEABIOS, "bios-256k.bin"), (os.path.join(machine.BUILD, "linux", "amd64"), "amd64")]
    with boot(folder, disks, vms, idle="halt", files=files, cpus=4, memory="1G") as run:
        mark = 0
        for step in ONE_CPU_STEPS:
            run.wait_said("first", mark, step)
            run.ask("vm stop first", r"VM 'first': stopped\n")
            mark = run.ask("vm start first", r"VM 'first': started\n")
        for vm in vms:
            run.wait(0, rf"VM '{vm['name']}': debug exit, status {EXIT_PASSED}\b")
            run.wait(0, rf"VM '{vm['name']}': debug exit(.|\n)*VM '{vm['name']}': stopped\n")
        run.wait_said("linux", 0, "data: right(.|\n)*test data ended with status 0")
        run.wait(0, "VM 'linux': stopped\n")
        run.require_checkpoints("second")
        run.forbid("PANIC", "ERROR", "was blocked", "stays off")
    for disk in disks[:2]:
        check_disk(disk)


class CdMachine(VfMachine):
    """With a CD behind a SCSI VF, likewise."""

    def block_pf(self, name, port, disks, properties):
        if port != "rp1":
            return VfMachine.block_pf(name, port, disks, properties)
        return ["-blockdev", f"{machine.IMAGE},node-name=cdfile,read-only=on,filename={disks[0]}",
                "-blockdev", "driver=raw,node-name=cdraw,read-only=on,file=cdfile",
                "-device", f"portolan-scsi-pf,id=scsipf,bus={port},vfs=2,vf-backends=cdraw"]


def compact_disc(folder):
    """El Torito: GRUB from a CD behind a SCSI VF, which it reads by INT 13h, and whose files it reads then."""
    # SeaBIOS keeps the last character back until the next one comes, or its timer: so a line follows what is waited for.
    script = "cat /words\necho the CD ends here\necho and GRUB\nhalt\n"
    iso = bios.make_iso_by_hand(folder, script, {"words": "words of the CD\n"})
    vm = {"name": "bios", "cpus": "0", "vf": "01:00.0/0", "more": ""}
    with boot(folder, [iso], [vm], model=CdMachine) as run:
        wait_screen(run, 0, r"Booting from DVD/CD(.|\n)*words of the CD(.|\n)*the CD ends here")
        run.expect("VM 'bios': stop: its guest has switched it off")
        run.expect_end()
        run.require_checkpoints("bios")
        run.forbid("PANIC", "ERROR", "was blocked", "stays off")


def wait_screen(run, mark, pattern):
    """Wait for PATTERN in what is written to the screen behind MARK: SeaBIOS's moves of the cursor stand anywhere in it."""
    run.wait_in(lambda: MOVES.sub("", run.raw()[mark:]), pattern)


def press(run, key, pattern):
    """Press KEY until PATTERN is on the screen. SeaBIOS takes an arrow key whose bytes come too far apart, as on a busy host, for others:
    then it is pressed once more, as by a person."""
    end, again, pause = time.monotonic() + machine.patience(), 0, AGAIN
    while not re.search(pattern, MOVES.sub("", run.raw())):
        now = time.monotonic()
        if now > end:
            raise machine.Late(f"no {pattern!r} within the time limit")
        if now > again:
            run.send(key)
            again, pause = now + pause, 2 * pause
        try:
            run.process.expect(r"(?s).+", timeout=AGAIN)
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            raise machine.Failure(f"the machine ended before {pattern!r}") from None


def choose(run):
    """The menu's second entry, which leads to the menu again, and then its first: by the arrow key and Enter, over the serial line."""
    wait_screen(run, 0, MENU)
    run.send(FOREGROUND)
    press(run, DOWN, r"\*Boot the disk's first sector again") # GRUB's star stands before the entry that is chosen
    mark = run.mark()
    run.send("\r")
    wait_screen(run, mark, MENU)
    run.send("\r")
    run.expect("data: right")
    run.expect("test data ended with status 0")


class PlainPc(machine.Machine):
    """QEMU's 'pc' machine, with the disk behind its own legacy virtio device."""

    def arguments(self, image, **options):
        return [machine.QEMU, "-M", "pc", "-accel", "tcg", "-cpu", "EPYC", "-m", "256", "-nodefaults", "-nographic", "-no-reboot",
                "-blockdev", f"{machine.IMAGE},node-name=disk,filename={image}",
                "-device", "virtio-blk-pci,drive=disk,disable-modern=on,disable-legacy=off"]


def linux(arch, rounds):
    def case(folder):
        """SeaBIOS, GRUB, its menu by the serial line, chainloader, Debian's kernel with its root on the VF; then the same disk
        under plain QEMU. ROUNDS times."""
        disk = make_linux(folder, arch)
        config = ("[vmm]\nwhen_idle = poweroff\n[pf 02:00.0]\nnum_vfs = 1\n"
                  "[vm linux]\ncpus = 1\nmemory = 256M\nfirmware = bios-256k.bin\nvf = 02:00.0/0\n")
        image = machine.make_image(folder, config, [(SEABIOS, "bios-256k.bin")])
        for _ in range(rounds):
            with VfMachine(image, [disk], memory="1G") as run:
                choose(run)
                run.expect("VM 'linux': stop: its guest has switched it off")
                run.expect_end()
                run.forbid("PANIC", "ERROR", "was blocked", "stays off")
            with PlainPc(disk) as run:
                wait_screen(run, 0, MENU)
                run.send("\r")
                run.expect("data: right")
                run.expect_end()
    return case


def without_disk(engine):
    """In Bochs there are no VFs: SeaBIOS starts, with checkpoints all the time, and finds nothing to boot."""
    def case(folder):
        config = "[vm bios]\ncpus = 0-1\nmemory = 64M\nfirmware = bios-256k.bin\ncheckpoints = 500\n"
        iso = bios.make_iso(folder, config, [(SEABIOS, "bios-256k.bin")])
        with bochs.BochsMachine(iso, model=bochs.MODELS[engine], cpus=2, memory=256) as run:
            run.expect(r"SeaBIOS \(version")
            run.expect("No bootable device")
            run.send("vm stop bios\r")
            run.expect("VM 'bios': stopped")
            run.require_checkpoints("bios")
            run.forbid("PANIC", "ERROR", "stays off")
    return case


CASES = {"transports": transports, "cd": compact_disc, "resets": resets, "beside": beside, "linux-i386": linux("i386", 1), "linux-amd64": linux("amd64", 3),
         "bochs": without_disk("bochs"), "vmx": without_disk("vmx")}

if __name__ == "__main__":
    machine.run_test(CASES[sys.argv[1]])
