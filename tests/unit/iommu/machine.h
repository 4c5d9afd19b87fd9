/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine with two simulated units, Intel's or AMD's:
 *
 *   00:02.0  root port, bus 1: 01:00.0 the PF, its VFs from 01:00.1 on     unit 0
 *   00:03.0  root port, buses 2 and 3: 02:00.0; a switch port 02:00.1, and below it 03:00.0
 *                                                                          unit 1
 *   00:1e.0  conventional bridge, bus 4: 04:01.0                           unit 0
 *   00:14.0  a device with reserved memory                                 unit 0
 */
#ifndef PORTOLAN_TESTS_UNIT_IOMMU_MACHINE_H
#define PORTOLAN_TESTS_UNIT_IOMMU_MACHINE_H

#include "tests/unit/iommu/sim.h"

#define MACHINE_PF       ((bdf_t){.bus = 1})
#define MACHINE_VF(n)    ((bdf_t){.bus = 1, .devfn = (uint8_t)((n) + 1)})
#define MACHINE_OTHER    ((bdf_t){.bus = 2})
#define MACHINE_DEEP     ((bdf_t){.bus = 3})
#define MACHINE_LEGACY   ((bdf_t){.bus = 4, .devfn = 8})
#define MACHINE_RESERVED ((bdf_t){.devfn = 0xa0})

/*
 * VT-d 4.1, 11.4.2: 65536 domains, 48-bit tables and addresses, fault records at 200h, 2 MiB and
 * 1 GiB pages, page-selective invalidation of up to 2^18 pages, 8 fault records. 11.4.3: coherent,
 * queued invalidation, interrupt remapping, extended mode, snoop control.
 */
#define MACHINE_CAP                                                                          \
    (6ULL | 4ULL << 8 | 47ULL << 16 | 0x20ULL << 24 | 3ULL << 34 | 1ULL << 39 | 7ULL << 40 | \
     18ULL << 48)
#define MACHINE_ECAP 0x9bULL

extern struct sim_unit *machine_unit[2];

/* Build it, with a pool of PAGES pages (0: many); units are not on yet. */
void machine_build(enum sim_kind kind, unsigned pages);

/* iommu_init() on it, with CPUs in x2APIC mode. */
enum status machine_start(void);

/* Both, and it must work. */
void machine_up(enum sim_kind kind);

struct iommu_domain *machine_domain(uint32_t owner);

/* The requester id of BDF. */
uint16_t machine_id(bdf_t bdf);

/* BDF's DMA at IOVA through its unit: where it goes; false: blocked. */
bool machine_dma(bdf_t bdf, uint64_t iova, bool write, uint64_t *base);

/* For tests with cmocka: BDF reads and writes BASE there; or it is blocked. */
#define machine_reaches(bdf, iova, wanted)                   \
    do {                                                     \
        uint64_t found_ = 0;                                 \
        assert_true(machine_dma(bdf, iova, false, &found_)); \
        assert_int_equal(found_, wanted);                    \
        assert_true(machine_dma(bdf, iova, true, &found_));  \
        assert_int_equal(found_, wanted);                    \
    } while (0)

#define machine_blocked(bdf, iova, write)                     \
    do {                                                      \
        uint64_t found_ = 0;                                  \
        assert_false(machine_dma(bdf, iova, write, &found_)); \
    } while (0)

#endif
