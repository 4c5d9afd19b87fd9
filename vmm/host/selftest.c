/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/selftest.h"

#include "vmm/base/types.h"
#include "vmm/host/panic.h"
static volatile bool panic_faults;

bool selftest_panic_in_panic(void)
{
    bool faults = panic_faults;

    panic_faults = false;
    return faults;
}

static __attribute__((noinline)) void selftest_read_null(void)
{
    uint64_t value;

    /* In assembly: the compiler knows that nothing can be there. */
    __asm__ volatile("movq 8, %0" : "=r"(value));
}

static __attribute__((noinline)) void selftest_write_text(void)
{
    *(volatile uint8_t *)(uint64_t)&selftest_read_null = 0xcc;
}

static __attribute__((noinline)) void selftest_execute_data(void)
{
    static uint8_t code[] = {0xc3}; /* ret */

    ((void (*)(void))(uint64_t)code)();
}

static __attribute__((noinline)) void selftest_divide(void)
{
    uint32_t low = 1, high = 0;

    __asm__ volatile("divl %2" : "+a"(low), "+d"(high) : "r"(0U));
}

static __attribute__((noinline)) void selftest_smash_stack(void)
{
    char buffer[16];
    volatile char *at = buffer;

    for (unsigned i = 0; i < 40; i++) {
        at[i] = 'A';
    }
}

/* Uses up the stack by pushes, as a recursion would. */
static __attribute__((noinline)) void selftest_overflow_stack(void)
{
    __asm__ volatile("1: pushq $0\n\tjmp 1b");
}

static __attribute__((noinline)) void selftest_panic(void)
{
    panic("a panic on demand");
}

static __attribute__((noinline)) void selftest_panic_twice(void)
{
    panic_faults = true;
    panic("a panic that faults on demand");
}

static void (*const faults[])(void) = {
    [SELFTEST_NULL_READ] = selftest_read_null,
    [SELFTEST_WRITE_TEXT] = selftest_write_text,
    [SELFTEST_EXEC_DATA] = selftest_execute_data,
    [SELFTEST_STACK_OVERFLOW] = selftest_overflow_stack,
    [SELFTEST_STACK_SMASH] = selftest_smash_stack,
    [SELFTEST_DIVIDE] = selftest_divide,
    [SELFTEST_PANIC] = selftest_panic,
    [SELFTEST_PANIC_IN_PANIC] = selftest_panic_twice,
};

void selftest_fault(enum selftest_fault fault)
{
    if (fault != SELFTEST_NONE) {
        faults[fault]();
    }
}
