/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/text.h"

#include "vmm/base/types.h"

#include <string.h>

enum { NODE_MEDIA = 4, NODE_MEDIA_FILE_PATH = 4, NODE_END = 0x7f, NODE_END_ALL = 0xff };

#define NODE_HEADER  4U
#define OPTIONS_MAX  1024U /* characters; longer ones are not a command line */
#define IMAGE_SUFFIX ".efi"

static uint16_t character_at(const uint8_t *bytes, size_t index)
{
    return (uint16_t)(bytes[2 * index] | bytes[2 * index + 1] << 8);
}

/* Append the COUNT characters at BYTES, up to a NUL; exactly one separator goes between nodes. */
static enum status path_append(const uint8_t *bytes, size_t count, uint16_t *out, size_t capacity,
                               size_t *used)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t character = character_at(bytes, i);
        if (character == 0) {
            break;
        }
        character = character == '/' ? '\\' : character;
        if (character == '\\' && *used > 0 && out[*used - 1] == '\\') {
            continue;
        }
        if (*used + 1 >= capacity) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
        out[(*used)++] = character;
    }
    return STATUS_OK;
}

enum status text_path_read(const void *path, size_t limit, uint16_t *out, size_t capacity)
{
    static const uint8_t separator[] = {'\\', 0};
    const uint8_t *bytes = path;
    enum status status = STATUS_OK;
    size_t used = 0;

    for (size_t at = 0; status == STATUS_OK;) {
        if (!range_fits(at, NODE_HEADER, limit)) {
            return STATUS_NOTE(STATUS_INVALID);
        }
        size_t length = (size_t)(bytes[at + 2] | bytes[at + 3] << 8);
        if (length < NODE_HEADER || !range_fits(at, length, limit)) {
            return STATUS_NOTE(STATUS_INVALID);
        }
        if (bytes[at] == NODE_END && bytes[at + 1] == NODE_END_ALL) {
            break;
        }
        if (bytes[at] == NODE_MEDIA && bytes[at + 1] == NODE_MEDIA_FILE_PATH) {
            if (used > 0) {
                status = path_append(separator, 1, out, capacity, &used);
            }
            if (status == STATUS_OK) {
                status = path_append(bytes + at + NODE_HEADER, (length - NODE_HEADER) / 2, out,
                                     capacity, &used);
            }
        }
        at += length;
    }
    out[used] = 0;
    return status;
}

void text_to_ascii(const uint16_t *text, char *out, size_t size)
{
    size_t used = 0;

    for (; text[used] != 0 && used + 1 < size; used++) {
        bool printable = text[used] >= ' ' && text[used] < 0x7f;
        out[used] = (char)(printable ? text[used] : '?');
    }
    out[used] = '\0';
}

void text_path_split(uint16_t *path, char *name, size_t size)
{
    size_t folder = 0; /* its length */
    size_t start = 0;  /* of the last component */

    for (size_t i = 0; path[i] != 0; i++) {
        if (path[i] == '\\') {
            folder = i;
            start = i + 1;
        }
    }
    text_to_ascii(path + start, name, size);
    path[folder] = 0;
}

static char lower(char character)
{
    bool upper = character >= 'A' && character <= 'Z';

    return (char)(upper ? character - 'A' + 'a' : character);
}

/* Are the first LENGTH characters of A and B, which both have as many, equal whatever the case? */
static bool same(const char *a, const char *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

/* A part of a line. */
struct word {
    const char *text;
    size_t length;
};

/* Take the next word off *LINE, without its quotes; length 0: there is none. */
static struct word word_take(const char **line)
{
    const char *text = *line;

    while (*text == ' ') {
        text++;
    }
    const char *stop = *text == '"' ? "\"" : " ";
    text += *stop == '"' ? 1 : 0;
    struct word word = {text, strcspn(text, stop)};
    *line = text + word.length + (text[word.length] == *stop ? 1 : 0);
    return word;
}

/* Is WORD how a shell's user calls this image? */
static bool word_is_image(struct word word, const char *own_name)
{
    size_t suffix = strlen(IMAGE_SUFFIX);
    size_t own = strlen(own_name);

    for (size_t i = word.length; i > 0; i--) {
        if (word.text[i - 1] == '\\') {
            word = (struct word){word.text + i, word.length - i};
            break;
        }
    }
    if (word.length >= suffix && same(word.text + word.length - suffix, IMAGE_SUFFIX, suffix)) {
        return true;
    }
    /* A shell lets its user leave out the extension. */
    return own > suffix && word.length == own - suffix && same(word.text, own_name, word.length);
}

/* The options as a line of ASCII in OUT, OPTIONS_MAX + 1 bytes. */
static enum status options_read(const void *options, size_t bytes, char *out)
{
    size_t used = 0;

    for (size_t i = 0; i < bytes / 2; i++) {
        uint16_t character = character_at(options, i);
        if (character == 0) {
            break;
        }
        if (character < ' ' || character >= 0x7f || used == OPTIONS_MAX) {
            return STATUS_NOTE(STATUS_INVALID);
        }
        out[used++] = (char)(character == '/' ? '\\' : character);
    }
    out[used] = '\0';
    return STATUS_OK;
}

enum status text_options_name(const void *options, size_t bytes, const char *own_name, char *name,
                              size_t size)
{
    char text[OPTIONS_MAX + 1] = {0};
    const char *line = text;

    enum status status = options_read(options, bytes, text);
    if (status != STATUS_OK) {
        return status;
    }
    struct word word = word_take(&line);
    if (word.length > 0 && word_is_image(word, own_name)) {
        word = word_take(&line);
    }
    if (word.length == 0) {
        return STATUS_NOT_FOUND;
    }
    if (word.length >= size) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    memcpy(name, word.text, word.length);
    name[word.length] = '\0';
    return STATUS_OK;
}
