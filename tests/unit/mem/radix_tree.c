/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/mem/radix_tree.h"

#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define K4    PAGE_SIZE
#define M2    PAGE_SIZE_2M
#define G1    PAGE_SIZE_1G
#define PAGES 1500U

struct radix tree;
unsigned tree_kind;

static const struct radix_format formats[TREE_KINDS] = {
  /* AMD APM 2, 15.25.5: P, RW, US, A, D, PS; NX; PCD and PWT for uncached. */
    [TREE_NPT] = {.present = 1,
                  .table = 0x27,
                  .leaf = 0x05,
                  .write = 2,
                  .no_execute = 1ULL << 63,
                  .type = 0x18,
                  .uncached = 0x18,
                  .combining = 8,
                  .large = 0x80,
                  .accessed = 0x20,
                  .dirty = 0x40},
 /* Intel SDM 3, 29.3.2: R, W, X, memory type in bits 5:3, bit 7, A and D in bits 8 and 9. */
    [TREE_EPT] = {.present = 7,
                  .table = 7,
                  .leaf = 1,
                  .write = 2,
                  .execute = 4,
                  .type = 0x38,
                  .cached = 0x30,
                  .combining = 8,
                  .large = 0x80,
                  .accessed = 0x100,
                  .dirty = 0x200},
 /* Intel SDM 3, 4.5. */
    [TREE_OWN] = {.present = 1,
                  .table = 3,
                  .leaf = 1,
                  .write = 2,
                  .no_execute = 1ULL << 63,
                  .type = 0x18,
                  .uncached = 0x18,
                  .combining = 8,
                  .large = 0x80},
 /* VT-d 4.1, 9.8. */
    [TREE_VTD] = {.present = 3,        .table = 3, .read = 1, .write = 2, .large = 0x80              },
 /* AMD IOMMU 3.08, 2.2.3: the level of the next table in bits 11:9, IR and IW. */
    [TREE_AMDVI] = {.present = 1,
                  .table = 3ULL << 61 | 1,
                  .leaf = 1ULL << 60 | 1,
                  .read = 1ULL << 61,
                  .write = 1ULL << 62,
                  .next_shift = 9                   },
};

unsigned tree_as_kept(unsigned kind, unsigned rights)
{
    if (kind == TREE_VTD || kind == TREE_AMDVI) {
        return (rights & (RADIX_READ | RADIX_WRITE)) | RADIX_EXECUTE;
    }
    if (rights & RADIX_UNCACHED) {
        rights &= ~(unsigned)RADIX_COMBINING;
    }
    return rights | RADIX_READ;
}

void tree_begin(unsigned kind, bool giant_pages)
{
    fake_pages_reset(PAGES);
    fake_log_clear();
    tree_kind = kind;
    tree = (struct radix){
        .format = &formats[kind], .page_sizes = K4 | M2 | (giant_pages ? G1 : 0), .levels = 4};
    assert_int_equal(radix_init(&tree), STATUS_OK);
}

void tree_end(void)
{
    assert_int_equal(fake_pages_used(), tree.table_pages);
    radix_destroy(&tree);
    assert_int_equal(fake_pages_used(), 0);
    assert_int_equal(tree.root.raw, 0);
}

void tree_map(uint64_t at, uint64_t to, uint64_t size, unsigned rights)
{
    assert_int_equal(radix_map(&tree, at, hpa(to), size, rights, NULL), STATUS_OK);
}

void tree_unmap(uint64_t at, uint64_t size)
{
    assert_int_equal(radix_unmap(&tree, at, size, NULL), STATUS_OK);
}

void tree_expect(uint64_t at, uint64_t to, uint64_t page, unsigned rights)
{
    struct radix_page found;

    assert_int_equal(radix_lookup(&tree, at, &found), STATUS_OK);
    assert_int_equal(found.address.raw, to);
    assert_int_equal(found.size, page);
    assert_int_equal(found.rights, tree_as_kept(tree_kind, rights));
}

void tree_expect_nothing(uint64_t at)
{
    struct radix_page found;

    assert_int_equal(radix_lookup(&tree, at, &found), STATUS_NOT_FOUND);
}

unsigned tree_prune(uint64_t at, uint64_t size, bool merge)
{
    uint64_t *pruned[3]; /* fewer than there are */
    unsigned count, all = 0;

    while ((count = radix_prune(&tree, at, size, merge, pruned, ARRAY_SIZE(pruned))) > 0) {
        assert_in_range(count, 1, ARRAY_SIZE(pruned));
        radix_free(&tree, pruned, count);
        all += count;
    }
    return all;
}
