/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/video.h"

#include "vmm/host/direct.h"
#include "vmm/host/timer.h"
#include "vmm/vm/input.h"
#include "vmm/vm/vm.h"

#include <string.h>

#define CLEAR_STEP (2U << 20) /* bytes between two looks at CPU 0's service */

_Static_assert(CONFIG_VGA_MEMORY == VGA_MEMORY_SIZE, "what a configuration counts is taken");

enum status video_create(struct vm *vm)
{
    return vm->config->vga ? direct_take(VGA_MEMORY_SIZE, PAGE_SIZE_2M, &vm->video) : STATUS_OK;
}

void video_destroy(struct vm *vm)
{
    if (vm->video.raw != 0) {
        direct_give(vm->video, VGA_MEMORY_SIZE);
    }
}

enum status video_begin(struct vm *vm, struct pc_config *config)
{
    if (vm->video.raw == 0) {
        return STATUS_OK;
    }
    for (uint32_t done = 0; done < VGA_MEMORY_SIZE; done += CLEAR_STEP) {
        memset(direct_view(vm->video) + done, 0, CLEAR_STEP);
        timer_service();
    }
    config->screen = direct_view(vm->video);
    config->mouse = true;
    struct load_file rom;
    enum status status = input_rom(vm->config, VM_VGA_ROM, &rom);

    config->screen_rom = rom.data;
    config->screen_rom_size = (uint32_t)rom.size;
    return status;
}

void video_settle(struct vm *vm)
{
    if (vm->video.raw == 0) {
        return;
    }
    spinlock_acquire(&vm->nested_lock);
    uint64_t wanted = vga_frame_base(&vm->pc.vga), was = vm->video_at;

    if (wanted != was) {
        if (was != 0) { /* whole pages: no table is needed */
            (void)radix_unmap(&vm->nested, was, VGA_MEMORY_SIZE, NULL);
        }
        /* What no memory is left for stays trapped, and works, if slowly. */
        if (wanted != 0) {
            (void)radix_map(&vm->nested, wanted, vm->video, VGA_MEMORY_SIZE,
                            RADIX_READ | RADIX_WRITE | RADIX_EXECUTE, NULL);
        }
        vm->video_at = wanted;
    }
    spinlock_release(&vm->nested_lock);
    if (wanted != was) {
        vm_flush(vm);
    }
}
