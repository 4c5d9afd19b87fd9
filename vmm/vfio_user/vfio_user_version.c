/* SPDX-License-Identifier: BSD-2-Clause */
/* VERSION, and the JSON in it: of the whole grammar (RFC 8259), but only names we know count. */
#include "vmm/base/format.h"
#include "vmm/vfio_user/vfio_user_internal.h"

#include <string.h>

#define JSON_MAX  4096U
#define DEPTH_MAX 16U
#define NAME_MAX  24U /* longer ones are none that we know */

#define MAJOR       0U
#define MINOR_MAX   2U /* what others of today have at most */
#define MINOR_2021  1U
#define PAGE_4K     4096U
#define DEFAULT_FDS 1U
#define FIXED       32UL /* bytes of an answer with data, besides the data */

enum expect { VALUE, NAME_OR_END, NAME, COLON, COMMA_OR_END, NOTHING };

struct json {
    const char *at, *end;
    enum expect expect;
    bool first; /* of an array that was just opened: it may end */
    unsigned depth;
    uint32_t objects; /* bit n: what was opened at depth n is an object, not an array */
    char name[NAME_MAX];
    /* The depth of the objects "capabilities" and in it "migration"; 0: not in it. */
    unsigned capabilities, migration;
    struct capabilities *found;
};

/* Names with a number, today's and those of 2021. */
static const struct {
    const char *name;
    uint32_t bit;
} names[] = {
    {"max_msg_fds",        CAPABLE_FDS                },
    {"max_data_xfer_size", CAPABLE_DATA               },
    {"max_dma_maps",       CAPABLE_MAPS               },
    {"pgsizes",            CAPABLE_PAGES              },
    {"write_multiple",     CAPABLE_MULTI              },
    {"migration",          CAPABLE_MIGRATION          },
    {"max_fds",            CAPABLE_2021 | CAPABLE_FDS },
    {"max_msg_size",       CAPABLE_2021 | CAPABLE_DATA},
};

static uint32_t capability(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i].name) == 0) {
            return names[i].bit;
        }
    }
    return 0;
}

/* A value begins that has the name in J; a NUMBER if it is one that fits. */
static void note(struct json *j, const uint64_t *number)
{
    struct capabilities *f = j->found;

    if (j->migration == j->depth && j->depth != 0 && number != NULL &&
        strcmp(j->name, "pgsize") == 0) {
        f->page = *number;
    }
    if (j->capabilities != j->depth || j->depth == 0) {
        return;
    }
    uint32_t bits = capability(j->name);

    f->named |= bits;
    if (number != NULL && (bits & CAPABLE_FDS) != 0) {
        f->fds = *number;
    }
    if (number != NULL && (bits & CAPABLE_DATA) != 0) {
        f->data = *number;
    }
}

static bool open_container(struct json *j, bool object)
{
    if (j->depth == DEPTH_MAX) {
        return false;
    }
    note(j, NULL);
    if (object && j->depth == 1 && strcmp(j->name, "capabilities") == 0) {
        j->capabilities = 2;
    } else if (object && j->depth == 2 && j->capabilities == 2 &&
               strcmp(j->name, "migration") == 0) {
        j->migration = 3;
    }
    j->depth++;
    j->objects = object ? j->objects | 1U << j->depth : j->objects & ~(1U << j->depth);
    j->expect = object ? NAME_OR_END : VALUE;
    j->first = !object;
    j->name[0] = '\0';
    return true;
}

static bool in_object(const struct json *j)
{
    return j->depth != 0 && (j->objects >> j->depth & 1) != 0;
}

static void after_value(struct json *j)
{
    j->expect = j->depth == 0 ? NOTHING : COMMA_OR_END;
    j->name[0] = '\0';
}

static bool close_container(struct json *j, bool object)
{
    bool may_end = j->expect == COMMA_OR_END || (object && j->expect == NAME_OR_END) ||
                   (!object && j->expect == VALUE && j->first);

    if (j->depth == 0 || in_object(j) != object || !may_end) {
        return false;
    }
    if (j->capabilities == j->depth) {
        j->capabilities = 0;
    }
    if (j->migration == j->depth) {
        j->migration = 0;
    }
    j->depth--;
    after_value(j);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* At the quote: pass over the string. A name goes to J->name; with an escape it is none we know. */
static bool string(struct json *j, bool name)
{
    unsigned length = 0;
    bool plain = true;

    for (j->at++; j->at < j->end && *j->at != '"'; j->at++) {
        if ((unsigned char)*j->at < 0x20) {
            return false;
        }
        if (name && length < NAME_MAX - 1) {
            j->name[length] = *j->at;
        }
        length++;
        if (*j->at != '\\') {
            continue;
        }
        plain = false;
        if (++j->at == j->end || strchr("\"\\/bfnrtu", *j->at) == NULL || *j->at == '\0') {
            return false;
        }
        for (unsigned i = 0; *j->at == 'u' && i < 4; i++) {
            if (j->end - j->at < 6 - (int)i || !is_hex(j->at[1 + i])) {
                return false;
            }
        }
    }
    if (name) {
        j->name[plain && length < NAME_MAX ? length : 0] = '\0';
    }
    return j->at++ < j->end;
}

static bool digits(struct json *j)
{
    const char *from = j->at;

    while (j->at < j->end && is_digit(*j->at)) {
        j->at++;
    }
    return j->at != from;
}

static bool number(struct json *j)
{
    const char *from = j->at, *whole;
    bool natural = *from != '-';
    uint64_t value = 0;

    j->at += natural ? 0 : 1;
    from = j->at;
    if (!digits(j) || (*from == '0' && j->at - from > 1)) {
        return false;
    }
    whole = j->at;
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        natural = false;
        if (!digits(j)) {
            return false;
        }
    }
    if (j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
        j->at++;
        natural = false;
        j->at += j->at < j->end && (*j->at == '+' || *j->at == '-') ? 1 : 0;
        if (!digits(j)) {
            return false;
        }
    }
    for (; natural && from < whole; from++) {
        natural = value <= (UINT64_MAX - 9) / 10;
        value = value * 10 + (uint64_t)(*from - '0');
    }
    note(j, natural ? &value : NULL);
    after_value(j);
    return true;
}

static bool literal(struct json *j)
{
    static const char *const literals[] = {"true", "false", "null"};

    for (unsigned i = 0; i < ARRAY_SIZE(literals); i++) {
        size_t length = strlen(literals[i]);

        if ((size_t)(j->end - j->at) >= length && memcmp(j->at, literals[i], length) == 0) {
            j->at += length;
            if (i == 0) {
                note(j, NULL);
            }
            after_value(j);
            return true;
        }
    }
    return false;
}

static bool value(struct json *j)
{
    j->first = false;
    if (*j->at == '"') {
        bool good = string(j, false);

        after_value(j);
        return good;
    }
    return *j->at == '-' || is_digit(*j->at) ? number(j) : literal(j);
}

/* One token. */
static bool step(struct json *j)
{
    char c = *j->at;

    if (c == '}' || c == ']') {
        j->at++;
        return close_container(j, c == '}');
    }
    switch (j->expect) {
    case VALUE:
        if (c == '{' || c == '[') {
            j->at++;
            return open_container(j, c == '{');
        }
        return value(j);
    case NAME_OR_END:
    case NAME:
        j->expect = COLON;
        return c == '"' && string(j, true);
    case COLON:
        j->at++;
        j->expect = VALUE;
        return c == ':';
    case COMMA_OR_END:
        j->at++;
        j->expect = in_object(j) ? NAME : VALUE;
        return c == ',';
    case NOTHING:
    default:
        return false;
    }
}

enum status vfio_user_parse(const char *text, uint32_t length, struct capabilities *found)
{
    struct json j = {.at = text, .end = text + length, .expect = VALUE, .found = found};

    *found = (struct capabilities){.fds = DEFAULT_FDS, .data = VFIO_USER_DATA_MAX};
    if (length > JSON_MAX || length == 0) {
        return STATUS_INVALID;
    }
    while (j.at < j.end) {
        if (strchr(" \t\r\n", *j.at) != NULL && *j.at != '\0') {
            j.at++;
        } else if (!step(&j)) {
            return STATUS_INVALID;
        }
    }
    return j.expect == NOTHING ? STATUS_OK : STATUS_INVALID;
}

int vfio_user_capabilities(const struct vfio_user_setup *setup, enum vfio_user_form form,
                           uint32_t asked, char *text, size_t size)
{
    bool migrates = setup->function->migrates || setup->function->logs;
    const char *migration =
        migrates && (asked & CAPABLE_MIGRATION) != 0 ? ",\"migration\":{\"pgsize\":4096}" : "";

    if (form == VFIO_USER_2021) {
        return format(text, size, "{\"capabilities\":{\"max_fds\":%u,\"max_msg_size\":%u%s}}",
                      VFIO_USER_HANDLES_MAX, setup->data + VFIO_USER_ENVELOPE, migration);
    }
    return format(text, size,
                  "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u,"
                  "\"max_dma_maps\":%u,\"pgsizes\":%u%s%s}}",
                  VFIO_USER_HANDLES_MAX, setup->data, VFIO_USER_MAPS_MAX, PAGE_4K,
                  (asked & CAPABLE_MULTI) != 0 ? ",\"write_multiple\":true" : "", migration);
}

/* What the client says it can receive. */
static void take_limits(struct vfio_user *server, const struct capabilities *c)
{
    uint64_t data = c->data;

    if (server->form == VFIO_USER_2021) { /* of a whole message */
        data = (c->named & CAPABLE_DATA) == 0 ? PAGE_4K : data;
        data = data > FIXED ? data - FIXED : 0;
    }
    server->client_data = least(data, server->setup.data);
    server->client_handles = least(c->fds, VFIO_USER_HANDLES_MAX);
}

enum status vfio_user_version(struct vfio_user *server, struct message *m)
{
    uint32_t minor = (uint32_t)bytes_get(m->in + 2, 2), from = 4;
    struct capabilities c = {.fds = DEFAULT_FDS, .data = VFIO_USER_DATA_MAX};

    if (bytes_get(m->in, 2) != MAJOR) {
        return STATUS_UNSUPPORTED;
    }
    /* By its table the text of 2021 begins two bytes later, by its sum of sizes here. */
    while (from < 6 && from < m->size && m->in[from] == '\0') {
        from++;
    }
    if (m->size > from) {
        uint32_t length = m->size - from - 1;

        if (m->in[m->size - 1] != '\0' ||
            vfio_user_parse((const char *)m->in + from, length, &c) != STATUS_OK) {
            return STATUS_INVALID;
        }
    }
    server->form = server->setup.form;
    if (server->form == VFIO_USER_AUTO) {
        server->form =
            minor == MINOR_2021 && (c.named & CAPABLE_2021) != 0 ? VFIO_USER_2021 : VFIO_USER_TODAY;
    }
    take_limits(server, &c);
    bytes_put(m->out, 2, MAJOR);
    bytes_put(m->out + 2, 2, least(minor, server->form == VFIO_USER_2021 ? MINOR_2021 : MINOR_MAX));
    m->answer = 4 + 1 +
                (uint32_t)vfio_user_capabilities(&server->setup, server->form, c.named,
                                                 (char *)m->out + 4, m->room - 4);
    vfio_user_irqs_begin(server);
    return STATUS_OK;
}
