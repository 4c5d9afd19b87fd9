/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a command ends: its JSON is read when all of it is there. */
#include "guest/agent/qmp.h"

/* Does BYTE end it? */
static bool take(struct qmp_scan *s, char byte)
{
    if (s->in_text) {
        s->in_text = byte != '"' || s->escaped;
        s->escaped = byte == '\\' && !s->escaped;
        return false;
    }
    switch (byte) {
    case '"':
        s->in_text = true;
        return false;
    case '{':
    case '[':
        s->depth++;
        return false;
    case '}':
    case ']':
        s->depth -= s->depth != 0;
        return s->depth == 0;
    case '\n':
        return s->depth == 0; /* a line without an object is a command, too, and a wrong one */
    default:
        return false;
    }
}

uint32_t qmp_scan(struct qmp_scan *s, const char *text, uint32_t have, bool *broken)
{
    while (s->next < have) {
        unsigned char byte = (unsigned char)text[s->next++];

        *broken = (byte < ' ' && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0xff;
        if (*broken || take(s, (char)byte)) {
            return s->next;
        }
    }
    return 0;
}
