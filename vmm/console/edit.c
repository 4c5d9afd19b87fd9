/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/console/edit.h"

#include <string.h>

#define CTRL(letter) ((letter)&0x1f)
#define ASCII_ESC    0x1b
#define ASCII_DEL    0x7f

static enum edit_event echo(struct edit *edit, const char *text)
{
    memcpy(edit->echo, text, strlen(text) + 1);
    return EDIT_ECHO;
}

static enum edit_event cut(struct edit *edit, uint32_t length)
{
    edit->length = length;
    edit->text[length] = '\0';
    return EDIT_REDRAW;
}

static enum edit_event backspace(struct edit *edit)
{
    if (edit->length == 0) {
        return EDIT_NOTHING;
    }
    (void)cut(edit, edit->length - 1);
    return echo(edit, "\b \b");
}

static enum edit_event erase_word(struct edit *edit)
{
    uint32_t length = edit->length;

    while (length > 0 && edit->text[length - 1] == ' ') {
        length--;
    }
    while (length > 0 && edit->text[length - 1] != ' ') {
        length--;
    }
    return cut(edit, length);
}

static enum edit_event append(struct edit *edit, char c)
{
    if (edit->length == EDIT_MAX) {
        return echo(edit, "\a");
    }
    edit->text[edit->length++] = c;
    edit->text[edit->length] = '\0';
    edit->echo[0] = c;
    edit->echo[1] = '\0';
    return EDIT_ECHO;
}

static enum edit_event plain_key(struct edit *edit, uint8_t byte)
{
    switch (byte) {
    case '\b':
    case ASCII_DEL:
        return backspace(edit);
    case CTRL('C'):
        (void)cut(edit, 0);
        return EDIT_CANCEL;
    case CTRL('U'):
        return cut(edit, 0);
    case CTRL('W'):
        return erase_word(edit);
    case CTRL('L'):
        return EDIT_REDRAW;
    case ASCII_ESC:
        edit->keys = EDIT_KEYS_ESCAPE;
        return EDIT_NOTHING;
    case '\r':
    case '\n':
        return EDIT_LINE;
    default:
        return byte >= ' ' && byte < ASCII_DEL ? append(edit, (char)byte) : EDIT_NOTHING;
    }
}

/* The last byte of ESC [ ... or ESC O. */
static enum edit_event sequence_key(struct edit *edit, uint8_t byte)
{
    if (byte == 'A') {
        memcpy(edit->text, edit->last, sizeof(edit->text));
        edit->length = (uint32_t)strlen(edit->text);
        return EDIT_REDRAW;
    }
    return byte == 'B' ? cut(edit, 0) : EDIT_NOTHING;
}

enum edit_event edit_feed(struct edit *edit, uint8_t byte)
{
    bool returned = edit->returned;
    enum edit_keys keys = edit->keys;

    edit->returned = byte == '\r';
    if (byte == '\n' && returned) {
        return EDIT_NOTHING;
    }
    edit->keys = EDIT_KEYS_PLAIN;
    if (byte < ' ' || byte == ASCII_DEL) {
        return plain_key(edit, byte); /* also within a sequence: none holds the keyboard */
    }
    if (keys == EDIT_KEYS_ESCAPE) {
        edit->keys = byte == '[' || byte == 'O' ? EDIT_KEYS_CONTROL : EDIT_KEYS_PLAIN;
        return EDIT_NOTHING;
    }
    if (keys == EDIT_KEYS_CONTROL && byte < '@') {
        edit->keys = EDIT_KEYS_CONTROL;
        return EDIT_NOTHING;
    }
    return keys == EDIT_KEYS_CONTROL ? sequence_key(edit, byte) : plain_key(edit, byte);
}

void edit_take(struct edit *edit, char text[EDIT_MAX + 1])
{
    memcpy(text, edit->text, EDIT_MAX + 1);
    if (edit->length > 0) {
        memcpy(edit->last, edit->text, sizeof(edit->last));
    }
    (void)cut(edit, 0);
}
