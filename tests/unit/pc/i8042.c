/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pc/unit.h"

#include "vmm/pc/i8042.h"

static struct i8042 kbc;

static int setup(void **state)
{
    i8042_reset(&kbc, true);
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
    assert_true(i8042_irq(&kbc));
    assert_int_equal(answer(), 0xfa);
    assert_true(i8042_take_refill(&kbc)); /* the second byte is a new edge */
    assert_false(i8042_take_refill(&kbc));
    assert_int_equal(answer(), 0xaa);
    assert_false(i8042_irq(&kbc));
    data(0xf2);
    assert_int_equal(answer(), 0xfa);
    assert_int_equal(answer(), 0xab);
    assert_int_equal(answer(), 0x83);
    data(0xed);
    assert_int_equal(answer(), 0xfa);
    data(0x07);
    assert_int_equal(answer(), 0xfa);
    data(0xf0);
    data(0x00);
    assert_int_equal(answer(), 0xfa);
    assert_int_equal(answer(), 0xfa);
    assert_int_equal(answer(), 0x02);
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
    assert_false(i8042_irq(&kbc)); /* interrupt disabled */
    assert_int_equal(answer(), 0xfa);
}

static void test_absent_keyboard(void **state)
{
    i8042_reset(&kbc, false);
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

static void test_queue_is_bounded(void **state)
{
    for (unsigned i = 0; i < 100; i++) {
        data(0xf2);
    }
    for (unsigned i = 0; i < I8042_QUEUE; i++) {
        (void)answer();
    }
    assert_int_equal(status() & 0x01, 0);
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
        cmocka_unit_test_setup(test_queue_is_bounded, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
