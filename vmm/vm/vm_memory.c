/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/vm_memory.h"

#include "vmm/host/direct.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/vm.h"

#define HOLE_END (1ULL << 32) /* RAM goes on there */

bool vm_memory_run(const struct vm *vm, unsigned i, struct ram_run *run)
{
    const struct ram *ram = &vm->ram;
    unsigned below = ram->run_count;

    if (vm->video.raw != 0) {
        for (below = 0; below < ram->run_count && ram->run[below].at.raw < HOLE_END; below++) {
        }
        if (i == below) {
            *run = (struct ram_run){gpa(VM_MEMORY_SCREEN), vm->video, VGA_MEMORY_SIZE};
            return true;
        }
    }
    i -= i > below ? 1 : 0;
    if (i >= ram->run_count) {
        return false;
    }
    *run = ram->run[i];
    return true;
}

static bool is_screen(const struct vm *vm, uint64_t at, uint64_t size)
{
    return vm->video.raw != 0 && at >= VM_MEMORY_SCREEN &&
           range_fits(at - VM_MEMORY_SCREEN, size, VGA_MEMORY_SIZE);
}

void *vm_memory_pointer(const struct vm *vm, gpa_t at, uint64_t size)
{
    return is_screen(vm, at.raw, size)
               ? direct_view(hpa(vm->video.raw + (at.raw - VM_MEMORY_SCREEN)))
               : ram_pointer(&vm->ram, at, size);
}

void vm_memory_collect(struct vm *vm, uint64_t first, uint32_t words, uint64_t *bitmap)
{
    (void)dirty_collect(vm, first, (uint64_t)words * RAM_MARKS_WORD, bitmap);
    for (uint32_t i = 0; i < words; i++) {
        if (is_screen(vm, first * PAGE_SIZE + i * RAM_MARKS_BYTES, RAM_MARKS_BYTES)) {
            bitmap[i] = UINT64_MAX;
        }
    }
}
