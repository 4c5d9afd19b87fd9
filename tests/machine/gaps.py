# SPDX-License-Identifier: BSD-2-Clause
"""For how long a guest stood still: counted by the emulator of the test machine, started with COUNT, between one of its instructions and
the next. Nobody in the machine takes part in it (tests/qemu-device/README.md, cpu-gaps)."""

import time
import typing

import machine

COUNT = ",count=on" # of machine.PLUGIN


class Gap(typing.NamedTuple):
    """Of one CPU, since forget(): how often it left its guest; its longest gap, in instructions, and from when to when by this host's clock,
    ns; the one that it is in, 0 if it is in its guest."""
    exits: int
    instructions: int
    began: int
    ended: int
    open_instructions: int
    open_began: int


class Pause(typing.NamedTuple):
    """How long a guest stood still: microseconds; instructions that the CPU of its vCPU 0 executed meanwhile, in both machines if it
    went to another; and how often its vCPUs made an exit from the order to the end. None: not counted."""
    us: int
    instructions: int | None
    exits: int | None


def forget(control):
    """Begin anew. CONTROL: QMP of the emulator."""
    control.set("blkpf", cpu_gaps="")


def read(control):
    """A Gap for each CPU."""
    return [Gap(*map(int, word.split(","))) for word in control.get("blkpf", "cpu-gaps").split()]


def wait_closed(control, cpu):
    """Until CPU is back in its guest after the longest gap; its Gap."""
    end = time.monotonic() + machine.patience()
    while (gap := read(control)[cpu]).open_instructions > gap.instructions:
        if time.monotonic() > end:
            raise machine.Failure(f"CPU {cpu} has not gone back into its guest")
        time.sleep(0.001)
    return gap


def on_one(control, cpus):
    """The Pause of a guest whose vCPUs are on CPUS of one machine, the longest since forget()."""
    gap = wait_closed(control, cpus[0])
    exits = sum(each.exits for number, each in enumerate(read(control)) if number in cpus)
    return Pause((gap.ended - gap.began) // 1000, gap.instructions, exits)


def between(left, there, cpus):
    """The Pause of a guest that has gone from a machine, whose CPUs' Gaps are LEFT since it stopped there, to that of the control THERE."""
    gap = wait_closed(there, cpus[0])
    began = max(left[cpu].open_began for cpu in cpus)
    if not began < gap.ended:
        raise machine.Failure("the guest has run on both machines")
    return Pause((gap.ended - began) // 1000, left[cpus[0]].open_instructions + gap.instructions, sum(left[cpu].exits for cpu in cpus))
