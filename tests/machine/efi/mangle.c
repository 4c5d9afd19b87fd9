/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Test only: spoils the firmware's tables in memory, then starts portolan.efi from the same folder.
 * So the VMM meets bad firmware without a line of product code that knows of tests.
 *
 * mangle.txt beside it says what to do, a command a line:
 *   madt-add-cpu ID     one more enabled CPU, which never starts
 *   madt-truncate       the MADT ends in the middle of its last entry
 *   dmar-truncate       the DMAR does
 *   truncate SIG BYTES  table SIG loses its last BYTES bytes; its checksum is right
 *   no-rsdp             the firmware names no ACPI tables
 *   no-mcfg             there is no MCFG
 *   hide SIG            there is no table SIG
 *   bad-checksum SIG    table SIG has a wrong checksum
 *   xsdt-garbage        XSDT and RSDT point to what are no tables
 *   stale-map COUNT     the memory map changes COUNT times under the loader
 */
#include "boot/efi/efi_console.h"
#include "boot/efi/efi_files.h"
#include "boot/efi/services.h"
#include "tests/machine/efi/hooks.h"
#include "tests/machine/efi/tables.h"
#include "vmm/base/types.h"

#include <stdlib.h>
#include <string.h>

#define SCRIPT_NAME     "mangle.txt"
#define SCRIPT_SIZE_MAX 4096
#define LINE_SIZE       80
#define NEXT_NAME       "portolan.efi"
#define DEVICE_PATH_MAX 4096

static const struct command {
    const char *name;
    EFI_STATUS (*run)(const char *signature, uint32_t number);
    const char *signature; /* NULL: it is the first argument */
    uint32_t number;       /* 0: it is the next argument, where there is one */
} commands[] = {
    {"madt-add-cpu",  tables_add_cpu,        "APIC", 0},
    {"madt-truncate", tables_truncate,       "APIC", 3},
    {"dmar-truncate", tables_truncate,       "DMAR", 3},
    {"truncate",      tables_truncate,       NULL,   0},
    {"no-rsdp",       tables_remove_rsdp,    "",     1},
    {"no-mcfg",       tables_hide,           "MCFG", 1},
    {"hide",          tables_hide,           NULL,   1},
    {"bad-checksum",  tables_spoil_checksum, NULL,   1},
    {"xsdt-garbage",  tables_spoil_pointers, "",     1},
    {"stale-map",     hooks_stale_map,       "",     0},
};

static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static EFI_GUID device_path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

/* Cut the first word off *TEXT and return it; an empty one: there is none. */
static char *word_take(char **text)
{
    char *start = *text;

    while (*start == ' ') {
        start++;
    }
    char *end = start;
    while (*end != '\0' && *end != ' ') {
        end++;
    }
    *text = *end == '\0' ? end : end + 1;
    *end = '\0';
    return start;
}

static EFI_STATUS line_run(char *line)
{
    const char *name = word_take(&line);

    if (name[0] == '\0') {
        return EFI_SUCCESS;
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct command *command = &commands[i];
        if (strcmp(command->name, name) == 0) {
            const char *signature = command->signature;
            signature = signature == NULL ? word_take(&line) : signature;
            uint32_t number = command->number;
            number = number == 0 ? (uint32_t)strtoul(word_take(&line), NULL, 0) : number;
            EFI_STATUS status = command->run(signature, number);
            return EFI_ERROR(status) ? console_fail(status, "mangle: %s", name) : EFI_SUCCESS;
        }
    }
    return console_fail(EFI_INVALID_PARAMETER, "mangle: %s is no command", name);
}

static EFI_STATUS script_run(const struct folder *folder)
{
    struct file script;

    EFI_STATUS status = files_read(folder, SCRIPT_NAME, SCRIPT_SIZE_MAX, &script);
    const char *text = script.data;
    for (size_t at = 0; !EFI_ERROR(status) && at < script.size;) {
        char line[LINE_SIZE] = {0};
        for (size_t used = 0; at < script.size && text[at] != '\n'; at++) {
            if (text[at] != '\r' && used + 1 < sizeof(line)) {
                line[used++] = text[at];
            }
        }
        at++;
        status = line_run(line);
    }
    return status;
}

/* The bytes of a device path up to its end node. */
static size_t path_length(const EFI_DEVICE_PATH *path)
{
    const uint8_t *bytes = (const uint8_t *)path;
    size_t at = 0;

    while (at < DEVICE_PATH_MAX && bytes[at] != END_DEVICE_PATH_TYPE) {
        at += (size_t)(bytes[at + 2] | bytes[at + 3] << 8);
    }
    return at;
}

/* Put together the device path of NEXT_NAME in FOLDER on DEVICE. */
static void path_build(const EFI_DEVICE_PATH *device, const struct folder *folder, uint8_t *out)
{
    static const uint8_t end[] = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, 4, 0};
    size_t at = path_length(device);
    size_t start = at;

    memcpy(out, device, at);
    at += sizeof(EFI_DEVICE_PATH);
    for (const char *text = folder->path; *text != '\0'; text++) {
        out[at++] = (uint8_t)*text;
        out[at++] = 0;
    }
    for (size_t i = 0; i < sizeof(NEXT_NAME); i++) {
        out[at++] = (uint8_t)NEXT_NAME[i];
        out[at++] = 0;
    }
    out[start] = MEDIA_DEVICE_PATH;
    out[start + 1] = MEDIA_FILEPATH_DP;
    out[start + 2] = (uint8_t)(at - start);
    out[start + 3] = (uint8_t)((at - start) >> 8);
    memcpy(out + at, end, sizeof(end));
}

static EFI_STATUS next_start(EFI_HANDLE image, const EFI_LOADED_IMAGE *own,
                             const struct folder *folder)
{
    static _Alignas(8) uint8_t path[2 * DEVICE_PATH_MAX];
    EFI_DEVICE_PATH *device;
    EFI_HANDLE next;

    EFI_STATUS status =
        efi_boot->HandleProtocol(own->DeviceHandle, &device_path_guid, (void **)&device);
    if (!EFI_ERROR(status)) {
        path_build(device, folder, path);
        status = efi_boot->LoadImage(FALSE, image, (EFI_DEVICE_PATH *)path, NULL, 0, &next);
    }
    if (EFI_ERROR(status)) {
        return console_fail(status, "mangle: %s%s cannot be loaded", folder->path, NEXT_NAME);
    }
    return efi_boot->StartImage(next, NULL, NULL);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    static struct folder folder;
    static char name[FILES_PATH_MAX];
    EFI_LOADED_IMAGE *own;

    services_init(system);
    EFI_STATUS status = efi_boot->HandleProtocol(image, &loaded_image_guid, (void **)&own);
    if (!EFI_ERROR(status)) {
        status = files_open_own_folder(own, &folder, name, sizeof(name));
    }
    if (!EFI_ERROR(status)) {
        status = script_run(&folder);
    }
    if (!EFI_ERROR(status)) {
        status = next_start(image, own, &folder);
    }
    efi_boot->Exit(image, status, 0, NULL);
    return status;
}
