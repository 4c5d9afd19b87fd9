/* SPDX-License-Identifier: BSD-2-Clause */
/* The few instructions that the EFI loader needs besides C. */
#ifndef PORTOLAN_BOOT_EFI_CPU_H
#define PORTOLAN_BOOT_EFI_CPU_H

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>

#define CR4_LA57 (1ULL << 12)

static inline uint64_t cpu_read_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

/* Does the firmware run with five levels of page tables? */
static inline bool cpu_uses_five_levels(void)
{
    uint64_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    return (cr4 & CR4_LA57) != 0;
}

/* AMD APM vol. 3, E.4.2: CPUID 80000001 EDX[26], pages of 1 GiB. */
static inline bool cpu_has_1g_pages(void)
{
    uint32_t eax = 0;
    uint32_t ebx = 0;
    uint32_t ecx = 0;
    uint32_t edx = 0;

    return __get_cpuid(0x80000001U, &eax, &ebx, &ecx, &edx) != 0 && (edx & 1U << 26) != 0;
}

/* Switch to the page tables at ROOT and the stack that ends at STACK, and enter the core. */
_Noreturn void cpu_enter_core(uint64_t root, uint64_t stack, uint64_t entry, uint64_t handoff);

#endif
