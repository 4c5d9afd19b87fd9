/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests that both kinds of unit must pass, checked by what the simulated hardware lets through. */
#ifndef PORTOLAN_TESTS_UNIT_IOMMU_BOTH_H
#define PORTOLAN_TESTS_UNIT_IOMMU_BOTH_H

#include "tests/unit/iommu/machine.h"

/* The states of the tests. */
extern enum sim_kind both_vtd, both_amdvi;

enum sim_kind both_kind(void **state);
int both_set_up(void **state);

/* Everything was given back; PAGES of the pool are still in use. */
void both_check_no_leak(unsigned pages);

/* Two rows of a table of cmocka's. */
#define BOTH_TEST(test)                                      \
    {"vtd " #test, test, both_set_up, NULL, &both_vtd},      \
    {                                                        \
        "amdvi " #test, test, both_set_up, NULL, &both_amdvi \
    }

#endif
