/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550 UART on I/O ports, polled. National Semiconductor PC16550D data sheet. */
#ifndef PORTOLAN_DRIVERS_UART_NS16550_H
#define PORTOLAN_DRIVERS_UART_NS16550_H

#include "vmm/status.h"
#include "vmm/types.h"

struct ns16550 {
    uint16_t port;
    bool dead; /* it stopped taking characters: nothing more is sent, so nothing waits again */
};

/*
 * Find a UART at PORT and set it to BAUD (50..115200, a divisor of 115200), 8 data bits, no parity,
 * FIFOs on, no interrupts. NOT_FOUND: its scratch register or its loop-back does not answer; RANGE:
 * no such rate.
 */
enum status ns16550_init(struct ns16550 *uart, uint16_t port, uint32_t baud);

/* Send one character; waits for room, but not for ever. */
void ns16550_put(struct ns16550 *uart, char c);

/* Take a received character into *C; false if there is none. */
bool ns16550_get(struct ns16550 *uart, char *c);

/* Wait until all is on the line; bounded. */
void ns16550_flush(struct ns16550 *uart);

#endif
