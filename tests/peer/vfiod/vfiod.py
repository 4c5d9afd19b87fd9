# SPDX-License-Identifier: BSD-2-Clause
"""vfiod.py CASE: a QEMU that nobody here wrote is the client of portolan-vfiod, and its guests use what it serves. See
../README.md. Exit 77: that QEMU cannot be had; the last line says why."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path[:0] = [os.path.join(TOP, "tests", "machine"), os.path.join(TOP, "guest", "linux")]

import images  # noqa: E402
import machine  # noqa: E402

SKIPPED = 77
PEER = os.path.join(machine.BUILD, "peer-qemu")
QEMU = os.path.join(PEER, "qemu")
DAEMON = os.path.join(machine.BUILD, "portolan-vfiod")
CHECKED = os.path.join(machine.BUILD, "vfiod-checked") # with AddressSanitizer
SECTORS = 64
DISK_BYTES = 8 << 20
PAYLOAD = 1 << 20
ADDRESS = "52:54:00:12:34:56"


def get_qemu():
    """Bring that QEMU here; or end."""
    done = subprocess.run([os.path.join(TOP, "tests", "peer", "qemu.sh"), PEER], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == SKIPPED:
        print(f"skipped: {done.stdout.strip()}")
        sys.exit(SKIPPED)
    if done.returncode:
        raise machine.Failure("tests/peer/qemu.sh failed")


def data_of(size, seed):
    return b"".join(hashlib.sha256(seed + number.to_bytes(8, "little")).digest() for number in range(size // 32))


def write_file(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def wait_for_socket(path, process):
    end = time.monotonic() + machine.patience()
    while not os.path.exists(path):
        if process.poll() is not None:
            raise machine.Failure(f"{process.args[0]} has ended before {path} was there")
        if time.monotonic() > end:
            raise machine.Failure(f"no {path} within the time limit")
        time.sleep(0.05)


class Server:
    """A program that listens at SOCKET until the test ends."""

    def __init__(self, socket, *command):
        self.socket = socket
        self.log = open(socket + ".log", "w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for_socket(socket, self.process)

    def __enter__(self):
        return self

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=machine.patience())
        if kind is not None or code:
            print(f"--- {' '.join(self.process.args)} (ended with {code}) said:\n{self.said()}")
        self.log.close()
        if kind is None and code:
            raise machine.Failure(f"{self.process.args[0]} ended with {code}")


def serve(folder, name, options, program=CHECKED):
    path = os.path.join(folder, name + ".sock")
    filtered = [] if program == DAEMON else ["--seccomp=none"] # AddressSanitizer has system calls of its own
    return Server(path, program, f"--socket-path={path}", f"--simulated={options}", *filtered)


def network(folder, path="net.sock"):
    """A network with a server of files from FOLDER at 10.0.2.2, behind a socket: QEMU's own, without a machine."""
    path = os.path.join(folder, path)
    return Server(path, machine.QEMU, "-M", "none", "-display", "none", "-monitor", "none", "-serial", "none",
                  "-netdev", f"user,id=user,tftp={folder},bootfile=sum", "-netdev", "hubport,id=p1,hubid=0,netdev=user",
                  "-netdev", f"stream,id=out,server=on,addr.type=unix,addr.path={path}",
                  "-netdev", "hubport,id=p2,hubid=0,netdev=out")


def device(server, more=""):
    return ["-device", f'{{"driver":"vfio-user-pci","socket":{{"type":"unix","path":"{server.socket}"}}{more}}}']


class Client(machine.Machine):
    """That QEMU, with RAM that servers can map, or FAR one, which they have by messages only."""

    def arguments(self, extra, far=False, **options):
        memory = "memory-backend-ram,id=ram,size=256M" if far else "memory-backend-memfd,id=ram,size=256M,share=on"
        return [QEMU, "-M", "pc,memory-backend=ram,graphics=off", "-object", memory, "-m", "256M",
                "-accel", "tcg", "-cpu", "max", "-nodefaults", "-no-reboot", *extra]


# ---- SeaBIOS and iPXE: the guest's words come by the debug port ----

DEBUG_PORT = ("-chardev", "file,id=debug,path={0}", "-device", "isa-debugcon,iobase=0xe9,chardev=debug")


def boot(folder, extra, **options):
    """What the guest said until it switched itself off."""
    path = os.path.join(folder, "debug.log")
    with Client([item.format(path) for item in DEBUG_PORT] + extra, **options) as run:
        run.expect_end()
        with open(path, encoding="ascii", errors="replace") as file:
            said = file.read().strip()
        print(f"the guest said: {said}")
        return said


def sum_of(disk):
    words = disk[512:512 * (1 + SECTORS)]
    return sum(int.from_bytes(words[at:at + 2], "little") for at in range(0, len(words), 2)) & 0xffffffff


def case_seabios(folder, transport, far=False):
    with open(os.path.join(machine.BUILD, "peer-sum.bin"), "rb") as file:
        disk = file.read() + data_of(1 << 20, b"disk")
    path = write_file(os.path.join(folder, "disk"), disk)
    with serve(folder, "disk", f"block,file={path},transport={transport}") as server:
        said = boot(folder, device(server, ',"bootindex":0'), far=far)
    if said != f"sum {sum_of(disk):08x}":
        raise machine.Failure(f"the sum is {sum_of(disk):08x}")


def case_ipxe(folder):
    with open(os.path.join(machine.BUILD, "peer-sum.bin"), "rb") as file:
        write_file(os.path.join(folder, "sum"), file.read())
    rom = os.path.join(PEER, "root", "usr", "share", "qemu", "pxe-virtio.rom")
    with network(folder) as net, serve(folder, "nic", f"net,socket={net.socket},mac={ADDRESS}") as server:
        # The ROM names other devices: to SeaBIOS this is the one for ours.
        said = boot(folder, device(server, ',"bootindex":0') + ["-fw_cfg", f"name=pci1af4,,1000.rom,file={rom}"])
    if said != "no disk can be read":
        raise machine.Failure("the program was not loaded")


# ---- Linux ----

def make_initrd(folder, arch):
    """The RAM disk of build/linux, and behind it one with the guest's part of this test."""
    root = os.path.join(folder, "root")
    os.makedirs(os.path.join(root, "tests"))
    os.makedirs(os.path.join(root, "usr", "bin"))
    shutil.copy(os.path.join(machine.BUILD, "peer-notify"), os.path.join(root, "usr", "bin", "notify"))
    with open(os.path.join(HERE, "guest"), "rb") as file:
        write_file(os.path.join(root, "tests", "vfiod"), file.read())
    path = os.path.join(folder, "initrd")
    images.make_initrd(root, path)
    with open(os.path.join(machine.BUILD, "linux", arch, "initrd.img"), "rb") as first, open(path, "rb") as second:
        data = first.read() + second.read()
    return write_file(path, data)


def check_disk(run, path, disk):
    """What the guest read and wrote, by checksum, from outside."""
    half = DISK_BYTES // 2
    whole, first = hashlib.sha256(disk).hexdigest(), hashlib.sha256(disk[:half]).hexdigest()
    run.require(f"vfiod: read {whole}", f"vfiod: copied {first}", "vfiod: serial portolan-vfiod")
    with open(path, "rb") as file:
        found = file.read()
    if found[:half] != disk[:half] or found[half:] != disk[:half]:
        raise machine.Failure("the disk's file is not what the guest wrote")


def check_cost(run):
    """The least of three rounds each, as ratios."""
    costs = {}
    for name, large, small in re.findall(r"vfiod: cost (\w+) (\d+) (\d+)", run.log()):
        costs.setdefault(name, []).append((int(large), int(small)))
    for index, what, size in ((0, "throughput", DISK_BYTES >> 20), (1, "requests of 4 KiB", 1024)):
        ours, theirs = (max(min(cost[index] for cost in costs[name]), 1) for name in ("vda", "vdb"))
        print(f"bench vfiod {what}: {size / ours * 100:.0f} a second, by QEMU's own device {size / theirs * 100:.0f}: "
              f"ratio {theirs / ours:.2f}")
    notify = {name: int(cost) for name, cost in re.findall(r"vfiod: notify (\w+) (\d+)", run.log())}
    if notify:
        print(f"bench vfiod notification: {notify['vda']} ns, by QEMU's own device {notify['vdb']} ns: "
              f"ratio {notify['vdb'] / notify['vda']:.4f}")


def case_linux(folder, arch, transport, intx):
    disk = data_of(DISK_BYTES, b"linux")
    path = write_file(os.path.join(folder, "disk"), disk)
    other = write_file(os.path.join(folder, "other"), disk)
    payload = data_of(PAYLOAD, b"payload")
    write_file(os.path.join(folder, "payload.bin"), payload)
    kernel = os.path.join(machine.BUILD, "linux", arch, "vmlinuz")
    with network(folder) as net, \
            serve(folder, "disk", f"block,file={path},transport={transport}", DAEMON) as block, \
            serve(folder, "nic", f"net,socket={net.socket},mac={ADDRESS},transport={transport}", DAEMON) as nic, \
            Client(["-kernel", kernel, "-initrd", make_initrd(folder, arch),
                    "-append", "console=ttyS0 panic=-1 portolan.test=vfiod" + (" pci=nomsi" if intx else ""),
                    *device(block, ',"addr":"4"'), *device(nic, ',"addr":"5"'),
                    "-blockdev", f"driver=file,node-name=other,filename={other}",
                    "-device", "virtio-blk-pci,drive=other,disable-modern=on,disable-legacy=off,addr=6"]) as run:
        run.expect(r"init: test vfiod ended with status \d+")
        run.expect_end()
        run.require("device 0x1001 driver virtio-pci ports", "device 0x1000 driver virtio-pci ports", "5 packets received",
                    f"vfiod: address {ADDRESS}", f"vfiod: payload {hashlib.sha256(payload).hexdigest()}", "vfiod: done")
        run.forbid("WARNING:", "BUG:", "Kernel panic")
        check_disk(run, path, disk)
        msix = re.findall(r"PCI-MSI.*virtio(\d)-(?:req|input|output)", run.log())
        if intx and msix or not intx and {"0", "1"} - set(msix):
            raise machine.Failure(f"queues with MSI-X are those of {msix}")
        check_cost(run)
        if arch == "amd64":
            run.require("vfiod: notify vda", "vfiod: notify vdb")


CASES = {
    "seabios": (case_seabios, "mmr"),
    "seabios-admin": (case_seabios, "admin"),
    "seabios-far": (case_seabios, "mmr", True),
    "ipxe": (case_ipxe,),
    "linux-amd64": (case_linux, "amd64", "mmr", False),
    "linux-i386-intx": (case_linux, "i386", "admin", True),
}


def run_case(folder, case):
    get_qemu()
    function, *arguments = CASES[case]
    function(folder, *arguments)
    with open(os.path.join(PEER, "release"), encoding="ascii") as file:
        print(f"QEMU {file.read().strip()}")


if __name__ == "__main__":
    machine.run_test(lambda folder: run_case(folder, sys.argv[1]))
