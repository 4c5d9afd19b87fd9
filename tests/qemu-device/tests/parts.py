# SPDX-License-Identifier: GPL-2.0-or-later
"""A PF driver that migrates VFs by the commands of virtio 1.4."""

import struct

from virtio import OK, SELF, SRIOV, Admin

CAP_LIST, CAP_GET, CAP_SET = 7, 8, 9
CREATE, MODIFY, QUERY, DESTROY = 0x0A, 0x0B, 0x0C, 0x0D
METADATA_GET, PARTS_GET, PARTS_SET, MODE_SET = 0x0E, 0x0F, 0x10, 0x11
OF_SELF = 0x3 | 7 << CAP_LIST
OF_SRIOV = 0x7F | 0xFF << CREATE
GET, SET = 0, 1
SIZE, COUNT, LIST = 0, 1, 2
SELECTED, ALL = 0, 1
STOPPED, RUNNING = 1, 0

DEV_FEATURES, DRV_FEATURES, COMMON_CFG, DEVICE_STATUS = 0x100, 0x101, 0x102, 0x103
VQ_CFG, VQ_NOTIFY, CVQ_CFG = 0x104, 0x105, 0x200
HEADER = struct.Struct("<HBBQI")
ROOM = 0x8000


class Part:
    """One device part."""

    def __init__(self, kind, value, selector=0, flags=0):
        self.kind, self.value, self.selector, self.flags = kind, value, selector, flags

    def header(self):
        return HEADER.pack(self.kind, self.flags, 0, self.selector, len(self.value))

    def encode(self):
        return self.header() + self.value


def decode(data):
    """The parts in DATA, all of it."""
    parts = []
    while data:
        kind, flags, _, selector, length = HEADER.unpack(data[:16])
        assert len(data) >= 16 + length, "a part is cut off"
        parts.append(Part(kind, data[16:16 + length], selector, flags))
        data = data[16 + length:]
    return parts


def encode(parts):
    return b"".join(part.encode() for part in parts)


def find(parts, kind, selector=0):
    return next(part for part in parts if (part.kind, part.selector) == (kind, selector))


class PartsAdmin(Admin):
    """An Admin with capabilities set. Objects: id 2n to get VF n, 2n + 1 to set it."""

    def __init__(self, pf, memory, limits=(8, 8)):
        super().__init__(pf, memory, use=0)
        assert self.use(OF_SELF, SELF) == (OK, 0, b"")
        assert self.use(OF_SRIOV) == (OK, 0, b"")
        if limits:
            assert self.set_limits(*limits)[0] == OK

    def set_limits(self, get, put):
        return self.command(CAP_SET, 0, struct.pack("<H6xBB6x", 0, get, put), 0, SELF)

    def object(self, opcode, member, number, kind=GET, flags=0, room=0, object_type=0,
               group=SRIOV):
        data = struct.pack("<H2xIQB7x", object_type, number, flags, kind)
        return self.command(opcode, member, data, room, group)

    def create(self, member, kind):
        number = 2 * member + kind
        status = self.object(CREATE, member, number, kind)[0]
        assert status in (OK, 17), f"create: {status}"
        return number

    def metadata(self, member, what, room=ROOM):
        number = self.create(member, GET)
        return self.command(METADATA_GET, member, struct.pack("<H2xIB7x", 0, number, what), room)

    def get_parts(self, member, what=ALL, headers=b"", room=ROOM):
        number = self.create(member, GET)
        data = struct.pack("<H2xIB7x", 0, number, what) + headers
        return self.command(PARTS_GET, member, data, room)

    def set_parts(self, member, data):
        number = self.create(member, SET)
        return self.command(PARTS_SET, member, struct.pack("<H2xI", 0, number) + data)

    def mode(self, member, flags):
        return self.command(MODE_SET, member, bytes([flags]) + bytes(7))

    # What every protocol has

    def stop(self, member):
        assert self.mode(member, STOPPED) == (OK, 0, b"")

    def resume(self, member):
        assert self.mode(member, RUNNING) == (OK, 0, b"")

    def save(self, member):
        status, _, data = self.get_parts(member)
        assert status == OK, f"get: {status}"
        return data

    def restore(self, member, data):
        status, qualifier, _ = self.set_parts(member, data)
        assert status == OK, f"set: {status}, {qualifier}"
