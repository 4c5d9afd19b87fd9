/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/vga_draw.h"

#include "vmm/pc/clock.h"

#include <string.h>

#define CELLS        (VGA_MEMORY_SIZE / 4)
#define FRAME_HZ     70ULL
#define BLINK_CHAR   32U /* frames, half of them away */
#define BLINK_CURSOR 16U

#define CLOCKING_8     0x01U
#define CLOCKING_HALF  0x08U
#define CLOCKING_OFF   0x20U
#define SHOWN          0x20U /* of the attribute's index */
#define ATTR_LINES     0x04U /* line graphics, C0h to DFh (VGADOC): the ninth dot is the eighth */
#define ATTR_BLINK     0x08U
#define ATTR_PAN_TOP   0x20U /* only what is above the line compare is panned */
#define ATTR_16_SETS   0x80U
#define CURSOR_OFF     0x20U
#define MISC_GRAPHICS  0x01U
#define MODE_CGA       0x20U
#define MODE_256       0x40U
#define CRTC_BYTES     0x40U
#define MAX_SCAN_TWICE 0x80U
#define UNDERLINED     0x01U

/* Of code page 437: what is no letter below 20h and from 7Fh on, as ASCII. */
static const char low[] = " oovvvv.ooodqjJ*><|!PS_|^v><L-^v";
static const char high[] =
    "^CueaaaaceeeiiiAAEaAooouuyOUcLYPfaiounNao?--//!<>###|++++++|+++++++++-++"
    "++++++-+++++++++++++#_||^aBrpSsutFOOd8fEn=+><()/=o..Vn2# ";

_Static_assert(sizeof(low) == 0x20 + 1 && sizeof(high) == 0x100 - 0x7f + 1, "all characters");

char vga_ascii(uint8_t character)
{
    if (character < ' ') {
        return low[character];
    }
    if (character >= 0x7f) {
        return high[character - 0x7f];
    }
    return (char)character;
}

/* ---- Looking ---- */

static uint32_t scale_6(unsigned value)
{
    return (value & 0x3fU) << 2 | (value & 1U) * 3;
}

static void look_at_colours(struct vga_picture *p)
{
    const struct vga_state *s = p->state;
    bool wide = (s->vbe[VBE_ENABLE] & VBE_8BIT_DAC) != 0;
    unsigned select = s->attribute[ATTR_SELECT];

    for (unsigned i = 0; i < 256; i++) {
        const uint8_t *dac = &s->dac[(size_t)3 * (i & s->dac_mask)];

        p->palette[i] = wide ? (uint32_t)dac[0] << 16 | (uint32_t)dac[1] << 8 | dac[2]
                             : scale_6(dac[0]) << 16 | scale_6(dac[1]) << 8 | scale_6(dac[2]);
    }
    for (unsigned i = 0; i < 16; i++) {
        unsigned index = s->attribute[i];

        if ((s->attribute[ATTR_MODE] & ATTR_16_SETS) != 0) {
            index = (index & 0x0fU) | (select & 3U) << 4;
        }
        p->colour[i] = p->palette[index | (select & 0x0cU) << 4];
    }
}

static void look_at_vbe(struct vga_picture *p)
{
    const uint16_t *r = p->state->vbe;
    bool planes = r[VBE_BPP] == 4;

    p->kind = planes ? VGA_PLANAR : VGA_LINEAR;
    p->width = r[VBE_WIDTH];
    p->height = r[VBE_HEIGHT];
    p->bits = (uint8_t)r[VBE_BPP];
    p->pitch = r[VBE_VIRTUAL_WIDTH] * (planes ? 1U : (r[VBE_BPP] + 7U) / 8) / (planes ? 8 : 1);
    p->start =
        r[VBE_Y] * p->pitch + r[VBE_X] * (planes ? 1U : (r[VBE_BPP] + 7U) / 8) / (planes ? 8 : 1);
}

static void look_at_text(struct vga_picture *p, uint64_t frame)
{
    const struct vga_state *s = p->state;
    unsigned fonts = s->sequencer[SEQ_FONTS];
    const unsigned map[2] = {(fonts & 3U) | (fonts >> 2 & 4U),
                             (fonts >> 2 & 3U) | (fonts >> 3 & 4U)};
    unsigned lines = (p->height + p->cell_height - 1U) / p->cell_height;

    p->kind = VGA_TEXT;
    for (unsigned i = 0; i < 2; i++) {
        p->font[i] = (map[i] & 3U) * 0x4000 + (map[i] >> 2) * 0x2000;
    }
    p->blinks = (s->attribute[ATTR_MODE] & ATTR_BLINK) != 0 && frame % BLINK_CHAR >= BLINK_CHAR / 2;
    if ((s->crtc[CRTC_CURSOR_START] & CURSOR_OFF) == 0 && frame % BLINK_CURSOR < BLINK_CURSOR / 2) {
        p->cursor = (uint32_t)s->crtc[CRTC_CURSOR_HIGH] << 8 | s->crtc[CRTC_CURSOR_LOW];
    }
    p->lines = (uint16_t)(lines < VGA_TEXT_LINES ? lines : VGA_TEXT_LINES);
    p->columns = p->columns < VGA_TEXT_COLUMNS ? p->columns : VGA_TEXT_COLUMNS;
}

void vga_look(struct vga_picture *picture, const struct vga_state *state, const uint32_t *memory,
              uint64_t now)
{
    const uint8_t *crtc = state->crtc;
    unsigned over = crtc[CRTC_OVERFLOW], clocking = state->sequencer[SEQ_CLOCKING];
    unsigned mode = state->graphics[GFX_MODE], width;
    bool graphics = (state->graphics[GFX_MISC] & MISC_GRAPHICS) != 0;

    memset(picture, 0, sizeof(*picture));
    picture->state = state;
    picture->memory = memory;
    picture->cursor = UINT32_MAX;
    picture->stretch = (clocking & CLOCKING_HALF) != 0 ? 2 : 1;
    picture->cell_width = graphics || (clocking & CLOCKING_8) != 0 ? 8 : 9;
    picture->cell_height = (crtc[CRTC_MAX_SCAN] & 0x1fU) + 1;
    picture->columns = crtc[CRTC_H_DISPLAY] + 1U;
    picture->start = (uint32_t)crtc[CRTC_START_HIGH] << 8 | crtc[CRTC_START_LOW];
    picture->pitch = crtc[CRTC_OFFSET] * 2U;
    width = (unsigned)picture->columns * picture->cell_width * picture->stretch;
    picture->width = (uint16_t)(width < VGA_WIDTH_MAX ? width : VGA_WIDTH_MAX);
    picture->height =
        (uint16_t)((crtc[CRTC_V_DISPLAY] | (over & 0x02U) << 7 | (over & 0x40U) << 3) + 1);
    look_at_colours(picture);
    if ((clocking & CLOCKING_OFF) != 0 || (state->attribute_index & SHOWN) == 0) {
        picture->kind = VGA_BLANK;
    } else if ((state->vbe[VBE_ENABLE] & VBE_ENABLED) != 0) {
        look_at_vbe(picture);
    } else if (!graphics) {
        look_at_text(picture, clock_ticks(now, FRAME_HZ, 1));
    } else {
        picture->kind = (mode & MODE_256) != 0   ? VGA_BYTES
                        : (mode & MODE_CGA) != 0 ? VGA_CGA
                                                 : VGA_PLANAR;
    }
}

/* ---- Lines ---- */

/* A line of the picture in memory: of which row, and which of its scan lines. */
struct scan {
    uint32_t at; /* the first double word */
    unsigned line;
    unsigned pan; /* dots */
};

static struct scan find_scan(const struct vga_picture *p, unsigned y)
{
    const uint8_t *crtc = p->state->crtc;
    unsigned compare = crtc[CRTC_LINE_COMPARE] | (crtc[CRTC_OVERFLOW] & 0x10U) << 4 |
                       (crtc[CRTC_MAX_SCAN] & 0x40U) << 3;
    unsigned pan = p->state->attribute[ATTR_PAN];
    struct scan scan = {.at = p->start, .pan = pan & 7U};

    if (p->cell_width == 9) {
        scan.pan = pan >= 8 ? 0 : pan + 1;
    }
    if (y > compare) { /* the lower half of a split screen */
        y -= compare + 1;
        scan.at = 0;
        scan.pan = (p->state->attribute[ATTR_MODE] & ATTR_PAN_TOP) != 0 ? 0 : scan.pan;
    } else {
        y += crtc[CRTC_ROW_PRESET] & 0x1fU;
    }
    y >>= (crtc[CRTC_MAX_SCAN] & MAX_SCAN_TWICE) != 0 ? 1 : 0;
    scan.line = y % p->cell_height;
    scan.at += y / p->cell_height * p->pitch;
    if (p->kind != VGA_TEXT) { /* as on a CGA or Hercules, scan lines may lie in banks */
        unsigned bank = (crtc[CRTC_MODE] & CRTC_BYTES) != 0 ? 13 : 12;

        scan.at = (crtc[CRTC_MODE] & 1U) != 0
                      ? scan.at
                      : (scan.at & ~(1U << bank)) | (scan.line & 1U) << bank;
        scan.at =
            (crtc[CRTC_MODE] & 2U) != 0 ? scan.at : (scan.at & ~0x2000U) | (scan.line & 2U) << 12;
    }
    return scan;
}

static uint32_t cell_at(const struct vga_picture *p, uint32_t at)
{
    return __atomic_load_n(&p->memory[at % CELLS], __ATOMIC_RELAXED);
}

/* The dots of a character, from bit 8 down, and its two colours. */
static unsigned text_dots(const struct vga_picture *p, const struct scan *scan, uint32_t at,
                          uint32_t colour[2])
{
    const uint8_t *crtc = p->state->crtc;
    uint32_t cell = cell_at(p, at);
    unsigned attribute = cell >> 8 & 0xffU, character = cell & 0xffU;
    bool may_blink = (p->state->attribute[ATTR_MODE] & ATTR_BLINK) != 0;
    uint32_t glyph = cell_at(p, p->font[attribute >> 3 & 1U] + character * 32 + scan->line);
    unsigned dots = (glyph >> 16 & 0xffU) << 1;

    if ((p->state->attribute[ATTR_MODE] & ATTR_LINES) != 0 && character >= 0xc0 &&
        character <= 0xdf) {
        dots |= dots >> 1 & 1U;
    }
    if ((attribute & 0x77U) == UNDERLINED && scan->line == (crtc[CRTC_UNDERLINE] & 0x1fU)) {
        dots = 0x1ff;
    }
    dots = p->blinks && (attribute & 0x80U) != 0 ? 0 : dots;
    if (at == p->cursor && scan->line >= (crtc[CRTC_CURSOR_START] & 0x1fU) &&
        scan->line <= (crtc[CRTC_CURSOR_END] & 0x1fU)) {
        dots = 0x1ff;
    }
    colour[1] = p->colour[attribute & 15U];
    colour[0] = p->colour[attribute >> 4 & (may_blink ? 7U : 15U)];
    return dots;
}

/* The colours of the dots that a double word, or a character, is shown as. */
static void cell_dots(const struct vga_picture *p, const struct scan *scan, uint32_t at,
                      uint32_t dots[9])
{
    unsigned planes = p->state->attribute[ATTR_PLANES];
    uint32_t cell = cell_at(p, at), colour[2];

    if (p->kind == VGA_TEXT) {
        unsigned bits = text_dots(p, scan, at, colour);

        for (unsigned i = 0; i < 9; i++) {
            dots[i] = colour[bits >> (8 - i) & 1U];
        }
        return;
    }
    for (unsigned i = 0; i < 8; i++) {
        unsigned value = 0, shift = 7 - i;

        if (p->kind == VGA_BYTES) {
            dots[i] = p->palette[cell >> 8 * (i / 2) & 0xffU];
            continue;
        }
        if (p->kind == VGA_CGA) { /* two bits a dot: four of planes 0 and 2, then of 1 and 3 */
            uint32_t pair = cell >> (i < 4 ? 0 : 8) >> 2 * (3 - i % 4);

            value = (pair & 3U) | (pair >> 14 & 12U);
        } else {
            value = (cell >> shift & 1U) | (cell >> (shift + 7) & 2U) |
                    (cell >> (shift + 14) & 4U) | (cell >> (shift + 21) & 8U);
        }
        dots[i] = p->colour[value & planes];
    }
}

static void draw_cells(const struct vga_picture *p, unsigned y, uint32_t *pixels)
{
    struct scan scan = find_scan(p, y);
    unsigned skip = scan.pan * p->stretch;
    uint32_t dots[9];

    for (unsigned x = 0; x < p->width; scan.at++) {
        cell_dots(p, &scan, scan.at, dots);
        for (unsigned i = 0; i < (unsigned)p->cell_width * p->stretch; i++) {
            if (skip > 0) {
                skip--;
            } else if (x < p->width) {
                pixels[x++] = dots[i / p->stretch];
            }
        }
    }
}

static uint32_t spread(uint32_t value, unsigned bits)
{
    value &= (1U << bits) - 1;
    return value << (8 - bits) | value >> (2 * bits - 8);
}

/* Rows of VBE in planes have a pitch of their own, and no scan lines. */
static void draw_planes(const struct vga_picture *p, unsigned y, uint32_t *pixels)
{
    struct scan scan = {.at = p->start + y * p->pitch};
    uint32_t dots[9];

    for (unsigned x = 0; x < p->width; x += 8) {
        cell_dots(p, &scan, scan.at++, dots);
        memcpy(pixels + x, dots, 8 * sizeof(dots[0]));
    }
}

static void draw_linear(const struct vga_picture *p, unsigned y, uint32_t *pixels)
{
    const uint8_t *bytes = (const uint8_t *)p->memory;
    unsigned size = (p->bits + 7U) / 8;
    uint32_t at = p->start + y * p->pitch;

    for (unsigned x = 0; x < p->width; x++, at += size) {
        uint32_t value = 0;

        for (unsigned i = 0; i < size; i++) {
            value |= (uint32_t)__atomic_load_n(&bytes[(at + i) % VGA_MEMORY_SIZE], __ATOMIC_RELAXED)
                     << 8 * i;
        }
        switch (p->bits) {
        case 8:
            pixels[x] = p->palette[value];
            break;
        case 15:
            pixels[x] =
                spread(value >> 10, 5) << 16 | spread(value >> 5, 5) << 8 | spread(value, 5);
            break;
        case 16:
            pixels[x] =
                spread(value >> 11, 5) << 16 | spread(value >> 5, 6) << 8 | spread(value, 5);
            break;
        default:
            pixels[x] = value & 0xffffffU;
            break;
        }
    }
}

void vga_draw_line(const struct vga_picture *picture, unsigned y, uint32_t *pixels)
{
    if (picture->kind == VGA_BLANK) {
        memset(pixels, 0, picture->width * sizeof(*pixels));
    } else if (picture->kind == VGA_LINEAR) {
        draw_linear(picture, y, pixels);
    } else if ((picture->state->vbe[VBE_ENABLE] & VBE_ENABLED) != 0) {
        draw_planes(picture, y, pixels);
    } else {
        draw_cells(picture, y, pixels);
    }
}

/* ---- Text ---- */

void vga_text_line(const struct vga_picture *picture, unsigned line, uint16_t *cells)
{
    for (unsigned i = 0; i < picture->columns; i++) {
        cells[i] = (uint16_t)cell_at(picture, picture->start + line * picture->pitch + i);
    }
}

bool vga_text_cursor(const struct vga_picture *picture, unsigned *line, unsigned *column)
{
    const uint8_t *crtc = picture->state->crtc;
    uint32_t at = ((uint32_t)crtc[CRTC_CURSOR_HIGH] << 8 | crtc[CRTC_CURSOR_LOW]) - picture->start;

    *line = picture->pitch != 0 ? at / picture->pitch : 0;
    *column = picture->pitch != 0 ? at % picture->pitch : 0;
    return picture->kind == VGA_TEXT && (crtc[CRTC_CURSOR_START] & CURSOR_OFF) == 0 &&
           picture->pitch != 0 && *line < picture->lines && *column < picture->columns;
}
