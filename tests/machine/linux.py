# SPDX-License-Identifier: BSD-2-Clause
"""linux.py CASE: Debian's own kernels, unmodified, as guests: to a shell, work in it, reset, stop, power off."""

import os
import re
import sys

import bios
import bochs
import machine
import pexpect

IMAGES = os.path.join(machine.BUILD, "linux")
CMDLINE = "console=ttyS0 panic=-1"
CTRL_A = "\x01"

# On a busy host the CPUs of the test machine stand still now and then. A guest then finds a wrong rate of its TSC, or
# none, and waits longer than it means to; only the cases with icount look at time.
BOOT = 400


def vm_section(name, cpus, kind="amd64", test=None):
    cmdline = CMDLINE + (f" portolan.test={test}" if test else "")
    return (f"[vm {name}]\ncpus = {cpus}\nmemory = 256M\nkernel = {kind}/vmlinuz\ninitrd = {kind}/initrd.img\n"
            f"cmdline = {cmdline}\n")


def config_of(*sections):
    return "[vmm]\nwhen_idle = poweroff\n" + "".join(sections)


def start(folder, *sections, cpus):
    """The test machine with the VMs of SECTIONS; it goes off when the last VM does. The kernels are those of IMAGES."""
    image = machine.make_image(folder, config_of(*sections))
    return machine.Machine(image, timeout=BOOT, cpus=cpus, memory="1G", pfs=False)


def start_exact(folder, *sections, cpus):
    """The same with time by instructions, where nothing depends on the host; from BIOS, since OVMF takes long so."""
    iso = bios.make_iso(folder, config_of(*sections))
    return bios.PcMachine(iso, timeout=BOOT, cpus=cpus, memory="1G", icount=True)


def prompt(run):
    run.send(CTRL_A + "0")


def foreground(run, number):
    """Bring VM NUMBER to the foreground."""
    run.send(CTRL_A + str(number))
    run.expect(rf"VM {number}, \S+: running")


def ask(run, line, answer):
    """Type LINE in the foreground and wait for ANSWER, which must not stand in LINE itself."""
    run.send(line + "\r")
    return run.expect(answer)


def expect_init(run, cpus, name=""):
    """VM NAME has come to its shell, with CPUS CPUs."""
    before = rf"\[{name}\] " if name else ""
    seen = int(run.expect(before + r"init: (\d+) CPUs, \S+").group(1))
    if seen != cpus:
        raise machine.Failure(f"the guest has {seen} CPUs, not {cpus}")


def expect_off(run):
    run.expect(r"the machine is switched off")
    run.expect_end()
    run.forbid("PANIC", "ERROR", "Kernel panic", "Call Trace")
    print(run.log()[run.log().find("started"):])


def boot(folder, kind, cpus):
    with start(folder, vm_section("lx", f"1-{cpus}", kind), cpus=cpus + 1) as run:
        expect_init(run, cpus)
        foreground(run, 1)
        ask(run, "echo answer-$((6*7))", "answer-42")
        ask(run, "echo cpus-$(nproc)", rf"cpus-{cpus}\r")
        # Work on each CPU, at once.
        ask(run, "for i in $(seq $(nproc)); do head -c 1000000 /dev/zero | md5sum & done; wait; echo done-$?", "done-0")
        if run.log().count("879f4bba57ed37c9ec5e5aedf9864698") != cpus:
            raise machine.Failure("a CPU has computed something else")
        run.send("poweroff -f\r")
        run.expect(r"VM 'lx': stopped")
        expect_off(run)


def reboot(folder):
    with start(folder, vm_section("lx", 1), cpus=2) as run:
        expect_init(run, 1)
        foreground(run, 1)
        ask(run, "echo 17 > /tmp/mark; cat /tmp/mark", r"\n17\r")
        run.send("reboot -f\r")
        expect_init(run, 1)
        # Nothing has remained.
        ask(run, "cat /tmp/mark || echo gone-$((1+1))", r"gone-2\r")
        run.send("poweroff -f\r")
        expect_off(run)


def two(folder):
    sections = [vm_section("left", 1), vm_section("right", 2)]
    work = "head -c 3000000 /dev/zero | md5sum"
    with start(folder, *sections, cpus=3) as run:
        seen = {run.expect(r"\[(left|right)\] init: 1 CPUs").group(1) for _ in sections}
        if len(seen) != 2:
            raise machine.Failure(f"only {seen} came up")
        foreground(run, 1)
        ask(run, work, "c9fc2d3dd83ab67a129ac10b09c9ebbb")
        foreground(run, 2)
        ask(run, work, "c9fc2d3dd83ab67a129ac10b09c9ebbb")
        prompt(run)
        ask(run, "vm stop left", r"VM 'left': stopped")
        foreground(run, 2)
        ask(run, "echo still-$((3*3))", r"still-9\r")
        prompt(run)
        ask(run, "vm start left", r"VM 'left': started")
        expect_init(run, 1, "left")
        foreground(run, 1)
        ask(run, "echo again-$((4*4)); poweroff -f", r"again-16\r")
        run.expect(r"VM 'left': stopped")
        foreground(run, 2)
        ask(run, "echo last-$((5*5)); poweroff -f", r"last-25\r")
        run.expect(r"VM 'right': stopped")
        expect_off(run)


def button(folder):
    with start(folder, vm_section("lx", 1, test="button"), cpus=2) as run:
        run.expect(r"button: waiting at event\d+")
        ask(run, "vm button lx", r"button: event [0-9a-f]+")
        status = run.expect(r"test button ended with status (\d+)").group(1)
        if status != "0":
            raise machine.Failure(f"the guest's test ended with status {status}")
        expect_off(run)


def idle(folder, seconds):
    """A guest that has slept for SECONDS of its own: its clock, whose rate it has measured itself, against its RTC."""
    with start_exact(folder, vm_section("lx", 1, test=f"idle,{seconds}"), cpus=2) as run:
        run.expect(r"test idle ended with status 0", timeout=BOOT + seconds)
        expect_off(run)
        log = run.log()
    before, after = [tuple(map(int, numbers)) for numbers in
                     re.findall(r"idle: (?:before|after) rtc (\d+) own (\d+) interrupts (\d+)", log)]
    real, own = after[0] - before[0], (after[1] - before[1]) / 1e9
    rates = [float(rate) for rate in re.findall(r"idle: .*tsc: .* ([\d.]+) MHz", log)]
    drift = (own / real - 1) * 1e6
    error = (rates[-1] / 1000 - 1) * 1e6 # the machine's TSC counts nanoseconds
    print(f"{real} s: drift {drift:.1f} ppm, error of the calibration {error:.1f} ppm, "
          f"{(after[2] - before[2]) / own:.1f} interrupts a second")
    # The guest asks for the RTC's time again and again, and sees the next second up to 5 ms late, at either end.
    if real < seconds or abs(drift) > abs(error) + 0.005e6 / seconds:
        raise machine.Failure("the guest's clock does not go with the RTC")


def run_reference(kind, cmdline, extra=()):
    """What a kernel prints on QEMU's own PC, without any VMM, until it switches that off."""
    command = [machine.QEMU, "-M", "pc", "-accel", "tcg,thread=single", "-cpu", "EPYC", "-m", "256M",
               "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", *machine.ICOUNT,
               "-kernel", os.path.join(IMAGES, kind, "vmlinuz"), "-initrd", os.path.join(IMAGES, kind, "initrd.img"),
               "-append", f"{CMDLINE} {cmdline}", *extra]
    with pexpect.spawn(command[0], command[1:], timeout=BOOT, encoding="utf-8", codec_errors="replace") as process:
        return process.read().replace("\r", "")


def warnings_of(log):
    """The warnings and worse in a kernel's log, without times, addresses and numbers that no two machines share."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", log[log.index("log: begin"):log.index("log: end")])
    lines = re.findall(r"^(?:vmm> )?(?:\[lx\] )?<(\d+)>\[ *[\d.]+\] (.*)$", text, re.MULTILINE)
    if len(lines) < 100:
        raise machine.Failure(f"only {len(lines)} lines are in the kernel's log")
    return [re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+(\.\d+)?", "N", line) for level, line in lines if int(level) & 7 <= 4]


def kernel_log(folder, kind):
    """The kernel warns of nothing in a VM that it does not warn of in the machine that the VM is modelled on, and the
    VMM does not warn of the kernel."""
    with start_exact(folder, vm_section("lx", 1, kind, test="log"), cpus=2) as run:
        run.expect(r"test log ended with status 0")
        expect_off(run)
        run.forbid("warning: VM")
        ours = warnings_of(run.log())
    theirs = warnings_of(run_reference(kind, "portolan.test=log"))
    print("--- the reference machine's:", *theirs, "--- the VM's:", *ours, sep="\n")
    new = [line for line in ours if line not in theirs]
    if new:
        raise machine.Failure("only in the VM the kernel says:\n" + "\n".join(new))


def disk(_, kind):
    """The images themselves, without any VMM: the root file system on a legacy virtio disk, read and written."""
    image = os.path.join(IMAGES, kind, "rootfs.img")
    log = run_reference(kind, "root=/dev/vda portolan.test=data", [
        "-drive", f"if=none,id=disk,format=raw,snapshot=on,file={image}",
        "-device", "virtio-blk-pci,disable-modern=on,drive=disk"])
    print(log)
    for wanted in ("data: on /dev/vda", "known.bin: OK", "data: right", "test data ended with status 0"):
        if wanted not in log:
            raise machine.Failure(f"{wanted!r} was not printed")


def in_bochs(folder):
    iso = bios.make_iso(folder, config_of(vm_section("lx", 1)))
    with bochs.BochsMachine(iso, timeout=1500, cpus=2, memory=512) as run:
        expect_init(run, 1)
        foreground(run, 1)
        ask(run, "echo answer-$((6*7))", "answer-42")
        run.send("poweroff -f\r")
        run.expect(r"VM 'lx': stopped")
        run.expect_end()


CASES = {
    "amd64-1cpu": lambda folder: boot(folder, "amd64", 1),
    "amd64-2cpu": lambda folder: boot(folder, "amd64", 2),
    "amd64-4cpu": lambda folder: boot(folder, "amd64", 4),
    "i386": lambda folder: boot(folder, "i386", 1),
    "i386-pae": lambda folder: boot(folder, "i386-pae", 2),
    "reboot": reboot,
    "two": two,
    "button": button,
    "idle": lambda folder: idle(folder, 120),
    "idle-600": lambda folder: idle(folder, 600), # by hand: ten minutes of a busy host
    "log-amd64": lambda folder: kernel_log(folder, "amd64"),
    "log-i386": lambda folder: kernel_log(folder, "i386"),
    "disk-amd64": lambda folder: disk(folder, "amd64"),
    "disk-i386": lambda folder: disk(folder, "i386"),
    "disk-i386-pae": lambda folder: disk(folder, "i386-pae"),
    "bochs": in_bochs,
}

machine.run_test(CASES[sys.argv[1]])
