/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/service.h"

#include "vmm/host/pool.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_memory.h"

#include <string.h>

#define RINGS_SIZE (2UL * PORTAL_RING)

enum status service_create(struct vm *vm)
{
    if (!vm->config->service) {
        return STATUS_OK;
    }
    vm->rings = pool_allocate(RINGS_SIZE, PAGE_SIZE);
    return vm->rings ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

void service_destroy(struct vm *vm)
{
    if (vm->rings) {
        pool_free(vm->rings, RINGS_SIZE);
    }
}

void service_begin(struct vm *vm, struct pc_config *config)
{
    if (vm->rings) {
        memset(vm->rings, 0, RINGS_SIZE);
        config->portal = true;
    }
}

/*
 * True: there was something. The window has no pages but of 4 KiB, so no table is needed. A larger
 * one is there if the guest has put something else in the same place; without memory to split it it
 * stays, but nothing behind it does.
 */
static bool unmap(struct vm *vm, uint64_t at, uint64_t size)
{
    bool any = false;

    for (uint64_t step = 0; at != 0 && size > 0; at += step, size -= step) {
        uint64_t left = PAGE_SIZE_2M - at % PAGE_SIZE_2M, bytes = 0;

        step = left < size ? left : size;
        (void)radix_unmap(&vm->nested, at, step, &bytes);
        any |= bytes != 0;
    }
    return any;
}

void service_settle(struct vm *vm)
{
    const struct portal_function_state *state = &vm->pc.portal.state;
    bool moved = false;

    if (!vm->rings) {
        return;
    }
    spinlock_acquire(&vm->nested_lock);
    uint64_t end = vm->ram.above_4g == 0 ? 0 : (1ULL << 32) + vm->ram.above_4g;
    uint64_t rings = portal_function_base(state, PORTAL_BAR_RINGS, end);
    uint64_t window = portal_function_base(state, PORTAL_BAR_WINDOW, end);

    if (window != vm->window_at) {
        moved |= unmap(vm, vm->window_at, PORTAL_WINDOW);
        vm->window_at = window;
    }
    if (rings != vm->rings_at) {
        moved |= unmap(vm, vm->rings_at, RINGS_SIZE);
        if (rings != 0) { /* without memory for it the guest finds ones there */
            (void)radix_map(&vm->nested, rings, pool_hpa(vm->rings), RINGS_SIZE,
                            RADIX_READ | RADIX_WRITE, NULL);
        }
        vm->rings_at = rings;
    }
    spinlock_release(&vm->nested_lock);
    if (moved) {
        vm_flush(vm);
    }
}

void service_hide(struct vm *vm, uint64_t offset, uint64_t bytes)
{
    spinlock_acquire(&vm->nested_lock);
    if (vm->window_at != 0) {
        (void)unmap(vm, vm->window_at + offset, bytes);
    }
    spinlock_release(&vm->nested_lock);
    vm_flush_and_wait(vm); /* also if the guest has just moved the window away */
}

/* In pages of 4 KiB, so that each can be taken away without a table. */
static enum status map_run(struct vm *vm, uint64_t at, const struct ram_run *run, uint64_t from,
                           uint64_t size, unsigned rights)
{
    uint64_t sizes = vm->nested.page_sizes;
    hpa_t frames = hpa(run->frames.raw + (from - run->at.raw));

    vm->nested.page_sizes = PAGE_SIZE;
    enum status status = radix_map(&vm->nested, at, frames, size, rights, NULL);

    vm->nested.page_sizes = sizes;
    return status;
}

static enum status map_all(struct vm *vm, const struct vm *other, gpa_t address, uint64_t bytes,
                           uint64_t at, unsigned rights)
{
    enum status status = STATUS_OK;
    struct ram_run run;

    for (unsigned i = 0; status == STATUS_OK && vm_memory_run(other, i, &run); i++) {
        uint64_t from = address.raw > run.at.raw ? address.raw : run.at.raw;
        uint64_t end = address.raw + bytes, run_end = run.at.raw + run.size;

        end = end < run_end ? end : run_end;
        if (from < end) {
            status = map_run(vm, at + (from - address.raw), &run, from, end - from, rights);
        }
    }
    return status;
}

enum status service_show(struct vm *vm, const struct vm *other, gpa_t address, uint64_t bytes,
                         uint64_t offset, bool writable)
{
    enum status status = STATUS_STATE;

    service_hide(vm, offset, bytes);
    spinlock_acquire(&vm->nested_lock);
    /* Who stops it says so first, then takes this lock. */
    if (vm->window_at != 0 && __atomic_load_n(&other->exposed, __ATOMIC_SEQ_CST)) {
        status = map_all(vm, other, address, bytes, vm->window_at + offset,
                         writable ? RADIX_READ | RADIX_WRITE : RADIX_READ);
    }
    spinlock_release(&vm->nested_lock);
    if (status != STATUS_OK) {
        service_hide(vm, offset, bytes);
    }
    return status;
}
