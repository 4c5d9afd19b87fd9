# SPDX-License-Identifier: BSD-2-Clause
"""command.py: the verbs of ./portolan that a person uses by hand: help, check, image, and what is refused."""

import os
import subprocess

import bios
import machine

REPORT = os.path.join(machine.TOP, "docs", "examples", "report.cfg")


def portolan(*arguments, status=0):
    done = subprocess.run([os.path.join(machine.TOP, "portolan"), *arguments], text=True, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != status:
        raise machine.Failure(f"./portolan {' '.join(arguments)}: exit status {done.returncode}, "
                              f"not {status}:\n{done.stdout}")
    return done.stdout


def require(text, *wanted):
    for part in wanted:
        if part not in text:
            raise machine.Failure(f"{part!r} is not in:\n{text}")


def test(folder):
    require(portolan("help"), "demo", "test", "setup", "run", "image", "check")
    require(portolan("frobnicate", status=1), "there is no command 'frobnicate'")
    require(portolan("check", REPORT), "good")
    bad = os.path.join(folder, "bad.cfg")
    with open(bad, "w", encoding="ascii") as file:
        file.write("[vmm]\nserial = com9\n")
    require(portolan("check", bad, status=1), "bad.cfg:2: error", "fix: ")
    image = os.path.join(folder, "stick.img")
    require(portolan("image", bad, "-o", image, status=1), "bad.cfg:2: error")
    if os.path.exists(image):
        raise machine.Failure("a bad configuration made an image all the same")
    require(portolan("image", REPORT, "-o", image), "dd if=")
    with machine.Machine(image) as run:
        run.expect(r"verdict: ")
        run.expect_end()
    iso = os.path.join(folder, "stick.iso")
    require(portolan("image", bad, "-o", iso, status=1), "bad.cfg:2: error")
    if os.path.exists(iso):
        raise machine.Failure("a bad configuration made an ISO image all the same")
    require(portolan("image", REPORT, "-o", iso), "dd if=")
    with bios.PcMachine(iso) as run:
        run.expect(r"verdict: ")
        run.expect_end()


machine.run_test(test)
