/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/fw_cfg.h"

#include "vmm/base/little_endian.h"
#include "vmm/pc/pc_edge.h"

#include <string.h>

/* Item numbers of the interface. */
enum {
    ITEM_SIGNATURE = 0x00,
    ITEM_ID = 0x01,
    ITEM_RAM_SIZE = 0x03,
    ITEM_NO_GRAPHICS = 0x04,
    ITEM_CPUS = 0x05,
    ITEM_BOOT_MENU = 0x0e,
    ITEM_CPUS_MAX = 0x0f,
    ITEM_DIRECTORY = 0x19,
    ITEM_FILE_FIRST = 0x20,
    ITEM_IRQ0_OVERRIDE = 0x8002
};

#define WRITE_CHANNEL 0x4000U     /* selector bit: the long gone write interface */
#define SIGNATURE     0x554d4551U /* "QEMU" */
#define ID_BOTH       0x03U       /* traditional interface and DMA */

#define DMA_SIGNATURE_HIGH 0x554d4551U /* "QEMU CFG" */
#define DMA_SIGNATURE_LOW  0x47464320U

#define DESCRIPTOR_SIZE 16U
#define CONTROL_ERROR   0x01U
#define CONTROL_READ    0x02U
#define CONTROL_SKIP    0x04U
#define CONTROL_SELECT  0x08U
#define CONTROL_WRITE   0x10U

/* The items of each part. */
static const struct {
    uint8_t address, size, data;
} part_items[FW_CFG_PARTS] = {
    [FW_CFG_KERNEL] = {0x07, 0x08, 0x11},
    [FW_CFG_INITRD] = {0x0a, 0x0b, 0x12},
    [FW_CFG_CMDLINE] = {0x13, 0x14, 0x15},
    [FW_CFG_SETUP] = {0x16, 0x17, 0x18},
};

static const struct field fw_cfg_fields[] = {
    FIELD(struct fw_cfg_state, selector, 0xffff),
    FIELD(struct fw_cfg_state, offset, UINT32_MAX),
    FIELD_SINCE(struct fw_cfg_state, dma, FW_CFG_DMA_STEPS - 1, 2),
    FIELD_SINCE(struct fw_cfg_state, descriptor, UINT64_MAX, 2),
    FIELD_SINCE(struct fw_cfg_state, control, UINT32_MAX, 2),
    FIELD_SINCE(struct fw_cfg_state, left, UINT32_MAX, 2),
    FIELD_SINCE(struct fw_cfg_state, address, UINT64_MAX, 2),
};

const struct section fw_cfg_section =
    SECTION(struct fw_cfg_state, "fw_cfg", 2, fw_cfg_fields, NULL);

struct item {
    const uint8_t *data;
    uint32_t size;
};

static void put_big(uint8_t *to, unsigned size, uint32_t value)
{
    for (unsigned i = 0; i < size; i++) {
        to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
    }
}

static uint64_t get_big(const uint8_t *from, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | from[i];
    }
    return value;
}

/* Items that are numbers. False: SELECTOR is none of them. */
static bool find_number(const struct fw_cfg *fw, unsigned selector, uint64_t *value)
{
    switch (selector) {
    case ITEM_SIGNATURE:
        *value = SIGNATURE;
        return true;
    case ITEM_ID:
        *value = ID_BOTH;
        return true;
    case ITEM_RAM_SIZE:
        *value = fw->ram_size;
        return true;
    case ITEM_NO_GRAPHICS: /* SeaBIOS speaks over COM1 then */
        *value = !fw->screen;
        return true;
    case ITEM_IRQ0_OVERRIDE:
        *value = 1;
        return true;
    case ITEM_BOOT_MENU:
        *value = fw->boot_menu;
        return true;
    case ITEM_CPUS:
    case ITEM_CPUS_MAX:
        *value = fw->vcpu_count;
        return true;
    default:
        break;
    }
    for (unsigned i = 0; i < FW_CFG_PARTS; i++) {
        if (selector == part_items[i].address || selector == part_items[i].size) {
            *value = selector == part_items[i].size ? fw->part[i].size : fw->part[i].address;
            return true;
        }
    }
    return false;
}

/* The selected item; zeros follow it. A number's bytes are put into SCRATCH. */
static struct item find_item(const struct fw_cfg *fw, uint8_t scratch[sizeof(uint64_t)])
{
    unsigned selector = fw->state.selector & ~WRITE_CHANNEL;
    uint64_t number;

    if (find_number(fw, selector, &number)) {
        bytes_put(scratch, sizeof(number), number);
        return (struct item){scratch, sizeof(number)};
    }
    if (selector == ITEM_DIRECTORY) {
        return (struct item){fw->directory, sizeof(fw->directory)};
    }
    for (unsigned i = 0; i < FW_CFG_PARTS; i++) {
        if (selector == part_items[i].data) {
            return (struct item){fw->part[i].data, fw->part[i].size};
        }
    }
    unsigned file = selector - ITEM_FILE_FIRST;

    return file < fw->file_count ? (struct item){fw->file[file].data, fw->file[file].size}
                                 : (struct item){scratch, 0};
}

void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, uint32_t size)
{
    uint8_t *entry = fw->directory + 4 + (size_t)fw->file_count * FW_CFG_ENTRY_SIZE;

    if (fw->file_count == FW_CFG_FILES_MAX || size == 0) {
        return;
    }
    fw->file[fw->file_count] = (struct fw_cfg_file){name, data, size};
    put_big(entry, 4, size);
    put_big(entry + 4, 2, ITEM_FILE_FIRST + fw->file_count);
    memcpy(entry + 8, name, strnlen(name, FW_CFG_NAME_SIZE - 1));
    put_big(fw->directory, 4, ++fw->file_count);
}

void fw_cfg_reset(struct fw_cfg *fw)
{
    fw->state = (struct fw_cfg_state){0};
}

void fw_cfg_select(struct fw_cfg *fw, uint16_t selector)
{
    fw->state.selector = selector;
    fw->state.offset = 0;
}

static void advance(struct fw_cfg_state *state, uint32_t count)
{
    state->offset = count < UINT32_MAX - state->offset ? state->offset + count : UINT32_MAX;
}

uint8_t fw_cfg_read(struct fw_cfg *fw)
{
    uint8_t scratch[sizeof(uint64_t)];
    struct item item = find_item(fw, scratch);
    uint32_t at = fw->state.offset;

    advance(&fw->state, 1);
    return at < item.size ? item.data[at] : 0;
}

/* ---- DMA ---- */

uint32_t fw_cfg_dma_read(uint16_t port)
{
    return port == FW_CFG_PORT_DMA ? DMA_SIGNATURE_HIGH : DMA_SIGNATURE_LOW;
}

void fw_cfg_dma_write(struct fw_cfg *fw, uint16_t port, uint32_t value)
{
    struct fw_cfg_state *state = &fw->state;

    if (state->dma != FW_CFG_DMA_IDLE) {
        return;
    }
    value = __builtin_bswap32(value);
    if (port == FW_CFG_PORT_DMA) {
        state->descriptor = (uint64_t)value << 32;
    } else {
        state->descriptor |= value;
        state->dma = FW_CFG_DMA_ASKED;
    }
}

static void finish(struct pc *pc, struct fw_cfg_state *state, uint32_t result)
{
    uint8_t control[4];

    put_big(control, sizeof(control), result);
    (void)pc_edge_ram_write(pc, gpa(state->descriptor), control, sizeof(control));
    state->dma = FW_CFG_DMA_IDLE;
    state->descriptor = 0;
}

static void begin(struct pc *pc, struct fw_cfg *fw)
{
    struct fw_cfg_state *state = &fw->state;
    uint8_t bytes[DESCRIPTOR_SIZE];

    if (!pc_edge_ram_read(pc, gpa(state->descriptor), bytes, sizeof(bytes))) {
        finish(pc, state, CONTROL_ERROR);
        return;
    }
    state->control = (uint32_t)get_big(bytes, 4);
    state->left = (uint32_t)get_big(bytes + 4, 4);
    state->address = get_big(bytes + 8, 8);
    state->dma = FW_CFG_DMA_UNDER_WAY;
    if (state->control & CONTROL_SELECT) {
        fw_cfg_select(fw, (uint16_t)(state->control >> 16));
    }
    if ((state->control & (CONTROL_READ | CONTROL_WRITE | CONTROL_SKIP)) == 0) {
        state->left = 0;
    }
}

/* Bring the next bytes of the item to guest memory, or zeros; false: there is none. */
static bool bring(struct pc *pc, struct fw_cfg *fw, uint32_t count)
{
    static uint8_t zeros[PAGE_SIZE]; /* not const: they need no room in the image then */
    struct fw_cfg_state *state = &fw->state;
    uint8_t scratch[sizeof(uint64_t)];
    struct item item = find_item(fw, scratch);
    const uint8_t *from = zeros;

    if (state->offset < item.size) {
        uint32_t rest = item.size - state->offset;

        from = item.data + state->offset;
        count = count < rest ? count : rest;
    }
    if (!pc_edge_ram_write(pc, gpa(state->address), from, count)) {
        return false;
    }
    advance(state, count);
    state->address += count;
    state->left -= count;
    return true;
}

bool fw_cfg_dma_run(struct pc *pc, struct fw_cfg *fw)
{
    struct fw_cfg_state *state = &fw->state;
    uint32_t result = 0;

    if (state->dma == FW_CFG_DMA_ASKED) {
        begin(pc, fw);
    }
    if (state->dma == FW_CFG_DMA_IDLE) {
        return true;
    }
    if (state->left != 0) {
        /* To the page's end: it may be the last one of RAM, or of a run. */
        uint32_t room = (uint32_t)(PAGE_SIZE - state->address % PAGE_SIZE);

        if (state->control & CONTROL_READ) {
            result = bring(pc, fw, state->left < room ? state->left : room) ? 0 : CONTROL_ERROR;
        } else if (state->control & CONTROL_WRITE) {
            result = CONTROL_ERROR; /* nothing can be written */
        } else {
            advance(state, state->left);
            state->left = 0;
        }
    }
    if (state->left == 0 || result != 0) {
        finish(pc, state, result);
        return true;
    }
    return false;
}
