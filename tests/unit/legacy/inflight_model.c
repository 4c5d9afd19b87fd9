/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver and a device that do what they may, at random, and what is found in their ring. */
#include "tests/unit/emulate/random.h"
#include "tests/unit/legacy/inflight_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct model {
    bool busy[64];
    unsigned left, free;
    uint16_t shadow; /* avail index that the driver has not told of yet */
};

static struct random dice;

static unsigned pick(const struct model *m, bool busy, const bool *except)
{
    unsigned head = random_below(&dice, ring_size);

    while (m->busy[head] != busy || (except && except[head])) {
        head = (head + 1) % ring_size;
    }
    return head;
}

/* Up to a ring of entries, then the index. */
static void drive(struct model *m, unsigned count)
{
    for (unsigned i = 0; i < count && m->left < ring_size; i++) {
        unsigned head = pick(m, false, NULL);

        m->busy[head] = true;
        m->left++;
        ring_avail()[2 + (uint16_t)(ring_avail()[1] + i) % ring_size] = (uint16_t)head;
        m->shadow++;
    }
}

/* Of what is told, in any order; at most a quarter of the ring. */
static void work(struct model *m, unsigned count, bool *held)
{
    for (unsigned i = 0; i < count && m->left > 0; i++) {
        unsigned head = random_below(&dice, ring_size);

        if (m->busy[head] && !held[head]) {
            m->busy[head] = false;
            m->left--;
            ring_complete(head);
        }
    }
}

static void check_model(const struct model *m)
{
    bool seen[64] = {0};

    assert_int_equal((uint16_t)(ring_avail()[1] - ring_used()[1]), m->left);
    for (unsigned i = 0; i < m->left; i++) {
        unsigned head = ring_avail()[2 + (uint16_t)(ring_used()[1] + i) % ring_size];

        assert_in_range(head, 0, ring_size - 1);
        assert_true(m->busy[head] && !seen[head]);
        seen[head] = true;
    }
}

/*
 * With a look at each kick, before the device takes it, all is always known; without, it is what
 * is known that has to be right.
 */
static unsigned run_model(bool kicks, unsigned seed)
{
    struct model m = {0};
    bool held[64] = {0};
    unsigned known = 0, steps = 400 + seed % 100;

    dice.state = seed + 1;
    ring_begin(1U << (2 + seed % 5), (uint16_t)(seed * 7919));
    m.shadow = ring_avail()[1];
    for (unsigned i = 0; i < steps; i++) {
        drive(&m, 1 + random_below(&dice, ring_size));
        if (random_below(&dice, 3) == 0) {
            ring_look();
        }
        ring_avail()[1] = m.shadow;
        if (kicks || random_below(&dice, 3) == 0) {
            ring_look();
        }
        held[random_below(&dice, ring_size)] = random_below(&dice, 8) == 0;
        work(&m, random_below(&dice, ring_size / 2 + 1), held);
        if (random_below(&dice, 4) == 0) {
            enum status status = ring_end();

            if (status == STATUS_OK) {
                check_model(&m);
                known++;
            }
            assert_true(!kicks || status == STATUS_OK);
        }
    }
    return known;
}

static void test_model(void **state)
{
    unsigned known = 0;

    for (unsigned seed = 1; seed <= 300; seed++) {
        assert_true(run_model(true, seed) > 0);
        known += run_model(false, seed);
    }
    assert_true(known > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
