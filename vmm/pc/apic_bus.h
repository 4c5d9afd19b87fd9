/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt messages between I/O APIC, MSIs and local APICs: Intel SDM volume 3, 11.6 and 11.11.
 *
 * Needs no lock: it reads the routing registers of local APICs, which their owners write
 * atomically, and sets request bits with atomic operations.
 */
#ifndef PORTOLAN_VMM_PC_APIC_BUS_H
#define PORTOLAN_VMM_PC_APIC_BUS_H

#include "vmm/base/types.h"

struct pc;

enum apic_delivery {
    APIC_DELIVERY_FIXED = 0,
    APIC_DELIVERY_LOWEST = 1,
    APIC_DELIVERY_SMI = 2,
    APIC_DELIVERY_NMI = 4,
    APIC_DELIVERY_INIT = 5,
    APIC_DELIVERY_STARTUP = 6,
    APIC_DELIVERY_EXTINT = 7
};

enum apic_shorthand {
    APIC_TO_DESTINATION = 0,
    APIC_TO_SELF = 1,
    APIC_TO_ALL = 2,
    APIC_TO_OTHERS = 3
};

struct apic_message {
    uint32_t destination; /* as the sender wrote it: 8 bits, or 32 when wide */
    uint8_t vector;
    uint8_t delivery;  /* enum apic_delivery */
    uint8_t shorthand; /* enum apic_shorthand */
    uint8_t sender;    /* vCPU number, for shorthands */
    bool logical;
    bool level; /* level-triggered: its EOI is broadcast */
    bool wide;  /* from an APIC in x2APIC mode */
};

/*
 * Deliver MESSAGE. False when nobody accepted it: no such destination, or local APICs switched off.
 * Of several destinations of a lowest-priority message one is chosen in turn.
 */
bool apic_bus_deliver(struct pc *pc, const struct apic_message *message);

/* Does MESSAGE name VCPU as a destination? */
bool apic_bus_matches(const struct pc *pc, const struct apic_message *message, unsigned vcpu);

#endif
