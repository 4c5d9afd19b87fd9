/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/fw_cfg.h"

#include <string.h>

/* Item numbers of the interface. */
enum {
    ITEM_SIGNATURE = 0x00,
    ITEM_ID = 0x01,
    ITEM_RAM_SIZE = 0x03,
    ITEM_NO_GRAPHICS = 0x04,
    ITEM_CPUS = 0x05,
    ITEM_CPUS_MAX = 0x0f,
    ITEM_FILE_DIRECTORY = 0x19,
    ITEM_FILE_FIRST = 0x20,
    ITEM_IRQ0_OVERRIDE = 0x8002
};

#define WRITE_CHANNEL 0x4000U /* selector bit: the long gone write interface */

#define ID_TRADITIONAL 0x01U /* bit 1 would be DMA */

/* The directory: a big-endian count, then entries of size, selector, reserved, name. */
#define DIRECTORY_HEADER 4U
#define DIRECTORY_ENTRY  64U

static const struct field fw_cfg_fields[] = {
    FIELD(struct fw_cfg_state, selector, 0xffff),
    FIELD(struct fw_cfg_state, offset, UINT32_MAX),
};

const struct section fw_cfg_section =
    SECTION(struct fw_cfg_state, "fw_cfg", 1, fw_cfg_fields, NULL);

static uint8_t big_endian_byte(uint32_t value, unsigned size, unsigned index)
{
    return index < size ? (uint8_t)(value >> 8 * (size - 1 - index)) : 0;
}

static uint8_t little_endian_byte(uint64_t value, unsigned size, uint32_t index)
{
    return index < size ? (uint8_t)(value >> 8 * index) : 0;
}

static uint8_t directory_byte(const struct fw_cfg *fw, uint32_t offset)
{
    if (offset < DIRECTORY_HEADER) {
        return big_endian_byte(fw->file_count, 4, offset);
    }
    uint32_t index = (offset - DIRECTORY_HEADER) / DIRECTORY_ENTRY;
    uint32_t at = (offset - DIRECTORY_HEADER) % DIRECTORY_ENTRY;

    if (index >= fw->file_count) {
        return 0;
    }
    if (at < 4) {
        return big_endian_byte(fw->file[index].size, 4, at);
    }
    if (at < 6) {
        return big_endian_byte(ITEM_FILE_FIRST + index, 2, at - 4);
    }
    return at < 8 ? 0 : (uint8_t)fw->file[index].name[at - 8];
}

static uint8_t item_byte(const struct fw_cfg *fw, uint32_t offset)
{
    static const char signature[4] = {'Q', 'E', 'M', 'U'};
    uint32_t item = fw->state.selector & ~WRITE_CHANNEL;

    switch (item) {
    case ITEM_SIGNATURE:
        return offset < sizeof(signature) ? (uint8_t)signature[offset] : 0;
    case ITEM_ID:
        return little_endian_byte(ID_TRADITIONAL, 4, offset);
    case ITEM_RAM_SIZE:
        return little_endian_byte(fw->ram_size, 8, offset);
    case ITEM_NO_GRAPHICS:
        return little_endian_byte(1, 2, offset);
    case ITEM_CPUS:
    case ITEM_CPUS_MAX:
        return little_endian_byte(fw->vcpu_count, 2, offset);
    case ITEM_IRQ0_OVERRIDE:
        return little_endian_byte(1, 4, offset);
    case ITEM_FILE_DIRECTORY:
        return directory_byte(fw, offset);
    default:
        break;
    }
    if (item < ITEM_FILE_FIRST || item - ITEM_FILE_FIRST >= fw->file_count) {
        return 0;
    }
    const struct fw_cfg_file *file = &fw->file[item - ITEM_FILE_FIRST];
    return offset < file->size ? file->data[offset] : 0;
}

void fw_cfg_init(struct fw_cfg *fw, unsigned vcpu_count, uint64_t ram_size)
{
    *fw = (struct fw_cfg){.vcpu_count = (uint16_t)vcpu_count, .ram_size = ram_size};
}

void fw_cfg_reset(struct fw_cfg *fw)
{
    fw_cfg_select(fw, ITEM_SIGNATURE);
}

enum status fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, uint32_t size)
{
    size_t length = strnlen(name, FW_CFG_NAME_SIZE);

    if (length == 0 || length == FW_CFG_NAME_SIZE) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    for (unsigned i = 0; i < fw->file_count; i++) {
        if (strcmp(fw->file[i].name, name) == 0) {
            return STATUS_NOTE(STATUS_CONFLICT);
        }
    }
    if (fw->file_count == FW_CFG_FILES_MAX) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    struct fw_cfg_file *file = &fw->file[fw->file_count++];

    *file = (struct fw_cfg_file){.data = data, .size = size};
    memcpy(file->name, name, length);
    return STATUS_OK;
}

void fw_cfg_select(struct fw_cfg *fw, uint16_t selector)
{
    fw->state.selector = selector;
    fw->state.offset = 0;
}

void fw_cfg_copy(const struct fw_cfg *fw, uint32_t offset, uint8_t *to, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        to[i] = offset <= UINT32_MAX - i ? item_byte(fw, offset + i) : 0;
    }
}

uint8_t fw_cfg_read(struct fw_cfg *fw)
{
    uint8_t byte;

    fw_cfg_copy(fw, fw->state.offset, &byte, 1);
    if (fw->state.offset != UINT32_MAX) {
        fw->state.offset++;
    }
    return byte;
}
