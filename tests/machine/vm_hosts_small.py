# SPDX-License-Identifier: BSD-2-Clause
"""vm_hosts_small.py CASE: a small guest whose disk is busy goes from one test machine to the other and back, again and again, once
while it is paused, and then into a file and back. Its driver waits for each interrupt, and it looks at each byte that it reads; what it
wrote is looked at from outside. Or SeaBIOS, in its boot menu, by the serial line or on a screen."""

import os
import sys
import typing

import disks
import legacy_bios
import machine
import pair
import screen
import vfdisk
from pair import Host
from vm_hosts import HEAD, LIMITS, line_of, row_of

MSIX, INTX = 2, 1 # of guest/vblk
PAUSED = 2 # which of the moves its operator has paused it for


class Case(typing.NamedTuple):
    """Both machines, the way of the guest's interrupts, its vCPUs and queues, the protocol of the PFs, and how many moves there are."""
    a: Host = Host()
    b: Host = Host()
    way: int = MSIX
    cpus: int = 1
    queues: int = 1
    abi: str = "1.4"
    moves: int = 4


MMR_INTEL, MMR_AMD = Host("intel", "mmr"), Host("amd", "mmr")
ADMIN_INTEL, ADMIN_AMD = Host("intel", "admin"), Host("amd", "admin")

CASES = {
    "mmr-admin": Case(MMR_INTEL, ADMIN_AMD, moves=14),
    "menu": Case(MMR_INTEL, ADMIN_AMD, abi="2021", moves=8),
    "screen": Case(MMR_INTEL, MMR_INTEL, moves=3),
    # The long ones.
    "mmr-intx": Case(MMR_INTEL, MMR_AMD, INTX, 2, 1, "2021"),
    "admin": Case(ADMIN_INTEL, ADMIN_INTEL, MSIX, 1, 4, "2021"),
    "admin-intx": Case(ADMIN_AMD, ADMIN_INTEL, INTX, 1, 1, "1.4"),
    "mmr-queues": Case(MMR_INTEL, MMR_INTEL, MSIX, 2, 4, "1.4"),
}


class Rounds:
    """The guest goes on: whole rounds of its work, on whichever machine."""

    def __init__(self, case):
        self.way, self.queues = case.way, case.queues

    def lines(self):
        return f"memory = 16M\nmultiboot = vblk.elf\ncmdline = rounds way={self.way} queues={self.queues} count=16\ndebug_exit = 0xf4\n"

    def files(self):
        return [(disks.GUEST, "vblk.elf")]

    def make_disk(self, folder):
        return vfdisk.make(folder)

    def lives(self, run, mark):
        run.wait_said("guest", mark, r"round \d+ ok.*round \d+ ok")

    def end(self, run, disk):
        run.ask("vm button guest", r"VM 'guest': debug exit, status 1\b", r"VM 'guest': stopped\n")
        run.wait_said("guest", 0, "PASS: ")
        vfdisk.check(disk, disks.written)


class Menu:
    """SeaBIOS waits in its boot menu, and moves through each move; then a key boots guest/bios from the disk."""

    def lines(self):
        return "memory = 32M\nfirmware = bios-256k.bin\nboot_menu = 60\ndebug_exit = 0xf4\n"

    def files(self):
        return [(legacy_bios.SEABIOS, "bios-256k.bin")]

    def make_disk(self, folder):
        return legacy_bios.make_disk(folder, "disk.img")

    def lives(self, run, mark):
        """It takes a key that is none of the menu's, and goes on waiting."""
        if not mark:
            run.wait_said("guest", 0, "Press ESC for boot menu")
            run.strike("guest", "esc")
            run.wait_said("guest", 0, "Select boot device")
        run.strike("guest", "z")

    def end(self, run, disk):
        """The disk's program resets the machine some times: each time the menu is there again."""
        mark = run.strike("guest", "1")
        # It may say a line in pieces.
        while "Press" in run.wait_in(lambda: run.said("guest", mark) + run.log(mark), r"Press ESC for boot menu|debug exit").group(0):
            run.wait_said("guest", run.strike("guest", "esc"), "Select boot device")
            mark = run.strike("guest", "1")
        run.wait(mark, rf"VM 'guest': debug exit, status {legacy_bios.EXIT_PASSED}\b")
        run.wait(mark, r"VM 'guest': stopped\n")
        legacy_bios.check_disk(disk)


class Screen(Menu):
    """The same on a screen: the menu is there after each move, letter by letter. SeaBIOS draws it once."""

    def __init__(self):
        self.menu = None

    def lines(self):
        return super().lines() + "vga_rom = vgabios-stdvga.bin\n"

    def files(self):
        return super().files() + [(screen.VGABIOS, "vgabios-stdvga.bin")]

    def lives(self, run, mark):
        if not mark:
            screen.asked(run, "Press ESC for boot menu", "guest")
            run.strike("guest", "esc")
        lines = screen.asked(run, r"1\. Virtio disk PCI:\d\d:\d\d\.\d", "guest")
        self.menu = self.menu or lines
        if lines != self.menu:
            raise machine.Failure(f"the screen was {self.menu}, and is {lines}")

    def end(self, run, disk):
        """It takes a key, as well."""
        run.strike("guest", "1")
        screen.asked(run, "Booting from Hard Disk", "guest")
        run.ask("vm stop guest", r"VM 'guest': stopped\n")


GUESTS = {"menu": Menu, "screen": Screen}


def expect_paused(two, name, mark):
    """The guest is at machine NAME, and does not run: it says nothing behind MARK. Until the operator lets it go on."""
    two.wait_state(name, "paused")
    run, agent = two.machines[name], two.agents[name]
    if agent.command("query-status", vm="guest") != {"running": False, "status": "paused"}:
        raise machine.Failure(f"machine '{name}': the VM was paused before its move")
    run.ask("vm state guest clock", r"paused +01\b")
    if run.said("guest", mark):
        raise machine.Failure(f"machine '{name}': a VM that is paused runs")
    agent.command("cont", vm="guest")


def save_and_start(two, name):
    """The guest of machine NAME is paused, goes into a file, and comes back from it."""
    agent = two.agents[name]
    two.ended(name)
    agent.command("stop", vm="guest")
    two.wait_state(name, "paused")
    agent.command("migrate", uri="file:/saved", vm="guest")
    row_of(name, "file", two.ended(name))
    two.wait_state(name, "off")
    mark = two.machines[name].mark()
    agent.command("migrate-incoming", uri="file:/saved")
    if (told := two.ended(name))["status"] != "completed":
        raise machine.Failure(f"the VM did not come back from its file: {told}")
    expect_paused(two, name, mark)


def test(folder, name):
    case, here, there = CASES[name], "a", "b"
    guest = GUESTS[name]() if name in GUESTS else Rounds(case)
    disk = guest.make_disk(folder)
    plan = pair.Plan({"a": case.a, "b": case.b}, guest.lines(), case.abi, case.cpus, case.queues, (disk,), guest.files(), net=False)
    with pair.Pair(folder, plan) as two:
        two.connect(late=name in GUESTS) # it waits for a minute
        guest.lives(two.a, 0)
        print(HEAD, flush=True)
        for number in range(1, case.moves + 1):
            mark = two.machines[there].mark()
            if number == PAUSED:
                two.agents[here].command("stop", vm="guest")
            row = row_of(here, there, two.move(here, there, **LIMITS))
            if number == PAUSED:
                expect_paused(two, there, mark)
            guest.lives(two.machines[there], mark)
            two.wait_state(here, "off")
            print(line_of(number, row), flush=True)
            here, there = there, here
        save_and_start(two, here)
        guest.end(two.machines[here], disk)
        for name, each in two.machines.items():
            each.forbid("PANIC", "ERROR", "FAIL", "nobody asked for", "was blocked", "the disk is gone")
            with two.control(name) as control:
                if control.get("blkpf", "stray-dma") != 0:
                    raise machine.Failure(f"a VF of machine '{name}' that was stopped tried to reach memory")
    print(f"{case.moves} moves: no byte and no interrupt lost, no write twice")


if __name__ == "__main__":
    machine.run_test(lambda folder: test(folder, sys.argv[1]))
