/* SPDX-License-Identifier: BSD-2-Clause */
/* Radix tables of all formats, against a list of 4 KiB pages. */
#include "tests/unit/emulate/random.h"
#include "tests/unit/mem/radix_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define K4 PAGE_SIZE
#define M2 PAGE_SIZE_2M
#define G1 PAGE_SIZE_1G

/*
 * The model: three stretches of guest memory where tables meet, as lists of 4 KiB pages. 0: nothing
 * there, else the host address, with the rights in its low bits.
 */
#define STRETCH_PAGES 2048U /* four pages of 2 MiB */
static const uint64_t stretches[] = {0, G1 - 4 * M2, (1ULL << 39) - 2 * M2};
static uint64_t model[ARRAY_SIZE(stretches)][STRETCH_PAGES];

static void check_model(void)
{
    for (unsigned s = 0; s < ARRAY_SIZE(stretches); s++) {
        for (unsigned i = 0; i < STRETCH_PAGES; i++) {
            uint64_t wanted = model[s][i], at = stretches[s] + i * K4;
            struct radix_page found;

            if (wanted == 0) {
                tree_expect_nothing(at);
                continue;
            }
            assert_int_equal(radix_lookup(&tree, at + 8, &found), STATUS_OK);
            assert_int_equal(found.address.raw, (wanted & ~0xfffULL) + 8);
            assert_int_equal(found.rights, tree_as_kept(tree_kind, wanted & 0xfff));
        }
    }
}

static void random_step(struct random *random)
{
    unsigned s = random_below(random, ARRAY_SIZE(stretches));
    unsigned first = random_below(random, STRETCH_PAGES);
    unsigned count = 1 + random_below(random, random_below(random, 2) ? 8 : STRETCH_PAGES - first);
    uint64_t to = G1 + (uint64_t)random_below(random, 1 << 20) * K4;
    unsigned rights = RADIX_READ | random_below(random, 32);

    if (random_below(random, 2)) { /* so that large pages fit */
        first &= ~511U;
        to &= ~(M2 - 1);
        count = 512 * (1 + random_below(random, 3));
    }
    count = first + count <= STRETCH_PAGES ? count : STRETCH_PAGES - first;
    if (random_below(random, 3) == 0) {
        tree_unmap(stretches[s] + first * K4, count * K4);
        memset(&model[s][first], 0, count * sizeof(model[s][0]));
        return;
    }
    tree_map(stretches[s] + first * K4, to, count * K4, rights);
    for (unsigned i = 0; i < count; i++) {
        model[s][first + i] = (to + i * K4) | rights;
    }
}

static void test_random(void **state)
{
    struct random random = {4096};

    for (unsigned format = 0; format < 2 * TREE_KINDS; format++) {
        tree_begin(format % TREE_KINDS, format / TREE_KINDS);
        memset(model, 0, sizeof(model));
        for (unsigned i = 0; i < 1000; i++) {
            random_step(&random);
            if (random_below(&random, 20) == 0) {
                (void)tree_prune(0, TREE_TOP, random_below(&random, 2));
            }
            if (i % 10 == 0) {
                check_model();
            }
        }
        check_model();
        assert_in_range(tree.table_pages, 4, 40);
        tree_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
