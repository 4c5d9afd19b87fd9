/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/paging.h"

#include "vmm/host/flush.h"
#include "vmm/host/pool.h"
#include "vmm/host/spinlock.h"

#define ENTRY_PRESENT    (1ULL << 0)
#define ENTRY_WRITE      (1ULL << 1)
#define ENTRY_PWT        (1ULL << 3)
#define ENTRY_PCD        (1ULL << 4)
#define ENTRY_LARGE      (1ULL << 7)
#define ENTRY_NO_EXECUTE (1ULL << 63)
#define ENTRY_ADDRESS    0x000ffffffffff000ULL

#define LEVEL_TOP    3U
#define LEVEL_2M     1U
#define INDEX_BITS   9U
#define INDEX(va, l) ((va) >> (12 + INDEX_BITS * (l)) & 511U)

static struct spinlock lock = SPINLOCK(LOCK_PAGING);
static hpa_t root;
static uint64_t table_pages;

static uint64_t *table_new(void)
{
    uint64_t *table = pool_allocate_table();

    table_pages += table != NULL;
    return table;
}

enum status paging_init(void)
{
    table_pages = 0;
    uint64_t *table = table_new();

    if (!table) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    root = pool_hpa(table);
    return STATUS_OK;
}

hpa_t paging_root(void)
{
    return root;
}

uint64_t paging_table_pages(void)
{
    return table_pages;
}

static uint64_t *entry_table(uint64_t entry)
{
    return pool_pointer(hpa(entry & ENTRY_ADDRESS));
}

static uint64_t entry_flags(unsigned rights)
{
    return ENTRY_PRESENT | (rights & PAGING_WRITE ? ENTRY_WRITE : 0) |
           (rights & PAGING_EXECUTE ? 0 : ENTRY_NO_EXECUTE) |
           (rights & PAGING_UNCACHED ? ENTRY_PCD | ENTRY_PWT : 0) |
           (rights & PAGING_WRITE_COMBINING ? ENTRY_PWT : 0);
}

/* The entry for VA at LEVEL, with the tables above it made; NULL in *ENTRY's place is an error. */
static enum status entry_make(uint64_t va, unsigned level, uint64_t **entry)
{
    uint64_t *table = pool_pointer(root);

    for (unsigned at = LEVEL_TOP; at > level; at--) {
        uint64_t *slot = &table[INDEX(va, at)];

        if (*slot & ENTRY_LARGE) {
            return STATUS_NOTE(STATUS_CONFLICT);
        }
        if (!(*slot & ENTRY_PRESENT)) {
            uint64_t *next = table_new();

            if (!next) {
                return STATUS_NOTE(STATUS_NO_MEMORY);
            }
            *slot = pool_hpa(next).raw | ENTRY_PRESENT | ENTRY_WRITE;
        }
        table = entry_table(*slot);
    }
    *entry = &table[INDEX(va, level)];
    return **entry & ENTRY_PRESENT ? STATUS_NOTE(STATUS_CONFLICT) : STATUS_OK;
}

static enum status map_one(uint64_t va, hpa_t base, unsigned level, uint64_t flags)
{
    uint64_t *entry = NULL;
    enum status status = entry_make(va, level, &entry);

    if (status == STATUS_OK && entry) {
        *entry = base.raw | flags | (level ? ENTRY_LARGE : 0);
    }
    return status;
}

enum status paging_map(uint64_t va, hpa_t base, uint64_t size, unsigned rights)
{
    enum status status = STATUS_OK;

    if ((rights & PAGING_WRITE) && (rights & PAGING_EXECUTE)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if ((va | base.raw | size) & (PAGE_SIZE - 1)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    spinlock_acquire(&lock);
    for (uint64_t done = 0; done < size && status == STATUS_OK;) {
        bool large =
            ((va + done) | (base.raw + done)) % PAGE_SIZE_2M == 0 && size - done >= PAGE_SIZE_2M;

        status =
            map_one(va + done, hpa(base.raw + done), large ? LEVEL_2M : 0, entry_flags(rights));
        done += large ? PAGE_SIZE_2M : PAGE_SIZE;
    }
    spinlock_release(&lock);
    return status;
}

/* The entry that maps VA, and its level; NULL if none does. */
static uint64_t *entry_find(uint64_t va, unsigned *level)
{
    uint64_t *table = pool_pointer(root);

    for (unsigned at = LEVEL_TOP;; at--) {
        uint64_t *entry = &table[INDEX(va, at)];

        *level = at;
        if (!(*entry & ENTRY_PRESENT)) {
            return NULL;
        }
        if (at == 0 || (*entry & ENTRY_LARGE)) {
            return entry;
        }
        table = entry_table(*entry);
    }
}

void paging_unmap(uint64_t va, uint64_t size)
{
    spinlock_acquire(&lock);
    for (uint64_t done = 0; done < size;) {
        unsigned level;
        uint64_t *entry = entry_find(va + done, &level);

        if (entry) {
            *entry = 0;
            flush_local_page(va + done);
        }
        done += entry && level == LEVEL_2M ? PAGE_SIZE_2M : PAGE_SIZE;
    }
    spinlock_release(&lock);
}

enum status paging_lookup(uint64_t va, hpa_t *address, unsigned *rights)
{
    unsigned level;
    const uint64_t *entry = entry_find(va, &level);

    if (!entry) {
        return STATUS_NOT_FOUND;
    }
    uint64_t size = PAGE_SIZE << (INDEX_BITS * level);

    *address = hpa((*entry & ENTRY_ADDRESS & ~(size - 1)) + va % size);
    if (rights) {
        bool uncached = (*entry & ENTRY_PCD) && (*entry & ENTRY_PWT);

        *rights = (*entry & ENTRY_WRITE ? PAGING_WRITE : 0U) |
                  (*entry & ENTRY_NO_EXECUTE ? 0U : PAGING_EXECUTE) |
                  (uncached ? PAGING_UNCACHED : 0U) |
                  (!uncached && (*entry & ENTRY_PWT) ? PAGING_WRITE_COMBINING : 0U);
    }
    return STATUS_OK;
}
