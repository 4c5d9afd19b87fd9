/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550 UART on I/O ports, polled. National Semiconductor PC16550D data sheet. */
#ifndef PORTOLAN_DRIVERS_UART_NS16550_H
#define PORTOLAN_DRIVERS_UART_NS16550_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define NS16550_FIFO 16U

struct ns16550 {
    uint16_t port;
    uint16_t fifo;     /* characters that it takes at once when it is empty; 1: no FIFO */
    uint32_t patience; /* reads of the line status without room after which it counts as stalled */
    uint32_t waited;   /* such reads since it last had room */
    uint32_t overruns; /* times that it lost received characters */
    bool dead;         /* there is none, or it is not to be used */
    bool stalled;      /* it stopped taking characters; it may start again */
};

/*
 * Find a UART at PORT and set it to BAUD (50..115200, a divisor of 115200), 8 data bits, no parity,
 * FIFOs on, no interrupts. NOT_FOUND: its scratch register or its loop-back does not answer; RANGE:
 * no such rate. A UART has one owner, who calls these functions one at a time.
 */
enum status ns16550_init(struct ns16550 *uart, uint16_t port, uint32_t baud);

/*
 * Send the beginning of TEXT, as much as there is room for; returns how much. Never waits: one read
 * of the line status. One that has had no room for longer than a full FIFO can take is 'stalled'
 * until it has room again.
 */
size_t ns16550_send(struct ns16550 *uart, const char *text, size_t length);

/* Take a received character into *C; false if there is none. A break is not a character. */
bool ns16550_get(struct ns16550 *uart, char *c);

/* Wait until all is on the line; bounded. */
void ns16550_flush(struct ns16550 *uart);

#endif
