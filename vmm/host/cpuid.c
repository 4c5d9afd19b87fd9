/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/cpuid.h"

struct cpuid cpuid_read(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid out;

    __asm__ volatile("cpuid"
                     : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
                     : "a"(leaf), "c"(subleaf));
    return out;
}
