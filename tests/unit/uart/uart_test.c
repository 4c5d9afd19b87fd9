/* SPDX-License-Identifier: BSD-2-Clause */
/* The 16550 driver against a UART that works, one that is missing, and one that stops. */
#include "vmm/host/port_io.h"

#include "drivers/uart/ns16550.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PORT 0x3f8U

/* A small model of the device; 'kind' says what is wrong with it. */
static enum { WORKING, NO_FIFO, MISSING, SCRATCH_ONLY, STUCK } kind;
static uint8_t registers[8], divisor[2];
static char sent[64];
static unsigned sent_count;
static bool looped;
static uint8_t flags; /* of the line status, until it is read */
static unsigned reads;

uint32_t port_read(uint16_t port, unsigned width)
{
    unsigned reg = port - PORT;

    reads++;
    if (kind == MISSING) {
        return 0xff;
    }
    if (reg == 5) {
        uint32_t status =
            (kind == STUCK && !(registers[4] & 0x10) ? 0U : 0x60U) | (looped ? 1U : 0U) | flags;

        flags &= 1;
        return status;
    }
    if (reg == 2) {
        return (registers[2] & 1) && kind != NO_FIFO ? 0xc1 : 0x01;
    }
    if (reg == 0 && looped) {
        looped = false;
    }
    return registers[reg];
}

void port_write(uint16_t port, unsigned width, uint32_t value)
{
    unsigned reg = port - PORT;

    if (reg < 2 && (registers[3] & 0x80)) {
        divisor[reg] = (uint8_t)value;
        return;
    }
    registers[reg] = (uint8_t)value;
    if (reg == 0 && (registers[4] & 0x10)) {
        looped = kind != SCRATCH_ONLY;
    } else if (reg == 0 && sent_count < sizeof(sent)) {
        sent[sent_count++] = (char)value;
    }
}

static int setup(void **state)
{
    kind = WORKING;
    memset(registers, 0, sizeof(registers));
    sent_count = reads = 0;
    looped = false;
    flags = 0;
    return 0;
}

static void test_rates(void **state)
{
    static const struct {
        uint32_t baud, divisor;
    } rates[] = {
        {115200, 1   },
        {57600,  2   },
        {38400,  3   },
        {19200,  6   },
        {9600,   12  },
        {50,     2304}
    };
    struct ns16550 uart;

    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        assert_int_equal(ns16550_init(&uart, PORT, rates[i].baud), STATUS_OK);
        assert_int_equal(divisor[0] | divisor[1] << 8, rates[i].divisor);
        assert_int_equal(registers[3], 0x03);
        assert_int_equal(registers[1], 0);
    }
    assert_int_equal(ns16550_init(&uart, PORT, 0), STATUS_RANGE);
    assert_int_equal(ns16550_init(&uart, PORT, 31337), STATUS_RANGE);
    assert_int_equal(ns16550_init(&uart, PORT, 230400), STATUS_RANGE);
}

static void test_send_and_receive(void **state)
{
    struct ns16550 uart;
    char c = 0;

    assert_int_equal(ns16550_init(&uart, PORT, 115200), STATUS_OK);
    sent_count = reads = 0;
    assert_int_equal(ns16550_send(&uart, "ab", 2), 2);
    assert_int_equal(reads, 1);
    ns16550_flush(&uart);
    assert_int_equal(sent_count, 2);
    assert_memory_equal(sent, "ab", 2);
    assert_int_equal(ns16550_send(&uart, "0123456789abcdefgh", 18), 16); /* what its FIFO holds */
    assert_false(ns16550_get(&uart, &c));
    registers[0] = 'x';
    looped = true;
    assert_true(ns16550_get(&uart, &c));
    assert_int_equal(c, 'x');
    assert_int_equal(uart.overruns, 0);
    registers[0] = 0;
    flags = 0x13; /* a break, and before it an overrun */
    assert_false(ns16550_get(&uart, &c));
    assert_int_equal(uart.overruns, 1);
    flags = 0;
    kind = NO_FIFO;
    assert_int_equal(ns16550_init(&uart, PORT, 115200), STATUS_OK);
    assert_int_equal(ns16550_send(&uart, "ab", 2), 1);
}

static void test_missing(void **state)
{
    struct ns16550 uart;

    kind = MISSING;
    assert_int_equal(ns16550_init(&uart, PORT, 115200), STATUS_NOT_FOUND);
    kind = SCRATCH_ONLY;
    assert_int_equal(ns16550_init(&uart, PORT, 115200), STATUS_NOT_FOUND);
    sent_count = reads = 0;
    assert_int_equal(ns16550_send(&uart, "a", 1), 0); /* goes nowhere, and asks nothing */
    assert_int_equal(sent_count, 0);
    assert_int_equal(reads, 0);
}

static void test_stalls(void **state)
{
    static const uint32_t rates[] = {115200, 50};
    struct ns16550 uart;

    for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
        kind = WORKING;
        assert_int_equal(ns16550_init(&uart, PORT, rates[i]), STATUS_OK);
        kind = STUCK;
        reads = sent_count = 0;
        while (!uart.stalled) {
            assert_int_equal(ns16550_send(&uart, "a", 1), 0);
        }
        /* A microsecond each: longer than 16 characters of 10 bits take, and not for ever. */
        assert_in_range(reads, 16 * 10 * 1000000 / rates[i], 10000000);
        reads = 0;
        ns16550_flush(&uart); /* once is enough: it does not wait again */
        assert_int_equal(reads, 0);
        kind = WORKING;
        assert_int_equal(ns16550_send(&uart, "b", 1), 1);
        assert_false(uart.stalled);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rates, setup),
        cmocka_unit_test_setup(test_send_and_receive, setup),
        cmocka_unit_test_setup(test_missing, setup),
        cmocka_unit_test_setup(test_stalls, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
