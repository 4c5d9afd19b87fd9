/* SPDX-License-Identifier: BSD-2-Clause */
/* What entry.S and the C files of the fuzz guest must agree on. */
#ifndef PORTOLAN_GUEST_FUZZ_LAYOUT_H
#define PORTOLAN_GUEST_FUZZ_LAYOUT_H

/* The state is mapped here, far from any address that random code makes up, in every page table. */
#define STATE_BASE  0xffff960000000000
#define STATE_SLOT  300 /* its entry in the top table */
#define STATE_PAGES 6

#define STATE_GDT        (STATE_BASE + 0x1000)
#define STATE_TSS        (STATE_BASE + 0x1200)
#define STATE_IDT        (STATE_BASE + 0x2000)
#define STATE_TRAP_STACK (STATE_BASE + 0x5000) /* all vectors but the NMI; grows down */
#define STATE_NMI_STACK  (STATE_BASE + 0x6000)
#define STATE_APIC       (STATE_BASE + 0x6000) /* the local APIC's page */

/* Offsets in struct fuzz_state. */
#define STATE_REGS        0x00
#define STATE_RIP         0x80
#define STATE_CS          0x88
#define STATE_RFLAGS      0x90
#define STATE_VECTOR      0x98
#define STATE_ERROR       0xa0
#define STATE_CAGED       0xa8
#define STATE_RECOVER_RIP 0xb0
#define STATE_RECOVER_RSP 0xb8
#define STATE_GOOD_CR0    0xc0
#define STATE_GOOD_CR3    0xc8
#define STATE_GOOD_CR4    0xd0
#define STATE_CAGE_CR3    0xd8
#define STATE_LEAVE_RSP   0xe0
#define STATE_NMIS        0xe8
#define STATE_NMI_TOTAL   0xf0
#define STATE_RESULT      0xf8
#define STATE_MXCSR       0x100
#define STATE_GDTR        0x108
#define STATE_IDTR        0x118
#define STATE_SS          0x128

#define NMI_LIMIT 60 /* this many NMIs within one step: it will not end */

#define PIT_PERIOD 11932 /* of the watchdog's NMIs: 10 ms */

#define SEL_CODE64     0x08
#define SEL_DATA       0x10
#define SEL_CODE32     0x18
#define SEL_CODE16     0x20
#define SEL_TSS        0x30
#define SEL_USER32     0x43
#define SEL_USER_DATA  0x4b
#define SEL_USER64     0x53
#define SEL_CONFORMING 0x58
#define SEL_LDT        0x60
#define SEL_GATE       0x70
#define SEL_USER16     0x93
#define GDT_ENTRIES    20

#endif
