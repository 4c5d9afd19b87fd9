# SPDX-License-Identifier: BSD-2-Clause
"""screen.py: SeaBIOS and SeaVGABIOS, unmodified, show themselves on a VM's screen: as text that the operator asks for; drawn on the
terminal, which this test does as a terminal would; and on the machine's frame buffer, as the same on plain QEMU, pixel by pixel. Keys
reach the BIOS, typed and by 'vm key'. Checkpoints are taken all the time."""

import contextlib
import os
import re
import subprocess
import time
import typing

import bios
import machine
from qmp import Qmp

SEABIOS = "/usr/share/seabios/bios-256k.bin"
VGABIOS = "/usr/share/seabios/vgabios-stdvga.bin"
COLUMNS, LINES = 80, 25
CUT = re.compile(r"\x1b(\[[?\d;]*)?$") # the beginning of an order to the terminal whose end has not come yet
LOOK_AGAIN = 0.3 # seconds: who looks all the time takes the CPU from who draws


class Wanted(typing.NamedTuple):
    """A picture of SIZE in points, in some of whose ROWS there are the bytes COLOUR, RGB of points one beside the other. Without NINTH it
    is one of a text mode where the ninth dot of a character does not count behind eight that alternate, as a shade's do."""
    size: tuple
    rows: slice
    colour: bytes
    ninth: bool = True


MENU = Wanted((720, 400), slice(32, 48), b"\xa8\xa8\xa8") # the menu's line

CONFIG = """[vmm]
when_idle = poweroff
[vm dos]
cpus = 1
memory = 64M
firmware = bios-256k.bin
vga_rom = vgabios-stdvga.bin
boot_menu = 60
checkpoints = 200
"""


def asked(run, pattern, name="dos"):
    """The text of the screen of VM NAME, as 'vm screen' says it, once PATTERN is on it."""
    end = time.monotonic() + machine.patience()
    while time.monotonic() < end:
        mark = run.mark()
        run.send(f"vm screen {name}\r")
        run.wait(mark, rf"(\|.*\n){{{LINES}}}|the screen is dark\n|a picture of .* points\n|vm screen {name}: .*\n")
        lines = re.findall(r"(?m)^\|(.*)$", run.log(mark))
        if re.search(pattern, "\n".join(lines)):
            return lines
    raise machine.Late(f"no {pattern!r} on the screen of VM '{name}'")


def traced(run, pattern):
    """Ask for what the VM did last until PATTERN is in it."""
    end = time.monotonic() + machine.patience()
    while time.monotonic() < end:
        mark = run.mark()
        run.send("vm trace dos\r")
        run.wait(mark, r"vm trace dos: \d+ entries")
        run.send("vm list\r")
        run.wait(mark, r"1  dos ")
        if re.search(pattern, run.log(mark)):
            return
    raise machine.Failure(f"no {pattern!r} in what the VM did")


def drawn(text):
    """What a terminal shows that got TEXT."""
    cells = [[" "] * COLUMNS for _ in range(LINES)]
    line = column = 0
    text = CUT.sub("", text[text.rindex("\x1b[2J"):])
    for first, second, kind, character in re.findall(r"\x1b\[\??(\d*);?(\d*)[\d;]*([A-Za-z])|([ -~])", text):
        if kind == "H":
            line, column = int(first or 1) - 1, int(second or 1) - 1
        elif kind == "J":
            cells = [[" "] * COLUMNS for _ in range(LINES)]
        elif character:
            if line < LINES and column < COLUMNS: # a line of the log's may be longer
                cells[line][column] = character
            column += 1
    return ["".join(row).rstrip() for row in cells]


def see(run, mark, pattern):
    """Wait until PATTERN is on the terminal, where the VM's screen is shown since MARK; return its lines."""
    text = lambda: "\n".join(drawn(run.raw()[mark:])) if "\x1b[2J" in run.raw()[mark:] else ""
    return run.wait_in(text, pattern).string.split("\n")


def dump(connection, path):
    """A QEMU's screen: width, height, rows of RGB."""
    connection.command("screendump", filename=path)
    with open(path, "rb") as file:
        magic, size, _, pixels = file.read().split(b"\n", 3)
    width, height = map(int, size.split())
    if magic != b"P6" or len(pixels) != width * height * 3:
        raise machine.Failure(f"{path} is no picture")
    return width, height, [pixels[3 * width * y:3 * width * (y + 1)] for y in range(height)]


def without_ninth(rows):
    """The rows of a text mode whose characters are 9 dots wide; the ninth is black where the eight before it alternate."""
    for row in rows:
        changed = bytearray(row)
        for at in range(0, len(row) - 26, 27):
            if row[at:at + 3] != row[at + 3:at + 6] and row[at:at + 24] == 4 * row[at:at + 6]:
                changed[at + 24:at + 27] = bytes(3)
        yield bytes(changed)


def pair(connection, other, folder, wanted):
    """What is in the middle of the machine's screen and on plain QEMU's, OTHER's, both as (width, height, rows); and the colours around
    the former."""
    width, height, rows = dump(other, os.path.join(folder, "plain.ppm"))
    all_width, all_height, all_rows = dump(connection, os.path.join(folder, "machine.ppm"))
    left, top = 3 * ((all_width - width) // 2), (all_height - height) // 2
    own = [row[left:left + 3 * width] for row in all_rows[top:top + height]]
    border = b"".join(all_rows[:top] + all_rows[top + height:]) + b"".join(row[:left] + row[left + 3 * width:] for row in all_rows)
    if not wanted.ninth:
        own, rows = list(without_ninth(own)), list(without_ninth(rows))
    return own, (width, height, rows), set(border)


def differences(own, rows):
    """For who has to find out why."""
    places = [(y, next((x for x in range(0, len(row), 3) if mine[x:x + 3] != row[x:x + 3]), 0) // 3)
              for y, (mine, row) in enumerate(zip(own, rows)) if mine != row]
    return f"{len(places)} lines are different, at first (line, dot): {places[:8]}"


@contextlib.contextmanager
def plain_qemu(folder, arguments):
    """A connection to a plain QEMU with its own VGA and ARGUMENTS."""
    path = os.path.join(folder, "plain.qmp")
    plain = subprocess.Popen([machine.QEMU, "-M", "pc", "-accel", "tcg", "-m", "64", "-nodefaults", "-vga", "std", "-display", "none",
                              "-qmp", f"unix:{path},server=on,wait=off", *arguments])
    try:
        with Qmp(path) as other:
            yield other
    finally:
        plain.kill()
        plain.wait()


def same(folder, connection, other, wanted):
    """The picture WANTED comes in the middle of the machine's screen and on that of OTHER, a plain QEMU, the same at some moment of both,
    as when both cursors are on; around it the machine's screen is black."""
    end = time.monotonic() + machine.patience()
    while True:
        own, (width, height, rows), border = pair(connection, other, folder, wanted)
        if (width, height) == wanted.size and any(wanted.colour in row for row in rows[wanted.rows]) and own == rows:
            break
        if time.monotonic() > end:
            raise machine.Late(f"plain QEMU's screen, {width} x {height}, and the machine's are never what is wanted, and the same: "
                               f"{differences(own, rows)}")
        time.sleep(LOOK_AGAIN)
    if border - {0}:
        raise machine.Failure(f"around the picture it is not black, but {border}")
    print(f"the picture of {width} x {height} points is QEMU's own")


def compare(folder, connection, arguments, wanted):
    """The machine shows the picture WANTED as plain QEMU with ARGUMENTS does."""
    with plain_qemu(folder, arguments) as other:
        same(folder, connection, other, wanted)


def test(folder):
    files = [(SEABIOS, "bios-256k.bin"), (VGABIOS, "vgabios-stdvga.bin")]
    path = os.path.join(folder, "machine.qmp")
    with bios.PcMachine(bios.make_iso(folder, CONFIG, files), cpus=2, memory="256M", screen=True,
                        extra=["-qmp", f"unix:{path},server=on,wait=off"]) as run:
        run.expect("VM 'dos': started")
        lines = asked(run, "Press ESC for boot menu")
        print("\n".join(lines))
        if not lines[0].startswith("SeaBIOS (version "):
            raise machine.Failure(f"the first line is {lines[0]!r}")
        run.send("\x011")
        with Qmp(path) as connection:
            compare(folder, connection, ["-boot", "menu=on,splash-time=65000"], MENU)
        mark = run.mark()
        run.send("\x010")
        run.wait(mark, "VMM: 'help'")
        run.send("vm trace dos int\r")
        run.strike("dos", "esc")
        lines = asked(run, "Select boot device:")
        traced(run, r" us, vCPU 0 at [0-9a-f]+h: interrupt 9h") # the keyboard's
        run.send("vm trace dos ports\r")
        traced(run, r"at [0-9a-f]+h: port [0-9a-f]+h (->|<-) [0-9a-f]{2}h\n")
        mark = run.mark()
        run.send("vm trace dos off\r")
        run.wait(mark, "vm trace dos: off")
        mark = run.mark()
        run.send("\x011")
        seen = see(run, mark, "Select boot device:")
        if seen != lines:
            raise machine.Failure(f"drawn: {seen}\nasked for: {lines}")
        run.send("\x1b[3;7~") # as XTerm sends Ctrl-Alt-Delete
        run.wait(mark, "VM 'dos': reset: its guest wants it")
        see(run, mark, r"^(?!(.|\n)*Select boot)(.|\n)*Press ESC for boot menu")
        run.send("\x010")
        run.wait(mark, "VMM: 'help'")
        mark = run.mark()
        run.send("vm stop dos\r")
        run.wait(mark, "VM 'dos': stopped")
        run.expect_end()
        run.require_checkpoints("dos")
        run.forbid("PANIC", "ERROR")


if __name__ == "__main__":
    machine.run_test(test)
