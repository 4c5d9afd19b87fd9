/* SPDX-License-Identifier: BSD-2-Clause */
/* The VGA's registers, against the facts. */
#include "tests/unit/pc/vga_card.h"

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
        card_put(facts[i].port, facts[i].index, 0xff);
        assert_int_equal(card_get(facts[i].port, facts[i].index), facts[i].bits);
        card_put(facts[i].port, facts[i].index, 0);
        assert_int_equal(card_get(facts[i].port, facts[i].index), 0);
    }
    for (unsigned i = 0; i < 0x20; i++) {
        (void)card_in(0x3da);
        card_out(0x3c0, (uint8_t)i);
        card_out(0x3c0, 0xff);
        assert_int_equal(card_in(0x3c1), i < 16      ? 0x3f
                                         : i == 0x10 ? 0xef
                                         : i == 0x11 ? 0xff
                                         : i == 0x12 ? 0x3f
                                         : i < 0x15  ? 0x0f
                                                     : 0);
    }
}

static void test_colour_or_mono(void **state)
{
    card_put(0x3d4, 0x0e, 0x12);
    assert_int_equal(card_in(0x3b4), 0xff);
    assert_int_equal(card_in(0x3ba), 0xff);
    card_out(0x3c2, 0x66);
    assert_int_equal(card_in(0x3d5), 0xff);
    assert_int_equal(card_get(0x3b4, 0x0e), 0x12);
    assert_int_equal(card_in(0x3ba) & 0xf6, 0);
    card_out(0x3ba, 0x0f);
    assert_int_equal(card_in(0x3ca), 0x0f);
    assert_int_equal(card_in(0x3cc), 0x66);
    assert_int_equal(card_in(0x3b0), 0xff);
    assert_int_equal(card_in(0x3dc), 0xff);
}

static void test_crtc_protection(void **state)
{
    card_put(0x3d4, 0x07, 0x1f);
    card_put(0x3d4, 0x06, 0x55);
    card_put(0x3d4, 0x11, 0x80);
    card_put(0x3d4, 0x06, 0xaa);
    assert_int_equal(card_get(0x3d4, 0x06), 0x55);
    card_put(0x3d4, 0x07, 0xe0);
    assert_int_equal(card_get(0x3d4, 0x07), 0x0f); /* the line compare's bit alone */
    card_put(0x3d4, 0x09, 0xaa);
    assert_int_equal(card_get(0x3d4, 0x09), 0xaa);
}

static void test_attribute_flip_flop(void **state)
{
    (void)card_in(0x3da);
    card_out(0x3c0, 0x31);
    assert_int_equal(card_in(0x3c0), 0x31);
    (void)card_in(0x3da);
    card_out(0x3c0, 0x05);
    card_out(0x3c0, 0x2a);
    card_out(0x3c0, 0x06);
    card_out(0x3c0, 0x15);
    (void)card_in(0x3da);
    card_out(0x3c0, 0x05);
    assert_int_equal(card_in(0x3c1), 0x2a);
}

static void test_dac(void **state)
{
    card_out(0x3c8, 254);
    for (unsigned i = 0; i < 9; i++) { /* it goes round */
        card_out(0x3c9, (uint8_t)(0xc0 + i));
    }
    assert_int_equal(card_in(0x3c8), 1);
    assert_int_equal(card_in(0x3c7), 0);
    card_out(0x3c7, 254);
    assert_int_equal(card_in(0x3c7), 3);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(card_in(0x3c9), i);
    }
    card_vbe_put(VBE_ENABLE, VBE_8BIT_DAC);
    card_out(0x3c8, 7);
    card_out(0x3c9, 0xc5);
    card_out(0x3c7, 7);
    assert_int_equal(card_in(0x3c9), 0xc5);
    card_out(0x3c6, 0x3f);
    assert_int_equal(card_in(0x3c6), 0x3f);
}

/* Mode 3's times: 70 Hz, 449 lines of 900 dots, 28.322 MHz; two lines of retrace from line 412. */
static void test_retrace(void **state)
{
    static const uint8_t crtc[] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0,   0x4f,
                                   0,    0,    0,    0,    0,    0,    0x9c, 0x8e, 0x8f};
    unsigned retraces = 0, blank = 0, last = 0, samples = 0, in_retrace = 0;

    for (uint8_t i = 0; i < ARRAY_SIZE(crtc); i++) {
        card_put(0x3d4, i, crtc[i]);
    }
    for (uint64_t now = 0; now < NS_PER_S; now += 4999, samples++) {
        unsigned status = vga_port_read(&card, 0x3da, now);

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_bits, card_set_up),
        cmocka_unit_test_setup(test_colour_or_mono, card_set_up),
        cmocka_unit_test_setup(test_crtc_protection, card_set_up),
        cmocka_unit_test_setup(test_attribute_flip_flop, card_set_up),
        cmocka_unit_test_setup(test_dac, card_set_up),
        cmocka_unit_test_setup(test_retrace, card_set_up),
    };

    return cmocka_run_group_tests(tests, NULL, card_tear_down);
}
