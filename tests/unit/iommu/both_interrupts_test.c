/* SPDX-License-Identifier: BSD-2-Clause */
/* Remapped interrupts of either kind of unit: whose they are, and how many there are. */
#include "tests/unit/fakes/log.h"
#include "tests/unit/iommu/both.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_interrupts(void **state)
{
    struct iommu_domain *domain = machine_domain(1);
    struct iommu_message message, second;
    uint32_t irq, other, apic_id = 0;
    uint8_t vector = 0;
    struct sim_unit *unit = machine_unit[0];

    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 1, 0x40, &irq, &message), STATUS_NOT_FOUND);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_attach(domain, MACHINE_VF(1), MACHINE_PF), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 1, 15, &irq, &message), STATUS_RANGE);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), UINT32_MAX, 64, &irq, &message),
                     STATUS_RANGE);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 0x12345, 0x41, &irq, &message), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(1), 7, 0x42, &other, &second), STATUS_OK);
    assert_true(message.remapped && second.remapped);
    assert_true(sim_message(unit, 0x101, message.address, message.data, &apic_id, &vector));
    assert_int_equal(apic_id, 0x12345);
    assert_int_equal(vector, 0x41);
    assert_true(sim_message(unit, 0x102, second.address, second.data, &apic_id, &vector));
    assert_int_equal(apic_id, 7);
    assert_int_equal(vector, 0x42);

    /* Messages that are not the device's own do not pass as they are. */
    if (both_kind(state) == SIM_VTD) {
        assert_false(sim_message(unit, 0x102, message.address, message.data, &apic_id, &vector));
    }
    assert_false(
        sim_message(unit, 0x101, message.address + 0x3e0, message.data + 31, &apic_id, &vector));
    assert_false(sim_message(unit, 0x103, message.address, message.data, &apic_id, &vector));

    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_STATE);
    assert_int_equal(iommu_irq_free(irq), STATUS_OK);
    assert_int_equal(iommu_irq_free(irq), STATUS_NOT_FOUND);
    assert_false(sim_message(unit, 0x101, message.address, message.data, &apic_id, &vector));
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_irq_free(other), STATUS_OK);
    assert_int_equal(iommu_detach(MACHINE_VF(1)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    both_check_no_leak(sim_pool_pages());
}

/* A VM that takes all that it can get leaves each other one its share. */
static void test_interrupts_of_others(void **state)
{
    enum { GREEDY = 14 };
    static uint32_t irqs[IOMMU_IRQS_MAX];
    struct iommu_domain *greedy = machine_domain(1), *late = machine_domain(2);
    struct iommu_message message;
    unsigned count = 0, mine = 0;

    machine_unit[0]->delay = 0;
    for (unsigned n = 0; n < GREEDY; n++) {
        assert_int_equal(iommu_attach(greedy, MACHINE_VF(n), MACHINE_PF), STATUS_OK);
        while (iommu_irq_allocate(MACHINE_VF(n), 1, 0x40, &irqs[count], &message) == STATUS_OK) {
            count++;
        }
    }
    assert_int_equal(iommu_attach(late, MACHINE_VF(GREEDY), MACHINE_PF), STATUS_OK);
    for (; mine < IOMMU_IRQS_EACH; mine++) {
        assert_int_equal(
            iommu_irq_allocate(MACHINE_VF(GREEDY), 2, 0x50, &irqs[count + mine], &message),
            STATUS_OK);
    }
    assert_int_equal(iommu_counters().irqs, count + mine);
    while (mine > 0 || count > 0) {
        assert_int_equal(iommu_irq_free(irqs[count + mine - 1]), STATUS_OK);
        count -= mine == 0;
        mine -= mine > 0;
    }
    for (unsigned n = 0; n <= GREEDY; n++) {
        assert_int_equal(iommu_detach(MACHINE_VF(n)), STATUS_OK);
    }
    assert_int_equal(iommu_domain_destroy(greedy), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(late), STATUS_OK);
    both_check_no_leak(sim_pool_pages());
}

/* Many interrupts of one function: no two share an entry; those freed are used again. */
static void test_many_interrupts(void **state)
{
    enum { COUNT = IOMMU_IRQS_MAX };
    static uint32_t irqs[COUNT];
    struct iommu_domain *domain = machine_domain(1);
    struct iommu_message message;
    unsigned promised = (IOMMU_OWNERS - 1) * IOMMU_IRQS_EACH;
    unsigned wanted = both_kind(state) == SIM_VTD ? COUNT - promised : 256, count = 0;
    uint32_t apic_id;
    uint8_t vector;

    assert_int_equal(iommu_attach(domain, MACHINE_VF(0), MACHINE_PF), STATUS_OK);
    machine_unit[0]->delay = 0;
    fake_log_clear();
    while (count < COUNT && iommu_irq_allocate(MACHINE_VF(0), count, (uint8_t)(0x20 + count % 64),
                                               &irqs[count], &message) == STATUS_OK) {
        if (count % 64 == 0) {
            assert_true(sim_message(machine_unit[0], 0x101, message.address, message.data, &apic_id,
                                    &vector));
            assert_int_equal(apic_id, count);
        }
        count++;
    }
    assert_int_equal(count, wanted);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 5, 0x77, &irqs[0], &message),
                     STATUS_NO_MEMORY);
    assert_int_equal(iommu_counters().irqs, wanted);
    assert_string_equal(fake_log_text(), ""); /* a guest can do this at will */
    assert_int_equal(iommu_irq_free(irqs[100]), STATUS_OK);
    assert_int_equal(iommu_irq_allocate(MACHINE_VF(0), 5, 0x77, &irqs[100], &message), STATUS_OK);
    assert_true(
        sim_message(machine_unit[0], 0x101, message.address, message.data, &apic_id, &vector));
    assert_int_equal(vector, 0x77);
    while (count > 0) {
        assert_int_equal(iommu_irq_free(irqs[--count]), STATUS_OK);
    }
    assert_int_equal(iommu_detach(MACHINE_VF(0)), STATUS_OK);
    assert_int_equal(iommu_domain_destroy(domain), STATUS_OK);
    both_check_no_leak(sim_pool_pages());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_TEST(test_interrupts),
        BOTH_TEST(test_many_interrupts),
        BOTH_TEST(test_interrupts_of_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
