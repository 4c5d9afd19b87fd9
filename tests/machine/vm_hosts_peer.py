# SPDX-License-Identifier: BSD-2-Clause
"""vm_hosts_peer.py [MOVES [MIB...]]: how the pause and the bytes of a move to another host grow with the guest's RAM, beside what QEMU's own
migration takes for the same guest, under TCG, on its 'pc' machine with legacy virtio devices: the same disk, network segment, work and
limits. A table, of medians."""

import os
import shutil
import statistics
import sys
import time
import typing

import gaps
import life
import machine
import pair
import pexpect
import qmp
import vm_hosts
from segment import Segment
from vm_hosts import CASES, HEAD, LIMITS, guest_words, line_of, row_of

SIZES = 96, 256, 1024, 2048 # MiB


class Peer:
    """A QEMU with the guest, or that waits for it."""

    def __init__(self, folder, name, segment, disk, memory, words, incoming):
        self.path, self.name = os.path.join(folder, name + "-qmp"), name
        images = os.path.join(pair.IMAGES, "amd64")
        command = [machine.QEMU, "-M", "pc", "-accel", "tcg", "-cpu", "EPYC", "-m", f"{memory}M", "-nodefaults", "-display", "none", "-serial", "stdio",
                   "-kernel", os.path.join(images, "vmlinuz"), "-initrd", os.path.join(images, "initrd.img"), "-append", words,
                   *qmp.arguments(self.path), *segment.netdev(f"{name}-guest", "net"),
                   "-blockdev", f"{machine.IMAGE},node-name=disk,filename={disk},locking=off",
                   "-device", "virtio-net-pci,disable-modern=on,netdev=net,romfile=,mac=06:54:00:00:10:01",
                   "-device", "virtio-blk-pci,disable-modern=on,drive=disk,share-rw=on"]
        command += ["-incoming", f"unix:{self.path}-stream"] if incoming else []
        self.process = pexpect.spawn(command[0], command[1:], timeout=machine.patience(), encoding="utf-8", codec_errors="replace")
        self.control = qmp.Qmp(self.path)

    def close(self):
        self.process.close(force=True)


class Figures(typing.NamedTuple):
    """Of the moves of one guest: bytes, milliseconds without the VM as who moves it says, for how many the guest stood still, and
    thousands of instructions, where they are counted."""
    bytes: int
    downtime: int
    still: int
    instructions: int


def figures_of(rows):
    median = lambda values: statistics.median_low(list(values))
    return Figures(median(row.bytes for row in rows), median(row.downtime for row in rows), median(row.pause.us for row in rows) // 1000,
                   median(row.pause.instructions or 0 for row in rows) // 1000)


def event_us(qemu, name):
    """When the event NAME was, which comes soon."""
    end = time.monotonic() + machine.patience()
    while (when := qemu.control.event_us(name)) is None:
        if time.monotonic() > end:
            raise machine.Failure(f"QEMU '{qemu.name}': no event {name}: {qemu.control.command('query-status')}, {qemu.control.events}")
        qemu.control.command("query-status")
        time.sleep(0.05)
    return when


def pause_between(here, there):
    """For how long the guest stood still when it went from the QEMU HERE to THERE: what is between both events."""
    return gaps.Pause(event_us(there, "RESUME") - event_us(here, "STOP"), None, None)


def move(here, there):
    here.control.command("migrate-set-parameters", **{"downtime-limit": LIMITS["downtime_limit"], "max-bandwidth": 0})
    here.control.command("migrate", uri=f"unix:{there.path}-stream")
    # Until it has begun, one that came from elsewhere answers 'completed' for that.
    while (told := here.control.command("query-migrate")).get("status") != "failed" and "downtime" not in told:
        time.sleep(0.1)
    return row_of(here.name, there.name, told, pause_between(here, there) if told["status"] == "completed" else None)


def measure_peer(folder, moves, memory):
    """The rows of QEMU's own MOVES of a guest with MEMORY MiB."""
    disk, other = shutil.copy(os.path.join(pair.IMAGES, "amd64", "rootfs.img"), os.path.join(folder, "disk.img")), life.Life()
    names, rows = ["a", "b"], []
    with Segment(folder, ["outside", "a-guest", "b-guest"]) as segment, pair.Outside(folder, segment, {}):
        here = Peer(folder, "a", segment, disk, memory, guest_words(CASES["demo"], other.port), False)
        other.wait(15)
        print(HEAD, flush=True)
        for number in range(1, moves + 1):
            there = Peer(folder, names[number % 2], segment, disk, memory, "", True)
            rows.append(move(here, there))
            print(line_of(number, rows[-1]), flush=True)
            here.close()
            here = there
            other.wait()
        other.stop()
        here.process.expect(r"test moved ended with status (\d+)")
        said = here.process.before
        here.process.expect(pexpect.EOF)
    print(f"QEMU, {memory} MiB: {len(other.ticks)} ticks; {life.check_disk(disk, said, folder)} blocks", flush=True)
    return rows


def measure(folder, moves, memory):
    """The rows of ours."""
    case = CASES["demo"]._replace(moves=moves, memory=memory)
    result = vm_hosts.run_case(folder, case)
    vm_hosts.show(case, result)
    return result[0]


def line(memory, ours, peer):
    return (f"| {memory:,} | {ours.bytes:,} | {peer.bytes:,} | {ours.bytes / peer.bytes:.2f} | {ours.downtime:,} | {peer.downtime:,} "
            f"| {ours.still:,} | {peer.still:,} | {ours.still / max(peer.still, 1):.1f} | {ours.instructions:,} |")


def test(folder, moves=4, *sizes):
    lines = []
    for memory in sizes or SIZES:
        rows = []
        for measured in (measure, measure_peer):
            own = os.path.join(folder, f"{memory}-{measured.__name__}")
            os.mkdir(own)
            rows.append(measured(own, moves, memory))
            shutil.rmtree(own)
        lines.append(line(memory, *map(figures_of, rows)))
        print(lines[-1], flush=True)
    print(f"\nmedians of {moves} moves each\n"
          "| RAM, MiB | bytes | QEMU's | ratio | downtime, ms | QEMU's | stood still, ms | QEMU's | ratio | thousand instructions |\n"
          "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    print("\n".join(lines))


if __name__ == "__main__":
    machine.run_test(lambda folder: test(folder, *map(int, sys.argv[1:])))
