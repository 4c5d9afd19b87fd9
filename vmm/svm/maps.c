/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/svm/svm.h"

#include "vmm/host/pool.h"
#include "vmm/vm/msr_table.h"

#include <string.h>

/* The map's three stretches of 2000h MSRs, in 800h bytes each. */
static const uint32_t stretches[] = {0, 0xc0000000, 0xc0010000};
#define STRETCH_MSRS  0x2000U
#define STRETCH_BYTES 0x800U

static uint8_t *io_map, *msr_map;

bool maps_find_msr(uint32_t msr, uint32_t *byte, unsigned *bit)
{
    for (unsigned i = 0; i < ARRAY_SIZE(stretches); i++) {
        if (msr - stretches[i] < STRETCH_MSRS) {
            uint32_t bits = (msr - stretches[i]) * 2;

            *byte = i * STRETCH_BYTES + bits / 8;
            *bit = bits % 8;
            return true;
        }
    }
    return false;
}

void maps_fill_io(uint8_t *map)
{
    memset(map, 0xff, MAPS_IO_SIZE);
}

/* What a guest may read and write itself the CPU switches with the guest (15.5.2). */
void maps_fill_msr(uint8_t *map)
{
    memset(map, 0xff, MAPS_MSR_SIZE);
    for (unsigned i = 0; i < msr_row_count; i++) {
        uint32_t byte;
        unsigned bit;

        if (msr_rows[i].kind == MSR_KIND_PASSED && maps_find_msr(msr_rows[i].first, &byte, &bit)) {
            map[byte] &= (uint8_t) ~(3U << bit);
        }
    }
}

enum status maps_init(void)
{
    io_map = pool_allocate(MAPS_IO_SIZE, PAGE_SIZE);
    msr_map = pool_allocate(MAPS_MSR_SIZE, PAGE_SIZE);
    if (!io_map || !msr_map) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    maps_fill_io(io_map);
    maps_fill_msr(msr_map);
    return STATUS_OK;
}

hpa_t maps_io(void)
{
    return pool_hpa(io_map);
}

hpa_t maps_msr(void)
{
    return pool_hpa(msr_map);
}
