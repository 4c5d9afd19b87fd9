/* SPDX-License-Identifier: BSD-2-Clause */
/* Where an access to the window leads, and what the planes make of it. */
#include "vmm/pc/vga.h"

#define MISC_RAM       0x02U
#define MEMORY_CHAIN4  0x08U
#define MEMORY_NO_ODD  0x04U /* of SEQ_MEMORY: odd addresses are not odd planes' */
#define READ_COMPARE   0x08U
#define REGISTERS_SIZE 0x1000U
#define CELLS          (VGA_MEMORY_SIZE / 4)
#define BANK_SHIFT     16U

/* A byte of the window: which double word of the memory, and which planes of it. */
struct cell {
    uint32_t *at;
    uint8_t planes;
};

/* Byte P of the result is FFh if bit P of PLANES is set. */
static uint32_t expand(unsigned planes)
{
    return ((planes & 15U) * 0x204081U & 0x01010101U) * 0xffU;
}

/* False: nothing is at OFFSET of the window now. */
static bool find_cell(const struct vga *vga, uint32_t offset, struct cell *cell)
{
    static const struct {
        uint32_t base, size;
    } maps[] = {
        {0,       0x20000},
        {0,       0x10000},
        {0x10000, 0x8000 },
        {0x18000, 0x8000 }
    };
    const struct vga_state *s = &vga->state;
    unsigned map = s->graphics[GFX_MISC] >> 2 & 3U, memory = s->sequencer[SEQ_MEMORY];

    if ((s->misc & MISC_RAM) == 0 || offset - maps[map].base >= maps[map].size) {
        return false;
    }
    offset = offset - maps[map].base + ((uint32_t)s->vbe[VBE_BANK] << BANK_SHIFT);
    cell->planes = 0x0f;
    if ((memory & MEMORY_CHAIN4) != 0) {
        cell->planes = (uint8_t)(1U << (offset & 3U));
        offset >>= 2;
    } else if ((memory & MEMORY_NO_ODD) == 0) {
        cell->planes = (uint8_t)(5U << (offset & 1U));
        offset >>= 1;
    }
    cell->at = &vga->memory[offset % CELLS];
    return true;
}

/* What a write of VALUE makes of the latches, before the map mask. */
static uint32_t combine(const struct vga_state *s, uint8_t value)
{
    const uint8_t *g = s->graphics;
    unsigned mode = g[GFX_MODE] & 3U, by = g[GFX_ROTATE] & 7U;
    uint8_t rotated = (uint8_t)(value >> by | value << (8 - by)), bits = g[GFX_BIT_MASK];
    uint32_t set = expand(g[GFX_SET_RESET]), enable = expand(g[GFX_ENABLE]), data;

    switch (mode) {
    case 0:
        data = (rotated * 0x01010101U & ~enable) | (set & enable);
        break;
    case 1:
        return s->latch;
    case 2:
        data = expand(value);
        break;
    default:
        data = set;
        bits &= rotated;
        break;
    }
    switch (g[GFX_ROTATE] >> 3) {
    case 1:
        data &= s->latch;
        break;
    case 2:
        data |= s->latch;
        break;
    case 3:
        data ^= s->latch;
        break;
    default:
        break;
    }
    uint32_t mask = bits * 0x01010101U;

    return (data & mask) | (s->latch & ~mask);
}

static void window_write(struct vga *vga, uint32_t offset, uint8_t value)
{
    struct cell cell;

    if (find_cell(vga, offset, &cell)) {
        uint32_t mask = expand(cell.planes & vga->state.sequencer[SEQ_MAP_MASK]);

        *cell.at = (*cell.at & ~mask) | (combine(&vga->state, value) & mask);
    }
}

static uint8_t window_read(struct vga *vga, uint32_t offset)
{
    struct vga_state *s = &vga->state;
    const uint8_t *g = s->graphics;
    struct cell cell;

    if (!find_cell(vga, offset, &cell)) {
        return 0xff;
    }
    s->latch = *cell.at;
    if ((g[GFX_MODE] & READ_COMPARE) != 0) {
        uint32_t differ = (s->latch ^ expand(g[GFX_COMPARE])) & expand(g[GFX_DONT_CARE]);

        differ |= differ >> 16;
        return (uint8_t) ~(differ | differ >> 8);
    }
    /* Of the planes that the address leaves, the one that the map says: of two by its upper bit. */
    unsigned map = g[GFX_READ_MAP];
    unsigned plane = cell.planes == 0x0f ? map
                     : cell.planes == 0x05 || cell.planes == 0x0a
                         ? (map & 2U) | (cell.planes >> 1 & 1U)
                         : (unsigned)__builtin_ctz(cell.planes);

    return (uint8_t)(s->latch >> 8 * plane);
}

/* ---- All of the VGA's memory ---- */

/* *AT becomes an offset in what it is in. */
static enum vga_area {
    AREA_NONE,
    AREA_WINDOW,
    AREA_FRAME,
    AREA_REGISTERS,
    AREA_ROM
} find_area(const struct vga *vga, uint64_t *at)
{
    const struct {
        uint64_t base, size;
    } areas[] = {
        [AREA_WINDOW] = {VGA_WINDOW,             VGA_WINDOW_SIZE},
        [AREA_FRAME] = {vga_frame_base(vga),    VGA_MEMORY_SIZE},
        [AREA_REGISTERS] = {vga_register_base(vga), REGISTERS_SIZE },
        [AREA_ROM] = {vga_rom_base(vga),      VGA_ROM_MAX    },
    };

    for (unsigned i = AREA_WINDOW; i <= AREA_ROM; i++) {
        if (areas[i].base != 0 && *at - areas[i].base < areas[i].size) {
            *at -= areas[i].base;
            return (enum vga_area)i;
        }
    }
    return AREA_NONE;
}

bool vga_claims(const struct vga *vga, uint64_t at)
{
    return vga->memory && find_area(vga, &at) != AREA_NONE;
}

uint64_t vga_memory_read(struct vga *vga, uint64_t at, unsigned width, uint64_t now)
{
    enum vga_area area = find_area(vga, &at);
    const uint8_t *frame = (const uint8_t *)vga->memory;
    uint64_t value = 0;

    if (area == AREA_REGISTERS) {
        return vga_register_read(vga, (uint32_t)at, width < 4 ? width : 4, now);
    }
    for (unsigned i = 0; i < width; i++, at++) {
        uint8_t byte = 0xff;

        if (area == AREA_WINDOW && at < VGA_WINDOW_SIZE) {
            byte = window_read(vga, (uint32_t)at);
        } else if (area == AREA_FRAME && at < VGA_MEMORY_SIZE) {
            byte = frame[at];
        } else if (area == AREA_ROM && at < vga->rom_size) {
            byte = vga->rom[at];
        }
        value |= (uint64_t)byte << 8 * i;
    }
    return value;
}

void vga_memory_write(struct vga *vga, uint64_t at, unsigned width, uint64_t value)
{
    enum vga_area area = find_area(vga, &at);
    uint8_t *frame = (uint8_t *)vga->memory;

    if (area == AREA_REGISTERS) {
        vga_register_write(vga, (uint32_t)at, width < 4 ? width : 4, (uint32_t)value);
    }
    for (unsigned i = 0; i < width; i++, at++, value >>= 8) {
        if (area == AREA_WINDOW && at < VGA_WINDOW_SIZE) {
            window_write(vga, (uint32_t)at, (uint8_t)value);
        } else if (area == AREA_FRAME && at < VGA_MEMORY_SIZE) {
            frame[at] = (uint8_t)value;
        }
    }
}
