/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's screen, for the operator: its text on the serial line, with the cursor movements of a
 * terminal of VT100 kind (ECMA-48) and only what changed; all of it on the machine's frame buffer,
 * likewise. On the CPU that polls, no lock held, unless said.
 */
#ifndef PORTOLAN_VMM_CONSOLE_VIEW_H
#define PORTOLAN_VMM_CONSOLE_VIEW_H

#include "vmm/pc/vga_draw.h"

#include <stddef.h>

/* What a terminal shows of a picture. */
struct view {
    bool known; /* it shows what follows; else anything */
    enum vga_kind kind;
    uint16_t columns, lines;                         /* of a picture in graphics: its points */
    uint16_t at_line, at_column;                     /* where the terminal's cursor is */
    uint8_t attribute;                               /* what it writes with */
    bool hidden;                                     /* its cursor */
    uint16_t cell[VGA_TEXT_LINES][VGA_TEXT_COLUMNS]; /* printed character, attribute */
};

#define VIEW_LEAST 160U

/*
 * Pure. Put into BUFFER, of SIZE >= VIEW_LEAST bytes, what makes a terminal that shows VIEW show
 * PICTURE, NAME's; as far as it fits, the rest comes with the next call. Returns the bytes, 0 when
 * there is nothing to do.
 */
size_t view_update(struct view *view, const struct vga_picture *picture, const char *name,
                   char *buffer, size_t size);

/* Show VM's screen from here on (CONSOLE_VMM: none). */
void view_begin(unsigned vm);

/* Bring what changed to the line, in what room it has and so many bytes a second as it carries, and
 * to the frame buffer. */
void view_poll(uint64_t now_ns);

/* The text of VM's screen with console_print(); false: it has no screen. */
bool view_print(unsigned vm);

#endif
