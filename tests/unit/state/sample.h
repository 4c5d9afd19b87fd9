/* SPDX-License-Identifier: BSD-2-Clause */
/* A structure with every kind of field, and the tables of two versions of it. */
#ifndef PORTOLAN_TESTS_UNIT_STATE_SAMPLE_H
#define PORTOLAN_TESTS_UNIT_STATE_SAMPLE_H

#include "vmm/base/fields.h"

struct sample_item {
    uint32_t number;
    uint8_t flag;
};

struct sample {
    uint64_t wide;
    uint32_t small;
    bool yes;
    uint16_t list[5];
    uint8_t grid[2][3];
    struct sample_item item[4];
    int64_t signed_one;
    uint32_t newer; /* since version 2 */
};

#define SAMPLE_SMALL_MAX 1000U

static inline bool sample_check(const void *state)
{
    const struct sample *s = state;

    return !s->yes || s->small != 0; /* yes asks for a number */
}

static const struct field sample_fields[] = {
    FIELD(struct sample, wide, UINT64_MAX),
    FIELD(struct sample, small, SAMPLE_SMALL_MAX),
    FIELD(struct sample, yes, 1),
    FIELD_ARRAY(struct sample, list, 0xffff),
    FIELD_MATRIX(struct sample, grid, 0xff),
    FIELD_EACH(struct sample, item, number, UINT32_MAX),
    FIELD_EACH(struct sample, item, flag, 3),
    FIELD(struct sample, signed_one, UINT64_MAX),
    {.name = "newer",
                                             .width = 4,
                                             .since = 2,
                                             .count = 1,
                                             .offset = offsetof(struct sample, newer),
                                             .max = UINT32_MAX},
};

#define SAMPLE_FIELDS_1 (sizeof(sample_fields) / sizeof(sample_fields[0]) - 1)

static const struct section sample_section = {
    .name = "sample",
    .version = 2,
    .size = sizeof(struct sample),
    .fields = sizeof(sample_fields) / sizeof(sample_fields[0]),
    .field = sample_fields,
    .check = sample_check,
};

#endif
