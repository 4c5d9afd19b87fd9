/* SPDX-License-Identifier: BSD-2-Clause */
/* Faked machines: CPUID, MSRs, ACPI facts, PCI and IOMMU registers. */
#ifndef PORTOLAN_TESTS_UNIT_REPORT_MACHINES_H
#define PORTOLAN_TESTS_UNIT_REPORT_MACHINES_H

#include "vmm/report/report.h"

/* Machine 0.. by number; its name is that of its golden file. NULL behind the last. */
const char *machine_name(unsigned machine);

/* What the core would know of it. */
struct machine_core {
    uint32_t cpus_started;
    struct frame_counters memory;
};

/* Become that machine: what report_gather() reads is then its. */
const struct machine_core *machine_become(unsigned machine);

/* Give back what it holds. */
void machine_release(void);

#endif
