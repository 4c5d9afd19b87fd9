/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments, task state and interrupt gates of the VMM. AMD APM 2, chapters 4 and 8, section 12.2.5.
 */
#ifndef PORTOLAN_VMM_HOST_GDT_H
#define PORTOLAN_VMM_HOST_GDT_H

#include <stdint.h>

#define SELECTOR_CODE 0x08U
#define SELECTOR_DATA 0x10U
#define SELECTOR_TSS  0x18U

/* Interrupt stack table entries, 1-based as in a gate. */
#define IST_DOUBLE_FAULT  1U
#define IST_NMI           2U
#define IST_MACHINE_CHECK 3U

struct gdt {
    uint64_t entries[5]; /* null, code, data, TSS (two) */
};

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map;
} __attribute__((packed));

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

/* What LGDT and LIDT load. */
struct descriptor_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

_Static_assert(sizeof(struct tss) == 104, "AMD APM 2, figure 12-8");
_Static_assert(sizeof(struct gate) == 16, "AMD APM 2, figure 4-24");

/* Pure: fill in GDT with flat segments and a descriptor of TSS. */
void gdt_build(struct gdt *gdt, const struct tss *tss);

/* Pure: an interrupt gate (interrupts off) to HANDLER on stack IST (0: the current one). */
struct gate gate_build(uint64_t handler, unsigned ist);

/* Load GDT, all segment registers and the task register. Clears GS's base: set it afterwards. */
void gdt_load(const struct gdt *gdt);

#endif
