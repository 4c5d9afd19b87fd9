# SPDX-License-Identifier: BSD-2-Clause
"""reference.py [--counted] GUEST [QEMU ARGS]: run a test guest under plain QEMU, no VMM, on its 'pc' machine. --counted: with
time counted in instructions, for guests that look closely at it."""

import subprocess
import sys

import machine

# 16 ns an instruction: enough to tell the ticks of all clocks apart, and loops that wait end soon.
COUNTED = ("-icount", "shift=4,sleep=off", "-rtc", "base=2020-01-01,clock=vm")

EXIT_PASSED = 1  # isa-debug-exit: (0 << 1) | 1


def main():
    counted = sys.argv[1] == "--counted"
    guest, *arguments = sys.argv[2 if counted else 1:]
    command = [
        machine.QEMU, "-M", "pc", "-accel", "tcg,thread=single" if counted else "tcg", "-cpu", "EPYC", "-smp", "4", "-m", "128",
        "-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", guest, "-append", "lenient",
        *(COUNTED if counted else ()), *arguments,
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=machine.patience(), check=False)
    except subprocess.TimeoutExpired as late:
        sys.exit(f"FAILED: no end in time; it printed:\n{(late.stdout or b'').decode(errors='replace')}")
    text = done.stdout.decode(errors="replace")
    print(text)
    if done.returncode != EXIT_PASSED or "PASS: " not in text:
        print(done.stderr.decode(errors="replace"))
        sys.exit(f"FAILED: exit status {done.returncode}")


main()
