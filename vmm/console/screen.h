/* SPDX-License-Identifier: BSD-2-Clause */
/* Text on the firmware's frame buffer, or a VM's picture. Not locked: log.c does that for text. */
#ifndef PORTOLAN_VMM_CONSOLE_SCREEN_H
#define PORTOLAN_VMM_CONSOLE_SCREEN_H

#include "boot/handoff.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"

#include <stddef.h>

#define SCREEN_COLUMNS_MAX 240U
#define SCREEN_LINES_MAX   100U

/* Map the frame buffer and clear it. NOT_FOUND: none, or its numbers make no sense. */
enum status screen_init(const struct handoff_framebuffer *framebuffer);

/* Write TEXT; '\n' begins a line, long lines are continued on the next, anything that is not ASCII
 * becomes '?'. */
void screen_put(const char *text, size_t length);

/*
 * LENT: from here on text is kept and not drawn, and what follows draws, on one CPU. Back again,
 * each line is to be drawn anew: screen_redraw() for LINE from 0 on, until it is false. Returns
 * whether it was lent before.
 */
bool screen_lend(bool lent);
bool screen_redraw(uint32_t line);

bool screen_is_there(void);
void screen_clear(void);

/* Row ROW of a picture of WIDTH x HEIGHT pixels, 00RRGGBBh: in the middle, as often as all of it
 * fits, or what fits of it. */
void screen_draw(uint32_t row, const uint32_t *pixels, uint32_t width, uint32_t height);

#endif
