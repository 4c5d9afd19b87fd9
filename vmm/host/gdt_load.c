/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/gdt.h"

struct descriptor_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

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
