/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults of administration commands.
 */
#include "faults.h"

enum { DIES_BEFORE = 1, DIES_AFTER = 2 };

static bool is_hit(Faults *f, const Command *c)
{
    if (!f->admin_count ||
        (f->admin_opcode != FAULT_ANY_OPCODE && f->admin_opcode != c->opcode) ||
        (f->vf && f->vf != c->member)) {
        return false;
    }
    if (f->admin_skip) {
        f->admin_skip--;
        return false;
    }
    if (f->admin_count != UINT32_MAX) {
        f->admin_count--;
    }
    return true;
}

static PCIDevice *named_vf(const Command *c)
{
    return c->member && c->member <= pcie_sriov_num_vfs(c->pf)
           ? pcie_sriov_get_vf_at_index(c->pf, c->member - 1) : NULL;
}

static void die(const Command *c)
{
    PCIDevice *vf = named_vf(c);

    if (vf) {
        vf_state(vf)->died = true;
        vf_apply_faults(vf);
    }
}

Fault fault_of_command(Command *c)
{
    Faults *f = &pf_state(c->pf)->faults;

    if (!is_hit(f, c)) {
        return FAULT_NONE;
    }
    if (f->admin_hang || f->admin_break) {
        return f->admin_hang ? FAULT_HANG : FAULT_BREAK;
    }
    if (f->admin_die == DIES_BEFORE) {
        die(c);
        return FAULT_NONE;
    }
    c->fault = (AnswerFault) {
        .late = f->admin_late, .cut = f->admin_short,
        .corrupt = f->admin_corrupt, .die = f->admin_die == DIES_AFTER,
    };
    return f->admin_late || f->admin_short || f->admin_corrupt || f->admin_die
           ? FAULT_NONE : FAULT_STATUS;
}

static void answer_now(void *opaque)
{
    Command *c = opaque;

    c->fault.late = 0;
    admin_complete(c);
}

bool fault_delays(Command *c)
{
    if (!c->fault.late) {
        return false;
    }
    c->fault.timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, answer_now, c);
    timer_mod(c->fault.timer,
              qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) + c->fault.late);
    return true;
}

size_t fault_of_answer(const Command *c, uint8_t *answer, size_t result_at,
                       size_t len)
{
    if (c->fault.corrupt && c->result_len) {
        answer[result_at + (c->fault.corrupt - 1) % c->result_len] ^= 0xff;
    }
    return len - MIN(len, c->fault.cut);
}

void fault_after(const Command *c)
{
    if (c->fault.die) {
        die(c);
    }
}
