/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/check/files.h"

#include "tools/check/log.h"
#include "vmm/config/config_keys.h"
#include "vmm/load/load.h"
#include "vmm/vm/input.h"
#include "vmm/vm/vm_edge.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define UNPACKED_MAX (1UL << 30)
#define EXIT_SYSTEM  2

static struct {
    const char *name;
    const uint8_t *data;
    uint64_t size;
} files[CONFIG_FILES_MAX];
static uint32_t file_count;

static struct load_plan plan;

const char *files_locate(const char *config_path, const char *folder, const char *name)
{
    static char own[4096], other[4096];
    const char *slash = strrchr(config_path, '/');
    int length = slash ? (int)(slash - config_path) + 1 : 0;
    struct stat status;

    (void)snprintf(own, sizeof(own), "%.*s%s", length, config_path, name);
    if (!folder || stat(own, &status) == 0) {
        return own;
    }
    (void)snprintf(other, sizeof(other), "%s/%s", folder, name);
    return stat(other, &status) == 0 ? other : own;
}

static bool is_booted(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->vm_count; i++) {
        if (strcmp(config->vms[i].kernel.text, name) == 0 ||
            strcmp(config->vms[i].multiboot.text, name) == 0) {
            return true;
        }
    }
    return false;
}

static _Noreturn void system_failed(const char *path)
{
    perror(path);
    exit(EXIT_SYSTEM);
}

bool files_unpacked(const struct config *config, const char *name, const char *path)
{
    if (!is_booted(config, name)) {
        return false;
    }
    gzFile file = gzopen(path, "rb");
    bool packed = file && !gzdirect(file);

    if (file) {
        (void)gzclose(file);
    }
    return packed;
}

/* What the gzip file at PATH holds; *SIZE 0: it is damaged, or holds UNPACKED_MAX or more. */
static const uint8_t *unpack(const char *path, uint64_t *size)
{
    uint8_t *data = malloc(UNPACKED_MAX);
    gzFile file = gzopen(path, "rb");

    if (!data || !file) {
        system_failed(path);
    }
    int length = gzread(file, data, UNPACKED_MAX);
    bool good = gzclose(file) == Z_OK && length > 0 && (size_t)length < UNPACKED_MAX;

    *size = good ? (uint64_t)length : 0;
    return data;
}

static const uint8_t *map(const char *path, uint64_t size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    void *data = file < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);

    if (data == MAP_FAILED) {
        system_failed(path);
    }
    (void)close(file);
    return data;
}

static void check_file(const struct config *config, uint32_t index, const char *path,
                       struct config_report *report)
{
    const char *name = config_file_name(config, index);
    struct stat status;

    files[index].name = name;
    if (stat(path, &status) != 0) {
        config_complain_file(config, index, "is missing", report);
    } else if (!S_ISREG(status.st_mode)) {
        config_complain_file(config, index, "is no ordinary file", report);
    } else if (status.st_size == 0) {
        config_complain_file(config, index, "is empty", report);
    } else if (files_unpacked(config, name, path)) {
        files[index].data = unpack(path, &files[index].size);
        if (files[index].size == 0) {
            config_complain_file(config, index, "is a gzip file that cannot be unpacked", report);
        }
    } else {
        files[index].size = (uint64_t)status.st_size;
        files[index].data = map(path, files[index].size);
    }
}

void files_check(const struct config *config, const char *config_path, const char *folder,
                 struct config_report *report)
{
    file_count = config_file_count(config);
    for (uint32_t i = 0; i < file_count; i++) {
        check_file(config, i, files_locate(config_path, folder, config_file_name(config, i)),
                   report);
    }
}

/* The VMM's name for what the boot loader has brought. */
enum status vm_edge_find_file(const char *name, struct load_file *file)
{
    *file = (struct load_file){.name = name};
    for (uint32_t i = 0; i < file_count; i++) {
        if (strcmp(files[i].name, name) == 0 && files[i].size > 0) {
            file->data = files[i].data;
            file->size = files[i].size;
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}

/* The first line that was logged, without its mark. */
static const char *log_text(void)
{
    static const char prefix[] = "load: ";
    const char *text = check_log_first();

    return text + (strncmp(text, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 0);
}

/* What is only doubtful is a warning here, at the line that names the file. */
static enum status check_nvram(const struct config_vm *vm, const struct load_file *firmware,
                               struct config_report *report)
{
    struct load_file file;
    uint32_t line = vm->lines.key[VM_NVRAM];

    if (vm_edge_find_file(vm->nvram.text, &file) != STATUS_OK) {
        return STATUS_OK;
    }
    if (load_nvram_check(&file, firmware) != STATUS_OK) {
        config_error(report, line, "VM '%s' cannot be loaded: %s", vm->name, log_text());
    } else if (check_log_first()[0]) {
        config_warning(report, line, "VM '%s': %s", vm->name, log_text());
    }
    check_log_clear();
    return STATUS_OK;
}

/* A VM with firmware; a file that is missing has been complained of. */
static enum status check_firmware(const struct config_vm *vm, const struct load_input *input,
                                  struct config_report *report)
{
    static const enum config_vm_key roms[] = {VM_VGA_ROM, VM_NET_ROM, VM_KERNEL_ROM};
    static uint8_t setup[LOAD_SETUP_MAX];
    struct load_piece parts[LOAD_PARTS];
    struct load_file file, rom;
    enum status status = vm_edge_find_file(vm->firmware.text, &file);

    status = status == STATUS_OK ? load_firmware_check(&file) : STATUS_OK;
    if (status == STATUS_OK && vm->nvram.text[0]) {
        status = check_nvram(vm, &file, report);
    }
    if (status == STATUS_OK && vm->kernel.text[0]) {
        status = load_real_mode(input, setup, parts);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(roms) && status == STATUS_OK; i++) {
        status = input_rom(vm, roms[i], &rom);
        status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    return status;
}

static void check_vm(const struct config_vm *vm, struct config_report *report)
{
    struct load_file modules[CONFIG_MODULES_MAX];
    struct load_input input;
    uint32_t line = vm->lines.key[vm->kernel.text[0]      ? VM_KERNEL
                                  : vm->multiboot.text[0] ? VM_MULTIBOOT
                                                          : VM_FIRMWARE];

    check_log_clear();
    /* A file that is missing has been complained of. */
    if (input_gather(vm, &input, modules) == STATUS_OK &&
        (vm->firmware.text[0] ? check_firmware(vm, &input, report)
                              : load_plan_build(&input, &plan)) != STATUS_OK) {
        config_error(report, line, "VM '%s' cannot be loaded: %s", vm->name, log_text());
    }
}

void files_check_vms(const struct config *config, struct config_report *report)
{
    for (uint32_t i = 0; i < config->vm_count; i++) {
        check_vm(&config->vms[i], report);
    }
}
