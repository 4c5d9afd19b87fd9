/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever a boot loader says is an error, or texts that end, modules and memory that are claimed
 * once each, and a map that keeps the hand-off's promises. */
#include "boot/multiboot2/information.h"
#include "boot/multiboot2/mb2_machine.h"
#include "boot/multiboot2/mb2_memory.h"
#include "vmm/base/types.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct information information;
static struct memory memory;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_regions(void)
{
    uint64_t end = 0;

    for (size_t i = 0; i < memory.region_count; i++) {
        const struct handoff_region *region = &memory.regions[i];
        require(region->size > 0 && region->base >= end);
        require(region->base % PAGE_SIZE == 0 && region->size % PAGE_SIZE == 0);
        require(range_fits(region->base, region->size, REGIONS_LIMIT));
        end = region->base + region->size;
    }
}

static uint64_t claimed(void)
{
    return regions_total(memory.regions, memory.region_count, HANDOFF_MEMORY_LOADER);
}

static void check_memory(void)
{
    uint64_t pages = 0;
    uint64_t base;

    if (memory_init(&memory, &information) != STATUS_OK) {
        return;
    }
    require(claimed() == 0);
    for (uint32_t i = 0; i < information.module_count; i++) {
        const struct information_module *module = &information.modules[i];
        uint64_t first = align_down(module->start, PAGE_SIZE);
        uint32_t bytes = module->end - module->start;
        if (memory_claim(&memory, module->start, bytes) == STATUS_OK && bytes > 0) {
            pages += align_up(module->end, PAGE_SIZE) - first;
        }
    }
    require(claimed() == pages);
    if (memory_take(&memory, 3 * PAGE_SIZE, &base) == STATUS_OK) {
        require(base >= MEMORY_TAKE_MIN && range_fits(base, 3 * PAGE_SIZE, MEMORY_TAKE_MAX));
        require(claimed() == pages + 3 * PAGE_SIZE);
    }
    check_regions();
}

static void check_screen(void)
{
    struct handoff_framebuffer screen = framebuffer_convert(&information.framebuffer);

    if (screen.pixel != HANDOFF_PIXEL_NONE) {
        require(screen.width <= screen.pitch / 4 && screen.width > 0 && screen.height > 0);
        require(range_fits(screen.base, (uint64_t)screen.pitch * screen.height, UINT64_MAX));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[32];
    uint32_t total = (uint32_t)size;

    /* A block of the exact size, and the right size in it, or most inputs would fail at once. */
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, data, size);
    if (size >= sizeof(total) && bytes[3] == 0) {
        memcpy(bytes, &total, sizeof(total));
    }
    if (information_parse(bytes, size, &information) == STATUS_OK) {
        (void)information_read_name(information.command_line, name, sizeof(name));
        for (uint32_t i = 0; i < information.module_count; i++) {
            require(information.modules[i].start <= information.modules[i].end);
            if (information_read_name(information.modules[i].string, name, sizeof(name)) ==
                STATUS_OK) {
                require(strnlen(name, sizeof(name)) < sizeof(name));
            }
        }
        if (information.rsdp != NULL) {
            (void)rsdp_search(information.rsdp, information.rsdp_size);
        }
        check_screen();
        check_memory();
    }
    free(bytes);
    return 0;
}
