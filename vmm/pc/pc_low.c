/* SPDX-License-Identifier: BSD-2-Clause */
/* Areas: one for a screen's memory, twelve of 16 KiB, the BIOS's, and one above 1 MiB. */
#include "vmm/pc/pc.h"

#define LOW_SPLIT     0xc0000U /* where the areas of 16 KiB begin, */
#define LOW_BIOS      0xf0000U /* and where they end */
#define LOW_AREA_SIZE 0x4000U
#define BIOS_AREA     (PC_LOW_AREAS - 2)

unsigned pc_low_area(uint32_t at)
{
    return at < LOW_SPLIT     ? 0
           : at < LOW_BIOS    ? 1 + (at - LOW_SPLIT) / LOW_AREA_SIZE
           : at < PC_LOW_HIGH ? BIOS_AREA
                              : PC_LOW_AREAS - 1;
}

uint32_t pc_low_start(unsigned area)
{
    return area == 0              ? PC_LOW_BASE
           : area <= BIOS_AREA    ? LOW_SPLIT + (area - 1) * LOW_AREA_SIZE
           : area == PC_LOW_AREAS ? PC_LOW_END
                                  : PC_LOW_HIGH;
}

/*
 * The PAM registers (82441FX 3.2.18): two areas each, the lower in the lower half, bit 0 for reads
 * and bit 1 for writes; but the upper half of the first is the BIOS's.
 */
static unsigned attribute(const struct pc *pc, unsigned area)
{
    unsigned n = area % BIOS_AREA;
    const uint8_t *pam = &pc->pci.config[PCI_HOST_BRIDGE][PCI_HOST_PAM + (n + 1) / 2];

    return __atomic_load_n(pam, __ATOMIC_RELAXED) >> (n % 2 == 0 ? 4 : 0) & 3U;
}

uint32_t pc_low_kinds(const struct pc *pc)
{
    uint32_t kinds = 0;

    if (!pc->config.firmware) {
        return PC_LOW_RAM;
    }
    if (i8042_a20(&pc->kbc)) {
        kinds = PC_LOW_RAM & ~0U << 2 * (PC_LOW_AREAS - 1);
    }
    for (unsigned area = 1; area <= BIOS_AREA; area++) {
        kinds |= attribute(pc, area) << 2 * area;
    }
    return kinds;
}
