/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/gdt.h"

#define DESCRIPTOR_CODE 0x00af9b000000ffffULL /* 64-bit, present, accessed, ring 0 */
#define DESCRIPTOR_DATA 0x00cf93000000ffffULL
#define DESCRIPTOR_TSS  0x0000890000000000ULL /* available 64-bit TSS */
#define GATE_INTERRUPT  0x8eU

void gdt_build(struct gdt *gdt, const struct tss *tss)
{
    uint64_t base = (uint64_t)tss;

    *gdt = (struct gdt){
        {
         0, DESCRIPTOR_CODE,
         DESCRIPTOR_DATA, DESCRIPTOR_TSS | (sizeof(*tss) - 1) | (base & 0xffffff) << 16 |
                (base >> 24 & 0xff) << 56,
         base >> 32,
         }
    };
}

struct gate gate_build(uint64_t handler, unsigned ist)
{
    return (struct gate){
        .offset_low = (uint16_t)handler,
        .selector = SELECTOR_CODE,
        .ist = (uint8_t)ist,
        .type = GATE_INTERRUPT,
        .offset_middle = (uint16_t)(handler >> 16),
        .offset_high = (uint32_t)(handler >> 32),
    };
}

void gdt_load(const struct gdt *gdt)
{
    struct descriptor_pointer pointer = {sizeof(*gdt) - 1, (uint64_t)gdt};

    __asm__ volatile("lgdt %0\n\t"
                     "pushq %q1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %k2, %%ds\n\t"
                     "movl %k2, %%es\n\t"
                     "movl %k2, %%ss\n\t"
                     "movl %k3, %%fs\n\t"
                     "movl %k3, %%gs\n\t"
                     "ltr %w4"
                     :
                     : "m"(pointer), "r"((uint64_t)SELECTOR_CODE), "r"(SELECTOR_DATA), "r"(0),
                       "r"(SELECTOR_TSS)
                     : "rax", "memory");
}
