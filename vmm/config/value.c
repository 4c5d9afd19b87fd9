/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/config/value.h"

#include <string.h>

bool slice_is(struct slice slice, const char *word)
{
    return strlen(word) == slice.length && memcmp(word, slice.at, slice.length) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice slice)
{
    while (slice.length > 0 && is_space(slice.at[0])) {
        slice.at++;
        slice.length--;
    }
    while (slice.length > 0 && is_space(slice.at[slice.length - 1])) {
        slice.length--;
    }
    return slice;
}

struct slice slice_cut(struct slice *slice, char c)
{
    const char *found = slice->length ? memchr(slice->at, c, slice->length) : NULL;
    struct slice head = *slice;

    if (found) {
        head.length = (size_t)(found - slice->at);
        slice->at = found + 1;
        slice->length -= head.length + 1;
    } else {
        slice->at += slice->length;
        slice->length = 0;
    }
    return head;
}

/* The value of a digit, or 16. */
static unsigned digit(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

static bool number_in_base(struct slice slice, unsigned base, uint64_t *value)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < slice.length; i++) {
        unsigned d = digit(slice.at[i]);

        if (d >= base || sum > (UINT64_MAX - d) / base) {
            return false;
        }
        sum = sum * base + d;
    }
    if (slice.length == 0) {
        return false;
    }
    *value = sum;
    return true;
}

static bool has_0x(struct slice slice)
{
    return slice.length > 2 && slice.at[0] == '0' && (slice.at[1] == 'x' || slice.at[1] == 'X');
}

bool value_number(struct slice slice, uint64_t *value)
{
    return has_0x(slice) ? value_hex(slice, value) : number_in_base(slice, 10, value);
}

bool value_hex(struct slice slice, uint64_t *value)
{
    unsigned skip = has_0x(slice) ? 2 : 0;

    return number_in_base((struct slice){slice.at + skip, slice.length - skip}, 16, value);
}

bool value_size(struct slice slice, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    const char *unit = NULL;

    if (slice.length > 1 && digit(slice.at[slice.length - 1]) == 16) {
        unit = memchr(units, slice.at[slice.length - 1], sizeof(units) - 1);
        if (!unit) {
            return false;
        }
        slice.length--;
    }
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    uint64_t value;

    if (!value_number(slice, &value) || value > UINT64_MAX >> shift) {
        return false;
    }
    *bytes = value << shift;
    return true;
}

static bool hex_field(struct slice slice, uint64_t max, uint64_t *value)
{
    return slice.length <= 4 && number_in_base(slice, 16, value) && *value <= max;
}

bool value_bdf(struct slice slice, bdf_t *bdf)
{
    uint64_t segment = 0, bus, device, function;
    struct slice rest = slice, first = slice_cut(&rest, ':');

    if (rest.length > 0 && memchr(rest.at, ':', rest.length)) {
        if (!hex_field(first, 0xffff, &segment)) {
            return false;
        }
        first = slice_cut(&rest, ':');
    }
    struct slice dev = slice_cut(&rest, '.');

    if (!hex_field(first, 0xff, &bus) || !hex_field(dev, 0x1f, &device) ||
        !hex_field(rest, 7, &function)) {
        return false;
    }
    *bdf = (bdf_t){(uint16_t)segment, (uint8_t)bus, (uint8_t)(device << 3 | function)};
    return true;
}

int value_word(struct slice slice, const char *words)
{
    struct slice rest = {words, strlen(words)};

    for (int i = 0; rest.length > 0; i++) {
        struct slice word = slice_cut(&rest, ' ');

        if (word.length == slice.length && memcmp(word.at, slice.at, word.length) == 0) {
            return i;
        }
    }
    return -1;
}

bool value_path_ok(struct slice slice)
{
    struct slice rest = slice;

    if (slice.length == 0 || slice.at[slice.length - 1] == '/') {
        return false;
    }
    while (rest.length > 0) {
        struct slice part = slice_cut(&rest, '/');

        if (part.length == 0 || slice_is(part, ".") || slice_is(part, "..")) {
            return false;
        }
        for (size_t i = 0; i < part.length; i++) {
            if (part.at[i] <= ' ' || part.at[i] > '~' || strchr("\\:*?\"<>|", part.at[i])) {
                return false;
            }
        }
    }
    return true;
}
