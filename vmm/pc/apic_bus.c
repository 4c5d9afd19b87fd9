/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/apic_bus.h"

#include "vmm/pc/pc.h"
#include "vmm/pc/pc_edge.h"

#define BROADCAST      0xffU
#define BROADCAST_WIDE 0xffffffffU
#define DFR_FLAT       0xfU

/* Logical destination of an APIC in xAPIC mode: SDM 11.6.2.2, flat and cluster model. */
static bool matches_xapic_logical(const struct lapic *l, uint32_t destination)
{
    uint32_t own = lapic_load(&l->state.ldr) >> 24;
    uint32_t cluster = destination >> 4;

    if (destination > BROADCAST) {
        return destination == BROADCAST_WIDE;
    }
    if (destination == BROADCAST) {
        return true;
    }
    if (lapic_load(&l->state.dfr) >> 28 == DFR_FLAT) {
        return (own & destination) != 0;
    }
    return (cluster == own >> 4 || cluster == 0xf) && (own & destination & 0xfU) != 0;
}

/* In x2APIC mode: SDM 11.12.10.2. A narrow destination can only name cluster 0. */
static bool matches_x2apic_logical(const struct lapic *l, uint32_t destination)
{
    uint32_t own = lapic_load(&l->state.ldr);

    return destination == BROADCAST_WIDE ||
           (own >> 16 == destination >> 16 && (own & destination & 0xffffU) != 0);
}

bool apic_bus_matches(const struct pc *pc, const struct apic_message *m, unsigned vcpu)
{
    const struct lapic *l = &pc->lapic[vcpu];
    uint32_t mode = lapic_load(&l->state.mode);

    if (m->shorthand != APIC_TO_DESTINATION) {
        return m->shorthand == APIC_TO_ALL || (m->shorthand == APIC_TO_SELF) == (vcpu == m->sender);
    }
    if (mode == LAPIC_DISABLED) {
        return false;
    }
    if (m->destination == (m->wide ? BROADCAST_WIDE : BROADCAST)) {
        return true;
    }
    if (!m->logical) {
        return m->destination == l->id;
    }
    return mode == LAPIC_X2APIC ? matches_x2apic_logical(l, m->destination)
                                : matches_xapic_logical(l, m->destination);
}

/* False when this local APIC does not take the message. */
static bool deliver_to(struct pc *p, const struct apic_message *m, unsigned vcpu)
{
    if (lapic_load(&p->lapic[vcpu].state.mode) == LAPIC_DISABLED) {
        return false;
    }
    switch (m->delivery) {
    case APIC_DELIVERY_FIXED:
    case APIC_DELIVERY_LOWEST:
        if (!lapic_accept(&p->lapic[vcpu], m->vector, m->level)) {
            if (m->vector < LAPIC_VECTOR_MIN) { /* an error, whose interrupt it hears of likewise */
                pc_edge_vcpu_kick(p, vcpu);
            }
            return false;
        }
        pc_edge_vcpu_kick(p, vcpu);
        return true;
    case APIC_DELIVERY_NMI:
    case APIC_DELIVERY_INIT:
    case APIC_DELIVERY_STARTUP:
        pc_edge_vcpu_signal(p, vcpu, (enum apic_delivery)m->delivery, m->vector);
        return true;
    default: /* SMI: there is no system management mode; ExtINT needs the 8259s' wire */
        return true;
    }
}

/* To one of the matching APICs, the next in turn that accepts it. */
static bool deliver_lowest(struct pc *p, const struct apic_message *m)
{
    unsigned count = p->config.vcpu_count;
    unsigned first = __atomic_load_n(&p->board.lowest_turn, __ATOMIC_RELAXED) % count;

    for (unsigned i = 0; i < count; i++) {
        unsigned vcpu = (first + i) % count;

        if (apic_bus_matches(p, m, vcpu) && deliver_to(p, m, vcpu)) {
            __atomic_store_n(&p->board.lowest_turn, vcpu + 1, __ATOMIC_RELAXED);
            return true;
        }
    }
    return false;
}

bool apic_bus_deliver(struct pc *pc, const struct apic_message *m)
{
    bool accepted = false;

    if (m->delivery == APIC_DELIVERY_LOWEST) {
        return deliver_lowest(pc, m);
    }
    /* To the physical id of one, which is its vCPU's number: nobody else need be asked. */
    if (m->shorthand == APIC_TO_DESTINATION && !m->logical &&
        m->destination < pc->config.vcpu_count) {
        return deliver_to(pc, m, m->destination);
    }
    for (unsigned vcpu = 0; vcpu < pc->config.vcpu_count; vcpu++) {
        if (apic_bus_matches(pc, m, vcpu)) {
            accepted = deliver_to(pc, m, vcpu) || accepted;
        }
    }
    return accepted;
}
