/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/multiboot2/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static _Alignas(8) uint8_t bytes[BUILD_SIZE];
static size_t used;

static void append(const void *content, size_t size)
{
    assert_true(size <= BUILD_SIZE - used);
    if (size > 0) {
        memcpy(bytes + used, content, size);
    }
    used += size;
}

void build_start(void)
{
    memset(bytes, 0, sizeof(bytes));
    used = 8;
}

void build_tag(uint32_t type, const void *content, size_t size)
{
    uint32_t header[2] = {type, (uint32_t)size + 8};

    append(header, sizeof(header));
    append(content, size);
    used = (used + 7) / 8 * 8;
}

void build_module(uint32_t start, uint32_t end, const char *string)
{
    uint8_t content[512];
    uint32_t places[2] = {start, end};
    size_t length = strlen(string) + 1;

    assert_true(length <= sizeof(content) - sizeof(places));
    memcpy(content, places, sizeof(places));
    memcpy(content + sizeof(places), string, length);
    build_tag(3, content, sizeof(places) + length);
}

void build_memory(const uint64_t (*entries)[3], size_t count)
{
    static uint8_t content[BUILD_SIZE];
    uint32_t header[2] = {24, 0};

    assert_true(count <= (sizeof(content) - sizeof(header)) / 24);
    memcpy(content, header, sizeof(header));
    for (size_t i = 0; i < count; i++) {
        memcpy(content + 8 + 24 * i, entries[i], 24);
    }
    build_tag(6, content, 8 + 24 * count);
}

uint8_t *build_end(size_t *size)
{
    build_tag(0, NULL, 0);
    uint32_t total = (uint32_t)used;
    memcpy(bytes, &total, sizeof(total));
    *size = used;
    return bytes;
}
