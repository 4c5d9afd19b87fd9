/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading files from the volume that the loader was started from. */
#ifndef PORTOLAN_BOOT_EFI_EFI_FILES_H
#define PORTOLAN_BOOT_EFI_EFI_FILES_H

#include "boot/efi/services.h"

#include <stddef.h>

/* The longest path that is read, in characters with the NUL. */
#define FILES_PATH_MAX 512

/* A folder that files are read from. */
struct folder {
    EFI_FILE_HANDLE handle;
    char path[FILES_PATH_MAX]; /* for messages, ends in a backslash */
};

/* A file in memory. */
struct file {
    void *data; /* page-aligned LoaderData, NULL when empty; the last page ends in zeros */
    size_t size;
};

/*
 * Open the folder that IMAGE was started from and put the image's own file name in NAME (SIZE
 * bytes, empty when the firmware does not say). Prints what goes wrong.
 */
EFI_STATUS files_open_own_folder(EFI_LOADED_IMAGE *image, struct folder *folder, char *name,
                                 size_t size);

/* Open the folder that holds NAME, a path relative to FOLDER; and put NAME's last component at
 * *BASE. */
EFI_STATUS files_open_folder_of(const struct folder *folder, const char *name,
                                struct folder *opened, const char **base);

/* Read all of NAME, a path relative to FOLDER with either kind of slash, LIMIT bytes at most.
 * Prints progress for large files, and what goes wrong. */
EFI_STATUS files_read(const struct folder *folder, const char *name, size_t limit,
                      struct file *file);

#endif
