/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/paging.h"

#include "vmm/host/spinlock.h"

#define VA_BITS 48U

static const struct radix_format format = {
    .present = 1,
    .table = 0x03,     /* P, RW */
    .leaf = 0x01,      /* P */
    .write = 0x02,     /* RW */
    .type = 0x18,      /* PWT and PCD: an entry of PAGING_PAT */
    .uncached = 0x18,  /* 3 */
    .combining = 0x08, /* 1 */
    .accessed = 0x20,
    .dirty = 0x40,
    .large = 0x80,
    .no_execute = 1ULL << 63,
};

static struct spinlock lock = SPINLOCK(LOCK_PAGING);
static struct radix tables;

/* A canonical address without its sign. */
static uint64_t in_tree(uint64_t va)
{
    return va & ((1ULL << VA_BITS) - 1);
}

enum status paging_init(void)
{
    tables = (struct radix){
        .format = &format, .page_sizes = PAGE_SIZE | PAGE_SIZE_2M, .levels = 4, .is_own = true};
    return radix_init(&tables);
}

hpa_t paging_root(void)
{
    return tables.root;
}

uint64_t paging_table_pages(void)
{
    return tables.table_pages;
}

enum status paging_map(uint64_t va, hpa_t base, uint64_t size, unsigned rights)
{
    if (((rights & PAGING_WRITE) && (rights & PAGING_EXECUTE)) ||
        (va | base.raw | size) % PAGE_SIZE != 0) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    spinlock_acquire(&lock);
    enum status status = radix_maps_any(&tables, in_tree(va), size)
                             ? STATUS_NOTE(STATUS_CONFLICT)
                             : radix_map(&tables, in_tree(va), base, size, rights, NULL);
    spinlock_release(&lock);
    return status;
}

void paging_unmap(uint64_t va, uint64_t size)
{
    struct radix_page page;

    spinlock_acquire(&lock);
    for (uint64_t done = 0, step; done < size; done += step) {
        step = PAGE_SIZE;
        if (radix_lookup(&tables, in_tree(va + done), &page) == STATUS_OK) {
            step = page.size - (va + done) % page.size;
            step = step < size - done ? step : size - done;
            if (radix_unmap(&tables, in_tree(va + done), step, NULL) == STATUS_OK) {
                flush_local_page(va + done);
            }
        }
    }
    spinlock_release(&lock);
}
