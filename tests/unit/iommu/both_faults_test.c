/* SPDX-License-Identifier: BSD-2-Clause */
/* What either kind of unit blocked: who is charged with it, and what is told of it. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/iommu/both.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_faults_are_charged(void **state)
{
    struct iommu_domain *domain = machine_domain(42);

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_blocked(MACHINE_VF(0), 0x123456789000, true);
    machine_blocked(MACHINE_VF(5), 0x2000, false);
    assert_int_equal(iommu_poll_faults(), 2);
    assert_int_equal(sim_edge_count, 2);
    assert_true(bdf_equal(sim_edge[0].bdf, MACHINE_VF(0)));
    assert_true(sim_edge[0].owned && sim_edge[0].write && !sim_edge[0].interrupt);
    assert_int_equal(sim_edge[0].owner, 42);
    assert_int_equal(sim_edge[0].address, 0x123456789000);
    assert_true(bdf_equal(sim_edge[1].bdf, MACHINE_VF(5)));
    assert_false(sim_edge[1].owned || sim_edge[1].write);
    /* A VM's are told by the edge, within its limit. */
    assert_false(fake_log_contains("0000:01:00.1"));
    assert_true(fake_log_contains("IOMMU: blocked a read of 0000:01:00.6 at 0x2000: "));
    assert_int_equal(iommu_poll_faults(), 0);

    /* Many of one: counted, told ever more rarely. */
    fake_log_clear();
    for (unsigned i = 0; i < 99; i++) {
        machine_blocked(MACHINE_VF(0), 0x5000 + 0x1000UL * i, true);
        assert_int_equal(iommu_poll_faults(), 1);
    }
    assert_int_equal(sim_edge_count, 101);
    assert_int_equal(fake_log_lines(), 0);
    for (unsigned i = 0; i < 99; i++) {
        machine_blocked(MACHINE_VF(5), 0x5000 + 0x1000UL * i, true);
        assert_int_equal(iommu_poll_faults(), 1);
    }
    assert_true(fake_log_contains("(64 such so far)"));
    assert_false(fake_log_contains("(63 such so far)") || fake_log_contains("(100 such so far)"));
    assert_int_equal(iommu_counters().faults, 200);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
}

/* Those of the VMM's own functions are nobody's to limit. */
static void test_own_faults(void **state)
{
    struct iommu_domain *domain = machine_domain(IOMMU_OWNER_VMM);

    assert_int_equal(iommu_attach(domain, MACHINE_PF, MACHINE_PF), STATUS_OK);
    machine_blocked(MACHINE_PF, 0x3000, true);
    assert_int_equal(iommu_poll_faults(), 1);
    assert_true(fake_log_contains("IOMMU: blocked a write of 0000:01:00.0 at 0x3000: "));
    assert_int_equal(iommu_detach(MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
}

static void test_fault_table_is_bounded(void **state)
{
    for (unsigned i = 0; i < IOMMU_REQUESTERS + 20; i++) {
        bdf_t bdf = {.bus = 1, .devfn = (uint8_t)i};

        machine_blocked(bdf, 0x1000, true);
        assert_int_equal(iommu_poll_faults(), 1);
    }
    assert_int_equal(iommu_counters().faults, IOMMU_REQUESTERS + 20);
    /* Those beyond the table are told together: the first, the second, the fourth... */
    assert_true(fake_log_contains("0000:01:08.0 at 0x1000: "));
    assert_true(fake_log_contains("(16 such so far)"));
    assert_false(fake_log_contains("(17 such so far)"));
}

static void test_overflow(void **state)
{
    unsigned room = both_kind(state) == SIM_VTD ? SIM_FAULTS : 255;

    for (unsigned i = 0; i < room + 3; i++) {
        machine_blocked(MACHINE_VF(3), 0x1000UL * i, true);
    }
    assert_int_equal(iommu_poll_faults(), room);
    assert_int_equal(iommu_counters().faults_lost, 1);
    assert_true(fake_log_contains("blocked more than it could record (1 times so far)"));
    machine_blocked(MACHINE_VF(3), 0x7000, true);
    assert_int_equal(iommu_poll_faults(), 1); /* it records again */
    assert_int_equal(iommu_counters().faults_lost, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_TEST(test_faults_are_charged),
        BOTH_TEST(test_own_faults),
        BOTH_TEST(test_fault_table_is_bounded),
        BOTH_TEST(test_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
