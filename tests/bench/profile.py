# SPDX-License-Identifier: BSD-2-Clause
"""profile.py [-o FILE] NAME...: where the VMM's instructions of an exit go, function by function; docs/performance.md.

guest/bench, or guest/vbench if it is of the way to a VF, repeats the figure NAME for ever while the emulator logs every instruction. Exits that are alike make one column;
a figure may have several (an interrupt that a CPU sends to itself is sent, delivered and ended). Not a test: a tool, with
PORTOLAN_BUILD=build as the tests have it. -o writes the columns as JSON, {NAME: [{"exits": N, "functions": {...}}]}; -b reads such
a file of before, and prints both beside each other as docs/performance.md has them.
"""

import argparse
import bisect
import collections
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "machine"))

import bios  # noqa: E402
import counted  # noqa: E402
import figures  # noqa: E402
import machine  # noqa: E402

CORE = os.path.join(machine.BUILD, "portolan-core.elf")
GUEST_MODE = 1 << 21  # of QEMU's CPU flags: HF_GUEST_MASK
TRACE = re.compile(r"^Trace (\d+): \S+ \[[0-9a-f]+/([0-9a-f]+)/([0-9a-f]+)/", re.M)
LOG_BYTES = 8 << 20
SMALL = 20
RARE = 0.02  # of all exits: interrupts of the machine itself
VF_FIGURES = ("status_write", "select_write", "features_read", "size_read", "status_read", "config_read", "isr_read",
              "msix", "msix_whole", "intx", "intx_whole")


class Functions:
    """Which function of the core an address lies in."""

    def __init__(self):
        text = subprocess.run(["nm", "-n", "--defined-only", CORE], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in text.splitlines()]
        rows = [(int(at, 16), name) for at, kind, name in rows if kind in "tT"]
        self.starts, self.names = [at for at, _ in rows], [name for _, name in rows]

    def of(self, address):
        index = bisect.bisect(self.starts, address) - 1
        return self.names[index] if index >= 0 else hex(address)


def ask(stream, command, **arguments):
    """The answer to a command of the emulator's own protocol, QMP."""
    stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    stream.flush()
    while "return" not in (answer := json.loads(stream.readline())):
        if "error" in answer:
            raise machine.Failure(f"{command}: {answer}")
    return answer["return"]


def log_instructions(path, log):
    """Let the emulator with its QMP socket at PATH write LOG, every instruction in a line, and stop."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        stream = connection.makefile("rw")
        ask(stream, "qmp_capabilities")
        for line in ("stop", "singlestep on", f"logfile {log}", "log exec,nochain", "cont"):
            ask(stream, "human-monitor-command", **{"command-line": line})
        end = time.monotonic() + machine.patience()
        while os.path.getsize(log) < LOG_BYTES and time.monotonic() < end:
            time.sleep(0.05)
        ask(stream, "quit")


def exits_of(text, functions):
    """A Counter {function: instructions} for each whole exit of the CPU that runs the guest."""
    exits, current, inside = [], None, collections.defaultdict(bool)
    for cpu, address, flags in TRACE.findall(text):
        guest = int(flags, 16) & GUEST_MODE
        if guest:
            if current and current[0] == cpu:
                exits.append(current[1])
            current, inside[cpu] = None, True
            continue
        if inside[cpu]:
            current, inside[cpu] = (cpu, collections.Counter()), False
        if current and current[0] == cpu:
            current[1][functions.of(int(address, 16))] += 1
    return exits


def columns_of(exits):
    """Exits that go through the same functions, together: [(how many, {function: instructions, the median one's})], rare ones left out."""
    kinds = collections.defaultdict(list)
    for functions in exits:
        kinds[frozenset(functions)].append(functions)
    common = [kind for kind in kinds.values() if len(kind) >= RARE * len(exits)]
    common.sort(key=lambda kind: -len(kind))
    return [{"exits": len(kind), "functions": dict(sorted(kind, key=lambda f: sum(f.values()))[len(kind) // 2])} for kind in common]


def configuration(name):
    """(guest, configuration, class of the machine, its options) for the figure NAME."""
    if name in VF_FIGURES:
        return "vbench.elf", counted.CONFIG + f"memory = 64M\nmultiboot = vbench.elf\ncmdline = loop={name}\n", counted.VfMachine, {}
    return "bench.elf", figures.CONFIG.format(guest=f"bench.elf\ncmdline = loop={name}"), bios.PcMachine, {"cpus": 3, "icount": True}


def profile(name, functions):
    guest, config, kind, options = configuration(name)
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        path, log = os.path.join(folder, "qmp"), os.path.join(folder, "log")
        iso = bios.make_iso(folder, config, [(os.path.join(machine.BUILD, "guest", guest), guest)])
        monitor = ["-qmp", f"unix:{path},server=on,wait=off"]
        with kind(iso, **{"more" if name in VF_FIGURES else "extra": monitor}, **options) as run:
            run.expect(rf"bench loops {name}\b")
            log_instructions(path, log)
        with open(log, encoding="ascii", errors="replace") as file:
            return columns_of(exits_of(file.read(), functions))


def show(name, columns):
    print(f"\n{name}: " + "; ".join(f"{column['exits']} exits of {sum(column['functions'].values())} instructions" for column in columns))
    functions = {function for column in columns for function in column["functions"]}
    weight = {function: max(column["functions"].get(function, 0) for column in columns) for function in functions}
    for function in sorted(functions, key=lambda function: (-weight[function], function)):
        print(f"  {function:32}" + "".join(f"{column['functions'].get(function, ''):>8}" for column in columns))


def show_beside(name, before, columns):
    """A table of BEFORE and now for each of COLUMNS, as Markdown; what is small both times is one row."""
    for column in columns:
        now = column["functions"]
        like = max(before, key=lambda old: len(old["functions"].keys() & now.keys()) / len(old["functions"].keys() | now.keys()))
        old = like["functions"]
        names = sorted(old.keys() | now.keys(), key=lambda function: (-max(old.get(function, 0), now.get(function, 0)), function))
        large = [function for function in names if max(old.get(function, 0), now.get(function, 0)) >= SMALL]
        print(f"\n| {name} | before | now |\n|---|--:|--:|\n| **all** | **{sum(old.values())}** | **{sum(now.values())}** |")
        for function in large:
            print(f"| `{function}` | {old.get(function, '')} | {now.get(function, '')} |")
        small = [sum(count for function, count in counts.items() if function not in large) for counts in (old, now)]
        print(f"| others | {small[0]} | {small[1]} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-o", "--output")
    parser.add_argument("-b", "--before")
    parser.add_argument("names", nargs="+")
    arguments = parser.parse_args()
    functions, results, before = Functions(), {}, {}
    if arguments.before:
        with open(arguments.before, encoding="ascii") as file:
            before = json.load(file)
    for name in arguments.names:
        results[name] = profile(name, functions)
        if name in before:
            show_beside(name, before[name], results[name])
        else:
            show(name, results[name])
    if arguments.output:
        with open(arguments.output, "w", encoding="ascii") as file:
            json.dump(results, file, indent=1)


main()
