/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that touches an IOMMU: its registers, and what it reads and writes in memory beside us. Tests
 * on the host put a simulated unit here.
 */
#ifndef PORTOLAN_DRIVERS_IOMMU_HARDWARE_H
#define PORTOLAN_DRIVERS_IOMMU_HARDWARE_H

#include <stdbool.h>
#include <stdint.h>

uint32_t iommu_hw_read32(const void *registers, uint32_t offset);
uint64_t iommu_hw_read64(const void *registers, uint32_t offset);
void iommu_hw_write32(void *registers, uint32_t offset, uint32_t value);
void iommu_hw_write64(void *registers, uint32_t offset, uint64_t value);

/* One access to a word in memory that a unit reads or writes; ENTRY is 8-byte aligned. */
uint64_t iommu_hw_load(const uint64_t *entry);
void iommu_hw_store(uint64_t *entry, uint64_t value);

/* Store VALUE to the 16-byte aligned ENTRY in one piece: a unit sees the old or the new. */
void iommu_hw_store_pair(uint64_t entry[2], const uint64_t value[2]);

/* Bring [MEMORY, MEMORY + SIZE) from the caches to memory, for a unit that does not snoop. */
void iommu_hw_write_back(const void *memory, uint64_t size);

#endif
