/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/console/keymap.h"

#include "vmm/pc/ps2.h"

#include <string.h>

#define ESC 0x1bU

#define E         PS2_EXTENDED
#define KEY_ESC   0x01U
#define KEY_ENTER 0x1cU
#define KEY_F1    0x3bU
#define KEY_F11   0x57U

/* Characters by their key's code in set 1, without Shift and with it; 01h: none. */
static const char plain[] =
    "\1\0331234567890-=\b\tqwertyuiop[]\r\1asdfghjkl;'`\1\\zxcvbnm,./\1\1\1 ";
static const char shifted[] = "\1\1!@#$%^&*()_+\1\1QWERTYUIOP{}\1\1ASDFGHJKL:\"~\1|ZXCVBNM<>?";

static const struct {
    const char *name;
    uint8_t key;
    uint8_t number;  /* ESC [ NUMBER ~ is this key, and */
    uint8_t number2; /* so is this one */
    char letter;     /* ESC [ LETTER or ESC O LETTER */
} keys[] = {
    {"esc",       KEY_ESC,     0,  0, 0  },
    {"enter",     KEY_ENTER,   0,  0, 'M'},
    {"tab",       0x0f,        0,  0, 0  },
    {"backspace", 0x0e,        0,  0, 0  },
    {"space",     0x39,        0,  0, 0  },
    {"up",        0x48 | E,    0,  0, 'A'},
    {"down",      0x50 | E,    0,  0, 'B'},
    {"right",     0x4d | E,    0,  0, 'C'},
    {"left",      0x4b | E,    0,  0, 'D'},
    {"home",      0x47 | E,    1,  7, 'H'},
    {"end",       0x4f | E,    4,  8, 'F'},
    {"ins",       0x52 | E,    2,  0, 0  },
    {"del",       0x53 | E,    3,  0, 0  },
    {"pgup",      0x49 | E,    5,  0, 0  },
    {"pgdn",      0x51 | E,    6,  0, 0  },
    {"f1",        KEY_F1,      11, 0, 'P'},
    {"f2",        KEY_F1 + 1,  12, 0, 'Q'},
    {"f3",        KEY_F1 + 2,  13, 0, 'R'},
    {"f4",        KEY_F1 + 3,  14, 0, 'S'},
    {"f5",        KEY_F1 + 4,  15, 0, 0  },
    {"f6",        KEY_F1 + 5,  17, 0, 0  },
    {"f7",        KEY_F1 + 6,  18, 0, 0  },
    {"f8",        KEY_F1 + 7,  19, 0, 0  },
    {"f9",        KEY_F1 + 8,  20, 0, 0  },
    {"f10",       KEY_F1 + 9,  21, 0, 0  },
    {"f11",       KEY_F11,     23, 0, 0  },
    {"f12",       KEY_F11 + 1, 24, 0, 0  },
    {"caps",      0x3a,        0,  0, 0  },
    {"num",       0x45,        0,  0, 0  },
    {"scroll",    0x46,        0,  0, 0  },
    {"print",     0x37 | E,    0,  0, 0  },
    {"menu",      0x5d | E,    29, 0, 0  },
};

static const struct {
    const char *name;
    uint16_t bit;
} held[] = {
    {"shift-", PS2_SHIFT},
    {"alt-",   PS2_ALT  },
    {"ctrl-",  PS2_CTRL }
}; /* in the order of the bits of a sequence's second number, less one */

/* The key of a character that is printed on one; 0: none. */
static uint16_t printed(uint8_t byte)
{
    for (unsigned i = 1; i < sizeof(plain) - 1 && byte != 1; i++) {
        if ((uint8_t)plain[i] == byte) {
            return (uint16_t)i;
        }
        if (i < sizeof(shifted) - 1 && (uint8_t)shifted[i] == byte) {
            return (uint16_t)(i | PS2_SHIFT);
        }
    }
    return 0;
}

uint16_t keymap_byte(uint8_t byte)
{
    uint16_t key = printed(byte == 0x7f ? '\b' : byte == '\n' ? '\r' : byte);

    if (key != 0 || byte >= ' ') {
        return key;
    }
    /* Ctrl takes the upper bits away: from letters, and from @ [ \ ] ^ _. */
    return printed(byte - 1U < 26 ? byte | 0x60U : byte | 0x40U) | PS2_CTRL;
}

unsigned keymap_word(const char *word, uint16_t *strokes, unsigned max)
{
    uint16_t bits = 0;
    unsigned count = 0;

    if (word[0] == '\'' && word[1] != '\0') {
        for (word++; *word && count < max; word++) {
            strokes[count++] = keymap_byte((uint8_t)*word);
        }
        return *word ? 0 : count;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(held);) {
        size_t length = strlen(held[i].name);
        bool found = strncmp(word, held[i].name, length) == 0;

        bits |= found ? held[i].bit : 0;
        word += found ? length : 0;
        i = found ? 0 : i + 1;
    }
    uint16_t key = word[0] && !word[1] ? keymap_byte((uint8_t)word[0]) : 0;

    for (unsigned i = 0; i < ARRAY_SIZE(keys) && key == 0; i++) {
        key = strcmp(word, keys[i].name) == 0 ? keys[i].key : 0;
    }
    if (key == 0 || max == 0) {
        return 0;
    }
    strokes[0] = key | bits;
    return 1;
}

/* What the NUMBERs and the final byte of a sequence mean; 0: nobody knows. */
static uint16_t sequence_key(const unsigned number[2], char final)
{
    uint16_t bits = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(held) && number[1] > 0; i++) {
        bits |= ((number[1] - 1) >> i & 1U) != 0 ? held[i].bit : 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        if (final == '~'
                ? number[0] != 0 && (keys[i].number == number[0] || keys[i].number2 == number[0])
                : keys[i].letter == final && final != 0) {
            return keys[i].key | bits;
        }
    }
    return 0;
}

/* A whole sequence, ESC at its beginning. */
static uint16_t decode(const struct keymap *map)
{
    unsigned number[2] = {0, 0}, which = 0;
    char final = (char)map->byte[map->count - 1];

    if (map->count == 2) { /* Alt and a key */
        uint16_t key = keymap_byte((uint8_t) final);

        return key ? key | PS2_ALT : 0;
    }
    if (map->byte[1] == '[' && map->byte[2] == '[') { /* Linux: F1 to F5 */
        return final >= 'A' && final <= 'E' ? (uint16_t)(KEY_F1 + (unsigned) final - 'A') : 0;
    }
    if (map->byte[1] == '[' && final == 'Z') {
        return 0x0f | PS2_SHIFT;
    }
    for (unsigned i = 2; i + 1U < map->count; i++) {
        uint8_t c = map->byte[i];

        if (c == ';') {
            which = 1;
        } else if (c >= '0' && c <= '9') {
            number[which] = number[which] * 10 + c - '0';
        }
    }
    return sequence_key(number, final);
}

static bool is_whole(const struct keymap *map)
{
    uint8_t last = map->byte[map->count - 1];

    if (map->count < 3) {
        return map->count == 2 && last != '[' && last != 'O';
    }
    return (last >= '@' && last <= '~' && !(map->count == 3 && last == '[')) ||
           map->count == KEYMAP_MAX || last < ' ';
}

unsigned keymap_feed(struct keymap *map, uint8_t byte, uint16_t strokes[KEYMAP_MAX])
{
    unsigned count = 0;

    if (map->count > 0 && byte == ESC) { /* what was before it was typed */
        count = keymap_flush(map, strokes);
    }
    if (map->count == 0 && byte != ESC) {
        strokes[0] = keymap_byte(byte);
        return strokes[0] != 0;
    }
    map->byte[map->count++] = byte;
    if (map->byte[0] == ESC && map->count > 1 && is_whole(map)) {
        strokes[count] = decode(map);
        count += strokes[count] != 0;
        map->count = 0;
    }
    return count;
}

unsigned keymap_flush(struct keymap *map, uint16_t strokes[KEYMAP_MAX])
{
    unsigned count = 0;

    for (unsigned i = 0; i < map->count; i++) {
        strokes[count] = keymap_byte(map->byte[i]);
        count += strokes[count] != 0;
    }
    map->count = 0;
    return count;
}
