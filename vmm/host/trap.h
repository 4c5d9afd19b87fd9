/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions and interrupts of the VMM itself. */
#ifndef PORTOLAN_VMM_HOST_TRAP_H
#define PORTOLAN_VMM_HOST_TRAP_H

#include <stddef.h>
#include <stdint.h>

/* Interrupts of the VMM's own; the class above all devices'. */
#define VECTOR_CALL     0xf0U /* another CPU has work in the mailbox */
#define VECTOR_TIMER    0xf1U /* the local APIC's timer: its only purpose is to wake */
#define VECTOR_KICK     0xf2U /* leave the guest and look again */
#define VECTOR_SPURIOUS 0xffU

/* As trap_entry.S pushes it. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector;
    uint64_t error;
    uint64_t rip, cs, rflags, rsp, ss;
};

_Static_assert(offsetof(struct trap_frame, vector) == 15UL * 8, "trap_entry.S pushes 15 registers");
_Static_assert(sizeof(struct trap_frame) == 22UL * 8, "trap_entry.S and the CPU push 22 words");

/* Load the IDT on this CPU. */
void trap_load(void);

/* The address of the IDT. */
uint64_t trap_table(void);

/* Build the IDT that all CPUs share, and load it before there is any per-CPU area, so that even the
 * first steps of the boot can dump. Boot CPU, once. */
void trap_init_early(void);

/* "page fault" and the like; a number for vectors without a name. */
const char *trap_name(uint64_t vector);

/* Put the reason of a page fault at ADDRESS with ERROR in words into BUFFER. */
void trap_explain_page_fault(uint64_t address, uint64_t error, char *buffer, size_t size);

void trap_handle(struct trap_frame *frame);

#endif
