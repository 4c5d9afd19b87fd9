/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC, by MMIO or by MSR, whichever is on (Intel SDM 3 chapter 11), and the IOAPIC. */
#ifndef PORTOLAN_GUEST_LIB_APIC_H
#define PORTOLAN_GUEST_LIB_APIC_H

#include "guest/lib/guest.h"

#define APIC_BASE   0xfee00000UL
#define IOAPIC_BASE 0xfec00000UL
#define MSR_APIC    0x1b
#define MSR_X2APIC  0x800

#define MSR_APIC_BSP    (1U << 8)
#define MSR_APIC_EXTD   (1U << 10)
#define MSR_APIC_ENABLE (1U << 11)

enum apic_register {
    APIC_ID = 0x20,
    APIC_VERSION = 0x30,
    APIC_TPR = 0x80,
    APIC_PPR = 0xa0,
    APIC_EOI = 0xb0,
    APIC_LDR = 0xd0,
    APIC_DFR = 0xe0,
    APIC_SVR = 0xf0,
    APIC_ISR = 0x100,
    APIC_TMR = 0x180,
    APIC_IRR = 0x200,
    APIC_ESR = 0x280,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_LVT_MASKED         (1U << 16)
#define APIC_LVT_TIMER_PERIODIC (1U << 17)
#define APIC_LVT_TIMER_DEADLINE (2U << 17)

#define ICR_NMI       (4U << 8)
#define ICR_INIT      (5U << 8)
#define ICR_STARTUP   (6U << 8)
#define ICR_LOGICAL   (1U << 11)
#define ICR_PENDING   (1U << 12)
#define ICR_ASSERT    (1U << 14)
#define ICR_SELF      (1U << 18)
#define ICR_ALL       (2U << 18)
#define ICR_ALL_OTHER (3U << 18)

bool apic_is_x2apic(void);
uint32_t apic_read(enum apic_register reg);
void apic_write(enum apic_register reg, uint32_t value);
/* Send an interrupt command to DESTINATION and wait until it is delivered. */
void apic_send(uint32_t destination, uint32_t command);
uint32_t apic_id(void);
/* Is VECTOR's bit set in the 256-bit register that begins at FIRST (ISR, TMR or IRR)? */
bool apic_bit(enum apic_register first, unsigned vector);
/* Software-enable the local APIC with spurious vector 0xff, all of the local vector table masked.
 */
void apic_enable(void);
/* Mask both 8259s. */
void pic_mask_all(void);

uint32_t ioapic_read(unsigned reg);
void ioapic_write(unsigned reg, uint32_t value);
/* Entry INDEX of the redirection table: LOW is the lower half, DESTINATION a physical APIC id. */
void ioapic_route(unsigned index, uint32_t low, uint32_t destination);

#endif
