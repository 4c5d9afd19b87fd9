# SPDX-License-Identifier: BSD-2-Clause
"""A service VM's program, for tests: frames by portal-sim's socket, lines, vfio-user on channels."""
import mmap
import os
import select
import socket
import struct
import subprocess
import time

RING = 65536
(HELLO, READ, WRITE, INTERRUPT, SHOW, HIDE) = range(6)
SENT, TAKEN, COME, TOOK, STATUS, ENABLE, SESSION = range(0x10, 0x2c, 4)
PACKET = struct.Struct("<IIIIQ")
HEADER = struct.Struct("<HHIII")
ERRNO = {16: "EBUSY", 22: "EINVAL", 95: "ENOTSUP", 5: "EIO", 7: "E2BIG", 17: "EEXIST", 2: "ENOENT"}
STOP, RUNNING, STOP_COPY, RESUMING, PRE_COPY = 1, 2, 3, 4, 6


class Refused(Exception):
    """An answer that is an error."""


class Ended(Exception):
    """The session is over."""


class Sim:
    """A portal-sim, and the operator's lines to it."""

    def __init__(self, folder, name, *vms):
        build = os.environ["PORTOLAN_BUILD"]
        self.socket, self.control = (os.path.join(folder, f"{name}.{end}") for end in ("sock", "ctl"))
        self.process = subprocess.Popen(
            [os.path.join(build, "portal-sim"), f"--socket={self.socket}", f"--control={self.control}",
             *[f"--vm={vm}" for vm in vms]], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "portal-sim: ready\n"
        self.operator = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.operator.connect(self.control)

    def say(self, line):
        self.operator.sendall(line.encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            more = self.operator.recv(512)
            assert more, "portal-sim is gone"
            answer += more
        return answer.decode().strip()

    def order(self, line):
        answer = self.say(line)
        assert answer == "ok", f"{line}: {answer}"

    def vm(self, name):
        return dict(word.split("=") for word in self.say(f"vm {name}").split())

    def wait_for(self, name, state):
        end = time.monotonic() + 20
        while self.vm(name)["state"] != state:
            assert time.monotonic() < end, f"{name} is {self.vm(name)['state']}, not {state}"
            time.sleep(0.005)

    def close(self):
        self.order("quit")
        assert self.process.wait(20) == 0


class Client:
    """Rings and lines."""

    def __init__(self, sim):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(sim.socket)
        packet, fds, _, _ = socket.recv_fds(self.socket, PACKET.size, 2)
        assert PACKET.unpack(packet)[:3] == (HELLO, 0, 64 << 20), packet
        self.rings = mmap.mmap(fds[0], 2 * RING)
        self.ram = mmap.mmap(fds[1], os.fstat(fds[1]).st_size)
        for fd in fds:
            os.close(fd)
        self.window = {}
        self.interrupts = 0
        self.begin()
        self.write(SESSION, 1)

    def begin(self):
        """A session from its beginning."""
        self.sent = self.took = 0
        self.events, self.lines = [], []
        self.data = {}
        self.message = 0

    def packet(self):
        op, offset, value, size, ram = PACKET.unpack(self.socket.recv(PACKET.size))
        if op == INTERRUPT:
            self.interrupts += 1
        elif op == SHOW:
            self.window[offset] = (size, ram, value & 1)
        elif op == HIDE:
            self.window = {at: w for at, w in self.window.items() if not offset <= at < offset + size}
        return op, offset, value

    def read(self, register):
        self.socket.send(PACKET.pack(READ, register, 0, 0, 0))
        while True:
            op, offset, value = self.packet()
            if op == READ:
                assert offset == register
                return value

    def write(self, register, value):
        self.socket.send(PACKET.pack(WRITE, register, value & 0xffffffff, 0, 0))

    def put(self, data, ring=True):
        """Bytes, as they are; the portal takes them as it can."""
        while data:
            room = RING - (self.sent - self.read(TAKEN) & 0xffffffff)
            if room == 0:
                self.get()
                continue
            at = self.sent % RING
            part = data[:min(room, RING - at)]
            self.rings[at:at + len(part)] = part
            self.sent = self.sent + len(part) & 0xffffffff
            data = data[len(part):]
            if ring:
                self.write(SENT, self.sent)

    def frame(self, channel, data):
        self.put(struct.pack("<IHH", len(data), channel, 0) + data)

    def get(self):
        """Take what has come."""
        self.write(STATUS, 1)
        come = self.read(COME)
        if self.read(STATUS) & 2:
            raise Ended()
        while self.took != come:
            header = self.take(8)
            length, channel = struct.unpack("<IHH", header)[:2]
            data = self.take(length)
            if channel:
                self.data[channel] = self.data.get(channel, b"") + data
            elif data.startswith(b"event "):
                self.events.append(data.decode())
            else:
                self.lines.append(data.decode())
        self.write(TOOK, self.took)

    def take(self, size):
        at = RING + self.took % RING
        first = self.rings[at:min(at + size, 2 * RING)]
        self.took = self.took + size & 0xffffffff
        return first + self.rings[RING:RING + size - len(first)]

    def until(self, ready):
        self.write(ENABLE, 1)
        end = time.monotonic() + 20
        while True:
            value = ready()
            if value is not None:
                return value
            self.get()
            value = ready()
            if value is not None:
                return value
            assert time.monotonic() < end, "no answer"
            if select.select([self.socket], [], [], 0.05)[0]:
                self.packet()

    def line(self, text):
        """A request's answer; Refused with what an error says."""
        self.frame(0, text.encode())
        answer = self.until(lambda: self.lines.pop(0) if self.lines else None)
        if answer.startswith("error "):
            raise Refused(answer[6:])
        assert answer.startswith("ok"), answer
        return dict(word.split("=", 1) for word in answer.split()[1:])

    def event(self, text):
        def found():
            if text in self.events:
                del self.events[:self.events.index(text) + 1]
                return True
            return None
        self.until(found)


class Device:
    """vfio-user on a channel."""

    def __init__(self, client, channel, what):
        self.client, self.channel = client, channel
        client.line(f"open {channel} {what}")
        client.data.pop(channel, None)
        body = self.command(1, struct.pack("<HH", 0, 1) +
                            b'{"capabilities":{"max_msg_fds":0,"max_data_xfer_size":65536}}\0')
        assert b'"max_data_xfer_size":%d' % (16384 if " vf " not in f" {what}" else 4096) in body, body

    def send(self, number, payload):
        self.client.message = (self.client.message + 1) % 65536
        self.client.frame(self.channel, HEADER.pack(self.client.message, number, 16 + len(payload), 0, 0) + payload)
        return self.client.message

    def answer(self, ident):
        def whole():
            data = self.client.data.get(self.channel, b"")
            if len(data) < 16 or len(data) < HEADER.unpack_from(data)[2]:
                return None
            size = HEADER.unpack_from(data)[2]
            self.client.data[self.channel] = data[size:]
            return data[:size]
        data = self.client.until(whole)
        got, _, _, flags, error = HEADER.unpack_from(data)
        assert got == ident and flags & 1
        if flags & 0x20:
            raise Refused(ERRNO.get(error, str(error)))
        return data[16:]

    def command(self, number, payload):
        return self.answer(self.send(number, payload))

    def region(self, index):
        """Size and areas."""
        body = self.command(5, struct.pack("<IIIIQQ", 256, 0, index, 0, 0, 0))
        size, areas = struct.unpack_from("<Q", body, 16)[0], []
        if len(body) > 32:
            count = struct.unpack_from("<I", body, 40)[0]
            areas = [struct.unpack_from("<QQ", body, 48 + 16 * i) for i in range(count)]
        return size, areas

    def read(self, region, offset, count):
        return self.command(9, struct.pack("<QII", offset, region, count))[16:]

    def write(self, region, offset, data):
        return self.command(10, struct.pack("<QII", offset, region, len(data)) + data)

    def text(self):
        return self.read(1, 0, self.region(1)[0]).decode()

    def feature(self, flags, data, room=0):
        return self.command(16, struct.pack("<II", 8 + len(data) + room, flags) + data)[8:]

    def state(self):
        return struct.unpack_from("<I", self.feature(0x10002, b"", 8))[0]

    def set_state(self, state):
        self.feature(0x20002, struct.pack("<II", state, 0xffffffff))

    def track(self):
        self.feature(0x20006, struct.pack("<QII", 4096, 0, 0))

    def report(self, start, size):
        """Page numbers."""
        body = self.feature(0x10008, struct.pack("<QQQ", start, size, 4096), size // 4096 // 8)[24:]
        return [start // 4096 + i for i in range(size // 4096) if body[i // 8] >> i % 8 & 1]

    def read_all(self, size):
        data = b""
        while True:
            part = self.command(17, struct.pack("<II", 8 + size, size))[8:]
            data += part
            if len(part) < size:
                return data

    def write_all(self, data, size):
        for at in range(0, len(data), size):
            part = data[at:at + size]
            self.command(18, struct.pack("<II", 8 + len(part), len(part)) + part)
