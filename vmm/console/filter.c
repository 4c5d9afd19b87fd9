/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/console/filter.h"

#define ASCII_BEL 0x07U
#define ASCII_CAN 0x18U
#define ASCII_SUB 0x1aU
#define ASCII_ESC 0x1bU
#define ASCII_DEL 0x7fU

/* The control characters of eight bits that begin a sequence: DCS, SOS, CSI, OSC, PM and APC. */
static bool is_wide_introducer(uint8_t byte)
{
    return byte == 0x90 || byte == 0x98 || byte == 0x9b || (byte >= 0x9d && byte <= 0x9f);
}

static bool is_cancel(uint8_t byte)
{
    return byte == ASCII_CAN || byte == ASCII_SUB;
}

static enum filter_result ground(uint8_t byte, char *text)
{
    if (byte == '\n') {
        return FILTER_NEWLINE;
    }
    if (byte == '\r') {
        return FILTER_RETURN;
    }
    if (byte == '\t' || (byte >= ' ' && byte < ASCII_DEL)) {
        *text = (char)byte;
        return FILTER_TEXT;
    }
    if (byte > ASCII_DEL) {
        *text = '?';
        return FILTER_TEXT;
    }
    return FILTER_NOTHING;
}

/* The byte behind ESC (and intermediates). */
static enum filter_state behind_escape(uint8_t byte)
{
    switch (byte) {
    case '[':
        return FILTER_CONTROL;
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_':
        return FILTER_STRING;
    default:
        return byte >= ' ' && byte <= '/' ? FILTER_ESCAPE : FILTER_GROUND;
    }
}

static enum filter_state next_state(const struct filter *filter, uint8_t byte)
{
    switch (filter->state) {
    case FILTER_GROUND:
        break;
    case FILTER_ESCAPE:
        return filter->length == 1          ? behind_escape(byte)
               : byte >= ' ' && byte <= '/' ? FILTER_ESCAPE
                                            : FILTER_GROUND;
    case FILTER_CONTROL:
        return byte >= '@' && byte <= '~' ? FILTER_GROUND : FILTER_CONTROL;
    case FILTER_STRING:
        return byte == ASCII_BEL ? FILTER_GROUND : FILTER_STRING;
    case FILTER_STRING_END: /* ESC \ ends the string, another byte begins a new sequence */
        return behind_escape(byte);
    }
    return FILTER_GROUND;
}

/* BYTE is part of the sequence, or its end. */
static void go_on(struct filter *filter, uint8_t byte)
{
    enum filter_state before = filter->state, next = next_state(filter, byte);

    if (before == FILTER_STRING_END) {
        filter->length = 1; /* of a new sequence, if there is one */
    }
    bool too_long = ++filter->length > FILTER_STRING_MAX;

    if (next == FILTER_STRING && before != FILTER_STRING) {
        filter->bell_ends = byte == ']';
    }
    filter->state = too_long ? FILTER_GROUND : next;
    filter->left_behind =
        too_long || (before == FILTER_STRING && next == FILTER_GROUND && !filter->bell_ends);
}

enum filter_result filter_feed(struct filter *filter, uint8_t byte, char *text)
{
    if (filter->state == FILTER_STRING && byte == ASCII_ESC) {
        filter->state = FILTER_STRING_END;
        return FILTER_NOTHING;
    }
    if (byte == ASCII_ESC) {
        *filter = (struct filter){.state = FILTER_ESCAPE, .length = 1};
        return FILTER_NOTHING;
    }
    if (filter->state == FILTER_GROUND) {
        filter->left_behind = (filter->left_behind && !is_cancel(byte)) || is_wide_introducer(byte);
        return ground(byte, text);
    }
    /* Line ends are obeyed in every sequence: none can hide what follows for long. */
    if (byte == '\n' || byte == '\r' || is_cancel(byte)) {
        filter->state = FILTER_GROUND;
        filter->left_behind = !is_cancel(byte);
        return ground(byte, text);
    }
    go_on(filter, byte);
    return FILTER_NOTHING;
}
