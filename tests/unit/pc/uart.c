/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pc/unit.h"

#include "vmm/pc/clock.h"
#include "vmm/pc/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };

static struct uart_state uart;

static int setup(void **state)
{
    uart_reset(&uart);
    return 0;
}

static uint8_t get(unsigned reg, uint64_t now)
{
    return uart_read(&uart, reg, now);
}

static int put(unsigned reg, uint8_t value, uint64_t now)
{
    uint8_t sent;

    return uart_write(&uart, reg, value, now, &sent) ? sent : -1;
}

static void test_reset_state(void **state)
{
    assert_int_equal(get(IER, 0), 0);
    assert_int_equal(get(IIR, 0), 0x01);
    assert_int_equal(get(LSR, 0), 0x60);
    assert_int_equal(get(MSR, 0), 0xb0);
    assert_int_equal(get(DATA, 0), 0);
    assert_false(uart_irq(&uart));
}

static void test_probing(void **state)
{
    put(SCRATCH, 0x5a, 0);
    assert_int_equal(get(SCRATCH, 0), 0x5a);
    put(IER, 0xff, 0);
    assert_int_equal(get(IER, 0), 0x0f);
    put(IIR, 0x01, 0);
    assert_int_equal(get(IIR, 0) & 0xc0, 0xc0); /* a 16550A */
    put(IIR, 0x00, 0);
    assert_int_equal(get(IIR, 0) & 0xc0, 0);
    put(MCR, 0xff, 0);
    assert_int_equal(get(MCR, 0), 0x1f);
}

static void test_divisor(void **state)
{
    put(LCR, 0x83, 0);
    put(DATA, 0x34, 0);
    put(IER, 0x12, 0);
    assert_int_equal(get(DATA, 0), 0x34);
    assert_int_equal(get(IER, 0), 0x12);
    put(LCR, 0x03, 0);
    assert_int_equal(get(LCR, 0), 0x03);
    assert_int_equal(get(IER, 0), 0);
}

static void test_transmit(void **state)
{
    put(MCR, 0x08, 0);
    assert_int_equal(put(DATA, 'A', 0), 'A');
    assert_int_equal(get(LSR, 0), 0x60);
    assert_false(uart_irq(&uart));
    put(IER, 0x02, 0); /* enabling with an empty transmitter interrupts */
    assert_true(uart_irq(&uart));
    assert_int_equal(get(IIR, 0), 0x02);
    assert_false(uart_irq(&uart));
    assert_int_equal(get(IIR, 0), 0x01);
    assert_int_equal(put(DATA, 'B', 0), 'B');
    assert_true(uart_irq(&uart));
    put(MCR, 0x00, 0);
    assert_false(uart_irq(&uart)); /* OUT2 gates it */
}

/* A driver may go by LSR and never read IIR: each byte makes a new edge, but where another cause
 * holds the line. */
static void test_transmit_without_iir(void **state)
{
    put(MCR, 0x08, 0);
    put(IER, 0x03, 0);
    assert_false(uart_take_fall(&uart)); /* it rose only */
    put(DATA, 'A', 0);
    assert_true(uart_irq(&uart));
    assert_true(uart_take_fall(&uart));
    assert_false(uart_take_fall(&uart));
    assert_int_equal(get(IIR, 0), 0x02);
    put(DATA, 'B', 0); /* acknowledged: this one rises by itself */
    assert_true(uart_irq(&uart));
    assert_false(uart_take_fall(&uart));
    assert_true(uart_receive(&uart, 'x', 0));
    put(DATA, 'C', 0);
    assert_false(uart_take_fall(&uart));
    get(DATA, 0);
    put(MCR, 0x00, 0);
    put(DATA, 'D', 0);
    assert_false(uart_take_fall(&uart)); /* OUT2 gates it */
}

/* The host is behind: neither LSR nor an interrupt says that there is room, until there is. */
static void test_full(void **state)
{
    put(MCR, 0x08, 0);
    put(IER, 0x02, 0);
    assert_true(uart_irq(&uart));
    assert_int_equal(put(DATA, 'A', 0), 'A');
    uart_set_full(&uart, true);
    assert_int_equal(get(LSR, 0), 0x00);
    assert_false(uart_irq(&uart));
    put(IER, 0x00, 0);
    put(IER, 0x02, 0); /* enabling it does not make it empty */
    assert_false(uart_irq(&uart));
    assert_int_equal(put(DATA, 'B', 0), 'B'); /* a driver that does not look */
    assert_false(uart_irq(&uart));
    assert_int_equal(get(LSR, 0), 0x00);
    uart_set_full(&uart, false);
    assert_true(uart_irq(&uart));
    assert_int_equal(get(LSR, 0), 0x60);
    assert_int_equal(get(IIR, 0), 0x02);
    uart_set_full(&uart, false); /* no news */
    assert_false(uart_irq(&uart));
}

static void test_receive_without_fifo(void **state)
{
    put(MCR, 0x08, 0);
    put(IER, 0x01, 0);
    assert_true(uart_receive(&uart, 'x', 0));
    assert_true(uart_irq(&uart));
    assert_int_equal(get(IIR, 0), 0x04);
    assert_int_equal(get(LSR, 0), 0x61);
    assert_false(uart_receive(&uart, 'y', 0));
    assert_int_equal(get(DATA, 0), 'x');
    assert_false(uart_irq(&uart));
    assert_true(uart_receive(&uart, 'y', 0));
    assert_int_equal(get(DATA, 0), 'y');
}

static void test_fifo_trigger_and_timeout(void **state)
{
    put(LCR, 0x83, 0);
    put(DATA, 1, 0); /* 115200 baud: a character of 10 bits takes 86805 ns */
    put(IER, 0, 0);
    put(LCR, 0x03, 0);
    put(MCR, 0x08, 0);
    put(IER, 0x01, 0);
    put(IIR, 0x81, 0); /* trigger at 8 */
    for (unsigned i = 0; i < 7; i++) {
        assert_true(uart_receive(&uart, (uint8_t)('a' + i), 1000));
    }
    assert_false(uart_irq(&uart));
    assert_int_equal(uart.next_event, 1000 + 347222);
    uart_run(&uart, 1000 + 347221);
    assert_false(uart_irq(&uart));
    uart_run(&uart, 1000 + 347222);
    assert_true(uart_irq(&uart));
    assert_int_equal(get(IIR, 400000), 0xcc);
    assert_int_equal(get(DATA, 400000), 'a');
    assert_false(uart_irq(&uart)); /* reading starts the timeout anew */
    assert_int_equal(uart.next_event, 400000 + 347222);
    assert_true(uart_receive(&uart, 'h', 400000));
    assert_true(uart_receive(&uart, 'i', 400000));
    assert_int_equal(get(IIR, 400000), 0xc4);
    for (int c = 'b'; c <= 'i'; c++) {
        assert_int_equal(get(DATA, 400000), c);
    }
    assert_int_equal(uart.next_event, CLOCK_NEVER);
    assert_int_equal(get(LSR, 400000), 0x60);
}

static void test_fifo_is_full_at_16(void **state)
{
    put(IIR, 0x01, 0);
    for (unsigned i = 0; i < 16; i++) {
        assert_true(uart_receive(&uart, (uint8_t)i, 0));
    }
    assert_false(uart_receive(&uart, 16, 0));
    put(IIR, 0x03, 0); /* clear */
    assert_int_equal(get(LSR, 0), 0x60);
    assert_true(uart_receive(&uart, 99, 0));
    assert_int_equal(get(DATA, 0), 99);
}

static void test_loopback(void **state)
{
    put(MCR, 0x1f, 0);
    assert_int_equal(get(MSR, 0) & 0xf0, 0xf0);
    assert_int_equal(get(MSR, 0) & 0x0f, 0); /* reading cleared the deltas */
    assert_int_equal(put(DATA, 0x77, 0), -1);
    assert_false(uart_receive(&uart, 1, 0));
    assert_int_equal(get(DATA, 0), 0x77);
    put(DATA, 1, 0);
    put(DATA, 2, 0); /* no FIFO: overrun */
    assert_int_equal(get(LSR, 0), 0x63);
    assert_int_equal(get(LSR, 0), 0x61);
    assert_int_equal(get(DATA, 0), 2);
    put(MCR, 0x1a, 0); /* Linux's presence test expects CTS and DCD, and the end of the ring */
    assert_int_equal(get(MSR, 0), 0x96);
}

static void test_all_causes_by_priority(void **state)
{
    put(MCR, 0x18, 0);
    (void)get(MSR, 0);
    put(IER, 0x0f, 0);
    put(MCR, 0x1a, 0); /* CTS changes */
    put(DATA, 1, 0);
    put(DATA, 2, 0);
    assert_int_equal(get(IIR, 0), 0x06);
    (void)get(LSR, 0);
    assert_int_equal(get(IIR, 0), 0x04);
    (void)get(DATA, 0);
    assert_int_equal(get(IIR, 0), 0x02);
    assert_int_equal(get(IIR, 0), 0x00);
    assert_true(uart_irq(&uart));
    (void)get(MSR, 0);
    assert_int_equal(get(IIR, 0), 0x01);
    assert_false(uart_irq(&uart));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reset_state, setup),
        cmocka_unit_test_setup(test_probing, setup),
        cmocka_unit_test_setup(test_divisor, setup),
        cmocka_unit_test_setup(test_transmit, setup),
        cmocka_unit_test_setup(test_transmit_without_iir, setup),
        cmocka_unit_test_setup(test_full, setup),
        cmocka_unit_test_setup(test_receive_without_fifo, setup),
        cmocka_unit_test_setup(test_fifo_trigger_and_timeout, setup),
        cmocka_unit_test_setup(test_fifo_is_full_at_16, setup),
        cmocka_unit_test_setup(test_loopback, setup),
        cmocka_unit_test_setup(test_all_causes_by_priority, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
