/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware configuration device of QEMU: selector at port 510h (16 bits), data at 511h (bytes),
 * and DMA by a descriptor in guest memory, whose address goes to 514h and 518h (big-endian). QEMU
 * docs/specs/fw_cfg. Read only. Every function needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_FW_CFG_H
#define PORTOLAN_VMM_PC_FW_CFG_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define FW_CFG_FILES_MAX 12U

#define FW_CFG_PORT_DMA      0x514U
#define FW_CFG_PORT_DMA_LAST 0x51bU

/* Where a file's name begins and what one entry of the directory takes. */
#define FW_CFG_ENTRY_SIZE 64U
#define FW_CFG_NAME_SIZE  56U

enum fw_cfg_dma { FW_CFG_DMA_IDLE, FW_CFG_DMA_ASKED, FW_CFG_DMA_UNDER_WAY, FW_CFG_DMA_STEPS };

struct fw_cfg_state {
    uint16_t selector;
    uint32_t offset; /* in the selected item */
    uint8_t dma;     /* enum fw_cfg_dma */
    uint64_t descriptor;
    uint32_t control; /* of the transfer that is under way, as the next */
    uint32_t left;
    uint64_t address;
};

/* NAME and DATA stay the caller's. */
struct fw_cfg_file {
    const char *name;
    const uint8_t *data;
    uint32_t size;
};

/* What QEMU's -kernel offers to its option ROM: where each is to go, its size, its bytes. */
enum { FW_CFG_KERNEL, FW_CFG_INITRD, FW_CFG_CMDLINE, FW_CFG_SETUP, FW_CFG_PARTS };

struct fw_cfg_part {
    const uint8_t *data; /* stays the caller's */
    uint32_t size;
    uint32_t address;
};

struct fw_cfg {
    struct fw_cfg_state state;
    uint64_t ram_size; /* configuration, as the next: bytes, all of the VM's */
    uint16_t vcpu_count;
    bool boot_menu;
    bool screen; /* there is a VGA */
    struct fw_cfg_part part[FW_CFG_PARTS];
    unsigned file_count;
    struct fw_cfg_file file[FW_CFG_FILES_MAX];
    uint8_t directory[4 + FW_CFG_FILES_MAX * FW_CFG_ENTRY_SIZE];
};

extern const struct section fw_cfg_section; /* struct fw_cfg_state */

struct pc;

void fw_cfg_reset(struct fw_cfg *fw);

/* Offer a file more; before any vCPU runs, without the lock. */
void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, uint32_t size);

void fw_cfg_select(struct fw_cfg *fw, uint16_t selector);

/* The data port: the item's next byte, 0 after its last. */
uint8_t fw_cfg_read(struct fw_cfg *fw);

/* 514h and 518h, 32 bits: the latter begins a transfer, unless one is under way. */
uint32_t fw_cfg_dma_read(uint16_t port);
void fw_cfg_dma_write(struct fw_cfg *fw, uint16_t port, uint32_t value);

/*
 * Go on with a transfer, by a page at most. False: it is not done yet. What the guest says of it is
 * read once; a descriptor that is not in RAM is none, other addresses that are not end it with an
 * error.
 */
bool fw_cfg_dma_run(struct pc *pc, struct fw_cfg *fw);

#endif
