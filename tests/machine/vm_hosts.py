# SPDX-License-Identifier: BSD-2-Clause
"""vm_hosts.py CASE: a Linux guest whose disk and network are busy goes from one test machine to the other and back, again and again: its
drivers and its TCP connection notice nothing, its clocks go on, and its disk, looked at from outside, has all that it wrote, once."""

import os
import shutil
import sys
import typing

import gaps
import life
import machine
import pair
from pair import Host

MEMORY = 96 # MiB, the least with which Debian's kernel begins
# The host is busy, and nothing here judges how long a pause is: a move is to end.
LIMITS = {"downtime_limit": 2000, "x_portolan_max_rounds": 4}


class Case(typing.NamedTuple):
    """Both machines, the guest's kernel, interrupts and vCPUs, the protocol of the PFs, how many moves there are,
    MiB of the guest's RAM, and whether it is counted for how long it stands still."""
    a: Host = Host()
    b: Host = Host()
    kind: str = "amd64"
    interrupts: str = "MSI-X"
    cpus: int = 1
    abi: str = "1.4"
    moves: int = 2
    memory: int = MEMORY
    count: bool = False


MMR_INTEL, MMR_AMD = Host("intel", "mmr"), Host("amd", "mmr")
ADMIN_INTEL, ADMIN_AMD = Host("intel", "admin"), Host("amd", "admin")

CASES = {
    "demo": Case(abi="2021", moves=6, count=True),
    "amd64": Case(MMR_INTEL, MMR_AMD),
    "i386": Case(ADMIN_INTEL, ADMIN_INTEL, "i386", "INTx", 2, "2021"),
    # The long ones.
    "mmr-admin": Case(MMR_INTEL, ADMIN_AMD, moves=4),
    "amd64-intx": Case(MMR_INTEL, MMR_AMD, "amd64", "INTx", 2, "1.4", 6),
    "amd64-admin": Case(ADMIN_INTEL, ADMIN_AMD, "amd64", "MSI-X", 2, "2021", 6),
    "i386-msix": Case(MMR_INTEL, ADMIN_AMD, "i386", "MSI-X", 1, "2021", 6),
    "i386-mmr": Case(MMR_INTEL, MMR_INTEL, "i386", "INTx", 1, "1.4", 6),
    "i386-mmr-admin": Case(MMR_INTEL, ADMIN_AMD, "i386", "INTx", 2, "1.4", 6),
}


class Row(typing.NamedTuple):
    """Of one move, what the agent of the machine that the VM left says: milliseconds without the VM and in all, rounds, pages sent and
    filled with one value, bytes; the Pause if it was counted."""
    here: str
    there: str
    downtime: int
    total: int
    rounds: int
    pages: int
    filled: int
    bytes: int
    pause: gaps.Pause | None


HEAD = f"      {'from':<6}{'rounds':>8}{'pages':>9}{'filled':>9}{'bytes':>13}{'ms off':>10}{'ms in all':>10}{'us paused':>12}{'instructions':>14}{'exits':>9}"


def line_of(number, row):
    """ROW, the NUMBERth, below HEAD."""
    pause = ["-" if figure is None else f"{figure:,}" for figure in row.pause or [None] * 3]
    return (f"  {number:>2}  {row.here} -> {row.there}{row.rounds:>8}{row.pages:>9}{row.filled:>9}{row.bytes:>13,}{row.downtime:>10}"
            f"{row.total:>10}{pause[0]:>12}{pause[1]:>14}{pause[2]:>9}")


def guest_words(case, port):
    """The kernel's command line. A busy host may give it no tick for as long as it looks for one."""
    return f"console=ttyS0 panic=-1 quiet no_timer_check root=/dev/vda portolan.test=moved,{port}" + (" pci=nomsi" if case.interrupts == "INTx" else "")


def guest_lines(case, port):
    words = guest_words(case, port)
    return f"memory = {case.memory}M\nkernel = {case.kind}/vmlinuz\ninitrd = {case.kind}/initrd.img\ncmdline = {words}\n"


def row_of(here, there, told, pause=None):
    if told.get("status") != "completed":
        raise machine.Failure(f"the move from '{here}' to '{there}' ended so: {told}")
    ram = told["ram"]
    return Row(here, there, told["downtime"], told["total-time"], ram["dirty-sync-count"], ram["normal"], ram["duplicate"], ram["transferred"], pause)


def move_all(two, other, count):
    """COUNT moves, there and back in turn; the guest lives at each end. A Row for each."""
    here, there = "a", "b"
    for number in range(1, count + 1):
        row = row_of(here, there, *(two.move_counted(here, there, **LIMITS) if two.plan.count else [two.move(here, there, **LIMITS)]))
        other.wait()
        two.wait_state(here, "off")
        if two.wait_state(there, "running", "off") == "off":
            raise machine.Failure("the guest has ended")
        print(line_of(number, row), flush=True)
        here, there = there, here
        yield row


def run_case(folder, case):
    """All of CASE. (rows, ticks, pings sent, pings lost, blocks written, bytes received, changes of the guest's port)."""
    disk = shutil.copy(os.path.join(pair.IMAGES, case.kind, "rootfs.img"), os.path.join(folder, "disk.img"))
    other = life.Life()
    files = [(os.path.join(pair.IMAGES, case.kind), case.kind)] if case.kind != "amd64" else []
    plan = pair.Plan({"a": case.a, "b": case.b}, guest_lines(case, other.port), case.abi, case.cpus, disks=(disk,), files=files, memory=f"{case.memory + 416}M",
                     count=case.count)
    with pair.Pair(folder, plan) as two:
        two.connect()
        other.wait(15)
        print(HEAD, flush=True)
        rows = list(move_all(two, other, case.moves))
        end = two.machines[rows[-1].there]
        other.stop()
        end.wait(0, r"init: test moved ended with status \d+")
        end.wait(0, r"VM 'guest': stopped\n")
        said = end.said("guest")
        if "moved: written" not in said or "status 0" not in said:
            raise machine.Failure(f"the guest ended so: {said[-2000:]}")
        moves = [move for move in two.segment.moves() if {move.here, move.there} == {"a-guest", "b-guest"}]
        for each in two.machines.values():
            each.forbid("PANIC", "ERROR", "was blocked", "Call Trace", "I/O error")
    ticks, sent, lost = other.check(said)
    return rows, ticks, sent, lost, life.check_disk(disk, said, folder), other.sent, len(moves)


def show(case, result):
    rows, ticks, sent, lost, written, received, moves = result
    print(f"\n  moves                    {len(rows)}, of {case.memory} MiB each: {case.kind}, {case.interrupts}, {case.cpus} vCPUs, VFs by {case.abi}; "
          f"a: {case.a.iommu}, {case.a.transport}; b: {case.b.iommu}, {case.b.transport}")
    print(f"  without the VM           {min(row.downtime for row in rows)} to {max(row.downtime for row in rows)} ms")
    if case.count:
        us, instructions, _ = zip(*(row.pause for row in rows))
        print(f"  it stood still           {min(us):,} to {max(us):,} us, {min(instructions):,} to {max(instructions):,} instructions")
    print(f"  bytes                    {min(row.bytes for row in rows):,} to {max(row.bytes for row in rows):,}")
    print(f"  the disk, from outside   clean; {written} numbered blocks written, none lost or doubled; the known data right")
    print(f"  one TCP connection       {received:,} bytes to the guest, checksum right; {ticks} ticks from it, its clocks only forwards")
    print(f"  pings                    {sent}, not answered: {lost}")
    print(f"  the guest's address      went from one machine's port of the switch to the other's {moves} times")
    if moves < len(rows):
        raise machine.Failure("a switch has not learnt of every move")


def test(folder, name):
    show(CASES[name], run_case(folder, CASES[name]))


if __name__ == "__main__":
    machine.run_test(lambda folder: test(folder, sys.argv[1]))
