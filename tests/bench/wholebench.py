# SPDX-License-Identifier: BSD-2-Clause
"""wholebench.py MIB...: how what the VMM does while a whole VM stands still grows with the RAM of the VM, counted in instructions;
docs/performance.md.

guest/vblk works with the disk of its VF meanwhile. It goes to another VM of the same machine, by guest/portal: so there is no network in it, and
no agent. Each figure is printed as 'bench NAME VALUE UNIT peer=VALUE'.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import counted  # noqa: E402
import figures  # noqa: E402
import gaps  # noqa: E402
import machine  # noqa: E402
import qmp  # noqa: E402
import vfdisk  # noqa: E402

FILES = [(os.path.join(machine.BUILD, "guest", name), name) for name in ("vblk.elf", "portal.elf")]
VM = """[vm {name}]
cpus = {cpu}
memory = {memory}M
multiboot = {program}
cmdline = {words}
debug_exit = 0xf4
{more}
"""
HERE, THERE = 1, 2 # CPUs

# Every figure, and the most that it may be, of which so much for each MiB of RAM: about twice what it is today, in thousand instructions.
# Of all CPUs from the stop to the handover, with all that the service VM's small program does; of the guest's CPU alone; and of all from the
# order to load the VM to its first instruction.
FIGURES = {"leave": (12000, 5), "still": (1200, 0.7), "arrive": (2500, 0)}


def config(memory):
    vms = [VM.format(name=name, cpu=cpu, memory=memory, program="vblk.elf", words="rounds way=2", more=more + f"vf = 02:00.0/{cpu - 1}\n")
           for name, cpu, more in (("here", HERE, "migrate = yes\n"), ("there", THERE, "incoming = yes\nautostart = no\n"))]
    service = VM.format(name="svc", cpu=3, memory=memory + 96, program="portal.elf", words=f"vfs=1 memory={memory}",
                        more="autostart = no\nservice = yes")
    return "[vmm]\nwhen_idle = halt\n[pf 02:00.0]\nnum_vfs = 2\n" + "".join(vms) + service


def seconds_of(log, pattern):
    """When the VMM said PATTERN last: thousands of instructions since its start."""
    times = re.findall(r"\[ *(\d+)\.(\d{6})\] " + pattern, log)
    if not times:
        raise machine.Failure(f"not said: {pattern}")
    return int(times[-1][0]) * 1000000 + int(times[-1][1])


def measure(folder, memory):
    """{FIGURE: value} of a VM with MEMORY MiB."""
    own = os.path.join(folder, str(memory))
    os.mkdir(own)
    disk, path = vfdisk.make(own), os.path.join(own, "qmp")
    run = counted.VfMachine(bios.make_iso(own, config(memory), FILES), disks=[f"{machine.IMAGE},filename={disk},locking=off"] * 2,
                            properties=",migration=2021", more=qmp.arguments(path), plugin=gaps.COUNT, cpus=4, memory=f"{3 * memory + 512}M")
    with run, qmp.Qmp(path) as control:
        run.wait_said("here", 0, r"round \d+ ok.*" * 2)
        gaps.forget(control)
        mark = run.mark()
        run.send("vm start svc\r")
        run.wait(mark, r"VM 'here': handed over to another host")
        still = gaps.read(control)[HERE].open_instructions
        run.wait(mark, r"VM 'svc': debug exit, status 1\n")
        run.wait_said("there", run.mark(), r"round \d+ ok.*" * 2)
        run.forbid("PANIC", "ERROR", "FAIL", "was blocked")
        log = run.log(mark)
    stop, handover = (seconds_of(log, "VM 'here': " + text) for text in ("stopped to be moved", "handed over"))
    arrive = int(re.search(r"VM 'there': came from another host, and runs after (\d+) us", log)[1])
    print(f"{memory} MiB: " + "; ".join(re.findall(r"pages? (?:dirty again|at the end|of VFs): \d+", run.log())), flush=True)
    return {"leave": handover - stop, "still": still // 1000, "arrive": arrive}


def test(folder):
    values, limits = {}, {}
    for size in map(int, sys.argv[1:]):
        values.update({f"{name}_{size}": value for name, value in measure(folder, size).items()})
        limits.update({f"{name}_{size}": ("thousand_instructions", 1, most + int(each * size)) for name, (most, each) in FIGURES.items()})
    figures.show(limits, values)


machine.run_test(test)
