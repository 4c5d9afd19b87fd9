/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/mem/fake_pool.h"

#include "vmm/host/paging.h"
#include "vmm/host/pool.h"

#include <string.h>

#define PAGES_MAX 256U

static uint8_t pages[PAGES_MAX][PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned used, limit;
static unsigned flushes;

void fake_pool_reset(unsigned page_limit)
{
    used = 0;
    limit = page_limit < PAGES_MAX ? page_limit : PAGES_MAX;
    flushes = 0;
}

unsigned fake_flush_count(void)
{
    return flushes;
}

void *pool_allocate_table(void)
{
    return used < limit ? memset(pages[used++], 0, PAGE_SIZE) : NULL;
}

/* Those two are for tables of others, and never called. */
void *pool_allocate(uint64_t size, uint64_t align)
{
    return NULL;
}

void pool_free(void *memory, uint64_t size) {}

/* Physical addresses are offsets in PAGES, from a megabyte on: page tables hold no host pointers.
 */
hpa_t pool_hpa(const void *memory)
{
    return hpa((uint64_t)((const uint8_t *)memory - &pages[0][0]) + (1UL << 20));
}

void *pool_pointer(hpa_t address)
{
    return &pages[0][0] + (address.raw - (1UL << 20));
}

void flush_local_page(uint64_t va)
{
    flushes++;
}
