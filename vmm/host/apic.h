/* SPDX-License-Identifier: BSD-2-Clause */
/* This CPU's local APIC, as the VMM itself uses it. Intel SDM 3, chapter 11; AMD APM 2, chapter 16.
 */
#ifndef PORTOLAN_VMM_HOST_APIC_H
#define PORTOLAN_VMM_HOST_APIC_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

/*
 * Map the registers at BASE (from the MADT; 0: where IA32_APIC_BASE says), which are used when the
 * CPU has no x2APIC mode. UNSUPPORTED: neither mode works. Boot CPU, once.
 */
enum status apic_init(hpa_t base);

/* Switch this CPU's APIC on, in x2APIC mode where there is one, everything masked. Each CPU. */
void apic_enable_cpu(void);

bool apic_is_x2apic(void);
uint32_t apic_id(void);
void apic_eoi(void);

/* Send VECTOR to the CPU with APIC_ID. */
void apic_send(uint32_t apic_id, uint8_t vector);

/* INIT and STARTUP with the code page at PAGE (below 1 MiB) to the CPU with APIC_ID. Intel SDM
 * 3, 11.4.4. */
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, hpa_t page);

/* NMI to all CPUs but this one; does nothing before apic_init(). */
void apic_send_nmi_to_others(void);

/* Let this CPU's timer count TICKS down once and then raise VECTOR_TIMER; 0 stops it. */
void apic_timer_start(uint32_t ticks);

/* What is left of them. */
uint32_t apic_timer_left(void);

/* ---- i8259.c: the machine's own pair of 8259A interrupt controllers, which the VMM does not use
 * ---- */

/*
 * Mask all their interrupts. A BIOS leaves them on, with its timer on vector 8, an exception's; and
 * masking LINT0 of the local APIC does not stop them on every machine. They are also given vectors
 * above the exceptions', as one that is just on its way comes as IRQ 7 ("spurious") although it is
 * masked: that one is VECTOR_SPURIOUS. Boot CPU, with interrupts off, before they are first on.
 */
void pic_silence(void);

#endif
