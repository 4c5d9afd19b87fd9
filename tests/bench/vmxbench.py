# SPDX-License-Identifier: BSD-2-Clause
"""vmxbench.py: what leaving the guest costs by VMX, with APICv, counted in instructions, beside the same by SVM: guest/bench in
Bochs, whose TSC advances by one with each instruction, and guest/vbench on a simulated VF (tests/simvf). Bochs takes CPUs by turns,
so nothing is sent from one to another here."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import bochs  # noqa: E402
import figures  # noqa: E402
import machine  # noqa: E402
import sim_vf  # noqa: E402

DEARER = 1.05 # than by SVM, at most

# Each row of guest/bench, and the most that it may be by VMX: about twice what it is today. What the CPU does itself makes no exit:
# the limit is what a handler's own instructions take.
LIMITS = {
    "cpuid": 1200,
    "out_unclaimed": 650,
    "in_unclaimed": 650,
    "in_pic": 1300,
    "rdmsr": 1200,
    "cr4": 100,
    "tpr_write": 100,
    "self_ipi": 100,
    "apic_eoi": 20,
    "hlt": 2200,
    "deadline_arm": 2000,
    "timer_running": 2500,
    "timer_halted": 2500,
    "notify": 100,
}

CONFIG = """[vmm]
when_idle = poweroff
[vm bench]
cpus = 1
memory = 16M
multiboot = bench.elf
debug_exit = 0xf4
"""

# guest/vbench on the disk that tests/simvf has: its registers, and notifications by the short way.
SIM_CONFIG = CONFIG.replace("bench.elf", "vbench.elf").replace("cpus = 1", "cpus = 0") + "cmdline = accesses\n"


def measure(folder, model):
    iso = bios.make_iso(folder, CONFIG, [(os.path.join(machine.BUILD, "guest", "bench.elf"), "bench.elf")])
    return run(iso, model)


# Alone in its machine, a CPU's TSC counts exactly.
def measure_vf(folder, model):
    return run(sim_vf.make_iso(folder, SIM_CONFIG, "vbench.elf"), model, 1)


def run(iso, model, cpus=2):
    with bochs.BochsMachine(iso, model=model, cpus=cpus, memory=256) as one:
        one.expect(r"VM 'bench': debug exit, status 1\b")
        one.expect_end()
        one.forbid("PANIC", "ERROR", "FAIL")
        return figures.of_guest(re.sub(r"\r", "", one.log()))


def test(folder):
    values = {}
    for engine, model in (("svm", "ryzen"), ("vmx", "tigerlake")):
        values[engine] = {}
        for part in (measure, measure_vf):
            own = os.path.join(folder, engine, part.__name__)
            os.makedirs(own)
            values[engine].update(part(own, model))
    if not values["vmx"].keys() >= LIMITS.keys():
        raise machine.Failure(f"figures that are missing: {sorted(LIMITS.keys() - values['vmx'].keys())}")
    for name in LIMITS:
        print(f"bench vmx_{name} {values['vmx'][name]} instructions peer={values['svm'].get(name, 'none')}")
    for name, highest in LIMITS.items():
        if values["vmx"][name] > highest:
            raise machine.Failure(f"{name}: {values['vmx'][name]} instructions by VMX, which is more than {highest}")
        if values["vmx"][name] > values["svm"][name] * DEARER:
            raise machine.Failure(f"{name}: {values['vmx'][name]} instructions by VMX, and {values['svm'][name]} by SVM")


if __name__ == "__main__":
    machine.run_test(test)
