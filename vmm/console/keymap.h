/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a terminal sends, as strokes of a PS/2 keyboard (vmm/pc/ps2.h) with a US layout. Pure.
 * ECMA-48 5.4; XTerm Control Sequences; console_codes(4).
 */
#ifndef PORTOLAN_VMM_CONSOLE_KEYMAP_H
#define PORTOLAN_VMM_CONSOLE_KEYMAP_H

#include "vmm/base/types.h"

#define KEYMAP_MAX 8U /* strokes that one byte may end, and bytes of an escape sequence */

#define KEYMAP_CTRL_ALT_DEL (0x53U | PS2_EXTENDED | PS2_CTRL | PS2_ALT)

/* A byte as a stroke: control characters are letters with Ctrl. 0: there is none. */
uint16_t keymap_byte(uint8_t byte);

/*
 * A word of `vm key`: a key's name or a character, with ctrl-, alt- and shift- before it; or ' and
 * characters that are typed. Returns how many strokes it put into STROKES; 0: no such key, or more
 * than MAX.
 */
unsigned keymap_word(const char *word, uint16_t *strokes, unsigned max);

/* A terminal's escape sequences, as they come. A zeroed one is fresh. */
struct keymap {
    uint8_t byte[KEYMAP_MAX];
    uint8_t count;
};

/* Returns how many strokes are in STROKES: none while a sequence is under way, or if nobody knows
 * it. */
unsigned keymap_feed(struct keymap *map, uint8_t byte, uint16_t strokes[KEYMAP_MAX]);

/* No more comes for now: what looked like the beginning of a sequence was typed. */
unsigned keymap_flush(struct keymap *map, uint16_t strokes[KEYMAP_MAX]);

#endif
