/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware configuration device of QEMU, traditional interface: selector at port 510h (16
 * bits), data at 511h (bytes). QEMU docs/specs/fw_cfg. Read only; no files, and no DMA, as the id
 * item says. Every function needs the platform lock.
 */
#ifndef PORTOLAN_VMM_PC_FW_CFG_H
#define PORTOLAN_VMM_PC_FW_CFG_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

struct fw_cfg_state {
    uint16_t selector;
    uint32_t offset; /* in the selected item */
};

struct fw_cfg {
    struct fw_cfg_state state;
    uint64_t ram_size; /* configuration, as the next: bytes, all of the VM's */
    uint16_t vcpu_count;
};

extern const struct section fw_cfg_section; /* struct fw_cfg_state */

void fw_cfg_select(struct fw_cfg *fw, uint16_t selector);

/* The data port: the item's next byte, 0 after its last. */
uint8_t fw_cfg_read(struct fw_cfg *fw);

#endif
