/* SPDX-License-Identifier: BSD-2-Clause */
/* From the timer and the lines through the interrupt controllers to the CPUs. */
#include "tests/unit/pc/machine_unit.h"

static void test_timer_reaches_cpu_through_pic(void **state)
{
    start_pics();
    out(0x43, 1, 0x34);
    out(0x40, 1, 11932 & 0xff);
    out(0x40, 1, 11932 >> 8);
    assert_false(pc_interrupt_pending(&machine, 0)); /* OUT was high already, as firmware left it */
    unsigned ticks = 0;
    while (now < NS_PER_S) {
        run_until(pc_next_event(&machine));
        assert_false(pc_interrupt_pending(&machine, 1)); /* only the boot CPU */
        assert_true(pc_interrupt_pending(&machine, 0));
        assert_int_equal(pc_interrupt_take(&machine, 0), 0x20);
        out(0x20, 1, 0x20);
        ticks++;
    }
    assert_int_equal(ticks, 100);
    assert_true(fake_edge.kicks[0] >= 100);
    assert_true(fake_edge.deadline_changes > 0);
}

/* Nobody is woken for it; but it is seen wherever a guest looks, and waits for the unmasking. */
static void test_masked_timer_makes_no_event(void **state)
{
    start_pics();
    out(0x21, 1, 0x01);
    out(0x43, 1, 0x34);
    out(0x40, 1, 11932 & 0xff);
    out(0x40, 1, 11932 >> 8);
    uint64_t next = pc_next_event(&machine);
    assert_true(next > NS_PER_S); /* the RTC's, or none */
    now += 25 * NS_PER_MS;
    assert_int_equal(in(0x20, 1) & 1, 1); /* IRR */
    assert_int_equal(pc_next_event(&machine), next);
    assert_false(pc_interrupt_pending(&machine, 0));
    out(0x21, 1, 0x00);
    assert_true(pc_interrupt_pending(&machine, 0));
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x20);
    assert_in_range(pc_next_event(&machine), 29 * NS_PER_MS, 31 * NS_PER_MS);
    out(0x21, 1, 0x01);
    assert_int_equal(pc_next_event(&machine), next);
    (void)pc_mmio_write(&machine, 1, gpa(IOAPIC_BASE), 4, 0x14, 0);
    (void)pc_mmio_write(&machine, 1, gpa(IOAPIC_BASE + 0x10), 4, 0x31, now);
    assert_in_range(pc_next_event(&machine), 29 * NS_PER_MS, 31 * NS_PER_MS);
}

static void test_timer_on_pin_2(void **state)
{
    (void)pc_mmio_write(&machine, 1, gpa(LAPIC_BASE + LAPIC_SVR), 4, 0x1ff, 0);
    (void)pc_mmio_write(&machine, 1, gpa(IOAPIC_BASE), 4, 0x15, 0);
    (void)pc_mmio_write(&machine, 1, gpa(IOAPIC_BASE + 0x10), 4, 1U << 24, 0);
    (void)pc_mmio_write(&machine, 1, gpa(IOAPIC_BASE), 4, 0x14, 0);
    (void)pc_mmio_write(&machine, 1, gpa(IOAPIC_BASE + 0x10), 4, 0x31, 0);
    out(0x43, 1, 0x30);
    out(0x40, 1, 0);
    out(0x40, 1, 1);
    run_until(NS_PER_MS);
    assert_int_equal(pc_interrupt_take(&machine, 1), 0x31);
}

static void test_lint0_modes(void **state)
{
    start_pics();
    (void)pc_mmio_write(&machine, 1, gpa(LAPIC_BASE + LAPIC_SVR), 4, 0x1ff, 0);
    (void)pc_mmio_write(&machine, 1, gpa(LAPIC_BASE + LAPIC_LVT + 0x30), 4, 0x400, 0);
    fake_edge_set_irq(&machine, FAKE_SOURCE, 7, true);
    assert_int_equal(fake_edge.nmis[1], 1); /* the old NMI watchdog */
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x27);
    out(0x20, 1, 0x20);
    fake_edge_set_irq(&machine, FAKE_SOURCE, 7, false);
    (void)pc_mmio_write(&machine, 1, gpa(LAPIC_BASE + LAPIC_LVT + 0x30), 4, 0x77, 0);
    fake_edge_set_irq(&machine, FAKE_SOURCE, 7, true);
    assert_int_equal(pc_interrupt_take(&machine, 1), 0x77);
}

/* LINT0 as an NMI, IRQ 0 alone at the 8259s, and nobody who acknowledges: an NMI each tick. */
static void test_nmi_watchdog(void **state)
{
    start_pics();
    out(0x21, 1, 0xfe);
    (void)pc_mmio_write(&machine, 0, gpa(LAPIC_BASE + LAPIC_LVT + 0x30), 4, 0x400, 0);
    out(0x43, 1, 0x34);
    out(0x40, 1, 11932 & 0xff);
    out(0x40, 1, 11932 >> 8);
    unsigned before = fake_edge.nmis[0];

    run_until(now + NS_PER_S);
    assert_in_range(fake_edge.nmis[0] - before, 99, 101);
    assert_false(pc_interrupt_pending(&machine, 0));
}

static void test_extint_through_ioapic(void **state)
{
    start_pics();
    (void)pc_mmio_write(&machine, 0, gpa(LAPIC_BASE + LAPIC_SVR), 4, 0x1ff, 0);
    (void)pc_mmio_write(&machine, 0, gpa(LAPIC_BASE + LAPIC_LVT + 0x30), 4, 0x10000, 0);
    fake_edge_set_irq(&machine, FAKE_SOURCE, 3, true);
    assert_false(pc_interrupt_pending(&machine, 0));
    (void)pc_mmio_write(&machine, 0, gpa(IOAPIC_BASE), 4, 0x10, 0);
    (void)pc_mmio_write(&machine, 0, gpa(IOAPIC_BASE + 0x10), 4, 0x700, 0);
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x23);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_timer_reaches_cpu_through_pic),
        TEST(test_masked_timer_makes_no_event),
        TEST(test_timer_on_pin_2),
        TEST(test_lint0_modes),
        TEST(test_nmi_watchdog),
        TEST(test_extint_through_ioapic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
