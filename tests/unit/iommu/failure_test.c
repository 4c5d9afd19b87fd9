/* SPDX-License-Identifier: BSD-2-Clause */
/* What both kinds of unit do when memory runs out, a unit dies, or firmware's tables are no good.
 */
#include "tests/unit/fakes/log.h"
#include "tests/unit/iommu/machine.h"

#include "drivers/iommu/iommu_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RW (IOMMU_READ | IOMMU_WRITE)
#define GB (1ULL << 30)

static enum sim_kind kind_of(void **state)
{
    return *(const enum sim_kind *)*state;
}

static int set_up(void **state)
{
    machine_up(kind_of(state));
    return 0;
}

/* Everything was given back: domains, functions, interrupts, tables. */
static void check_no_leak(unsigned pages)
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

/* Each allocation in turn fails: nothing stays mapped, nothing leaks. */
static void test_no_memory(void **state)
{
    struct iommu_domain *domain = machine_domain(1);
    enum status status = STATUS_NO_MEMORY;
    unsigned tries = 0;

    machine_unit[0]->busy = true; /* and caches what is mapped for a moment */
    machine_unit[0]->busy_source = 0x101;
    machine_unit[0]->busy_iova = GB - 0x1000;
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    for (; status == STATUS_NO_MEMORY; tries++) {
        sim_pool_limit((int)tries);
        status = iommu_map(domain, gpa(GB - 0x1000), hpa(0x1000), 0x2000, RW);
        sim_pool_limit(-1);
        if (status == STATUS_NO_MEMORY) {
            assert_int_equal(iommu_counters().mapped_bytes, 0);
            machine_blocked(MACHINE_VF(0), GB - 0x1000, false);
            machine_blocked(MACHINE_VF(0), GB, false);
        }
    }
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(iommu_counters().table_pages, 6); /* level 4 and 3, two each of 2 and 1 */
    assert_int_equal(tries, 4); /* none; 3, 2 and 1 but one; what is left: tables stay */
    machine_reaches(MACHINE_VF(0), GB, 0x2000);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);

    domain = NULL;
    sim_pool_limit(0);
    assert_int_equal(iommu_domain_create("vm", 1, &domain), STATUS_NO_MEMORY);
    sim_pool_limit(-1);
    assert_null(domain); /* what its owner would take for one that cannot be ended */
    check_no_leak(sim_pool_pages());
}

static void test_domains_run_out(void **state)
{
    struct iommu_domain *domains[IOMMU_DOMAINS_MAX], *more = NULL;

    for (unsigned i = 0; i < IOMMU_DOMAINS_MAX; i++) {
        domains[i] = machine_domain(i);
    }
    assert_int_equal(iommu_domain_create("vm", 99, &more), STATUS_NO_MEMORY);
    for (unsigned i = 0; i < IOMMU_DOMAINS_MAX; i++) {
        assert_int_equal(iommu_domain_destroy(domains[i]), STATUS_OK);
    }
    check_no_leak(sim_pool_pages());
}

static enum status refuse_irq(struct iommu_function *function, const struct iommu_irq *irq,
                              bool present)
{
    return STATUS_DEVICE;
}

/* What a unit has not let go of stays out of use, also when the unit works again; and whoever lost
 * it is not promised another one in its place, which others would lack. */
static void test_lost_entry(void **state)
{
    struct iommu_domain *domain = machine_domain(1);
    struct iommu_message lost, message;
    const struct iommu_backend *works;
    uint32_t irq, promised;

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 1, 0x40, &irq, &lost), STATUS_OK);
    works = iommu_backend;
    struct iommu_backend failing = *works;

    failing.irq_write = refuse_irq;
    iommu_backend = &failing;
    promised = iommu_irqs_promised();
    assert_int_equal(promised, IOMMU_OWNERS * IOMMU_IRQS_EACH - 1);
    assert_int_equal(iommu_irq_free(irq), STATUS_DEVICE);
    iommu_backend = works;
    assert_int_equal(iommu_irqs_promised(), promised);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 1, 0x41, &irq, &message), STATUS_OK);
        assert_true(message.address != lost.address || message.data != lost.data);
    }
    assert_int_equal(iommu_irqs_promised(), promised - 8);
    assert_int_equal(iommu_irq_free(irq), STATUS_OK);
    assert_int_equal(iommu_irqs_promised(), promised - 7);
}

/* A unit that stops answering: no memory of the domain is used again, and nothing hangs. */
static void test_unit_dies(void **state)
{
    struct iommu_domain *domain = machine_domain(1), *other = machine_domain(2), *third;
    struct iommu_message message;
    uint32_t irq;

    assert_int_equal(iommu_map(domain, gpa(0), hpa(0x40000000), 0x2000, RW), STATUS_OK);
    assert_int_equal(iommu_map(other, gpa(0), hpa(0x50000000), 0x1000, RW), STATUS_OK);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_attach(other, MACHINE_OTHER, MACHINE_OTHER), STATUS_OK);
    assert_int_equal(iommu_attach(domain, MACHINE_DEEP, MACHINE_DEEP), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 1, 0x40, &irq, &message), STATUS_OK);
    machine_reaches(MACHINE_VF(0), 0, 0x40000000);
    unsigned pages = sim_pool_pages();

    machine_unit[0]->queue_hangs = true;
    assert_int_equal(iommu_irq_free(irq), STATUS_TIMEOUT);
    assert_true(fake_log_contains("nothing is assigned behind it any more"));
    assert_int_equal(iommu_irq_free(irq), STATUS_NOT_FOUND);
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_DEVICE); /* still */
    assert_true(fake_log_contains("domain vm: a unit did not confirm that it let go of memory"));
    assert_int_equal(iommu_map(domain, gpa(0x8000), hpa(0), 0x1000, RW), STATUS_STATE);
    assert_int_equal(iommu_detach(MACHINE_DEEP), STATUS_OK); /* behind the unit that works */
    assert_int_equal(iommu_domain_destroy(domain), STATUS_DEVICE);
    assert_int_equal(sim_pool_pages(), pages);

    /* Its id is not given to another, nor is anything behind the unit; the other unit works. */
    assert_int_equal(iommu_domain_create("vm", 3, &third), STATUS_OK);
    assert_ptr_not_equal(third, domain);
    assert_int_equal(iommu_attach(third, MACHINE_VF(1), MACHINE_PF), STATUS_UNSUPPORTED);
    assert_int_equal(iommu_attach(third, MACHINE_DEEP, MACHINE_DEEP), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_DEEP), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_OTHER), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(other), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(third), STATUS_OK);
    assert_int_equal(iommu_counters().domains, 1);
}

/* The unit dies while a function is attached: it does not count as attached, and is blocked. */
static void test_attach_fails(void **state)
{
    machine_build(kind_of(state), 0);
    machine_unit[0]->cap |= 1U << 7; /* VT-d: caching mode, or there is nothing to wait for */
    assert_int_equal(machine_start(), STATUS_OK);
    struct iommu_domain *domain = machine_domain(1);

    assert_int_equal(iommu_map(domain, gpa(0), hpa(0x40000000), 0x1000, RW), STATUS_OK);
    machine_unit[0]->queue_hangs = true;
    assert_int_not_equal(iommu_attach(domain, MACHINE_RESERVED, MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_counters().functions, 0);
    machine_blocked(MACHINE_RESERVED, 0, false);
}

static void test_without_tables(void **state)
{
    struct iommu_domain *domain;

    machine_build(kind_of(state), 0);
    sim_acpi.dmar.complete = sim_acpi.ivrs.complete = false;
    assert_int_equal(machine_start(), STATUS_UNSUPPORTED);
    assert_true(fake_log_contains("no device can be assigned to a VM: firmware's"));
    assert_false(iommu_facts()->ready);
    assert_int_equal(iommu_domain_create("vm", 1, &domain), STATUS_STATE);
    assert_int_equal(iommu_poll_faults(), 0);

    machine_build(kind_of(state), 0);
    memset(&sim_acpi, 0, sizeof(sim_acpi));
    assert_int_equal(machine_start(), STATUS_UNSUPPORTED);
    assert_string_equal(iommu_facts()->name, "no IOMMU");
    assert_non_null(iommu_facts()->unavailable);

    machine_build(kind_of(state), 0);
    machine_unit[1]->absent = true;
    assert_int_equal(machine_start(), STATUS_DEVICE);
    assert_true(fake_log_contains("at 0xfed94000 does not answer"));

    /* No memory at any step: it says so, and does not start. */
    for (int left = 0; left < 200; left++) {
        machine_build(kind_of(state), 0);
        sim_pool_limit(left);
        enum status status = machine_start();

        if (status == STATUS_OK) {
            assert_in_range(left, 5, 16);
            return;
        }
        assert_int_equal(status, STATUS_NO_MEMORY);
        assert_false(iommu_facts()->ready);
    }
    fail_msg("it never started");
}

#define BOTH(test)                                 \
    {"vtd " #test, test, set_up, NULL, &vtd},      \
    {                                              \
        "amdvi " #test, test, set_up, NULL, &amdvi \
    }

int main(void)
{
    static enum sim_kind vtd = SIM_VTD, amdvi = SIM_AMDVI;
    const struct CMUnitTest tests[] = {
        BOTH(test_lost_entry), BOTH(test_no_memory),    BOTH(test_domains_run_out),
        BOTH(test_unit_dies),  BOTH(test_attach_fails), BOTH(test_without_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
