# SPDX-License-Identifier: BSD-2-Clause
"""nvram.py PAIR: OVMF, unmodified, in a VM with a flash for its variables. What its shell sets there is there
after a reset by the guest, after checkpoints (some come while the flash is being written), and when the VM was off. PAIR: 2m or 4m, which
of Debian's builds; the second with a screen, whose memory OVMF places where RAM cannot be."""

import os
import re
import sys

import bios
import machine

FOLDER = "/usr/share/OVMF"
PAIRS = {"2m": ("OVMF_CODE.fd", "OVMF_VARS.fd"), "4m": ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")}
GUID = "12345678-1234-1234-1234-123456789abc"
PROMPT = r"Shell> "

# Of a terminal: where the cursor goes and what colours there are.
SEQUENCE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

CONFIG = """[vmm]
when_idle = halt
[vm new]
cpus = 1
memory = 256M
firmware = {0}
nvram = {1}
checkpoints = 60
vga = {2}
"""


class Shell:
    """OVMF's shell, on the serial line of the VM in the foreground."""

    def __init__(self, run):
        self.run = run

    def wait(self, mark, pattern):
        """The match of PATTERN in what came behind MARK, without colours."""
        return self.run.wait_in(lambda: SEQUENCE.sub("", self.run.raw()[mark:]), pattern)

    def begin(self, mark):
        """It has begun behind MARK: a key ends its wait for a script."""
        self.wait(mark, r"seconds to skip startup\.nsh")
        self.run.send("\x1b")
        self.wait(mark, PROMPT)

    def ask(self, line, answer):
        """Type LINE; the match of ANSWER in what it says, once the next prompt is there."""
        mark = self.run.mark()
        self.run.send(line + "\r")
        return self.wait(mark, rf"(?s)\n.*{answer}.*{PROMPT}")

    def require_variable(self, name, text):
        self.ask(f"dmpstore {name} -guid {GUID}", rf"NV\S* '[^']*:{name}' DataSize = .*\*{text}\*")

    def order(self, line, answer):
        """Type LINE at the VMM's prompt; from where on it answered."""
        self.run.send("\x010")
        mark = self.run.mark()
        self.run.send(line + "\r")
        self.run.wait(mark, answer)
        return mark

    def restart(self, mark):
        """To the foreground, where it begins behind MARK."""
        self.run.send("\x011")
        self.begin(mark)

    def require_screen(self):
        """Its memory is at 2 GiB, and OVMF draws there."""
        self.ask("mm 80f00000 1234abcd -w 4 -n", "")
        self.ask("mm 80f00000 -w 4 -n", "1234ABCD")
        self.order("vm screen new", r"a picture of \d+ x \d+ points")
        self.run.send("\x011")
        self.ask("ver", "UEFI Interactive Shell")


def test(folder):
    files, screen = PAIRS[sys.argv[1]], sys.argv[1] == "4m"
    image = bios.make_iso(folder, CONFIG.format(*files, "yes" if screen else "no"), [(os.path.join(FOLDER, name), name) for name in files])
    with bios.PcMachine(image, cpus=2, memory="512M") as run:
        shell = Shell(run)
        run.expect("VM 'new': started")
        run.send("\x011" + "\x01s" * screen) # of a VM with a screen the serial line
        shell.begin(0)
        if screen:
            shell.require_screen()
        shell.ask(f"dmpstore Kept -guid {GUID}", "No matching variables found")
        shell.ask(f"setvar Kept -guid {GUID} -bs -rt -nv =first", "")
        shell.require_variable("Kept", "first")
        mark = run.mark()
        run.send("reset\r")
        shell.begin(mark)
        run.require("VM 'new': reset: its guest wants it")
        shell.require_variable("Kept", "first")
        shell.ask(f"setvar Kept -guid {GUID} -bs -rt -nv =second", "")
        shell.order("vm checkpoint new 10", "VM 'new': 10 checkpoints taken")
        shell.order("vm stop new", "VM 'new': stopped")
        run.require_checkpoints("new")
        mark = shell.order("vm start new", "VM 'new': started")
        shell.restart(mark)
        shell.require_variable("Kept", "second")
        shell.order("vm stop new", "VM 'new': stopped")
        run.forbid("PANIC", "ERROR", "stays off", "not started", "is left out")


if __name__ == "__main__":
    machine.run_test(test)
