/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/efi_files.h"

#include "boot/efi/efi_console.h"
#include "boot/efi/text.h"
#include "vmm/base/format.h"
#include "vmm/base/types.h"

#include <string.h>

/* A device path longer than this is a broken one. */
#define DEVICE_PATH_MAX 4096
/* Some firmware fails reads of many MiB; smaller ones also show progress. */
#define CHUNK         (1UL << 20)
#define PROGRESS_FROM (8UL << 20)
#define PROGRESS_STEP 5 /* percent */
/* EFI_FILE_INFO with a name of FILES_PATH_MAX characters. */
#define INFO_HEADER offsetof(EFI_FILE_INFO, FileName)
#define INFO_SIZE   (INFO_HEADER + sizeof(CHAR16) * FILES_PATH_MAX)

static EFI_GUID file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static EFI_GUID file_info_guid = EFI_FILE_INFO_ID;

/* A path of the configuration as the firmware wants it. */
static EFI_STATUS path_widen(const char *name, CHAR16 *wide, size_t capacity)
{
    size_t length = strlen(name);

    if (length >= capacity) {
        return EFI_INVALID_PARAMETER;
    }
    for (size_t i = 0; i <= length; i++) {
        wide[i] = name[i] == '/' ? '\\' : (unsigned char)name[i];
    }
    return EFI_SUCCESS;
}

static void folder_name(struct folder *folder, const char *path)
{
    size_t length = strlen(path);
    bool ends = length > 0 && path[length - 1] == '\\';

    format(folder->path, sizeof(folder->path), "%s%s", path, ends ? "" : "\\");
}

/* The folder's path from the image's device path, and its own name. */
static EFI_STATUS own_path_read(const EFI_LOADED_IMAGE *image, CHAR16 *path, char *name,
                                size_t size)
{
    path[0] = 0;
    name[0] = '\0';
    if (image->FilePath == NULL) {
        return EFI_SUCCESS;
    }
    enum status status = text_path_read(image->FilePath, DEVICE_PATH_MAX, path, FILES_PATH_MAX);
    if (status != STATUS_OK) {
        return console_fail(EFI_LOAD_ERROR, "the firmware's device path of this image: %s",
                            status_name(status));
    }
    text_path_split(path, name, size);
    return EFI_SUCCESS;
}

EFI_STATUS files_open_own_folder(EFI_LOADED_IMAGE *image, struct folder *folder, char *name,
                                 size_t size)
{
    static CHAR16 path[FILES_PATH_MAX];
    char ascii[FILES_PATH_MAX];
    EFI_FILE_IO_INTERFACE *volume;
    EFI_FILE_HANDLE root;

    EFI_STATUS status = own_path_read(image, path, name, size);
    if (EFI_ERROR(status)) {
        return status;
    }
    status = efi_boot->HandleProtocol(image->DeviceHandle, &file_system_guid, (void **)&volume);
    if (EFI_ERROR(status)) {
        return console_fail(status, "this image was not started from a file system that the "
                                    "firmware can read; start it from a FAT volume");
    }
    status = volume->OpenVolume(volume, &root);
    if (EFI_ERROR(status)) {
        return console_fail(status, "the boot volume cannot be opened");
    }
    text_to_ascii(path, ascii, sizeof(ascii));
    folder_name(folder, ascii);
    folder->handle = root;
    if (path[0] == 0) {
        return EFI_SUCCESS;
    }
    status = root->Open(root, &folder->handle, path, EFI_FILE_MODE_READ, 0);
    return EFI_ERROR(status) ? console_fail(status, "folder %s cannot be opened", folder->path)
                             : EFI_SUCCESS;
}

EFI_STATUS files_open_folder_of(const struct folder *folder, const char *name,
                                struct folder *opened, const char **base)
{
    char path[FILES_PATH_MAX];
    char whole[2 * FILES_PATH_MAX];
    CHAR16 wide[FILES_PATH_MAX];
    const char *last = strrchr(name, '\\');

    *base = last == NULL ? name : last + 1;
    if (last == NULL) {
        *opened = *folder;
        return EFI_SUCCESS;
    }
    /* Of a name in the root folder, the backslash is all there is. */
    size_t length = last == name ? 1 : (size_t)(last - name);
    format(path, sizeof(path), "%.*s", (int)length, name);
    format(whole, sizeof(whole), "%s%s", name[0] == '\\' ? "" : folder->path, path);
    folder_name(opened, whole);
    EFI_STATUS status = path_widen(path, wide, ARRAY_SIZE(wide));
    if (!EFI_ERROR(status)) {
        status = folder->handle->Open(folder->handle, &opened->handle, wide, EFI_FILE_MODE_READ, 0);
    }
    if (EFI_ERROR(status)) {
        return console_fail(status, "folder %s cannot be opened", opened->path);
    }
    return EFI_SUCCESS;
}

/* The size of an open file; folders have none. */
static EFI_STATUS file_size_get(EFI_FILE_HANDLE handle, uint64_t *size)
{
    _Alignas(EFI_FILE_INFO) uint8_t buffer[INFO_SIZE];
    EFI_FILE_INFO info;
    UINTN length = sizeof(buffer);

    EFI_STATUS status = handle->GetInfo(handle, &file_info_guid, &length, buffer);
    if (EFI_ERROR(status)) {
        return status;
    }
    memcpy(&info, buffer, INFO_HEADER);
    *size = info.FileSize;
    return (info.Attribute & EFI_FILE_DIRECTORY) != 0 ? EFI_UNSUPPORTED : EFI_SUCCESS;
}

/* Fill FILE from HANDLE, and show how far it came. */
static EFI_STATUS file_fill(EFI_FILE_HANDLE handle, const char *name, struct file *file)
{
    unsigned shown = 0;

    for (size_t done = 0; done < file->size;) {
        UINTN length = file->size - done < CHUNK ? file->size - done : CHUNK;
        EFI_STATUS status = handle->Read(handle, &length, (uint8_t *)file->data + done);
        if (EFI_ERROR(status)) {
            return status;
        }
        if (length == 0 || length > file->size - done) {
            return EFI_END_OF_FILE;
        }
        done += length;
        unsigned percent = (unsigned)(done * 100 / file->size);
        if (file->size >= PROGRESS_FROM && percent >= shown + PROGRESS_STEP) {
            console_progress("  %s: %u %% of %lu MiB", name, percent, file->size >> 20);
            shown = percent;
        }
    }
    return EFI_SUCCESS;
}

/* Make room for what HANDLE holds, and read it. */
static EFI_STATUS file_load(EFI_FILE_HANDLE handle, const struct folder *folder, const char *name,
                            size_t limit, struct file *file)
{
    uint64_t size;

    EFI_STATUS status = file_size_get(handle, &size);
    if (EFI_ERROR(status)) {
        return console_fail(status, "%s%s is not a file that can be read", folder->path, name);
    }
    *file = (struct file){NULL, size};
    if (size == 0) {
        return EFI_SUCCESS;
    }
    if (size > limit) {
        return console_fail(EFI_BAD_BUFFER_SIZE, "%s%s has %lu bytes, at most %lu can be used",
                            folder->path, name, size, limit);
    }
    file->data = services_allocate_pages(size);
    if (file->data == NULL) {
        return console_fail(EFI_OUT_OF_RESOURCES, "no memory for %s%s, %lu MiB in one piece",
                            folder->path, name, (size + (1UL << 20) - 1) >> 20);
    }
    status = file_fill(handle, name, file);
    return EFI_ERROR(status) ? console_fail(status, "%s%s cannot be read", folder->path, name)
                             : EFI_SUCCESS;
}

EFI_STATUS files_read(const struct folder *folder, const char *name, size_t limit,
                      struct file *file)
{
    CHAR16 wide[FILES_PATH_MAX];
    EFI_FILE_HANDLE handle;

    EFI_STATUS status = path_widen(name, wide, ARRAY_SIZE(wide));
    if (!EFI_ERROR(status)) {
        status = folder->handle->Open(folder->handle, &handle, wide, EFI_FILE_MODE_READ, 0);
    }
    if (EFI_ERROR(status)) {
        return console_fail(status,
                            "file %s, looked for in %s of the boot volume, cannot be opened", name,
                            folder->path);
    }
    status = file_load(handle, folder, name, limit, file);
    handle->Close(handle);
    return status;
}
