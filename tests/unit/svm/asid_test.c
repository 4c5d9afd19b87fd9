/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every obligation to flush, against a TLB that forgets nothing by itself: AMD APM 2, 15.15. An
 * emulator flushes too often and cannot show that a flush is missing.
 */
#include "vmm/svm/svm.h"

#include "tests/unit/emulate/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ASIDS_MAX 40U
#define VCPUS_MAX 6U
#define NOBODY    VCPUS_MAX
#define ROUNDS    200000U

/* The oldest translation of an ASID in the TLB: whose, and of which version of its tables. */
static struct {
    unsigned owner;
    uint64_t version;
    bool used;
} tlb[ASIDS_MAX];

static struct guest {
    struct asid asid;
    uint64_t version; /* of what it may use now */
} vcpus[VCPUS_MAX];

static struct asid_pool pool;
static unsigned flushes;

/* A CPU that somebody else used before: its TLB is full of his translations, of every ASID. */
static void begin(uint32_t count, bool by_asid)
{
    for (unsigned i = 0; i < ASIDS_MAX; i++) {
        tlb[i].used = true;
        tlb[i].owner = NOBODY;
        tlb[i].version = 0;
    }
    for (unsigned i = 0; i < VCPUS_MAX; i++) {
        vcpus[i] = (struct guest){.version = 1};
    }
    flushes = 0;
    asid_pool_init(&pool, count, by_asid);
}

static void flush(unsigned who)
{
    asid_flush(&vcpus[who].asid);
    vcpus[who].version++;
}

static void carry_out(uint8_t control, uint32_t number)
{
    switch (control) {
    case VMCB_TLB_KEEP:
        return;
    case VMCB_TLB_FLUSH_ASID:
        assert_true(pool.by_asid);
        tlb[number].used = false;
        break;
    case VMCB_TLB_FLUSH_ALL:
        for (unsigned i = 0; i < ASIDS_MAX; i++) {
            tlb[i].used = false;
        }
        break;
    default:
        fail_msg("TLB_CONTROL %u is none that we know", control);
    }
    flushes++;
}

/* VMRUN that succeeds: nothing that the guest could use may be stale or another's. */
static uint8_t run(unsigned who)
{
    struct guest *vcpu = &vcpus[who];
    uint8_t control = asid_choose(&pool, &vcpu->asid);
    uint32_t number = vcpu->asid.number;

    assert_in_range(number, 1, pool.count - 1);
    carry_out(control, number);
    if (tlb[number].used) {
        assert_int_equal(tlb[number].owner, who);
        assert_int_equal(tlb[number].version, vcpu->version);
    }
    tlb[number].used = true;
    tlb[number].owner = who;
    tlb[number].version = vcpu->version;
    return control;
}

/* VMRUN that refuses the guest's state does not come as far as to the flush. */
static void run_refused(unsigned who)
{
    (void)asid_choose(&pool, &vcpus[who].asid);
    asid_failed(&pool, &vcpus[who].asid);
}

static void test_what_was_there_before(void **state)
{
    begin(8, true);
    assert_int_equal(run(0), VMCB_TLB_FLUSH_ALL);
    assert_int_equal(run(1), VMCB_TLB_KEEP); /* all of it was flushed just now */
    assert_int_not_equal(vcpus[0].asid.number, vcpus[1].asid.number);
}

static void test_no_needless_flush(void **state)
{
    begin(8, true);
    (void)run(0);
    (void)run(1);
    uint32_t number = vcpus[0].asid.number;

    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(run(0), VMCB_TLB_KEEP);
        assert_int_equal(run(1), VMCB_TLB_KEEP);
    }
    assert_int_equal(vcpus[0].asid.number, number);
    assert_int_equal(flushes, 1);
}

static void test_flush_by_asid(void **state)
{
    begin(8, true);
    (void)run(0);
    (void)run(1);
    uint32_t number = vcpus[0].asid.number;

    flush(0);
    flush(0);
    assert_int_equal(run(0), VMCB_TLB_FLUSH_ASID);
    assert_int_equal(vcpus[0].asid.number, number);
    assert_int_equal(run(0), VMCB_TLB_KEEP);
    assert_int_equal(run(1), VMCB_TLB_KEEP);
}

static void test_flush_by_a_new_asid(void **state)
{
    begin(4, false);
    assert_int_equal(run(0), VMCB_TLB_FLUSH_ALL); /* 1 */
    for (unsigned i = 0; i < 2; i++) {
        flush(0);
        assert_int_equal(run(0), VMCB_TLB_KEEP); /* 2, 3 */
    }
    flush(0);
    assert_int_equal(run(0), VMCB_TLB_FLUSH_ALL); /* used up: from 1 again */
    assert_int_equal(vcpus[0].asid.number, 1);
}

/* With one guest ASID every change of the vCPU is a flush of all. */
static void test_one_asid_for_two(void **state)
{
    begin(2, true);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(run(i % 2), VMCB_TLB_FLUSH_ALL);
    }
    assert_int_equal(run(1), VMCB_TLB_KEEP);
}

/* The wrap takes away the numbers of all the others, those that were stale as well. */
static void test_wrap_reaches_all(void **state)
{
    begin(4, true);
    (void)run(0);
    (void)run(1);
    (void)run(2);
    flush(1);
    assert_int_equal(run(3), VMCB_TLB_FLUSH_ALL);
    assert_int_equal(run(0), VMCB_TLB_KEEP);
    assert_int_equal(run(1), VMCB_TLB_KEEP);
    assert_int_not_equal(vcpus[0].asid.number, vcpus[3].asid.number);
    assert_int_equal(run(2), VMCB_TLB_FLUSH_ALL);
}

static void test_refused_entry(void **state)
{
    begin(8, true);
    run_refused(0); /* the very first flush */
    (void)run(1);
    (void)run(0);
    flush(0);
    run_refused(0); /* its own flush */
    (void)run(0);
    begin(2, true);
    (void)run(0);
    run_refused(1); /* a wrap */
    (void)run(0);
    (void)run(1);
}

static void test_random(void **state)
{
    struct random random = {20};

    for (unsigned count = 2; count < ASIDS_MAX; count += count < 8 ? 1 : 7) {
        for (unsigned kind = 0; kind < 4; kind++) {
            begin(count, kind & 1);
            for (unsigned i = 0; i < ROUNDS / 10; i++) {
                unsigned who = random_below(&random, kind & 2 ? 2 : VCPUS_MAX);

                switch (random_below(&random, 8)) {
                case 0:
                case 1:
                case 2:
                    flush(who);
                    break;
                case 3:
                    if (kind & 2) {
                        run_refused(who);
                    }
                    break;
                default:
                    (void)run(who);
                }
            }
        }
    }
}

/* As many numbers as a server has, all used up again and again. */
static void test_many_wraps(void **state)
{
    begin(ASIDS_MAX, false);
    for (unsigned i = 0; i < ROUNDS; i++) {
        flush(i % 5);
        (void)run(i % 5);
        (void)run((i + 1) % 5);
    }
    assert_in_range(flushes, ROUNDS / ASIDS_MAX, ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_there_before),
        cmocka_unit_test(test_no_needless_flush),
        cmocka_unit_test(test_flush_by_asid),
        cmocka_unit_test(test_flush_by_a_new_asid),
        cmocka_unit_test(test_one_asid_for_two),
        cmocka_unit_test(test_wrap_reaches_all),
        cmocka_unit_test(test_refused_entry),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_many_wraps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
