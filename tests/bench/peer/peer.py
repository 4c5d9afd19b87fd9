# SPDX-License-Identifier: BSD-2-Clause
"""peer.py bench.elf|vbench.elf [KERNEL]: the figures of guest/bench or of guest/vbench under Linux KVM, as lines for
peers.txt. See README.md."""

import os
import re
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(TOP, "tests", "machine"))

import machine  # noqa: E402

TIME_LIMIT = 900
MODULES = ["virt/lib/irqbypass.ko", "drivers/crypto/ccp/ccp.ko", "arch/x86/kvm/kvm.ko", "arch/x86/kvm/kvm-amd.ko"]
DEVICE_MODULES = [f"drivers/vfio/{name}.ko" for name in ("vfio", "vfio_virqfd", "vfio_iommu_type1", "pci/vfio-pci-core", "pci/vfio-pci")]

# A guest that measures a device gets one, through VFIO, whose interrupts come to the vCPU's CPU; on Portolan's machine.
DEVICE = "0000:00:03.0"
OPEN_DEVICE = f"""
echo 2 >/proc/irq/default_smp_affinity
echo 1234 11e8 >/sys/bus/pci/drivers/vfio-pci/new_id
group=$(/bin/busybox basename $(/bin/busybox readlink /sys/bus/pci/devices/{DEVICE}/iommu_group))
"""
PLAIN = {"vcpus": 2, "modules": MODULES, "prepare": "", "arguments": "", "kernel": "", "machine": ["-M", "pc"]}
WITH_DEVICE = {
    "vcpus": 1, "modules": MODULES + DEVICE_MODULES, "prepare": OPEN_DEVICE, "arguments": f"peer $group {DEVICE}",
    "kernel": " intel_iommu=on",
    "machine": ["-M", "q35,kernel-irqchip=split", *machine.IOMMUS["intel"], "-device", "edu,addr=3"],
}
SETUPS = {"bench.elf": PLAIN, "vbench.elf": WITH_DEVICE}
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /sys
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
for cpu in /sys/devices/system/cpu/cpu[1-9]; do echo 1 >$cpu/online; done
for module in {modules}; do /bin/busybox insmod /$module.ko; done
{prepare}/bin/busybox uname -rv
/bin/busybox cat /proc/uptime
/kvmrun /guest.elf {vcpus} {arguments}
/bin/busybox poweroff -f
"""


def make_initramfs(folder, guest, version, setup):
    root = os.path.join(folder, "root")
    os.makedirs(os.path.join(root, "bin"))
    copy_system(root, setup["modules"], f"/lib/modules/{version}", "/bin/busybox")
    subprocess.run(["cp", guest, os.path.join(root, "guest.elf")], check=True)
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", os.path.join(root, "kvmrun"),
                    os.path.join(HERE, "kvmrun.c"), os.path.join(HERE, "device.c")], check=True)
    with open(os.path.join(root, "init"), "w", encoding="ascii") as file:
        names = " ".join(os.path.basename(module).removesuffix(".ko") for module in setup["modules"])
        file.write(INIT.format(**{**setup, "modules": names}))
    return pack(folder, root)


def copy_system(root, modules, tree, busybox):
    """What each initramfs has: MODULES of the kernel whose TREE of modules is named, and a shell."""
    for module in modules:
        subprocess.run(["cp", os.path.join(tree, "kernel", module), root], check=True)
    subprocess.run(["cp", busybox, os.path.join(root, "bin", "busybox")], check=True)


def pack(folder, root):
    """The initramfs of ROOT, where 'init' is."""
    os.chmod(os.path.join(root, "init"), 0o755)
    archive = os.path.join(folder, "initramfs")
    with open(archive, "wb") as file:
        subprocess.run("find . | cpio --quiet -o -H newc", shell=True, cwd=root, stdout=file, check=True)
    return archive


def newest_kernel():
    kernels = sorted(name for name in os.listdir("/boot") if re.fullmatch(r"vmlinuz-6\.1\.0-\d+-amd64", name))
    if not kernels:
        sys.exit("no Debian 12 kernel in /boot: apt install linux-image-amd64")
    return os.path.join("/boot", kernels[-1])


def run(command):
    """Run the machine, show what it prints, and return it."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, errors="replace") as process:
        watchdog = threading.Timer(TIME_LIMIT, process.kill)
        watchdog.start()
        for line in process.stdout:
            lines.append(line.rstrip("\r\n"))
            print(lines[-1], file=sys.stderr, flush=True)
        watchdog.cancel()
    return "\n".join(lines)


def main():
    guest = sys.argv[1]
    setup = SETUPS[os.path.basename(guest)]
    kernel = sys.argv[2] if len(sys.argv) > 2 else newest_kernel()
    version = os.path.basename(kernel).removeprefix("vmlinuz-")
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        # Its other CPUs start later: while it boots they make no way where CPUs run in turn.
        command = [
            machine.QEMU, *setup["machine"], "-accel", "tcg,thread=single", "-cpu", "EPYC",
            "-smp", str(setup["vcpus"] + 1), "-m", "1G",
            "-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio", *machine.ICOUNT,
            "-kernel", kernel, "-initrd", make_initramfs(folder, guest, version, setup),
            "-append", "console=ttyS0 mitigations=off panic=-1 maxcpus=1 tsc=reliable" + setup["kernel"],
        ]
        text = run(command)
    rows = re.findall(r"^bench (\w+) (\d+) (\d+)$", text, re.M)
    if "kvmrun: the guest ended with status 0" not in text or not rows:
        sys.exit("FAILED: the guest did not pass under KVM")
    print("# " + re.search(r"^(\d+\.\d+\.\d+-\S+ #.*)$", text, re.M).group(1))
    if setup is PLAIN:
        uptime = re.search(r"^(\d+)\.(\d\d) \d+\.\d\d$", text, re.M)
        print(f"boot {int(uptime.group(1)) * 1000000 + int(uptime.group(2)) * 10000}")
    for name, smallest, median in rows:
        print(f"{name} {median} {smallest}")


if __name__ == "__main__":
    main()
