/* SPDX-License-Identifier: BSD-2-Clause */
/* What of vmm/host is pure: time's arithmetic, explanations, symbols, frame pointers, descriptors.
 */
#include "vmm/base/types.h"
#include "vmm/host/address_space.h"
#include "vmm/host/backtrace.h"
#include "vmm/host/cpuid.h"
#include "vmm/host/gdt.h"
#include "vmm/host/port_io.h"
#include "vmm/host/time.h"
#include "vmm/host/trap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Where the linker script puts the end of the code; here anywhere. */
const char core_text_end[1];

/* For time.c, of which only the arithmetic is used here. */
struct cpuid cpuid_read(uint32_t leaf, uint32_t subleaf)
{
    return (struct cpuid){0};
}

uint32_t port_read(uint16_t port, unsigned width)
{
    return 0;
}

void port_write(uint16_t port, unsigned width, uint32_t value) {}

static void test_rates(void **state)
{
    assert_int_equal(time_rate_khz(50000000, 71590, 3579545), 2500031); /* 2.5 GHz over 20 ms */
    assert_int_equal(time_rate_khz(2400000000, 1, 1), 2400000);
    assert_int_equal(time_rate_khz(50000000, 0, 3579545), 0);
    assert_int_equal(time_rate_khz(UINT64_MAX, 10, 3579545), 0); /* would overflow */
    assert_int_equal(time_rate_khz(99999, 1, 1000), 0);          /* below 100 MHz */
    assert_int_equal(time_rate_khz(100000001, 1, 1000000), 0);   /* above 100 GHz */
}

static void test_scale(void **state)
{
    assert_int_equal(time_scale(0, 5, 3), 0);
    assert_int_equal(time_scale(10, 5, 3), 16);
    /* A year of a 5 GHz TSC, in nanoseconds: the product alone has more than 64 bits. */
    uint64_t year = 365ULL * 86400 * 5000000000;

    assert_int_equal(time_scale(year, 1000000, 5000000), 365ULL * 86400 * 1000000000);
    assert_int_equal(time_scale(UINT64_MAX, 7, 7), UINT64_MAX);
}

static void expect_explained(uint64_t address, uint64_t error, const char *wanted)
{
    char text[200];

    trap_explain_page_fault(address, error, text, sizeof(text));
    assert_string_equal(text, wanted);
}

static void test_explanations(void **state)
{
    const uint64_t cpu2 = STACK_BASE + 2 * STACK_SLOTS * STACK_STRIDE;

    expect_explained(8, 0,
                     "read of 0x8: nothing is mapped there; it lies in a NULL pointer's page");
    expect_explained(
        cpu2 + STACK_STRIDE - STACK_SIZE - 8, 2,
        "write to 0xffffe00000043ff8: nothing is mapped there; it lies in the guard of CPU 2's "
        "main stack: stack overflow");
    expect_explained(cpu2 + STACK_NMI * STACK_STRIDE + STACK_STRIDE - 8, 3,
                     "write to 0xffffe00000057ff8: the page's rights forbid it; it lies in a page "
                     "of CPU 2's NMI "
                     "stack");
    expect_explained(
        CORE_BASE, 0x11,
        "execution at 0xffffffff80000000: the page's rights forbid it; it lies in the VMM's image");
    expect_explained(WINDOW_BASE, 9,
                     "read of 0xffffc00000000000: a reserved bit is set in the page tables; it "
                     "lies in the windows "
                     "of map_physical()");
    expect_explained(DIRECT_BASE + 0x1000, 0,
                     "read of 0xffff800000001000: nothing is mapped there; it lies in the direct "
                     "view: a frame that "
                     "the VMM does not own");
    expect_explained(0x123456, 0,
                     "read of 0x123456: nothing is mapped there; it lies in an address that the "
                     "VMM does not use");
    assert_string_equal(trap_name(14), "page fault");
    assert_string_equal(trap_name(15), "unexpected interrupt");
    assert_string_equal(trap_name(UINT64_MAX), "unexpected interrupt");
}

static void test_symbols(void **state)
{
    static const struct symbol table[] = {
        {0x100, 0},
        {0x180, 1},
        {0x200, 2}
    };

    assert_null(symbol_search(table, 3, 0x300, 0xff));
    assert_ptr_equal(symbol_search(table, 3, 0x300, 0x100), &table[0]);
    assert_ptr_equal(symbol_search(table, 3, 0x300, 0x17f), &table[0]);
    assert_ptr_equal(symbol_search(table, 3, 0x300, 0x180), &table[1]);
    assert_ptr_equal(symbol_search(table, 3, 0x300, 0x2ff), &table[2]);
    assert_null(symbol_search(table, 3, 0x300, 0x300));
    assert_null(symbol_search(table, 0, 0x300, 0x100));
}

static void test_symbol_names(void **state)
{
    /* "vm_", "a1"; "vm_" alone; what no name has; one that does not end. */
    static const uint16_t words[] = {22 * 1600 + 13 * 40 + 37, 1 * 1600 + 28 * 40,
                                     22 * 1600 + 13 * 40 + 37, 0, 39 * 1600};
    uint16_t endless[SYMBOL_NAME_MAX];
    char name[SYMBOL_NAME_MAX];

    symbol_name(words, name);
    assert_string_equal(name, "vm_a1");
    symbol_name(words + 2, name);
    assert_string_equal(name, "vm_");
    symbol_name(words + 4, name);
    assert_string_equal(name, "?");
    for (unsigned i = 0; i < SYMBOL_NAME_MAX; i++) {
        endless[i] = 1641;
    }
    symbol_name(endless, name);
    assert_int_equal(strlen(name), SYMBOL_NAME_MAX - 1);
}

static void test_frame_pointers(void **state)
{
    const uint64_t top = STACK_BASE + STACK_STRIDE;

    assert_true(backtrace_frame_ok(top - 16));
    assert_true(backtrace_frame_ok(top - STACK_SIZE));
    assert_false(backtrace_frame_ok(top - 8));              /* its return address would be beyond */
    assert_false(backtrace_frame_ok(top - STACK_SIZE - 8)); /* in the guard */
    assert_false(backtrace_frame_ok(top - 12));             /* not aligned */
    assert_false(backtrace_frame_ok(0));
    assert_false(backtrace_frame_ok(STACK_BASE - 8));
    assert_false(backtrace_frame_ok(STACK_BASE + (uint64_t)CPUS_MAX * STACK_SLOTS * STACK_STRIDE));
    assert_false(backtrace_frame_ok(UINT64_MAX & ~7ULL));
}

static void test_descriptors(void **state)
{
    struct gate gate = gate_build(0xffffffff81234567, IST_NMI);
    struct gdt gdt;

    assert_int_equal(gate.offset_low, 0x4567);
    assert_int_equal(gate.offset_middle, 0x8123);
    assert_int_equal(gate.offset_high, 0xffffffff);
    assert_int_equal(gate.selector, SELECTOR_CODE);
    assert_int_equal(gate.ist, 2);
    assert_int_equal(gate.type, 0x8e);
    gdt_build(&gdt, (const struct tss *)0xffff800012345678);
    assert_int_equal(gdt.entries[SELECTOR_CODE / 8] >> 53 & 1, 1); /* L: 64-bit */
    assert_int_equal(gdt.entries[3] & 0xffff, 103);
    assert_int_equal(gdt.entries[3] >> 16 & 0xffffff, 0x345678);
    assert_int_equal(gdt.entries[3] >> 40 & 0xff, 0x89);
    assert_int_equal(gdt.entries[3] >> 56, 0x12);
    assert_int_equal(gdt.entries[4], 0xffff8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_explanations), cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_symbol_names), cmocka_unit_test(test_frame_pointers),
        cmocka_unit_test(test_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
