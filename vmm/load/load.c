/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/load.h"

#include "vmm/base/log.h"
#include "vmm/load/plan.h"

#include <string.h>

#define LOAD_FIRMWARE_MIN  (64ULL << 10)
#define RESET_VECTOR_BYTES 16U

static enum status memory_check(const struct load_input *input)
{
    uint64_t below = input->memory_below_4g;
    uint64_t above = input->memory_above_4g;

    if (below < LOAD_MEMORY_MIN || below > LOAD_BELOW_4G_MAX || below % PAGE_SIZE != 0 ||
        above % PAGE_SIZE != 0 || !range_fits(MAP_4G, above, LOAD_MEMORY_END_MAX)) {
        log_warn("load: %s: %#lx bytes of RAM below 4 GiB and %#lx above cannot be: 2 MiB to "
                 "3.5 GiB, and whole pages",
                 input->image.name, below, above);
        return STATUS_NOTE(STATUS_RANGE);
    }
    return STATUS_OK;
}

/* Is there a file where there must be one? */
static enum status file_check(const struct load_file *file)
{
    if (file->data == NULL || file->size == 0) {
        log_warn("load: %s: the file is empty or was not loaded: copy it again", file->name);
        return STATUS_NOTE(STATUS_INVALID);
    }
    return STATUS_OK;
}

static enum status modules_check(const struct load_input *input)
{
    if (input->module_count > LOAD_MODULES_MAX) {
        log_warn("load: %s: %u modules, at most %u are loaded: leave some out", input->image.name,
                 input->module_count, LOAD_MODULES_MAX);
        return STATUS_NOTE(STATUS_RANGE);
    }
    for (unsigned i = 0; i < input->module_count; i++) {
        const char *text = input->modules[i].arguments;
        if (file_check(&input->modules[i]) != STATUS_OK) {
            return STATUS_INVALID;
        }
        if (text != NULL && strnlen(text, LOAD_MODULE_TEXT_MAX) == LOAD_MODULE_TEXT_MAX) {
            log_warn("load: %s: the text behind this module is longer than %u characters: shorten "
                     "it",
                     input->modules[i].name, LOAD_MODULE_TEXT_MAX - 1);
            return STATUS_NOTE(STATUS_RANGE);
        }
    }
    return STATUS_OK;
}

/* What does not depend on the image's contents. */
static enum status input_check(const struct load_input *input)
{
    const char *name = input->image.name;

    if (file_check(&input->image) != STATUS_OK ||
        (input->initrd.size != 0 && file_check(&input->initrd) != STATUS_OK)) {
        return STATUS_INVALID;
    }
    if (input->kind == LOAD_LINUX && input->module_count != 0) {
        log_warn("load: %s: a Linux kernel takes no modules: give an 'initrd'", name);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (input->kind == LOAD_MULTIBOOT && input->initrd.size != 0) {
        log_warn("load: %s: a Multiboot image takes no initrd: give it as a 'module'", name);
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (input->cmdline != NULL && strnlen(input->cmdline, LOAD_CMDLINE_MAX) == LOAD_CMDLINE_MAX) {
        log_warn("load: %s: the command line is longer than %u characters: shorten it", name,
                 LOAD_CMDLINE_MAX - 1);
        return STATUS_NOTE(STATUS_RANGE);
    }
    enum status status = memory_check(input);
    return status == STATUS_OK ? modules_check(input) : status;
}

enum status load_plan_build(const struct load_input *input, struct load_plan *plan)
{
    struct plan_builder builder = {.input = input, .plan = plan, .low_base = PLAN_LOW_BASE};

    memset(plan, 0, sizeof(*plan));
    enum status status = input_check(input);
    if (status != STATUS_OK) {
        return status;
    }
    map_build(input->memory_below_4g, input->memory_above_4g, &builder.map);
    plan_bios_data_add(&builder);
    if (input->kind == LOAD_LINUX) {
        bzimage_plan(&builder);
    } else {
        multiboot_plan(&builder);
    }
    return builder.status == STATUS_OK ? load_plan_check(input, plan) : builder.status;
}

enum status load_firmware_check(const struct load_file *file)
{
    if (file_check(file) != STATUS_OK) {
        return STATUS_INVALID;
    }
    if (file->size < LOAD_FIRMWARE_MIN || file->size > LOAD_FIRMWARE_MAX ||
        file->size % PAGE_SIZE != 0) {
        log_warn(
            "load: %s: %#lx bytes are no BIOS image: a multiple of 4 KiB, 64 KiB to 8 MiB; SeaBIOS "
            "is bios-256k.bin of Debian's package seabios",
            file->name, file->size);
        return STATUS_NOTE(STATUS_RANGE);
    }
    uint8_t first = file->data[file->size - RESET_VECTOR_BYTES];

    if (first == 0 || first == 0xff) {
        log_warn("load: %s: there is no code at the reset vector, 16 bytes before its end: it is "
                 "no BIOS image, or not all of it",
                 file->name);
        return STATUS_NOTE(STATUS_INVALID);
    }
    return STATUS_OK;
}

enum status load_nvram_check(const struct load_file *file, const struct load_file *firmware)
{
    uint64_t all = file->size + firmware->size;

    if (file_check(file) != STATUS_OK) {
        return STATUS_INVALID;
    }
    if (file->size % LOAD_NVRAM_BLOCK != 0) {
        log_warn("load: %s: %#lx bytes are no firmware's variables: a multiple of 4 KiB, the block "
                 "that is erased; OVMF's are OVMF_VARS.fd of Debian's package ovmf",
                 file->name, file->size);
        return STATUS_NOTE(STATUS_RANGE);
    }
    if (file->size > LOAD_FIRMWARE_MAX || all > LOAD_FIRMWARE_MAX) {
        log_warn("load: %s: %#lx bytes, and %#lx of %s: more than 8 MiB; choose smaller ones",
                 file->name, file->size, firmware->size, firmware->name);
        return STATUS_NOTE(STATUS_RANGE);
    }
    if ((all & (all - 1)) != 0) {
        log_warn("load: %s: %#lx bytes do not belong to %s with its %#lx, it seems: together "
                 "they are no power of two, as OVMF_VARS_4M.fd is with OVMF_CODE_4M.fd",
                 file->name, file->size, firmware->name, firmware->size);
    }
    return STATUS_OK;
}
