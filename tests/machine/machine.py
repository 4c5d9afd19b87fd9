# SPDX-License-Identifier: BSD-2-Clause
"""The test machine: a QEMU with OVMF, a boot image, and virtio PFs whose VFs have legacy registers
in a memory BAR. Used by the machine tests, by './portolan run' and by './portolan demo'."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

import pexpect

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("PORTOLAN_BUILD", os.path.join(TOP, "build"))
QEMU = os.environ.get("PORTOLAN_QEMU", "qemu-system-x86_64")
# The small build of OVMF where there is one: it comes to the loader in two thirds of the time.
SMALL = "" if os.path.exists("/usr/share/OVMF/OVMF_CODE.fd") else "_4M"
FIRMWARE = f"/usr/share/OVMF/OVMF_CODE{SMALL}.fd"
VARIABLES = f"/usr/share/OVMF/OVMF_VARS{SMALL}.fd"
# The PFs; and mended SVM: QEMU's own delivers interrupts twice now and then.
PLUGIN = ("-plugin", os.path.join(BUILD, "qemu-device", "portolan-mmr.so"))

# A disk's image. It lives as long as the test, so QEMU need not wait for the host's disk to have it: one write of a guest
# would wait for all that others on the host have written.
IMAGE = "driver=file,cache.no-flush=on"

IOMMUS = {
    "none": [],
    "intel": ["-device", "intel-iommu,intremap=on"],
    "unmapped": ["-device", "intel-iommu,intremap=off"],
    "amd": ["-device", "amd-iommu,intremap=on"],
}


# How long a test may wait for one thing, in seconds; run by ctest, until shortly before that ends it.
PATIENCE = 600
BEGAN = time.monotonic()


def patience():
    """How long to wait for what comes next. It ends a test that hangs, and judges nothing: the host may be busy."""
    limit = os.environ.get("PORTOLAN_LIMIT")
    return max(0.95 * float(limit) - (time.monotonic() - BEGAN), 1) if limit else PATIENCE


LAST_LINES = 40
LOOK_SECONDS = 5 # at a machine that hangs

# How many checkpoints a small guest's VM is to take while it lives, at random moments, and has to.
CHECKPOINTS = 60
CHECKPOINTS_MIN = 20
NOISE = "TCG doesn't support requested feature"


# A line, or what goes on with one, of a guest in the background, behind what the operator's prompt left of its own line.
PIECE = re.compile(r"(?:^|\x1b\[K)\[([^\]\n]+)\]([ +])(.*)")
# What the console says when another comes to the foreground: a VM, or none but the VMM.
FOREGROUND = re.compile(r"\[(?:VM \d+, (\S+): |VMM: )")


# A check of a small guest failed: it goes on, and what a test waits for may never come.
GUEST_FAILED = re.compile(r"FAIL(?: \w+: \S+:\d+)?: [^\n]*\n")
GUEST_FAILED_WITHIN = 8192 # characters: more than come at once


class Failure(Exception):
    """What a test expected did not happen; the message says what."""


class Late(Failure):
    """It did not happen in time."""


def joined(text):
    """TEXT of a serial line, each guest's lines whole where they begin: the console shows a line in pieces whose end is long in
    coming, as on a busy host."""
    lines, begun = [], {}
    for line in text.split("\n"):
        piece = PIECE.search(line)
        if piece and piece[2] == "+" and piece[1] in begun:
            lines[begun[piece[1]]] += piece[3]
            line = line[:piece.start()]
        elif piece:
            begun[piece[1]] = len(lines)
        lines.append(line)
    return "\n".join(lines)


def said_by(name, text, mark=0):
    """What VM NAME says in TEXT of a serial line behind MARK, without ends of lines. While it is in the foreground its lines have no name
    before them, and another's may come in the middle of one."""
    if f", {name}: " not in text:
        return "".join(re.findall(rf"\[{name}\][ +]([^\n]*)", text[mark:]))
    before = list(FOREGROUND.finditer(text, 0, mark))
    front, said = before[-1][1] if before else None, []
    for line in text[mark:].split("\n"):
        if header := FOREGROUND.search(line):
            front = header[1]
        elif piece := re.search(rf"\[{name}\][ +](.*)", line):
            said.append(piece[1])
        elif front == name and not line.startswith("["):
            said.append(line)
    return "".join(said)


def make_image(folder, config, files=(), extra=()):
    """A disk image for CONFIG (text) with FILES [(path, name)] that it names and EXTRA ones."""
    for path, name in files:
        target = os.path.join(folder, name)
        if not os.path.exists(target):
            os.symlink(os.path.abspath(path), target)
    path = os.path.join(folder, "portolan.cfg")
    with open(path, "w", encoding="ascii") as file:
        file.write(config)
    return make_image_of(path, os.path.join(folder, "boot.img"), extra)


def make_image_of(config_path, image, extra=()):
    """A disk image for the configuration file CONFIG_PATH."""
    command = [os.path.join(TOP, "tools", "image.sh"), BUILD, config_path, image]
    command += [f"{path}={name}" for path, name in extra]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"tools/image.sh failed:\n{done.stdout}{done.stderr}")
    return image


def pf_arguments(vfs=4, disk=None, net=None):
    """Two PFs with VFS VFs each, behind root ports of their own; the network NET is behind the first VF of the first, the file DISK behind
    that of the second."""
    drive = ["-blockdev", f"{IMAGE},node-name=vfdisk,filename={disk}"] if disk else []
    drive += ["-netdev", f"{net},id=vfnet"] if net else []
    return drive + [
        "-device", "pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on",
        "-device", "pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1",
        "-device", f"portolan-net-pf,id=netpf,bus=rp1,vfs={vfs}" + (",vf-backends=vfnet" if net else ""),
        "-device", f"portolan-blk-pf,id=blkpf,bus=rp2,vfs={vfs}" + (",vf-backends=vfdisk" if disk else ""),
    ]


# Time by instructions, on one host thread: whole boots repeat exactly, whatever else the host does.
ICOUNT = ("-icount", "shift=0,sleep=off", "-rtc", "base=2020-01-01,clock=vm")


def qemu_command(image, cpus=2, memory="512M", iommu="intel", cpu="EPYC", pfs=True, vfs=4,
                 display=False, icount=False, disk=None, net=None, plugin="", extra=()):
    """The command line of the test machine; its first serial line is standard input and output. PLUGIN: more of its arguments."""
    command = [
        QEMU, "-M", "q35,kernel-irqchip=split", "-accel", "tcg,thread=single" if icount else "tcg", "-cpu", cpu, "-smp", str(cpus),
        "-m", memory, "-nodefaults", "-no-reboot",
        "-drive", f"if=pflash,format=raw,readonly=on,file={FIRMWARE}",
        "-drive", f"if=pflash,format=raw,snapshot=on,file={VARIABLES}",
        "-drive", f"if=none,id=boot,format=raw,snapshot=on,file={image}",
        "-device", "ide-hd,drive=boot,bootindex=0",
        "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n",
    ]
    command += IOMMUS[iommu]
    command += ["-device", "VGA"] if display else []
    command += ICOUNT if icount else []
    command += [PLUGIN[0], PLUGIN[1] + plugin]
    command += pf_arguments(vfs, disk, net) if pfs else []
    return command + list(extra)


class Machine:
    """One run of the test machine: expect text from its serial line, send text to it."""

    def __init__(self, image, **machine):
        self.command = self.arguments(image, **machine)
        self.seen, self.place = [], 0
        # What the emulator itself says goes elsewhere: it would come in the middle of a line of the machine's.
        self.complaints = tempfile.NamedTemporaryFile(prefix="portolan-")
        self.monitor = self.complaints.name + "-monitor"
        self.command += ["-display", "none", "-monitor", f"unix:{self.monitor},server=on,wait=off", "-serial", "stdio"]
        self.process = pexpect.spawn("/bin/sh", ["-c", 'exec 2>"$0"; exec "$@"', self.complaints.name] + self.command,
                                     timeout=None, encoding="utf-8", codec_errors="replace", echo=False)
        self.process.logfile_read = self
        self.process.delaybeforesend = None # pexpect's own pause is for programs that ask for passwords

    def arguments(self, image, **options):
        return qemu_command(image, **options)

    # pexpect writes what it reads to us, as to a log file.
    def write(self, text):
        self.seen.append(text.replace("\r", ""))

    def flush(self):
        pass

    def __enter__(self):
        return self

    def kill(self):
        """End the emulator, if it still runs. pexpect kills it, but waits for no more than a moment for its end."""
        try:
            self.process.close(force=True)
        except pexpect.ExceptionPexpect:
            os.waitpid(self.process.pid, 0)

    def __exit__(self, kind, value, trace):
        registers = self.look() if isinstance(value, Late) else ""
        self.kill()
        if kind is not None:
            self.explain(value, registers)
        self.complaints.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.monitor)

    def look(self):
        """Where everything stands in a machine that hangs: what the operator can see, which comes into the log, and its CPUs' registers."""
        names = dict.fromkeys(re.findall(r"VM '([a-z0-9]+)': ", self.log()))
        with contextlib.suppress(OSError): # one of two machines, say, may be at its end
            self.send("\x010" + "\r".join(["", "vm list", "vf list", *(f"stats {name}" for name in names), ""])) # whoever is in the foreground
        told = [self.registers()]
        self.drain(LOOK_SECONDS)
        return "\n--- the same, later:\n".join(told + [self.registers()])

    def drain(self, seconds):
        """Take what comes over the serial line for SECONDS."""
        end = time.monotonic() + seconds
        with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
            while True:
                self.process.expect(r"(?s).+", timeout=max(end - time.monotonic(), 0))

    def registers(self):
        """The registers of all CPUs, as the emulator has them; or why they are not to be had."""
        told = b""
        try:
            with socket.socket(socket.AF_UNIX) as monitor:
                monitor.settimeout(LOOK_SECONDS)
                monitor.connect(self.monitor)
                monitor.sendall(b"info registers -a\n")
                while told.count(b"(qemu)") < 2:
                    if not (more := monitor.recv(65536)):
                        break
                    told += more
        except OSError as error:
            told += f"[no more: {error}]".encode()
        return told.decode(errors="replace").replace("\r", "")

    def explain(self, failure, registers=""):
        """What is wanted to see why: the end of the story first, since who shows it may cut it."""
        print(f"FAILED: {failure}")
        print("--- the serial line's last words:\n" + "\n".join(self.log().splitlines()[-LAST_LINES:]))
        print("--- the emulator's own words:\n" + "".join(
            line for line in self.complaints.read().decode(errors="replace").splitlines(True) if NOISE not in line))
        if registers:
            print("--- its CPUs:\n" + registers)
        print("--- the test machine:", " ".join(self.command))
        print("--- all of its serial line:\n" + self.log())
        print("--- end of the serial line")

    def raw(self):
        self.seen[:] = ["".join(self.seen)]
        return self.seen[0]

    def log(self, mark=0):
        """What came over the serial line behind MARK."""
        return joined(self.raw()[mark:])

    def mark(self):
        """A place in the log: now."""
        return len(self.raw())

    def mark_behind(self, mark, line):
        """The place behind LINE, of the VMM, which came behind MARK."""
        return self.raw().index(line, mark) + len(line)

    def expect(self, pattern):
        """Wait for the regular expression PATTERN behind what was waited for last; return its match. A line may have no end."""
        return self.wait_from(self.place, lambda: self.log(self.place), pattern)

    def wait(self, mark, pattern):
        """Wait for the regular expression PATTERN in whole lines behind MARK, whatever else comes in between; return its match.
        Unlike expect() this does not depend on the order of lines of several VMs."""
        return self.wait_from(mark, lambda: self.log(mark).rpartition("\n")[0] + "\n", pattern)

    def wait_from(self, mark, text, pattern):
        """Wait for PATTERN in TEXT(), which is behind MARK; what expect() waits for next comes behind it."""
        match = self.wait_in(text, pattern)
        whole, raw, place = match.string[:match.end()].split("\n"), self.raw(), mark
        for _ in whole[:-1]:
            place = raw.index("\n", place) + 1
        end = raw.find("\n", place)
        self.place = min(place + len(whole[-1]), end if end >= 0 else len(raw)) # of a line in pieces, the first
        return match

    def said(self, name, mark=0):
        """What VM NAME has said behind MARK, without ends of lines."""
        return said_by(name, self.raw(), mark)

    def wait_said(self, name, mark, pattern):
        """Wait for PATTERN in what VM NAME says; return its match."""
        return self.wait_in(lambda: self.said(name, mark), pattern)

    def wait_in(self, text, pattern):
        end = time.monotonic() + patience()
        while not (match := re.search(pattern, text())):
            self.forbid_failed_checks(pattern)
            try:
                self.process.expect(r"(?s).+", timeout=max(end - time.monotonic(), 0))
            except pexpect.TIMEOUT:
                raise Late(f"no {pattern!r} within the time limit") from None
            except pexpect.EOF:
                match = re.search(pattern, text())
                if not match:
                    raise Failure(f"the machine ended before {pattern!r}") from None
                break
        return match

    def forbid_failed_checks(self, pattern):
        """What PATTERN stands for has not come: no check of a guest's may have failed meanwhile, for it may wait in vain then."""
        if failed := GUEST_FAILED.search(self.raw()[-GUEST_FAILED_WITHIN:]):
            raise Failure(f"a check of a guest failed before {pattern!r}: {failed.group().strip()}")

    def expect_all(self, *patterns):
        """Wait for each of the regular expressions PATTERNS, in whatever order they come."""
        left = list(patterns)
        while left:
            names = "|".join(f"(?P<each{number}>{pattern})" for number, pattern in enumerate(left))
            left.pop(int(self.expect(names).lastgroup.removeprefix("each")))

    def expect_end(self):
        """Wait until the machine has switched itself off."""
        try:
            self.process.expect(pexpect.EOF, timeout=patience())
        except pexpect.TIMEOUT:
            raise Late("the machine did not switch itself off") from None
        self.process.close()
        if self.process.signalstatus:
            raise Failure(f"the emulator died of signal {self.process.signalstatus}")

    def send(self, text):
        self.process.send(text)

    def ask(self, text, *answers):
        """Type TEXT; each of the regular expressions ANSWERS comes behind it, in whatever order. Where that begins in the log."""
        mark = self.mark()
        self.send(text + "\r")
        for answer in answers:
            self.wait(mark, answer)
        return mark

    def strike(self, name, keys):
        """Strike KEYS on the keyboard of VM NAME, once it has taken those before. Where that begins in the log."""
        end = time.monotonic() + patience()
        while time.monotonic() < end:
            mark = self.mark()
            self.send(f"vm key {name} {keys}\r")
            self.ask("vm list", rf"\d  {name} +\w")
            refused = re.search(rf"vm key {name}: ([^\n]*)", self.log(mark))
            if not refused:
                return mark
            if "not now, the VM is 'running'" not in refused.group():
                raise Failure(f"no key could be struck: {refused.group(1)}")
        raise Late(f"VM '{name}' never took the keys before {keys!r}")

    def order(self, text, ended="VMs that are gone"):
        """Type TEXT, an order for a VF, until it is begun: FLRs of the last move may be under way, or a PF owe an answer. Where that
        begins in the log. What ENDED says there would be waited for in vain."""
        while True:
            mark = self.ask(text)
            answer = self.wait(mark, r"vf \S+: (begun|not now|[^\n]*)[^\n]*\n").group(1)
            if answer == "begun":
                return mark
            if answer != "not now" or ended in self.log():
                raise Failure(f"'{text}' was refused: {answer}")

    def move(self, name, here, there):
        """VM NAME is to be moved from the VF HERE to THERE. Did it, what does the log say of that, and from where on, once it went on?"""
        mark = self.order(f"vf move {here} {there}")
        match = self.wait(mark, rf"VM '{name}': (not )?moved from VF 0000:{here}(?:, which is lost,)? to VF 0000:{there}(.*)\n")
        self.wait(mark, r"  us: .* in all")
        return not match.group(1), match.group(2), self.mark_behind(mark, match.group())

    def require(self, *texts):
        """Each of TEXTS stands in what the machine has printed so far."""
        for text in texts:
            if text not in self.log():
                raise Failure(f"{text!r} was not printed")

    def require_checkpoints(self, *names):
        """The VMs NAMES, of which 'checkpoints' asks for CHECKPOINTS, have stopped and survived CHECKPOINTS_MIN each."""
        for name in names:
            taken = sum(map(int, re.findall(rf"VM '{name}': (\d+) checkpoints at random moments", self.log())))
            print(f"VM '{name}' was saved, destroyed and built anew {taken} times")
            if taken < CHECKPOINTS_MIN:
                raise Failure(f"VM '{name}' saw {taken} checkpoints, not {CHECKPOINTS_MIN}")

    def forbid(self, *texts):
        """None of TEXTS stands in what the machine has printed so far."""
        for text in texts:
            if text in self.log():
                raise Failure(f"{text!r} was printed")


def run_test(test):
    """Run TEST(folder) in a folder of its own; exit 1 with its message if it fails."""
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        try:
            test(folder)
        except Failure as failure:
            print(f"FAILED: {failure}")
            sys.exit(1)
    print("passed")
