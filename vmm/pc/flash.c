/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/flash.h"

#include <string.h>

/* The status register; both errors together: a sequence that is none. */
#define STATUS_READY         0x80U
#define STATUS_ERASE_ERROR   0x20U
#define STATUS_PROGRAM_ERROR 0x10U
#define STATUS_SEQUENCE      (STATUS_READY | STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR)

#define WORD_LOCK      0x01U
#define WORD_LOCK_DOWN 0x2fU
#define WORD_CLEAR     0x50U
#define WORD_CONFIRM   0xd0U /* also: unlock */
#define WORD_ARRAY     0xffU

#define ERASED 0xffU

/* Commands, and what they lead to. What is not here leads back to the array. */
static const struct {
    uint8_t word, mode, step;
} commands[] = {
    {0x10,       FLASH_STATUS, FLASH_PROGRAM},
    {0x40,       FLASH_STATUS, FLASH_PROGRAM},
    {0x20,       FLASH_STATUS, FLASH_ERASE  },
    {WORD_CLEAR, FLASH_ARRAY,  FLASH_COMMAND},
    {0x60,       FLASH_STATUS, FLASH_LOCK   },
    {0x70,       FLASH_STATUS, FLASH_COMMAND},
    {0x90,       FLASH_ID,     FLASH_COMMAND},
    {0x98,       FLASH_QUERY,  FLASH_COMMAND},
    {0xe8,       FLASH_STATUS, FLASH_COUNT  },
    {WORD_ARRAY, FLASH_ARRAY,  FLASH_COMMAND},
};

/* What a CFI query tells, from 10h on (JESD68.01, 2.3 to 2.5): command set 1, its table at 31h. */
#define QUERY_FIRST  0x10U
#define QUERY_SIZE   0x27U /* the next power of two */
#define QUERY_BLOCKS 0x2dU /* less one, 16 bits */

static const uint8_t query[] = {
    'Q',  'R',  'Y',  0x01,
    0x00, 0x31, 0x00, 0x00,
    0x00, 0x00, 0x00,       /* no other command set */
    0x45, 0x55, 0x00, 0x00, /* 4.5 V to 5.5 V, no voltage to program */
    0x07, 0x07, 0x0a, 0x00,
    0x04, 0x04, 0x04, 0x00, /* times: byte, buffer, block; at most */
    0x00, 0x00, 0x00, 0x08,
    0x00, /* (size); 8 bits; a buffer of 2^8 bytes */
    0x01, 0x00, 0x00, FLASH_BLOCK / 256,
    0x00, /* one kind of block: (count), size */
    'P',  'R',  'I',  '1',
    '0',  0x00, 0x00, 0x00,
    0x00, /* no suspend, no lock */
};

static void set_mode(struct flash_state *s, enum flash_mode mode)
{
    __atomic_store_n(&s->mode, (uint8_t)mode, __ATOMIC_RELEASE);
}

void flash_reset(struct flash *flash)
{
    flash->state = (struct flash_state){.mode = FLASH_ARRAY, .status = STATUS_READY};
}

static uint8_t query_byte(const struct flash *flash, uint32_t offset)
{
    uint32_t blocks = flash->size / FLASH_BLOCK - 1;

    offset %= 0x100;
    switch (offset) {
    case QUERY_SIZE:
        return (uint8_t)(32 - __builtin_clz(flash->size - 1));
    case QUERY_BLOCKS:
        return (uint8_t)blocks;
    case QUERY_BLOCKS + 1:
        return (uint8_t)(blocks >> 8);
    default:
        return offset - QUERY_FIRST < sizeof(query) ? query[offset - QUERY_FIRST] : 0;
    }
}

/* No chip's identity: QEMU's has none on a PC; and no block is locked. */
static uint8_t read_byte(const struct flash *flash, uint32_t offset)
{
    switch (flash->state.mode) {
    case FLASH_STATUS:
        return flash->state.status;
    case FLASH_ID:
        return 0;
    case FLASH_QUERY:
        return query_byte(flash, offset);
    default:
        return flash->bytes[offset];
    }
}

uint64_t flash_read(const struct flash *flash, uint32_t offset, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++) {
        uint8_t byte = offset + i < flash->size ? read_byte(flash, offset + i) : ERASED;

        value |= (uint64_t)byte << 8 * i;
    }
    return value;
}

static void command(struct flash_state *s, uint8_t word)
{
    enum flash_mode mode = FLASH_ARRAY;

    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (commands[i].word == word) {
            mode = (enum flash_mode)commands[i].mode;
            s->step = commands[i].step;
        }
    }
    if (word == WORD_CLEAR) {
        s->status = 0;
    } else if (s->step == FLASH_COUNT) { /* there is a buffer */
        s->status |= STATUS_READY;
    }
    set_mode(s, mode);
}

/* The second word of a command is GOOD, or not; reading the array ends it without a complaint. */
static void finish(struct flash_state *s, uint8_t word, bool good)
{
    s->step = FLASH_COMMAND;
    if (!good && word == WORD_ARRAY) {
        set_mode(s, FLASH_ARRAY);
    } else {
        s->status |= good ? STATUS_READY : STATUS_SEQUENCE;
    }
}

static void program(struct flash *flash, uint32_t offset, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width && offset + i < flash->size; i++, value >>= 8) {
        flash->bytes[offset + i] = (uint8_t)value;
    }
}

static void begin_buffer(struct flash *flash, uint32_t offset, uint8_t count)
{
    struct flash_state *s = &flash->state;

    s->left = (uint16_t)(count + 1U);
    s->buffer_at = offset - offset % FLASH_BUFFER;
    memcpy(s->buffer, flash->bytes + s->buffer_at, FLASH_BUFFER);
    s->step = FLASH_DATA;
}

static void fill_buffer(struct flash_state *s, uint32_t offset, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width && s->left > 0; i++, value >>= 8, s->left--) {
        if (offset + i - s->buffer_at >= FLASH_BUFFER) {
            finish(s, 0, false);
            return;
        }
        s->buffer[offset + i - s->buffer_at] = (uint8_t)value;
    }
    s->step = s->left > 0 ? FLASH_DATA : FLASH_CONFIRM;
}

/* State that was loaded may come from a larger one. */
static void end_buffer(struct flash *flash)
{
    if (flash->state.buffer_at < flash->size) {
        memcpy(flash->bytes + flash->state.buffer_at, flash->state.buffer, FLASH_BUFFER);
    }
}

void flash_write(struct flash *flash, uint32_t offset, unsigned width, uint64_t value)
{
    struct flash_state *s = &flash->state;
    uint8_t word = (uint8_t)value;

    switch (s->step) {
    case FLASH_PROGRAM:
        program(flash, offset, width, value);
        finish(s, word, true);
        break;
    case FLASH_ERASE:
        if (word == WORD_CONFIRM) {
            memset(flash->bytes + (offset - offset % FLASH_BLOCK), ERASED, FLASH_BLOCK);
        }
        finish(s, word, word == WORD_CONFIRM);
        break;
    case FLASH_LOCK:
        finish(s, word, word == WORD_LOCK || word == WORD_CONFIRM || word == WORD_LOCK_DOWN);
        break;
    case FLASH_COUNT:
        begin_buffer(flash, offset, word);
        break;
    case FLASH_DATA:
        fill_buffer(s, offset, width, value);
        break;
    case FLASH_CONFIRM:
        if (word == WORD_CONFIRM) {
            end_buffer(flash);
        }
        finish(s, word, word == WORD_CONFIRM);
        break;
    default:
        command(s, word);
        break;
    }
}

/* ---- State ---- */

static const struct field flash_fields[] = {
    FIELD(struct flash_state, mode, FLASH_MODES - 1),
    FIELD(struct flash_state, step, FLASH_STEPS - 1),
    FIELD(struct flash_state, status, STATUS_SEQUENCE),
    FIELD(struct flash_state, left, FLASH_BUFFER),
    FIELD(struct flash_state, buffer_at, FLASH_SIZE_MAX - FLASH_BUFFER),
    FIELD_ARRAY(struct flash_state, buffer, UINT8_MAX),
};

static const struct field block_fields[] = {
    FIELD_ARRAY(struct flash_block, bytes, UINT8_MAX),
};

/* Whoever waits for a second word is being asked for its status; data is awaited while some is
 * left. */
static bool check(const void *state)
{
    const struct flash_state *s = state;

    return (s->status & ~STATUS_SEQUENCE) == 0 &&
           (s->step == FLASH_COMMAND || s->mode == FLASH_STATUS) &&
           (s->step != FLASH_DATA || s->left > 0) && s->buffer_at % FLASH_BUFFER == 0;
}

const struct section flash_section = SECTION(struct flash_state, "flash", 1, flash_fields, check);
const struct section flash_block_section =
    SECTION(struct flash_block, "flash-block", 1, block_fields, NULL);
