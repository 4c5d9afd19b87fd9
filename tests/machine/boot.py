# SPDX-License-Identifier: BSD-2-Clause
"""boot.py CPUS MEMORY IOMMU: the real image boots, reports this machine as it is, and switches it off."""

import sys

import machine

CONFIG = "[vmm]\nwhen_idle = poweroff\n"
IOMMU_LINE = {"none": "IOMMU      none", "intel": "IOMMU      VT-d", "amd": "IOMMU      AMD-Vi"}
VERDICT = {
    "none": "verdict: this machine can run VMs; no passthrough: no IOMMU",
    "intel": "verdict: this machine can run VMs and pass VFs of 2 virtio devices through",
    "amd": "verdict: this machine can run VMs and pass VFs of 2 virtio devices through",
}


def check_memory(run, memory):
    """Of what the machine has, firmware keeps some; the rest must be there to use."""
    total = int(memory[:-1]) * (1024 if memory.endswith("G") else 1)
    match = run.expect(r"memory\s+(\d+) MiB, usable (\d+) MiB, longest run for VMs (\d+) MiB")
    found, usable, longest = (int(match.group(i)) for i in (1, 2, 3))
    if not total - 16 <= found <= total:
        raise machine.Failure(f"{found} MiB found of {total}")
    if usable < total - 64 or longest < total // 4:
        raise machine.Failure(f"only {usable} MiB usable, {longest} in one run, of {total}")


def check_own_size(run):
    """The VMM keeps to its budget: image <= 512 KiB as a file is checked by the build."""
    match = run.expect(r"VMM: (\d+) KiB image, (\d+) KiB of RAM in use, (\d+) KiB of page tables")
    image, ram = int(match.group(1)), int(match.group(2))
    if image + ram > 4096:
        raise machine.Failure(f"the VMM uses {image + ram} KiB of RAM, more than 4096")


def main(cpus, memory, iommu):
    def test(folder):
        image = machine.make_image(folder, CONFIG)
        with machine.Machine(image, cpus=int(cpus), memory=memory, iommu=iommu) as run:
            run.expect(rf"CPUs\s+{cpus} found, {cpus} started")
            check_memory(run, memory)
            run.expect(r"ECAM\s+segment 0 buses 00-ff at 0xb0000000")
            check_own_size(run)
            run.expect_end()
            run.require("AMD EPYC", "SVM, NPT", IOMMU_LINE[iommu], VERDICT[iommu],
                        "0000:01:00.0", "0000:02:00.0", "net, id 1041", "block, id 1042", "id 10f9", "id 10fa",
                        "no VM is running: the machine is switched off")
            run.forbid("PANIC", "ERROR")

    machine.run_test(test)


main(*sys.argv[1:])
