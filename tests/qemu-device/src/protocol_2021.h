/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol of 2021: commands by class and number, answered with one byte.
 */
#ifndef PORTOLAN_PROTOCOL_2021_H
#define PORTOLAN_PROTOCOL_2021_H

#include "admin.h"

enum {
    OLD_OK = 0,
    OLD_ERR = 1,
    OLD_INVALID_CLASS = 2,
    OLD_INVALID_COMMAND = 3,
    OLD_DATA_TRANSFER_ERR = 4,
    OLD_DEVICE_INTERNAL_ERR = 5,
    OLD_DNR = 0x80,             /* do not retry */
};

enum {
    CLASS_MIGRATION = 64,
    CLASS_DIRTY = 65,
};

/* Features, from ADMIN_VQ on. */
enum {
    F_ADMIN_VQ_INDIRECT_DESC = 42,
    F_ADMIN_MIGRATION = 44,
    F_DIRTY_PUSH_BITMAP = 46,
};

/* Class and command, as faults name them. */
#define OLD_OPCODE(class, command) ((class) << 8 | (command))

static inline void old_fail(Command *c, uint8_t status)
{
    admin_fail(c, status, 0);
}

#define OLD_DIRTY_MODES 4

/* Offers the features of the protocol. */
void old_init(PCIDevice *pf);

/* Carries C out, of which it is known that it is one of this protocol. */
void old_run(Command *c);

/* dirty_commands.c */
void dirty_identity(Command *c);
void dirty_start_track(Command *c);
void dirty_stop_track(Command *c);
void dirty_pending_bytes(Command *c);
void dirty_report_map(Command *c);

/* FLR of VF: nothing of it is known any more. */
void old_reset(PCIDevice *vf);

#endif
