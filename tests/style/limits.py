#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""limits.py CTEST BUILD: time limits end what hangs, and judge nothing. Every test has one, of ten minutes or more, and it is set by
portolan_limit() alone, as ten times what the test takes; no script waits for less than it is told there."""

import json
import os
import re
import subprocess
import sys

MINIMUM = 600
# Where a number of seconds is not a limit of a test's.
EXCEPTIONS = {
    "tests/qemu-device/tests/qemu.py": ("settimeout(0.2)",), # a poll
    "tests/machine/multiboot2.py": ("set timeout=0",), # GRUB's menu
}
NUMBER = re.compile(r"timeout(?:=|\()\s*([0-9.]+)")


def limits_of_tests(ctest, build):
    """What is wrong with the limits that ctest knows."""
    listed = subprocess.run([ctest, "--show-only=json-v1"], cwd=build, capture_output=True, text=True, check=True).stdout
    tests = json.loads(listed)["tests"]
    faults = [] if len(tests) > 100 else [f"ctest lists only {len(tests)} tests"]
    for test in tests:
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        if float(properties.get("TIMEOUT", 0)) < MINIMUM:
            faults.append(f"{test['name']}: TIMEOUT {properties.get('TIMEOUT')}: use portolan_limit()")
    return faults


def numbers_in(path):
    """Limits below the minimum that the script PATH has as a number."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            for match in NUMBER.finditer(line):
                if float(match[1]) < MINIMUM and not any(text in line for text in EXCEPTIONS.get(path, ())):
                    yield f"{path}:{number}: {match[0]}: use machine.patience()"


def main():
    faults = limits_of_tests(sys.argv[1], sys.argv[2])
    for folder, _, names in os.walk("tests"):
        for name in names:
            if name.endswith(".py") and folder != "tests/style":
                faults += numbers_in(os.path.join(folder, name))
    print("\n".join(faults) or "every limit is ten minutes or more")
    sys.exit(1 if faults else 0)


main()
