/* SPDX-License-Identifier: BSD-2-Clause */
/* Text on the firmware's frame buffer. Not locked: log.c does that. */
#ifndef PORTOLAN_VMM_CONSOLE_SCREEN_H
#define PORTOLAN_VMM_CONSOLE_SCREEN_H

#include "boot/handoff.h"
#include "vmm/base/status.h"

#include <stddef.h>

#define SCREEN_COLUMNS_MAX 240U
#define SCREEN_LINES_MAX   100U

/* Map the frame buffer and clear it. NOT_FOUND: none, or its numbers make no sense. */
enum status screen_init(const struct handoff_framebuffer *framebuffer);

/* Write TEXT; '\n' begins a line, long lines are continued on the next, anything that is not ASCII
 * becomes '?'. */
void screen_put(const char *text, size_t length);

#endif
