/* SPDX-License-Identifier: BSD-2-Clause */
/* A local APIC that a CPU serves: what it is lent and what comes back, and what it does meanwhile.
 */
#include "tests/unit/emulate/random.h"
#include "vmm/pc/lapic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define WORD(offset) ((offset) / 4U)

static struct lapic own;
static uint32_t page[1024];
static struct {
    uint8_t request, service;
    uint64_t level[4];
} lent;

static void lend_more(void)
{
    lent.service = 0;
    lent.request = lapic_lend_requests(&own, page);
    for (unsigned i = 0; i < ARRAY_SIZE(lent.level); i++) {
        lent.level[i] = lapic_levels(&own, i);
        lapic_lend_levels(page, i, lent.level[i]);
    }
}

static void lend(void)
{
    uint8_t service = lapic_lend(&own, page);

    lend_more();
    lent.service = service;
}

static int setup(void **state)
{
    memset(page, 0xa5, sizeof(page));
    lapic_power_on(&own, 3, 1000000000);
    own.state.svr |= LAPIC_SVR_ENABLED;
    lapic_fill_page(&own, page);
    return 0;
}

static bool has(uint32_t offset, unsigned vector)
{
    return page[WORD(offset) + 4 * (vector / 32)] >> vector % 32 & 1;
}

static void move(uint32_t from, uint32_t to, unsigned vector)
{
    page[WORD(from) + 4 * (vector / 32)] &= ~(1U << vector % 32);
    if (to) {
        page[WORD(to) + 4 * (vector / 32)] |= 1U << vector % 32;
    }
}

/* Where reading makes no exit: SDM 3, 30.4.2. */
static const uint32_t served[] = {
    0x020, 0x030, 0x080, 0x0d0, 0x0e0, 0x0f0, 0x100, 0x170, 0x180, 0x1f0, 0x200, 0x270,
    0x280, 0x300, 0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0,
};

/* What the guest reads from the page is what it would read by an exit. */
static void test_registers(void **state)
{
    struct lapic_effect effect;

    for (uint32_t offset = LAPIC_LVT; offset < LAPIC_LVT + 16 * LAPIC_LVT_COUNT; offset += 16) {
        lapic_mmio_write(&own, offset, 0x30 + (offset >> 4), 0, &effect);
    }
    lapic_mmio_write(&own, LAPIC_TPR, 0x2f, 0, &effect);
    lapic_mmio_write(&own, LAPIC_LDR, 0x08000000, 0, &effect);
    lapic_mmio_write(&own, LAPIC_ICR_HIGH, 0x05000000, 0, &effect);
    lapic_mmio_write(&own, LAPIC_INITIAL, 77, 0, &effect);
    lapic_fill_page(&own, page);
    lend();
    for (unsigned i = 0; i < ARRAY_SIZE(served); i++) {
        assert_int_equal(page[WORD(served[i])], lapic_mmio_read(&own, served[i], 0));
    }
    assert_int_equal(page[WORD(LAPIC_ID)], 3U << 24);
    assert_int_equal(page[WORD(LAPIC_TPR)], 0x2f);
    assert_int_equal(page[WORD(LAPIC_INITIAL)], 77);
}

/* Of three that wait the CPU takes the highest; one comes while the guest runs. */
static void test_delivery(void **state)
{
    assert_true(lapic_accept(&own, 0x31, false));
    assert_true(lapic_accept(&own, 0x52, true));
    assert_true(lapic_accept(&own, 0xe3, false));
    lend();
    assert_int_equal(lent.request, 0xe3);
    assert_int_equal(lent.service, 0);
    assert_int_equal(lent.level[1], 1U << 0x12);
    assert_int_equal(lapic_pending(&own), -1); /* it is lent */
    move(LAPIC_IRR, LAPIC_ISR, 0xe3);
    assert_true(lapic_accept(&own, 0xf0, false));
    page[WORD(LAPIC_TPR)] = 0x45;
    page[WORD(LAPIC_ICR)] = 0x40031;
    page[WORD(LAPIC_ICR_HIGH)] = 0x07ffffff;
    assert_int_equal(lapic_take_back(&own, page), 0x52);
    assert_int_equal(lapic_pending(&own), 0xf0);
    assert_int_equal(own.state.isr[7], 1U << 3);
    assert_int_equal(own.state.tpr, 0x45);
    assert_int_equal(own.state.icr, 0x0700000000040031);
    lend();
    assert_int_equal(lent.request, 0xf0);
    assert_int_equal(lent.service, 0xe3);
    assert_true(has(LAPIC_IRR, 0x31) && has(LAPIC_IRR, 0x52) && has(LAPIC_ISR, 0xe3));
}

/* The I/O APIC hears of the end of a level, unless the guest tells it itself. */
static void test_ended(void **state)
{
    struct lapic_effect effect = {.kind = LAPIC_EFFECT_NONE};

    assert_true(lapic_accept(&own, 0x52, true));
    lend();
    move(LAPIC_IRR, 0, 0x52);
    (void)lapic_take_back(&own, page);
    lapic_has_ended(&own, 0x53, &effect);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    own.state.svr |= LAPIC_SVR_NO_BROADCAST;
    lapic_has_ended(&own, 0x52, &effect);
    assert_int_equal(effect.kind, LAPIC_EFFECT_NONE);
    own.state.svr &= ~LAPIC_SVR_NO_BROADCAST;
    lapic_has_ended(&own, 0x52, &effect);
    assert_int_equal(effect.kind, LAPIC_EFFECT_EOI);
    assert_int_equal(effect.message.vector, 0x52);
}

static unsigned highest(uint32_t offset)
{
    for (unsigned vector = 255; vector > 0; vector--) {
        if (has(offset, vector)) {
            return vector;
        }
    }
    return 0;
}

/* What comes while the CPU has the state joins what waits there. */
static void test_more(void **state)
{
    assert_true(lapic_accept(&own, 0x31, false));
    lend();
    assert_true(lapic_accept(&own, 0x33, true));
    lend_more();
    assert_int_equal(lent.request, 0x33);
    assert_int_equal(lent.service, 0);
    assert_int_equal(lent.level[0], 1ULL << 0x33);
    assert_true(has(LAPIC_IRR, 0x31) && has(LAPIC_IRR, 0x33) && has(LAPIC_TMR, 0x33));
    assert_int_equal(lapic_pending(&own), -1);
    lend_more();
    assert_int_equal(lent.request, 0);
    assert_int_equal(lapic_take_back(&own, page), 0x33);
    assert_int_equal(own.state.irr[1], 1U << 0x13 | 1U << 0x11);
}

/* The CPU delivers, ends or does nothing. */
static void act_as_cpu(struct random *random, struct lapic *twin)
{
    unsigned request = highest(LAPIC_IRR), service = highest(LAPIC_ISR);
    struct lapic_effect effect;

    if ((request >> 4) > (service >> 4) && random_below(random, 2)) {
        move(LAPIC_IRR, LAPIC_ISR, request);
        assert_int_equal(lapic_pending(twin), request);
        lapic_take(twin, (uint8_t)request);
    } else if (service && random_below(random, 2)) {
        move(LAPIC_ISR, 0, service);
        lapic_end_of_interrupt(twin, &effect);
    }
}

/* At random: what a CPU delivers and ends is what the software would have. */
static void test_twins(void **state)
{
    struct random random = {1};
    struct lapic twin = own;
    bool is_lent = false;

    for (unsigned step = 0; step < 20000; step++) {
        unsigned vector = 16 + random_below(&random, 240),
                 before = is_lent ? highest(LAPIC_IRR) : 0;

        if (random_below(&random, 2)) {
            bool level = random_below(&random, 2);

            assert_true(lapic_accept(&own, (uint8_t)vector, level));
            assert_true(lapic_accept(&twin, (uint8_t)vector, level));
        }
        if (is_lent) {
            lend_more();
        } else {
            lend();
            assert_int_equal(lent.service, highest(LAPIC_ISR));
        }
        assert_int_equal(highest(LAPIC_IRR), lent.request > before ? lent.request : before);
        act_as_cpu(&random, &twin);
        is_lent = random_below(&random, 2);
        if (!is_lent) {
            assert_int_equal(lapic_take_back(&own, page), highest(LAPIC_IRR));
            assert_memory_equal(&own.state, &twin.state, sizeof(twin.state));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_registers, setup), cmocka_unit_test_setup(test_delivery, setup),
        cmocka_unit_test_setup(test_more, setup),      cmocka_unit_test_setup(test_ended, setup),
        cmocka_unit_test_setup(test_twins, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
