# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio 1.4: capabilities, resource objects, device parts; every error of each command."""

import struct

from case import DeviceCase
from parts import (ALL, CAP_GET, CAP_LIST, CAP_SET, COMMON_CFG, COUNT, CREATE, CVQ_CFG, DESTROY,
                   DEVICE_STATUS, DEV_FEATURES, DRV_FEATURES, GET, HEADER, LIST, METADATA_GET,
                   MODE_SET, MODIFY, OF_SELF, OF_SRIOV, PARTS_GET, PARTS_SET, QUERY, SELECTED, SET,
                   SIZE, STOPPED, VQ_CFG, VQ_NOTIFY, Part, PartsAdmin, decode, encode, find)
from virtio import (EINVAL, INVALID_FIELD, INVALID_GROUP, INVALID_MEMBER, INVALID_OPCODE,
                    LIST_QUERY, OK, SELF, SRIOV, STATUS, Admin, BlockRegisters, Disk, Nic)

DONE = (OK, 0, b"")
ENXIO, EAGAIN, ENOMEM, EBUSY, EEXIST, ENOSPC = 6, 11, 12, 16, 17, 28
INVALID_COMMAND, NORESOURCE = 1, 6
DATA = b"\0" * 16
CAPABILITIES = 1 << CAP_LIST | 1 << CAP_GET | 1 << CAP_SET


def refused(qualifier, status=EINVAL):
    return (status, qualifier, b"")


class PartsCase(DeviceCase):
    FAMILY = "blk"

    def setUp(self):
        super().setUp()
        self.pf = self.machine((self.FAMILY, "vfs=3,migration=1.4"))
        self.vfs = self.pf.enable(2)

    def admin(self, **options):
        return PartsAdmin(self.pf, self.memory, **options)


class Lists(PartsCase):
    def test_lists(self):
        for properties, more in (("", CAPABILITIES), (",strict-lists=on", 0)):
            pf = self.machine(("blk", "vfs=1,migration=1.4" + properties))
            pf.enable(1)
            admin = Admin(pf, self.memory, use=0)
            for group, opcodes in ((SELF, OF_SELF), (SRIOV, OF_SRIOV | more)):
                self.assertEqual(admin.command(LIST_QUERY, 0, b"", 8, group)[2],
                                 struct.pack("<Q", opcodes))

    def test_linux(self):
        """The way of Linux 7.2 and 7.3: before VF Enable, and one list for both groups."""
        pf = self.machine(("blk", "vfs=1,migration=1.4"))
        admin = Admin(pf, self.memory, use=0)
        listed = struct.unpack("<Q", admin.command(LIST_QUERY, 0, b"", 8)[2])[0]
        self.assertEqual(admin.use(listed), DONE)
        self.assertEqual(admin.command(CAP_LIST, 0, b"", 8, SELF)[2], b"\1" + bytes(7))
        self.assertEqual(admin.command(CAP_GET, 0, bytes(8), 2, SELF)[2], b"\xff\xff")
        self.assertEqual(admin.command(CAP_SET, 0, bytes(8) + b"\x40\x40", 0, SELF), DONE)
        pf.enable(1)
        self.assertEqual(admin.command(CREATE, 1, struct.pack("<H2xIQQ", 0, 0, 0, 0)), DONE)
        data = struct.pack("<H2xIQ", 0, 0, SIZE)
        size = struct.unpack("<I4x", admin.command(METADATA_GET, 1, data, 8)[2])[0]
        data = struct.pack("<H2xIQ", 0, 0, ALL)
        self.assertEqual(len(decode(admin.command(PARTS_GET, 1, data, size)[2])), 10)

    def test_strictly_each_group_has_its_list(self):
        pf = self.machine(("blk", "vfs=1,migration=1.4,strict-lists=on"))
        pf.enable(1)
        admin = Admin(pf, self.memory, use=0)
        self.assertEqual(admin.use(OF_SRIOV | CAPABILITIES), refused(INVALID_FIELD))
        self.assertEqual(admin.use(OF_SRIOV), DONE)
        self.assertEqual(admin.command(CAP_LIST, 0, b"", 8, SELF), refused(INVALID_OPCODE))
        self.assertEqual(admin.use(OF_SELF, SELF), DONE)
        self.assertEqual(admin.command(CAP_LIST, 0, b"", 8, SELF)[0], OK)

    def test_none_of_it_without_migration(self):
        pf = self.machine(("blk", "vfs=1"))
        pf.enable(1)
        admin = Admin(pf, self.memory)
        self.assertEqual(admin.use(OF_SRIOV), refused(INVALID_FIELD))
        for opcode in range(CAP_LIST, MODE_SET + 1):
            for group in (SELF, SRIOV):
                self.assertEqual(admin.command(opcode, 1, DATA, 64, group),
                                 refused(INVALID_OPCODE))

    def test_groups(self):
        admin = self.admin()
        for opcode in (CAP_LIST, CAP_GET, CAP_SET):
            self.assertEqual(admin.command(opcode, 1, DATA, 64), refused(INVALID_OPCODE))
        for opcode in range(CREATE, MODE_SET + 1):
            self.assertEqual(admin.command(opcode, 0, DATA, 64, SELF), refused(INVALID_OPCODE))
            self.assertEqual(admin.command(opcode, 3, DATA, 64), refused(INVALID_MEMBER))
        self.pf.disable()
        self.assertEqual(admin.command(MODE_SET, 1, DATA), refused(INVALID_GROUP))


class Capabilities(PartsCase):
    def test_list_and_get(self):
        admin = self.admin()
        self.assertEqual(admin.command(CAP_LIST, 0, b"", 8, SELF), (OK, 0, b"\1" + bytes(7)))
        self.assertEqual(admin.command(CAP_GET, 0, DATA, 8, SELF), (OK, 0, b"\xff\xff"))
        self.assertEqual(admin.command(CAP_GET, 0, DATA, 1, SELF)[2], b"\xff", "cut off")

    def test_limits_are_properties(self):
        pf = self.machine(("blk", "vfs=1,migration=1.4,parts-get-limit=3,parts-set-limit=1"))
        pf.enable(1)
        admin = PartsAdmin(pf, self.memory, limits=None)
        self.assertEqual(admin.command(CAP_GET, 0, DATA, 8, SELF)[2], b"\3\1")
        self.assertEqual(admin.set_limits(4, 1), refused(INVALID_FIELD))
        self.assertEqual(admin.set_limits(3, 2), refused(INVALID_FIELD))
        self.assertEqual(admin.object(CREATE, 1, 0), refused(NORESOURCE, ENOSPC), "none set")
        self.assertEqual(admin.set_limits(3, 1), DONE)
        self.assertEqual([admin.object(CREATE, 1, n, GET)[0] for n in range(4)], [OK] * 3 + [ENOSPC])
        self.assertEqual([admin.object(CREATE, 1, n, SET)[0] for n in (3, 9)], [OK, ENOSPC])

    def test_unknown_capability(self):
        admin = self.admin()
        for opcode in (CAP_GET, CAP_SET):
            self.assertEqual(admin.command(opcode, 0, b"\1" + bytes(15), 8, SELF),
                             refused(INVALID_FIELD, ENXIO))

    def test_not_while_objects_exist(self):
        admin = self.admin()
        admin.object(CREATE, 1, 0)
        for limits in ((0, 0), (9, 9)):
            self.assertEqual(admin.set_limits(*limits), refused(INVALID_COMMAND, EBUSY))
        admin.object(DESTROY, 1, 0)
        self.assertEqual(admin.set_limits(0, 0), DONE)
        self.assertEqual(admin.object(CREATE, 1, 0), refused(NORESOURCE, ENOSPC))

    def test_reset_forgets_them(self):
        self.admin().object(CREATE, 1, 0)
        again = self.admin(limits=None)
        self.assertEqual(again.object(CREATE, 1, 0), refused(NORESOURCE, ENOSPC))
        self.assertEqual(again.object(QUERY, 1, 0, room=8), refused(INVALID_FIELD, ENXIO))


class Objects(PartsCase):
    def test_life(self):
        admin = self.admin()
        self.assertEqual(admin.object(CREATE, 1, 5, SET), DONE)
        self.assertEqual(admin.object(QUERY, 1, 5, room=8), (OK, 0, b"\1" + bytes(7)))
        self.assertEqual(admin.object(CREATE, 1, 5), refused(INVALID_FIELD, EEXIST))
        self.assertEqual(admin.object(CREATE, 2, 5), refused(INVALID_FIELD, EEXIST), "one space")
        self.assertEqual(admin.object(MODIFY, 1, 5, GET), DONE)
        self.assertEqual(admin.object(QUERY, 1, 5, room=8), (OK, 0, bytes(8)))
        self.assertEqual(admin.object(DESTROY, 1, 5), DONE)
        for opcode in (MODIFY, QUERY, DESTROY):
            self.assertEqual(admin.object(opcode, 1, 5, room=8), refused(INVALID_FIELD, ENXIO))
        self.assertEqual(admin.object(CREATE, 2, 5), DONE, "again, for another VF")

    def test_what_is_not_known(self):
        admin = self.admin()
        admin.object(CREATE, 1, 1)
        for number, wrong in enumerate(({"kind": 2}, {"flags": 1}, {"object_type": 1})):
            for opcode, at in ((CREATE, 2 + number), (MODIFY, 1)):
                self.assertEqual(admin.object(opcode, 1, at, **wrong), refused(INVALID_FIELD))
        for opcode in (QUERY, DESTROY):
            self.assertEqual(admin.object(opcode, 1, 1, object_type=1), refused(INVALID_FIELD))
        self.assertEqual(admin.object(CREATE, 1, 16), refused(INVALID_FIELD), "id of 8 + 8 objects")
        self.assertEqual(admin.object(QUERY, 1, 1, room=8)[0], OK, "unchanged")

    def test_of_another_member(self):
        admin = self.admin()
        admin.object(CREATE, 1, 0, GET)
        for opcode in (MODIFY, QUERY, DESTROY, METADATA_GET, PARTS_GET):
            self.assertEqual(admin.object(opcode, 2, 0, room=8), refused(INVALID_MEMBER))

    def test_modify_keeps_the_limits(self):
        admin = self.admin(limits=(2, 1))
        admin.object(CREATE, 1, 0, SET)
        admin.object(CREATE, 1, 1, GET)
        self.assertEqual(admin.object(MODIFY, 1, 1, SET), refused(NORESOURCE, ENOSPC))
        self.assertEqual(admin.object(MODIFY, 1, 0, SET), DONE, "to what it is")
        self.assertEqual(admin.object(MODIFY, 1, 0, GET), DONE)


class Get(PartsCase):
    FAMILY = "net"

    def setUp(self):
        super().setUp()
        self.nic = Nic(BlockRegisters(self.vfs[0]), self.memory)
        self.commands = self.admin()

    def test_all(self):
        parts = decode(self.commands.save(1))
        kinds = [part.kind for part in parts]
        self.assertEqual(kinds, sorted(kinds), "in the order of the standard")
        self.assertEqual(find(parts, DEV_FEATURES).flags, 1, "optional")
        offered = struct.unpack("<Q", find(parts, DEV_FEATURES).value)[0]
        self.assertEqual(offered & 0xFFFFFFFF, self.nic.features)
        self.assertEqual(find(parts, DRV_FEATURES).value, struct.pack("<Q", 1 << 5))
        self.assertEqual(find(parts, DEVICE_STATUS).value, b"\7")
        self.assertEqual(find(parts, COMMON_CFG, 16).value, b"\xff\xff", "configuration vector")
        self.assertEqual(find(parts, COMMON_CFG, 18).value, struct.pack("<H", 3), "num_queues")
        for number, queue in enumerate(self.nic.queues):
            self.assertEqual(find(parts, VQ_CFG, number).value, struct.pack(
                "<HHHHQQQ", queue.size, number + 1, 1, 0, queue.desc, queue.avail, queue.used))
            self.assertEqual(find(parts, VQ_NOTIFY, number).value, struct.pack("<HHI", number, 0, 0))
        mac = find(parts, CVQ_CFG, 1 | 1 << 8).value
        self.assertEqual(mac[:2], b"\x06\x54")
        self.assertEqual(len(find(parts, CVQ_CFG, 2).value), 512, "the table of VLANs")

    def test_metadata(self):
        data = self.commands.save(1)
        headers = b"".join(part.header() for part in decode(data))
        size = struct.unpack("<II", self.commands.metadata(1, SIZE)[2])
        self.assertEqual(size[1], 0)
        self.assertGreaterEqual(size[0], len(data) + 6 * 64 - 8, "with the largest table")
        count = len(headers) // 16
        self.assertEqual(self.commands.metadata(1, COUNT)[2], struct.pack("<II", count, 0))
        self.assertEqual(self.commands.metadata(1, LIST)[2], struct.pack("<II", count, 0) + headers)
        self.assertEqual(self.commands.metadata(1, 3), refused(INVALID_FIELD))

    def test_no_room(self):
        length = len(self.commands.metadata(1, LIST)[2])
        self.assertEqual(self.commands.metadata(1, LIST, room=length)[0], OK)
        self.assertEqual(self.commands.metadata(1, LIST, room=length - 1),
                         refused(NORESOURCE, ENOMEM))
        self.assertEqual(self.commands.metadata(1, COUNT, room=7), refused(NORESOURCE, ENOMEM))
        size = len(self.commands.save(1))
        self.assertEqual(self.commands.get_parts(1, room=size)[0], OK)
        self.assertEqual(self.commands.get_parts(1, room=size - 1), refused(NORESOURCE, ENOMEM))

    def test_selected(self):
        wanted = [Part(VQ_CFG, b"", 1), Part(0x1FF, b""), Part(VQ_CFG, b"", 77),
                  Part(DRV_FEATURES, b"")]
        status, _, data = self.commands.get_parts(1, SELECTED, b"".join(p.header() for p in wanted))
        self.assertEqual(status, OK, "unknown parts are skipped")
        self.assertEqual([(p.kind, p.selector) for p in decode(data)],
                         [(DRV_FEATURES, 0), (VQ_CFG, 1)], "in the order of the standard")
        self.assertEqual(self.commands.get_parts(1, SELECTED), DONE)
        self.assertEqual(self.commands.get_parts(1, 2), refused(INVALID_FIELD))

    def test_needs_an_object_to_get(self):
        number = self.commands.create(1, SET)
        data = struct.pack("<H2xIB7x", 0, number, ALL)
        for opcode in (METADATA_GET, PARTS_GET):
            self.assertEqual(self.commands.command(opcode, 1, data, 64), refused(INVALID_FIELD))

    def test_again_and_again(self):
        first = self.commands.save(1)
        self.commands.stop(1)
        for _ in range(3):
            self.assertEqual(self.commands.save(1), first)


class Set(PartsCase):
    """VF 1 has a driver, VF 2 has none."""

    def setUp(self):
        super().setUp()
        self.disk = Disk(BlockRegisters(self.vfs[0]), self.memory)
        self.commands = self.admin()
        self.state = decode(self.commands.save(1))
        self.vfs[1].master()
        self.commands.stop(2)
        self.before = self.commands.save(2)

    def refuse(self, parts, why):
        data = parts if isinstance(parts, bytes) else encode(parts)
        self.assertEqual(self.commands.set_parts(2, data), refused(INVALID_FIELD), why)
        self.commands.resume(2)
        self.assertEqual(self.commands.save(2), self.before, f"{why}: no effect")
        self.commands.stop(2)

    def changed(self, kind, value, selector=0, flags=0):
        """The state with one part replaced."""
        return [Part(kind, value, selector, flags) if (p.kind, p.selector) == (kind, selector) else p
                for p in self.state]

    def test_takes_effect_when_resumed(self):
        self.assertEqual(self.commands.set_parts(2, encode(self.state)), DONE)
        self.assertEqual(self.commands.save(2), self.before)
        self.commands.resume(2)
        self.assertEqual(self.commands.save(2), encode(self.state))

    def test_outlives_its_object(self):
        """Linux destroys the object before it resumes the VF."""
        self.commands.restore(2, encode(self.state))
        self.assertEqual(self.commands.object(DESTROY, 2, self.commands.create(2, SET), SET), DONE)
        self.commands.resume(2)
        self.assertEqual(self.commands.save(2), encode(self.state))

    def test_in_several_commands_and_twice(self):
        self.commands.restore(2, encode(self.state[:3]))
        self.commands.restore(2, encode(self.state))
        self.commands.restore(2, encode(self.state[3:]) + bytes(6))
        self.commands.resume(2)
        self.assertEqual(self.commands.save(2), encode(self.state), "padding is no part")

    def test_only_while_stopped(self):
        self.commands.resume(2)
        self.assertEqual(self.commands.set_parts(2, encode(self.state)), refused(INVALID_COMMAND))

    def test_needs_an_object_to_set(self):
        number = self.commands.create(2, GET)
        data = struct.pack("<H2xI", 0, number) + encode(self.state)
        self.assertEqual(self.commands.command(PARTS_SET, 2, data), refused(INVALID_FIELD))
        data = struct.pack("<H2xI", 0, 99) + encode(self.state)
        self.assertEqual(self.commands.command(PARTS_SET, 2, data), refused(INVALID_FIELD, ENXIO))

    def test_lengths(self):
        for part in self.state:
            for value in (part.value + b"\0", part.value[:-1]):
                self.refuse(self.changed(part.kind, value, part.selector, part.flags),
                            f"part {part.kind:#x} of {len(value)} bytes")

    def test_cut_off(self):
        data = encode(self.state)
        for cut in (1, 7, 8, 15, 16, 30):
            self.refuse(data[:-cut], f"{cut} bytes are missing")
        self.refuse(data + HEADER.pack(DEVICE_STATUS, 0, 0, 0, 0xFFFFFFFF), "a huge length")

    def test_other_features(self):
        value = struct.unpack("<Q", find(self.state, DEV_FEATURES).value)[0]
        self.refuse(self.changed(DEV_FEATURES, struct.pack("<Q", value ^ 1 << 9)), "device features")
        self.refuse(self.changed(DRV_FEATURES, struct.pack("<Q", 1 << 50)), "driver features")

    def test_values(self):
        queue = list(struct.unpack("<HHHHQQQ", find(self.state, VQ_CFG).value))
        for index, value, why in ((0, 128, "queue size"), (1, 9, "vector"), (4, 0, "address")):
            wrong = queue[:index] + [value] + queue[index + 1:]
            self.refuse(self.changed(VQ_CFG, struct.pack("<HHHHQQQ", *wrong)), why)
        self.refuse(self.changed(COMMON_CFG, b"\x09\0", 16), "configuration vector")
        self.refuse(self.changed(COMMON_CFG, b"\x09\0", 18), "number of queues")
        self.refuse(self.state[:1] + [Part(COMMON_CFG, b"\0", 21)], "a field that is no part")
        self.refuse([Part(VQ_CFG, bytes(32), 1)], "a queue that is not there")
        self.refuse([Part(VQ_NOTIFY, bytes(8), 1)], "a queue that is not there")
        self.refuse([Part(VQ_NOTIFY, b"\5" + bytes(7))], "another place of the doorbell")
        self.refuse([Part(CVQ_CFG, b"\1")], "a part of a net device")

    def test_unknown(self):
        self.refuse([Part(0x106, b"abc")], "a part that is not known")
        self.commands.restore(2, encode([Part(0x106, b"abc", flags=1)]))

    def test_every_byte_of_a_corrupted_state(self):
        """Refused or taken, the device lives on."""
        whole = encode(self.state)
        for at in range(len(whole)):
            self.commands.set_parts(2, whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1:])
            self.commands.mode(2, 0)
            self.vfs[1].flr()
            self.vfs[1].master()
            self.commands.stop(2)
        self.commands.restore(2, encode(self.state))
        self.commands.resume(2)

    def test_order(self):
        self.refuse(list(reversed(self.state)), "out of order")

    def test_reset_forgets_what_was_set(self):
        registers = BlockRegisters(self.vfs[1])
        self.commands.restore(2, encode(self.state))
        registers.write(STATUS, 0, 1)
        self.commands.resume(2)
        self.assertEqual(self.commands.save(2), self.before, "a reset of the device")
        self.commands.stop(2)
        self.commands.restore(2, encode(self.state))
        self.vfs[1].flr()
        self.assertEqual(self.commands.save(2), self.before, "FLR")
        self.assertEqual(self.commands.set_parts(2, encode(self.state)), refused(INVALID_COMMAND),
                         "it runs after FLR")

    def test_rings_out_of_reach(self):
        """Bus Master of the target is off: the device cannot read its rings."""
        self.commands.restore(2, encode(self.state))
        self.vfs[1].master(False)
        self.assertEqual(self.commands.mode(2, 0), refused(INVALID_FIELD))
        self.vfs[1].master()
        self.assertEqual(self.commands.mode(2, 0), DONE)

    def test_mode_flags(self):
        for flags in (2, 0x80, STOPPED | 4):
            self.assertEqual(self.commands.mode(1, flags), refused(INVALID_FIELD))
        for _ in range(2):
            self.commands.resume(1)
        for _ in range(2):
            self.commands.stop(1)
