# SPDX-License-Identifier: GPL-2.0-or-later
"""A PF driver that migrates VFs by the protocol of 2021."""

import struct

from virtio import Admin

MIGRATION, DIRTY = 64, 65
IDENTITY, GET_STATUS, MODIFY_STATUS, PENDING_BYTES, SAVE, RESTORE = range(6)
START_TRACK, STOP_TRACK, MAP_PENDING, REPORT_MAP = 1, 2, 3, 4
PUSH_BITMAP, PUSH_BYTEMAP, PULL_BITMAP, PULL_BYTEMAP = 1, 2, 3, 4
INIT, RUNNING, QUIESCED, FREEZED = range(4)
OLD_OK, ERR, INVALID_CLASS, INVALID_COMMAND, TRANSFER_ERR, INTERNAL_ERR = range(6)
DNR = 0x80
FEATURES = 1 << 32 | 1 << 33 | 1 << 37 | 1 << 41 | 1 << 42 | 1 << 44 | 0xF << 46

COMMON, DEV_CFG, QUEUE_CFG, RUN_STATE, RX_MODE, VLAN, UNICAST, MULTICAST = range(8)
IN_FLIGHT, COMPLETED, SUBVENDOR = 8, 9, 10


class Field:
    """One field of the saved state."""

    def __init__(self, kind, value):
        self.kind, self.value = kind, value

    def encode(self):
        return struct.pack("<II", self.kind, len(self.value)) + self.value


def decode(data):
    """The fields of a whole state."""
    count, data, fields = struct.unpack("<I", data[:4])[0], data[4:], []
    for _ in range(count):
        kind, length = struct.unpack("<II", data[:8])
        assert len(data) >= 8 + length, "a field is cut off"
        fields.append(Field(kind, data[8:8 + length]))
        data = data[8 + length:]
    assert not data, "something behind the last field"
    return fields


def encode(fields):
    return struct.pack("<I", len(fields)) + b"".join(field.encode() for field in fields)


class OldAdmin(Admin):
    """An Admin of the old protocol. No lists: everything may be used at once."""

    def __init__(self, pf, memory, features=FEATURES):
        super().__init__(pf, memory, features, use=0)

    def begin(self, kind, command, data=b"", room=0):
        """Post a command: header, data, result and status in descriptors of their own."""
        self.qemu.put(self.request, bytes([kind, command]) + data)
        self.qemu.put(self.answer, b"\xee" * (room + 1))
        readable = [(self.request, 2)] + ([(self.request + 2, len(data))] if data else [])
        writable = ([(self.answer, room)] if room else []) + [(self.answer + room, 1)]
        chain = self.queue.add(readable, writable)
        self.qemu.write(self.doorbell, self.index, 2)
        return chain

    def old(self, kind, command, data=b"", room=0):
        """(status, result)."""
        used = self.queue.wait(self.begin(kind, command, data, room))
        answer = self.qemu.get(self.answer, room + 1)
        assert used == room + 1, f"{used} bytes used of {room + 1}"
        return answer[-1], answer[:-1]

    def modify(self, member, status):
        return self.old(MIGRATION, MODIFY_STATUS, struct.pack("<HH", member, status))[0]

    def state(self, member):
        status, result = self.old(MIGRATION, GET_STATUS, struct.pack("<HH", member, 0), 4)
        assert status == OLD_OK, f"get status: {status:#x}"
        return struct.unpack("<HH", result)[0]

    def pending(self, member):
        status, result = self.old(MIGRATION, PENDING_BYTES, struct.pack("<HH", member, 0), 8)
        return status, struct.unpack("<Q", result)[0]

    def save_range(self, member, offset, length, room=None):
        data = struct.pack("<H6xQQ", member, offset, length)
        return self.old(MIGRATION, SAVE, data, length if room is None else room)

    def restore_range(self, member, offset, data, length=None):
        length = len(data) if length is None else length
        return self.old(MIGRATION, RESTORE,
                        struct.pack("<H6xQQ", member, offset, length) + data)[0]

    def to(self, member, *states):
        for state in states:
            status = self.modify(member, state)
            assert status == OLD_OK, f"to {state}: {status:#x}"

    # Dirty maps

    def track(self, member, mode, start, length, page=4096, segments=()):
        """START_TRACK; SEGMENTS are [(address, length)] of a pushed map."""
        data = struct.pack("<HHIQQ", member, mode, page, start, length)
        data += b"".join(struct.pack("<QII", self.memory.dma(at), size, 0) for at, size in segments)
        return self.old(DIRTY, START_TRACK, data)[0]

    def untrack(self, member, start):
        return self.old(DIRTY, STOP_TRACK, struct.pack("<H6xQ", member, start))[0]

    def map_pending(self, member, start):
        status, result = self.old(DIRTY, MAP_PENDING, struct.pack("<H6xQ", member, start), 8)
        return status, struct.unpack("<Q", result)[0]

    def report(self, member, start, offset, length, room=None):
        data = struct.pack("<H6xQQQ", member, offset, length, start)
        return self.old(DIRTY, REPORT_MAP, data, length if room is None else room)

    # What every protocol has

    def stop(self, member):
        self.to(member, QUIESCED)

    def resume(self, member):
        self.to(member, RUNNING)

    def save(self, member):
        """Freezes for as long as it takes."""
        self.to(member, FREEZED)
        status, length = self.pending(member)
        assert status == OLD_OK, f"pending: {status:#x}"
        status, data = self.save_range(member, 0, length)
        assert status == OLD_OK, f"save: {status:#x}"
        self.to(member, QUIESCED)
        return data

    def restore(self, member, data):
        self.to(member, FREEZED)
        status = self.restore_range(member, 0, data)
        assert status == OLD_OK, f"restore: {status:#x}"
        self.to(member, QUIESCED)
