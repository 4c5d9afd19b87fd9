/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line that is typed at the VMM's prompt: what each key does to it. Pure.
 *
 * Backspace and Delete (08h, 7Fh) take a character back, Ctrl-U the line, Ctrl-W a word, Ctrl-C
 * gives up, Ctrl-L shows the line anew, the up arrow brings the last line back, the down arrow an
 * empty one. CR, LF and CR LF each end one line. Other control characters and sequences do nothing.
 */
#ifndef PORTOLAN_VMM_CONSOLE_EDIT_H
#define PORTOLAN_VMM_CONSOLE_EDIT_H

#include "vmm/base/types.h"

#define EDIT_MAX      128U /* characters of a line */
#define EDIT_ECHO_MAX 3U

enum edit_event {
    EDIT_NOTHING,
    EDIT_ECHO,   /* echo what is in 'echo' */
    EDIT_REDRAW, /* the line is to be shown anew */
    EDIT_CANCEL, /* the line was given up; it is empty now */
    EDIT_LINE,   /* the line is done: see edit_take() */
};

enum edit_keys { EDIT_KEYS_PLAIN, EDIT_KEYS_ESCAPE, EDIT_KEYS_CONTROL };

/* A zeroed one is fresh. */
struct edit {
    char text[EDIT_MAX + 1]; /* NUL-terminated, printable ASCII */
    char last[EDIT_MAX + 1];
    char echo[EDIT_ECHO_MAX + 1];
    uint32_t length;
    enum edit_keys keys;
    bool returned; /* the last character was CR: an LF now belongs to it */
};

enum edit_event edit_feed(struct edit *edit, uint8_t byte);

/* After EDIT_LINE: copy the line to TEXT, remember it unless it is empty, and begin a new one. */
void edit_take(struct edit *edit, char text[EDIT_MAX + 1]);

#endif
