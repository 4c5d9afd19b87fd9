/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PORTOLAN_VMM_REPORT_REPORT_IOMMU_H
#define PORTOLAN_VMM_REPORT_REPORT_IOMMU_H

#include "vmm/report/facts.h"

/*
 * Read the capability registers of the IOMMUs that facts->acpi lists into FACTS. Maps them and
 * releases them again; switches nothing on. Boot CPU.
 */
void iommu_gather(struct platform_facts *facts);

#endif
