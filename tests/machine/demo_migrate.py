# SPDX-License-Identifier: BSD-2-Clause
"""What './portolan demo --migrate' does: Debian's kernel, unmodified, in a VM whose disk and network are busy goes from one test machine to
the other and back, three times, and its legacy drivers notice nothing."""

import sys
import tempfile

import machine
import vm_hosts


def run():
    """Ends the program: 0 if all went well."""
    print("demo: starting two test machines: UEFI firmware, an IOMMU, virtio-net and virtio-blk PFs with one disk and on one network; a guest\n"
          "and a service VM with portolan-agent. After each move a line: pages sent, pages filled with one value, bytes on the link,\n"
          "milliseconds for which the VM stood still as the agent has it, and of the whole move; microseconds between the guest's last instruction\n"
          "here and its first one there, instructions of its CPU in both machines meanwhile, and its exits from the order to the stop", flush=True)
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        try:
            vm_hosts.test(folder, "demo")
            passed = True
        except machine.Failure as failure:
            print(f"demo: {failure}")
            passed = False
    print("demo: PASS" if passed else "demo: FAIL")
    sys.exit(not passed)
