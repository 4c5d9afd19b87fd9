/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/uart/ns16550.h"

#include "vmm/host/port_io.h"

enum ns16550_register {
    UART_DATA = 0, /* divisor, low, while LCR_DIVISOR is set */
    UART_IER = 1,  /* divisor, high */
    UART_FCR = 2,  /* written; IIR when read */
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_SCRATCH = 7,
};

#define FCR_ENABLE_AND_CLEAR 0x07U
#define LCR_8N1              0x03U
#define LCR_DIVISOR          0x80U
#define MCR_DTR_RTS_OUT2     0x0bU
#define MCR_LOOP             0x10U
#define IIR_FIFOS            0xc0U /* both: there are FIFOs and they work */
#define LSR_READY            0x01U
#define LSR_OVERRUN          0x02U
#define LSR_BREAK            0x10U
#define LSR_ROOM             0x20U
#define LSR_EMPTY            0x40U

#define CLOCK 115200U /* baud at divisor 1 */

/* Reads of the line status take about a microsecond on a real machine: 0.4 s. */
#define WAIT_READS 400000U
#define CHAR_BITS  10U

static uint8_t uart_read(const struct ns16550 *uart, enum ns16550_register reg)
{
    return (uint8_t)port_read((uint16_t)(uart->port + reg), 1);
}

static void uart_write(const struct ns16550 *uart, enum ns16550_register reg, uint32_t value)
{
    port_write((uint16_t)(uart->port + reg), 1, value);
}

/* The line status; reading it forgets that characters were lost, so every reader counts them. */
static uint8_t uart_status(struct ns16550 *uart)
{
    uint8_t status = uart_read(uart, UART_LSR);

    if (status & LSR_OVERRUN) {
        uart->overruns++;
    }
    return status;
}

static bool uart_wait(struct ns16550 *uart, uint8_t bit)
{
    for (uint32_t i = 0; i < uart->patience; i++) {
        if (uart_status(uart) & bit) {
            return true;
        }
    }
    return false;
}

/* Twice what a full FIFO takes to send, and never less than WAIT_READS. */
static uint32_t uart_patience(uint32_t baud)
{
    uint32_t reads = 2 * NS16550_FIFO * CHAR_BITS * 1000000U / baud;

    return reads > WAIT_READS ? reads : WAIT_READS;
}

/* Ports without a device read as all ones, and some chipsets keep a scratch value: so both tests.
 */
static bool uart_present(struct ns16550 *uart)
{
    static const uint8_t patterns[] = {0x5a, 0xa5};

    for (unsigned i = 0; i < ARRAY_SIZE(patterns); i++) {
        uart_write(uart, UART_SCRATCH, patterns[i]);
        if (uart_read(uart, UART_SCRATCH) != patterns[i]) {
            return false;
        }
    }
    uart_write(uart, UART_MCR, MCR_LOOP);
    uart_write(uart, UART_DATA, 0x42);
    return uart_wait(uart, LSR_READY) && uart_read(uart, UART_DATA) == 0x42;
}

enum status ns16550_init(struct ns16550 *uart, uint16_t port, uint32_t baud)
{
    *uart = (struct ns16550){.port = port, .dead = true};
    if (baud < 50 || baud > CLOCK || CLOCK % baud) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    uint32_t divisor = CLOCK / baud;

    uart->patience = uart_patience(baud);
    uart_write(uart, UART_IER, 0);
    uart_write(uart, UART_LCR, LCR_DIVISOR);
    uart_write(uart, UART_DATA, divisor & 0xff);
    uart_write(uart, UART_IER, divisor >> 8);
    uart_write(uart, UART_LCR, LCR_8N1);
    uart_write(uart, UART_FCR, FCR_ENABLE_AND_CLEAR);
    if (!uart_present(uart)) {
        return STATUS_NOT_FOUND; /* not noted: the note could go to this very line */
    }
    uart_write(uart, UART_FCR, FCR_ENABLE_AND_CLEAR);
    uart_write(uart, UART_MCR, MCR_DTR_RTS_OUT2);
    uart->fifo = (uart_read(uart, UART_FCR) & IIR_FIFOS) == IIR_FIFOS ? NS16550_FIFO : 1;
    uart->overruns = 0; /* of the loop-back */
    uart->dead = false;
    return STATUS_OK;
}

size_t ns16550_send(struct ns16550 *uart, const char *text, size_t length)
{
    size_t sent = 0;

    if (uart->dead || length == 0) {
        return 0;
    }
    if (!(uart_status(uart) & LSR_ROOM)) {
        uart->stalled = uart->stalled || ++uart->waited >= uart->patience;
        return 0;
    }
    uart->stalled = false;
    uart->waited = 0;
    while (sent < length && sent < uart->fifo) {
        uart_write(uart, UART_DATA, (uint8_t)text[sent++]);
    }
    return sent;
}

bool ns16550_get(struct ns16550 *uart, char *c)
{
    if (uart->dead) {
        return false;
    }
    uint8_t status = uart_status(uart);

    if (!(status & LSR_READY)) {
        return false;
    }
    *c = (char)uart_read(uart, UART_DATA);
    return !(status & LSR_BREAK);
}

void ns16550_flush(struct ns16550 *uart)
{
    if (!uart->dead && !uart->stalled) {
        (void)uart_wait(uart, LSR_EMPTY);
    }
}
