/* SPDX-License-Identifier: BSD-2-Clause */
/* Modes beyond the VGA's own, and what lies where the guest puts it by PCI. */
#include "tests/unit/pc/vga_card.h"

#include <string.h>

static void set_vbe(uint16_t width, uint16_t height, uint16_t bpp, uint16_t how)
{
    card_vbe_put(VBE_ENABLE, 0);
    card_vbe_put(VBE_WIDTH, width);
    card_vbe_put(VBE_HEIGHT, height);
    card_vbe_put(VBE_BPP, bpp);
    card_vbe_put(VBE_ENABLE, VBE_ENABLED | how);
}

static void test_vbe(void **state)
{
    assert_int_equal(card_vbe_get(VBE_ID), 0xb0c5);
    card_vbe_put(VBE_ID, 0xb0c2);
    assert_int_equal(card_vbe_get(VBE_ID), 0xb0c2);
    card_vbe_put(VBE_ID, 0xb0c6);
    assert_int_equal(card_vbe_get(VBE_ID), 0xb0c2);
    assert_int_equal(card_vbe_get(VBE_MEMORY), 256);
    card_vbe_put(VBE_ENABLE, VBE_GET_CAPS);
    assert_int_equal(card_vbe_get(VBE_WIDTH), 2560);
    assert_int_equal(card_vbe_get(VBE_HEIGHT), 1600);
    assert_int_equal(card_vbe_get(VBE_BPP), 32);
    memset(card.memory, 0xee, VGA_MEMORY_SIZE);
    set_vbe(1920, 1200, 32, 0);
    assert_int_equal(card_vbe_get(VBE_VIRTUAL_WIDTH), 1920);
    assert_int_equal(card_vbe_get(VBE_VIRTUAL_HEIGHT), 2184);
    assert_int_equal(card.memory[0], 0);
    assert_int_equal(card.memory[1920 * 1200 - 1], 0);
    assert_int_equal(card.memory[1920 * 1200], 0xeeeeeeee);
    card_vbe_put(VBE_Y, 984);
    assert_int_equal(card_vbe_get(VBE_Y), 984);
    card_vbe_put(VBE_Y, 985); /* beyond the memory */
    assert_int_equal(card_vbe_get(VBE_Y), 0);
    set_vbe(643, 480, 11, VBE_NO_CLEAR);
    assert_int_equal(card_vbe_get(VBE_WIDTH), 640);
    assert_int_equal(card_vbe_get(VBE_BPP), 8);
    assert_int_equal(card.memory[1920 * 1200], 0xeeeeeeee);
    card_vbe_put(VBE_VIRTUAL_WIDTH, 1024);
    assert_int_equal(card_vbe_get(VBE_VIRTUAL_HEIGHT), 16384);
    card_vbe_put(VBE_VIRTUAL_WIDTH, 10);
    assert_int_equal(card_vbe_get(VBE_VIRTUAL_WIDTH), 640);
    set_vbe(0, 0, 0, 0);
    assert_int_equal(card_vbe_get(VBE_WIDTH), 8);
    assert_int_equal(card_vbe_get(VBE_HEIGHT), 1);
    set_vbe(65535, 65535, 32, 0);
    assert_int_equal(card_vbe_get(VBE_WIDTH), 2560);
    assert_int_equal(card_vbe_get(VBE_HEIGHT), 1600);
    assert_int_equal(card_vbe_get(77), 0);
}

static void test_banks(void **state)
{
    uint8_t *bytes = (uint8_t *)card.memory;

    set_vbe(1024, 768, 8, 0);
    for (unsigned bank = 0; bank < 256; bank += 15) {
        card_vbe_put(VBE_BANK, (uint16_t)bank);
        vga_memory_write(&card, 0xa1235, 2, 0x0a00 + bank);
        assert_int_equal(bytes[bank * 0x10000 + 0x1235], bank);
        assert_int_equal(bytes[bank * 0x10000 + 0x1236], 10);
        assert_int_equal(vga_memory_read(&card, 0xa1235, 1, 0), bank);
    }
    card_vbe_put(VBE_BANK, 0x103);
    assert_int_equal(card_vbe_get(VBE_BANK), 3);
    card_vbe_put(VBE_ENABLE, 0);
    assert_int_equal(card_vbe_get(VBE_BANK), 0);
    set_vbe(800, 600, 4, 0);
    card_put(0x3ce, 0, 0);
    card_put(0x3ce, 1, 0);
    card_put(0x3ce, 3, 0);
    card_put(0x3ce, 8, 0xff);
    vga_memory_write(&card, 0xa0010, 1, 0x81);
    assert_int_equal(card.memory[0x10], 0x81818181);
}

static void configure(unsigned at, uint32_t value)
{
    memcpy(&card.state.config[at], &value, 4);
}

static void test_areas(void **state)
{
    static const uint8_t rom[] = {0x55, 0xaa, 0x4d};

    assert_int_equal(vga_frame_base(&card), 0xfd000000);
    assert_int_equal(vga_register_base(&card), 0xfebf0000);
    assert_int_equal(vga_rom_base(&card), 0);
    vga_memory_write(&card, 0xfd000ffe, 4, 0x44332211);
    assert_int_equal(vga_memory_read(&card, 0xfd000fff, 2, 0), 0x3322);
    assert_int_equal(((uint8_t *)card.memory)[0x1001], 0x44);
    vga_memory_write(&card, 0xfdfffffe, 8, 0x8877665544332211ULL); /* over its end */
    assert_int_equal(vga_memory_read(&card, 0xfdfffffe, 4, 0), 0xffff2211);
    configure(0x30, 0xfeb00001);
    vga_config_written(&card);
    assert_int_equal(card.state.config[0x33], 0);
    card.rom = rom;
    card.rom_size = sizeof(rom);
    configure(0x30, 0xfeb00001);
    vga_config_written(&card);
    assert_int_equal(vga_memory_read(&card, 0xfeb00000, 4, 0), 0xff4daa55);
    vga_memory_write(&card, 0xfeb00000, 4, 0);
    assert_int_equal(vga_memory_read(&card, 0xfeb00000, 2, 0), 0xaa55);
    assert_true(vga_claims(&card, 0xfeb0ffff));
    assert_false(vga_claims(&card, 0xfeb10000));
    configure(0x04, 1);
    assert_int_equal(vga_frame_base(&card), 0);
    assert_false(vga_claims(&card, 0xfeb00000));
    configure(0x04, 2);
    card.bars_from = 0x2100000;
    configure(0x10, 0x2000008); /* where RAM is, in part */
    assert_int_equal(vga_frame_base(&card), 0);
    configure(0x10, 0x3000008); /* as OVMF does */
    assert_int_equal(vga_frame_base(&card), 0x3000000);
    configure(0x18, 0x2100000);
    assert_int_equal(vga_register_base(&card), 0x2100000);
    configure(0x18, 0x20ff000);
    assert_int_equal(vga_register_base(&card), 0);
    configure(0x10, 0xff000008);
    assert_int_equal(vga_frame_base(&card), 0);
    configure(0x10, 0xe0000008);
    assert_int_equal(vga_frame_base(&card), 0xe0000000);
    card.memory[0] = 0x01020304;
    assert_int_equal(vga_memory_read(&card, 0xe0000000, 4, 0), 0x01020304);
}

static void test_registers_in_memory(void **state)
{
    vga_register_write(&card, 0x502, 2, 320);
    vga_register_write(&card, 0x504, 4, 8U << 16 | 200);
    vga_register_write(&card, 0x508, 2, VBE_ENABLED);
    assert_int_equal(card_vbe_get(VBE_WIDTH), 320);
    assert_int_equal(card_vbe_get(VBE_HEIGHT), 200);
    assert_int_equal(card_vbe_get(VBE_BPP), 8);
    assert_int_equal(vga_register_read(&card, 0x500, 4, 0), 320U << 16 | 0xb0c5);
    assert_int_equal(vga_register_read(&card, 0x514, 2, 0), 256);
    vga_register_write(&card, 0x414, 2, 0x6d0e); /* as 3D4h and 3D5h */
    assert_int_equal(card_get(0x3d4, 0x0e), 0x6d);
    assert_int_equal(vga_register_read(&card, 0x415, 1, 0), 0x6d);
    assert_int_equal(vga_register_read(&card, 0, 4, 0), 0);     /* no EDID */
    assert_int_equal(vga_register_read(&card, 0x600, 4, 0), 0); /* no further registers */
    assert_int_equal(vga_memory_read(&card, 0xfebf0414, 1, 0), 0x0e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_vbe, card_set_up),
        cmocka_unit_test_setup(test_banks, card_set_up),
        cmocka_unit_test_setup(test_areas, card_set_up),
        cmocka_unit_test_setup(test_registers_in_memory, card_set_up),
    };

    return cmocka_run_group_tests(tests, NULL, card_tear_down);
}
