/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/pages.h"

#include "vmm/host/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PAGES_MAX 2048U
#define BASE      (1ULL << 20) /* so that a physical address is no host pointer */

static uint8_t pages[PAGES_MAX][PAGE_SIZE] __attribute__((aligned(4096)));
static bool used[PAGES_MAX];
static unsigned limit, used_count;

void fake_pages_reset(unsigned new_limit)
{
    memset(used, 0, sizeof(used));
    used_count = 0;
    limit = new_limit;
}

void fake_pages_limit(unsigned new_limit)
{
    limit = new_limit;
}

unsigned fake_pages_used(void)
{
    return used_count;
}

static bool is_free(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        if (used[i]) {
            return false;
        }
    }
    return true;
}

void *pool_allocate(uint64_t size, uint64_t align)
{
    unsigned count = (unsigned)(align_up(size, PAGE_SIZE) / PAGE_SIZE);

    assert_int_equal(align, PAGE_SIZE);
    for (unsigned i = 0; used_count + count <= limit && i + count <= PAGES_MAX; i++) {
        if (is_free(i, count)) {
            memset(&used[i], true, count);
            used_count += count;
            return memset(pages[i], 0, count * PAGE_SIZE);
        }
    }
    return NULL;
}

void *pool_allocate_table(void)
{
    return pool_allocate(PAGE_SIZE, PAGE_SIZE);
}

void pool_free(void *memory, uint64_t size)
{
    unsigned first = (unsigned)((uint8_t(*)[PAGE_SIZE])memory - pages);
    unsigned count = (unsigned)(align_up(size, PAGE_SIZE) / PAGE_SIZE);

    assert_true(first + count <= PAGES_MAX);
    for (unsigned i = first; i < first + count; i++) {
        assert_true(used[i]);
        used[i] = false;
    }
    memset(pages[first], 0xee, count * PAGE_SIZE);
    used_count -= count;
}

hpa_t pool_hpa(const void *memory)
{
    return hpa((uint64_t)((const uint8_t *)memory - &pages[0][0]) + BASE);
}

void *pool_pointer(hpa_t address)
{
    assert_in_range(address.raw, BASE, BASE + sizeof(pages) - 1);
    return &pages[0][0] + (address.raw - BASE);
}
