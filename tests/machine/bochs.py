# SPDX-License-Identifier: BSD-2-Clause
"""The other emulator: Bochs, a BIOS machine without PCI Express. It has what QEMU's TCG has not: a TLB that keeps
what is not flushed, with ASIDs (model 'ryzen'), and Intel's VMX (model 'tigerlake')."""

import os
import re
import select
import tempfile
import threading
import tty

import pexpect
import pexpect.fdpexpect

import machine

SHARE = "/usr/share/bochs"
# Of the tests' engines; the last is VMX without APICv.
MODELS = {"bochs": "ryzen", "vmx": "tigerlake", "vmx-plain": "corei7_sandy_bridge_2600k"}

# Emulated instructions in an emulated second. The TSC counts them, so this is its rate in Hz: it has to be one that a
# CPU can have, and each second that the BIOS waits costs as many.
RATE = 110_000_000

# Bochs asks for a VGA BIOS; without the VBE extension no boot loader switches to a graphics mode, which the text
# display could not show.
SETTINGS = """\
config_interface: textconfig
display_library: term
cpu: model={model}, count={cpus}, ips={rate}, reset_on_triple_fault=0
memory: guest={memory}, host={memory}
romimage: file={share}/BIOS-bochs-latest
vga: extension=none
vgaromimage: file={share}/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=term, dev={serial}
sound: driver=dummy
speaker: enabled=0
log: {log}
panic: action=fatal
error: action=report{quiet}
info: action=ignore
debug: action=ignore
"""


# Bochs's own words for the pseudo-terminal that it shows the screen on and reads keys from.
SCREEN = re.compile(rb'connected to screen "(/dev/pts/\d+)"')


def read_available(terminal):
    """What can be read from TERMINAL now; nothing when its other side is closed."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


class BochsMachine(machine.Machine):
    """One run of Bochs from an ISO image: expect text from its serial line, send text to it. Its own processes, files
    and pseudo-terminals only; several can run at the same time."""

    def __init__(self, iso, model="ryzen", cpus=2, memory=512, rate=RATE):  # pylint: disable=super-init-not-called
        self.folder = tempfile.TemporaryDirectory(prefix="portolan-bochs-")
        self.seen, self.place = [], 0
        self.display = b""
        master, self.serial = os.openpty()
        tty.setraw(self.serial)
        # Its CPUs call each exit of a VM for I/O an error: that fills the log, and takes time.
        quiet = "".join(f", cpu{i}=ignore" for i in range(cpus))
        settings = SETTINGS.format(model=model, cpus=cpus, rate=rate, memory=memory, share=SHARE, quiet=quiet,
                                   iso=os.path.abspath(iso), serial=os.ttyname(self.serial), log=self.path("log"))
        # Debian's Bochs begins in its debugger.
        for name, text in (("settings", settings), ("commands", "continue\n")):
            with open(self.path(name), "w", encoding="ascii") as file:
                file.write(text)
        self.command = ["bochs", "-q", "-f", self.path("settings"), "-rc", self.path("commands")]
        self.bochs = pexpect.spawn(self.command[0], self.command[1:], echo=False, dimensions=(30, 100),
                                   env=dict(os.environ, TERM="xterm", LC_ALL="C"))
        self.process = pexpect.fdpexpect.fdspawn(master, timeout=None, encoding="utf-8", codec_errors="replace")
        self.process.logfile_read = self
        self.process.delaybeforesend = None
        self.attendant = threading.Thread(target=self.attend_display, daemon=True)
        self.attendant.start()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def attend_display(self):
        """Take what Bochs prints and shows, so that it does not block, and press a key when its BIOS waits three
        seconds for one. When Bochs ends, so does the serial line."""
        printed = b""
        screen = None
        pressed = False
        while True:
            ready, _, _ = select.select([self.bochs.child_fd] + ([screen] if screen else []), [], [])
            if screen in ready:
                self.display += read_available(screen)
                if not pressed and b"F12" in self.display:
                    os.write(screen, b" ")
                    pressed = True
            if self.bochs.child_fd in ready:
                text = read_available(self.bochs.child_fd)
                if not text:
                    break
                printed += text
                match = SCREEN.search(printed)
                if match and not screen:
                    screen = os.open(match.group(1), os.O_RDWR | os.O_NOCTTY)
                    tty.setraw(screen)
        if screen:
            os.close(screen)
        os.close(self.serial)

    def stop(self):
        self.bochs.terminate(force=True)
        self.attendant.join()
        self.bochs.close()
        self.process.close()

    def __exit__(self, kind, value, trace):
        self.stop()
        if kind is not None:
            print(f"FAILED: {value}")
            print("--- Bochs says:\n" + self.panics())
            print("--- its serial line:\n" + self.log())
            print("--- end of the serial line")
        self.folder.cleanup()

    def panics(self):
        """What Bochs's own log has of panics and errors; a machine that switches itself off is one, too."""
        with open(self.path("log"), encoding="utf-8", errors="replace") as file:
            return "".join(line for line in file if ">>PANIC<<" in line or line[11:13] == "e[")

    def expect_end(self, timeout=-1):
        """Wait until the machine has switched itself off."""
        try:
            self.process.expect(pexpect.EOF, timeout=timeout)
        except pexpect.TIMEOUT:
            raise machine.Failure("the machine did not switch itself off") from None
        self.attendant.join()
        if "soft power off" not in self.panics():
            raise machine.Failure("Bochs ended, but not because the machine switched itself off")
