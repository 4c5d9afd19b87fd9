/* SPDX-License-Identifier: BSD-2-Clause */
/* Vectors for devices: who has which, late interrupts, and that a freed handler has ended. */
#include "vmm/host/vector.h"

#include "vmm/base/types.h"
#include "vmm/host/pool.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static struct cpu cpus[2];
static unsigned last;
static bool no_memory;
static unsigned in_handler, unbind; /* atomic */

void *pool_allocate(uint64_t size, uint64_t align)
{
    static uint8_t tables[2][16 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    static unsigned used;

    assert_true(size <= sizeof(tables[0]) && used < ARRAY_SIZE(tables));
    return no_memory ? NULL : tables[used++];
}

/* This thread is CPU INDEX from now on. */
static void become(unsigned index)
{
    cpus[index].self = &cpus[index];
    assert_int_equal(syscall(SYS_arch_prctl, ARCH_SET_GS, &cpus[index]), 0);
}

static void count(void *argument, unsigned number)
{
    (*(unsigned *)argument)++;
    last = number;
}

static unsigned get(const unsigned *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void set(unsigned *word, unsigned value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static void wait_inside(void *argument, unsigned number)
{
    set(&in_handler, 1);
    while (!get(&unbind)) {
    }
    set(&in_handler, 0);
}

static void test_no_memory(void **state)
{
    uint8_t vector;

    become(0);
    assert_false(vector_handle(VECTOR_DEVICE_FIRST)); /* no table yet */
    no_memory = true;
    assert_int_equal(vector_allocate(&cpus[0], count, &last, 0, &vector), STATUS_NO_MEMORY);
    no_memory = false;
}

static void test_each_has_its_own(void **state)
{
    unsigned calls[VECTOR_DEVICES] = {0}, elsewhere = 0;
    uint8_t vector[VECTOR_DEVICES], other;

    become(0);
    for (unsigned i = 0; i < VECTOR_DEVICES; i++) {
        assert_int_equal(vector_allocate(&cpus[0], count, &calls[i], i, &vector[i]), STATUS_OK);
        assert_in_range(vector[i], VECTOR_DEVICE_FIRST, VECTOR_DEVICE_LAST);
    }
    assert_int_equal(vector_allocate(&cpus[0], count, &elsewhere, 0, &other), STATUS_NO_MEMORY);
    assert_int_equal(vector_allocate(&cpus[1], count, &elsewhere, 7, &other), STATUS_OK);
    assert_int_equal(vector_count(), VECTOR_DEVICES + 1);
    for (unsigned i = 0; i < VECTOR_DEVICES; i++) {
        assert_true(vector_handle(vector[i]));
        assert_int_equal(last, i);
        assert_int_equal(calls[i], 1);
    }
    assert_int_equal(elsewhere, 0);
    become(1);
    assert_true(vector_handle(other));
    assert_int_equal(elsewhere, 1);
    vector_free(&cpus[1], other);
    for (unsigned i = 0; i < VECTOR_DEVICES; i++) {
        vector_free(&cpus[0], vector[i]);
    }
    assert_int_equal(vector_count(), 0);
}

/* What comes after the end is counted, and does not go to the next one that asks. */
static void test_late(void **state)
{
    unsigned before = 0, after = 0;
    uint64_t strays = vector_strays();
    uint8_t old, new;

    become(0);
    assert_int_equal(vector_allocate(&cpus[0], count, &before, 0, &old), STATUS_OK);
    vector_free(&cpus[0], old);
    assert_int_equal(vector_allocate(&cpus[0], count, &after, 0, &new), STATUS_OK);
    assert_int_not_equal(old, new);
    assert_true(vector_handle(old));
    assert_int_equal(before + after, 0);
    assert_int_equal(vector_strays(), strays + 1);
    vector_free(&cpus[0], new);
}

static void test_not_devices(void **state)
{
    become(0);
    assert_false(vector_handle(VECTOR_DEVICE_FIRST - 1));
    assert_false(vector_handle(VECTOR_DEVICE_LAST + 1));
}

static void *interrupt(void *argument)
{
    become(1);
    assert_true(vector_handle(*(uint8_t *)argument));
    return NULL;
}

static void *let_it_go(void *argument)
{
    (void)usleep(20000);
    assert_int_equal(get(&in_handler), 1);
    set(&unbind, 1);
    return NULL;
}

static void test_free_waits(void **state)
{
    pthread_t handler, helper;
    uint8_t vector;

    become(0);
    assert_int_equal(vector_allocate(&cpus[1], wait_inside, &last, 0, &vector), STATUS_OK);
    assert_int_equal(pthread_create(&handler, NULL, interrupt, &vector), 0);
    while (!get(&in_handler)) {
    }
    assert_int_equal(pthread_create(&helper, NULL, let_it_go, NULL), 0);
    vector_free(&cpus[1], vector);
    assert_int_equal(get(&in_handler), 0);
    (void)pthread_join(handler, NULL);
    (void)pthread_join(helper, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory),  cmocka_unit_test(test_each_has_its_own),
        cmocka_unit_test(test_late),       cmocka_unit_test(test_not_devices),
        cmocka_unit_test(test_free_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
