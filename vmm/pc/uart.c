/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/uart.h"

#include "vmm/pc/clock.h"

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCRATCH };

#define IER_RECEIVE  0x01U
#define IER_TRANSMIT 0x02U
#define IER_LINE     0x04U
#define IER_MODEM    0x08U
#define IER_WRITABLE 0x0fU

#define IIR_NONE     0x01U
#define IIR_MODEM    0x00U
#define IIR_TRANSMIT 0x02U
#define IIR_RECEIVE  0x04U
#define IIR_TIMEOUT  0x0cU
#define IIR_LINE     0x06U
#define IIR_FIFO     0xc0U

#define FCR_ENABLE   0x01U
#define FCR_CLEAR_RX 0x02U
#define FCR_KEPT     0xc9U

#define LCR_DIVISOR 0x80U

#define MCR_DTR      0x01U
#define MCR_RTS      0x02U
#define MCR_OUT1     0x04U
#define MCR_OUT2     0x08U
#define MCR_LOOP     0x10U
#define MCR_WRITABLE 0x1fU

#define LSR_DATA    0x01U
#define LSR_OVERRUN 0x02U
#define LSR_IDLE    0x60U /* transmitter holding and shift registers empty */

#define MSR_DELTAS 0x0fU /* each four bits below its input */
#define MSR_CTS    0x10U
#define MSR_DSR    0x20U
#define MSR_RING   0x40U
#define MSR_DCD    0x80U

#define BAUD_CLOCK_HZ       1843200U
#define CLOCKS_PER_BIT      16U
#define TIMEOUT_CHARACTERS  4U
#define DIVISOR_AT_POWER_ON 12U /* 9600 baud, as BIOSes leave it */

static const struct field uart_fields[] = {
    FIELD(struct uart_state, next_event, UINT64_MAX),
    FIELD(struct uart_state, divisor, 0xffff),
    FIELD(struct uart_state, interrupt_enable, IER_WRITABLE),
    FIELD(struct uart_state, fifo_control, FCR_KEPT),
    FIELD(struct uart_state, line_control, 0xff),
    FIELD(struct uart_state, modem_control, MCR_WRITABLE),
    FIELD(struct uart_state, modem_status, 0xff),
    FIELD(struct uart_state, scratch, 0xff),
    FIELD(struct uart_state, overrun, 1),
    FIELD(struct uart_state, transmitter_idle, 1),
    FIELD(struct uart_state, receive_timeout, 1),
    FIELD(struct uart_state, line_fell, 1),
    FIELD(struct uart_state, full, 1),
    FIELD(struct uart_state, first, UART_FIFO_SIZE - 1),
    FIELD(struct uart_state, count, UART_FIFO_SIZE),
    FIELD_ARRAY(struct uart_state, fifo, 0xff),
};

const struct section uart_section = SECTION(struct uart_state, "uart", 1, uart_fields, NULL);

static const uint8_t trigger_levels[4] = {1, 4, 8, 14};

static bool has_fifo(const struct uart_state *uart)
{
    return (uart->fifo_control & FCR_ENABLE) != 0;
}

static unsigned capacity(const struct uart_state *uart)
{
    return has_fifo(uart) ? UART_FIFO_SIZE : 1;
}

static bool receive_triggered(const struct uart_state *uart)
{
    unsigned level = has_fifo(uart) ? trigger_levels[uart->fifo_control >> 6] : 1;

    return uart->count >= level;
}

/* Four character times: start, 5 to 8 data, parity, 1 or 2 stop bits each. */
static uint64_t timeout_ns(const struct uart_state *uart)
{
    unsigned lcr = uart->line_control;
    uint64_t bits = 1 + 5 + (lcr & 3U) + (lcr >> 3 & 1U) + 1 + (lcr >> 2 & 1U);
    uint64_t divisor = uart->divisor != 0 ? uart->divisor : 1;

    return clock_scale(bits * TIMEOUT_CHARACTERS * CLOCKS_PER_BIT * divisor, CLOCK_NS_PER_S,
                       BAUD_CLOCK_HZ);
}

/* After each byte in or out of a FIFO that stays below its trigger level. */
static void restart_timeout(struct uart_state *uart, uint64_t now)
{
    uart->receive_timeout = false;
    uart->next_event = CLOCK_NEVER;
    if (has_fifo(uart) && uart->count != 0) {
        uart->next_event = now + timeout_ns(uart);
    }
}

static void clear_receiver(struct uart_state *uart)
{
    uart->first = 0;
    uart->count = 0;
    uart->receive_timeout = false;
    uart->next_event = CLOCK_NEVER;
}

void uart_reset(struct uart_state *uart)
{
    *uart = (struct uart_state){
        .divisor = DIVISOR_AT_POWER_ON,
        .modem_status = MSR_CTS | MSR_DSR | MSR_DCD,
        .next_event = CLOCK_NEVER,
    };
}

void uart_run(struct uart_state *uart, uint64_t now)
{
    if (now >= uart->next_event) {
        uart->next_event = CLOCK_NEVER;
        uart->receive_timeout = true;
    }
}

/* The pending cause of highest priority, as IIR shows it. */
static uint8_t cause(const struct uart_state *uart)
{
    uint8_t enabled = uart->interrupt_enable;

    if ((enabled & IER_LINE) != 0 && uart->overrun) {
        return IIR_LINE;
    }
    if ((enabled & IER_RECEIVE) != 0 && receive_triggered(uart)) {
        return IIR_RECEIVE;
    }
    if ((enabled & IER_RECEIVE) != 0 && uart->receive_timeout) {
        return IIR_TIMEOUT;
    }
    if ((enabled & IER_TRANSMIT) != 0 && uart->transmitter_idle) {
        return IIR_TRANSMIT;
    }
    if ((enabled & IER_MODEM) != 0 && (uart->modem_status & MSR_DELTAS) != 0) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

bool uart_irq(const struct uart_state *uart)
{
    return (uart->modem_control & MCR_OUT2) != 0 && cause(uart) != IIR_NONE;
}

static void push(struct uart_state *uart, uint8_t byte, uint64_t now)
{
    if (uart->count >= capacity(uart)) {
        uart->overrun = true;
        if (!has_fifo(uart)) {
            uart->fifo[uart->first] = byte; /* the 16450 register is overwritten */
        }
        return;
    }
    uart->fifo[(uart->first + uart->count) % UART_FIFO_SIZE] = byte;
    uart->count++;
    restart_timeout(uart, now);
}

bool uart_receive(struct uart_state *uart, uint8_t byte, uint64_t now)
{
    if ((uart->modem_control & MCR_LOOP) != 0 || uart->count >= capacity(uart)) {
        return false;
    }
    push(uart, byte, now);
    return true;
}

static uint8_t pop(struct uart_state *uart, uint64_t now)
{
    if (uart->count == 0) {
        return 0;
    }
    uint8_t byte = uart->fifo[uart->first];

    uart->first = (uint8_t)((uart->first + 1) % UART_FIFO_SIZE);
    uart->count--;
    restart_timeout(uart, now);
    return byte;
}

/* The modem's inputs: always ready, or in loopback the outputs. */
static void update_modem_status(struct uart_state *uart)
{
    uint8_t mcr = uart->modem_control;
    uint8_t inputs = MSR_CTS | MSR_DSR | MSR_DCD;

    if ((mcr & MCR_LOOP) != 0) {
        inputs =
            (uint8_t)(((mcr & MCR_RTS) != 0 ? MSR_CTS : 0) | ((mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
                      ((mcr & MCR_OUT1) != 0 ? MSR_RING : 0) |
                      ((mcr & MCR_OUT2) != 0 ? MSR_DCD : 0));
    }
    uint8_t changed = (uart->modem_status ^ inputs) & (uint8_t)~MSR_DELTAS;
    uint8_t deltas = (uint8_t)((changed & ~(inputs & MSR_RING)) >> 4); /* of RI its end only */

    uart->modem_status = (uint8_t)(inputs | (uart->modem_status & MSR_DELTAS) | deltas);
}

static void write_fifo_control(struct uart_state *uart, uint8_t value)
{
    bool toggled = ((value ^ uart->fifo_control) & FCR_ENABLE) != 0;

    if (toggled || (value & (FCR_ENABLE | FCR_CLEAR_RX)) == (FCR_ENABLE | FCR_CLEAR_RX)) {
        clear_receiver(uart);
    }
    uart->fifo_control = (value & FCR_ENABLE) != 0 ? value & FCR_KEPT : 0;
}

/* A byte ends the "transmitter empty" interrupt until it is out: at once. */
static void empty_transmitter(struct uart_state *uart)
{
    bool asked = uart_irq(uart);

    uart->transmitter_idle = false;
    uart->line_fell |= asked && !uart_irq(uart);
    uart->transmitter_idle = !uart->full;
}

void uart_set_full(struct uart_state *uart, bool full)
{
    if (uart->full != full) {
        uart->full = full;
        uart->transmitter_idle = !full;
    }
}

bool uart_take_fall(struct uart_state *uart)
{
    bool fell = uart->line_fell;

    uart->line_fell = false;
    return fell;
}

static bool send(struct uart_state *uart, uint8_t value, uint64_t now, uint8_t *sent)
{
    empty_transmitter(uart);
    if ((uart->modem_control & MCR_LOOP) != 0) {
        push(uart, value, now);
        return false;
    }
    *sent = value;
    return true;
}

static void write_interrupt_enable(struct uart_state *uart, uint8_t value)
{
    bool transmit_on = (value & ~uart->interrupt_enable & IER_TRANSMIT) != 0;

    uart->interrupt_enable = value & IER_WRITABLE;
    if (transmit_on && !uart->full) {
        uart->transmitter_idle = true; /* enabling it with an empty transmitter interrupts */
    }
}

bool uart_write(struct uart_state *uart, unsigned offset, uint8_t value, uint64_t now,
                uint8_t *sent)
{
    bool divisor_access = (uart->line_control & LCR_DIVISOR) != 0;

    uart_run(uart, now);
    switch (offset) {
    case DATA:
        if (!divisor_access) {
            return send(uart, value, now, sent);
        }
        uart->divisor = (uint16_t)((uart->divisor & 0xff00U) | value);
        break;
    case IER:
        if (divisor_access) {
            uart->divisor = (uint16_t)((uart->divisor & 0xffU) | value << 8);
        } else {
            write_interrupt_enable(uart, value);
        }
        break;
    case IIR_FCR:
        write_fifo_control(uart, value);
        break;
    case LCR:
        uart->line_control = value;
        break;
    case MCR:
        uart->modem_control = value & MCR_WRITABLE;
        update_modem_status(uart);
        break;
    case SCRATCH:
        uart->scratch = value;
        break;
    default: /* LSR and MSR are read only */
        break;
    }
    return false;
}

static uint8_t read_cause(struct uart_state *uart)
{
    uint8_t value = cause(uart);

    if (value == IIR_TRANSMIT) {
        uart->transmitter_idle = false; /* reading it acknowledges this one cause */
    }
    return (uint8_t)(value | (has_fifo(uart) ? IIR_FIFO : 0));
}

uint8_t uart_read(struct uart_state *uart, unsigned offset, uint64_t now)
{
    bool divisor_access = (uart->line_control & LCR_DIVISOR) != 0;
    uint8_t value;

    uart_run(uart, now);
    switch (offset) {
    case DATA:
        return divisor_access ? (uint8_t)uart->divisor : pop(uart, now);
    case IER:
        return divisor_access ? (uint8_t)(uart->divisor >> 8) : uart->interrupt_enable;
    case IIR_FCR:
        return read_cause(uart);
    case LCR:
        return uart->line_control;
    case MCR:
        return uart->modem_control;
    case LSR:
        value = (uint8_t)((uart->full ? 0 : LSR_IDLE) | (uart->count != 0 ? LSR_DATA : 0) |
                          (uart->overrun ? LSR_OVERRUN : 0));
        uart->overrun = false;
        return value;
    case MSR:
        value = uart->modem_status;
        uart->modem_status &= (uint8_t)~MSR_DELTAS;
        return value;
    default:
        return uart->scratch;
    }
}
