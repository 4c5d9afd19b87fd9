/* SPDX-License-Identifier: BSD-2-Clause */
/* The facts in the shape in which the check of the configuration wants them. */
#ifndef PORTOLAN_VMM_REPORT_REPORT_MACHINE_H
#define PORTOLAN_VMM_REPORT_REPORT_MACHINE_H

#include "vmm/config/config_check.h"
#include "vmm/report/facts.h"

/*
 * Fill *MACHINE, overwritten, from FACTS, all but 'cpu_usable': which CPUs were started only the
 * caller knows, who sets it for indices below machine->cpu_count. An IOMMU counts only if it can be
 * relied on: each unit answers, and the firmware's table is complete. Pure.
 */
void report_config_machine(const struct platform_facts *facts, struct config_machine *machine);

#endif
