# SPDX-License-Identifier: BSD-2-Clause
"""reference.py GUEST [QEMU ARGS]: run a test guest under plain QEMU, no VMM, on its 'pc' machine."""

import subprocess
import sys

import machine

EXIT_PASSED = 1  # isa-debug-exit: (0 << 1) | 1


def main():
    command = [
        machine.QEMU, "-M", "pc", "-accel", "tcg", "-cpu", "EPYC", "-smp", "4", "-m", "128",
        "-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", sys.argv[1], "-append", "lenient",
    ] + sys.argv[2:]
    try:
        done = subprocess.run(command, capture_output=True, timeout=100, check=False)
    except subprocess.TimeoutExpired as late:
        sys.exit(f"FAILED: no end within 100 s; it printed:\n{(late.stdout or b'').decode(errors='replace')}")
    text = done.stdout.decode(errors="replace")
    print(text)
    if done.returncode != EXIT_PASSED or "PASS: " not in text:
        print(done.stderr.decode(errors="replace"))
        sys.exit(f"FAILED: exit status {done.returncode}")


main()
