/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State as data. Whatever a guest can see lies in plain structures (x_state), each described by a
 * table of fields. Encoding, decoding, range checks, `vm state` and the documentation come from the
 * rows; nothing of a structure's layout in memory goes anywhere else.
 */
#ifndef PORTOLAN_VMM_BASE_FIELDS_H
#define PORTOLAN_VMM_BASE_FIELDS_H

#include "vmm/base/types.h"

#include <stddef.h>

/* COUNT unsigned elements of WIDTH bytes; the first at OFFSET of the structure, then each STRIDE.
 */
struct field {
    const char *name; /* lower case, unique in its section */
    uint8_t width;    /* 1, 2, 4 or 8; bool and enum count as what they occupy */
    bool optional;    /* who does not know it may leave it out */
    uint16_t since;   /* the version of the section that brought it */
    uint32_t count;
    uint32_t offset;
    uint32_t stride;
    uint64_t max; /* of each element; the least is 0 */
};

/*
 * One kind of state. CHECK, if there is one, says whether fields that are each in their range make
 * sense together; it sees a decoded structure that nothing uses yet.
 */
struct section {
    const char *name;
    uint16_t version;
    bool optional;
    uint32_t size; /* of the structure */
    uint32_t fields;
    const struct field *field;
    bool (*check)(const void *state);
};

/* Where the sections of a larger structure lie in it: INSTANCES of them, one each STRIDE bytes. */
struct section_place {
    const struct section *section;
    uint32_t offset;
    uint32_t stride;
    uint32_t instances; /* 0: one for each vCPU */
};

#define FIELD_MEMBER(structure, member) (((structure *)0)->member)

/* A member; all elements of an array, or of an array of arrays; one member of each element. */
#define FIELD(structure, member, limit) FIELD_SINCE(structure, member, limit, 1)
#define FIELD_SINCE(structure, member, limit, number)                                         \
    {                                                                                         \
        .name = #member, .width = sizeof(FIELD_MEMBER(structure, member)), .since = (number), \
        .count = 1, .offset = offsetof(structure, member), .max = (limit)                     \
    }
#define FIELD_ARRAY(structure, member, limit) FIELD_ARRAY_SINCE(structure, member, limit, 1)
#define FIELD_ARRAY_SINCE(structure, member, limit, number)                                       \
    {                                                                                             \
        .name = #member, .width = sizeof(FIELD_MEMBER(structure, member)[0]), .since = (number),  \
        .count =                                                                                  \
            sizeof(FIELD_MEMBER(structure, member)) / sizeof(FIELD_MEMBER(structure, member)[0]), \
        .offset = offsetof(structure, member),                                                    \
        .stride = sizeof(FIELD_MEMBER(structure, member)[0]), .max = (limit)                      \
    }
#define FIELD_MATRIX(structure, member, limit)                                               \
    {                                                                                        \
        .name = #member, .width = sizeof(FIELD_MEMBER(structure, member)[0][0]), .since = 1, \
        .count = sizeof(FIELD_MEMBER(structure, member)) /                                   \
                 sizeof(FIELD_MEMBER(structure, member)[0][0]),                              \
        .offset = offsetof(structure, member),                                               \
        .stride = sizeof(FIELD_MEMBER(structure, member)[0][0]), .max = (limit)              \
    }
#define FIELD_EACH(structure, array, member, limit)                                             \
    {                                                                                           \
        .name = #array "." #member, .width = sizeof(FIELD_MEMBER(structure, array)[0].member),  \
        .since = 1,                                                                             \
        .count =                                                                                \
            sizeof(FIELD_MEMBER(structure, array)) / sizeof(FIELD_MEMBER(structure, array)[0]), \
        .offset = offsetof(structure, array) +                                                  \
                  offsetof(__typeof__(FIELD_MEMBER(structure, array)[0]), member),              \
        .stride = sizeof(FIELD_MEMBER(structure, array)[0]), .max = (limit)                     \
    }

/* A section with no field that is optional; CHECKER may be NULL. */
#define SECTION(structure, title, number, rows, checker)                                \
    {                                                                                   \
        .name = (title), .version = (number), .size = sizeof(structure),                \
        .fields = sizeof(rows) / sizeof((rows)[0]), .field = (rows), .check = (checker) \
    }

#endif
