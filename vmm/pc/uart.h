/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 16550A serial port. National Semiconductor PC16550D data sheet.
 *
 * Sending takes no time unless the host is behind; receiving takes what the host offers, never more
 * than the FIFO holds. The character time of the divisor matters for the receive timeout only. As
 * on PCs, MCR OUT2 gates the interrupt. Every function needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_UART_H
#define PORTOLAN_VMM_PC_UART_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define UART_PORT      0x3f8U
#define UART_IRQ       4U
#define UART_FIFO_SIZE 16U

struct uart_state {
    uint64_t next_event; /* virtual ns at which the receive timeout is due */
    uint16_t divisor;
    uint8_t interrupt_enable;
    uint8_t fifo_control;
    uint8_t line_control;
    uint8_t modem_control;
    uint8_t modem_status;
    uint8_t scratch;
    bool overrun;
    bool transmitter_idle; /* the "transmitter empty" interrupt is pending */
    bool receive_timeout;
    bool line_fell; /* and rose again: a new edge on IRQ 4 */
    bool full;      /* the host takes no more now: the transmitter looks busy */
    uint8_t first;  /* of the receive FIFO */
    uint8_t count;
    uint8_t fifo[UART_FIFO_SIZE];
};

extern const struct section uart_section; /* struct uart_state */

void uart_reset(struct uart_state *uart);

/* Byte access to register 0..7. */
uint8_t uart_read(struct uart_state *uart, unsigned offset, uint64_t now);

/* True: the guest sent *SENT to the line. */
bool uart_write(struct uart_state *uart, unsigned offset, uint8_t value, uint64_t now,
                uint8_t *sent);

/* A byte from the line. False when there is no room (or the guest looped the line back): keep it.
 */
bool uart_receive(struct uart_state *uart, uint8_t byte, uint64_t now);

void uart_run(struct uart_state *uart, uint64_t now);

/* The host is full, or takes bytes again: the transmitter is not empty until it does. */
void uart_set_full(struct uart_state *uart, bool full);

/* Did the interrupt fall for a moment, since a byte was sent before its interrupt was acknowledged?
 * True once. Drivers that look at LSR alone, and never at IIR, live on the edge that follows. */
bool uart_take_fall(struct uart_state *uart);

/* The level of IRQ 4. */
bool uart_irq(const struct uart_state *uart);

#endif
