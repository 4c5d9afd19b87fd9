/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that touches an IOMMU, with vmm/host/shared.h: its registers. Tests on the host put a
 * simulated unit here.
 */
#ifndef PORTOLAN_DRIVERS_IOMMU_HARDWARE_H
#define PORTOLAN_DRIVERS_IOMMU_HARDWARE_H

#include "vmm/host/shared.h"

uint32_t iommu_hw_read32(const void *registers, uint32_t offset);
uint64_t iommu_hw_read64(const void *registers, uint32_t offset);
void iommu_hw_write32(void *registers, uint32_t offset, uint32_t value);
void iommu_hw_write64(void *registers, uint32_t offset, uint64_t value);

/* Store VALUE to the 16-byte aligned ENTRY in one piece: a unit sees the old or the new. */
void iommu_hw_store_pair(uint64_t entry[2], const uint64_t value[2]);

#endif
