/* SPDX-License-Identifier: BSD-2-Clause */
/* A page that is as it was is known; one that differs in a bit, anywhere, is not taken for it. */
#include "guest/agent/page_sum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PAGES 3U

static void every_bit_counts(void **state)
{
    static uint8_t page[PAGE_SIZE];
    struct page_sums sums;

    (void)state;
    assert_true(page_sums_begin(&sums, PAGES));
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        page[i] = (uint8_t)(i * 7);
    }
    (void)page_sums_update(&sums, 1, page);
    assert_false(page_sums_update(&sums, 1, page));
    for (unsigned bit = 0; bit < PAGE_SIZE * 8; bit++) {
        page[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_true(page_sums_update(&sums, 1, page));
        assert_false(page_sums_update(&sums, 1, page));
        page[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_true(page_sums_update(&sums, 1, page));
    }
    /* Each page has its own. */
    assert_true(page_sums_update(&sums, 2, page));
    memset(page, 0, sizeof(page));
    assert_true(page_sums_update(&sums, 2, page));
    assert_true(page_sums_update(&sums, 1, page));
    assert_false(page_sums_update(&sums, 2, page));
    page_sums_end(&sums);
}

/* Two moves do not have the same key: what is known of one helps nobody with the other. */
static void keys_differ(void **state)
{
    static uint8_t page[PAGE_SIZE] = {1};
    struct page_sums one, other;

    (void)state;
    assert_true(page_sums_begin(&one, PAGES));
    assert_true(page_sums_begin(&other, PAGES));
    (void)page_sums_update(&one, 0, page);
    (void)page_sums_update(&other, 0, page);
    assert_memory_not_equal(one.sum[0], other.sum[0], PAGE_SUM);
    page_sums_end(&one);
    page_sums_end(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(keys_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
