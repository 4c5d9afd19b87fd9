# SPDX-License-Identifier: BSD-2-Clause
"""A client of vfio-user for tests of portolan-vfiod: the daemon as a process, and messages over its socket."""
import array
import json
import mmap
import os
import pathlib
import select
import socket
import struct
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ["PORTOLAN_BUILD"])
LIMIT = float(os.environ.get("PORTOLAN_LIMIT", 600)) / 4  # seconds that anything may take: a busy host is slow

(VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, REGION_INFO, IO_FDS, IRQ_INFO, SET_IRQS, REGION_READ, REGION_WRITE, DMA_READ,
 DMA_WRITE, RESET) = range(1, 14)
WRITE_MULTI, FEATURE, MIG_READ, MIG_WRITE, PRECOPY_INFO = range(15, 20)
V2021_INTERRUPT, V2021_RESET, V2021_DIRTY = 13, 14, 15
INTX, MSI, MSIX = range(3)
CONFIG, MIGRATION = 7, 9
NO_REPLY, ERROR = 0x10, 0x20
NONE, BOOL, EVENTFD, MASK, UNMASK, TRIGGER = 1, 2, 4, 8, 16, 32
GET, SET, PROBE = 1 << 16, 1 << 17, 1 << 18
STOP, RUNNING, STOP_COPY, RESUMING, PRE_COPY = 1, 2, 3, 4, 6


class Refused(Exception):
    """An answer that is an error; ERRNO is in it."""

    def __init__(self, errno):
        super().__init__(os.strerror(errno))
        self.errno = errno


class Daemon:
    """portolan-vfiod, or a program that is like it, which listens at a socket of its own."""

    def __init__(self, function, program="vfiod-puppet", options=(), seccomp=None):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "socket")
        self.log = open(os.path.join(self.folder.name, "log"), "w+b")
        # ASan needs more of the system than the sandbox allows.
        seccomp = seccomp or ("kill" if program == "portolan-vfiod" else "none")
        self.process = subprocess.Popen(
            [BUILD / program, f"--socket-path={self.path}", f"--simulated={function}", f"--seccomp={seccomp}", *options],
            stderr=self.log, stdin=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.path) or self.process.poll() is not None, "the socket")
        assert self.process.poll() is None, self.said()

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def end(self):
        """SIGTERM; it has to end well, and to say nothing of memory that it lost or misused."""
        self.process.terminate()
        code = self.process.wait(LIMIT)
        said = self.said()
        self.log.close()
        self.folder.cleanup()
        assert code == 0, f"it ended with {code}: {said}"
        return said

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is not None or kind is not None:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the daemon: {self.process.returncode}: {self.said()}")
        self.end()


def wait_for(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.005)


class Client:
    """One connection. With VERSION None nothing is said yet."""

    def __init__(self, daemon, version=(0, 0), **capabilities):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(LIMIT)
        self.socket.connect(daemon if isinstance(daemon, str) else daemon.path)
        self.id = 0
        self.own = []  # commands of the server
        self.fds = []  # that came with the last answer
        if version is not None:
            self.capabilities = self.say_version(version, capabilities or {"max_msg_fds": 16})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def say_version(self, version, capabilities):
        text = json.dumps({"capabilities": capabilities}).encode() + b"\0"
        answer = self.ask(VERSION, struct.pack("<HH", *version) + text)
        assert answer[-1:] == b"\0"
        return json.loads(answer[4:-1])["capabilities"]

    # ---- Messages ----

    def message(self, command, payload=b"", flags=0, size=None):
        self.id = (self.id + 1) % 0x10000
        return struct.pack("<HHIII", self.id, command, 16 + len(payload) if size is None else size, flags, 0) + payload

    def send(self, message, fds=()):
        if fds:
            sent = self.socket.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
            message = message[sent:]
        if message:  # the server may have gone since
            self.socket.sendall(message)

    def receive(self, count):
        data = b""
        while len(data) < count:
            piece, ancillary, _, _ = self.socket.recvmsg(count - len(data), socket.CMSG_SPACE(64))
            if not piece:
                raise ConnectionResetError("the server closed the connection")
            for level, kind, raw in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                self.fds += array.array("i", raw)
            data += piece
        return data

    def read_message(self):
        identity, command, size, flags, error = struct.unpack("<HHIII", self.receive(16))
        return identity, command, flags, error, self.receive(size - 16)

    def answer(self, identity=None):
        """The answer to a command, the last by default; what the server has to say meanwhile goes to 'own'."""
        self.fds = []
        while True:
            got, command, flags, error, payload = self.read_message()
            if flags & 0xf == 1:
                break
            self.obey(got, command, payload)
        assert got == (self.id if identity is None else identity), (got, self.id)
        if flags & ERROR:
            assert payload == b"" and error != 0
            raise Refused(error)
        return payload

    def obey(self, identity, command, payload):
        """A command of the server."""
        self.own.append((command, payload))
        self.own_id = identity

    def ask(self, command, payload=b"", fds=()):
        self.send(self.message(command, payload), fds)
        return self.answer()

    # ---- Commands ----

    def region_info(self, index, argsz=1000):
        answer = self.ask(REGION_INFO, struct.pack("<IIIIQQ", argsz, 0, index, 0, 0, 0))
        return struct.unpack_from("<IIIIQQ", answer), answer

    def read(self, region, offset, count):
        answer = self.ask(REGION_READ, struct.pack("<QII", offset, region, count))
        assert answer[:16] == struct.pack("<QII", offset, region, count)
        return answer[16:]

    def write(self, region, offset, data):
        return self.ask(REGION_WRITE, struct.pack("<QII", offset, region, len(data)) + data)

    def map(self, address, size, fd=None, offset=0, flags=3):
        self.ask(DMA_MAP, struct.pack("<IIQQQ", 32, flags, offset, address, size), () if fd is None else (fd,))

    def unmap(self, address, size, flags=0):
        return self.ask(DMA_UNMAP, struct.pack("<IIQQ", 24, flags, address, size))

    def set_irqs(self, flags, index, start, count, fds=(), data=b""):
        self.ask(SET_IRQS, struct.pack("<IIIII", 20 + len(data), flags, index, start, count) + data, fds)

    def feature(self, flags, data=b"", argsz=None):
        return self.ask(FEATURE, struct.pack("<II", 8 + len(data) if argsz is None else argsz, flags) + data)[8:]

    def set_state(self, state):
        self.feature(SET | 2, struct.pack("<II", state, 0))

    def state(self):
        return struct.unpack("<II", self.feature(GET | 2, argsz=16))[0]

    def save(self, piece=4096):
        """The whole state; in a saving state."""
        stream = b""
        while True:
            answer = self.ask(MIG_READ, struct.pack("<II", 8 + piece, piece))
            size = struct.unpack_from("<II", answer)[1]
            assert size == len(answer) - 8
            stream += answer[8:]
            if size < piece:
                return stream

    def load(self, stream, piece=4096):
        for at in range(0, len(stream), piece):
            part = stream[at:at + piece]
            self.ask(MIG_WRITE, struct.pack("<II", 8 + len(part), len(part)) + part)

    def dirty(self, address, size, page=4096):
        """The numbers of pages that the log has."""
        words = (size // page + 63) // 64
        answer = self.feature(GET | 8, struct.pack("<QQQ", address, size, page), 8 + 24 + words * 8)
        bits = int.from_bytes(answer[24:], "little")
        return [n for n in range(words * 64) if bits >> n & 1]


class FarClient(Client):
    """One whose MEMORY (bytes of it from address 0 on) the server has by messages only, unless it is SILENT."""
    memory, silent = None, False

    def obey(self, identity, command, payload):
        super().obey(identity, command, payload)
        if self.silent:
            return
        address, count = struct.unpack_from("<QQ", payload)
        if command == DMA_READ:
            answer = payload[:16] + self.memory[address:address + count]
        else:
            assert command == DMA_WRITE and count == len(payload) - 16
            self.memory[address:address + count] = payload[16:]
            answer = payload[:16]
        self.socket.sendall(struct.pack("<HHIII", identity, command, 16 + len(answer), 1, 0) + answer)

    def pump(self):
        """The commands of the server that are there."""
        while select.select([self.socket], [], [], 0)[0]:
            got, command, flags, _, payload = self.read_message()
            assert flags == 0
            self.obey(got, command, payload)


class Memory:
    """A piece of a guest's memory, shared by a file."""

    def __init__(self, size):
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, size)
        self.map = mmap.mmap(self.fd, size)

    def close(self):
        self.map.close()
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Event:
    """An eventfd, which does not wait unless BLOCKING."""

    def __init__(self, blocking=False):
        self.fd = os.eventfd(0, 0 if blocking else os.EFD_NONBLOCK)

    def wait(self):
        """How often it was signalled, at least once."""
        ready, _, _ = select.select([self.fd], [], [], LIMIT)
        assert ready, "no signal"
        return os.eventfd_read(self.fd)

    def count(self):
        ready, _, _ = select.select([self.fd], [], [], 0)
        return os.eventfd_read(self.fd) if ready else 0

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
