/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pc/unit.h"

#include "vmm/pc/i8042.h"

static struct i8042 kbc;

static int setup(void **state)
{
    i8042_reset(&kbc, true, false);
    return 0;
}

static int setup_mouse(void **state)
{
    i8042_reset(&kbc, true, true);
    return 0;
}

static uint8_t status(void)
{
    return i8042_read(&kbc, 0x64);
}

static enum i8042_request command(uint8_t value)
{
    return i8042_write(&kbc, 0x64, value);
}

static enum i8042_request data(uint8_t value)
{
    return i8042_write(&kbc, 0x60, value);
}

/* The next byte; fails when there is none. */
static uint8_t answer(void)
{
    assert_true((status() & 1) != 0);
    return i8042_read(&kbc, 0x60);
}

static void test_controller(void **state)
{
    assert_int_equal(status() & 0x01, 0);
    command(0xaa);
    assert_int_equal(status() & 0x09, 0x09);
    assert_int_equal(answer(), 0x55);
    command(0xab);
    assert_int_equal(answer(), 0x00);
    command(0x60);
    data(0x61);
    command(0x20);
    assert_int_equal(answer(), 0x61);
    command(0xad);
    command(0x20);
    assert_int_equal(answer(), 0x71);
    command(0xae);
    command(0x20);
    assert_int_equal(answer(), 0x61);
    command(0xc0);
    assert_int_equal(answer(), 0x80);
    assert_int_equal(status() & 0x01, 0);
    assert_int_equal(i8042_read(&kbc, 0x60), 0x80); /* the last byte again */
}

static void test_no_auxiliary_port(void **state)
{
    command(0xa9);
    assert_int_equal(answer(), 0x01);
    command(0xd3);
    data(0x5a);
    assert_int_equal(status() & 0x21, 0x01); /* comes back, not as auxiliary data */
    assert_int_equal(answer(), 0x5a);
    command(0xd4);
    data(0xf2);
    assert_int_equal(status() & 0x41, 0x41);
    assert_int_equal(answer(), 0xfe);
    assert_int_equal(status() & 0x41, 0);
}

static void test_keyboard(void **state)
{
    data(0xff);
    assert_true(i8042_irq(&kbc, false));
    assert_int_equal(answer(), 0xfa);
    assert_true(i8042_take_refill(&kbc)); /* the second byte is a new edge */
    assert_false(i8042_take_refill(&kbc));
    assert_int_equal(answer(), 0xaa);
    assert_false(i8042_irq(&kbc, false));
    data(0xf2);
    assert_int_equal(answer(), 0xfa);
    assert_int_equal(answer(), 0xab);
    assert_int_equal(answer(), 0x41); /* 83h, translated */
    data(0xed);
    assert_int_equal(answer(), 0xfa);
    data(0x07);
    assert_int_equal(answer(), 0xfa);
    data(0xf0);
    data(0x00);
    assert_int_equal(answer(), 0xfa);
    assert_int_equal(answer(), 0xfa);
    assert_int_equal(answer(), 0x41); /* 2 */
    data(0xf0);
    data(0x01);
    assert_int_equal(answer(), 0xfa);
    assert_int_equal(answer(), 0xfa);
    data(0xee);
    assert_int_equal(answer(), 0xee);
    data(0x12);
    assert_int_equal(answer(), 0xfe);
    command(0x60);
    data(0x00);
    data(0xf5);
    assert_false(i8042_irq(&kbc, false)); /* interrupt disabled */
    assert_int_equal(answer(), 0xfa);
}

static void test_absent_keyboard(void **state)
{
    i8042_reset(&kbc, false, false);
    command(0xaa);
    assert_int_equal(answer(), 0x55);
    data(0xff);
    assert_int_equal(status() & 0x41, 0x41);
    assert_int_equal(answer(), 0xfe);
}

static void test_output_port(void **state)
{
    command(0xd0);
    assert_int_equal(answer() & 0x03, 0x03);
    assert_int_equal(command(0xd1), I8042_NOTHING);
    assert_int_equal(data(0xdd), I8042_NOTHING);
    assert_false(i8042_a20(&kbc));
    command(0xdf);
    assert_true(i8042_a20(&kbc));
    command(0xdd);
    assert_false(i8042_a20(&kbc));
    i8042_set_a20(&kbc, true);
    command(0xd0);
    assert_int_equal(answer() & 0x02, 0x02);
    command(0xd1);
    assert_int_equal(data(0xfe), I8042_RESET);
}

static void test_reset_pulses(void **state)
{
    assert_int_equal(command(0xfe), I8042_RESET);
    assert_int_equal(command(0xf0), I8042_RESET);
    assert_int_equal(command(0xff), I8042_NOTHING);
}

static void test_queues_are_bounded(void **state)
{
    for (unsigned i = 0; i < 100; i++) {
        data(0xf2);
    }
    for (unsigned i = 0; i < PS2_QUEUE; i++) {
        (void)answer();
    }
    assert_int_equal(status() & 0x01, 0);
    for (unsigned i = 0; i < 100; i++) {
        command(0x20);
    }
    for (unsigned i = 0; i < I8042_QUEUE; i++) {
        (void)answer();
    }
    assert_int_equal(status() & 0x01, 0);
}

/* ---- Keys ---- */

#define KEY_A     0x1eU
#define KEY_RIGHT (0x4dU | PS2_EXTENDED)
#define KEY_DEL   (0x53U | PS2_EXTENDED)

static void expect(const char *bytes)
{
    for (const uint8_t *byte = (const uint8_t *)bytes; *byte; byte++) {
        assert_int_equal(answer(), *byte);
    }
    assert_int_equal(status() & 0x01, 0);
}

static void set_scan_codes(uint8_t set)
{
    data(0xf0);
    data(set);
    expect("\xfa\xfa");
}

static void set_mode(uint8_t mode)
{
    command(0x60);
    data(mode);
}

static void test_scan_codes(void **state)
{
    static const struct {
        uint8_t set;
        uint8_t mode;
        uint16_t stroke;
        const char *bytes;
    } cases[] = {
        {2, 0x45, KEY_A,                        "\x1e\x9e"                        },
        {2, 0x45, KEY_A | PS2_SHIFT,            "\x2a\x1e\x9e\xaa"                },
        {2, 0x45, KEY_DEL | PS2_CTRL | PS2_ALT, "\x1d\x38\xe0\x53\xe0\xd3\xb8\x9d"},
        {2, 0x05, KEY_A,                        "\x1c\xf0\x1c"                    },
        {2, 0x05, KEY_RIGHT,                    "\xe0\x74\xe0\xf0\x74"            },
        {2, 0x05, KEY_A | PS2_CTRL,             "\x14\x1c\xf0\x1c\xf0\x14"        },
        {1, 0x05, KEY_RIGHT,                    "\xe0\x4d\xe0\xcd"                },
        {1, 0x05, KEY_A | PS2_ALT,              "\x38\x1e\x9e\xb8"                },
        {3, 0x05, KEY_RIGHT,                    "\x6a\xf0\x6a"                    },
        {3, 0x05, KEY_A | PS2_SHIFT,            "\x12\x1c\xf0\x1c\xf0\x12"        },
        {2, 0x05, 0x3f,                         "\x03\xf0\x03"                    }, /* F5 */
        {2, 0x05, 0x41,                         "\x83\xf0\x83"                    }, /* F7 */
        {2, 0x45, 0x41,                         "\x41\xc1"                        },
        {3, 0x05, 0x01,                         "\x08\xf0\x08"                    }, /* Esc */
        {3, 0x05, 0x7f,                         ""                                }, /* none */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        set_mode(0x05);
        set_scan_codes(cases[i].set);
        set_mode(cases[i].mode);
        assert_true(i8042_stroke(&kbc, cases[i].stroke));
        assert_true(i8042_irq(&kbc, false) == (cases[i].bytes[0] != 0));
        expect(cases[i].bytes);
    }
}

/* Every key of the layout has a code in every set, no two the same; set 2 translated is set 1. */
static void test_all_keys(void **state)
{
    static const char keys[] = "\x01\x02\x0e\x0f\x10\x1c\x1d\x29\x2a\x2b\x36\x37\x38\x39\x3a\x3b"
                               "\x44\x45\x46\x47\x53\x56\x57\x58\x9c\x9d\xb5\xb8\xc7\xc8\xc9\xcb"
                               "\xcd\xcf\xd0\xd1\xd2\xd3\xdb\xdc\xdd";
    bool seen[4][512] = {{false}};

    for (unsigned i = 0; keys[i]; i++) {
        uint8_t key = (uint8_t)keys[i];

        for (uint8_t set = 1; set <= 3; set++) {
            set_mode(0x05);
            set_scan_codes(set);
            assert_true(i8042_stroke(&kbc, key));
            unsigned code = answer();

            code = code == 0xe0 ? 0x100U | answer() : code;
            assert_false(seen[set][code]);
            seen[set][code] = true;
            if (set == 2) {
                assert_int_equal(ps2_translate((uint8_t)code), key & 0x7f);
            }
            while ((status() & 1) != 0) {
                (void)i8042_read(&kbc, 0x60);
            }
        }
    }
}

static void test_scanning(void **state)
{
    data(0xf5);
    expect("\xfa");
    assert_true(i8042_stroke(&kbc, KEY_A)); /* lost */
    assert_int_equal(status() & 0x01, 0);
    data(0xf4);
    expect("\xfa");
    assert_true(i8042_stroke(&kbc, KEY_A));
    assert_false(i8042_stroke(&kbc, KEY_A)); /* not taken yet */
    expect("\x1e\x9e");
    command(0xad); /* clock low: the keyboard keeps it */
    assert_true(i8042_stroke(&kbc, KEY_A));
    assert_int_equal(status() & 0x01, 0);
    command(0x20);
    assert_int_equal(answer(), 0x75); /* the controller's own byte passes */
    command(0xae);
    assert_int_equal(answer(), 0x1e);
    assert_true(i8042_take_refill(&kbc));
    assert_true(i8042_irq(&kbc, false));
    command(0x20); /* what is in the output buffer stays before it */
    assert_int_equal(answer(), 0x9e);
    assert_int_equal(answer(), 0x65);
    i8042_reset(&kbc, false, false);
    assert_true(i8042_stroke(&kbc, KEY_A));
    assert_int_equal(status() & 0x01, 0);
}

/* ---- The mouse ---- */

static void to_mouse(uint8_t value)
{
    command(0xd4);
    data(value);
}

/* The mouse's next byte, which is marked as such. */
static uint8_t mouse_answer(void)
{
    assert_int_equal(status() & 0x21, 0x21);
    return i8042_read(&kbc, 0x60);
}

static void expect_mouse(const char *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(mouse_answer(), (uint8_t)bytes[i]);
    }
    assert_int_equal(status() & 0x01, 0);
}

#define EXPECT_MOUSE(bytes) expect_mouse(bytes, sizeof(bytes) - 1)

static void tell_mouse(uint8_t value)
{
    to_mouse(value);
    EXPECT_MOUSE("\xfa");
}

static void move(int16_t right, int16_t up, int16_t wheel, uint8_t buttons)
{
    i8042_move(&kbc, (int16_t[3]){right, up, wheel}, buttons);
}

static void test_auxiliary_port(void **state)
{
    command(0xa9);
    assert_int_equal(answer(), 0x00);
    command(0xa8);
    set_mode(0x47);
    command(0xd3);
    data(0x5a);
    assert_true(i8042_irq(&kbc, true));
    assert_false(i8042_irq(&kbc, false));
    assert_int_equal(mouse_answer(), 0x5a);
    command(0xd2);
    data(0x5b);
    assert_true(i8042_irq(&kbc, false));
    assert_int_equal(status() & 0x21, 0x01);
    assert_int_equal(answer(), 0x5b);
    to_mouse(0xff);
    assert_true(i8042_irq(&kbc, true));
    EXPECT_MOUSE("\xfa\xaa\x00");
    command(0xa7);
    to_mouse(0xf2);
    assert_int_equal(status() & 0x01, 0);
    command(0xa8);
    EXPECT_MOUSE("\xfa\x00");
    set_mode(0x45);
    to_mouse(0xf2);
    assert_false(i8042_irq(&kbc, true));
    EXPECT_MOUSE("\xfa\x00");
}

static void test_mouse_stream(void **state)
{
    command(0xa8);
    tell_mouse(0xf6);
    move(5, 5, 0, 1); /* it does not report yet */
    assert_int_equal(status() & 0x01, 0);
    tell_mouse(0xf4);
    move(1, -2, 0, 1);
    EXPECT_MOUSE("\x29\x01\xfe");
    move(-300, 600, 0, 0); /* in pieces; the buttons are what they are now */
    EXPECT_MOUSE("\x18\x01\xff\x18\xd3\xff\x08\x00\x5a");
    move(10, 0, 0, 4);
    move(10, 0, 0, 0); /* waits for the first to be taken */
    EXPECT_MOUSE("\x0c\x0a\x00\x08\x0a\x00");
    move(0, 0, 0, 0);
    assert_int_equal(status() & 0x01, 0);
    for (unsigned i = 0; i < 100; i++) {
        move(INT16_MAX, INT16_MIN, 1, 0);
    }
    tell_mouse(0xf5);
    move(1, 1, 0, 0);
    assert_int_equal(status() & 0x01, 0);
}

static void test_mouse_commands(void **state)
{
    command(0xa8);
    to_mouse(0xff);
    EXPECT_MOUSE("\xfa\xaa\x00");
    to_mouse(0xe9);
    EXPECT_MOUSE("\xfa\x00\x02\x64");
    tell_mouse(0xe8);
    tell_mouse(0x03);
    tell_mouse(0xf3);
    tell_mouse(40);
    tell_mouse(0xe7);
    tell_mouse(0xf4);
    tell_mouse(0xf0);
    move(3, 4, 0, 2);
    assert_int_equal(status() & 0x01, 0); /* in the remote mode only when asked */
    to_mouse(0xe9);
    EXPECT_MOUSE("\xfa\x71\x03\x28");
    to_mouse(0xeb);
    EXPECT_MOUSE("\xfa\x0a\x03\x04");
    tell_mouse(0xee);
    to_mouse(0xf2);
    EXPECT_MOUSE("\xf2");
    tell_mouse(0xec);
    to_mouse(0xe9);
    EXPECT_MOUSE("\xfa\x71\x03\x28");
    to_mouse(0x12);
    EXPECT_MOUSE("\xfe");
    tell_mouse(0xf6);
    to_mouse(0xe9);
    EXPECT_MOUSE("\xfa\x01\x02\x64");
}

static void test_mouse_wheel(void **state)
{
    static const uint8_t rates[] = {200, 200, 100, 80}; /* a repeated start is one */

    command(0xa8);
    for (unsigned i = 0; i < sizeof(rates); i++) {
        to_mouse(0xf2);
        EXPECT_MOUSE("\xfa\x00");
        tell_mouse(0xf3);
        tell_mouse(rates[i]);
    }
    to_mouse(0xf2);
    EXPECT_MOUSE("\xfa\x03");
    tell_mouse(0xf4);
    move(0, 0, -9, 0);
    EXPECT_MOUSE("\x08\x00\x00\xf9\x08\x00\x00\xfe");
    to_mouse(0xff);
    EXPECT_MOUSE("\xfa\xaa\x00");
    to_mouse(0xf2);
    EXPECT_MOUSE("\xfa\x00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_controller, setup),
        cmocka_unit_test_setup(test_no_auxiliary_port, setup),
        cmocka_unit_test_setup(test_keyboard, setup),
        cmocka_unit_test_setup(test_absent_keyboard, setup),
        cmocka_unit_test_setup(test_output_port, setup),
        cmocka_unit_test_setup(test_reset_pulses, setup),
        cmocka_unit_test_setup(test_queues_are_bounded, setup),
        cmocka_unit_test_setup(test_scan_codes, setup),
        cmocka_unit_test_setup(test_all_keys, setup),
        cmocka_unit_test_setup(test_scanning, setup),
        cmocka_unit_test_setup(test_auxiliary_port, setup_mouse),
        cmocka_unit_test_setup(test_mouse_stream, setup_mouse),
        cmocka_unit_test_setup(test_mouse_commands, setup_mouse),
        cmocka_unit_test_setup(test_mouse_wheel, setup_mouse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
