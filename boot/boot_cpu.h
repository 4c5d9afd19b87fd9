/* SPDX-License-Identifier: BSD-2-Clause */
/* The few instructions that a loader needs besides C, and what is derived from them. */
#ifndef PORTOLAN_BOOT_BOOT_CPU_H
#define PORTOLAN_BOOT_BOOT_CPU_H

#include "vmm/base/x86.h"

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>

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

/* A number from the CPU's generator (Intel SDM 1, 7.3.17); 0 where it has none or gives none. */
static inline uint64_t cpu_read_random(void)
{
    uint32_t eax = 0;
    uint32_t ebx = 0;
    uint32_t ecx = 0;
    uint32_t edx = 0;
    unsigned long long value = 0;
    bool done = false;

    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & 1U << 30) == 0) {
        return 0;
    }
    for (unsigned tries = 0; tries < 10 && !done; tries++) {
        __asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(done)::"memory");
    }
    return done ? value : 0;
}

/* Let each bit of VALUE reach all others (the finaliser of MurmurHash3, a bijection). */
static inline uint64_t cpu_mix_bits(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdULL;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ULL;
    return value ^ value >> 33;
}

/* Switch to the page tables at ROOT and the stack that ends at STACK, and enter the core. */
_Noreturn void cpu_enter_core(uint64_t root, uint64_t stack, uint64_t entry, uint64_t handoff);

#endif
