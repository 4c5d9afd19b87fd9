/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/mb2_console.h"

#include "boot/loader_log.h"
#include "drivers/uart/ns16550.h"
#include "vmm/console/screen.h"
#include "vmm/host/map_physical.h"

#include <string.h>

#define COM1 0x3f8U
#define BAUD 115200U

/* start.S maps as much, one to one. */
#define MAPPED_END (1ULL << 32)

static struct ns16550 uart = {.dead = true};

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

void console_line(const char *line)
{
    uart_write(line, strlen(line));
    uart_write("\r\n", 2);
}

/* For vmm/console/screen.c, which asks the core's page tables otherwise. What the MTRRs say of
 * device space holds here. */
void *map_physical(hpa_t base, uint64_t size, enum map_kind kind)
{
    return range_fits(base.raw, size, MAPPED_END) ? (void *)base.raw : NULL;
}

void console_show(const struct handoff_framebuffer *framebuffer)
{
    uint64_t length;
    const char *text = loader_log(&length);

    if (screen_init(framebuffer) == STATUS_OK) {
        screen_put(text, length);
    }
}
