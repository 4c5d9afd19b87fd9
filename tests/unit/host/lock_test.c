/* SPDX-License-Identifier: BSD-2-Clause */
/* With PORTOLAN_CHECK_LOCKS: every pair of ranks in both orders. */
#include "tests/unit/fakes/cpu.h"
#include "vmm/base/guest_log.h"
#include "vmm/host/panic.h"
#include "vmm/host/spinlock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static jmp_buf panicked;

void panic(const char *fmt, ...)
{
    longjmp(panicked, 1);
}

/* Take OUTER, then INNER, and give both back. False: that is a panic. */
static bool nest(enum lock_rank outer, enum lock_rank inner)
{
    static struct spinlock first, second;

    spinlock_init(&first, outer);
    spinlock_init(&second, inner);
    spinlock_acquire(&first);
    if (setjmp(panicked) != 0) {
        spinlock_release(&first);
        return false;
    }
    spinlock_acquire(&second);
    spinlock_release(&second);
    spinlock_release(&first);
    return true;
}

static int setup(void **state)
{
    static struct guest_log guest;

    fake_cpu_acts_for(&guest); /* so that the CPU has its area */
    return 0;
}

static void test_pairs(void **state)
{
    for (unsigned outer = 1; outer < LOCK_RANKS; outer++) {
        for (unsigned inner = 1; inner < LOCK_RANKS; inner++) {
            bool good = outer < inner || (outer == inner && outer == LOCK_REGISTERS);

            assert_int_equal(nest((enum lock_rank)outer, (enum lock_rank)inner), good);
        }
    }
}

/* A lock in between that was given back does not matter; one without a rank always does. */
static void test_others(void **state)
{
    static struct spinlock pc = SPINLOCK(LOCK_PC), nameless;

    spinlock_acquire(&pc);
    assert_true(nest(LOCK_LOG, LOCK_LINE));
    assert_true(nest(LOCK_LOG, LOCK_LINE));
    spinlock_release(&pc);
    if (setjmp(panicked) == 0) {
        spinlock_acquire(&nameless);
        fail();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pairs, setup),
        cmocka_unit_test_setup(test_others, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
