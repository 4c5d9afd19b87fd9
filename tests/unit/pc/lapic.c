/* SPDX-License-Identifier: BSD-2-Clause */
/* One local APIC by itself: registers, priorities, timer, MSRs. */
#include "tests/unit/pc/unit.h"

#include "vmm/pc/clock.h"
#include "vmm/pc/lapic.h"

#define TSC_HZ 2500000000ULL

static struct lapic l;
static struct lapic_effect effect;

static int setup(void **state)
{
    lapic_power_on(&l, 3, TSC_HZ);
    lapic_mmio_write(&l, LAPIC_SVR, LAPIC_SVR_ENABLED | 0xff, 0, &effect);
    effect = (struct lapic_effect){.kind = LAPIC_EFFECT_NONE};
    return 0;
}

static uint32_t get(uint32_t offset, uint64_t now)
{
    return lapic_mmio_read(&l, offset, now);
}

static void put(uint32_t offset, uint32_t value, uint64_t now)
{
    effect.kind = LAPIC_EFFECT_NONE;
    lapic_mmio_write(&l, offset, value, now, &effect);
}

static enum status write_msr(uint32_t msr, uint64_t value)
{
    if (msr == LAPIC_MSR_TSC_DEADLINE) {
        lapic_timer_write_deadline(&l, value, 0);
        return STATUS_OK;
    }
    effect.kind = LAPIC_EFFECT_NONE;
    return lapic_msr_write(&l, msr, value, 0, &effect);
}

static enum status read_msr(uint32_t msr, uint64_t *value)
{
    return lapic_msr_read(&l, msr, 0, value);
}

static void enter_x2apic(void)
{
    assert_int_equal(write_msr(LAPIC_MSR_BASE, LAPIC_BASE | 0xc00), STATUS_OK);
    assert_int_equal(effect.kind, LAPIC_EFFECT_ROUTING);
}

static void test_power_on(void **state)
{
    lapic_power_on(&l, 3, TSC_HZ);
    assert_int_equal(get(LAPIC_ID, 0), 3U << 24);
    assert_int_equal(get(LAPIC_VERSION, 0), 0x01050014);
    assert_int_equal(get(LAPIC_SVR, 0), 0xff);
    assert_int_equal(get(LAPIC_DFR, 0), 0xffffffff);
    for (uint32_t i = 0; i < LAPIC_LVT_COUNT; i++) {
        assert_int_equal(get(LAPIC_LVT + 16 * i, 0), LAPIC_LVT_MASKED);
    }
    assert_false(lapic_accept(&l, 0x40, false)); /* switched off by software */
    put(LAPIC_LVT + 0x30, 0x700, 0);
    assert_int_equal(get(LAPIC_LVT + 0x30, 0), 0x10700); /* stays masked while off */
}

static void test_priorities(void **state)
{
    assert_int_equal(lapic_pending(&l), -1);
    assert_true(lapic_accept(&l, 0x41, false));
    assert_true(lapic_accept(&l, 0x82, false));
    assert_int_equal(get(LAPIC_IRR + 0x20, 0), 2);
    assert_int_equal(lapic_pending(&l), 0x82);
    lapic_take(&l, 0x82);
    assert_int_equal(get(LAPIC_ISR + 0x40, 0), 4);
    assert_int_equal(get(LAPIC_PPR, 0), 0x80);
    assert_int_equal(lapic_pending(&l), -1);
    assert_false(lapic_blocked_by_tpr(&l));
    assert_true(lapic_accept(&l, 0x91, false));
    assert_int_equal(lapic_pending(&l), 0x91);
    lapic_take(&l, 0x91);
    put(LAPIC_EOI, 0, 0);
    assert_int_equal(get(LAPIC_PPR, 0), 0x80);
    put(LAPIC_EOI, 0, 0);
    assert_int_equal(lapic_pending(&l), 0x41);
    put(LAPIC_TPR, 0x4f, 0);
    assert_int_equal(lapic_pending(&l), -1);
    assert_true(lapic_blocked_by_tpr(&l));
    assert_int_equal(get(LAPIC_PPR, 0), 0x4f);
    put(LAPIC_TPR, 0x3f, 0);
    assert_int_equal(lapic_pending(&l), 0x41);
}

static void test_eoi_broadcast_of_levels_only(void **state)
{
    (void)lapic_accept(&l, 0x50, true);
    assert_int_equal(get(LAPIC_TMR + 0x20, 0), 1U << 16);
    lapic_take(&l, 0x50);
    put(LAPIC_EOI, 0, 0);
    assert_int_equal(effect.kind, LAPIC_EFFECT_EOI);
    assert_int_equal(effect.message.vector, 0x50);
    (void)lapic_accept(&l, 0x50, false);
    assert_int_equal(get(LAPIC_TMR + 0x20, 0), 0);
    lapic_take(&l, 0x50);
    put(LAPIC_EOI, 0, 0);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    put(LAPIC_SVR, 0x11ff, 0); /* the kernel ends levels at the I/O APIC itself */
    (void)lapic_accept(&l, 0x50, true);
    lapic_take(&l, 0x50);
    put(LAPIC_EOI, 0, 0);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    put(LAPIC_EOI, 0, 0); /* nothing in service */
}

static void test_errors(void **state)
{
    put(LAPIC_LVT + 0x50, 0xfe, 0);
    put(LAPIC_ICR, 0x0000000f, 0); /* fixed, vector 15 */
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    assert_int_equal(get(LAPIC_ESR, 0), 0);
    put(LAPIC_ESR, 0, 0);
    assert_int_equal(get(LAPIC_ESR, 0), LAPIC_ERROR_SEND_VECTOR);
    assert_int_equal(lapic_pending(&l), 0xfe);
    lapic_take(&l, 0xfe);
    put(LAPIC_EOI, 0, 0);
    assert_false(lapic_accept(&l, 3, false));
    assert_int_equal(get(0x3f0, 0), 0);
    put(LAPIC_ESR, 0, 0);
    assert_int_equal(get(LAPIC_ESR, 0), LAPIC_ERROR_RECEIVE_VECTOR | LAPIC_ERROR_REGISTER);
    put(LAPIC_ESR, 0, 0);
    assert_int_equal(get(LAPIC_ESR, 0), 0);
}

static void test_error_vector_too_small_does_not_recurse(void **state)
{
    put(LAPIC_LVT + 0x50, 0x03, 0);
    put(LAPIC_ICR, 0, 0);
    assert_int_equal(lapic_pending(&l), -1);
}

static void test_icr(void **state)
{
    put(LAPIC_ICR_HIGH, 0x05ffffff, 0);
    assert_int_equal(get(LAPIC_ICR_HIGH, 0), 0x05000000);
    put(LAPIC_ICR, 0x0008c8f1, 0); /* all, logical, level assert, vector f1 */
    assert_int_equal(effect.kind, LAPIC_EFFECT_IPI);
    assert_int_equal(effect.message.vector, 0xf1);
    assert_int_equal(effect.message.shorthand, APIC_TO_ALL);
    assert_int_equal(effect.message.destination, 5);
    assert_true(effect.message.logical);
    assert_false(effect.message.level);
    assert_int_equal(effect.message.sender, 3);
    put(LAPIC_ICR, 0x00008500, 0); /* INIT level de-assert */
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    put(LAPIC_ICR, 0x0000c500, 0);
    assert_int_equal(effect.message.delivery, APIC_DELIVERY_INIT);
}

static void test_software_disable_masks(void **state)
{
    put(LAPIC_LVT, 0x30, 0);
    put(LAPIC_LVT + 0x30, 0x700, 0);
    assert_true(lapic_accepts_extint(&l));
    (void)lapic_accept(&l, 0x60, false);
    put(LAPIC_SVR, 0xff, 0);
    assert_int_equal(effect.kind, LAPIC_EFFECT_ROUTING);
    assert_int_equal(get(LAPIC_LVT, 0), 0x10030);
    assert_false(lapic_accepts_extint(&l));
    assert_int_equal(lapic_pending(&l), 0x60); /* what was accepted is still delivered */
}

static void test_one_shot(void **state)
{
    put(LAPIC_LVT, 0x30, 0);
    put(LAPIC_DIVIDE, 0x3, 0); /* by 16 */
    put(LAPIC_INITIAL, 1000, 500);
    assert_int_equal(lapic_timer_next_event(&l), 16500);
    assert_int_equal(get(LAPIC_CURRENT, 8500), 500);
    lapic_timer_run(&l, 16499);
    assert_int_equal(lapic_pending(&l), -1);
    lapic_timer_run(&l, 16500);
    assert_int_equal(lapic_pending(&l), 0x30);
    assert_int_equal(get(LAPIC_CURRENT, 16500), 0);
    assert_int_equal(lapic_timer_next_event(&l), CLOCK_NEVER);
    put(LAPIC_DIVIDE, 0xa, 100000); /* by 128: what has ended does not go on */
    assert_int_equal(lapic_timer_next_event(&l), CLOCK_NEVER);
    assert_int_equal(get(LAPIC_CURRENT, 100000), 0);
    put(LAPIC_DIVIDE, 0x3, 110000);
    put(LAPIC_DIVIDE, 0xa, 200000);
    assert_int_equal(lapic_timer_next_event(&l), CLOCK_NEVER);
    assert_int_equal(get(LAPIC_CURRENT, 200000), 0);
    put(LAPIC_INITIAL, 1000, 200000);
    put(LAPIC_INITIAL, 0, 200001);
    assert_int_equal(lapic_timer_next_event(&l), CLOCK_NEVER);
}

/* From one-shot to periodic and back: what counts goes on, what has run out stays at its end. */
static void test_mode_change_starts_nothing(void **state)
{
    put(LAPIC_DIVIDE, 0xb, 0);
    put(LAPIC_LVT, 0x30, 0);
    put(LAPIC_INITIAL, 1000, 0);
    lapic_timer_run(&l, 1000);
    lapic_take(&l, 0x30);
    put(LAPIC_EOI, 0, 1000);
    put(LAPIC_LVT, 0x20030, 1500);
    assert_int_equal(lapic_timer_next_event(&l), CLOCK_NEVER);
    assert_int_equal(get(LAPIC_CURRENT, 1600), 0);
    assert_int_equal(get(LAPIC_INITIAL, 1600), 1000);
    put(LAPIC_DIVIDE, 0x3, 1700);
    put(LAPIC_LVT, 0x30, 1800);
    put(LAPIC_LVT, 0x20030, 1900);
    assert_int_equal(lapic_timer_next_event(&l), CLOCK_NEVER);

    put(LAPIC_DIVIDE, 0xb, 2000);
    put(LAPIC_INITIAL, 100000, 2000); /* periodic, and runs */
    assert_int_equal(lapic_timer_next_event(&l), 102000);
    put(LAPIC_LVT, 0x30, 242000); /* 40000 into its third period: its last */
    assert_int_equal(get(LAPIC_CURRENT, 242000), 60000);
    assert_int_equal(lapic_timer_next_event(&l), 302000);
    put(LAPIC_LVT, 0x20030, 250000); /* or not */
    lapic_timer_run(&l, 302000);
    assert_int_equal(lapic_timer_next_event(&l), 402000);
}

static void test_every_divisor(void **state)
{
    static const uint8_t codes[8] = {0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa};

    for (unsigned i = 0; i < 8; i++) {
        put(LAPIC_DIVIDE, codes[i], 0);
        assert_int_equal(get(LAPIC_DIVIDE, 0), codes[i]);
        put(LAPIC_LVT, 0x30, 0);
        put(LAPIC_INITIAL, 1000000, 0);
        assert_int_equal(lapic_timer_next_event(&l), 1000000ULL << i);
    }
}

static void test_divisor_change_keeps_count(void **state)
{
    put(LAPIC_DIVIDE, 0xb, 0);
    put(LAPIC_INITIAL, 1000000, 0);
    put(LAPIC_DIVIDE, 0x0, 400000);
    assert_in_range(get(LAPIC_CURRENT, 400000), 600000, 1000000);
    put(LAPIC_DIVIDE, 0xb, 500000);
    assert_true(get(LAPIC_CURRENT, 500000) <= 1000000);
}

static void test_periodic_keeps_phase(void **state)
{
    unsigned taken = 0;

    put(LAPIC_DIVIDE, 0xb, 0);
    put(LAPIC_LVT, 0x20030, 0);
    put(LAPIC_INITIAL, 1000003, 7);
    for (uint64_t now = 0; now < 600 * NS_PER_S;) {
        now = lapic_timer_next_event(&l) + taken % 5 * 100ULL;
        lapic_timer_run(&l, now);
        assert_int_equal(lapic_pending(&l), 0x30);
        lapic_take(&l, 0x30);
        put(LAPIC_EOI, 0, now);
        taken++;
    }
    assert_int_equal(taken, 600 * NS_PER_S / 1000003 + 1);
    lapic_timer_run(&l, 700 * NS_PER_S); /* a long sleep: one interrupt */
    lapic_take(&l, 0x30);
    assert_int_equal(lapic_pending(&l), -1);
    assert_int_equal((lapic_timer_next_event(&l) - 7) % 1000003, 0);
}

static void test_periodic_storm_is_bounded(void **state)
{
    put(LAPIC_DIVIDE, 0xb, 0);
    put(LAPIC_LVT, 0x20030, 0);
    put(LAPIC_INITIAL, 1, 0);
    uint64_t first = lapic_timer_next_event(&l);
    assert_true(first >= CLOCK_PERIOD_MIN_NS);
    lapic_timer_run(&l, first);
    assert_true(lapic_timer_next_event(&l) >= first + CLOCK_PERIOD_MIN_NS);
}

static void test_tsc_deadline(void **state)
{
    uint64_t value = 1;

    lapic_timer_set_tsc_offset(&l, 1000, 0);
    assert_int_equal(write_msr(LAPIC_MSR_TSC_DEADLINE, 5000), STATUS_OK);
    assert_int_equal(read_msr(LAPIC_MSR_TSC_DEADLINE, &value), STATUS_OK);
    assert_int_equal(value, 0); /* not in that mode */
    put(LAPIC_LVT, 0x40031, 0);
    (void)write_msr(LAPIC_MSR_TSC_DEADLINE, 1000 + 2500001);
    (void)read_msr(LAPIC_MSR_TSC_DEADLINE, &value);
    assert_int_equal(value, 1000 + 2500001);
    assert_int_equal(lapic_timer_next_event(&l), 1000001); /* 2500001 ticks are 1000000.4 ns */
    lapic_timer_run(&l, 1000000);
    assert_int_equal(lapic_pending(&l), -1);
    lapic_timer_run(&l, 1000001);
    assert_int_equal(lapic_pending(&l), 0x31);
    (void)read_msr(LAPIC_MSR_TSC_DEADLINE, &value);
    assert_int_equal(value, 0);
    (void)write_msr(LAPIC_MSR_TSC_DEADLINE, UINT64_MAX);
    assert_true(lapic_timer_next_event(&l) > 1ULL << 62);
    (void)write_msr(LAPIC_MSR_TSC_DEADLINE, 1); /* passed: at once */
    assert_int_equal(lapic_timer_next_event(&l), 0);
    put(LAPIC_LVT, 0x31, 0); /* leaving the mode disarms */
    assert_int_equal(lapic_timer_next_event(&l), CLOCK_NEVER);
}

static void test_base_msr_transitions(void **state)
{
    uint64_t value;

    (void)read_msr(LAPIC_MSR_BASE, &value);
    assert_int_equal(value, LAPIC_BASE | 0x800); /* not the boot CPU */
    assert_int_equal(write_msr(LAPIC_MSR_BASE, LAPIC_BASE | 0x400), STATUS_INVALID);
    assert_int_equal(write_msr(LAPIC_MSR_BASE, LAPIC_BASE | 0x801), STATUS_INVALID);
    assert_int_equal(write_msr(LAPIC_MSR_BASE, 0xfed00000U | 0x800), STATUS_INVALID);
    enter_x2apic();
    assert_int_equal(write_msr(LAPIC_MSR_BASE, LAPIC_BASE | 0x800), STATUS_INVALID);
    (void)lapic_accept(&l, 0x40, false);
    assert_int_equal(write_msr(LAPIC_MSR_BASE, LAPIC_BASE), STATUS_OK);
    assert_int_equal(lapic_pending(&l), -1);
    assert_false(lapic_accept(&l, 0x40, false));
    assert_int_equal(write_msr(LAPIC_MSR_BASE, LAPIC_BASE | 0xc00), STATUS_INVALID);
    assert_int_equal(write_msr(LAPIC_MSR_BASE, LAPIC_BASE | 0x800), STATUS_OK);
    assert_int_equal(get(LAPIC_SVR, 0), 0xff); /* as after power-on */
}

static void test_x2apic_registers(void **state)
{
    uint64_t value;

    assert_int_equal(read_msr(0x802, &value), STATUS_INVALID); /* xAPIC mode */
    enter_x2apic();
    (void)read_msr(0x802, &value);
    assert_int_equal(value, 3);
    (void)read_msr(0x80d, &value);
    assert_int_equal(value, 8);
    assert_int_equal(write_msr(0x802, 0), STATUS_INVALID);
    assert_int_equal(write_msr(0x80d, 8), STATUS_INVALID);
    assert_int_equal(write_msr(0x80b, 1), STATUS_INVALID);
    assert_int_equal(write_msr(0x80b, 0), STATUS_OK);
    assert_int_equal(read_msr(0x80b, &value), STATUS_INVALID);
    assert_int_equal(write_msr(0x808, 0x100), STATUS_INVALID);
    assert_int_equal(write_msr(0x808, 0xff), STATUS_OK);
    assert_int_equal(write_msr(0x80e, 0), STATUS_INVALID);
    assert_int_equal(write_msr(0x831, 0), STATUS_INVALID);
    assert_int_equal(write_msr(0x828, 1), STATUS_INVALID);
    assert_int_equal(write_msr(0x830, 1ULL << 20), STATUS_INVALID);
    assert_int_equal(write_msr(0x830, 0x100000001000ULL | 0x44), STATUS_OK);
    assert_int_equal(effect.message.destination, 0x1000);
    assert_true(effect.message.wide);
    (void)read_msr(0x830, &value);
    assert_int_equal(value, 0x100000000044ULL);
    assert_int_equal(write_msr(0x83f, 0x55), STATUS_OK);
    assert_int_equal(effect.message.shorthand, APIC_TO_SELF);
    assert_int_equal(effect.message.vector, 0x55);
    assert_int_equal(read_msr(0x83f, &value), STATUS_INVALID);
    assert_int_equal(read_msr(0x8ff, &value), STATUS_INVALID);
    assert_int_equal(read_msr(0x900, &value), STATUS_INVALID);
}

static void test_init_keeps_mode_and_tsc(void **state)
{
    enter_x2apic();
    lapic_timer_set_tsc_offset(&l, 77, 0);
    (void)lapic_accept(&l, 0x40, false);
    lapic_init(&l);
    assert_int_equal(l.state.mode, LAPIC_X2APIC);
    assert_int_equal(l.state.ldr, 8);
    assert_int_equal(l.state.tsc_offset, 77);
    assert_int_equal(lapic_pending(&l), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_power_on, setup),
        cmocka_unit_test_setup(test_priorities, setup),
        cmocka_unit_test_setup(test_eoi_broadcast_of_levels_only, setup),
        cmocka_unit_test_setup(test_errors, setup),
        cmocka_unit_test_setup(test_error_vector_too_small_does_not_recurse, setup),
        cmocka_unit_test_setup(test_icr, setup),
        cmocka_unit_test_setup(test_software_disable_masks, setup),
        cmocka_unit_test_setup(test_one_shot, setup),
        cmocka_unit_test_setup(test_mode_change_starts_nothing, setup),
        cmocka_unit_test_setup(test_every_divisor, setup),
        cmocka_unit_test_setup(test_divisor_change_keeps_count, setup),
        cmocka_unit_test_setup(test_periodic_keeps_phase, setup),
        cmocka_unit_test_setup(test_periodic_storm_is_bounded, setup),
        cmocka_unit_test_setup(test_tsc_deadline, setup),
        cmocka_unit_test_setup(test_base_msr_transitions, setup),
        cmocka_unit_test_setup(test_x2apic_registers, setup),
        cmocka_unit_test_setup(test_init_keeps_mode_and_tsc, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
