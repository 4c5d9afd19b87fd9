# SPDX-License-Identifier: BSD-2-Clause
"""lines.py: what the machine tests read out of a serial line on which lines of several VMs and of the VMM come in pieces."""

import machine

BACKGROUND = """[    1.000001] VM 'a': started
[a] beg
[b] one
[a]+ins
vmm> \x1b[K[b]+ and two
vmm> \x1b[K[a] ends
"""
FOREGROUND = """[a] before
[VM 1, a: running; Ctrl-A 0 leads back to the VMM]
rea
[b] one
[    1.000002] VM 'b': stopped
dy 0, so
[VMM: 'help' lists the commands, Ctrl-A h the keys]
[a]+ on
vmm> vm list
[VM 2, b: off; Ctrl-A 0 leads back to the VMM]
two
"""
# What is read, and what is there.
CASES = (
    (machine.joined(BACKGROUND), "[    1.000001] VM 'a': started\n[a] begins\n[b] one and two\n\nvmm> \nvmm> \x1b[K[a] ends\n"),
    (machine.said_by("a", BACKGROUND), "beginsends"),
    (machine.said_by("b", BACKGROUND), "one and two"),
    (machine.said_by("a", FOREGROUND), "beforeready 0, so on"),
    (machine.said_by("b", FOREGROUND), "onetwo"),
    (machine.said_by("a", FOREGROUND, FOREGROUND.index("dy 0")), "dy 0, so on"),
    (machine.said_by("b", FOREGROUND, FOREGROUND.index("vm list")), "two"),
    (machine.said_by("a", FOREGROUND, FOREGROUND.index("two")), ""),
)


def test(folder):
    for number, (read, there) in enumerate(CASES):
        if read != there:
            raise machine.Failure(f"case {number}: {read!r}, not {there!r}")


if __name__ == "__main__":
    machine.run_test(test)
