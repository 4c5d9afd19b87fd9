/* SPDX-License-Identifier: BSD-2-Clause */
/* Faked machines: CPUID, MSRs, ACPI facts, PCI and IOMMU registers. */
#ifndef PORTOLAN_TESTS_UNIT_REPORT_MACHINES_H
#define PORTOLAN_TESTS_UNIT_REPORT_MACHINES_H

#include "vmm/report/report.h"

/* Machine 0.. by number; its name is that of its golden file. NULL behind the last. */
const char *machine_name(unsigned machine);

/* Become that machine: what report_gather() reads is then its. Returns what the core would know. */
const struct report_machine *machine_become(unsigned machine);

/* Give back what it holds. */
void machine_release(void);

#endif
