# SPDX-License-Identifier: BSD-2-Clause
"""fault.py NAME: a deliberate fault in the VMM shows a dump that names the right functions."""

import re
import sys

import machine

# What the dump must say, and the first functions of its backtrace.
FAULTS = {
    "null-read": (r"page fault, read of 0x8: nothing is mapped there; it lies in a NULL pointer's page",
                  ["selftest_read_null"]),
    "write-text": (r"page fault, write to 0x[0-9a-f]+: the page's rights forbid it; it lies in the VMM's image",
                   ["selftest_write_text"]),
    "exec-data": (r"page fault, execution at 0x[0-9a-f]+: the page's rights forbid it",
                  ["not the VMM's code"]),
    "stack-overflow": (r"double fault, write to 0x[0-9a-f]+: .*guard of CPU 0's main stack: stack overflow",
                       ["selftest_overflow_stack"]),
    "stack-smash": (r"a function has written beyond its stack frame",
                    ["__stack_chk_fail", "selftest_smash_stack"]),
    "divide": (r"divide error \(vector 0, error 0x0\)", ["selftest_divide"]),
    "panic": (r"a panic on demand", ["selftest_panic", "selftest_fault", "core_main"]),
    "panic-in-panic": (r"a panic that faults on demand", ["selftest_panic_twice", "selftest_fault", "core_main"]),
}
# Faults whose dump has registers: those that are exceptions.
EXCEPTIONS = {"null-read", "write-text", "exec-data", "stack-overflow", "divide"}


def check_backtrace(log, functions):
    lines = re.findall(r"#(\d+) [0-9a-f]{16} (.*)", log)
    for depth, function in enumerate(functions):
        if depth >= len(lines) or function not in lines[depth][1]:
            raise machine.Failure(f"the backtrace's line {depth} does not name {function}: {lines}")


def main(name):
    message, functions = FAULTS[name]

    def test(folder):
        config = f"[vmm]\non_panic = reset\nwhen_idle = poweroff\nselftest_fault = {name}\n"
        with machine.Machine(machine.make_image(folder, config)) as run:
            run.expect(r"PANIC on CPU 0: " + message)
            run.expect(r"the machine is reset \(on_panic = reset\)")
            run.expect_end()  # -no-reboot makes a reset the end
            check_backtrace(run.log(), functions)
            if name in EXCEPTIONS:
                run.require("RIP 0008:", "RAX ", "CR2 ", "EFER ")
            if name == "panic-in-panic":
                run.require("another fault during the panic: it goes on with its next step")
            run.forbid("no VM is running")

    machine.run_test(test)


main(*sys.argv[1:])
