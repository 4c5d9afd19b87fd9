# SPDX-License-Identifier: BSD-2-Clause
"""peer.py CASE: a Linux that nobody here wrote drives the test device, in QEMU alone: no VMM there. See README.md. Exit 77: that
Linux cannot be had; the last line says why."""

import hashlib
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "tests", "machine"), os.path.join(TOP, "guest", "linux")]

import images  # noqa: E402
import machine  # noqa: E402
import qmp  # noqa: E402

SKIPPED = 77
LINUX = os.path.join(machine.BUILD, "peer")
PROGRAM = os.path.join(machine.BUILD, "peer-vfio")
PAIRS = 4 # of VFs, of which one may be moved to the other
DISK_BYTES = 2 << 20
NET_ADDRESS = "52:54:00:12:34:00" # of the PF; the device makes those of the VFs from it
VF_ADDRESS = "06:54:12:34:00:01"

# What Linux says of a command that the device has refused, and of a queue that it has given up.
REFUSED = re.compile(r"LOG: .*admin command error: status\((\w+)\) qualifier\((\w+)\)")
GIVEN_UP = re.compile(r"LOG: .*Failed to execute command on admin vq: -95")
NEVER = ("fault addr", "WARNING:", "BUG:", "Kernel panic")


def get_linux():
    """Bring the kernel here, with its module; or end."""
    done = subprocess.run([os.path.join(HERE, "build.sh"), LINUX], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == SKIPPED:
        print(f"skipped: {done.stdout.strip()}")
        sys.exit(SKIPPED)
    if done.returncode:
        raise machine.Failure("tests/peer/build.sh failed")


def make_initrd(folder, task):
    root = os.path.join(folder, "root")
    shutil.copytree(os.path.join(LINUX, "lib"), os.path.join(root, "lib"))
    os.makedirs(os.path.join(root, "bin"))
    for source, name in ((os.path.join(LINUX, "busybox"), "bin/busybox"), (PROGRAM, "bin/peer"), (os.path.join(HERE, "init"), "init")):
        shutil.copy(source, os.path.join(root, name))
        os.chmod(os.path.join(root, name), 0o755)
    if task.startswith("vfiod,"):
        images.add_program(root, os.path.join(machine.BUILD, "portolan-vfiod"), "bin/portolan-vfiod")
        shutil.copy(os.path.join(machine.BUILD, "vfiod-net-client"), os.path.join(root, "bin", "net-client"))
    path = os.path.join(folder, "initrd")
    images.make_initrd(root, path)
    return path


def make_disks(folder):
    """A disk for the PF and the first pair of VFs, and one for each other pair; and the sum of their first half."""
    data = b"".join(hashlib.sha256(number.to_bytes(8, "little")).digest() for number in range(DISK_BYTES // 32))
    for pair in range(PAIRS):
        with open(os.path.join(folder, f"disk{pair}"), "wb") as file:
            file.write(data)
    return hashlib.sha256(data[:DISK_BYTES // 2]).hexdigest()


class PeerMachine(machine.Machine):
    """QEMU with that kernel, an IOMMU and two PFs, whose VFs have a disk for two, and a network each. Its time counts
    instructions: Linux gives up a timer that is late because the host is busy. One CPU: Linux patches its code while others run
    it, and QEMU's CPUs then meet a breakpoint that is gone again, now and then."""

    def arguments(self, folder, task, properties=""):
        backends = [item for number in range(2 * PAIRS + 1) for item in (
            "-netdev", f"user,id=n{number}",
            "-blockdev", f"{machine.IMAGE},node-name=d{number},filename={folder}/disk{max(number - 1, 0) // 2},locking=off")]
        networks, disks = (":".join(f"{letter}{number + 1}" for number in range(2 * PAIRS)) for letter in "nd")
        return [
            machine.QEMU, "-M", "q35,kernel-irqchip=split", "-accel", "tcg,thread=single", *machine.ICOUNT, "-cpu", "EPYC", "-m", "512M",
            "-nodefaults", "-no-reboot", *machine.IOMMUS["intel"], *machine.PLUGIN, *qmp.arguments(os.path.join(folder, "qmp")),
            "-kernel", os.path.join(LINUX, "vmlinuz"), "-initrd", make_initrd(folder, task),
            "-append", f"console=ttyS0 intel_iommu=on panic=-1 loglevel=4 peer={task}",
            *backends,
            "-device", "pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on",
            "-device", "pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1",
            "-device", f"portolan-net-pf,id=netpf,bus=rp1,mac={NET_ADDRESS},netdev=n0,vfs={2 * PAIRS},vf-backends={networks}{properties}",
            "-device", f"portolan-blk-pf,id=blkpf,bus=rp2,drive=d0,vfs={2 * PAIRS},vf-backends={disks}{properties}",
        ]


def refusals(run):
    return REFUSED.findall(run.log())


def check_queue(run, control):
    """Commands 0, 1, 7, 8 and 9 at each of four probes, and none was refused."""
    for name in ("netpf", "blkpf"):
        found = control.get(name, "admin-commands")
        if found != 4 * 5:
            raise machine.Failure(f"{name} has had {found} administration commands, not 20")
    if refusals(run) or GIVEN_UP.search(run.log()):
        raise machine.Failure("a command was refused")


def check_queue_lists(run, control):
    """Without migration: commands 0 and 1. Linux asks for the capabilities all the same, and sends nothing."""
    for name in ("netpf", "blkpf"):
        found = control.get(name, "admin-commands")
        if found != 4 * 2:
            raise machine.Failure(f"{name} has had {found} administration commands, not 8")
    if refusals(run):
        raise machine.Failure("a command was refused")


def check_queue_strict(run, control):
    """The standard's own lists: the PFs work all the same. Whether this Linux can use their queue is no fault of the device's."""
    if set(refusals(run)) - {("0x16", "0x4")}:
        raise machine.Failure("other commands were refused than that for a group which is not there")
    print(f"with strict-lists=on this Linux {'gives the queue up' if GIVEN_UP.search(run.log()) else 'uses the queue'}")


def check_legacy(run, control):
    """Those accesses were refused that cannot be to one register, no others, and nothing went by the registers in memory."""
    if refusals(run) != [("0x16", "0x3")] * 3:
        raise machine.Failure(f"commands were refused: {refusals(run)}")
    run.require("without MSI-X: registers, frames and ISR work", "frames and interrupts work", "PASS")
    if control.get("netpf", "bad-accesses"):
        raise machine.Failure("the device counts bad accesses")


def check_vfiod(run, control):
    """No access was refused: each was to one register. Memory was taken away under a request, twice."""
    if refusals(run):
        raise machine.Failure(f"commands were refused: {refusals(run)}")
    run.require("client: device 0x1000", "client: 21 answers by intx", "client: 21 answers by msix", "a block VF is refused",
                "has no legacy registers in its memory, and no I/O BAR")
    if control.get("netpf", "bad-accesses"):
        raise machine.Failure("the device counts bad accesses")


def check_moves(run, control, pairs):
    run.require("goes on after a migration that was called off", "a state with other device features was refused", "saved live",
                "saved stopped", "PASS")
    if refusals(run) != [("0x16", "0x3")] * pairs:
        raise machine.Failure(f"commands were refused: {refusals(run)}")
    if (count := run.log().count("peer: moved from")) != 6 * pairs:
        raise machine.Failure(f"{count} moves, not {6 * pairs}")
    for name in ("netpf", "blkpf"):
        if control.get(name, "stray-dma"):
            raise machine.Failure("a VF that was stopped tried to reach memory")


def check_move(run, control):
    check_moves(run, control, 1)


def check_many(run, control):
    check_moves(run, control, PAIRS)


# What /init does, properties of the PFs, and what has to be so then.
CASES = {
    "queue": ("queue", ",migration=1.4", check_queue),
    "queue-lists": ("queue", "", check_queue_lists),
    "queue-strict": ("queue", ",migration=1.4,strict-lists=on", check_queue_strict),
    "legacy": ("legacy", "", check_legacy),
    "vfiod-vf": ("vfiod", "", check_vfiod),
    "move-net": ("move", ",migration=1.4", check_move),
    "move-legacy-net": ("move", ",migration=1.4", check_move),
    "move-block": ("move", ",migration=1.4", check_move),
    "mmr-net": ("move", ",migration=1.4,mmr=on", check_move),
    "mmr-block": ("move", ",migration=1.4,mmr=on", check_move),
    # Room for as many objects as one move has: those of a user that died must not stay.
    "leave-block": ("leave", ",migration=1.4,parts-get-limit=2,parts-set-limit=2", check_move),
    "many-block": ("many", ",migration=1.4", check_many),
}


def run_case(folder, case):
    get_linux()
    task, properties, check = CASES[case]
    properties = properties if "mmr=" in properties else properties + ",mmr=off"
    total = make_disks(folder)
    argument = {"queue": total, "legacy": VF_ADDRESS, "vfiod": VF_ADDRESS}.get(task, case.partition("-")[2])
    with PeerMachine(folder, task=f"{task},{argument}", properties=properties) as run, \
            qmp.Qmp(os.path.join(folder, "qmp")) as control:
        release = run.expect(r"LINUX (\S+)\s").group(1)
        end = run.expect(r"(DONE|FAILED:[^\n]*)[^\n]*\n").group(1)
        if end != "DONE":
            raise machine.Failure(end)
        run.forbid("FAILED", *NEVER[task == "vfiod":]) # there memory is taken away under a request
        check(run, control)
        run.kill()
        print("\n".join(line for line in run.log().splitlines() if line.startswith(("peer:", "client:", "CHECKED:"))))
        print(f"Linux {release}")


if __name__ == "__main__":
    machine.run_test(lambda folder: run_case(folder, sys.argv[1]))
