/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the firmware says in UCS-2: the image's own path and its load options. No EFI headers:
 * compiled for tests too.
 */
#ifndef PORTOLAN_BOOT_EFI_TEXT_H
#define PORTOLAN_BOOT_EFI_TEXT_H

#include "vmm/base/status.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Put the path that the file-path nodes of the device path PATH name (UEFI 2.10, 10.3.5.4) into
 * OUT, CAPACITY characters with the NUL, every separator a backslash. Reads at most LIMIT bytes of
 * PATH. An empty result is a PATH without such nodes.
 *   STATUS_INVALID    a node's length cannot be, or the path has no end within LIMIT
 *   STATUS_NO_MEMORY  longer than CAPACITY
 */
enum status text_path_read(const void *path, size_t limit, uint16_t *out, size_t capacity);

/* Put PATH's last component in NAME, SIZE bytes, and cut PATH down to the folder before it. */
void text_path_split(uint16_t *path, char *name, size_t size);

/* As ASCII into OUT, SIZE bytes with the NUL; what is not printable ASCII becomes '?'. */
void text_to_ascii(const uint16_t *text, char *out, size_t size);

/*
 * Find in the load options (BYTES bytes of UCS-2, with or without a NUL) the name of the
 * configuration file. A firmware shell passes its whole command line, so a first word that names an
 * EFI image, or OWN_NAME with or without its extension, is passed over. A name with spaces stands
 * in double quotes. Slashes become backslashes.
 *   STATUS_NOT_FOUND  there is no such word
 *   STATUS_INVALID    not printable ASCII text: some firmware passes data of its own
 *   STATUS_RANGE      the name does not fit in SIZE bytes
 */
enum status text_options_name(const void *options, size_t bytes, const char *own_name, char *name,
                              size_t size);

#endif
