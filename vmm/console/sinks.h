/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the log goes; set up by main.c as the means become known. */
#ifndef PORTOLAN_VMM_CONSOLE_SINKS_H
#define PORTOLAN_VMM_CONSOLE_SINKS_H

#include "boot/handoff.h"
#include "vmm/base/log.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#include <stddef.h>
#include <stdint.h>

/* Lines above LEVEL go nowhere. Default: info. */
void log_set_level(enum log_level level);

/* Put TEXT (lines of somebody else's, as the boot loader's) into the log as it is. */
void log_raw(const char *text, size_t length);

/*
 * Send the log to the UART at PORT as well, with all that it holds already. NOT_FOUND, RANGE as
 * ns16550_init().
 */
enum status log_start_serial(uint16_t port, uint32_t baud);

/* Send the log to the screen as well, with what fits of what it holds. NOT_FOUND: there is no
 * usable one. */
enum status log_start_screen(const struct handoff_framebuffer *framebuffer);

/* Let somebody else draw on the screen; or take it back, and show the log there again. CPU 0. */
void log_lend_screen(bool lent);

/* Give the serial line what it had no room for when it was logged. Any CPU; does not wait. */
void log_show(void);

/* Read the ring from position *FROM; as ring_read(). */
size_t log_read(uint64_t *from, char *buffer, size_t size);

/* Bytes ever logged: the position behind the last. */
uint64_t log_written(void);

/* The last SIZE characters of a text. Not locked: its owner does that. */
struct ring {
    char *text;
    uint32_t size;
    uint64_t written; /* bytes ever; the next goes to written % size */
};

void ring_put(struct ring *ring, const char *text, size_t length);

/*
 * Copy up to SIZE bytes from position *FROM (bytes ever written before it; what is overwritten is
 * skipped) to BUFFER and move *FROM behind them. Returns the number copied, 0 at the end.
 */
size_t ring_read(const struct ring *ring, uint64_t *from, char *buffer, size_t size);

#endif
