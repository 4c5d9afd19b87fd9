# SPDX-License-Identifier: BSD-2-Clause
"""demo.py [--vms N]: the main job before your eyes. Debian's kernel, unmodified, in a VM whose root file system is on a
virtio-blk VF and whose network is a virtio-net VF; both VFs have their legacy registers in memory only. Ends 'demo: PASS'
and 0, or says what failed."""

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile

import machine

IMAGES = os.path.join(machine.BUILD, "linux", "amd64")
NAMES = ["left", "right"]
PAYLOAD = 4 << 20
BOOT = 600 # seconds; a busy host may take long

SECTION = """
[vm {name}]
cpus = {cpu}
memory = 256M
kernel = amd64/vmlinuz
initrd = amd64/initrd.img
cmdline = console=ttyS0 panic=-1 quiet root=/dev/vda portolan.test=demo
vf = 0000:02:00.0/{index}
vf = 0000:01:00.0/{index}
"""

CONFIG = """[vmm]
when_idle = halt
[pf 0000:01:00.0]
num_vfs = 2
[pf 0000:02:00.0]
num_vfs = 2
"""


class Screen:
    """Shows the serial line, without the firmware's cursor movements."""

    def __init__(self, log):
        self.log = log

    def write(self, text):
        self.log.append(text)
        sys.stdout.write(re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", text))

    def flush(self):
        sys.stdout.flush()


class DemoMachine(machine.Machine):
    """The test machine with a copy of the root file system and a network of its own behind each VF."""

    def __init__(self, image, disks, payload, **options):
        self.disks, self.payload = disks, payload
        super().__init__(image, **options)

    def arguments(self, image, **options):
        extra = ["-plugin", machine.DEVICE,
                 "-device", "pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on",
                 "-device", "pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1"]
        for number, disk in enumerate(self.disks):
            extra += ["-netdev", f"user,id=net{number},tftp={self.payload}",
                      "-blockdev", f"driver=file,node-name=disk{number},filename={disk}"]
        nets = ":".join(f"net{number}" for number in range(len(self.disks)))
        disks = ":".join(f"disk{number}" for number in range(len(self.disks)))
        extra += ["-device", f"portolan-net-pf,id=netpf,bus=rp1,vfs=2,vf-backends={nets}",
                  "-device", f"portolan-blk-pf,id=blkpf,bus=rp2,vfs=2,vf-backends={disks}"]
        return machine.qemu_command(image, pfs=False, extra=extra, **options)


def require(log, pattern, meaning):
    """The groups of PATTERN in LOG."""
    match = re.search(pattern, log)
    if not match:
        raise machine.Failure(f"not seen: {meaning}")
    return match.groups()


def plain(log):
    return re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", log)


def lines_of(log, name):
    """What VM NAME said."""
    return "\n".join(re.findall(rf"\[{name}\] (.*)", log))


def statistics(run, name):
    """What the VMM counts about VM NAME."""
    before = len(run.log())
    run.send(f"stats {name}\r")
    run.expect(rf"{name}: off")
    run.expect(r"all VMs: \d+ domains.*\n")
    run.send("vm list\r") # behind the last line
    run.expect(rf"\d +{name} +off")
    return plain(run.log()[before:])


def row(name, value):
    print(f"  {name:<34}{value}")


def show(name, said, counted, payload):
    """The table of one VM. Raises Failure for what is not as it must be."""
    functions = re.findall(r"demo: function (\S+) device 0x(\w+) revision 0x(\w+) driver (\S+) ports (\w+)", said)
    devices = sorted(function[1] for function in functions)
    if devices != ["1000", "1001"] or any(int(function[2], 16) or function[3] != "virtio-pci" for function in functions):
        raise machine.Failure(f"the guest's functions are not a legacy net and a legacy block device: {functions}")
    require(said, r"data: on /dev/vda", "the root file system on the VF")
    require(said, r"known\.bin: OK", "the checksum of what was read")
    require(said, r"data: right", "what was written, read again")
    read, written = require(said, r"demo: disk (\d+) (\d+) bytes", "the disk's counters")
    require(said, r"5 packets transmitted, 5 packets received", "five answers to five pings")
    if require(said, r"demo: payload (\w+)", "the file from the network")[0] != payload:
        raise machine.Failure("the file from the network has another checksum")
    received, sent, bytes_in, bytes_out = require(said, r"demo: packets (\d+) (\d+) bytes (\d+) (\d+)", "the net counters")
    print(f"\n{name}:")
    for function, device, _, driver, ports in functions:
        kind = {"1000": "net", "1001": "block"}[device]
        row(f"legacy {kind} at {function}", f"1af4:{device} revision 0, ports {ports}h, driver {driver}")
    row("disk, read, checksum right", f"{int(read):,} bytes")
    row("disk, written, read again", f"{int(written):,} bytes")
    row("network, file's checksum right", f"{PAYLOAD:,} bytes; {int(bytes_in):,} in, {int(bytes_out):,} out")
    row("packets", f"{received} received, {sent} sent; 5 of 5 pings answered")
    for reason, exits in re.findall(r"^ {4}(\S.*?) +(\d+) exits +\d+ cycles", counted, re.MULTILINE):
        row(f"exits: {reason}", exits)
    counters = re.findall(r"(\d+) notifies, (\d+) interrupts .*?, (\d+) messages .*?, (\d+) INTx", counted)
    for kind, (notifies, interrupts, messages, _) in zip(("block VF", "net VF"), counters):
        row(kind, f"{notifies} notifies, {interrupts} interrupts, {messages} messages to the guest")
    if len(counters) != 2:
        raise machine.Failure("the VMM counts nothing about two VFs")


def show_commands(before, after):
    """Administration commands of the PFs: none while the guests worked."""
    row("\nadmin commands of the PFs", f"{sum(before)} to set the VFs up, {sum(after) - sum(before)} since")
    if sum(after) != sum(before):
        raise machine.Failure("administration commands were used on the MMR path")


def demo(folder, vms):
    names = NAMES[:vms]
    config = CONFIG + "".join(SECTION.format(name=name, cpu=i + 1, index=i) for i, name in enumerate(names))
    image = machine.make_image(folder, config)
    payload = os.path.join(folder, "tftp")
    os.mkdir(payload)
    data = os.urandom(PAYLOAD)
    with open(os.path.join(payload, "payload.bin"), "wb") as file:
        file.write(data)
    disks = [shutil.copy(os.path.join(IMAGES, "rootfs.img"), os.path.join(folder, name + ".img")) for name in names]
    print(f"demo: starting the test machine: UEFI firmware, {vms + 1} CPUs, an IOMMU, virtio-net and virtio-blk PFs", flush=True)
    with DemoMachine(image, disks, payload, cpus=vms + 1, memory="1G", timeout=BOOT) as run:
        run.process.logfile_read = Screen(run.seen)
        run.expect(r"verdict: ")
        run.expect(r"VM 'left': started")
        commands = admin_commands(run)
        run.expect(r"no VM is running")
        log = plain(run.log())
        counted = {name: statistics(run, name) for name in names}
        after = admin_commands(run)
        run.process.logfile_read = run
    print()
    for name in names:
        said = lines_of(log, name)
        require(said, r"init: test demo ended with status 0", f"the end of the work in VM '{name}'")
        show(name, said, counted[name], hashlib.sha256(data).hexdigest())
    show_commands(commands, after)
    for text in ("PANIC", "ERROR", "was blocked", "Call Trace"):
        if text in log:
            raise machine.Failure(f"{text!r} was printed")


def admin_commands(run):
    """How many commands each PF has had, by the VMM's own count."""
    before = len(run.log())
    run.send("stats left\r")
    run.expect(r"all VMs: \d+ domains")
    run.expect(r"its PF: \d+ commands")
    run.expect(r"its PF: \d+ commands")
    return [int(count) for count in re.findall(r"its PF: (\d+) commands", plain(run.log()[before:]))]


def main():
    parser = argparse.ArgumentParser(prog="portolan demo", description=__doc__)
    parser.add_argument("--vms", type=int, choices=(1, 2), default=1, help="VMs at once, on VFs of the same PFs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        try:
            demo(folder, options.vms)
            passed = True
        except machine.Failure as failure:
            print(f"demo: {failure}")
            passed = False
    print("demo: PASS" if passed else "demo: FAIL")
    sys.exit(not passed)


main()
