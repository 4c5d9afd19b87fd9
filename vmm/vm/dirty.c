/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/dirty.h"

#include "vmm/host/direct.h"
#include "vmm/host/time.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/vm.h"

#include <string.h>

#define STEP          (64ULL << 20) /* bytes for which the lock is held at a time */
#define MERGE_STEP    PAGE_SIZE_1G
#define PRUNE_AT_ONCE 64U
#define EXITS_NS      500000000U /* more than any exit takes that does not wait for a device */

#define RIGHTS_READ  ((unsigned)RADIX_READ | RADIX_EXECUTE)
#define RIGHTS_WRITE (RIGHTS_READ | RADIX_WRITE)

static uint64_t map_size(const struct ram *ram)
{
    uint64_t pages = (ram->below_4g + ram->above_4g) / PAGE_SIZE;

    return align_up(pages / 8, PAGE_SIZE);
}

/* Frames, not the pool's memory: for a large VM it is more than the pool gives out in one piece. */
enum status dirty_create(struct vm *vm)
{
    struct ram *ram = &vm->ram;
    uint64_t size = map_size(ram);
    hpa_t frames;
    enum status status = direct_take(size, PAGE_SIZE, &frames);

    if (status == STATUS_OK) {
        ram->marks = memset(direct_view(frames), 0, size);
    }
    return status;
}

void dirty_destroy(struct vm *vm)
{
    if (vm->ram.marks) {
        direct_give(hpa((uint64_t)vm->ram.marks - DIRECT_BASE), map_size(&vm->ram));
    }
}

/*
 * From the return on none is at an exit any more that began before, either. False: one is at it for
 * so long that it waits for a device, or for a vCPU that does. That may be this CPU's: an exit that
 * waits goes on with the CPU's service, and so perhaps with the call of this.
 */
static bool flush_exits(struct vm *vm)
{
    uint64_t until = time_now_ns() + EXITS_NS;

    vm_flush(vm);
    uint32_t wanted = __atomic_load_n(&vm->nested_generation, __ATOMIC_SEQ_CST);

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        while (!vcpu_has_passed(vm->vcpu[i], wanted)) {
            if (time_now_ns() >= until) {
                return false;
            }
            cpu_relax();
        }
    }
    return true;
}

/* Change the rights of all RAM, a step at a time. */
static void protect_all(struct vm *vm, unsigned rights)
{
    for (unsigned i = 0; i < vm->ram.run_count; i++) {
        uint64_t at = vm->ram.run[i].at.raw, end = at + vm->ram.run[i].size, step;

        for (; at < end; at += step) {
            step = end - at < STEP ? end - at : STEP;
            if (vm->rom_size != 0 && at == 0) { /* behind that may be a ROM, not RAM */
                step = PC_LOW_BASE;
            }
            spinlock_acquire(&vm->nested_lock);
            /* Whole pages: no table is needed, so it cannot fail. */
            (void)radix_protect(&vm->nested, at, step, rights, true);
            spinlock_release(&vm->nested_lock);
            step += at + step == PC_LOW_BASE ? PC_LOW_END - PC_LOW_BASE : 0;
        }
    }
}

bool dirty_claim(struct vm *vm)
{
    return !__atomic_exchange_n(&vm->dirty_claimed, true, __ATOMIC_ACQUIRE);
}

void dirty_release(struct vm *vm)
{
    __atomic_store_n(&vm->dirty_claimed, false, __ATOMIC_RELEASE);
}

enum status dirty_start(struct vm *vm)
{
    if (vm->ram.tracked) {
        return STATUS_STATE;
    }
    memset(vm->ram.marks, 0, map_size(&vm->ram));
    vm->no_split = false;
    vm->ram.logged = backend_offers.logs_writes;
    __atomic_store_n(&vm->ram.tracked, true, __ATOMIC_SEQ_CST);
    protect_all(vm, RIGHTS_READ);
    low_memory_settle(vm, true);
    if (!flush_exits(vm)) {
        dirty_stop(vm);
        return STATUS_STATE;
    }
    return STATUS_OK;
}

/* Large pages for small ones; tables are given back when no CPU can know them any more. */
static void merge(struct vm *vm, uint64_t at, uint64_t size)
{
    uint64_t *pruned[PRUNE_AT_ONCE];
    unsigned count;

    do {
        spinlock_acquire(&vm->nested_lock);
        count = radix_prune(&vm->nested, at, size, true, pruned, PRUNE_AT_ONCE);
        spinlock_release(&vm->nested_lock);
        if (count > 0) {
            vm_flush_and_wait(vm);
            radix_free(&vm->nested, pruned, count);
        }
    } while (count > 0);
}

void dirty_stop(struct vm *vm)
{
    if (!vm->ram.tracked) {
        return;
    }
    /* First of all no CPU logs any more: one that does sets bits in entries, and those of a table
     * that are not alike do not make a large page. */
    __atomic_store_n(&vm->ram.tracked, false, __ATOMIC_SEQ_CST);
    vm_flush_and_wait(vm);
    protect_all(vm, RIGHTS_WRITE);
    low_memory_settle(vm, true);
    vm_flush_and_wait(vm);
    for (unsigned i = 0; i < vm->ram.run_count; i++) {
        const struct ram_run *run = &vm->ram.run[i];

        for (uint64_t done = 0; done < run->size; done += MERGE_STEP) {
            uint64_t left = run->size - done;

            merge(vm, run->at.raw + done, left < MERGE_STEP ? left : MERGE_STEP);
        }
    }
}

/* Where the CPU logs, an entry that is made anew is enough; not of a large page, nor of a ROM. */
static unsigned rights_again(struct vm *vm, uint64_t page)
{
    struct radix_page there;

    return vm->ram.logged && low_memory_may_write(vm, page) &&
                   radix_lookup(&vm->nested, page, &there) == STATUS_OK && there.size == PAGE_SIZE
               ? RIGHTS_WRITE
               : RIGHTS_READ;
}

/* Take a word, and protect its pages again, both in one step. */
static uint64_t collect_word(struct vm *vm, uint64_t page)
{
    uint64_t *word = &vm->ram.marks[ram_bit(&vm->ram, page * PAGE_SIZE) / RAM_MARKS_WORD];

    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0) {
        return 0;
    }
    spinlock_acquire(&vm->nested_lock);
    uint64_t bits = __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);

    for (uint64_t left = vm->ram.tracked ? bits : 0; left != 0; left &= left - 1) {
        uint64_t at = (page + (unsigned)__builtin_ctzll(left)) * PAGE_SIZE;

        (void)radix_protect(&vm->nested, at, PAGE_SIZE, rights_again(vm, at), true);
    }
    spinlock_release(&vm->nested_lock);
    return bits;
}

bool dirty_collect(struct vm *vm, uint64_t first, uint64_t pages, uint64_t *bitmap)
{
    bool any = false;

    if (vm->ram.tracked && vm->ram.logged) {
        vm_flush_and_wait(vm); /* what has been logged is marked when a vCPU leaves its guest */
    }
    for (uint64_t i = 0; i < pages / RAM_MARKS_WORD; i++) {
        uint64_t page = first + i * RAM_MARKS_WORD;

        bitmap[i] = ram_holds(&vm->ram, page * PAGE_SIZE, RAM_MARKS_WORD * PAGE_SIZE)
                        ? collect_word(vm, page)
                        : 0;
        any = any || bitmap[i] != 0;
    }
    if (any) {
        vm_flush_and_wait(vm);
    }
    return any;
}

/* PAGE has been split off. Where the CPU logs, those beside it need no fault; below 2 MiB there are
 * ROMs. */
static void allow_logged(struct vm *vm, uint64_t page)
{
    uint64_t at = align_down(page, PAGE_SIZE_2M);

    if (vm->ram.logged && at != 0 && ram_holds(&vm->ram, at, PAGE_SIZE_2M)) {
        (void)radix_protect(&vm->nested, at, PAGE_SIZE_2M, RIGHTS_WRITE, true);
    }
}

/* Let the guest write to PAGE, which LARGE holds; the lock is held. */
static void allow(struct vm *vm, uint64_t page, struct radix_page *large)
{
    if (!vm->no_split &&
        radix_protect(&vm->nested, page, PAGE_SIZE, RIGHTS_WRITE, false) == STATUS_OK) {
        ram_mark(&vm->ram, gpa(page), PAGE_SIZE);
        allow_logged(vm, page);
        return;
    }
    /* No memory to split it, as the log says, once: all of it is written, for what we know. */
    vm->no_split = true;
    (void)radix_lookup(&vm->nested, page, large); /* half of the way it was split perhaps */
    (void)radix_protect(&vm->nested, page, PAGE_SIZE, RIGHTS_WRITE, true);
    ram_mark(&vm->ram, gpa(align_down(page, large->size)), large->size);
}

/* Not only while it is tracked: a CPU may have seen the page protected just before that ended. */
bool dirty_fault(struct vcpu *vcpu, gpa_t at)
{
    struct vm *vm = vcpu->vm;
    uint64_t page = align_down(at.raw, PAGE_SIZE);
    struct radix_page large;
    bool allowed;

    if (!ram_holds(&vm->ram, page, PAGE_SIZE)) {
        return false;
    }
    spinlock_acquire(&vm->nested_lock);
    allowed = low_memory_may_write(vm, page);
    if (!allowed) {
        /* it is read-only, whether tracked or not */
    } else if (radix_lookup(&vm->nested, page, &large) != STATUS_OK ||
               (large.rights & RADIX_WRITE)) {
        backend->flush(vcpu); /* its CPU knows the page as it was: it would fault again */
    } else {
        allow(vm, page, &large);
    }
    spinlock_release(&vm->nested_lock);
    return allowed;
}
