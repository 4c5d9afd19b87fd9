/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/video.h"

#include "vmm/base/log.h"
#include "vmm/host/address_space.h"
#include "vmm/host/frame.h"
#include "vmm/host/paging.h"
#include "vmm/host/timer.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

#include <string.h>

#define CLEAR_STEP (2U << 20) /* bytes between two looks at CPU 0's service */
#define ROM_MARK   0xaa55U    /* an option ROM begins with these two bytes */

_Static_assert(CONFIG_VGA_MEMORY == VGA_MEMORY_SIZE, "what a configuration counts is taken");

static void *view(const struct vm *vm)
{
    return (void *)(DIRECT_BASE + vm->video.raw);
}

enum status video_create(struct vm *vm)
{
    hpa_t frames;

    if (!vm->config->vga) {
        return STATUS_OK;
    }
    enum status status = frame_allocate(VGA_MEMORY_SIZE, PAGE_SIZE_2M, FRAME_ANYWHERE, &frames);

    if (status == STATUS_OK) {
        vm->video = frames;
        status = paging_map((uint64_t)view(vm), frames, VGA_MEMORY_SIZE, PAGING_WRITE);
    }
    return status;
}

void video_destroy(struct vm *vm)
{
    if (vm->video.raw != 0) {
        paging_unmap((uint64_t)view(vm), VGA_MEMORY_SIZE);
        (void)frame_free(vm->video, VGA_MEMORY_SIZE);
    }
}

static enum status find_rom(const struct vm *vm, struct pc_config *config)
{
    const char *name = vm->config->vga_rom.text;
    const uint8_t *data;
    uint64_t size;

    if (!name[0]) {
        return STATUS_OK;
    }
    enum status status = vm_edge_find_file(name, &data, &size);

    if (status == STATUS_OK &&
        (size < 2 || size > VGA_ROM_MAX || (data[0] | data[1] << 8) != ROM_MARK)) {
        status = STATUS_NOTE(STATUS_INVALID);
    }
    if (status != STATUS_OK) {
        log_warn("VM '%s': vga_rom: '%s' is no option ROM of at most %u KiB: %s", vm->config->name,
                 name, VGA_ROM_MAX >> 10, status_name(status));
        return status;
    }
    config->screen_rom = data;
    config->screen_rom_size = (uint32_t)size;
    return STATUS_OK;
}

enum status video_begin(struct vm *vm, struct pc_config *config)
{
    if (vm->video.raw == 0) {
        return STATUS_OK;
    }
    for (uint32_t done = 0; done < VGA_MEMORY_SIZE; done += CLEAR_STEP) {
        memset((uint8_t *)view(vm) + done, 0, CLEAR_STEP);
        timer_service();
    }
    config->screen = view(vm);
    config->mouse = true;
    return find_rom(vm, config);
}

void video_settle(struct vm *vm)
{
    if (vm->video.raw == 0) {
        return;
    }
    spinlock_acquire(&vm->nested_lock);
    uint64_t wanted = vga_frame_base(&vm->pc.vga.state), was = vm->video_at;

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
