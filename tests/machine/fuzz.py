# SPDX-License-Identifier: BSD-2-Clause
"""fuzz.py [COUNT [SEED [ENGINE]]]: a guest that does everything wrong, COUNT times, beside one that checks itself throughout.
All that either can see is saved, destroyed and built anew at random moments, some ten times in a second.

ENGINE is 'qemu', or one of Bochs's as for guest.py. For longer: PORTOLAN_BUILD=build python3 tests/machine/fuzz.py 1000000000 12345"""

import os
import sys

import bios
import bochs
import machine

CONFIG = """[vmm]
when_idle = poweroff
[vm witness]
cpus = 2
memory = 64M
multiboot = witness.elf
cmdline = seconds=1000000
debug_exit = 0xf4
checkpoints = 9999
[vm fuzz]
cpus = 1
memory = 64M
multiboot = fuzz.elf
cmdline = tcg=1 seed={seed} count={count}
debug_exit = 0xf4
checkpoints = 9999
"""


def start(folder, config, files):
    engine = sys.argv[3] if len(sys.argv) > 3 else "qemu"
    if engine == "qemu":
        return machine.Machine(machine.make_image(folder, config, files), cpus=3, pfs=False)
    return bochs.BochsMachine(bios.make_iso(folder, config, files), model=bochs.MODELS[engine], cpus=3, memory=512)


def test(folder):
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    files = [(os.path.join(machine.BUILD, "guest", name), name) for name in ("fuzz.elf", "witness.elf")]
    with start(folder, CONFIG.format(count=count, seed=seed), files) as run:
        run.expect(r"VM 'witness': started")
        # A hundred reports on the way. The witness reports each two seconds of its time, which in Bochs, where each CPU's goes by its
        # own instructions, may be longer than all of this.
        more = True
        while more:
            report = run.expect(r"\[fuzz\] fuzz: (\d+) operations, \d+ resets(, last|\s)|VM 'fuzz': stopped")
            if not report.group(1):
                raise machine.Failure("the hostile guest's VM was stopped")
            more = "last" in report.group(2)
        done = int(report.group(1))
        run.expect(r"VM 'fuzz': debug exit, status 1\b")
        run.expect(r"VM 'fuzz': stopped")
        run.expect(r"\[witness\] witness: round \d+ ok")
        run.send("vm stop witness\r")
        run.expect_end()
        run.require("[fuzz] PASS: ")
        run.forbid("PANIC", "ERROR", "FAIL")
        if done < count:
            raise machine.Failure(f"only {done} operations of {count}")
        run.require_checkpoints("fuzz", "witness")
        print(run.log()[run.log().find("instructions at CPL 0") - 30:])


machine.run_test(test)
