/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/map_physical.h"

#include "vmm/base/log.h"
#include "vmm/host/address_space.h"
#include "vmm/host/paging.h"
#include "vmm/host/spinlock.h"

static const unsigned kind_rights[] = {
    [MAP_READ_ONLY] = PAGING_READ,
    [MAP_READ_WRITE] = PAGING_WRITE,
    [MAP_DEVICE] = PAGING_WRITE | PAGING_UNCACHED,
    [MAP_FRAMEBUFFER] = PAGING_WRITE | PAGING_COMBINING,
};

static struct spinlock lock = SPINLOCK(LOCK_WINDOWS);
static uint64_t next = WINDOW_BASE;
static uint64_t physical_limit = 1ULL << 36; /* what every x86-64 CPU has */

void window_set_physical_bits(unsigned bits)
{
    physical_limit = 1ULL << (bits < 52 ? bits : 52);
}

/*
 * Addresses are given out once: a window that was released is never mapped again to something else,
 * so no other CPU needs to be told to flush it. 512 GiB of addresses outlast any use of them.
 */
static uint64_t window_take(uint64_t size, uint64_t base)
{
    spinlock_acquire(&lock);
    /* Large windows lie as their memory lies in its 2 MiB page, so that they can be mapped by such.
     */
    uint64_t skip = size >= PAGE_SIZE_2M ? (base - next) % PAGE_SIZE_2M : 0;
    uint64_t va = range_fits(next - WINDOW_BASE + skip, size, WINDOW_SIZE) ? next + skip : 0;

    next = va ? va + size : next;
    spinlock_release(&lock);
    return va;
}

void *map_physical(hpa_t base, uint64_t size, enum map_kind kind)
{
    if (size == 0 || !range_fits(base.raw, size, physical_limit)) {
        log_warn("memory: 0x%lx+0x%lx is beyond what this CPU can address", base.raw, size);
        return NULL;
    }
    uint64_t first = align_down(base.raw, PAGE_SIZE);
    uint64_t length = align_up(base.raw + size, PAGE_SIZE) - first;
    uint64_t va = window_take(length, first);

    if (!va || paging_map(va, hpa(first), length, kind_rights[kind]) != STATUS_OK) {
        log_warn("memory: no window for 0x%lx+0x%lx: %s", base.raw, size,
                 va ? "no page for tables" : "address space used up");
        return NULL;
    }
    return (void *)(va + base.raw - first);
}

void map_release(void *va, uint64_t size)
{
    uint64_t first = align_down((uint64_t)va, PAGE_SIZE);

    paging_unmap(first, align_up((uint64_t)va + size, PAGE_SIZE) - first);
}
