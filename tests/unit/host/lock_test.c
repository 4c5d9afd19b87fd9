/* SPDX-License-Identifier: BSD-2-Clause */
/* With PORTOLAN_CHECK_LOCKS: every pair of ranks in both orders, and each with interrupts on and
 * off. */
#include "tests/unit/fakes/cpu.h"
#include "vmm/base/guest_log.h"
#include "vmm/base/x86.h"
#include "vmm/host/irq.h"
#include "vmm/host/panic.h"
#include "vmm/host/spinlock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static jmp_buf panicked;
static uint64_t rflags;

uint64_t irq_save(void)
{
    uint64_t before = rflags;

    rflags = 0;
    return before;
}

void irq_restore(uint64_t flags)
{
    rflags |= flags & RFLAGS_IF;
}

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
    rflags = 0;
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

static bool take(enum lock_rank rank)
{
    static struct spinlock lock;

    spinlock_init(&lock, rank);
    if (setjmp(panicked) != 0) {
        return false;
    }
    spinlock_acquire(&lock);
    spinlock_release(&lock);
    return true;
}

/* Of several functions' registers, the first given back leaves the others held. */
static void test_registers(void **state)
{
    static struct spinlock first = SPINLOCK(LOCK_REGISTERS), second = SPINLOCK(LOCK_REGISTERS);

    spinlock_acquire(&first);
    spinlock_acquire(&second);
    spinlock_release(&second);
    assert_false(take(LOCK_FILES));
    assert_true(take(LOCK_REGISTERS));
    assert_false(take(LOCK_FILES));
    spinlock_release(&first);
    assert_true(take(LOCK_FILES));
}

/* What handlers take, and what must not wait for one, is held with interrupts off. */
static void test_interrupts(void **state)
{
    for (unsigned rank = 1; rank < LOCK_RANKS; rank++) {
        bool any = rank < LOCK_FAULTS || (rank > LOCK_VECTORS && rank < LOCK_INTERRUPTS);

        rflags = RFLAGS_IF;
        assert_int_equal(take((enum lock_rank)rank), any);
        assert_int_equal(rflags, RFLAGS_IF);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pairs, setup),
        cmocka_unit_test_setup(test_others, setup),
        cmocka_unit_test_setup(test_interrupts, setup),
        cmocka_unit_test_setup(test_registers, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
