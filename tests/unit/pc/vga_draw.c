/* SPDX-License-Identifier: BSD-2-Clause */
/* What is drawn, against pictures made by hand from what each mode is. */
#include "tests/unit/pc/unit.h"

#include "vmm/pc/vga_draw.h"

#include <stdlib.h>
#include <string.h>

static struct vga_state state;
static struct vga_picture picture;
static uint32_t *memory;
static uint32_t pixels[VGA_WIDTH_MAX];

/* Registers of modes as IBM's BIOS sets them: the sequencer's 1 to 4, misc, CRTC, graphics. */
struct mode {
    uint8_t sequencer[5];
    uint8_t crtc[CRTC_COUNT];
    uint8_t graphics[GFX_COUNT];
};

static const struct mode text_80 = {
    {0,     0x00, 0x03, 0x00, 0x02},
    {     0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
    { 0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff},
};
static const struct mode mode_4 = {
    {0,     0x09, 0x03, 0x00, 0x02},
    {     0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff},
    { 0, 0, 0, 0, 0, 0x30, 0x0f, 0, 0xff},
};
static const struct mode mode_12 = {
    {0,     0x01, 0x0f, 0x00, 0x06},
    {     0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff},
    { 0, 0, 0, 0, 0, 0x00, 0x05, 0x0f, 0xff},
};
static const struct mode mode_13 = {
    {0,     0x01, 0x0f, 0x00, 0x0e},
    {     0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
    { 0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff},
};

#define COLOUR(i) ((uint32_t)(i)*0x040404U + ((i)&1U) * 0x030303U)

static void look(uint64_t now)
{
    vga_look(&picture, &state, memory, now);
}

/* The mode, a grey palette of 64 steps, and an identity of the 16 colours. */
static void set_mode(const struct mode *mode)
{
    memset(memory, 0, VGA_MEMORY_SIZE);
    state = (struct vga_state){.dac_mask = 0xff, .attribute_index = 0x20, .misc = 0x67};
    memcpy(state.sequencer, mode->sequencer, sizeof(mode->sequencer));
    memcpy(state.crtc, mode->crtc, sizeof(mode->crtc));
    memcpy(state.graphics, mode->graphics, sizeof(mode->graphics));
    for (unsigned i = 0; i < 768; i++) {
        state.dac[i] = i / 3 & 0x3f;
    }
    for (uint8_t i = 0; i < 16; i++) {
        state.attribute[i] = i;
    }
    state.attribute[ATTR_PLANES] = 0x0f;
    state.attribute[ATTR_PAN] = mode == &text_80 ? 8 : 0; /* with nine dots 8 is none */
    look(0);
}

static int setup(void **context)
{
    memory = malloc(VGA_MEMORY_SIZE);
    return 0;
}

static int teardown(void **context)
{
    free(memory);
    return 0;
}

static const uint32_t *line(unsigned y)
{
    memset(pixels, 0xa5, sizeof(pixels));
    vga_draw_line(&picture, y, pixels);
    for (unsigned x = picture.width; x < VGA_WIDTH_MAX; x++) {
        assert_int_equal(pixels[x], 0xa5a5a5a5); /* nothing is drawn beyond its end */
    }
    return pixels;
}

/* ---- Text ---- */

static void put_glyph(unsigned map, unsigned character, unsigned scan, uint8_t dots)
{
    uint8_t *plane_2 = (uint8_t *)memory + 2;

    plane_2[4 * (map + character * 32 + scan)] = dots;
}

static void put_cell(unsigned at, uint8_t character, uint8_t attribute)
{
    memory[at] = (memory[at] & 0xffff0000) | (unsigned)attribute << 8 | character;
}

/* DOTS as a text of # and ., in the colours FORE and BACK. */
static void expect_dots(const uint32_t *at, const char *dots, unsigned fore, unsigned back)
{
    for (unsigned i = 0; dots[i]; i++) {
        assert_int_equal(at[i], dots[i] == '#' ? COLOUR(fore) : COLOUR(back));
    }
}

static void test_text(void **context)
{
    set_mode(&text_80);
    assert_int_equal(picture.kind, VGA_TEXT);
    assert_int_equal(picture.width, 720);
    assert_int_equal(picture.height, 400);
    assert_int_equal(picture.columns, 80);
    assert_int_equal(picture.lines, 25);
    put_glyph(0, 'A', 5, 0x99);
    put_glyph(0, 0xc4, 5, 0x0f);
    put_glyph(0, 0xbf, 5, 0x55);
    put_cell(81, 'A', 0x1e);
    put_cell(82, 0xc4, 0x70);
    put_cell(83, 0xbf, 0x70);
    expect_dots(line(16 + 5) + 9, "#..##..#.", 14, 1);
    expect_dots(line(16 + 5) + 18, "....####.", 0, 7);
    expect_dots(line(16 + 4) + 9, ".........", 14, 1);
    state.attribute[ATTR_MODE] = 0x04; /* line graphics */
    look(0);
    expect_dots(line(16 + 5) + 18, "....#####", 0, 7);
    expect_dots(line(16 + 5) + 27, ".#.#.#.#.", 0, 7); /* no line: QEMU's VGA continues it */
    expect_dots(line(16 + 5) + 9, "#..##..#.", 14, 1);
    state.sequencer[1] = 1; /* 8 dots */
    look(0);
    assert_int_equal(picture.width, 640);
    expect_dots(line(16 + 5) + 8, "#..##..#", 14, 1);
    expect_dots(line(16 + 5) + 16, "....####", 0, 7);
}

static void test_text_8_dots(void **context)
{
    set_mode(&text_80);
    state.sequencer[1] = 0x09; /* and each twice: 40 columns */
    state.crtc[CRTC_H_DISPLAY] = 0x27;
    state.crtc[CRTC_OFFSET] = 0x14;
    put_glyph(0, 'B', 0, 0xa1);
    put_cell(40, 'B', 0x0f);
    look(0);
    assert_int_equal(picture.width, 640);
    assert_int_equal(picture.columns, 40);
    expect_dots(line(16), "##..##........##", 15, 0);
}

static void test_fonts(void **context)
{
    static const uint32_t place[8] = {0, 0x4000, 0x8000, 0xc000, 0x2000, 0x6000, 0xa000, 0xe000};

    for (uint8_t a = 0; a < 8; a++) {
        for (uint8_t b = 0; b < 8; b++) {
            set_mode(&text_80);
            state.sequencer[3] = (uint8_t)((b & 3) | (b & 4) << 2 | (a & 3) << 2 | (a & 4) << 3);
            put_glyph(place[b], 'x', 3, 0x40);
            put_glyph(place[a], 'x', 3, place[a] == place[b] ? 0x40 : 0x20);
            put_cell(0, 'x', 0x07);
            put_cell(1, 'x', 0x0f);
            look(0);
            expect_dots(line(3), ".#......", 7, 0);
            expect_dots(line(3) + 9, a == b ? ".#......" : "..#.....", 15, 0);
        }
    }
}

static void test_cursor_and_blinking(void **context)
{
    set_mode(&text_80);
    put_glyph(0, 'C', 13, 0x80);
    put_cell(162, 'C', 0x87);
    state.attribute[ATTR_MODE] = 0x08;
    state.crtc[CRTC_CURSOR_LOW] = 162;
    unsigned l = 0, c = 0, cursor = 0, dots = 0, bright = 0;

    for (unsigned frame = 0; frame < 64; frame++) {
        look(frame * NS_PER_S / 70 + 1000);
        cursor += line(2 * 16 + 13)[2 * 9 + 5] == COLOUR(7);
        assert_int_equal(line(2 * 16 + 12)[2 * 9 + 5], COLOUR(0)); /* above the cursor */
        assert_int_equal(line(2 * 16 + 15)[2 * 9 + 5], COLOUR(0)); /* below */
        assert_int_equal(line(2 * 16 + 13)[3 * 9], COLOUR(0));
    }
    assert_int_equal(cursor, 32);
    assert_true(vga_text_cursor(&picture, &l, &c));
    assert_int_equal(l, 2);
    assert_int_equal(c, 2);
    state.crtc[CRTC_CURSOR_START] |= 0x20;
    for (unsigned frame = 0; frame < 64; frame++) {
        look(frame * NS_PER_S / 70 + 1000);
        dots += line(2 * 16 + 13)[2 * 9] == COLOUR(7);
    }
    assert_int_equal(dots, 32);
    assert_false(vga_text_cursor(&picture, &l, &c));
    state.attribute[ATTR_MODE] = 0; /* bit 7 is a bright background */
    for (unsigned frame = 0; frame < 64; frame++) {
        look(frame * NS_PER_S / 70 + 1000);
        bright +=
            line(2 * 16 + 13)[2 * 9] == COLOUR(7) && line(2 * 16 + 13)[2 * 9 + 1] == COLOUR(8);
    }
    assert_int_equal(bright, 64);
    put_cell(0, ' ', 0x01);
    state.crtc[CRTC_UNDERLINE] = 12;
    look(0);
    expect_dots(line(12), "#########", 1, 0);
    expect_dots(line(13), ".........", 1, 0);
}

/* The picture begins in the middle of the memory; below line 100 is what lies at its beginning. */
static void test_split_screen(void **context)
{
    set_mode(&text_80);
    put_glyph(0, 'D', 0, 0xff);
    put_cell(0, 'D', 0x02);
    put_cell(4000, 'D', 0x03);
    state.crtc[CRTC_START_HIGH] = 4000 >> 8;
    state.crtc[CRTC_START_LOW] = 4000 & 0xff;
    state.crtc[CRTC_LINE_COMPARE] = 99;
    state.crtc[CRTC_OVERFLOW] &= 0xef;
    state.crtc[CRTC_MAX_SCAN] &= 0xbf;
    look(0);
    assert_int_equal(line(0)[0], COLOUR(3));
    assert_int_equal(line(99)[0], COLOUR(0));
    assert_int_equal(line(100)[0], COLOUR(2));
    uint16_t cells[VGA_TEXT_COLUMNS];

    vga_text_line(&picture, 0, cells);
    assert_int_equal(cells[0], 0x0344);
    state.attribute[ATTR_PAN] = 3; /* four dots to the left */
    look(0);
    assert_int_equal(line(0)[3], COLOUR(3));
    assert_int_equal(line(0)[4], COLOUR(0));
    state.crtc[CRTC_ROW_PRESET] = 1;
    look(0);
    assert_int_equal(line(0)[0], COLOUR(0));
}

static void test_ascii(void **context)
{
    for (unsigned c = 0; c < 256; c++) {
        assert_in_range(vga_ascii((uint8_t)c), ' ', '~');
        assert_true(c < ' ' || c > '~' || vga_ascii((uint8_t)c) == (char)c);
    }
    assert_int_equal(vga_ascii(0xb3), '|');
    assert_int_equal(vga_ascii(0xc4), '-');
    assert_int_equal(vga_ascii(0xda), '+');
    assert_int_equal(vga_ascii(0x81), 'u');
    assert_int_equal(vga_ascii(0xdb), '#');
    assert_int_equal(vga_ascii(0xe1), 'B');
    assert_int_equal(vga_ascii(0xff), ' ');
    assert_int_equal(vga_ascii(0x10), '>');
}

/* ---- Graphics ---- */

static void test_planes(void **context)
{
    set_mode(&mode_12);
    assert_int_equal(picture.kind, VGA_PLANAR);
    assert_int_equal(picture.width, 640);
    assert_int_equal(picture.height, 480);
    memory[479 * 80 + 79] = 0xf0c8a281;
    for (unsigned i = 0; i < 8; i++) { /* bit 7 of each plane is the left dot */
        unsigned value = 0;

        for (unsigned plane = 0; plane < 4; plane++) {
            value |= (memory[479 * 80 + 79] >> (8 * plane + 7 - i) & 1) << plane;
        }
        assert_int_equal(line(479)[632 + i], COLOUR(value));
    }
    state.attribute[ATTR_PLANES] = 0x05;
    state.attribute[0x05] = 0x3f;
    look(0);
    assert_int_equal(line(479)[632], 0xffffff);
    state.attribute[ATTR_MODE] = 0x80; /* P4 and P5 are of the colour select register */
    state.attribute[ATTR_SELECT] = 0x06;
    look(0);
    assert_int_equal(line(479)[632], COLOUR(0x2f));
    state.dac[3 * 0x6f] = 0;
    look(0);
    assert_int_equal(line(479)[632], COLOUR(0x2f) & 0xffff);
    state.dac_mask = 0x0f;
    look(0);
    assert_int_equal(line(479)[632], COLOUR(0x0f));
}

static void test_mode_13(void **context)
{
    uint8_t *bytes = (uint8_t *)memory;

    set_mode(&mode_13);
    assert_int_equal(picture.width, 640);
    assert_int_equal(picture.height, 400);
    for (unsigned i = 0; i < 64000; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 320);
    }
    for (unsigned y = 0; y < 400; y += 37) {
        for (unsigned x = 0; x < 640; x++) {
            assert_int_equal(line(y)[x], COLOUR(bytes[y / 2 * 320 + x / 2] & 0x3f));
            x += x % 16 == 15 ? 48 : 0;
        }
    }
    state.attribute[ATTR_PAN] = 2; /* a pixel */
    look(0);
    assert_int_equal(line(0)[0], COLOUR(bytes[1] & 0x3f));
}

/* Even lines at 0, odd ones at 2000h, four pixels a byte. */
static void test_cga(void **context)
{
    set_mode(&mode_4);
    assert_int_equal(picture.kind, VGA_CGA);
    assert_int_equal(picture.width, 640);
    assert_int_equal(picture.height, 400);
    for (unsigned y = 0; y < 200; y++) {
        unsigned byte = y % 2 * 0x2000 + y / 2 * 80 + 3;
        uint8_t *plane = (uint8_t *)&memory[byte / 2] + byte % 2;

        *plane = (uint8_t)(y * 5 + 0x1b);
    }
    for (unsigned y = 0; y < 400; y++) {
        unsigned value = (uint8_t)(y / 2 * 5 + 0x1b);

        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(line(y)[24 + 2 * i], COLOUR(value >> (6 - 2 * i) & 3));
            assert_int_equal(line(y)[25 + 2 * i], COLOUR(value >> (6 - 2 * i) & 3));
        }
    }
}

static void test_blank(void **context)
{
    set_mode(&mode_13);
    memset(memory, 0x11, 64000);
    look(0);
    assert_int_equal(line(0)[0], COLOUR(0x11));
    state.attribute_index = 0;
    look(0);
    assert_int_equal(line(0)[0], 0);
    assert_int_equal(line(399)[639], 0);
    state.attribute_index = 0x20;
    state.sequencer[1] |= 0x20;
    look(0);
    assert_int_equal(line(0)[0], 0);
}

static void test_vbe(void **context)
{
    static const struct {
        uint16_t bpp, size;
        uint32_t value, wanted;
    } cases[] = {
        {8,  1, 0x2a,       COLOUR(0x2a)},
        {15, 2, 0xffff,     0xffffff    },
        {15, 2, 0x4210,     0x848484    },
        {15, 2, 0x001f,     0x0000ff    },
        {16, 2, 0xf800,     0xff0000    },
        {16, 2, 0x8410,     0x848284    },
        {24, 3, 0x123456,   0x123456    },
        {32, 4, 0xff123456, 0x123456    },
    };

    set_mode(&mode_13);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t at = (5U + 3) * 1024 * cases[i].size + (7U + 11) * cases[i].size;

        memset(memory, 0, 65536);
        memcpy((uint8_t *)memory + at, &cases[i].value, cases[i].size);
        memcpy(state.vbe,
               (uint16_t[]){0xb0c5, 800, 600, cases[i].bpp, VBE_ENABLED, 0, 1024, 600, 7, 5},
               sizeof(state.vbe));
        look(0);
        assert_int_equal(picture.width, 800);
        assert_int_equal(picture.height, 600);
        assert_int_equal(line(3)[11], cases[i].wanted);
        assert_int_equal(line(3)[10], 0);
        assert_int_equal(line(3)[12], 0);
        assert_int_equal(line(2)[11], 0);
        (void)line(599);
    }
    memcpy(state.vbe, (uint16_t[]){0xb0c5, 800, 600, 4, VBE_ENABLED, 0, 1024, 600, 0, 1},
           sizeof(state.vbe));
    memory[128 + 256] = 0x80008080;
    look(0);
    assert_int_equal(line(2)[0], COLOUR(0x0b));
    assert_int_equal(line(2)[1], COLOUR(0));
    state.vbe[VBE_ENABLE] |= VBE_8BIT_DAC;
    state.vbe[VBE_BPP] = 8;
    state.dac[0] = 0x12;
    state.dac[1] = 0x34;
    state.dac[2] = 0xff;
    look(0);
    assert_int_equal(line(599)[0], 0x1234ff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),         cmocka_unit_test(test_text_8_dots),
        cmocka_unit_test(test_fonts),        cmocka_unit_test(test_cursor_and_blinking),
        cmocka_unit_test(test_split_screen), cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_planes),       cmocka_unit_test(test_mode_13),
        cmocka_unit_test(test_cga),          cmocka_unit_test(test_blank),
        cmocka_unit_test(test_vbe),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
