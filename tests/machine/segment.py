# SPDX-License-Identifier: BSD-2-Clause
"""A network segment of several test machines: a switch that learns, as a process of its own. Each of its ports is a Unix socket that a
netdev of QEMU connects to. It counts frames, tells which port an address came from last, and cuts a port's cable."""

import multiprocessing
import os
import selectors
import signal
import socket
import struct
import time
import typing

# What a port holds for a netdev that does not read; frames behind that are dropped, as a switch does.
BACKLOG = 1 << 20
CHUNK = 1 << 18
BROADCAST = 1 # of an address's first byte


class Counts(typing.NamedTuple):
    """Frames of a port: that came from its netdev, went to it, and went nowhere: its cable was cut, or it did not read."""
    come: int
    gone: int
    dropped: int


class Move(typing.NamedTuple):
    """At TIME (time.monotonic()) the address MAC, which was last seen at the port HERE, came from THERE, in a frame of ETHERTYPE."""
    time: float
    mac: bytes
    here: str
    there: str
    ethertype: int


class Port:
    def __init__(self, name, connection):
        self.name, self.connection = name, connection
        self.unread, self.unsent = bytearray(), bytearray()
        self.come = self.gone = self.dropped = 0
        self.cut = False

    def read(self):
        """The whole frames that have come; None if the netdev is gone."""
        try:
            data = self.connection.recv(CHUNK)
        except (BlockingIOError, ConnectionError) as error:
            return [] if isinstance(error, BlockingIOError) else None
        if not data:
            return None
        self.unread += data
        frames, at = [], 0
        while at + 4 <= len(self.unread):
            end = at + 4 + struct.unpack_from(">I", self.unread, at)[0]
            if end > len(self.unread):
                break
            frames.append(bytes(self.unread[at:end])) # with its length: as it goes on
            at = end
        del self.unread[:at]
        self.come += len(frames)
        return frames

    def put(self, frame):
        if self.cut or len(self.unsent) > BACKLOG:
            self.dropped += 1
        else:
            self.unsent += frame
            self.gone += 1

    def flush(self):
        """Send what there is; whether all went."""
        try:
            while self.unsent:
                del self.unsent[:self.connection.send(self.unsent)]
        except BlockingIOError:
            return False
        except ConnectionError:
            self.unsent.clear()
        return True


class Switch:
    """What runs in the process: until the other end of CONTROL is closed."""

    def __init__(self, listeners, control):
        self.control, self.ports, self.table, self.moves = control, {}, {}, []
        self.selector = selectors.DefaultSelector()
        self.selector.register(control, selectors.EVENT_READ, self.obey)
        for name, listener in listeners.items():
            self.selector.register(listener, selectors.EVENT_READ, lambda events, name=name, listener=listener: self.accept(name, listener))

    def run(self):
        try:
            while True:
                for key, events in self.selector.select():
                    key.data(events)
        except (EOFError, BrokenPipeError):
            pass

    def accept(self, name, listener):
        """One netdev for each port at a time; one that comes later, of a machine that was started anew, takes its place."""
        connection = listener.accept()[0]
        connection.setblocking(False)
        port = self.ports.get(name)
        if port:
            self.leave(port)
        self.ports[name] = port = Port(name, connection)
        self.selector.register(connection, selectors.EVENT_READ, lambda events: self.serve(port, events))

    def leave(self, port):
        if self.ports.get(port.name) is port:
            del self.ports[port.name]
            self.selector.unregister(port.connection)
            port.connection.close()

    def serve(self, port, events):
        if events & selectors.EVENT_WRITE:
            self.send(port)
        if events & selectors.EVENT_READ:
            frames = port.read()
            if frames is None:
                self.leave(port)
                return
            touched = set()
            for frame in frames:
                touched |= self.forward(port, frame)
            for other in touched:
                self.send(other)

    def send(self, port):
        events = selectors.EVENT_READ | (0 if port.flush() else selectors.EVENT_WRITE)
        if self.selector.get_key(port.connection).events != events:
            self.selector.modify(port.connection, events, self.selector.get_key(port.connection).data)

    def forward(self, port, frame):
        """FRAME, behind its length, came from PORT. The ports that it goes to."""
        if port.cut:
            port.dropped += 1
            return set()
        to, source = frame[4:10], frame[10:16]
        here = self.table.get(source)
        if here != port.name:
            if here:
                self.moves.append(Move(time.monotonic(), source, here, port.name, int.from_bytes(frame[16:18], "big")))
            self.table[source] = port.name
        known = None if to[0] & BROADCAST else self.ports.get(self.table.get(to))
        others = {known} if known else set(self.ports.values())
        others.discard(port)
        for other in others:
            other.put(frame)
        return others

    def obey(self, _):
        order, name, value = self.control.recv()
        port = self.ports.get(name)
        if order == "cut" and port:
            port.cut = value
        self.control.send({"cut": lambda: bool(port), "ports": lambda: sorted(self.ports), "moves": lambda: self.moves,
                           "counts": lambda: Counts(port.come, port.gone, port.dropped) if port else None}[order]())


def serve(listeners, control):
    signal.signal(signal.SIGINT, signal.SIG_IGN) # the test ends it
    Switch(listeners, control).run()


class Segment:
    """The segment with ports NAMES, whose sockets are in FOLDER. Ends with the 'with' statement."""

    def __init__(self, folder, names):
        self.folder, listeners = folder, {}
        for name in names:
            listeners[name] = socket.socket(socket.AF_UNIX)
            listeners[name].bind(self.path(name))
            listeners[name].listen()
        self.control, there = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=self.child, args=(listeners, there), daemon=True)
        self.process.start()
        there.close()
        for listener in listeners.values():
            listener.close()

    def child(self, listeners, there):
        self.control.close()
        serve(listeners, there)

    def path(self, name):
        return os.path.join(self.folder, f"segment-{name}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.control.close()
        self.process.join()

    def netdev(self, name, identity):
        """The arguments of QEMU for a netdev IDENTITY at port NAME."""
        return ["-netdev", f"stream,id={identity},server=off,addr.type=unix,addr.path={self.path(name)}"]

    def ask(self, order, name=None, value=None):
        self.control.send((order, name, value))
        return self.control.recv()

    def cut(self, name, value=True):
        """Pull the cable of port NAME, or plug it in again. Nobody is told: frames are lost."""
        return self.ask("cut", name, value)

    def counts(self, name):
        return self.ask("counts", name)

    def moves(self, mac=None):
        """When an address (all, or MAC) came from another port than before."""
        return [move for move in self.ask("moves") if mac in (None, move.mac)]
