/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults of administration commands.
 */
#include "faults.h"

Fault fault_of_command(Faults *f, const Command *c)
{
    if (!f->admin_count ||
        (f->admin_opcode != FAULT_ANY_OPCODE && f->admin_opcode != c->opcode) ||
        (f->vf && f->vf != c->member)) {
        return FAULT_NONE;
    }
    if (f->admin_count != UINT32_MAX) {
        f->admin_count--;
    }
    return f->admin_hang ? FAULT_HANG : FAULT_STATUS;
}
