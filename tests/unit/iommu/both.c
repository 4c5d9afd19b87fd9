/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/iommu/both.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum sim_kind both_vtd = SIM_VTD, both_amdvi = SIM_AMDVI;

enum sim_kind both_kind(void **state)
{
    return *(const enum sim_kind *)*state;
}

int both_set_up(void **state)
{
    machine_up(both_kind(state));
    return 0;
}

void both_check_no_leak(unsigned pages)
{
    struct iommu_counters counters = iommu_counters();

    assert_int_equal(counters.domains, 0);
    assert_int_equal(counters.functions, 0);
    assert_int_equal(counters.irqs, 0);
    assert_int_equal(counters.table_pages, 0);
    assert_int_equal(counters.mapped_bytes, 0);
    assert_int_equal(counters.lost_pages, 0);
    assert_int_equal(sim_pool_pages(), pages);
}
