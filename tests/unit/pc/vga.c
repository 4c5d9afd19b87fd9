/* SPDX-License-Identifier: BSD-2-Clause */
/* The VGA's registers and memory, against the facts and against a model of single bits. */
#include "tests/unit/pc/unit.h"

#include "vmm/pc/pci_host.h"
#include "vmm/pc/vga.h"

#include <stdlib.h>
#include <string.h>

static struct vga vga;

static int setup(void **state)
{
    uint32_t *memory = vga.memory ? vga.memory : malloc(VGA_MEMORY_SIZE);

    vga = (struct vga){.memory = memory};
    vga_reset(&vga);
    vga_port_write(&vga, 0x3c2, 0x67);
    return 0;
}

static int teardown(void **state)
{
    free(vga.memory);
    vga.memory = NULL;
    return 0;
}

static uint8_t in(uint16_t port)
{
    return vga_port_read(&vga, port, 0);
}

static void out(uint16_t port, uint8_t value)
{
    vga_port_write(&vga, port, value);
}

static void put(uint16_t port, uint8_t index, uint8_t value)
{
    out(port, index);
    out(port + 1, value);
}

static uint8_t get(uint16_t port, uint8_t index)
{
    out(port, index);
    return in(port + 1);
}

static void vbe_put(uint16_t index, uint16_t value)
{
    vga_vbe_write(&vga, 0x1ce, index);
    vga_vbe_write(&vga, 0x1cf, value);
    vga_clear(&vga);
}

static uint16_t vbe_get(uint16_t index)
{
    vga_vbe_write(&vga, 0x1ce, index);
    return vga_vbe_read(&vga, 0x1cf);
}

/* Which bits of each indexed register there are: IBM's reference, and FreeVGA. */
static void test_bits(void **state)
{
    static const struct {
        uint16_t port;
        uint8_t index, bits;
    } facts[] = {
        {0x3c4, 0,    0x03},
        {0x3c4, 1,    0x3d},
        {0x3c4, 2,    0x0f},
        {0x3c4, 3,    0x3f},
        {0x3c4, 4,    0x0e},
        {0x3c4, 5,    0   },
        {0x3ce, 0,    0x0f},
        {0x3ce, 1,    0x0f},
        {0x3ce, 2,    0x0f},
        {0x3ce, 3,    0x1f},
        {0x3ce, 4,    0x03},
        {0x3ce, 5,    0x7b},
        {0x3ce, 6,    0x0f},
        {0x3ce, 7,    0x0f},
        {0x3ce, 8,    0xff},
        {0x3ce, 9,    0   },
        {0x3d4, 0,    0xff},
        {0x3d4, 7,    0xff},
        {0x3d4, 8,    0x7f},
        {0x3d4, 9,    0xff},
        {0x3d4, 10,   0x3f},
        {0x3d4, 11,   0x7f},
        {0x3d4, 14,   0xff},
        {0x3d4, 0x14, 0x7f},
        {0x3d4, 0x17, 0xef},
        {0x3d4, 0x18, 0xff},
        {0x3d4, 0x19, 0   },
        {0x3d4, 0x3f, 0   },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(facts); i++) {
        put(facts[i].port, facts[i].index, 0xff);
        assert_int_equal(get(facts[i].port, facts[i].index), facts[i].bits);
        put(facts[i].port, facts[i].index, 0);
        assert_int_equal(get(facts[i].port, facts[i].index), 0);
    }
    for (unsigned i = 0; i < 0x20; i++) {
        (void)in(0x3da);
        out(0x3c0, (uint8_t)i);
        out(0x3c0, 0xff);
        assert_int_equal(in(0x3c1), i < 16      ? 0x3f
                                    : i == 0x10 ? 0xef
                                    : i == 0x11 ? 0xff
                                    : i == 0x12 ? 0x3f
                                    : i < 0x15  ? 0x0f
                                                : 0);
    }
}

static void test_colour_or_mono(void **state)
{
    put(0x3d4, 0x0e, 0x12);
    assert_int_equal(in(0x3b4), 0xff);
    assert_int_equal(in(0x3ba), 0xff);
    out(0x3c2, 0x66);
    assert_int_equal(in(0x3d5), 0xff);
    assert_int_equal(get(0x3b4, 0x0e), 0x12);
    assert_int_equal(in(0x3ba) & 0xf6, 0);
    out(0x3ba, 0x0f);
    assert_int_equal(in(0x3ca), 0x0f);
    assert_int_equal(in(0x3cc), 0x66);
    assert_int_equal(in(0x3b0), 0xff);
    assert_int_equal(in(0x3dc), 0xff);
}

static void test_crtc_protection(void **state)
{
    put(0x3d4, 0x07, 0x1f);
    put(0x3d4, 0x06, 0x55);
    put(0x3d4, 0x11, 0x80);
    put(0x3d4, 0x06, 0xaa);
    assert_int_equal(get(0x3d4, 0x06), 0x55);
    put(0x3d4, 0x07, 0xe0);
    assert_int_equal(get(0x3d4, 0x07), 0x0f); /* the line compare's bit alone */
    put(0x3d4, 0x09, 0xaa);
    assert_int_equal(get(0x3d4, 0x09), 0xaa);
}

static void test_attribute_flip_flop(void **state)
{
    (void)in(0x3da);
    out(0x3c0, 0x31);
    assert_int_equal(in(0x3c0), 0x31);
    (void)in(0x3da);
    out(0x3c0, 0x05);
    out(0x3c0, 0x2a);
    out(0x3c0, 0x06);
    out(0x3c0, 0x15);
    (void)in(0x3da);
    out(0x3c0, 0x05);
    assert_int_equal(in(0x3c1), 0x2a);
}

static void test_dac(void **state)
{
    out(0x3c8, 254);
    for (unsigned i = 0; i < 9; i++) { /* it goes round */
        out(0x3c9, (uint8_t)(0xc0 + i));
    }
    assert_int_equal(in(0x3c8), 1);
    assert_int_equal(in(0x3c7), 0);
    out(0x3c7, 254);
    assert_int_equal(in(0x3c7), 3);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(in(0x3c9), i);
    }
    vbe_put(VBE_ENABLE, VBE_8BIT_DAC);
    out(0x3c8, 7);
    out(0x3c9, 0xc5);
    out(0x3c7, 7);
    assert_int_equal(in(0x3c9), 0xc5);
    out(0x3c6, 0x3f);
    assert_int_equal(in(0x3c6), 0x3f);
}

/* Mode 3's times: 70 Hz, 449 lines of 900 dots, 28.322 MHz; two lines of retrace from line 412. */
static void test_retrace(void **state)
{
    static const uint8_t crtc[] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0,   0x4f,
                                   0,    0,    0,    0,    0,    0,    0x9c, 0x8e, 0x8f};
    unsigned retraces = 0, blank = 0, last = 0, samples = 0, in_retrace = 0;

    for (uint8_t i = 0; i < ARRAY_SIZE(crtc); i++) {
        put(0x3d4, i, crtc[i]);
    }
    for (uint64_t now = 0; now < NS_PER_S; now += 4999, samples++) {
        unsigned status = vga_port_read(&vga, 0x3da, now);

        retraces += (status & 8) != 0 && (last & 8) == 0;
        in_retrace += (status & 8) != 0;
        blank += status & 1;
        assert_true((status & 8) == 0 || (status & 1) != 0);
        last = status;
    }
    assert_in_range(retraces, 69, 71);
    assert_in_range(1000 * in_retrace / samples, 3, 6); /* 2 of 449 */
    assert_in_range(1000 * blank / samples, 1000 - 1000 * 400 / 449 * 80 / 100 - 10, 300);
}

/* ---- The planes ---- */

/* A bit of a plane after a write, from IBM's diagrams: one bit at a time. */
static unsigned model_bit(unsigned plane, unsigned bit, uint8_t value, uint32_t latches)
{
    const uint8_t *g = vga.state.graphics;
    unsigned latch = latches >> (8 * plane + bit) & 1, mode = g[5] & 3;
    unsigned rotated = value >> ((bit + (g[3] & 7)) % 8) & 1, data, mask = g[8] >> bit & 1;

    switch (mode) {
    case 0:
        data = (g[1] >> plane & 1) ? g[0] >> plane & 1 : rotated;
        break;
    case 1:
        return latch;
    case 2:
        data = value >> plane & 1;
        break;
    default:
        data = g[0] >> plane & 1;
        mask &= rotated;
        break;
    }
    switch (g[3] >> 3) {
    case 1:
        data &= latch;
        break;
    case 2:
        data |= latch;
        break;
    case 3:
        data ^= latch;
        break;
    default:
        break;
    }
    return mask ? data : latch;
}

static uint32_t model_write(uint8_t value, uint32_t latches, uint32_t before, unsigned planes)
{
    for (unsigned plane = 0; plane < 4; plane++) {
        for (unsigned bit = 0; bit < 8 && (planes >> plane & 1); bit++) {
            uint32_t at = 1U << (8 * plane + bit);

            before = model_bit(plane, bit, value, latches) ? before | at : before & ~at;
        }
    }
    return before;
}

static uint32_t seed = 1;

static uint32_t draw(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed ^ seed >> 15;
}

/* All modes, functions and rotations with all values, and what else there is drawn for each. */
static void test_write_modes(void **state)
{
    put(0x3c4, 4, 6);
    put(0x3ce, 6, 5);
    for (unsigned i = 0; i < 4 * 4 * 8 * 256 * 16; i++) {
        uint32_t latches = draw(), before = draw(), other = draw();
        uint8_t value = (uint8_t)(i >> 7), planes = (uint8_t)(other & 15);

        vga.state.graphics[5] = i & 3;
        vga.state.graphics[3] = i >> 2 & 31;
        vga.state.graphics[0] = other >> 4 & 15;
        vga.state.graphics[1] = other >> 8 & 15;
        vga.state.graphics[8] = (uint8_t)(i & 0x8000 ? other >> 12 : 0xff);
        vga.state.sequencer[2] = i & 0x10000 ? planes : 15;
        vga.memory[0x1234] = latches;
        (void)vga_memory_read(&vga, 0xa1234, 1, 0);
        vga.memory[0x1234] = before;
        vga_memory_write(&vga, 0xa1234, 1, value);
        if (vga.memory[0x1234] != model_write(value, latches, before, vga.state.sequencer[2])) {
            fail_msg("mode %u, function %u, rotation %u, value %#x: %#x", i & 3, i >> 5 & 3,
                     i >> 2 & 7, value, vga.memory[0x1234]);
        }
    }
}

static void test_read_modes(void **state)
{
    put(0x3c4, 4, 6);
    put(0x3ce, 6, 5);
    for (unsigned i = 0; i < 65536; i++) {
        uint32_t cell = draw();
        uint8_t wanted = 0, compare = i & 15, care = i >> 4 & 15;

        vga.memory[7] = cell;
        vga.state.graphics[4] = i & 3;
        vga.state.graphics[5] = 0;
        assert_int_equal(vga_memory_read(&vga, 0xa0007, 1, 0), cell >> 8 * (i & 3) & 0xff);
        assert_int_equal(vga.state.latch, cell);
        vga.state.graphics[5] = 8;
        vga.state.graphics[2] = compare;
        vga.state.graphics[7] = care;
        for (unsigned bit = 0; bit < 8; bit++) {
            bool same = true;

            for (unsigned plane = 0; plane < 4; plane++) {
                same = same && (!(care >> plane & 1) ||
                                (cell >> (8 * plane + bit) & 1) == (compare >> plane & 1U));
            }
            wanted |= (uint8_t)(same << bit);
        }
        assert_int_equal(vga_memory_read(&vga, 0xa0007, 1, 0), wanted);
    }
}

/* What is where in which map; elsewhere there is nothing. */
static void test_window(void **state)
{
    static const struct {
        uint8_t map;
        uint32_t first, last;
    } maps[] = {
        {0x01, 0xa0000, 0xbffff},
        {0x05, 0xa0000, 0xaffff},
        {0x09, 0xb0000, 0xb7fff},
        {0x0d, 0xb8000, 0xbffff},
    };

    put(0x3c4, 2, 15);
    put(0x3c4, 4, 6);
    put(0x3ce, 8, 0xff);
    for (unsigned i = 0; i < ARRAY_SIZE(maps); i++) {
        put(0x3ce, 6, maps[i].map);
        memset(vga.memory, 0x5a, 0x80000);
        vga_memory_write(&vga, maps[i].first, 1, 0x11);
        vga_memory_write(&vga, maps[i].last, 1, 0x22);
        assert_int_equal(vga.memory[0], 0x11111111);
        assert_int_equal(vga.memory[maps[i].last - maps[i].first], 0x22222222);
        assert_int_equal(vga_memory_read(&vga, maps[i].last, 1, 0), 0x22);
        for (uint32_t at = 0xa0000; at < 0xc0000; at += 0x1000) {
            bool there = at >= maps[i].first && at <= maps[i].last;

            if (!there) {
                assert_int_equal(vga_memory_read(&vga, at, 1, 0), 0xff);
            }
        }
    }
    out(0x3c2, 0x65); /* the memory is off */
    assert_int_equal(vga_memory_read(&vga, 0xb8000, 1, 0), 0xff);
    vga_memory_write(&vga, 0xb8000, 1, 0x33);
    assert_int_equal(vga.memory[0], 0x11111111);
    assert_false(vga_claims(&vga, 0x9ffff));
    assert_true(vga_claims(&vga, 0xa0000));
    assert_true(vga_claims(&vga, 0xbffff));
    assert_false(vga_claims(&vga, 0xc0000));
}

static void test_text_and_chain_4(void **state)
{
    put(0x3c4, 2, 3);
    put(0x3c4, 4, 2); /* odd/even */
    put(0x3ce, 5, 0x10);
    put(0x3ce, 6, 0x0e);
    put(0x3ce, 8, 0xff);
    memset(vga.memory, 0x77, 64);
    vga_memory_write(&vga, 0xb8000, 8, 0x1f421e411f41074eULL);
    assert_int_equal(vga.memory[0], 0x7777074e);
    assert_int_equal(vga.memory[3], 0x77771f42);
    assert_int_equal(vga_memory_read(&vga, 0xb8002, 4, 0), 0x1e411f41);
    put(0x3ce, 4, 2); /* planes 2 and 3 */
    assert_int_equal(vga_memory_read(&vga, 0xb8000, 1, 0), 0x77);
    put(0x3c4, 2, 15);
    put(0x3c4, 4, 0x0e); /* chain 4 */
    put(0x3ce, 5, 0x40);
    put(0x3ce, 6, 0x05);
    vga_memory_write(&vga, 0xa0003, 4, 0x04030201);
    assert_memory_equal((uint8_t *)vga.memory + 3, "\1\2\3\4", 4);
    assert_int_equal(vga_memory_read(&vga, 0xa0004, 2, 0), 0x0302);
    put(0x3c4, 2, 0x0e);
    vga_memory_write(&vga, 0xa0004, 4, 0); /* plane 0 is masked */
    assert_memory_equal((uint8_t *)vga.memory + 3, "\1\2\0\0\0", 5);
}

/* ---- VBE ---- */

static void set_vbe(uint16_t width, uint16_t height, uint16_t bpp, uint16_t how)
{
    vbe_put(VBE_ENABLE, 0);
    vbe_put(VBE_WIDTH, width);
    vbe_put(VBE_HEIGHT, height);
    vbe_put(VBE_BPP, bpp);
    vbe_put(VBE_ENABLE, VBE_ENABLED | how);
}

static void test_vbe(void **state)
{
    assert_int_equal(vbe_get(VBE_ID), 0xb0c5);
    vbe_put(VBE_ID, 0xb0c2);
    assert_int_equal(vbe_get(VBE_ID), 0xb0c2);
    vbe_put(VBE_ID, 0xb0c6);
    assert_int_equal(vbe_get(VBE_ID), 0xb0c2);
    assert_int_equal(vbe_get(VBE_MEMORY), 256);
    vbe_put(VBE_ENABLE, VBE_GET_CAPS);
    assert_int_equal(vbe_get(VBE_WIDTH), 2560);
    assert_int_equal(vbe_get(VBE_HEIGHT), 1600);
    assert_int_equal(vbe_get(VBE_BPP), 32);
    memset(vga.memory, 0xee, VGA_MEMORY_SIZE);
    set_vbe(1920, 1200, 32, 0);
    assert_int_equal(vbe_get(VBE_VIRTUAL_WIDTH), 1920);
    assert_int_equal(vbe_get(VBE_VIRTUAL_HEIGHT), 2184);
    assert_int_equal(vga.memory[0], 0);
    assert_int_equal(vga.memory[1920 * 1200 - 1], 0);
    assert_int_equal(vga.memory[1920 * 1200], 0xeeeeeeee);
    vbe_put(VBE_Y, 984);
    assert_int_equal(vbe_get(VBE_Y), 984);
    vbe_put(VBE_Y, 985); /* beyond the memory */
    assert_int_equal(vbe_get(VBE_Y), 0);
    set_vbe(643, 480, 11, VBE_NO_CLEAR);
    assert_int_equal(vbe_get(VBE_WIDTH), 640);
    assert_int_equal(vbe_get(VBE_BPP), 8);
    assert_int_equal(vga.memory[1920 * 1200], 0xeeeeeeee);
    vbe_put(VBE_VIRTUAL_WIDTH, 1024);
    assert_int_equal(vbe_get(VBE_VIRTUAL_HEIGHT), 16384);
    vbe_put(VBE_VIRTUAL_WIDTH, 10);
    assert_int_equal(vbe_get(VBE_VIRTUAL_WIDTH), 640);
    set_vbe(0, 0, 0, 0);
    assert_int_equal(vbe_get(VBE_WIDTH), 8);
    assert_int_equal(vbe_get(VBE_HEIGHT), 1);
    set_vbe(65535, 65535, 32, 0);
    assert_int_equal(vbe_get(VBE_WIDTH), 2560);
    assert_int_equal(vbe_get(VBE_HEIGHT), 1600);
    assert_int_equal(vbe_get(77), 0);
}

static void test_banks(void **state)
{
    uint8_t *bytes = (uint8_t *)vga.memory;

    set_vbe(1024, 768, 8, 0);
    for (unsigned bank = 0; bank < 256; bank += 15) {
        vbe_put(VBE_BANK, (uint16_t)bank);
        vga_memory_write(&vga, 0xa1235, 2, 0x0a00 + bank);
        assert_int_equal(bytes[bank * 0x10000 + 0x1235], bank);
        assert_int_equal(bytes[bank * 0x10000 + 0x1236], 10);
        assert_int_equal(vga_memory_read(&vga, 0xa1235, 1, 0), bank);
    }
    vbe_put(VBE_BANK, 0x103);
    assert_int_equal(vbe_get(VBE_BANK), 3);
    vbe_put(VBE_ENABLE, 0);
    assert_int_equal(vbe_get(VBE_BANK), 0);
    set_vbe(800, 600, 4, 0);
    put(0x3ce, 0, 0);
    put(0x3ce, 1, 0);
    put(0x3ce, 3, 0);
    put(0x3ce, 8, 0xff);
    vga_memory_write(&vga, 0xa0010, 1, 0x81);
    assert_int_equal(vga.memory[0x10], 0x81818181);
}

/* ---- PCI ---- */

static void configure(unsigned at, uint32_t value)
{
    memcpy(&vga.state.config[at], &value, 4);
}

static void test_areas(void **state)
{
    static const uint8_t rom[] = {0x55, 0xaa, 0x4d};

    assert_int_equal(vga_frame_base(&vga.state), 0xfd000000);
    assert_int_equal(vga_register_base(&vga.state), 0xfebf0000);
    assert_int_equal(vga_rom_base(&vga), 0);
    vga_memory_write(&vga, 0xfd000ffe, 4, 0x44332211);
    assert_int_equal(vga_memory_read(&vga, 0xfd000fff, 2, 0), 0x3322);
    assert_int_equal(((uint8_t *)vga.memory)[0x1001], 0x44);
    vga_memory_write(&vga, 0xfdfffffe, 8, 0x8877665544332211ULL); /* over its end */
    assert_int_equal(vga_memory_read(&vga, 0xfdfffffe, 4, 0), 0xffff2211);
    configure(0x30, 0xfeb00001);
    vga_config_written(&vga);
    assert_int_equal(vga.state.config[0x33], 0);
    vga.rom = rom;
    vga.rom_size = sizeof(rom);
    configure(0x30, 0xfeb00001);
    vga_config_written(&vga);
    assert_int_equal(vga_memory_read(&vga, 0xfeb00000, 4, 0), 0xff4daa55);
    vga_memory_write(&vga, 0xfeb00000, 4, 0);
    assert_int_equal(vga_memory_read(&vga, 0xfeb00000, 2, 0), 0xaa55);
    assert_true(vga_claims(&vga, 0xfeb0ffff));
    assert_false(vga_claims(&vga, 0xfeb10000));
    configure(0x04, 1);
    assert_int_equal(vga_frame_base(&vga.state), 0);
    assert_false(vga_claims(&vga, 0xfeb00000));
    configure(0x04, 2);
    configure(0x10, 0x1000008); /* where RAM is */
    assert_int_equal(vga_frame_base(&vga.state), 0);
    configure(0x10, 0xff000008);
    assert_int_equal(vga_frame_base(&vga.state), 0);
    configure(0x10, 0xe0000008);
    assert_int_equal(vga_frame_base(&vga.state), 0xe0000000);
    vga.memory[0] = 0x01020304;
    assert_int_equal(vga_memory_read(&vga, 0xe0000000, 4, 0), 0x01020304);
}

static void test_registers_in_memory(void **state)
{
    vga_register_write(&vga, 0x502, 2, 320);
    vga_register_write(&vga, 0x504, 4, 8U << 16 | 200);
    vga_register_write(&vga, 0x508, 2, VBE_ENABLED);
    assert_int_equal(vbe_get(VBE_WIDTH), 320);
    assert_int_equal(vbe_get(VBE_HEIGHT), 200);
    assert_int_equal(vbe_get(VBE_BPP), 8);
    assert_int_equal(vga_register_read(&vga, 0x500, 4, 0), 320U << 16 | 0xb0c5);
    assert_int_equal(vga_register_read(&vga, 0x514, 2, 0), 256);
    vga_register_write(&vga, 0x414, 2, 0x6d0e); /* as 3D4h and 3D5h */
    assert_int_equal(get(0x3d4, 0x0e), 0x6d);
    assert_int_equal(vga_register_read(&vga, 0x415, 1, 0), 0x6d);
    assert_int_equal(vga_register_read(&vga, 0, 4, 0), 0);     /* no EDID */
    assert_int_equal(vga_register_read(&vga, 0x600, 4, 0), 0); /* no further registers */
    assert_int_equal(vga_memory_read(&vga, 0xfebf0414, 1, 0), 0x0e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_bits, setup),
        cmocka_unit_test_setup(test_colour_or_mono, setup),
        cmocka_unit_test_setup(test_crtc_protection, setup),
        cmocka_unit_test_setup(test_attribute_flip_flop, setup),
        cmocka_unit_test_setup(test_dac, setup),
        cmocka_unit_test_setup(test_retrace, setup),
        cmocka_unit_test_setup(test_write_modes, setup),
        cmocka_unit_test_setup(test_read_modes, setup),
        cmocka_unit_test_setup(test_window, setup),
        cmocka_unit_test_setup(test_text_and_chain_4, setup),
        cmocka_unit_test_setup(test_vbe, setup),
        cmocka_unit_test_setup(test_banks, setup),
        cmocka_unit_test_setup(test_areas, setup),
        cmocka_unit_test_setup(test_registers_in_memory, setup),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
