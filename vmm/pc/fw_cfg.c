/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/fw_cfg.h"

/* Item numbers of the interface. The directory of files, 19h, reads as 0: there are none. */
enum {
    ITEM_SIGNATURE = 0x00,
    ITEM_ID = 0x01,
    ITEM_RAM_SIZE = 0x03,
    ITEM_NO_GRAPHICS = 0x04,
    ITEM_CPUS = 0x05,
    ITEM_CPUS_MAX = 0x0f,
    ITEM_IRQ0_OVERRIDE = 0x8002
};

#define WRITE_CHANNEL  0x4000U     /* selector bit: the long gone write interface */
#define SIGNATURE      0x554d4551U /* "QEMU" */
#define ID_TRADITIONAL 0x01U       /* bit 1 would be DMA */

static const struct field fw_cfg_fields[] = {
    FIELD(struct fw_cfg_state, selector, 0xffff),
    FIELD(struct fw_cfg_state, offset, UINT32_MAX),
};

const struct section fw_cfg_section =
    SECTION(struct fw_cfg_state, "fw_cfg", 1, fw_cfg_fields, NULL);

/* The selected item, little-endian; zeros follow it. */
static uint64_t item(const struct fw_cfg *fw)
{
    switch (fw->state.selector & ~WRITE_CHANNEL) {
    case ITEM_SIGNATURE:
        return SIGNATURE;
    case ITEM_ID:
        return ID_TRADITIONAL;
    case ITEM_RAM_SIZE:
        return fw->ram_size;
    case ITEM_NO_GRAPHICS:
    case ITEM_IRQ0_OVERRIDE:
        return 1;
    case ITEM_CPUS:
    case ITEM_CPUS_MAX:
        return fw->vcpu_count;
    default:
        return 0;
    }
}

void fw_cfg_select(struct fw_cfg *fw, uint16_t selector)
{
    fw->state = (struct fw_cfg_state){.selector = selector};
}

uint8_t fw_cfg_read(struct fw_cfg *fw)
{
    uint32_t at = fw->state.offset;

    if (at != UINT32_MAX) {
        fw->state.offset++;
    }
    return at < sizeof(uint64_t) ? (uint8_t)(item(fw) >> 8 * at) : 0;
}
