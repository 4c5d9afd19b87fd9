/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VGA shows: pixels, line by line, and text. Pure; it works on a copy of the registers and
 * reads the video memory while the guest may write there: then what it says is as torn as on a
 * screen.
 */
#ifndef PORTOLAN_VMM_PC_VGA_DRAW_H
#define PORTOLAN_VMM_PC_VGA_DRAW_H

#include "vmm/pc/vga.h"

#define VGA_TEXT_COLUMNS 160U /* at most, of text */
#define VGA_TEXT_LINES   100U

enum vga_kind { VGA_BLANK, VGA_TEXT, VGA_PLANAR, VGA_CGA, VGA_BYTES, VGA_LINEAR };

/* What is on the screen; found by vga_look(). */
struct vga_picture {
    enum vga_kind kind;
    uint16_t width, height; /* pixels, at most VGA_WIDTH_MAX and VGA_HEIGHT_MAX */
    uint8_t bits;           /* of a pixel, VGA_LINEAR */
    uint8_t stretch;        /* how often each dot is shown */
    uint8_t cell_width, cell_height;
    uint16_t columns, lines; /* of text; within the bounds above */
    uint32_t start, pitch;   /* in double words; VGA_LINEAR: in bytes */
    uint32_t font[2];        /* double words; [1] is that of bit 3 of the attribute */
    uint32_t cursor;         /* its double word; UINT32_MAX: not now */
    bool blinks;             /* characters with bit 7 do, and are away now */
    uint32_t colour[16];     /* of text and planes, as 00RRGGBBh */
    uint32_t palette[256];
    const struct vga_state *state;
    const uint32_t *memory;
};

/* STATE and MEMORY stay the caller's; NOW is for what blinks. */
void vga_look(struct vga_picture *picture, const struct vga_state *state, const uint32_t *memory,
              uint64_t now);

/* Line Y < height, PIXELS of VGA_WIDTH_MAX. */
void vga_draw_line(const struct vga_picture *picture, unsigned y, uint32_t *pixels);

/* Line LINE < lines of text: COLUMNS cells, each a character of code page 437 and above it its
 * attribute. */
void vga_text_line(const struct vga_picture *picture, unsigned line, uint16_t *cells);

/* Where in the text the cursor is. False: nowhere. */
bool vga_text_cursor(const struct vga_picture *picture, unsigned *line, unsigned *column);

/* A character of code page 437 as one of ASCII that looks like it. */
char vga_ascii(uint8_t character);

#endif
