/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernels that begin in real mode, behind a BIOS: Linux's boot protocol from its beginning
 * (boot.rst, "The real-mode kernel header"), and programs that have its form. The parts lie where
 * the option ROM of QEMU's -kernel brings them.
 */
#include "vmm/load/load.h"

#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"
#include "vmm/load/linux_header.h"

#include <string.h>

enum {
    OLD_CMDLINE_MAGIC = 0x20,
    OLD_CMDLINE_OFFSET = 0x22 /* from the setup's start */
};

#define OLD_MAGIC         0xa33fU
#define LOADER_QEMU       0xb0U
#define VERSION_HEADER    0x200U
#define VERSION_HEAP      0x201U
#define VERSION_CMDLINE   0x202U
#define VERSION_INITRD    0x203U
#define VERSION_LONG_TEXT 0x206U
#define OLD_TEXT_MAX      255U
#define OLD_INITRD_MAX    0x37ffffffU

#define SETUP_LOW     0x10000U
#define CMDLINE_LOW   0x20000U
#define SETUP_OLD     0x90000U
#define CMDLINE_END   0x9a000U
#define KERNEL_LOW    0x10000U
#define KERNEL_HIGH   0x100000U
#define HEAP_DISTANCE 0x200U

/* At the end of RAM firmware keeps its tables. */
#define TABLES_ROOM 0x28000U

struct kernel {
    const struct load_file *file;
    uint32_t version; /* 0: older than the header */
    uint32_t setup_size;
    bool high;
};

static enum status header_read(const struct load_file *file, struct kernel *kernel)
{
    const uint8_t *data = file->data;

    *kernel = (struct kernel){.file = file};
    if (file->size < HEADER_END_206 || bytes_get16(data + HEADER_BOOT_FLAG) != BOOT_FLAG) {
        log_warn("load: %s: neither Linux nor a program of its form: there is no 55h AAh at 1FEh",
                 file->name);
        return STATUS_NOTE(STATUS_INVALID);
    }
    uint32_t sectors = data[HEADER_SETUP_SECTS];

    kernel->setup_size = ((sectors != 0 ? sectors : SETUP_SECTS_OLD) + 1) * SECTOR;
    if (bytes_get32(data + HEADER_MAGIC) == MAGIC_HDRS) {
        kernel->version = bytes_get16(data + HEADER_VERSION);
        kernel->high = (data[HEADER_LOADFLAGS] & LOADED_HIGH) != 0;
    }
    if (kernel->setup_size > LOAD_SETUP_MAX || kernel->setup_size >= file->size) {
        log_warn("load: %s: its first %u sectors are to be its setup, of at most %u, and it has "
                 "%lu bytes: it is damaged, copy it again",
                 file->name, kernel->setup_size / SECTOR, LOAD_SETUP_MAX / SECTOR, file->size);
        return STATUS_NOTE(STATUS_INVALID);
    }
    return STATUS_OK;
}

/* Where setup and command line go. */
static enum status low_place(const struct kernel *kernel, const char *cmdline,
                             struct load_piece part[LOAD_PARTS])
{
    bool low = kernel->high && kernel->version >= VERSION_CMDLINE;
    size_t length = strlen(cmdline);
    uint32_t limit = kernel->version >= VERSION_LONG_TEXT
                         ? bytes_get32(kernel->file->data + HEADER_CMDLINE_SIZE)
                         : OLD_TEXT_MAX;

    if (length > limit || length >= LOAD_CMDLINE_MAX) {
        log_warn("load: %s: the command line has %zu characters, this kernel takes %u: shorten "
                 "'cmdline'",
                 kernel->file->name, length, limit);
        return STATUS_NOTE(STATUS_RANGE);
    }
    part[LOAD_SETUP].to = gpa(low ? SETUP_LOW : SETUP_OLD);
    part[LOAD_SETUP].size = kernel->setup_size;
    part[LOAD_CMDLINE] = (struct load_piece){
        .to = gpa(low ? CMDLINE_LOW : align_down(CMDLINE_END - length - 1, 16)),
        .from = (const uint8_t *)cmdline,
        .size = length + 1,
    };
    return STATUS_OK;
}

static enum status high_place(const struct load_input *input, const struct kernel *kernel,
                              struct load_piece part[LOAD_PARTS])
{
    const struct load_file *file = kernel->file;
    uint64_t base = kernel->high ? KERNEL_HIGH : KERNEL_LOW, size = file->size - kernel->setup_size;
    uint64_t top = kernel->version >= VERSION_INITRD
                       ? bytes_get32(file->data + HEADER_INITRD_MAX) + 1ULL
                       : OLD_INITRD_MAX + 1ULL;

    if (top > input->memory_below_4g - TABLES_ROOM) {
        top = input->memory_below_4g - TABLES_ROOM;
    }
    if (!range_fits(base, size, kernel->high ? top : SETUP_OLD)) {
        log_warn("load: %s: its %lu bytes do not fit between %#lx and %#lx: raise 'memory'",
                 file->name, size, base, kernel->high ? top : SETUP_OLD);
        return STATUS_NOTE(STATUS_RANGE);
    }
    uint64_t room = top > base + size ? top - (base + size) : 0;
    uint64_t at = align_down(top - input->initrd.size, PAGE_SIZE);

    if (input->initrd.size != 0 &&
        (input->initrd.size > room || at < (kernel->high ? base + size : KERNEL_HIGH))) {
        log_warn("load: %s: its %lu bytes do not fit behind %s: raise 'memory', or make it smaller",
                 input->initrd.name, input->initrd.size, file->name);
        return STATUS_NOTE(STATUS_RANGE);
    }
    part[LOAD_KERNEL] =
        (struct load_piece){.to = gpa(base), .from = file->data + kernel->setup_size, .size = size};
    if (input->initrd.size != 0) {
        part[LOAD_INITRD] = (struct load_piece){
            .to = gpa(at), .from = input->initrd.data, .size = input->initrd.size};
    }
    return STATUS_OK;
}

/* What the boot loader says in the header. */
static void header_write(const struct kernel *kernel, const struct load_piece part[LOAD_PARTS],
                         uint8_t *setup)
{
    uint32_t cmdline = (uint32_t)part[LOAD_CMDLINE].to.raw;
    uint32_t distance = cmdline - (uint32_t)part[LOAD_SETUP].to.raw;

    if (kernel->version >= VERSION_CMDLINE) {
        bytes_put32(setup + HEADER_CMDLINE, cmdline);
    } else {
        bytes_put16(setup + OLD_CMDLINE_MAGIC, OLD_MAGIC);
        bytes_put16(setup + OLD_CMDLINE_OFFSET, (uint16_t)distance);
    }
    if (kernel->version >= VERSION_HEADER) {
        setup[HEADER_LOADER_TYPE] = LOADER_QEMU;
        bytes_put32(setup + HEADER_INITRD, (uint32_t)part[LOAD_INITRD].to.raw);
        bytes_put32(setup + HEADER_INITRD_SIZE, (uint32_t)part[LOAD_INITRD].size);
    }
    if (kernel->version >= VERSION_HEAP) {
        setup[HEADER_LOADFLAGS] |= CAN_USE_HEAP;
        bytes_put16(setup + HEADER_HEAP_END, (uint16_t)(distance - HEAP_DISTANCE));
    }
}

enum status load_real_mode(const struct load_input *input, uint8_t setup[LOAD_SETUP_MAX],
                           struct load_piece part[LOAD_PARTS])
{
    struct kernel kernel;
    enum status status = header_read(&input->image, &kernel);

    memset(part, 0, LOAD_PARTS * sizeof(*part));
    if (status == STATUS_OK) {
        status = low_place(&kernel, input->cmdline, part);
    }
    if (status == STATUS_OK) {
        status = high_place(input, &kernel, part);
    }
    if (status != STATUS_OK) {
        return status;
    }
    part[LOAD_SETUP].from = setup;
    memcpy(setup, kernel.file->data, kernel.setup_size);
    header_write(&kernel, part, setup);
    log_info("load: %s: by the BIOS, boot protocol %u.%02u", kernel.file->name, kernel.version >> 8,
             kernel.version & 0xffU);
    return STATUS_OK;
}
