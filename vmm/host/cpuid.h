/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID. On the host, tests link a fake of cpuid_read(). */
#ifndef PORTOLAN_VMM_HOST_CPUID_H
#define PORTOLAN_VMM_HOST_CPUID_H

#include <stdint.h>

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

/* Execute CPUID. A leaf beyond the CPU's highest gives the data of another: check first. Any CPU.
 */
struct cpuid cpuid_read(uint32_t leaf, uint32_t subleaf);

#endif
