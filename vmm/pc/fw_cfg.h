/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware configuration device of QEMU, traditional interface: selector at port 510h (16
 * bits), data at 511h (bytes). QEMU docs/specs/fw_cfg. Read only.
 *
 * The DMA interface is not offered (the id item says so). It would be one more reader of
 * fw_cfg_copy(), which is the only place that knows where an item's bytes come from.
 * Every function needs the platform lock.
 */
#ifndef PORTOLAN_VMM_PC_FW_CFG_H
#define PORTOLAN_VMM_PC_FW_CFG_H

#include "vmm/base/fields.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define FW_CFG_PORT      0x510U
#define FW_CFG_FILES_MAX 16U
#define FW_CFG_NAME_SIZE 56U

struct fw_cfg_file {
    const uint8_t *data;
    uint32_t size;
    char name[FW_CFG_NAME_SIZE];
};

struct fw_cfg_state {
    uint16_t selector;
    uint32_t offset; /* in the selected item */
};

struct fw_cfg {
    struct fw_cfg_state state;

    /* Configuration. */
    uint64_t ram_size; /* bytes, all of the VM's */
    uint16_t vcpu_count;
    unsigned file_count;
    struct fw_cfg_file file[FW_CFG_FILES_MAX];
};

extern const struct section fw_cfg_section; /* struct fw_cfg_state */

void fw_cfg_init(struct fw_cfg *fw, unsigned vcpu_count, uint64_t ram_size);

/* Machine reset: select the signature; items and files stay. */
void fw_cfg_reset(struct fw_cfg *fw);

/*
 * Offer SIZE bytes at DATA, which stay valid and unchanged while the VM exists, as the file NAME.
 * INVALID: name empty or 56 bytes or longer; CONFLICT: name taken; NO_MEMORY: 16 files are there.
 */
enum status fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, uint32_t size);

void fw_cfg_select(struct fw_cfg *fw, uint16_t selector);

/* Copy LENGTH bytes of the selected item from OFFSET on; beyond its end, zeros. */
void fw_cfg_copy(const struct fw_cfg *fw, uint32_t offset, uint8_t *to, uint32_t length);

/* The data port: the item's next byte, 0 after its last. */
uint8_t fw_cfg_read(struct fw_cfg *fw);

#endif
