/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State on the wire: a stream of records, each one instance of one section (vmm/base/fields.h).
 *
 *   record   magic u32, length u32, version u16, flags u16, instance u32, fields u32, name
 * char[16], then the fields, then the CRC-32C of all before it. LENGTH counts the whole record.
 *   field    name length u8, width u8, flags u8, 0 u8, count u32, name, count * width bytes
 *
 * All numbers are little-endian; flags bit 0 says optional. Records and fields come in the order of
 * the tables. A record or a field that the reader does not know is skipped if it is optional;
 * otherwise the stream is refused. A field that the stream's version of the section did not have
 * yet is 0; any other that is missing is refused.
 *
 * A stream may hold anything; it must not change while it is read. Nothing here allocates, locks or
 * calls itself; each function needs time in proportion to the stream, or to one record of it.
 */
#ifndef PORTOLAN_VMM_STATE_STATE_H
#define PORTOLAN_VMM_STATE_STATE_H

#include "vmm/base/fields.h"
#include "vmm/base/status.h"

#define STATE_SECTION_NAME_SIZE 16U /* with a NUL at the end */
#define STATE_FIELD_NAME_SIZE   48U
#define STATE_PROBLEM_SIZE      200U

/* ---- Saving ---- */

struct state_writer {
    uint8_t *buffer;
    size_t size;
    size_t
        used; /* of the whole stream, also of what did not fit: at most SIZE bytes were written */
};

/* BUFFER may be NULL if SIZE is 0: then only the length is found. */
void state_writer_init(struct state_writer *w, void *buffer, size_t size);

static inline bool state_overflowed(const struct state_writer *w)
{
    return w->used > w->size;
}

/* Append STATE, a structure that SECTION describes. */
void state_put_section(struct state_writer *w, const struct section *section, uint32_t instance,
                       const void *state);

/* Append all sections of OWNER, the structure that the COUNT places belong to. */
void state_put_all(struct state_writer *w, const struct section_place *place, unsigned count,
                   uint32_t vcpus, const void *owner);

/* ---- Loading ---- */

struct state_reader {
    const uint8_t *buffer;
    size_t size;
    size_t next; /* where the record after the present one begins */

    /* The present record; valid after state_next_section() returned OK. */
    char name[STATE_SECTION_NAME_SIZE];
    uint32_t instance;
    uint16_t version;
    bool optional;
    uint32_t fields;
    size_t at; /* of its next field */
    size_t end;

    char problem[STATE_PROBLEM_SIZE]; /* why a function returned INVALID: one line, for the log */
};

void state_reader_init(struct state_reader *r, const void *buffer, size_t size);

/* Go to the next record. NOT_FOUND: there is none; INVALID: damaged. */
enum status state_next_section(struct state_reader *r);

/*
 * Decode the present record into STATE, which becomes zero first. INVALID: it is not what SECTION
 * says; STATE must not be used then. Its fields may be decoded once only.
 */
enum status state_get_section(struct state_reader *r, const struct section *section, void *state);

/*
 * Find the record of SECTION and INSTANCE, which is the next but for optional ones, and decode it.
 * An optional section that is not there leaves STATE zero. INVALID: as above, or it is missing.
 */
enum status state_find_section(struct state_reader *r, const struct section *section,
                               uint32_t instance, void *state);

/* The same for all sections of OWNER. INVALID: some of OWNER may be loaded; it must not run. */
enum status state_get_all(struct state_reader *r, const struct section_place *place, unsigned count,
                          uint32_t vcpus, void *owner);

/* Is nothing left but what is optional? INVALID: a section follows that nobody here knows. */
enum status state_end(struct state_reader *r);

/* ---- Showing ---- */

/* One line, without its newline, for each field. Long arrays are cut. */
typedef void (*state_print_line)(void *context, const char *line);
void state_print(const struct section *section, const void *state, state_print_line print,
                 void *context);

/* ---- Shared by the parts ---- */

#define STATE_MAGIC         0x43455350U /* "PSEC" */
#define STATE_RECORD_HEADER 36U
#define STATE_FIELD_HEADER  8U
#define STATE_CHECKSUM      4U
#define STATE_OPTIONAL      0x1U

/* CRC-32C (Castagnoli) as iSCSI uses it: RFC 3720, 12.1 and B.4. */
uint32_t state_checksum(const uint8_t *bytes, size_t size);

/* The number of WIDTH bytes (1, 2, 4 or 8) at AT, of any alignment. */
static inline uint64_t state_number(const uint8_t *at, unsigned width)
{
    uint64_t value = 0;

    switch (width) {
    case 1:
        return *at;
    case 2:
        __builtin_memcpy(&value, at, 2);
        break;
    case 4:
        __builtin_memcpy(&value, at, 4);
        break;
    default:
        __builtin_memcpy(&value, at, 8);
        break;
    }
    return value;
}

/* Do FIELD's elements lie one behind the other, as they do in a stream? */
static inline bool state_is_dense(const struct field *field)
{
    return field->stride == field->width || field->count == 1;
}

/* Element INDEX of FIELD. */
uint64_t state_element(const struct field *field, const void *state, uint32_t index);

#endif
