/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/vm_clock.h"

#include "vmm/pc/clock.h"

#define TSC_HZ_MAX 1000000000000ULL
#define AGE_MAX    (CLOCK_LAST / 2) /* as much is left for it to run on */

static const struct field fields[] = {
    FIELD(struct vm_clock, ns, AGE_MAX),
    FIELD(struct vm_clock, tsc, UINT64_MAX),
    FIELD_SINCE(struct vm_clock, tsc_hz, TSC_HZ_MAX, 2),
    FIELD_SINCE(struct vm_clock, paused, 1, 3),
};

const struct section clock_section = SECTION(struct vm_clock, "clock", 3, fields, NULL);
