# SPDX-License-Identifier: BSD-2-Clause
"""demo.py: the VMM boots in the test machine before your eyes; ends 'demo: PASS' and 0, or says what failed."""

import os
import re
import sys
import tempfile

import machine

CONFIG = os.path.join(machine.TOP, "docs", "examples", "report.cfg")

# What has to be seen for a PASS, and what it proves.
EXPECTED = [
    (r"verdict: ", "the capability report was printed to its end"),
    (r"CPUs\s+2 found, 2 started", "both CPUs were started"),
    (r"virtio\s+0000:01:00.0 net, .* 4 VFs", "the virtio-net PF and its VFs were found"),
    (r"virtio\s+0000:02:00.0 block, .* 4 VFs", "the virtio-blk PF and its VFs were found"),
    (r"no VM is running", "the VMM finished its start and went idle"),
]


class Screen:
    """Shows the serial line, without the firmware's cursor movements."""

    def __init__(self, log):
        self.log = log

    def write(self, text):
        self.log.append(text)
        sys.stdout.write(re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", text))

    def flush(self):
        sys.stdout.flush()


def demo(folder):
    image = machine.make_image_of(CONFIG, os.path.join(folder, "boot.img"))
    print("demo: starting the test machine: UEFI firmware, 2 CPUs, an IOMMU, virtio-net and virtio-blk PFs", flush=True)
    with machine.Machine(image, memory="1G") as run:
        run.process.logfile_read = Screen(run.seen)
        run.expect_end(timeout=120)
    print()
    failed = [meaning for pattern, meaning in EXPECTED if not re.search(pattern, run.log())]
    for meaning in failed:
        print(f"demo: not seen: {meaning}")
    return not failed


def main():
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        try:
            passed = demo(folder)
        except machine.Failure as failure:
            print(f"demo: {failure}")
            passed = False
    print("demo: PASS" if passed else "demo: FAIL")
    sys.exit(not passed)


main()
