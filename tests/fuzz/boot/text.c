/* SPDX-License-Identifier: BSD-2-Clause */
/* Any device path and any load options give a text that ends, or an error. */
#include "boot/efi/text.h"
#include "vmm/base/types.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t path[32];
    char name[32];

    if (text_path_read(data, size, path, ARRAY_SIZE(path)) == STATUS_OK) {
        text_path_split(path, name, sizeof(name));
        if (strnlen(name, sizeof(name)) == sizeof(name)) {
            abort();
        }
    }
    if (text_options_name(data, size, "portolan.efi", name, sizeof(name)) == STATUS_OK &&
        (strnlen(name, sizeof(name)) == sizeof(name) || name[0] == '\0')) {
        abort();
    }
    return 0;
}
