/* SPDX-License-Identifier: BSD-2-Clause */
/* The portal's function in its machine: who may touch it, and its line. */
#include "vmm/pc/irq_lines.h"
#include "vmm/pc/pc.h"
#include "vmm/pc/pc_edge.h"

void pc_settle_portal(struct pc *pc)
{
    irq_set_intx(pc, PORTAL_DEVFN, 1, portal_function_settle(&pc->portal));
}

void pc_portal_look(struct pc *pc, struct portal_look *look)
{
    pc_edge_lock(pc);
    portal_function_look(&pc->portal, look);
    pc_edge_unlock(pc);
}

void pc_portal_tell(struct pc *pc, uint32_t session, uint32_t taken, uint32_t come, bool ended)
{
    pc_edge_lock(pc);
    portal_function_tell(&pc->portal, session, taken, come, ended);
    pc_settle_portal(pc);
    pc_edge_unlock(pc);
}

bool pc_portal_claims(const struct pc *pc, uint64_t at)
{
    uint64_t base =
        pc->portal.present ? portal_function_base(&pc->portal.state, PORTAL_BAR_REGISTERS, 0) : 0;

    return base != 0 && at - base < PORTAL_REGISTERS;
}

uint32_t pc_portal_read(struct pc *pc, uint32_t offset, unsigned width)
{
    pc_edge_lock(pc);
    uint32_t value = portal_function_read(&pc->portal, offset, width);
    pc_edge_unlock(pc);
    return value;
}

void pc_portal_write(struct pc *pc, uint32_t offset, unsigned width, uint32_t value)
{
    pc_edge_lock(pc);
    bool rings = portal_function_write(&pc->portal, offset, width, value);

    pc_settle_portal(pc);
    if (rings) {
        pc_edge_portal_rang(pc);
    }
    pc_edge_unlock(pc);
}
