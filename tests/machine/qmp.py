# SPDX-License-Identifier: BSD-2-Clause
"""QEMU's machine protocol, which portolan-agent speaks as well: JSON lines over a socket."""

import json
import os
import socket
import time

import machine

class Qmp:
    """A connection to a QEMU that was started with arguments(PATH), or to what is at PATH (host, port)."""

    def __init__(self, path):
        self.folder, self.events = os.path.dirname(path) if isinstance(path, str) else None, []
        end = time.monotonic() + machine.patience()
        while True:
            self.socket = socket.socket(socket.AF_UNIX if isinstance(path, str) else socket.AF_INET)
            self.socket.settimeout(machine.patience())
            try:
                self.socket.connect(path)
                self.file = self.socket.makefile("rw", encoding="utf-8")
                if self.file.readline(): # the greeting
                    break
                error = "it was closed at once"
            except OSError as failure: # who serves it is not there yet
                error = failure
            self.socket.close()
            if time.monotonic() > end:
                raise machine.Failure(f"no QMP at {path}: {error}")
            time.sleep(0.05)
        self.command("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.socket.close()

    def receive(self):
        try:
            line = self.file.readline()
        except TimeoutError:
            raise machine.Late("QMP: no answer within the time limit") from None
        except OSError as error:
            raise machine.Failure(f"QMP: {error}") from None
        if not line:
            raise machine.Failure("QMP: the machine is gone")
        return json.loads(line)

    def command(self, name, **arguments):
        """Execute NAME, and return what it returns."""
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = self.receive()
            if "error" in answer:
                raise machine.Failure(f"QMP: {name} {arguments}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            self.events.append(answer)

    def event_us(self, name):
        """When the last event NAME was, of those that came with answers: microseconds of this host's clock; None: there was none."""
        times = [event["timestamp"] for event in self.events if event["event"] == name]
        return times[-1]["seconds"] * 1000000 + times[-1]["microseconds"] if times else None

    def set(self, device, **properties):
        """Set properties of the device with id DEVICE; '_' stands for '-'."""
        for name, value in properties.items():
            self.command("qom-set", path=f"/machine/peripheral/{device}", property=name.replace("_", "-"), value=value)

    def get(self, device, name):
        return self.command("qom-get", path=f"/machine/peripheral/{device}", property=name)

    def memory(self, address, size):
        """SIZE bytes of the machine's memory at ADDRESS."""
        path = os.path.join(self.folder, "memory.bin")
        self.command("pmemsave", val=address, size=size, filename=path)
        with open(path, "rb") as file:
            return file.read()


def arguments(path):
    return ["-qmp", f"unix:{path},server=on,wait=off"]
