# SPDX-License-Identifier: BSD-2-Clause
"""examples.py CASE: './portolan run docs/examples/CASE.cfg' as a person uses it: to the VM, back to the VMM, off."""

import contextlib
import os
import sys

import pexpect

import machine

EXAMPLES = os.path.join(machine.TOP, "docs", "examples")
ESCAPE = "\x1d" # Ctrl-]


@contextlib.contextmanager
def portolan(example, *options):
    """'./portolan run' with EXAMPLE; the machine is switched off behind what is done with it."""
    run = pexpect.spawn(os.path.join(machine.TOP, "portolan"), ["run", os.path.join(EXAMPLES, example), *options], timeout=machine.patience(),
                        encoding="utf-8", codec_errors="replace", dimensions=(40, 120))
    run.logfile_read = sys.stdout
    try:
        yield run
        run.expect(r"the machine is switched off")
        run.expect(pexpect.EOF)
    except (pexpect.TIMEOUT, pexpect.EOF) as failure:
        raise machine.Failure(f"what was expected did not come: {failure}") from None
    finally:
        run.close(force=True)
    if run.exitstatus:
        raise machine.Failure(f"the exit status is {run.exitstatus}")


def use_shell(run, name):
    """To the shell of VM NAME, the first, to the VMM and again to the shell, which is left for good."""
    run.send(ESCAPE + "1")
    run.expect(rf"VM 1, {name}: running")
    run.send("echo answer-$((6*7))\r")
    run.expect("answer-42")
    run.send(ESCAPE + "0")
    run.send("vm list\r")
    run.expect(rf"1  {name} +running")
    run.send(ESCAPE + "1")
    run.expect(rf"VM 1, {name}: running")
    run.send("poweroff -f\r")


def shell(_):
    with portolan("shell.cfg") as run:
        run.expect(r"init: 1 CPUs, \S+")
        use_shell(run, "shell")


def bios(_):
    """SeaBIOS and GRUB, whose menu nobody waits for, and an i386 kernel."""
    with portolan("bios.cfg") as run:
        run.expect(r"SeaBIOS \(version")
        run.expect(r"GNU GRUB +version")
        run.expect(r"init: 1 CPUs, \S+-686")
        use_shell(run, "bios")


def network(folder):
    """SeaBIOS and iPXE, which gets its address and a script, and that a second one."""
    for name, text in (("boot.ipxe", "echo first at ${net0/ip}\nchain next.ipxe\n"), ("next.ipxe", "echo second, and that is all\nshell\n")):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write("#!ipxe\n" + text)
    with portolan("network.cfg", "--tftp", folder, "--bootfile", "boot.ipxe") as run:
        run.expect(r"SeaBIOS \(version")
        run.expect(r"first at 10\.0\.2\.15")
        run.expect("second, and that is all")
        run.send("vm stop net\r")


CASES = {"shell": shell, "bios": bios, "network": network}

if __name__ == "__main__":
    machine.run_test(CASES[sys.argv[1]])
