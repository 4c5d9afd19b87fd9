/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID's leaves, and which CPUs are threads of one core: Intel SDM 2, CPUID leaves Bh and 1Fh; AMD
 * APM 3, E.3.8 and E.4.17. */
#include "vmm/host/cpuid.h"
#include "vmm/report/features.h"

#define LEAF_EXTENDED    0x80000000U
#define LEAF_LEVELS      0x0000000bU
#define LEAF_LEVELS_2    0x0000001fU
#define LEVEL_THREADS    1U
#define LEAF_FEATURES    0x80000001U
#define ECX_TOPOLOGY     (1U << 22)
#define LEAF_AMD_THREADS 0x8000001eU

struct cpuid report_leaf(uint32_t leaf)
{
    struct cpuid highest = cpuid_read(leaf & LEAF_EXTENDED, 0);

    if (highest.eax < leaf || (highest.eax & LEAF_EXTENDED) != (leaf & LEAF_EXTENDED)) {
        return (struct cpuid){0};
    }
    return cpuid_read(leaf, 0);
}

uint32_t report_thread_bits(void)
{
    static const uint32_t leaves[] = {LEAF_LEVELS_2, LEAF_LEVELS};
    uint32_t threads = 1, bits = 0;

    for (uint32_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        struct cpuid level = report_leaf(leaves[i]);

        if (level.ebx != 0 && (level.ecx >> 8 & 0xff) == LEVEL_THREADS) {
            return level.eax & 0x1f;
        }
    }
    if (report_leaf(LEAF_FEATURES).ecx & ECX_TOPOLOGY) {
        threads += report_leaf(LEAF_AMD_THREADS).ebx >> 8 & 0xff;
    }
    while (1U << bits < threads) {
        bits++;
    }
    return bits;
}
