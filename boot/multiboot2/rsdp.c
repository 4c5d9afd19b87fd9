/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/rsdp.h"

#include <string.h>

#define RSDP_ALIGN 16U

bool rsdp_is_sound(const uint8_t *bytes, size_t size)
{
    static const char signature[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
    uint8_t sum = 0;

    if (size < RSDP_SIZE_MIN || memcmp(bytes, signature, sizeof(signature)) != 0) {
        return false;
    }
    for (size_t i = 0; i < RSDP_SIZE_MIN; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    return sum == 0;
}

size_t rsdp_search(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += RSDP_ALIGN) {
        if (rsdp_is_sound(bytes + at, size - at)) {
            return at;
        }
    }
    return size;
}
