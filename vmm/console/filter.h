/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a VM's output harmless for the operator's terminal: what is left is printable ASCII, TAB
 * and line ends. Escape sequences (ECMA-48 5.3 and 5.4: ESC with intermediates, CSI, and the
 * strings OSC, DCS, APC, PM and SOS) are taken out whole. Bytes from 80h up become '?': some of
 * them are control characters of eight bits, also within valid UTF-8.
 *
 * Pure. One filter belongs to one stream of bytes.
 */
#ifndef PORTOLAN_VMM_CONSOLE_FILTER_H
#define PORTOLAN_VMM_CONSOLE_FILTER_H

#include "vmm/base/types.h"

/* A string that is not ended after so many bytes is not believed to be one. */
#define FILTER_STRING_MAX 256U

enum filter_state {
    FILTER_GROUND,
    FILTER_ESCAPE,     /* behind ESC and intermediates */
    FILTER_CONTROL,    /* within CSI */
    FILTER_STRING,     /* within OSC and its like */
    FILTER_STRING_END, /* the same, behind an ESC */
};

struct filter {
    enum filter_state state;
    uint16_t length;  /* bytes of the sequence */
    bool bell_ends;   /* the string is an OSC, which terminals also end at BEL */
    bool left_behind; /* a terminal may still be within what was given up here */
};

enum filter_result {
    FILTER_NOTHING, /* the byte says nothing to a reader */
    FILTER_TEXT,    /* *TEXT is to be shown */
    FILTER_NEWLINE,
    FILTER_RETURN, /* a carriage return */
};

/* A zeroed filter is a fresh one. *TEXT is written for FILTER_TEXT only. */
enum filter_result filter_feed(struct filter *filter, uint8_t byte, char *text);

/*
 * May a terminal that saw the same bytes take the one that comes next for part of an escape
 * sequence? It goes on behind a line end, in a string of any length, and perhaps from a control
 * character of eight bits; only ESC, CAN and SUB bring every terminal out of it (VT510 manual,
 * chapter 4).
 */
static inline bool filter_in_sequence(const struct filter *filter)
{
    return filter->state != FILTER_GROUND || filter->left_behind;
}

#endif
