# SPDX-License-Identifier: BSD-2-Clause
"""bochs_boot.py MODEL: the report configuration boots in Bochs, with 2 CPUs, and the report says what this CPU has."""

import os
import re
import sys

import bios
import bochs
import machine

CONFIG = os.path.join(machine.TOP, "docs", "examples", "report.cfg")

# Of each model: what the VMM measures time with, what the report has to say, and what it must not say. The rate is
# Bochs's setting, but where leaf 15h gives that of the real CPU: Bochs does not change the leaf to fit.
MODELS = {
    "ryzen": (r"1(09|10)\.\d+ MHz, by the ACPI PM timer",
              ["AMD Ryzen 7 1700", "SVM        can be switched on", "SVM, NPT", "next-RIP save", "flush by ASID",
               "verdict: this machine can run VMs; no passthrough: no ECAM"],
              ["wanted     next-RIP save", "wanted     flush by ASID", "VMX"]),
    "tigerlake": (r"2419\.200 MHz, by the CPUID leaf 15h",
                  ["11th Gen Intel(R) Core(TM)", "x2APIC", "VMX        can be switched on", "VMX, EPT", "VPID",
                   "unrestricted guest", "verdict: this machine can run VMs; no passthrough: no ECAM"],
                  ["wanted     x2APIC", "SVM"]),
}

# This machine has no MCFG table and no IOMMU, and is known to: the only warnings.
WARNINGS = [r"PCI: no ECAM: only 256 bytes of configuration space and no SR-IOV",
            r"IOMMU: no device can be assigned to a VM: firmware describes no IOMMU"]


def check_warnings(log):
    lines = re.findall(r"warning: (.*)", log)
    if len(lines) != len(WARNINGS) or not all(re.match(*pair) for pair in zip(WARNINGS, lines)):
        raise machine.Failure(f"the warnings are not those expected: {lines}")


def main(model):
    rate, wanted, unwanted = MODELS[model]

    def test(folder):
        iso = bios.make_iso_of(CONFIG, os.path.join(folder, "boot.iso"))
        with bochs.BochsMachine(iso, model=model) as run:
            run.expect(r"Multiboot 2 loader")
            run.expect(r"time: TSC runs at " + rate)
            run.expect(r"CPUs: 2 found, 2 started")
            run.expect(r"PCI\s+[4-9] functions")
            run.expect_end()
            # Feature lists are broken between lines.
            text = re.sub(r"\s*\n\[ *[0-9.]+\]\s+", " ", run.log())
            for part in wanted:
                if part not in text:
                    raise machine.Failure(f"the report does not say {part!r}")
            run.forbid("PANIC", "ERROR", *unwanted)
            run.require("no VM is running: the machine is switched off")
            check_warnings(run.log())

    machine.run_test(test)


main(*sys.argv[1:])
