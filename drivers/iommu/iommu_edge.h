/* SPDX-License-Identifier: BSD-2-Clause */
/* What the IOMMU's driver tells whoever owns the devices: implemented in vmm/vf/vf_faults.c. */
#ifndef PORTOLAN_DRIVERS_IOMMU_IOMMU_EDGE_H
#define PORTOLAN_DRIVERS_IOMMU_IOMMU_EDGE_H

struct iommu_fault;

/*
 * FAULT was blocked. Called by iommu_poll_faults() under the fault lock: may call anything of
 * drivers/iommu/iommu.h but that. Should only note it: there may be many.
 */
void iommu_edge_fault(const struct iommu_fault *fault);

#endif
