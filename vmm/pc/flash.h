/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A parallel NOR flash of 8 bits with Intel's command set (CFI 01h), as QEMU has it below a PC's
 * firmware for the firmware's variables. Facts: JEDEC JESD68.01 (CFI) and Intel's 28F data sheets;
 * QEMU's hw/block/pflash_cfi01.c, where OVMF's driver counts on it: status is 0 after it was
 * cleared, and bytes that are programmed are as they were given, also where a bit was 0.
 *
 * A command is the lowest byte of what is written, wherever; an access of more bytes reads each of
 * them by itself. Whatever is written takes a block's size of work at most.
 */
#ifndef PORTOLAN_VMM_PC_FLASH_H
#define PORTOLAN_VMM_PC_FLASH_H

#include "vmm/base/fields.h"

#define FLASH_BLOCK    4096U /* what an erase erases; the whole is a multiple of it */
#define FLASH_BUFFER   256U  /* of a buffered write, which stays in one of these */
#define FLASH_SIZE_MAX (8UL << 20)

/* What is read. */
enum flash_mode { FLASH_ARRAY, FLASH_STATUS, FLASH_ID, FLASH_QUERY, FLASH_MODES };

/* What the next write is. The last three belong to a buffered write. */
enum flash_step {
    FLASH_COMMAND,
    FLASH_PROGRAM,
    FLASH_ERASE,
    FLASH_LOCK,
    FLASH_COUNT,
    FLASH_DATA,
    FLASH_CONFIRM,
    FLASH_STEPS
};

struct flash_state {
    uint8_t mode; /* atomic: read without the lock */
    uint8_t step;
    uint8_t status;
    uint16_t left;      /* bytes of a buffered write that are still to come */
    uint32_t buffer_at; /* where its buffer belongs */
    uint8_t buffer[FLASH_BUFFER];
};

/* The contents, which are state too: a section for each block. */
struct flash_block {
    uint8_t bytes[FLASH_BLOCK];
};

struct flash {
    struct flash_state state;
    /* Configuration; SIZE 0: there is none. */
    uint8_t *bytes; /* SIZE of them, a multiple of FLASH_BLOCK; the guest reads them too */
    uint32_t size;
    uint64_t base;
};

extern const struct section flash_section;       /* struct flash_state */
extern const struct section flash_block_section; /* struct flash_block */

/* Power on, or reset: what is in it stays. */
void flash_reset(struct flash *flash);

/* Is AT, of device memory, the flash's? Also if there is none. No lock. */
static inline bool flash_claims(const struct flash *flash, uint64_t at)
{
    return at - flash->base < flash->size;
}

/* Does a read find what is in it, and nothing else? No lock. */
static inline bool flash_is_array(const struct flash *flash)
{
    return __atomic_load_n(&flash->state.mode, __ATOMIC_ACQUIRE) == FLASH_ARRAY;
}

/* WIDTH bytes, 1, 2, 4 or 8, at OFFSET, which it claims; behind its end reads give ones. */
uint64_t flash_read(const struct flash *flash, uint32_t offset, unsigned width);
void flash_write(struct flash *flash, uint32_t offset, unsigned width, uint64_t value);

#endif
