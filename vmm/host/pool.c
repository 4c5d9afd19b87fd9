/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/pool.h"

#include "vmm/base/log.h"
#include "vmm/base/ranges.h"
#include "vmm/host/direct.h"
#include "vmm/host/frame.h"
#include "vmm/host/panic.h"
#include "vmm/host/spinlock.h"

#include <string.h>

/* Kept back for page tables: they are needed in order to grow. */
#define TABLE_RESERVE (16 * PAGE_SIZE)

static struct spinlock lock = SPINLOCK(LOCK_POOL);
static struct ranges pages;
static uint64_t offset; /* from physical to virtual: 0 on the loader's tables, then DIRECT_BASE */
static uint64_t total;
static hpa_t first;

static enum status pool_add(hpa_t base, uint64_t size)
{
    enum status status = ranges_add(&pages, base.raw, size);

    total += status == STATUS_OK ? size : 0;
    return status;
}

enum status pool_init(uint64_t bytes)
{
    hpa_t base;
    enum status status = frame_allocate(bytes, PAGE_SIZE_2M, FRAME_BELOW_4G, &base);

    pages.count = 0;
    total = offset = 0;
    first = base;
    return status == STATUS_OK ? pool_add(base, bytes) : status;
}

hpa_t pool_first(void)
{
    return first;
}

void pool_relocate(void)
{
    offset = DIRECT_BASE;
}

static enum status pool_take(uint64_t size, uint64_t align, uint64_t *base)
{
    spinlock_acquire(&lock);
    enum status status = ranges_take(&pages, size, align, 0, UINT64_MAX, base);
    spinlock_release(&lock);
    return status;
}

/* One more 2 MiB frame; the tables that map it come out of the reserve. */
static enum status pool_grow(void)
{
    hpa_t base;
    enum status status = direct_take(PAGE_SIZE_2M, PAGE_SIZE_2M, &base);

    if (status != STATUS_OK) {
        return status;
    }
    spinlock_acquire(&lock);
    status = pool_add(base, PAGE_SIZE_2M);
    spinlock_release(&lock);
    return status;
}

static void *pool_zeroed(uint64_t base, uint64_t size)
{
    return memset((void *)(base + offset), 0, size);
}

void *pool_allocate(uint64_t size, uint64_t align)
{
    uint64_t base;

    size = align_up(size, PAGE_SIZE);
    if (offset && size <= PAGE_SIZE_2M && pool_size() - pool_used() < size + TABLE_RESERVE) {
        (void)pool_grow(); /* if it fails, what is left may still do */
    }
    enum status status = pool_take(size, align, &base);

    if (status == STATUS_NOT_FOUND && offset && size <= PAGE_SIZE_2M && align <= PAGE_SIZE_2M &&
        pool_grow() == STATUS_OK) {
        status = pool_take(size, align, &base); /* there was enough, but in pieces */
    }
    if (status != STATUS_OK) {
        log_warn("memory: the VMM found no 0x%lx bytes for itself; give the VMs less memory", size);
        return NULL;
    }
    return pool_zeroed(base, size);
}

void *pool_allocate_table(void)
{
    uint64_t base;

    return pool_take(PAGE_SIZE, PAGE_SIZE, &base) == STATUS_OK ? pool_zeroed(base, PAGE_SIZE)
                                                               : NULL;
}

void pool_free(void *memory, uint64_t size)
{
    spinlock_acquire(&lock);
    enum status status = ranges_add(&pages, pool_hpa(memory).raw, align_up(size, PAGE_SIZE));
    spinlock_release(&lock);
    if (status != STATUS_OK) {
        panic("pool_free(%p, 0x%lx): %s", memory, size, status_name(status));
    }
}

hpa_t pool_hpa(const void *memory)
{
    return hpa((uint64_t)memory - offset);
}

void *pool_pointer(hpa_t address)
{
    return (void *)(address.raw + offset);
}

uint64_t pool_size(void)
{
    return total;
}

uint64_t pool_used(void)
{
    spinlock_acquire(&lock);
    uint64_t used = total - ranges_total(&pages);
    spinlock_release(&lock);
    return used;
}
