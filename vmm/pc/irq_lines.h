/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board's interrupt wiring.
 *
 *   GSI 1, 3..15   ISA interrupts, to the 8259s and to the I/O APIC pin of the same number
 *   GSI 2          the timer: IRQ 0 of the 8259s, pin 2
 *   GSI 16..19     PIRQA..D, to the pin alone; each also drives the ISA line it is routed to
 *   pin 0          the 8259s' INTR, as LINT0 of every local APIC
 *
 * Every function needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_IRQ_LINES_H
#define PORTOLAN_VMM_PC_IRQ_LINES_H

#include "vmm/base/types.h"
#include "vmm/pc/lapic.h"

#define IRQ_GSI_TIMER 2U
#define IRQ_GSI_PIRQ  16U

struct pc;

/* Bring the shared devices to NOW (virtual ns): before a guest looks at them or at a controller. */
void pc_advance(struct pc *pc, uint64_t now);

/* Carry their outputs to the lines, and find when the next of them acts: after they changed. */
void pc_settle(struct pc *pc);

/* SOURCE (enum irq_source) asserts GSI < IOAPIC_PINS or stops doing so. */
void irq_set(struct pc *pc, unsigned source, unsigned gsi, bool level);

void irq_set_intx(struct pc *pc, uint8_t devfn, unsigned pin, bool level);

/* The PIIX3's PIRQ route registers may have changed. */
void irq_update_pirqs(struct pc *pc);

/* The 8259s may have changed their INTR. */
void irq_update_intr(struct pc *pc);

/*
 * LINT0 or LINT1 of VCPU rises: an interrupt or NMI, as its LVT says; ExtINT is not looked at here.
 * Of a local APIC that is off, LINT1 is the boot CPU's NMI pin.
 */
void irq_pulse_lint(struct pc *pc, unsigned vcpu, enum lapic_lvt lint);

/* State was loaded: find again what the wires carry, without an edge. */
void irq_derive(struct pc *pc);

/* What local APICs or the I/O APIC's pin 0 accept may have changed. */
void irq_update_routing(struct pc *pc);

#endif
