/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams of state: what goes in comes out; what is damaged, wrong or unknown is refused. */
#include "vmm/state/state.h"

#include "tests/unit/state/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint8_t stream[4096];

static struct sample make_sample(uint32_t seed)
{
    struct sample s;

    memset(&s, 0, sizeof(s));
    s.wide = 0x1122334455667788ULL + seed;
    s.small = 1 + seed % SAMPLE_SMALL_MAX;
    s.yes = true;
    s.signed_one = -(int64_t)seed - 1;
    s.newer = 77 + seed;
    for (unsigned i = 0; i < 5; i++) {
        s.list[i] = (uint16_t)(seed * 7 + i);
    }
    for (unsigned i = 0; i < 6; i++) {
        s.grid[i / 3][i % 3] = (uint8_t)(seed + 40 * i);
    }
    for (unsigned i = 0; i < 4; i++) {
        s.item[i] = (struct sample_item){.number = seed * 0x10001 + i, .flag = (uint8_t)i};
    }
    return s;
}

static size_t save(const struct section *section, uint32_t instance, const struct sample *s)
{
    struct state_writer w;

    state_writer_init(&w, stream, sizeof(stream));
    state_put_section(&w, section, instance, s);
    assert_false(state_overflowed(&w));
    return w.used;
}

static struct state_reader reader(size_t size)
{
    struct state_reader r;

    state_reader_init(&r, stream, size);
    return r;
}

/* The checksum made right again after the bytes of the only record were changed. */
static void seal(size_t size)
{
    uint32_t sum = state_checksum(stream, size - 4);

    memcpy(stream + size - 4, &sum, 4);
}

static void refuses(const struct section *section, size_t size, const char *why)
{
    struct state_reader r = reader(size);
    struct sample s;
    enum status status = state_next_section(&r);

    if (status == STATUS_OK) {
        status = state_get_section(&r, section, &s);
    }
    assert_int_equal(status, STATUS_INVALID);
    if (strstr(r.problem, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", r.problem, why);
    }
}

static void the_checksum_is_crc32c(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};

    /* RFC 3720, B.4, and the usual check value. */
    assert_int_equal(state_checksum(zeros, sizeof(zeros)), 0x8a9136aa);
    assert_int_equal(state_checksum((const uint8_t *)"123456789", 9), 0xe3069283);
    assert_int_equal(state_checksum(zeros, 0), 0);
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    const struct sample before = make_sample(5);
    size_t size = save(&sample_section, 3, &before);
    struct state_reader r = reader(size);
    struct sample after;
    uint8_t again[sizeof(stream)];
    struct state_writer w;

    memset(&after, 0xa5, sizeof(after));
    assert_int_equal(state_next_section(&r), STATUS_OK);
    assert_string_equal(r.name, "sample");
    assert_int_equal(r.instance, 3);
    assert_int_equal(r.version, 2);
    assert_false(r.optional);
    assert_int_equal(state_get_section(&r, &sample_section, &after), STATUS_OK);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(state_next_section(&r), STATUS_NOT_FOUND);
    state_writer_init(&w, again, sizeof(again));
    state_put_section(&w, &sample_section, 3, &after);
    assert_int_equal(w.used, size);
    assert_memory_equal(again, stream, size);
}

/* The wire is what the header says, not what a C structure happens to be. */
static void the_bytes_are_as_documented(void **state)
{
    (void)state;
    struct narrow {
        uint8_t gap;
        uint32_t value;
    } s = {.value = 0x01020304};
    static const struct field fields[] = {FIELD(struct narrow, value, UINT32_MAX)};
    static const struct section section = {.name = "x",
                                           .version = 7,
                                           .optional = true,
                                           .size = sizeof(struct narrow),
                                           .fields = 1,
                                           .field = fields};
    static const uint8_t expected[] = {'P', 'S', 'E', 'C', 57,  0,   0,   0, 7, 0, 1, 0, 9, 0,
                                       0,   0,   1,   0,   0,   0,   'x', 0, 0, 0, 0, 0, 0, 0,
                                       0,   0,   0,   0,   0,   0,   0,   0, 5, 4, 0, 0, 1, 0,
                                       0,   0,   'v', 'a', 'l', 'u', 'e', 4, 3, 2, 1};
    struct state_writer w;

    state_writer_init(&w, stream, sizeof(stream));
    state_put_section(&w, &section, 9, &s);
    assert_int_equal(w.used, sizeof(expected) + 4);
    assert_memory_equal(stream, expected, sizeof(expected));
}

static void a_small_buffer_overflows_and_says_how_much_is_needed(void **state)
{
    (void)state;
    const struct sample s = make_sample(1);
    size_t size = save(&sample_section, 0, &s);
    uint8_t small[64 + 1];
    struct state_writer w;

    for (size_t room = 0; room < 64; room++) {
        memset(small, 0xee, sizeof(small));
        state_writer_init(&w, small, room);
        state_put_section(&w, &sample_section, 0, &s);
        assert_true(state_overflowed(&w));
        assert_int_equal(w.used, size);
        assert_int_equal(small[room], 0xee);
    }
    state_writer_init(&w, NULL, 0);
    state_put_section(&w, &sample_section, 0, &s);
    assert_int_equal(w.used, size);
}

static void every_damaged_bit_is_seen(void **state)
{
    (void)state;
    const struct sample s = make_sample(9);
    size_t size = save(&sample_section, 0, &s);

    for (size_t bit = 0; bit < 8 * size; bit++) {
        struct state_reader r = reader(size);

        stream[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(state_next_section(&r), STATUS_INVALID);
        stream[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 1; cut < size; cut++) {
        struct state_reader r = reader(cut);

        assert_int_equal(state_next_section(&r), STATUS_INVALID);
    }
}

/* Where the data of a field begin in the only record of the stream. */
static size_t find(const char *name, size_t size)
{
    size_t length = strlen(name);

    for (size_t i = STATE_RECORD_HEADER; i + length < size; i++) {
        if (memcmp(stream + i, name, length) == 0 && stream[i - 8] == length) {
            return i + length;
        }
    }
    fail_msg("no field %s", name);
    return 0;
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    const struct sample s = make_sample(2);
    size_t size = save(&sample_section, 0, &s);
    size_t at = find("small", size);

    stream[at] = 0xe9; /* 1001 */
    stream[at + 1] = 3;
    seal(size);
    refuses(&sample_section, size, "field small: element 0 is 0x3e9; the most is 0x3e8");
    (void)save(&sample_section, 4, &s);
    stream[find("item.flag", size) + 2] = 4;
    seal(size);
    refuses(&sample_section, size, "section sample, instance 4, field item.flag: element 2 is 0x4");
}

static void fields_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    struct sample s = make_sample(2);

    s.small = 0;
    refuses(&sample_section, save(&sample_section, 0, &s), "contradict");
}

static void other_shapes_are_refused(void **state)
{
    (void)state;
    const struct sample s = make_sample(2);
    size_t size = save(&sample_section, 0, &s);
    size_t list = find("list", size) - 4 - STATE_FIELD_HEADER;

    stream[list + 4] = 4; /* elements: what follows is out of step */
    seal(size);
    refuses(&sample_section, size, "4 elements of 2 bytes; there must be 5 of 2");
    stream[list + 4] = 5;
    stream[list + 1] = 3;
    seal(size);
    refuses(&sample_section, size, "elements of 3 bytes");
    stream[list + 1] = 2;
    stream[list + 7] = 0xff;
    seal(size);
    refuses(&sample_section, size, "do not fit");
    stream[list + 7] = 0;
    stream[16]--; /* one field less than there is */
    seal(size);
    refuses(&sample_section, size, "something follows");
    stream[16] += 2;
    seal(size);
    refuses(&sample_section, size, "ends within its fields");
}

static void names_from_the_stream_cannot_spoil_messages(void **state)
{
    (void)state;
    const struct sample s = make_sample(2);
    size_t size = save(&sample_section, 0, &s);

    stream[find("small", size) - 1] = '\n';
    seal(size);
    refuses(&sample_section, size, "a field's name or flags are not valid");
    size = save(&sample_section, 0, &s);
    stream[20] = 27;
    seal(size);
    refuses(&sample_section, size, "name are not valid");
}

static void an_older_version_lacks_what_is_newer(void **state)
{
    (void)state;
    struct section old = sample_section;
    struct sample s = make_sample(2);
    struct sample after;

    old.version = 1;
    old.fields = SAMPLE_FIELDS_1;
    struct state_reader r = reader(save(&old, 0, &s));
    assert_int_equal(state_next_section(&r), STATUS_OK);
    assert_int_equal(state_get_section(&r, &sample_section, &after), STATUS_OK);
    s.newer = 0;
    assert_memory_equal(&s, &after, sizeof(s));

    old.version = 2; /* it claims to have it */
    refuses(&sample_section, save(&old, 0, &s), "field newer: it is missing");
    old.field++; /* and the first is of version 1 */
    old.fields--;
    refuses(&sample_section, save(&old, 0, &s), "field wide: it is missing");
}

static void a_newer_version_brings_what_is_unknown(void **state)
{
    (void)state;
    struct field fields[4] = {sample_fields[0], sample_fields[1], sample_fields[2],
                              sample_fields[3]};
    struct section newer = {.name = "sample",
                            .version = 9,
                            .size = sizeof(struct sample),
                            .fields = 4,
                            .field = fields};
    struct section known = newer;
    const struct sample s = make_sample(2);
    struct sample after;

    fields[2].name = "later";
    known.field = sample_fields;
    known.fields = 2;
    refuses(&known, save(&newer, 0, &s), "field later: it is not known here");
    fields[2].optional = true;
    fields[3].optional = true;
    struct state_reader r = reader(save(&newer, 0, &s));
    assert_int_equal(state_next_section(&r), STATUS_OK);
    assert_int_equal(state_get_section(&r, &known, &after), STATUS_OK);
    assert_int_equal(after.wide, s.wide);
    assert_int_equal(after.small, s.small);
    assert_false(after.yes);
}

static void a_field_comes_once_and_in_order(void **state)
{
    (void)state;
    struct field fields[2] = {sample_fields[0], sample_fields[0]};
    const struct section twice = {.name = "sample",
                                  .version = 1,
                                  .size = sizeof(struct sample),
                                  .fields = 2,
                                  .field = fields};
    const struct sample s = make_sample(2);

    refuses(&sample_section, save(&twice, 0, &s), "field wide: it is there twice");
    fields[0] = sample_fields[1];
    refuses(&sample_section, save(&twice, 0, &s), "field wide: it is missing or not in its place");
}

/* ---- Several sections ---- */

struct owner {
    struct sample first;
    struct sample each[3];
    struct sample extra;
};

static struct section extra_section;
static struct section each_section;

static const struct section_place places[] = {
    {&sample_section, offsetof(struct owner, first), 0,                     1},
    {&extra_section,  offsetof(struct owner, extra), 0,                     1},
    {&each_section,   offsetof(struct owner, each),  sizeof(struct sample), 0},
};

static struct owner make_owner(void)
{
    extra_section = sample_section;
    extra_section.name = "extra";
    extra_section.optional = true;
    each_section = sample_section;
    each_section.name = "each";
    return (struct owner){
        .first = make_sample(1),
        .each = {make_sample(2), make_sample(3), make_sample(4)},
        .extra = make_sample(5),
    };
}

static void all_places_come_and_go(void **state)
{
    (void)state;
    const struct owner before = make_owner();
    struct owner after;
    struct state_writer w;

    state_writer_init(&w, stream, sizeof(stream));
    state_put_all(&w, places, 3, 3, &before);
    assert_false(state_overflowed(&w));
    memset(&after, 0xa5, sizeof(after));
    struct state_reader r = reader(w.used);
    assert_int_equal(state_get_all(&r, places, 3, 3, &after), STATUS_OK);
    assert_int_equal(state_end(&r), STATUS_OK);
    assert_memory_equal(&before, &after, sizeof(before));

    /* One vCPU less is one section too many, one more is one too few. */
    r = reader(w.used);
    assert_int_equal(state_get_all(&r, places, 3, 2, &after), STATUS_OK);
    assert_int_equal(state_end(&r), STATUS_INVALID);
    assert_non_null(strstr(r.problem, "section each, instance 2: it is not known here"));
    r = reader(w.used - 1);
    assert_int_equal(state_get_all(&r, places, 3, 3, &after), STATUS_INVALID);
    state_writer_init(&w, stream, sizeof(stream));
    state_put_all(&w, places, 3, 2, &before);
    r = reader(w.used);
    assert_int_equal(state_get_all(&r, places, 3, 3, &after), STATUS_INVALID);
    assert_non_null(
        strstr(r.problem, "section each, instance 2, is missing; in its place is the end"));
}

static void optional_sections_may_lack_or_be_unknown(void **state)
{
    (void)state;
    const struct owner before = make_owner();
    struct section unknown = sample_section;
    struct owner after;
    struct state_writer w;

    unknown.name = "unknown";
    unknown.optional = true;
    state_writer_init(&w, stream, sizeof(stream));
    state_put_section(&w, &unknown, 0, &before.first);
    state_put_section(&w, &sample_section, 0, &before.first);
    state_put_section(&w, &unknown, 1, &before.first);
    state_put_section(&w, &each_section, 0, &before.each[0]);
    state_put_section(&w, &unknown, 2, &before.first);
    memset(&after, 0xa5, sizeof(after));
    struct state_reader r = reader(w.used);
    assert_int_equal(state_get_all(&r, places, 3, 1, &after), STATUS_OK);
    assert_int_equal(state_end(&r), STATUS_OK);
    assert_memory_equal(&after.first, &before.first, sizeof(struct sample));
    assert_memory_equal(&after.each[0], &before.each[0], sizeof(struct sample));
    assert_int_equal(after.extra.wide, 0);

    unknown.optional = false;
    state_writer_init(&w, stream, sizeof(stream));
    state_put_section(&w, &unknown, 0, &before.first);
    state_put_section(&w, &sample_section, 0, &before.first);
    r = reader(w.used);
    assert_int_equal(state_get_all(&r, places, 1, 1, &after), STATUS_INVALID);
    assert_non_null(strstr(r.problem, "in its place is unknown"));
}

/* ---- Showing ---- */

static char printed[16][200];
static unsigned lines;

static void keep(void *context, const char *line)
{
    assert_ptr_equal(context, printed);
    assert_in_range(lines, 0, 15);
    (void)snprintf(printed[lines++], sizeof(printed[0]), "%s", line);
}

static void every_field_is_a_line(void **state)
{
    (void)state;
    struct sample s = make_sample(0);

    memset(s.item, 0, sizeof(s.item));
    lines = 0;
    state_print(&sample_section, &s, keep, printed);
    assert_int_equal(lines, sample_section.fields);
    assert_string_equal(printed[0], "wide                     1122334455667788");
    assert_string_equal(printed[2], "yes                      01");
    assert_string_equal(printed[3], "list                     0000 0001 0002 0003 0004");
    assert_string_equal(printed[5], "item.number              4 x 0");
    assert_string_equal(printed[7], "signed_one               ffffffffffffffff");
}

static void long_arrays_are_cut(void **state)
{
    (void)state;
    struct longer {
        uint64_t words[24];
    } s;
    static const struct field fields[] = {FIELD_ARRAY(struct longer, words, UINT64_MAX)};
    static const struct section section = {
        .name = "x", .version = 1, .size = sizeof(struct longer), .fields = 1, .field = fields};

    memset(&s, 0, sizeof(s));
    s.words[0] = 0x1f;
    lines = 0;
    state_print(&section, &s, keep, printed);
    assert_string_equal(printed[0],
                        "words                    1f 0 0 0 0 0 0 0 ... of 24, the rest 0");
    memset(&s, 0xff, sizeof(s));
    lines = 0;
    state_print(&section, &s, keep, printed);
    assert_int_equal(strlen(printed[0]), 119); /* cut, never beyond a line */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_crc32c),
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(the_bytes_are_as_documented),
        cmocka_unit_test(a_small_buffer_overflows_and_says_how_much_is_needed),
        cmocka_unit_test(every_damaged_bit_is_seen),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(fields_that_contradict_each_other_are_refused),
        cmocka_unit_test(other_shapes_are_refused),
        cmocka_unit_test(names_from_the_stream_cannot_spoil_messages),
        cmocka_unit_test(an_older_version_lacks_what_is_newer),
        cmocka_unit_test(a_newer_version_brings_what_is_unknown),
        cmocka_unit_test(a_field_comes_once_and_in_order),
        cmocka_unit_test(all_places_come_and_go),
        cmocka_unit_test(optional_sections_may_lack_or_be_unknown),
        cmocka_unit_test(every_field_is_a_line),
        cmocka_unit_test(long_arrays_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
