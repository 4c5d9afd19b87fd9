/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VF still has of its guest's requests, from looks at the rings: of a driver and a device
 * that do what they may, and of a guest that writes what it likes.
 */
#include "vmm/legacy/inflight.h"

#include "tests/unit/emulate/random.h"
#include "tests/unit/legacy/guest.h"
#include "vmm/host/guest_ram.h"
#include "vmm/legacy/legacy_internal.h"

#include <string.h>

#define QUEUE         3U
#define PFN           16U
#define SIZE_MAX_HERE 4096U
#define CONFLICT      STATUS_CONFLICT

static struct legacy_function f;
static struct legacy_set set;
static struct legacy_inflight inflight;
static struct ram ram;
static unsigned size;

static uint16_t *avail(void)
{
    return (uint16_t *)(void *)&fake_ram[PFN * 4096U + 16U * size];
}

static uint16_t *used(void)
{
    uint64_t at = align_up(PFN * 4096U + 16U * size + 6U + 2U * size, 4096);

    return (uint16_t *)(void *)&fake_ram[at];
}

/* A ring of SIZE whose indexes begin at START, which is looked at as its address is written. */
static void begin(unsigned of_size, uint16_t start)
{
    memset(&f, 0, sizeof(f));
    memset(fake_ram, 0, sizeof(fake_ram));
    memset(&inflight, 0xa5, sizeof(inflight));
    size = of_size;
    f.set = &set;
    f.setup.ram = &ram;
    f.setup.inflight = &inflight;
    legacy_inflight_forget(&f);
    f.state.queue[QUEUE] = (struct legacy_queue){.pfn = PFN, .size = (uint16_t)size};
    avail()[1] = used()[1] = start;
    legacy_inflight_restart(&f, QUEUE);
    fake.marks = 0;
    ram.tracked = true;
}

static void look(void)
{
    legacy_inflight_look(&f, QUEUE);
}

static void offer(unsigned head)
{
    avail()[2 + avail()[1] % size] = (uint16_t)head;
    avail()[1]++;
}

static void complete(unsigned head)
{
    uint32_t entry[2] = {head, 1};

    memcpy(&used()[2 + 4 * (used()[1] % size)], entry, sizeof(entry));
    used()[1]++;
}

static void kick(unsigned head)
{
    offer(head);
    look();
}

static enum status end(void)
{
    unsigned queue = QUEUE;
    enum status status = legacy_offer_again(&f, &queue);

    assert_int_equal(queue, QUEUE);
    return status;
}

/* What a device that begins at the used index finds: these, in this order. */
static void check(unsigned count, const uint16_t *heads)
{
    assert_int_equal((uint16_t)(avail()[1] - used()[1]), count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(avail()[2 + (uint16_t)(used()[1] + i) % size], heads[i]);
    }
}

#define CHECK_LEFT(...)                            \
    do {                                           \
        const uint16_t left[] = {__VA_ARGS__};     \
        assert_int_equal(end(), STATUS_OK);        \
        check(ARRAY_SIZE(left), left);             \
        assert_int_equal(end(), STATUS_OK);        \
        check(ARRAY_SIZE(left), left); /* again */ \
    } while (0)

/* ---- What may happen ---- */

static void test_idle(void **state)
{
    begin(8, 0);
    assert_int_equal(end(), STATUS_OK);
    kick(1);
    complete(1);
    assert_int_equal(end(), STATUS_OK);
    assert_int_equal(fake.marks, 0);
}

/* A and B are offered, B is done: the next device has to begin with A. */
static void test_out_of_order(void **state)
{
    begin(8, 0);
    kick(3);
    kick(6);
    complete(6);
    CHECK_LEFT(3);
    assert_true(fake.marks > 0);
}

static void test_order_is_kept(void **state)
{
    begin(8, 65533);
    for (unsigned head = 0; head < 6; head++) {
        kick(head * 5 % 8);
    }
    complete(2); /* the third and the first: 0 5 2 7 4 1 */
    complete(0);
    CHECK_LEFT(5, 7, 4, 1);
}

/* Passed by so many that the ring shows nothing of it any more, over the end of the indexes. */
static void test_passed_by_rings(void **state)
{
    for (unsigned rounds = 1; rounds < 70000; rounds = rounds * 5 + 3) {
        begin(4, 65530);
        kick(2);
        for (unsigned i = 0; i < rounds; i++) {
            kick(i % 2);
            complete(i % 2);
        }
        kick(3);
        CHECK_LEFT(2, 3);
    }
}

/* The same head comes and goes, all of it between two looks: it is known when it is done. */
static void test_heads_are_used_again(void **state)
{
    begin(16, 0);
    kick(0);
    complete(0);
    offer(0);
    offer(9);
    CHECK_LEFT(0, 9);
    for (unsigned i = 0; i < 3; i++) {
        complete(0);
        offer(0);
    }
    assert_int_equal(end(), CONFLICT);
    complete(0);
    look();
    kick(0);
    CHECK_LEFT(9, 0);
    begin(16, 0);
    kick(7);
    kick(0);
    for (unsigned i = 0; i < 6; i++) {
        complete(0);
        offer(0);
    }
    complete(0);
    CHECK_LEFT(7);
}

/* A ring that was in use before it was followed is known when all of that is done. */
static void test_known_again(void **state)
{
    begin(8, 100);
    avail()[1] += 2; /* 4 and 5, of which nothing was seen */
    legacy_inflight_restart(&f, QUEUE);
    kick(1);
    assert_int_equal(end(), CONFLICT);
    complete(4);
    look();
    assert_int_equal(end(), CONFLICT);
    complete(5);
    CHECK_LEFT(1);
}

/* More than half a ring between two looks: not known, until what was missed is done. */
static void test_overrun(void **state)
{
    begin(8, 65534);
    kick(7);
    for (unsigned i = 0; i < 5; i++) {
        offer(i);
        complete(i);
    }
    assert_int_equal(end(), CONFLICT);
    kick(1);
    complete(1);
    assert_int_equal(end(), CONFLICT);
    complete(7);
    assert_int_equal(end(), STATUS_OK);
    kick(3);
    CHECK_LEFT(3);
}

/* It was offered and passed, all between two looks; the driver may have begun to write over it. */
static void test_passed_unseen(void **state)
{
    begin(8, 0);
    offer(4);
    offer(5);
    complete(5);
    assert_int_equal(end(), CONFLICT);
    complete(4);
    kick(2);
    CHECK_LEFT(2);
}

/* Entries that the driver has not told of yet are none. */
static void test_written_ahead(void **state)
{
    begin(4, 0);
    kick(0);
    kick(1);
    for (unsigned i = 0; i < 2; i++) {
        complete(i);
    }
    kick(2);
    avail()[2 + 3] = 0;
    avail()[2 + 0] = 1;
    avail()[2 + 1] = 3;
    CHECK_LEFT(2);
    assert_int_equal(avail()[2 + 3], 0);
    assert_int_equal(avail()[2 + 0], 1);
    assert_int_equal(avail()[2 + 1], 3);
}

/* As a network card's receive queue. */
static void test_full(void **state)
{
    uint16_t all[256];

    begin(256, 65500);
    for (unsigned i = 0; i < 256; i++) {
        offer(i);
        all[i] = (uint16_t)i;
    }
    look();
    for (unsigned i = 0; i < 256; i++) {
        complete(i);
        kick(i);
    }
    assert_int_equal(end(), STATUS_OK);
    check(256, all);
}

static void test_sizes(void **state)
{
    for (unsigned of_size = 2; of_size <= SIZE_MAX_HERE; of_size *= 2) {
        begin(of_size, 65535);
        kick(of_size - 1);
        kick(0);
        complete(0);
        CHECK_LEFT((uint16_t)(of_size - 1));
    }
}

/* Without room for its heads, or with a size that no ring has, a queue must be idle. */
static void test_not_followed(void **state)
{
    static const uint16_t sizes[] = {3, 24, 100};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        begin(8, 0);
        f.state.queue[QUEUE].size = sizes[i];
        size = sizes[i];
        kick(1);
        assert_int_equal(end(), CONFLICT);
    }
    begin(8, 0);
    inflight.taken = LEGACY_HEADS_MAX - 7;
    inflight.queue[QUEUE].size = 0;
    kick(1);
    assert_int_equal(end(), CONFLICT);
    begin(8, 0);
    f.setup.inflight = NULL;
    kick(1);
    assert_int_equal(end(), CONFLICT);
    complete(1);
    assert_int_equal(end(), STATUS_OK);
}

/* The driver begins anew, with the same ring. */
static void test_restart(void **state)
{
    begin(8, 5);
    kick(1);
    kick(2);
    avail()[1] = used()[1] = 0;
    legacy_inflight_restart(&f, QUEUE);
    kick(6);
    CHECK_LEFT(6);
    legacy_inflight_forget(&f);
    avail()[1] = used()[1] = 7;
    f.state.queue[QUEUE].pfn = PFN;
    legacy_inflight_restart(&f, QUEUE);
    kick(2);
    CHECK_LEFT(2);
}

static void test_poll(void **state)
{
    begin(8, 0);
    offer(3);
    legacy_inflight_poll(&f);
    offer(4);
    complete(4);
    spinlock_acquire(&f.lock);
    legacy_inflight_poll(&f);
    spinlock_release(&f.lock);
    CHECK_LEFT(3);
}

/* ---- A driver and a device that do what they may, at random ---- */

struct model {
    bool busy[64];
    unsigned left, free;
    uint16_t shadow; /* avail index that the driver has not told of yet */
};

static struct random dice;

static unsigned pick(const struct model *m, bool busy, const bool *except)
{
    unsigned head = random_below(&dice, size);

    while (m->busy[head] != busy || (except && except[head])) {
        head = (head + 1) % size;
    }
    return head;
}

/* Up to a ring of entries, then the index. */
static void drive(struct model *m, unsigned count)
{
    for (unsigned i = 0; i < count && m->left < size; i++) {
        unsigned head = pick(m, false, NULL);

        m->busy[head] = true;
        m->left++;
        avail()[2 + (uint16_t)(avail()[1] + i) % size] = (uint16_t)head;
        m->shadow++;
    }
}

/* Of what is told, in any order; at most a quarter of the ring. */
static void work(struct model *m, unsigned count, bool *held)
{
    for (unsigned i = 0; i < count && m->left > 0; i++) {
        unsigned head = random_below(&dice, size);

        if (m->busy[head] && !held[head]) {
            m->busy[head] = false;
            m->left--;
            complete(head);
        }
    }
}

static void check_model(const struct model *m)
{
    bool seen[64] = {0};

    assert_int_equal((uint16_t)(avail()[1] - used()[1]), m->left);
    for (unsigned i = 0; i < m->left; i++) {
        unsigned head = avail()[2 + (uint16_t)(used()[1] + i) % size];

        assert_in_range(head, 0, size - 1);
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
    begin(1U << (2 + seed % 5), (uint16_t)(seed * 7919));
    m.shadow = avail()[1];
    for (unsigned i = 0; i < steps; i++) {
        drive(&m, 1 + random_below(&dice, size));
        if (random_below(&dice, 3) == 0) {
            look();
        }
        avail()[1] = m.shadow;
        if (kicks || random_below(&dice, 3) == 0) {
            look();
        }
        held[random_below(&dice, size)] = random_below(&dice, 8) == 0;
        work(&m, random_below(&dice, size / 2 + 1), held);
        if (random_below(&dice, 4) == 0) {
            enum status status = end();

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

/* ---- Guests that write what they like ---- */

static void test_hostile_heads(void **state)
{
    begin(8, 0);
    kick(8);
    kick(0xffff);
    assert_int_equal(end(), CONFLICT);
    begin(8, 0);
    kick(2);
    kick(2); /* twice at the same time */
    assert_int_equal(end(), CONFLICT);
    complete(0xfffffff2);
    complete(9);
    assert_int_equal(end(), STATUS_OK); /* by the indexes nothing is left */
    kick(3);
    CHECK_LEFT(3); /* nor of what was known before */
}

static void test_hostile_indexes(void **state)
{
    begin(8, 0);
    for (unsigned i = 0; i < 4000; i++) {
        avail()[1] = (uint16_t)(avail()[1] + (i % 3 == 0 ? 8 : 30011 * i));
        used()[1] = (uint16_t)(used()[1] + (i % 5 == 0 ? 4 : 12007 * i));
        look();
        assert_in_range(inflight.queue[QUEUE].known, 0, 8 * UINT8_MAX);
    }
    avail()[1] = used()[1];
    look();
    kick(1);
    CHECK_LEFT(1);
}

/* A head so often that no count could hold it. */
static void test_hostile_count(void **state)
{
    begin(64, 0);
    for (unsigned i = 0; i < 1000; i++) {
        kick(5);
    }
    assert_int_equal(inflight.queue[QUEUE].known, UINT8_MAX);
    assert_int_equal(end(), CONFLICT);
}

static void test_no_memory(void **state)
{
    begin(8, 0);
    f.state.queue[QUEUE].pfn = FAKE_RAM / 4096; /* behind the end */
    legacy_inflight_restart(&f, QUEUE);
    look();
    assert_int_equal(end(), STATUS_OK);
    begin(4096, 0); /* the used ring is behind it */
    f.state.queue[QUEUE].pfn = FAKE_RAM / 4096 - 16;
    look();
    assert_int_equal(end(), STATUS_OK);
    legacy_inflight_look(&f, LEGACY_QUEUES_MAX);
    legacy_inflight_look(&f, 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_order_is_kept),
        cmocka_unit_test(test_passed_by_rings),
        cmocka_unit_test(test_heads_are_used_again),
        cmocka_unit_test(test_known_again),
        cmocka_unit_test(test_overrun),
        cmocka_unit_test(test_passed_unseen),
        cmocka_unit_test(test_written_ahead),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_not_followed),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_hostile_heads),
        cmocka_unit_test(test_hostile_indexes),
        cmocka_unit_test(test_hostile_count),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
