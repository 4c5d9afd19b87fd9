/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pc/unit.h"

#include "vmm/pc/pic.h"

static struct pic pic;

/* As kernels do: vectors 20h and 28h, all unmasked, ICW4 as given. */
static void setup_with(uint8_t icw4)
{
    static const uint8_t words[2][3] = {
        {0x20, 0x04, 0},
        {0x28, 0x02, 0},
    };

    for (unsigned chip = 0; chip < 2; chip++) {
        uint16_t port = chip == 0 ? PIC_PORT_MASTER : PIC_PORT_SLAVE;

        pic_write(&pic, port, 0x11);
        pic_write(&pic, port + 1, words[chip][0]);
        pic_write(&pic, port + 1, words[chip][1]);
        pic_write(&pic, port + 1, icw4);
        pic_write(&pic, port + 1, 0);
    }
}

static int setup(void **state)
{
    pic = (struct pic){0};
    pic_reset(&pic);
    setup_with(0x01);
    return 0;
}

/* A new edge; the line stays up, as the 8259A wants it until the acknowledge. */
static void edge(unsigned irq)
{
    pic_set_irq(&pic, irq, false);
    pic_set_irq(&pic, irq, true);
}

static uint8_t read_isr(uint16_t port)
{
    pic_write(&pic, port, 0x0b);
    return pic_read(&pic, port);
}

static uint8_t read_irr(uint16_t port)
{
    pic_write(&pic, port, 0x0a);
    return pic_read(&pic, port);
}

static void eoi(uint16_t port)
{
    pic_write(&pic, port, 0x20);
}

static void test_edge_is_acknowledged(void **state)
{
    assert_false(pic_output(&pic));
    edge(3);
    assert_true(pic_output(&pic));
    assert_int_equal(read_irr(PIC_PORT_MASTER), 0x08);
    assert_int_equal(pic_acknowledge(&pic), 0x23);
    assert_false(pic_output(&pic));
    assert_int_equal(read_irr(PIC_PORT_MASTER), 0);
    assert_int_equal(read_isr(PIC_PORT_MASTER), 0x08);
    eoi(PIC_PORT_MASTER);
    assert_int_equal(read_isr(PIC_PORT_MASTER), 0);
}

static void test_held_edge_does_not_repeat(void **state)
{
    pic_set_irq(&pic, 4, true);
    assert_int_equal(pic_acknowledge(&pic), 0x24);
    eoi(PIC_PORT_MASTER);
    pic_set_irq(&pic, 4, true);
    assert_false(pic_output(&pic));
}

static void test_priorities_nest(void **state)
{
    edge(5);
    assert_int_equal(pic_acknowledge(&pic), 0x25);
    edge(6);
    assert_false(pic_output(&pic));
    edge(1);
    assert_int_equal(pic_acknowledge(&pic), 0x21);
    eoi(PIC_PORT_MASTER); /* ends 1, the highest */
    assert_int_equal(read_isr(PIC_PORT_MASTER), 0x20);
    eoi(PIC_PORT_MASTER);
    assert_int_equal(pic_acknowledge(&pic), 0x26);
}

static void test_mask_holds_back_and_keeps(void **state)
{
    pic_write(&pic, 0x21, 0x10);
    edge(4);
    assert_false(pic_output(&pic));
    assert_int_equal(pic_read(&pic, 0x21), 0x10);
    pic_write(&pic, 0x21, 0);
    assert_int_equal(pic_acknowledge(&pic), 0x24);
}

static void test_cascade(void **state)
{
    edge(12);
    edge(3);
    assert_int_equal(pic_acknowledge(&pic), 0x2c); /* cascade is IRQ 2: before 3 */
    assert_int_equal(read_isr(PIC_PORT_SLAVE), 0x10);
    assert_int_equal(read_isr(PIC_PORT_MASTER), 0x04);
    edge(9);
    assert_false(pic_output(&pic)); /* IRQ 2 is in service: not specially nested */
    eoi(PIC_PORT_SLAVE);
    eoi(PIC_PORT_MASTER);
    assert_int_equal(pic_acknowledge(&pic), 0x29);
    eoi(PIC_PORT_SLAVE);
    eoi(PIC_PORT_MASTER);
    assert_int_equal(pic_acknowledge(&pic), 0x23);
}

static void test_special_fully_nested(void **state)
{
    setup_with(0x11);
    edge(12);
    assert_int_equal(pic_acknowledge(&pic), 0x2c);
    edge(4);
    assert_false(pic_output(&pic)); /* the master's lower lines wait for the slave */
    edge(9);
    assert_int_equal(pic_acknowledge(&pic), 0x29);
    assert_false(pic_output(&pic));
    edge(1);
    assert_int_equal(pic_acknowledge(&pic), 0x21);
    eoi(PIC_PORT_MASTER);
    eoi(PIC_PORT_MASTER);
    assert_int_equal(pic_acknowledge(&pic), 0x24);
}

static void test_auto_eoi_on_both(void **state)
{
    setup_with(0x03);
    edge(8);
    edge(14);
    assert_int_equal(pic_acknowledge(&pic), 0x28);
    assert_int_equal(read_isr(PIC_PORT_MASTER), 0);
    assert_int_equal(pic_acknowledge(&pic), 0x2e);
    assert_false(pic_output(&pic));
}

static void test_auto_rotate(void **state)
{
    setup_with(0x03);
    pic_write(&pic, PIC_PORT_MASTER, 0x80);
    edge(0);
    edge(1);
    assert_int_equal(pic_acknowledge(&pic), 0x20);
    edge(0);
    assert_int_equal(pic_acknowledge(&pic), 0x21); /* 0 is the lowest now */
    assert_int_equal(pic_acknowledge(&pic), 0x20);
    pic_write(&pic, PIC_PORT_MASTER, 0x00);
}

static void test_specific_eoi_and_rotation(void **state)
{
    edge(2 + 1);
    edge(5);
    assert_int_equal(pic_acknowledge(&pic), 0x23);
    pic_write(&pic, PIC_PORT_MASTER, 0xe3); /* rotate on specific EOI of 3: 4 is the highest */
    assert_int_equal(read_isr(PIC_PORT_MASTER), 0);
    edge(1);
    assert_int_equal(pic_acknowledge(&pic), 0x25);
    pic_write(&pic, PIC_PORT_MASTER, 0xa0); /* rotate on non-specific EOI: 6 is the highest */
    edge(6);
    assert_int_equal(pic_acknowledge(&pic), 0x26);
    pic_write(&pic, PIC_PORT_MASTER, 0x66);
    pic_write(&pic, PIC_PORT_MASTER, 0xc7); /* set priority: 0 is the highest again */
    assert_int_equal(pic_acknowledge(&pic), 0x21);
}

static void test_special_mask(void **state)
{
    edge(1);
    assert_int_equal(pic_acknowledge(&pic), 0x21);
    edge(6);
    assert_false(pic_output(&pic));
    pic_write(&pic, 0x21, 0x02);
    pic_write(&pic, PIC_PORT_MASTER, 0x68);
    assert_int_equal(pic_acknowledge(&pic), 0x26);
    eoi(PIC_PORT_MASTER); /* passes over the masked 1 */
    assert_int_equal(read_isr(PIC_PORT_MASTER), 0x02);
    pic_write(&pic, PIC_PORT_MASTER, 0x48);
    eoi(PIC_PORT_MASTER);
    assert_int_equal(read_isr(PIC_PORT_MASTER), 0);
}

static void test_poll(void **state)
{
    pic_write(&pic, PIC_PORT_MASTER, 0x0c);
    assert_int_equal(pic_read(&pic, PIC_PORT_MASTER), 0);
    edge(10);
    pic_write(&pic, PIC_PORT_MASTER, 0x0c);
    assert_int_equal(pic_read(&pic, PIC_PORT_MASTER), 0x82);
    pic_write(&pic, PIC_PORT_SLAVE, 0x0c);
    assert_int_equal(pic_read(&pic, PIC_PORT_SLAVE), 0x82);
    assert_int_equal(read_isr(PIC_PORT_SLAVE), 0x04);
    eoi(PIC_PORT_SLAVE);
    eoi(PIC_PORT_MASTER);
    assert_false(pic_output(&pic));
}

static void test_level_follows_line(void **state)
{
    pic_write(&pic, 0x4d1, 0xff);
    assert_int_equal(pic_read(&pic, 0x4d1), 0xde);
    pic_set_irq(&pic, 11, true);
    assert_int_equal(pic_acknowledge(&pic), 0x2b);
    eoi(PIC_PORT_SLAVE);
    eoi(PIC_PORT_MASTER);
    assert_int_equal(pic_acknowledge(&pic), 0x2b); /* still high: again */
    eoi(PIC_PORT_SLAVE);
    eoi(PIC_PORT_MASTER);
    pic_set_irq(&pic, 11, false);
    assert_int_equal(read_irr(PIC_PORT_SLAVE), 0);
}

/* Nobody acknowledges: INTR follows the line, again and again (the NMI watchdog's ticks). */
static void test_edge_goes_with_its_line(void **state)
{
    for (unsigned i = 0; i < 3; i++) {
        edge(0);
        edge(14);
        assert_true(pic_output(&pic));
        pic_set_irq(&pic, 0, false);
        assert_true(pic_output(&pic));
        pic_set_irq(&pic, 14, false);
        assert_false(pic_output(&pic));
        assert_int_equal(read_irr(PIC_PORT_MASTER), 0);
        assert_int_equal(read_irr(PIC_PORT_SLAVE), 0);
    }
    assert_int_equal(pic_acknowledge(&pic), 0x27);
}

static void test_spurious(void **state)
{
    pic_write(&pic, 0x4d0, 0xf8);
    pic_set_irq(&pic, 5, true);
    assert_true(pic_output(&pic));
    pic_set_irq(&pic, 5, false);
    assert_int_equal(pic_acknowledge(&pic), 0x27);
    assert_int_equal(read_isr(PIC_PORT_MASTER), 0);

    edge(13);
    pic_write(&pic, 0xa1, 0xff); /* the slave's INT falls, and with it the master's request */
    assert_false(pic_output(&pic));
    pic_write(&pic, 0xa1, 0x00);
    assert_int_equal(pic_acknowledge(&pic), 0x2d);
}

static void test_icw1_forgets_edges_not_levels(void **state)
{
    pic_write(&pic, 0x4d0, 0x20);
    edge(3);
    pic_set_irq(&pic, 5, true);
    pic_write(&pic, 0x21, 0xff);
    setup_with(0x01);
    assert_int_equal(pic_read(&pic, 0x21), 0);
    assert_int_equal(pic_acknowledge(&pic), 0x25);
    assert_int_equal(pic_read(&pic, 0x4d0), 0x20);
}

static void test_single_without_icw4(void **state)
{
    pic_write(&pic, 0x20, 0x12);
    pic_write(&pic, 0x21, 0x48);
    pic_write(&pic, 0x21, 0x5a); /* OCW1 already */
    assert_int_equal(pic_read(&pic, 0x21), 0x5a);
    edge(0);
    assert_int_equal(pic_acknowledge(&pic), 0x48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_edge_is_acknowledged, setup),
        cmocka_unit_test_setup(test_held_edge_does_not_repeat, setup),
        cmocka_unit_test_setup(test_priorities_nest, setup),
        cmocka_unit_test_setup(test_mask_holds_back_and_keeps, setup),
        cmocka_unit_test_setup(test_cascade, setup),
        cmocka_unit_test_setup(test_special_fully_nested, setup),
        cmocka_unit_test_setup(test_auto_eoi_on_both, setup),
        cmocka_unit_test_setup(test_auto_rotate, setup),
        cmocka_unit_test_setup(test_specific_eoi_and_rotation, setup),
        cmocka_unit_test_setup(test_special_mask, setup),
        cmocka_unit_test_setup(test_poll, setup),
        cmocka_unit_test_setup(test_level_follows_line, setup),
        cmocka_unit_test_setup(test_edge_goes_with_its_line, setup),
        cmocka_unit_test_setup(test_spurious, setup),
        cmocka_unit_test_setup(test_icw1_forgets_edges_not_levels, setup),
        cmocka_unit_test_setup(test_single_without_icw4, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
