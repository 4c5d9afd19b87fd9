/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/iommu/iommu_backend.h"
#include "vmm/host/mmio.h"

uint32_t iommu_hw_read32(const void *registers, uint32_t offset)
{
    return mmio_read32((const uint8_t *)registers + offset);
}

uint64_t iommu_hw_read64(const void *registers, uint32_t offset)
{
    return mmio_read64((const uint8_t *)registers + offset);
}

void iommu_hw_write32(void *registers, uint32_t offset, uint32_t value)
{
    /* What was written to memory before is there before the unit is told. */
    __asm__ volatile("mfence" ::: "memory");
    mmio_write32((uint8_t *)registers + offset, value);
}

void iommu_hw_write64(void *registers, uint32_t offset, uint64_t value)
{
    __asm__ volatile("mfence" ::: "memory");
    mmio_write64((uint8_t *)registers + offset, value);
}

void iommu_hw_store_pair(uint64_t entry[2], const uint64_t value[2])
{
    uint64_t low = entry[0], high = entry[1];

    /* We are the only writer: what was read above is what is there. */
    __asm__ volatile("lock cmpxchg16b (%[entry])"
                     : "+a"(low), "+d"(high)
                     : [entry] "r"(entry), "b"(value[0]), "c"(value[1])
                     : "memory", "cc");
}
