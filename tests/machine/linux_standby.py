# SPDX-License-Identifier: BSD-2-Clause
"""linux_standby.py 1.4|2021 QUEUES [DEATHS]: Linux in two VMs, one on a block VF and one on a net VF, each with QUEUES queues, or pairs of them,
and as many vCPUs. Each VF dies at random moments, DEATHS times (3), and the VM goes on with its standby: what the one reads and writes on
its disk and what the other gets by TCP are right all the time."""

import functools
import hashlib
import http.server
import os
import random
import re
import shutil
import sys
import threading
import time

import linux
import machine
import qmp
from demo import IMAGES

PAYLOAD, PARTS = 48 << 10, 5 # bytes of a file, and how often it is taken in a round

SECTION = """[pf {pf}]
num_vfs = 4
[vm {name}]
cpus = {first}-{last}
memory = 256M
kernel = amd64/vmlinuz
initrd = amd64/initrd.img
cmdline = {cmdline}
vf = {pf}/0
standby = {pf}/2
"""
VMS = {"disk": ("02:00.0", "blkpf"), "net": ("01:00.0", "netpf")}


class StandbyMachine(machine.Machine):
    """The test machine: VFs 0 and 2 of a PF have the same disk, or are on the same hub."""

    def __init__(self, image, disk, properties, **options):
        self.disk, self.properties = disk, properties
        super().__init__(image, **options)

    def arguments(self, image, extra=(), **options):
        pfs = ["-device", "pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on",
               "-device", "pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1",
               "-netdev", "user,id=user", "-netdev", "hubport,id=hub,hubid=0,netdev=user"]
        for vf in (0, 2):
            pfs += ["-netdev", f"hubport,id=net{vf},hubid=0",
                    "-blockdev", f"{machine.IMAGE},node-name=disk{vf},filename={self.disk},locking=off"]
        pfs += ["-device", f"portolan-net-pf,id=netpf,bus=rp1,vfs=4,vf-backends=net0::net2,vf-one-mac=on{self.properties}",
                "-device", f"portolan-blk-pf,id=blkpf,bus=rp2,vfs=4,vf-backends=disk0::disk2{self.properties}"]
        return machine.qemu_command(image, pfs=False, extra=pfs + list(extra), **options)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serve(folder):
    """A web server with a file 'payload' of random bytes. Its port, and the checksum of what a round has."""
    root = os.path.join(folder, "web")
    os.mkdir(root)
    payload = os.urandom(PAYLOAD)
    with open(os.path.join(root, "payload"), "wb") as file:
        file.write(payload)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1], hashlib.sha256(payload * PARTS).hexdigest()


def rounds(run, name, count=1):
    """VM NAME ends COUNT rounds from here on."""
    mark = run.mark()
    if "ended" in run.wait_said(name, mark, "|".join((r"standby: round \d+ right.*" * count, "init: test standby ended"))).group(0):
        raise machine.Failure(f"VM '{name}' has ended: {run.said(name, mark)}")


def dies(run, control, name, choices):
    """VM NAME's VF dies at some moment of a round, and is moved back to when it is there again."""
    pf, device = VMS[name]
    rounds(run, name)
    began = time.monotonic()
    rounds(run, name)
    mark, whole = run.mark(), time.monotonic() - began
    time.sleep(choices.random() * whole) # that is what makes moments random
    control.set(device, fault_vf=1, fault_all_ones=True)
    run.wait(mark, rf"VM '{name}': VF 0000:{pf}:0 is lost: its standby takes its place")
    control.set(device, fault_vf=1, fault_all_ones=False)
    run.wait(mark, rf"VM '{name}': moved from VF 0000:{pf}:0, which is lost, to VF 0000:{pf}:2")
    us = run.wait(mark, r"  us: .*; (\d+) in all")[1]
    rounds(run, name, 2) # one of them whole
    moved, why, _ = run.move(name, f"{pf}:2", f"{pf}:0")
    if not moved:
        raise machine.Failure(f"not moved back{why}")
    rounds(run, name)
    print(f"VM '{name}': its VF died, and it went on with the standby, {us} us", flush=True)


def end(run, name, number):
    """Somebody types a line for VM NAME, the NUMBERth, which is in the foreground until it ends."""
    mark = run.mark()
    run.send(f"\x01{number}")
    run.expect(rf"VM {number}, \S+: running")
    run.send("\r")
    run.wait_said(name, mark, r"init: test standby ended with status 0(?!\d)")
    run.wait(mark, rf"VM '{name}': stopped")
    run.send("\x010")


def test(folder, abi, queues, deaths=3):
    port, digest = serve(folder)
    words = {"disk": " root=/dev/vda portolan.test=standby,disk", "net": f" portolan.test=standby,net,{port}"}
    config = "[vmm]\nwhen_idle = halt\n"
    for number, (name, (pf, _)) in enumerate(VMS.items()):
        first = 1 + number * queues
        config += SECTION.format(pf=pf, name=name, first=first, last=first + queues - 1, cmdline=linux.CMDLINE + words[name])
    image = machine.make_image(folder, config, [(os.path.join(IMAGES, "amd64"), "amd64")])
    disk = shutil.copy(os.path.join(IMAGES, "amd64", "rootfs.img"), os.path.join(folder, "disk.img"))
    path, choices = os.path.join(folder, "qmp"), random.Random(1)
    run = StandbyMachine(image, disk, f",migration={abi},vf-queues={queues}", cpus=1 + len(VMS) * queues, memory="1G",
                         extra=qmp.arguments(path))
    with run, qmp.Qmp(path) as control:
        for name in VMS:
            rounds(run, name)
        for _ in range(deaths):
            for name in VMS:
                dies(run, control, name, choices)
        for number, name in enumerate(VMS, 1):
            end(run, name, number)
        run.wait(0, r"no VM is running")
        sums = re.findall(r"standby: payload ([0-9a-f]{64})", run.said("net"))
        if not sums or set(sums) != {digest}:
            raise machine.Failure(f"a file from the network is not right: {sums}")
        run.forbid("PANIC", "ERROR", "was blocked", "Call Trace", "I/O error")
        print(f"{len(sums) * PARTS} files of {PAYLOAD:,} bytes from the network; I/O errors: 0")
        print(run.log()[-6000:])


if __name__ == "__main__":
    machine.run_test(lambda folder: test(folder, sys.argv[1], *map(int, sys.argv[2:])))
