# SPDX-License-Identifier: BSD-2-Clause
"""shell.py: './portolan run docs/examples/shell.cfg' as a person uses it: to the VM's shell, back to the VMM, off."""

import os
import sys

import pexpect

import machine

EXAMPLE = os.path.join(machine.TOP, "docs", "examples", "shell.cfg")
ESCAPE = "\x1d" # Ctrl-]


def test(_):
    run = pexpect.spawn(os.path.join(machine.TOP, "portolan"), ["run", EXAMPLE], timeout=machine.patience(), encoding="utf-8",
                        codec_errors="replace", dimensions=(40, 120))
    run.logfile_read = sys.stdout
    try:
        run.expect(r"init: 1 CPUs, \S+")
        run.send(ESCAPE + "1")
        run.expect(r"VM 1, shell: running")
        run.send("echo answer-$((6*7))\r")
        run.expect("answer-42")
        run.send(ESCAPE + "0")
        run.send("vm list\r")
        run.expect(r"1  shell +running")
        run.send(ESCAPE + "1")
        run.expect(r"VM 1, shell: running")
        run.send("poweroff -f\r")
        run.expect(r"the machine is switched off")
        run.expect(pexpect.EOF)
    except (pexpect.TIMEOUT, pexpect.EOF) as failure:
        raise machine.Failure(f"what was expected did not come: {failure}") from None
    finally:
        run.close(force=True)
    if run.exitstatus:
        raise machine.Failure(f"the exit status is {run.exitstatus}")


machine.run_test(test)
