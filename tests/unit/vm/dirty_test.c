/* SPDX-License-Identifier: BSD-2-Clause */
/* Dirty pages, on real nested tables; at the end with vCPUs on threads. */
#include "vmm/vm/dirty.h"

#include "tests/unit/emulate/random.h"
#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/tracked_vm.h"
#include "vmm/vm/backend.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define K4     PAGE_SIZE
#define M2     PAGE_SIZE_2M
#define PAGES  ((unsigned)((TRACKED_LOW_SIZE + M2) / K4))
#define ROUNDS 100U

static void test_faults(void **state)
{
    uint64_t tables = tracked_vm.nested.table_pages;

    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
    assert_int_equal(dirty_start(&tracked_vm), STATUS_STATE);
    /* Nothing is split before it is written. */
    assert_int_equal(tracked_vm.nested.table_pages, tables);
    tracked_expect_page(0, M2, false);
    tracked_expect_page(TRACKED_HIGH, M2, false);
    tracked_expect_dirty(NULL, 0);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(5 * K4 + 123)));
    assert_int_equal(tracked_forgets, 0);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(5 * K4))); /* another CPU was first */
    assert_int_equal(tracked_forgets, 1);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(TRACKED_HIGH + M2 - 1)));
    assert_false(dirty_fault(&tracked_vcpus[0], gpa(TRACKED_LOW_SIZE)));
    assert_false(dirty_fault(&tracked_vcpus[0], gpa(0xfee00000)));
    assert_false(dirty_fault(&tracked_vcpus[0], gpa(TRACKED_HIGH + M2)));
    tracked_expect_page(5 * K4, K4, true);
    tracked_expect_page(4 * K4, K4, false);
    tracked_expect_page(M2, M2, false);
    unsigned before = tracked_flushes;

    tracked_expect_dirty((uint64_t[]){5 * K4, TRACKED_HIGH + M2 - K4}, 2);
    assert_int_equal(tracked_flushes, before + 2); /* one for each range with news */
    tracked_expect_page(5 * K4, K4, false);
    tracked_expect_dirty(NULL, 0);
    assert_int_equal(tracked_flushes, before + 2);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(6 * K4)));
    dirty_stop(&tracked_vm);
    tracked_expect_page(0, M2, true);
    tracked_expect_page(TRACKED_HIGH, M2, true);
    assert_int_equal(tracked_vm.nested.table_pages, tables);
    assert_true(
        dirty_fault(&tracked_vcpus[0], gpa(0))); /* seen before the end, handled behind it */
    tracked_expect_page(0, M2, true);
    dirty_stop(&tracked_vm);
    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
    tracked_expect_dirty(NULL, 0); /* what was marked before counts no more */
}

/*
 * vCPU 1 is at an exit that waits for a device, or for vCPU 0 whose CPU goes on with its service
 * meanwhile, which may be what calls: it is not waited for without an end.
 */
static void test_an_exit_waits(void **state)
{
    tracked_tick_ns = 1000000;
    tracked_vcpus[1].place = VCPU_AT_EXIT;
    assert_int_equal(dirty_start(&tracked_vm), STATUS_STATE);
    assert_false(tracked_vm.ram.tracked);
    tracked_expect_page(0, M2, true);
    tracked_expect_page(TRACKED_HIGH, M2, true);
    assert_int_equal(ram_write(&tracked_vm.ram, gpa(K4), "x", 1), STATUS_OK);
    tracked_expect_dirty(NULL, 0);
    tracked_vcpus[1].place = VCPU_AWAY;
    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
}

static void test_own_writes(void **state)
{
    uint8_t bytes[2 * K4];

    memset(bytes, 0x5a, sizeof(bytes));
    assert_int_equal(ram_write(&tracked_vm.ram, gpa(K4), bytes, 8), STATUS_OK);
    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
    tracked_expect_dirty(NULL, 0);
    assert_int_equal(ram_write(&tracked_vm.ram, gpa(3 * K4 - 1), bytes, K4 + 2), STATUS_OK);
    assert_int_equal(ram_zero(&tracked_vm.ram, gpa(TRACKED_LOW_SIZE - 1), 1), STATUS_OK);
    assert_int_equal(ram_zero(&tracked_vm.ram, gpa(TRACKED_HIGH), 0), STATUS_OK);
    assert_int_equal(ram_zero(&tracked_vm.ram, gpa(TRACKED_LOW_SIZE - 1), 2), STATUS_RANGE);
    tracked_expect_dirty((uint64_t[]){2 * K4, 3 * K4, 4 * K4, TRACKED_LOW_SIZE - K4}, 4);
    tracked_expect_page(2 * K4, M2, false); /* nothing of it concerns the guest's own rights */
    ram_mark(&tracked_vm.ram, gpa(TRACKED_LOW_SIZE - 1), 3 * K4); /* what is no RAM is left out */
    ram_mark(&tracked_vm.ram, gpa(0xfee00000), 8);
    ram_mark(&tracked_vm.ram, gpa(TRACKED_HIGH - 1), 2);
    tracked_expect_dirty((uint64_t[]){TRACKED_LOW_SIZE - K4, TRACKED_HIGH}, 2);
    dirty_stop(&tracked_vm);
    assert_int_equal(ram_write(&tracked_vm.ram, gpa(K4), bytes, 8), STATUS_OK);
    tracked_expect_dirty(NULL, 0);
}

/* Without memory for tables a large page is dirty as a whole, and protected again as a whole. */
static void test_no_memory(void **state)
{
    uint64_t all[M2 / K4];

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        all[i] = M2 + i * K4;
    }
    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
    fake_pages_limit((unsigned)tracked_vm.nested.table_pages);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(M2 + 7 * K4)));
    tracked_expect_page(M2, M2, true);
    tracked_expect_page(0, M2, false);
    tracked_expect_dirty(all, ARRAY_SIZE(all));
    tracked_expect_page(M2, M2, false);
    fake_pages_limit(64);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(M2))); /* it is not tried again */
    tracked_expect_page(M2, M2, true);
    dirty_stop(&tracked_vm);
    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(M2)));
    tracked_expect_page(M2, K4, true);
}

/*
 * vCPUs that write to all pages, each with a TLB that keeps what it saw until it is flushed, and a
 * collector that copies what is reported. At the end the copy is right: no write was missed.
 */
static uint8_t copy[sizeof(tracked_ram)];
static bool over;
static unsigned runs; /* of guests */

static void go(struct vcpu *vcpu, enum vcpu_place place)
{
    __atomic_store_n(&vcpu->place, place, __ATOMIC_RELEASE);
}

static uint64_t address_of(unsigned page)
{
    return page < TRACKED_LOW_SIZE / K4 ? page * K4 : TRACKED_HIGH + (page * K4 - TRACKED_LOW_SIZE);
}

static bool is_writable(unsigned page)
{
    struct radix_page found;

    /* The tables may change under the walk, as under a CPU's; they are not freed here. */
    return radix_lookup(&tracked_vm.nested, address_of(page), &found) == STATUS_OK &&
           (found.rights & RADIX_WRITE);
}

/* What the CPU of each vCPU has logged, if it does. */
static struct log {
    bool on;
    unsigned count;
    uint64_t at[32];
} logs[TRACKED_VCPUS];

/* As a CPU sets the dirty bit. False: the entry has been changed meanwhile, or forbids it. */
static bool set_dirty(struct log *log, uint64_t at)
{
    uint64_t *entry = tracked_entry(at), value = __atomic_load_n(entry, __ATOMIC_SEQ_CST);

    if (!(value & 2) || !__atomic_compare_exchange_n(entry, &value, value | TRACKED_LOGGED, false,
                                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        return false;
    }
    if (!(value & TRACKED_LOGGED)) {
        log->at[log->count++] = at;
    }
    return true;
}

static void leave(struct vcpu *vcpu)
{
    struct log *log = &logs[vcpu->index];

    for (; log->count > 0; log->count--) {
        ram_mark(&tracked_vm.ram, gpa(log->at[log->count - 1]), K4);
    }
    go(vcpu, VCPU_AT_EXIT);
}

static void guest_runs(struct vcpu *vcpu, bool *tlb, struct random *random)
{
    for (unsigned i = 0; i < 32; i++) {
        unsigned page = random_below(random, 32) * 77; /* few, but in all large pages */

        if (!tlb[page] && !is_writable(page)) {
            leave(vcpu);
            if (random_below(random, 4) == 0) { /* the VMM writes for it instead */
                __atomic_fetch_add(&tracked_ram[page * K4 + 8 * vcpu->index], 1, __ATOMIC_RELAXED);
                ram_written(&tracked_vm.ram, gpa(address_of(page)), 1);
            } else {
                assert_true(dirty_fault(vcpu, gpa(address_of(page))));
            }
            return;
        }
        if (!tlb[page] && logs[vcpu->index].on &&
            !set_dirty(&logs[vcpu->index], address_of(page))) {
            continue;
        }
        tlb[page] = true;
        __atomic_fetch_add(&tracked_ram[page * K4 + 8 * vcpu->index], 1, __ATOMIC_RELAXED);
    }
}

static void *run_vcpu(void *argument)
{
    struct vcpu *vcpu = argument;
    static bool tlbs[TRACKED_VCPUS][PAGES];
    bool *tlb = tlbs[vcpu->index];
    struct random random = {vcpu->index + 1};

    memset(tlb, 0, PAGES);
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        go(vcpu, VCPU_INSIDE);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        uint32_t generation = __atomic_load_n(&tracked_vm.nested_generation, __ATOMIC_ACQUIRE);

        if (generation != vcpu->flushed) {
            memset(tlb, 0, PAGES);
            logs[vcpu->index].on = backend_offers.logs_writes &&
                                   __atomic_load_n(&tracked_vm.ram.tracked, __ATOMIC_SEQ_CST);
            __atomic_store_n(&vcpu->flushed, generation, __ATOMIC_RELEASE);
        }
        guest_runs(vcpu, tlb, &random);
        __atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
        leave(vcpu);
        (void)sched_yield();
    }
    go(vcpu, VCPU_AWAY);
    return NULL;
}

/* Returns how many pages were reported. */
static unsigned collect_and_copy(void)
{
    uint64_t bitmap[PAGES / RAM_MARKS_WORD];
    unsigned reported = 0, low = TRACKED_LOW_SIZE / K4;

    (void)dirty_collect(&tracked_vm, 0, low, bitmap);
    (void)dirty_collect(&tracked_vm, TRACKED_HIGH / K4, M2 / K4, &bitmap[low / RAM_MARKS_WORD]);
    for (unsigned page = 0; page < PAGES; page++) {
        if (bitmap[page / RAM_MARKS_WORD] >> page % RAM_MARKS_WORD & 1) {
            for (unsigned i = 0; i < TRACKED_VCPUS; i++) {
                copy[page * K4 + 8 * i] =
                    __atomic_load_n(&tracked_ram[page * K4 + 8 * i], __ATOMIC_RELAXED);
            }
            reported++;
        }
    }
    return reported;
}

static void begin_vcpus(pthread_t *threads)
{
    over = false;
    for (unsigned i = 0; i < TRACKED_VCPUS; i++) {
        tracked_vcpus[i].index = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run_vcpu, &tracked_vcpus[i]), 0);
    }
}

static void end_vcpus(const pthread_t *threads)
{
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < TRACKED_VCPUS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static void let_vcpus_run(void)
{
    unsigned before = __atomic_load_n(&runs, __ATOMIC_RELAXED);

    while (__atomic_load_n(&runs, __ATOMIC_RELAXED) - before < 20) {
        (void)sched_yield();
    }
}

static void test_concurrent(void **state)
{
    pthread_t threads[TRACKED_VCPUS];
    uint64_t reported = 0;

    begin_vcpus(threads);
    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
    for (unsigned i = 0; i < sizeof(tracked_ram); i++) {
        copy[i] = __atomic_load_n(&tracked_ram[i], __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        let_vcpus_run();
        reported += collect_and_copy();
    }
    end_vcpus(threads);
    reported += collect_and_copy();
    assert_in_range(reported, 1, (uint64_t)PAGES * (ROUNDS + 1));
    assert_memory_equal(copy, tracked_ram, sizeof(tracked_ram));
    tracked_expect_dirty(NULL, 0);
    dirty_stop(&tracked_vm);
    tracked_expect_page(0, M2, true);
}

static void test_concurrent_logs(void **state)
{
    backend_offers.logs_writes = true;
    test_concurrent(state);
}

/* Where CPUs log, one fault opens all of a large page; what is collected is made anew, and not
 * forbidden. */
static void test_logs(void **state)
{
    backend_offers.logs_writes = true;
    assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
    tracked_expect_page(M2, M2, false);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(M2 + 5 * K4)));
    tracked_expect_page(M2 + 5 * K4, K4, true);
    tracked_expect_page(M2, K4, true);
    tracked_expect_page(2 * M2 - K4, K4, true);
    tracked_expect_page(2 * M2, M2, false);
    tracked_expect_page(0, M2, false);
    assert_true(dirty_fault(&tracked_vcpus[0], gpa(5 * K4))); /* ROMs are near */
    tracked_expect_page(5 * K4, K4, true);
    tracked_expect_page(6 * K4, K4, false);
    for (uint64_t page = 5; page < 7; page++) { /* the CPU's, of which one was logged */
        *tracked_entry(M2 + page * K4) |= TRACKED_LOGGED;
    }
    ram_mark(&tracked_vm.ram, gpa(M2 + 6 * K4), K4);
    ram_mark(&tracked_vm.ram, gpa(3 * M2), K4); /* the VMM's own, of a large page */
    unsigned before = tracked_flushes;

    tracked_expect_dirty((uint64_t[]){5 * K4, M2 + 5 * K4, M2 + 6 * K4, 3 * M2}, 4);
    assert_int_equal(tracked_flushes, before + 4); /* first of all each range gets out what is
                                                     logged */
    for (uint64_t page = 4; page < 8; page++) {
        tracked_expect_page(M2 + page * K4, K4, true);
        assert_false(*tracked_entry(M2 + page * K4) & TRACKED_LOGGED);
    }
    tracked_expect_page(5 * K4, K4, true);
    tracked_expect_page(3 * M2, M2, false);
    dirty_stop(&tracked_vm);
    tracked_expect_page(M2, M2, true);
    tracked_expect_page(0, M2, true);
    before = tracked_flushes;
    tracked_expect_dirty(NULL, 0);
    assert_int_equal(tracked_flushes, before);
}

/* A CPU that logs writes to PAGE until the last moment, and marks its entry. */
static bool cpu_logs;

static void log_until_flush(void)
{
    uint64_t *entry = tracked_entry(M2 + 9 * K4);

    if (cpu_logs && (*entry & 2)) {
        *entry |= TRACKED_LOGGED;
    }
    cpu_logs = backend_offers.logs_writes && tracked_vm.ram.tracked;
}

/* What CPUs did in the tables meanwhile does not keep large pages apart. */
static void test_logs_end(void **state)
{
    uint64_t tables = tracked_vm.nested.table_pages;

    backend_offers.logs_writes = true;
    tracked_before_flush = log_until_flush;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
        assert_true(cpu_logs);
        assert_true(dirty_fault(&tracked_vcpus[0], gpa(M2 + 5 * K4)));
        tracked_expect_page(M2 + 9 * K4, K4, true);
        dirty_stop(&tracked_vm);
        assert_false(cpu_logs);
        tracked_expect_page(M2, M2, true);
        assert_false(*tracked_entry(M2) & TRACKED_LOGGED);
        assert_int_equal(tracked_vm.nested.table_pages, tables);
    }
}

/* The end of the tracking while vCPUs write: all is as it was before. */
static void test_end_beside_guests(void **state)
{
    uint64_t tables = tracked_vm.nested.table_pages;

    for (unsigned i = 0; i < ROUNDS; i++) {
        pthread_t threads[TRACKED_VCPUS];

        backend_offers.logs_writes = i % 2 == 0;
        begin_vcpus(threads);
        assert_int_equal(dirty_start(&tracked_vm), STATUS_OK);
        let_vcpus_run();
        dirty_stop(&tracked_vm);
        let_vcpus_run();
        end_vcpus(threads);
        for (uint64_t at = 0; at < TRACKED_LOW_SIZE; at += M2) {
            tracked_expect_page(at, M2, true);
        }
        tracked_expect_page(TRACKED_HIGH, M2, true);
        assert_int_equal(tracked_vm.nested.table_pages, tables);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_faults, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_an_exit_waits, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_own_writes, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_concurrent, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_concurrent_logs, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_logs, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_logs_end, tracked_set_up, tracked_tear_down),
        cmocka_unit_test_setup_teardown(test_end_beside_guests, tracked_set_up, tracked_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
