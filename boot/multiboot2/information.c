/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/information.h"

#include "vmm/base/types.h"

#include <string.h>

/* Multiboot 2, 3.6.1 and up: the tags that are read, by their type. */
enum tag_type {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY = 6,
    TAG_FRAMEBUFFER = 8,
    TAG_RSDP_OLD = 14,
    TAG_RSDP_NEW = 15,
};

#define TAG_ALIGN    8U
#define RSDP_OLD_MIN 20U /* ACPI 1.0 */
#define RSDP_NEW_MIN 36U /* ACPI 2.0 and up */

struct fixed {
    uint32_t total_size;
    uint32_t reserved;
};

struct tag {
    uint32_t type;
    uint32_t size; /* with this header, without what aligns the next tag */
};

struct module_tag {
    uint32_t start;
    uint32_t end;
};

struct memory_tag {
    uint32_t entry_size;
    uint32_t entry_version;
};

struct memory_entry {
    uint64_t base;
    uint64_t length;
    uint32_t type;
    uint32_t reserved;
};

_Static_assert(sizeof(struct tag) == 8, "3.6.2");
_Static_assert(sizeof(struct memory_entry) == 24, "3.6.8");
_Static_assert(offsetof(struct information_framebuffer, red) == 24, "3.6.12");

#define FRAMEBUFFER_MIN offsetof(struct information_framebuffer, red)
#define FRAMEBUFFER_RGB offsetof(struct information_framebuffer, padding)

/* What a tag holds after its header. */
struct content {
    const uint8_t *bytes;
    size_t size;
};

/* CONTENT from OFFSET on, as text; NULL when no NUL ends it. */
static const char *content_text(struct content content, size_t offset)
{
    if (content.size <= offset ||
        memchr(content.bytes + offset, '\0', content.size - offset) == NULL) {
        return NULL;
    }
    return (const char *)content.bytes + offset;
}

static enum status command_line_read(struct content content, struct information *information)
{
    const char *text = content_text(content, 0);

    if (text == NULL) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (information->command_line == NULL) {
        information->command_line = text;
    }
    return STATUS_OK;
}

static enum status module_read(struct content content, struct information *information)
{
    struct module_tag tag;
    const char *string = content_text(content, sizeof(tag));

    if (string == NULL) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    memcpy(&tag, content.bytes, sizeof(tag));
    if (tag.end < tag.start) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (information->module_count == INFORMATION_MODULES_MAX) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    information->modules[information->module_count++] =
        (struct information_module){tag.start, tag.end, string};
    return STATUS_OK;
}

static enum status memory_read(struct content content, struct information *information)
{
    struct memory_tag tag;

    if (content.size < sizeof(tag)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    memcpy(&tag, content.bytes, sizeof(tag));
    size_t size = content.size - sizeof(tag);
    /* "It is guaranteed to be a multiple of 8", and later versions may append to an entry. */
    if (tag.entry_size < sizeof(struct memory_entry) || tag.entry_size % 8 != 0 ||
        size % tag.entry_size != 0) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (information->memory == NULL) {
        information->memory = content.bytes + sizeof(tag);
        information->memory_count = size / tag.entry_size;
        information->memory_stride = tag.entry_size;
    }
    return STATUS_OK;
}

static enum status framebuffer_read(struct content content, struct information *information)
{
    struct information_framebuffer tag = {0};

    if (content.size < FRAMEBUFFER_MIN) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    memcpy(&tag, content.bytes, FRAMEBUFFER_MIN);
    if (tag.type == INFORMATION_RGB) {
        if (content.size < FRAMEBUFFER_RGB) {
            return STATUS_NOTE(STATUS_INVALID);
        }
        memcpy(&tag, content.bytes, FRAMEBUFFER_RGB);
    }
    if (information->framebuffer.base == 0) {
        information->framebuffer = tag;
    }
    return STATUS_OK;
}

/* The longer one of the two kinds knows more. */
static enum status rsdp_read(struct content content, size_t least, struct information *information)
{
    if (content.size < least) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    if (information->rsdp == NULL || information->rsdp_size < least) {
        information->rsdp = content.bytes;
        information->rsdp_size = content.size;
    }
    return STATUS_OK;
}

static enum status tag_read(uint32_t type, struct content content, struct information *information)
{
    switch (type) {
    case TAG_COMMAND_LINE:
        return command_line_read(content, information);
    case TAG_MODULE:
        return module_read(content, information);
    case TAG_MEMORY:
        return memory_read(content, information);
    case TAG_FRAMEBUFFER:
        return framebuffer_read(content, information);
    case TAG_RSDP_OLD:
        return rsdp_read(content, RSDP_OLD_MIN, information);
    case TAG_RSDP_NEW:
        return rsdp_read(content, RSDP_NEW_MIN, information);
    default:
        return STATUS_OK;
    }
}

/* Read the tags in the SIZE bytes at BYTES, up to the one that says it is the last. */
static enum status tags_read(const uint8_t *bytes, size_t size, struct information *information)
{
    for (size_t at = sizeof(struct fixed); range_fits(at, sizeof(struct tag), size);) {
        struct tag tag;
        memcpy(&tag, bytes + at, sizeof(tag));
        if (tag.size < sizeof(tag) || !range_fits(at, tag.size, size)) {
            return STATUS_NOTE(STATUS_INVALID);
        }
        if (tag.type == TAG_END) {
            return STATUS_OK;
        }
        struct content content = {bytes + at + sizeof(tag), tag.size - sizeof(tag)};
        enum status status = tag_read(tag.type, content, information);
        if (status != STATUS_OK) {
            return status;
        }
        at += align_up(tag.size, TAG_ALIGN);
    }
    return STATUS_NOTE(STATUS_INVALID);
}

enum status information_parse(const void *bytes, size_t size, struct information *information)
{
    struct fixed fixed;

    memset(information, 0, sizeof(*information));
    if (size < INFORMATION_SIZE_MIN) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    memcpy(&fixed, bytes, sizeof(fixed));
    if (fixed.total_size < INFORMATION_SIZE_MIN || fixed.total_size > size) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    enum status status = tags_read(bytes, fixed.total_size, information);
    if (information->command_line == NULL) {
        information->command_line = "";
    }
    return status;
}

enum status information_read_memory(const struct information *information,
                                    struct handoff_region *ranges, size_t capacity, size_t *count)
{
    /* Multiboot 2, 3.6.8: what is not here is reserved. */
    static const uint8_t types[] = {
        [1] = HANDOFF_MEMORY_USABLE,
        [3] = HANDOFF_MEMORY_ACPI,
        [4] = HANDOFF_MEMORY_NVS,
        [5] = HANDOFF_MEMORY_BAD,
    };

    *count = information->memory_count;
    if (information->memory_count == 0) {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    if (information->memory_count > capacity) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    for (size_t i = 0; i < information->memory_count; i++) {
        struct memory_entry entry;
        memcpy(&entry, information->memory + i * information->memory_stride, sizeof(entry));
        uint32_t type = entry.type < ARRAY_SIZE(types) ? types[entry.type] : 0;
        ranges[i] = (struct handoff_region){entry.base, entry.length,
                                            type != 0 ? type : HANDOFF_MEMORY_RESERVED, 0};
    }
    return STATUS_OK;
}

enum status information_read_name(const char *text, char *name, size_t size)
{
    size_t used = 0;

    while (*text == ' ') {
        text++;
    }
    for (; *text != '\0' && *text != ' '; text++) {
        if (*text == '\\') {
            continue;
        }
        if (used + 1 >= size) {
            name[0] = '\0';
            return STATUS_NOTE(STATUS_RANGE);
        }
        name[used++] = *text;
    }
    name[used] = '\0';
    return STATUS_OK;
}
