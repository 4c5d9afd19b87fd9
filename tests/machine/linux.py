# SPDX-License-Identifier: BSD-2-Clause
"""linux.py CASE: Debian's own kernels, unmodified, as guests: to a shell, work in it, reset, stop, power off."""

import os
import re
import sys
import time

import bios
import bochs
import machine
import pexpect

IMAGES = os.path.join(machine.BUILD, "linux")
# Errors reach the serial line as they come; 'dmesg' has all the rest, and costs no exit for each of its characters. The
# self-tests of the kernel's cryptography take three seconds of an i386's time; the demo's guests have them.
CMDLINE = "console=ttyS0 panic=-1 quiet cryptomgr.notests"
CTRL_A = "\x01"
CLOCKS = r"\b(tsc|TSC|APIC calibration|hrtimer: interrupt took|[Cc]locksource|[Uu]nstable clock|rcu_)|local clock|trace_clock=|^on the kernel command line"

CHECKPOINTS_IN_BOCHS = 100
COLLECTIONS_MAX = 6000 # ten a second; by then the guest has long booted


def vm_section(name, cpus, kind="amd64", test=None, words=""):
    cmdline = CMDLINE + words + (f" portolan.test={test}" if test else "")
    return (f"[vm {name}]\ncpus = {cpus}\nmemory = 256M\nkernel = {kind}/vmlinuz\ninitrd = {kind}/initrd.img\n"
            f"cmdline = {cmdline}\n")


def start(folder, *sections, **options):
    """The test machine with the VMs of SECTIONS; it goes off when the last VM does. The kernels are those of IMAGES. It
    starts from BIOS, which takes a tenth of UEFI's time; the demo, and examples.py, start from UEFI."""
    iso = bios.make_iso(folder, "[vmm]\nwhen_idle = poweroff\n" + "".join(sections))
    return bios.PcMachine(iso, memory="1G", **options)


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


def shell(run, line, answer):
    """Type LINE at the shell in the foreground, wait for ANSWER, and until the shell is silent again: what it said later, in
    the background, would break into what another VM says."""
    match = ask(run, line, answer)
    run.expect("/ # ")
    return match


def shells(*vms):
    """The patterns of background VMs [(name, CPUs)] that come to their shells. Only when all are silent is it sure that
    none of their lines breaks into what another VM says in the foreground."""
    return [pattern for name, cpus in vms for pattern in (rf"\[{name}\] init: {cpus} CPUs, ", rf"\[{name}\] / # ")]


def work(run, number, cpus):
    """VM NUMBER answers at its shell, and works on all its CPUs at once. Its kernel has found nothing wrong."""
    foreground(run, number)
    shell(run, "echo answer-$((6*7))", "answer-42")
    shell(run, "echo cpus-$(nproc)", rf"cpus-{cpus}\n")
    before = run.mark()
    shell(run, "for i in $(seq $(nproc)); do head -c 1000000 /dev/zero | md5sum & done; wait; echo done-$?", "done-0")
    if run.log(before).count("879f4bba57ed37c9ec5e5aedf9864698") != cpus:
        raise machine.Failure("a CPU has computed something else")
    shell(run, "dmesg | grep -E 'Call [T]race|cut here|BUG:'; echo found-$?", r"found-1\n")


def off(run, number, name):
    """VM NUMBER switches itself off."""
    foreground(run, number)
    run.send("poweroff -f\r")
    run.expect(rf"VM '{name}': stop: its guest has switched it off")
    run.expect(rf"VM '{name}': stopped")


def expect_end(run):
    run.expect(r"the machine is switched off")
    run.expect_end()
    run.forbid("PANIC", "ERROR", "Kernel panic", "Call Trace")
    print(run.log()[run.log().find("started"):])


def press(run, number, name):
    """VM NUMBER waits for its power button, and is told of one press."""
    foreground(run, number)
    ask(run, "sh /tests/button; echo status-$?", r"button: waiting at event\d+")
    prompt(run)
    ask(run, f"vm button {name}", r"button: event [0-9a-f]+")
    if run.expect(r"status-(\d+)\n").group(1) != "0":
        raise machine.Failure("the guest saw another event than one press of its button")


def four(folder):
    """Four vCPUs and one side by side; the VM with one is stopped and started again while the other goes on."""
    with start(folder, vm_section("left", "1-4"), vm_section("right", 5), cpus=6) as run:
        run.expect_all(*shells(("left", 4), ("right", 1)))
        work(run, 1, 4)
        work(run, 2, 1)
        prompt(run)
        ask(run, "vm stop right", r"VM 'right': stopped")
        foreground(run, 1)
        shell(run, "echo still-$((3*3))", r"still-9\n")
        prompt(run)
        ask(run, "vm start right", r"VM 'right': started")
        run.expect_all(*shells(("right", 1)))
        press(run, 2, "right")
        off(run, 1, "left")
        off(run, 2, "right")
        expect_end(run)


def run_reference(kind, cmdline, cpus=1, extra=()):
    """What a kernel prints on QEMU's own PC, without any VMM, until it switches that off."""
    command = [machine.QEMU, "-M", "pc", "-accel", "tcg", "-cpu", "EPYC", "-smp", str(cpus), "-m", "256M",
               "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
               "-kernel", os.path.join(IMAGES, kind, "vmlinuz"), "-initrd", os.path.join(IMAGES, kind, "initrd.img"),
               "-append", f"{CMDLINE} {cmdline}", *extra]
    with pexpect.spawn(command[0], command[1:], timeout=machine.patience(), encoding="utf-8", codec_errors="replace") as process:
        return process.read().replace("\r", "")


def kernel_log(run):
    """What the kernel of the VM in the foreground has said, with the level of each line."""
    before = run.mark()
    shell(run, "dmesg -r; echo end-$((6*7))", "end-42")
    return run.log(before)


def warnings_of(log):
    """The warnings and worse in a kernel's log, without times, addresses and numbers that no two machines share, and
    without those about the rates of clocks, which depend on how busy the host is."""
    lines = re.findall(r"^<(\d+)>\[ *[\d.]+\] (.*)$", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", log), re.MULTILINE)
    if len(lines) < 100:
        raise machine.Failure(f"only {len(lines)} lines are in the kernel's log")
    return [re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+(\.\d+)?", "N", line) for level, line in lines
            if int(level) & 7 <= 4 and not re.search(CLOCKS, line)]


def compare_logs(kind, cpus, log):
    """LOG has no warnings that the kernel does not print on the machine that VMs are modelled on."""
    ours, theirs = warnings_of(log), warnings_of(run_reference(kind, "portolan.test=log", cpus))
    print(f"--- {kind} on the reference machine:", *theirs, "--- in the VM:", *ours, sep="\n")
    new = [line for line in ours if line not in theirs]
    if new:
        raise machine.Failure(f"only in the VM the {kind} kernel says:\n" + "\n".join(new))


def two(folder):
    """amd64 with two vCPUs and i386 side by side. Their kernels warn of nothing that is not warned of in the machine that
    VMs are modelled on, and the VMM does not warn of them. The first resets itself, by a jump
    to the BIOS's reset vector, and nothing of before is left in it."""
    with start(folder, vm_section("left", "1-2", words=" reboot=b"), vm_section("right", 3, "i386"), cpus=4) as run:
        run.expect_all(*shells(("left", 2), ("right", 1)))
        work(run, 2, 1)
        ours = {"i386": kernel_log(run)}
        work(run, 1, 2)
        ours["amd64"] = kernel_log(run)
        shell(run, "echo 17 > /tmp/mark; cat /tmp/mark", r"\n17\n")
        run.send("reboot -f\r")
        run.expect(r"VM 'left': reset")
        run.expect_all(r"init: 2 CPUs, ", r"/ # ")
        shell(run, "cat /tmp/mark || echo gone-$((1+1))", r"gone-2\n")
        off(run, 2, "right")
        off(run, 1, "left")
        expect_end(run)
        run.forbid("warning: VM")
    compare_logs("i386", 1, ours["i386"])
    compare_logs("amd64", 2, ours["amd64"])


def tracked(folder):
    """A VM whose dirty pages are tracked from before its start, and collected every 100 ms until its shell is there and has
    worked. Then the tracking ends, and it works on."""
    section = vm_section("lx", "1-2") + "autostart = no\n"
    with start(folder, section, cpus=3) as run:
        run.expect(r"console: Ctrl-A")
        ask(run, "vm track lx", "vm track lx: done")
        ask(run, "vm start lx", "VM 'lx': started")
        collected = []
        mark = run.mark()
        while not re.search(r"init: 2 CPUs, .*/ # ", run.said("lx", mark)):
            collected.append(int(ask(run, "vm dirty lx", r"vm dirty lx: (\d+) pages")[1]))
            if len(collected) > COLLECTIONS_MAX:
                raise machine.Failure("no shell")
            time.sleep(0.1) # how often it is collected, not how long something takes
        print(f"collected {len(collected)} times: {collected}")
        if len(collected) < 10 or sum(count > 0 for count in collected) < 10 or sum(collected) < 5000:
            raise machine.Failure("a kernel cannot have written so little")
        work(run, 1, 2)
        prompt(run)
        ask(run, "vm dirty lx", r"vm dirty lx: [1-9]\d* pages")
        ask(run, "vm untrack lx", "vm untrack lx: done")
        work(run, 1, 2)
        off(run, 1, "lx")
        expect_end(run)
        run.forbid("warning: VM")


def alone(folder, kind, cpus):
    with start(folder, vm_section("lx", f"1-{cpus}", kind), cpus=cpus + 1) as run:
        run.expect_all(*shells(("lx", cpus)))
        work(run, 1, cpus)
        off(run, 1, "lx")
        expect_end(run)


def check_idle(log, seconds):
    """A guest that has slept for SECONDS of its own: its clock, whose rate it has measured itself, against its RTC."""
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


def idle(folder, seconds):
    """A guest that is idle keeps time. Time is by instructions, so that it is exact; when all CPUs sleep it passes at once."""
    with start(folder, vm_section("lx", 1, test=f"idle,{seconds}"), cpus=2, icount=True) as run:
        run.expect(r"init: test idle ended with status 0")
        expect_end(run)
        check_idle(run.log(), seconds)


def disk(_, kind):
    """The images themselves, without any VMM: the root file system on a legacy virtio disk, read and written."""
    image = os.path.join(IMAGES, kind, "rootfs.img")
    log = run_reference(kind, "root=/dev/vda portolan.test=data", extra=[
        "-drive", f"if=none,id=disk,format=raw,snapshot=on,file={image}",
        "-device", "virtio-blk-pci,disable-modern=on,drive=disk"])
    print(log)
    for wanted in ("data: on /dev/vda", "known.bin: OK", "data: right", "test data ended with status 0"):
        if wanted not in log:
            raise machine.Failure(f"{wanted!r} was not printed")


def in_bochs(folder, model="ryzen", kind="amd64", cpus=1):
    """To a shell, some work in it, a hundred checkpoints, and off. What is typed at a time fits into the UART's FIFO: a second of
    Bochs's TSC, which is said to run at 2.4 GHz, is many of its UART's. Each CPU more makes Bochs slower, so the VM has CPU 0 too;
    the VMM's own work stands still there while the kernel unpacks itself with interrupts off, from which Bochs 2.7 keeps the
    VMM's interrupts, too, once the guest has been left with them off (see loop.py for SVM)."""
    iso = bios.make_iso(folder, "[vmm]\nwhen_idle = poweroff\n" + vm_section("l", f"0-{cpus - 1}" if cpus > 1 else "0", kind))
    with bochs.BochsMachine(iso, model=model, cpus=cpus, memory=512) as run:
        run.expect_all(*shells(("l", cpus)))
        foreground(run, 1)
        ask(run, "echo a$((6*7))", r"a42\s")
        ask(run, "nproc", rf"\n{cpus}\s")
        prompt(run)
        run.expect(r"'help' lists the commands")
        for number in range(1, CHECKPOINTS_IN_BOCHS + 1):
            ask(run, "vm checkpoint l", rf"VM 'l': {number} checkpoints taken")
        foreground(run, 1)
        ask(run, "echo b$((6*7))", r"b42\s")
        off(run, 1, "l")
        run.expect_end()
        run.forbid("PANIC", "ERROR", "Kernel panic", "Call Trace")
        print(run.log()[run.log().find("started"):])


CASES = {
    "four": four,
    "two": two,
    "i386-pae": lambda folder: alone(folder, "i386-pae", 2),
    "tracked": tracked,
    "idle": lambda folder: idle(folder, 600),
    "disk-amd64": lambda folder: disk(folder, "amd64"),
    "disk-i386": lambda folder: disk(folder, "i386"),
    "disk-i386-pae": lambda folder: disk(folder, "i386-pae"),
    "bochs": in_bochs,
    "vmx-plain-amd64": lambda folder: in_bochs(folder, bochs.MODELS["vmx-plain"]),
    "vmx-plain-amd64-2": lambda folder: in_bochs(folder, bochs.MODELS["vmx-plain"], cpus=2),
    "vmx-plain-i386": lambda folder: in_bochs(folder, bochs.MODELS["vmx-plain"], "i386"),
    "vmx-plain-i386-2": lambda folder: in_bochs(folder, bochs.MODELS["vmx-plain"], "i386", 2),
    "vmx-amd64": lambda folder: in_bochs(folder, "tigerlake"),
    "vmx-amd64-2": lambda folder: in_bochs(folder, "tigerlake", cpus=2),
    "vmx-i386": lambda folder: in_bochs(folder, "tigerlake", "i386"),
    "vmx-i386-2": lambda folder: in_bochs(folder, "tigerlake", "i386", 2),
}

if __name__ == "__main__":
    machine.run_test(CASES[sys.argv[1]])
