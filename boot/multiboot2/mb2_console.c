/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/mb2_console.h"

#include "drivers/uart/ns16550.h"
#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/console/screen.h"
#include "vmm/host/map_physical.h"

#include <string.h>

#define COM1     0x3f8U
#define BAUD     115200U
#define LOG_SIZE (16UL << 10)

/* start.S maps as much, one to one. */
#define MAPPED_END (1ULL << 32)

static struct ns16550 uart = {.dead = true};
static char log_text[LOG_SIZE];
static size_t log_used;

void console_init(void)
{
    (void)ns16550_init(&uart, COM1, BAUD); /* without one the copy is all there is */
}

void console_flush(void)
{
    ns16550_flush(&uart);
}

/* Wait for room, but not for a UART that stopped taking characters: the rest is in the copy only.
 */
static void uart_write(const char *text, size_t length)
{
    size_t sent = 0;

    do {
        sent += ns16550_send(&uart, text + sent, length - sent);
    } while (sent < length && !uart.dead && !uart.stalled);
}

/* A line that does not fit is left out. */
static void log_keep(const char *line)
{
    size_t left = LOG_SIZE - log_used;
    int length = format(log_text + log_used, left, "%s\n", line);

    log_used += length > 0 && (size_t)length < left ? (size_t)length : 0;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;

    if (level == LOG_DEBUG) {
        return;
    }
    va_start(args, fmt);
    format_args(line, sizeof(line), fmt, args);
    va_end(args);
    uart_write(line, strlen(line));
    uart_write("\r\n", 2);
    log_keep(line);
}

/* For screen.c, which asks the core's page tables otherwise. What the MTRRs say of device space
 * holds here. */
void *map_physical(hpa_t base, uint64_t size, enum map_kind kind)
{
    return range_fits(base.raw, size, MAPPED_END) ? (void *)base.raw : NULL;
}

void console_show(const struct handoff_framebuffer *framebuffer)
{
    if (screen_init(framebuffer) == STATUS_OK) {
        screen_put(log_text, log_used);
    }
}

uint64_t console_log(uint64_t *size)
{
    *size = log_used;
    return (uintptr_t)log_text;
}
