# SPDX-License-Identifier: BSD-2-Clause
"""loop.py ENGINE [COUNT]: an endless loop, with interrupts off and on, is stopped, reset and started again from the console, COUNT (10) times.

ENGINE is 'qemu', 'bochs', 'vmx' or 'vmx-plain', as for guest.py. Bochs 2.7 keeps physical interrupts, by which the VMM gets its CPU back, from a
guest that VMRUN enters with interrupts off (AMD's manual: V_INTR_MASKING leaves them to the host's flag): there, only the
other one is stopped."""

import os
import sys

import bios
import bochs
import machine

CONFIG = """[vmm]
when_idle = poweroff
[vm {name}]
cpus = 1
memory = 16M
multiboot = loop.elf
{cmdline}[vm busy]
cpus = 2
memory = 16M
multiboot = loop.elf
cmdline = interrupts
"""


def start(folder, engine):
    files = [(os.path.join(machine.BUILD, "guest", "loop.elf"), "loop.elf")]
    if engine == "bochs":
        print("skipped: a loop with interrupts off, which Bochs 2.7 does not let a VMM interrupt")
        config = CONFIG.format(name="other", cmdline="cmdline = interrupts\n")
        return bochs.BochsMachine(bios.make_iso(folder, config, files), cpus=3, memory=256)
    if engine in ("vmx", "vmx-plain"):
        iso = bios.make_iso(folder, CONFIG.format(name="deaf", cmdline=""), files)
        return bochs.BochsMachine(iso, model=bochs.MODELS[engine], cpus=3, memory=256)
    image = machine.make_image(folder, CONFIG.format(name="deaf", cmdline=""), files)
    return machine.Machine(image, cpus=3, pfs=False)


def test(folder):
    engine = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    name, how = ("other", "on") if engine == "bochs" else ("deaf", "off")
    looping = rf"\[{name}\] loop: looping with interrupts {how}"
    with start(folder, engine) as run:
        run.expect_all(looping, r"\[busy\] loop: looping with interrupts on")
        for _ in range(count):
            run.send(f"vm reset {name}\r")
            run.expect(looping)
            run.send(f"vm stop {name}\r")
            run.expect(rf"VM '{name}': stopped")
            run.send("vm list\r")
            run.expect_all(rf"{name} +off", r"busy +running")
            run.send(f"vm start {name}\r")
            run.expect(looping)
        run.send("vm stop busy\r")
        run.expect(r"VM 'busy': stopped")
        run.send("vm stop 1\r")
        run.expect(rf"VM '{name}': stopped")
        run.expect_end()
        run.forbid("PANIC", "ERROR")


machine.run_test(test)
