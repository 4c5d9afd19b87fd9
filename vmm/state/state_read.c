/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/format.h"
#include "vmm/state/state.h"

#include <string.h>

void state_reader_init(struct state_reader *r, const void *buffer, size_t size)
{
    *r = (struct state_reader){.buffer = buffer, .size = size};
}

static uint64_t number(const struct state_reader *r, size_t at, unsigned width)
{
    return state_number(r->buffer + at, width);
}

/* Say what is wrong with the present record, or with FIELD of it. */
static enum status refuse(struct state_reader *r, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static enum status refuse(struct state_reader *r, const char *field, const char *fmt, ...)
{
    int used =
        format(r->problem, sizeof(r->problem), "state: section %s, instance %u%s%s: ", r->name,
               r->instance, field != NULL ? ", field " : "", field != NULL ? field : "");
    va_list args;

    if (used < 0 || (size_t)used >= sizeof(r->problem)) {
        used = 0;
    }
    va_start(args, fmt);
    (void)format_args(r->problem + used, sizeof(r->problem) - (size_t)used, fmt, args);
    va_end(args);
    return STATUS_INVALID;
}

static enum status refuse_stream(struct state_reader *r, const char *what)
{
    (void)format(r->problem, sizeof(r->problem), "state: the record at byte %zu: %s", r->next,
                 what);
    return STATUS_INVALID;
}

/* Copy a name of LENGTH bytes, which go into messages, into NAME of SIZE. */
static bool copy_name(const struct state_reader *r, size_t at, size_t length, char *name,
                      size_t size)
{
    if (length == 0 || length >= size) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char c = (char)r->buffer[at + i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-') {
            return false;
        }
        name[i] = c;
    }
    name[length] = '\0';
    return true;
}

enum status state_next_section(struct state_reader *r)
{
    size_t start = r->next;

    if (start == r->size) {
        return STATUS_NOT_FOUND;
    }
    if (r->size - start < STATE_RECORD_HEADER + STATE_CHECKSUM ||
        number(r, start, 4) != STATE_MAGIC) {
        return refuse_stream(r, "there is no record");
    }
    size_t length = number(r, start + 4, 4);
    if (length < STATE_RECORD_HEADER + STATE_CHECKSUM || length > r->size - start) {
        return refuse_stream(r, "its length does not fit");
    }
    size_t end = start + length - STATE_CHECKSUM;
    if (state_checksum(r->buffer + start, end - start) != number(r, end, STATE_CHECKSUM)) {
        return refuse_stream(r, "the checksum is wrong");
    }
    uint64_t flags = number(r, start + 10, 2);
    const char *name = (const char *)r->buffer + start + 20;
    size_t name_length = strnlen(name, STATE_SECTION_NAME_SIZE);

    if ((flags & ~(uint64_t)STATE_OPTIONAL) != 0 || number(r, start + 8, 2) == 0 ||
        !copy_name(r, start + 20, name_length, r->name, sizeof(r->name))) {
        return refuse_stream(r, "its version, flags or name are not valid");
    }
    r->version = (uint16_t)number(r, start + 8, 2);
    r->optional = flags != 0;
    r->instance = (uint32_t)number(r, start + 12, 4);
    r->fields = (uint32_t)number(r, start + 16, 4);
    r->at = start + STATE_RECORD_HEADER;
    r->end = end;
    r->next = start + length;
    return STATUS_OK;
}

/* A field as it stands in the stream. */
struct wire_field {
    char name[STATE_FIELD_NAME_SIZE];
    unsigned width;
    uint32_t count;
    bool optional;
    size_t data;
};

static enum status next_field(struct state_reader *r, struct wire_field *f)
{
    if (r->end - r->at < STATE_FIELD_HEADER) {
        return refuse(r, NULL, "it ends within its fields");
    }
    size_t name_length = number(r, r->at, 1);
    uint64_t flags = number(r, r->at + 2, 2);

    f->width = (unsigned)number(r, r->at + 1, 1);
    f->count = (uint32_t)number(r, r->at + 4, 4);
    f->optional = flags != 0;
    if (name_length > r->end - r->at - STATE_FIELD_HEADER ||
        !copy_name(r, r->at + STATE_FIELD_HEADER, name_length, f->name, sizeof(f->name)) ||
        (flags & ~(uint64_t)STATE_OPTIONAL) != 0) {
        return refuse(r, NULL, "a field's name or flags are not valid");
    }
    f->data = r->at + STATE_FIELD_HEADER + name_length;
    if (f->width != 1 && f->width != 2 && f->width != 4 && f->width != 8) {
        return refuse(r, f->name, "it has elements of %u bytes", f->width);
    }
    if (f->count > (r->end - f->data) / f->width) {
        return refuse(r, f->name, "its %u elements do not fit", f->count);
    }
    r->at = f->data + (size_t)f->count * f->width;
    return STATUS_OK;
}

static enum status decode_field(struct state_reader *r, const struct field *row,
                                const struct wire_field *f, void *state)
{
    if (f->width != row->width || f->count != row->count) {
        return refuse(r, row->name, "%u elements of %u bytes; there must be %u of %u", f->count,
                      f->width, row->count, row->width);
    }
    if (state_is_dense(row) && row->max >= UINT64_MAX >> (64 - 8 * row->width)) {
        memcpy((uint8_t *)state + row->offset, r->buffer + f->data,
               (size_t)row->count * row->width);
        return STATUS_OK;
    }
    for (uint32_t i = 0; i < row->count; i++) {
        uint64_t value = number(r, f->data + (size_t)i * row->width, row->width);

        if (value > row->max) {
            return refuse(r, row->name, "element %u is %#llx; the most is %#llx", i,
                          (unsigned long long)value, (unsigned long long)row->max);
        }
        memcpy((uint8_t *)state + row->offset + (size_t)row->stride * i, &value, row->width);
    }
    return STATUS_OK;
}

/* The row of that name, or the number of rows. */
static uint32_t find_row(const struct section *section, const char *name)
{
    uint32_t i = 0;

    while (i < section->fields && strcmp(section->field[i].name, name) != 0) {
        i++;
    }
    return i;
}

/* The rows from FIRST up to LAST are not in the stream: may that be? */
static enum status skip_rows(struct state_reader *r, const struct section *section, uint32_t first,
                             uint32_t last)
{
    for (uint32_t i = first; i < last; i++) {
        if (section->field[i].since <= r->version) {
            return refuse(r, section->field[i].name, "it is missing or not in its place");
        }
    }
    return STATUS_OK;
}

static enum status get_field(struct state_reader *r, const struct section *section, uint32_t *row,
                             void *state)
{
    struct wire_field f = {.width = 0};
    enum status status = next_field(r, &f);

    if (status != STATUS_OK) {
        return status;
    }
    uint32_t found = find_row(section, f.name);
    if (found == section->fields) {
        return f.optional ? STATUS_OK : refuse(r, f.name, "it is not known here");
    }
    if (found < *row) {
        return refuse(r, f.name, "it is there twice or not in its place");
    }
    status = skip_rows(r, section, *row, found);
    *row = found + 1;
    return status != STATUS_OK ? status : decode_field(r, &section->field[found], &f, state);
}

enum status state_get_section(struct state_reader *r, const struct section *section, void *state)
{
    uint32_t row = 0;

    memset(state, 0, section->size);
    if (strcmp(r->name, section->name) != 0) {
        return refuse(r, NULL, "section %s is expected here", section->name);
    }
    for (uint32_t i = 0; i < r->fields; i++) { /* each takes bytes of the record, or ends it all */
        enum status status = get_field(r, section, &row, state);

        if (status != STATUS_OK) {
            return status;
        }
    }
    if (r->at != r->end) {
        return refuse(r, NULL, "something follows its last field");
    }
    enum status status = skip_rows(r, section, row, section->fields);
    if (status == STATUS_OK && section->check != NULL && !section->check(state)) {
        status = refuse(r, NULL, "its fields contradict each other");
    }
    return status;
}

enum status state_find_section(struct state_reader *r, const struct section *section,
                               uint32_t instance, void *state)
{
    const struct state_reader before = *r;
    enum status status;

    do {
        status = state_next_section(r);
        if (status == STATUS_OK && strcmp(r->name, section->name) == 0 && r->instance == instance) {
            return state_get_section(r, section, state);
        }
    } while (status == STATUS_OK && r->optional);

    if (status == STATUS_INVALID) {
        return status;
    }
    if (section->optional) {
        *r = before; /* what was passed over may be wanted next */
        memset(state, 0, section->size);
        return STATUS_OK;
    }
    const char *found = status == STATUS_OK ? r->name : "the end";
    (void)format(r->problem, sizeof(r->problem),
                 "state: section %s, instance %u, is missing; in its place is %s", section->name,
                 instance, found);
    return STATUS_INVALID;
}

enum status state_get_all(struct state_reader *r, const struct section_place *place, unsigned count,
                          uint32_t vcpus, void *owner)
{
    enum status status = STATUS_OK;

    for (unsigned i = 0; status == STATUS_OK && i < count; i++) {
        uint32_t instances = place[i].instances != 0 ? place[i].instances : vcpus;

        for (uint32_t n = 0; status == STATUS_OK && n < instances; n++) {
            status = state_find_section(r, place[i].section, n,
                                        (uint8_t *)owner + place[i].offset +
                                            (size_t)place[i].stride * n);
        }
    }
    return status;
}

enum status state_end(struct state_reader *r)
{
    enum status status;

    do {
        status = state_next_section(r);
    } while (status == STATUS_OK && r->optional);
    if (status == STATUS_OK) {
        return refuse(r, NULL, "it is not known here");
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
