# SPDX-License-Identifier: BSD-2-Clause
"""Two simulated machines, a portolan-agent in the service VM of each, and what is between them, for tests."""
import atexit
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "portal"))
import client  # pylint: disable=wrong-import-position

BUILD = pathlib.Path(os.environ["PORTOLAN_BUILD"])
LIMIT = float(os.environ.get("PORTOLAN_LIMIT", 600)) / 4
PROGRAM = os.environ.get("PORTOLAN_AGENT", "agent-checked")

(VM, TEXT, ROUND, PAGES, DEVICE, END, COMMIT, CANCEL) = range(1, 9)
(ACCEPT, REFUSE, READY, RUNNING) = range(16, 20)
NAMES = {VM: "VM", TEXT: "TEXT", ROUND: "ROUND", PAGES: "PAGES", DEVICE: "DEVICE", END: "END", COMMIT: "COMMIT",
         CANCEL: "CANCEL", ACCEPT: "ACCEPT", REFUSE: "REFUSE", READY: "READY", RUNNING: "RUNNING", 0: "preamble"}
MOVING = ("setup", "active", "device", "cancelling")


def wait_for(condition, what):
    end = time.monotonic() + LIMIT
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"no {what() if callable(what) else what}"
        time.sleep(0.003)


def free_port():
    """None of those that the kernel gives to whoever connects: an agent that is started again has to find it free."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


LIVING = []


@atexit.register
def end_all():
    """Whatever a test that failed has left."""
    for process in LIVING:
        if process.poll() is None:
            process.kill()


def run_tests(tests):
    """All, or those that the command line names, each with a folder of its own."""
    for test in tests:
        if len(sys.argv) > 1 and test.__name__ not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            test(folder)
        print(test.__name__, "ok", flush=True)


class Refused(Exception):
    """An error of a QMP command: its class and its text."""


class Qmp:
    """One connection to an agent's QMP."""

    def __init__(self, path, greet=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(LIMIT)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.events = []
        self.number = 0
        self.greeting = self.line()
        if greet:
            self.do("qmp_capabilities")

    def line(self):
        text = self.file.readline()
        if not text:
            raise ConnectionResetError("QMP was closed")
        assert text.endswith(b"\r\n") and text.isascii(), text
        return json.loads(text)

    def answer(self):
        """The next line that is no event."""
        while True:
            value = self.line()
            if "event" not in value:
                return value
            stamp = value["timestamp"]
            assert abs(stamp["seconds"] - time.time()) < LIMIT and 0 <= stamp["microseconds"] < 1000000, value
            self.events.append(value)

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else json.dumps(data).encode())

    def do(self, command, **arguments):
        self.number += 1
        self.send({"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}, "id": self.number})
        value = self.answer()
        assert value["id"] == self.number, value
        if "error" in value:
            raise Refused(value["error"]["class"], value["error"]["desc"])
        return value["return"]

    def event(self, name, **data):
        """Wait for an event; those before it are dropped."""
        while True:
            while self.events:
                value = self.events.pop(0)
                if value["event"] == name and all(value.get("data", {}).get(k) == v for k, v in data.items()):
                    return value
            value = self.line()
            assert "event" in value, value
            self.events.append(value)

    def status(self):
        return self.do("query-migrate")

    def ended(self):
        """What came of the move under way."""
        return wait_for(lambda: (lambda s: s if s.get("status", "none") not in MOVING else None)(self.status()),
                        lambda: f"end of the move: {self.status()}")

    def close(self):
        self.file.close()
        self.socket.close()


class Host:
    """A portal-sim with its VMs, and an agent."""

    def __init__(self, folder, name, vms, options=("--insecure",), listen=True):
        self.folder, self.name = folder, name
        self.sim = client.Sim(folder, name, "service,service,memory=2M", *vms)
        LIVING.append(self.sim.process)
        self.port = free_port()
        self.options = [f"--listen=127.0.0.1:{self.port}"] if listen else []
        self.options += options
        self.path = os.path.join(folder, f"{name}.qmp")
        self.log = open(os.path.join(folder, f"{name}.log"), "ab+")
        self.agent = self.qmp = None
        self.start()

    def start(self):
        self.agent = subprocess.Popen([BUILD / PROGRAM, f"--portal=unix:{self.sim.socket}", f"--qmp={self.path}", *self.options],
                                      stderr=self.log, stdin=subprocess.DEVNULL)
        LIVING.append(self.agent)
        wait_for(self.connect, lambda: f"agent: {self.said()}")

    def connect(self):
        assert self.agent.poll() is None, self.said()
        try:
            self.qmp = Qmp(self.path)
        except OSError:
            return False
        wait_for(lambda: len(self.qmp.do("x-portolan-query-vms")) >= 2, "table of VMs")
        return True

    def kill(self):
        self.agent.send_signal(signal.SIGKILL)
        self.agent.wait()
        self.qmp.close()

    def terminate(self):
        """SIGTERM: it ends with 0, and says nothing of memory that it lost or misused."""
        self.qmp.close()
        self.agent.terminate()
        code = self.agent.wait(LIMIT)
        assert code == 0, f"{self.name}: {code}: {self.said()}"

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def state(self, vm="g"):
        return self.sim.vm(vm)["state"]

    def runs(self, vm="g"):
        """In the simulated machine 'moving' stands still."""
        return self.state(vm) == "running"

    def close(self):
        if self.agent.poll() is None:
            self.terminate()
        assert "ERROR: AddressSanitizer" not in self.said() and "runtime error" not in self.said(), self.said()
        self.log.close()
        self.sim.close()


class Pair:
    """Two hosts, A and B, on each a VM g of which one may run."""

    def __init__(self, folder, vm="memory=8M,vfs=2,rate=200", options=("--insecure",), other=None):
        disk = os.path.join(folder, "disk")
        common = f",incoming,migrate,disk={disk}"
        self.a = Host(folder, "a", [f"g,{vm}{common}"], options)
        self.b = Host(folder, "b", [f"g,{other or vm}{common}"], options)
        self.a.sim.order("start g")
        wait_for(lambda: self.a.qmp.do("query-status")["status"] == "running", "start")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            for host in (self.a, self.b):
                print(f"---- {host.name}\n{host.said()}", file=sys.stderr)
                host.agent.kill()
                host.sim.process.kill()
            return
        self.a.close()
        self.b.close()


def rest(host):
    """Its agent has no move under way, and would begin one. The source of a move is done first, and the VM runs before its target is."""
    wait_for(lambda: host.qmp.status().get("status", "none") not in MOVING, lambda: f"rest: {host.qmp.status()}")


def check_moved(source, target):
    """It runs there, and nowhere else, and goes on."""
    wait_for(lambda: target.runs() and source.state() == "off", lambda: f"move: {source.state()}, {target.state()}")
    rest(target)
    before = int(target.sim.vm("g")["ticks"])
    wait_for(lambda: int(target.sim.vm("g")["ticks"]) > before, "ticks of the guest")


def move(source, target, port=None):
    """A whole move, which has to succeed."""
    rest(source)
    source.qmp.do("migrate", uri=f"tcp:127.0.0.1:{port or target.port}")
    status = source.qmp.ended()
    assert status["status"] == "completed", (status, source.said(), target.said())
    check_moved(source, target)
    return status


# ---- A stream, as tests make it ----


def checksum(data):
    """CRC-32C."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def record(kind, flags, payload):
    header = struct.pack("<HHII", kind, flags, len(payload), checksum(payload))
    return header + struct.pack("<I", checksum(header)) + payload


def preamble(version, needs):
    start = b"PORTMOVE" + struct.pack("<HH", version, needs)
    return start + struct.pack("<I", checksum(start))


def records(data):
    """(type, bytes) of a stream behind its preamble."""
    at = 16
    while at < len(data):
        kind, _, size = struct.unpack_from("<HHI", data, at)
        yield kind, data[at:at + 16 + size]
        at += 16 + size


class Between:
    """
    A proxy for one connection without TLS, that reads its records. HOOK(from the source?, type, bytes) is called for each before it
    goes on; it returns what goes on instead, or None to let the link be cut. PASSED() is called when that is done, too.
    """

    def __init__(self, port, hook, passed=lambda: None):
        self.target, self.hook, self.passed = port, hook, passed
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1)
        self.port = self.listener.getsockname()[1]
        self.ends = []
        self.threads = [threading.Thread(target=self.serve, daemon=True)]
        self.threads[0].start()

    def serve(self):
        try:
            near, _ = self.listener.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", self.target))
        self.ends = [near, far]
        back = threading.Thread(target=self.carry, args=(far, near, False), daemon=True)
        back.start()
        self.carry(near, far, True)
        back.join(LIMIT)

    @staticmethod
    def read(end, size):
        data = b""
        while len(data) < size:
            part = end.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def carry(self, here, there, from_source):
        kind, size = 0, 16
        try:
            while True:
                data = self.read(here, size)
                if size == 16 and kind == 0:  # the preamble, once
                    header, payload = data, b""
                else:
                    header, payload = data, self.read(here, struct.unpack_from("<I", data, 4)[0])
                    kind = struct.unpack_from("<H", data)[0]
                data = self.hook(from_source, kind, header + payload)
                try:
                    if data is None:
                        self.cut()
                        return
                    there.sendall(data)
                finally:
                    self.passed()
                kind = -1 if kind == 0 else kind
        except (EOFError, OSError):
            try:
                there.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def cut(self):
        for end in self.ends:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.cut()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.threads[0].join(LIMIT)
        for end in self.ends:
            end.close()
