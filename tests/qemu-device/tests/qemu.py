# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU without a guest: memory and ports through qtest, the rest through QMP."""

import json
import os
import socket
import subprocess
import tempfile
import time

QEMU = os.environ.get("PORTOLAN_QEMU", "qemu-system-x86_64")
START_SECONDS = 600
ANSWER_SECONDS = 600
WIDTH = {1: "b", 2: "w", 4: "l", 8: "q"}


class Lines:
    """Lines to and from a socket. One file for both would lose what it has read when it writes."""

    def __init__(self, connection):
        connection.settimeout(ANSWER_SECONDS)
        self.connection = connection
        self.incoming = connection.makefile("r", encoding="utf-8")

    def send(self, line):
        self.connection.sendall(line.encode() + b"\n")

    def receive(self):
        """The next line; empty at the end."""
        return self.incoming.readline()

    def close(self):
        self.incoming.close()
        self.connection.close()


class QemuError(Exception):
    """QEMU ended or refused something."""


def command_line(so, arguments, folder):
    """A q35 machine whose CPU halts at once: everything happens through qtest."""
    firmware = os.path.join(folder, "halt.bin")
    image = bytearray(b"\xf4" * 65536)
    image[0xfff0:0xfff4] = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp back to the hlt
    with open(firmware, "wb") as file:
        file.write(image)
    return [QEMU, "-M", "q35,kernel-irqchip=split", "-accel", "tcg", "-cpu", "qemu64",
            "-m", "256", "-nodefaults", "-display", "none", "-bios", firmware,
            "-qtest-log", "/dev/null", "-plugin", so] + arguments


class Qemu:
    """One run. Ends when the with statement does."""

    def __init__(self, so, arguments):
        self.temporary = tempfile.TemporaryDirectory(prefix="portolan-")
        self.folder = self.temporary.name
        self.log = open(self.path("qemu.log"), "w+", encoding="utf-8", errors="replace")
        self.events, self.connections = [], []
        self.printed = None
        listeners = [self._listen("qtest"), self._listen("qmp")]
        self.command = command_line(so, arguments, self.folder)
        self.command += ["-qtest", "unix:" + self.path("qtest"),
                         "-qmp", "unix:" + self.path("qmp")]
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)
        try:
            self.qtest, self.monitor = [self._accept(listener) for listener in listeners]
            json.loads(self._line(self.monitor))
            self.qmp("qmp_capabilities")
        except BaseException:
            self.stop()
            raise
        finally:
            for listener in listeners:
                listener.close()

    def path(self, name):
        """A file of this run."""
        return os.path.join(self.folder, name)

    def _listen(self, name):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path(name))
        listener.listen(1)
        listener.settimeout(0.2)
        return listener

    def _accept(self, listener):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                connection = listener.accept()[0]
            except TimeoutError:
                if self.process.poll() is not None:
                    raise QemuError(f"QEMU ended: {self.output()}") from None
                continue
            self.connections.append(Lines(connection))
            return self.connections[-1]
        raise QemuError("QEMU did not start in time")

    def _line(self, lines):
        line = lines.receive()
        if not line:
            raise QemuError(f"QEMU is gone: {self.output()}")
        return line

    def output(self):
        """What QEMU has printed so far."""
        with open(self.path("qemu.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """End this QEMU, and no other process."""
        if self.printed is not None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for lines in self.connections:
            lines.close()
        self.log.close()
        self.printed = self.output()
        self.temporary.cleanup()

    def quit(self):
        """This QEMU ends by itself; its exit status."""
        self.monitor.send(json.dumps({"execute": "quit"}))
        wait_for("the end of QEMU", lambda: self.process.poll() is not None)
        return self.process.returncode

    # qtest

    def ask(self, text):
        """One qtest command; its answer as words."""
        self.qtest.send(text)
        while True:
            line = self._line(self.qtest)
            if line.startswith("OK"):
                return line.split()[1:]
            if not line.startswith("IRQ"):
                raise QemuError(f"qtest: {text}: {line.strip()}")

    def read(self, address, width):
        return int(self.ask(f"read{WIDTH[width]} {address:#x}")[0], 16) & ((1 << 8 * width) - 1)

    def write(self, address, value, width):
        self.ask(f"write{WIDTH[width]} {address:#x} {value:#x}")

    def get(self, address, size):
        """SIZE bytes of memory."""
        return bytes.fromhex(self.ask(f"read {address:#x} {size:#x}")[0][2:])

    def put(self, address, data):
        self.ask(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def out(self, port, value):
        self.ask(f"outl {port:#x} {value:#x}")

    # QMP

    def qmp(self, command, **arguments):
        """The answer to COMMAND; events on the way are kept for wait_event()."""
        self.monitor.send(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self._line(self.monitor))
            if "error" in answer:
                raise QemuError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            self.events.append(answer["event"])

    def wait_event(self, name):
        while name not in self.events:
            self.events.append(json.loads(self._line(self.monitor))["event"])
        self.events.clear()

    def set(self, device, name, value):
        self.qmp("qom-set", path=f"/machine/peripheral/{device}", property=name, value=value)

    def property(self, device, name):
        return self.qmp("qom-get", path=f"/machine/peripheral/{device}", property=name)


def wait_for(what, condition, seconds=30.0):
    """Ask CONDITION until it holds; each question goes through QEMU, which works meanwhile. SECONDS is for a QEMU that hangs,
    not for one on a busy host: it is far more than any wait takes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
    raise AssertionError(f"{what}: not within {seconds} s")


def run_to_failure(so, arguments):
    """Start a QEMU that must refuse; (exit code, what it printed)."""
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        done = subprocess.run(command_line(so, arguments, folder) + ["-S", "-monitor", "none"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=START_SECONDS,
                              check=False)
        return done.returncode, done.stdout
