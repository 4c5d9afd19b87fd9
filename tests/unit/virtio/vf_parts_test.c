/* SPDX-License-Identifier: BSD-2-Clause */
/* The form of a saved state: what is sound, and every way in which it is not. */
#include "tests/unit/virtio/sim_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_check_parts(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        uint32_t size;
        enum status wanted;
    } cases[] = {
        {"nothing",     "",                                                                             0,  STATUS_INVALID},
        {"one",         "\x01\x01\0\0\0\0\0\0\0\0\0\0\x02\0\0\0ab",                                     18, STATUS_OK     },
        {"no value",    "\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0",                                         16, STATUS_OK     },
        {"header cut",  "\x01\x01\0\0\0\0\0\0\0\0\0\0\x02\0\0",                                         15, STATUS_INVALID},
        {"value cut",   "\x01\x01\0\0\0\0\0\0\0\0\0\0\x02\0\0\0a",                                      17, STATUS_INVALID},
        {"more behind", "\x01\x01\0\0\0\0\0\0\0\0\0\0\x01\0\0\0ab",                                     18, STATUS_INVALID},
        {"too long",
         "\x01\x01\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff"
         "ab",                                                                                          18, STATUS_INVALID},
        {"wraps",
         "\x01\x01\0\0\0\0\0\0\0\0\0\0\xf0\xff\xff\xff"
         "ab",                                                                                          18, STATUS_INVALID},
        {"order",       "\x03\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0",     32,
         STATUS_INVALID                                                                                                   },
        {"twice",       "\x04\x01\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\x04\x01\0\0\x02\0\0\0\0\0\0\0\0\0\0\0",
         32,                                                                                                STATUS_INVALID},
        {"two",         "\x04\x01\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\x04\x01\0\0\x01\0\0\0\0\0\0\0\0\0\0\0", 32,
         STATUS_OK                                                                                                        },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        print_message("%s\n", cases[i].name);
        assert_int_equal(vf_state_check(VF_STATE_PARTS, cases[i].bytes, cases[i].size),
                         cases[i].wanted);
    }
    assert_int_equal(vf_state_check(VF_STATE_NONE, cases[1].bytes, 18), STATUS_INVALID);
}

static void test_check_fields(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        uint32_t size;
        enum status wanted;
    } cases[] = {
        {"nothing",     "",                                                                               0,  STATUS_INVALID},
        {"count cut",   "\x01\0\0",                                                                       3,  STATUS_INVALID},
        {"no fields",   "\0\0\0\0",                                                                       4,  STATUS_INVALID},
        {"count only",  "\x01\0\0\0",                                                                     4,  STATUS_INVALID},
        {"one",         "\x01\0\0\0\0\0\0\0\x02\0\0\0ab",                                                 14, STATUS_OK     },
        {"fewer",       "\x02\0\0\0\0\0\0\0\x02\0\0\0ab",                                                 14, STATUS_INVALID},
        {"more",        "\x01\0\0\0\0\0\0\0\x02\0\0\0ab\x01\0\0\0\0\0\0\0",                               22, STATUS_INVALID},
        {"value cut",   "\x01\0\0\0\0\0\0\0\x02\0\0\0a",                                                  13, STATUS_INVALID},
        {"header cut",  "\x01\0\0\0\0\0\0\0\x02\0\0",                                                     11, STATUS_INVALID},
        {"too long",
         "\x01\0\0\0\0\0\0\0\xff\xff\xff\xff"
         "ab",                                                                                            14, STATUS_INVALID},
        {"not first",   "\x01\0\0\0\x01\0\0\0\x02\0\0\0ab",                                               14, STATUS_INVALID},
        {"twice",       "\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",                                     20, STATUS_INVALID},
        {"queues",      "\x03\0\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x02\0\0\0\x01\0\x03\0\0\0\x02\0\0\0\x02\0",
         32,                                                                                                  STATUS_OK     },
        {"queue twice",
         "\x03\0\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\x02\0\0\0\x01\0\x03\0\0\0\x02\0\0\0\x01\0",                32,
         STATUS_INVALID                                                                                                     },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        print_message("%s\n", cases[i].name);
        assert_int_equal(vf_state_check(VF_STATE_2021, cases[i].bytes, cases[i].size),
                         cases[i].wanted);
    }
}

static void test_names(void **state)
{
    struct vf_state_part part;
    uint32_t at = 0;

    sim_state_reset(VF_STATE_2021, 3000);
    static const char *const names[] = {"PCI_COMMON_CFG", "DEV_CFG_SPACE", "QUEUE_CFG",
                                        "SPLIT_Q_RUN_STATE", "SUBVENDOR_SPECIFIC"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        assert_int_equal(vf_state_next(VF_STATE_2021, sim_state.blob, sim_state.size, &at, &part),
                         STATUS_OK);
        assert_string_equal(part.name, names[i]);
        assert_int_equal(part.optional, i >= 3);
    }
    assert_int_equal(vf_state_next(VF_STATE_2021, sim_state.blob, sim_state.size, &at, &part),
                     STATUS_NOT_FOUND);
    sim_state_reset(VF_STATE_PARTS, 200);
    at = 0;
    assert_int_equal(vf_state_next(VF_STATE_PARTS, sim_state.blob, sim_state.size, &at, &part),
                     STATUS_OK);
    assert_string_equal(part.name, "DEV_FEATURES");
    assert_true(part.optional);
    assert_int_equal(part.length, 8);
    assert_ptr_equal(part.value, sim_state.blob + 16);
}

/* Queue 1 of 2 has a run state; its indexes are set, and no byte beside them. */
static void test_indexes_from_guest_memory(void **state)
{
    static const uint16_t used[2] = {0x1111, 0x2222};
    uint8_t blob[] = {2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 9, 9,
                      3, 0, 0, 0, 6, 0, 0, 0, 1, 0, 5, 0, 4, 0};
    uint8_t right[sizeof(blob)];

    assert_int_equal(vf_state_check(VF_STATE_2021, blob, sizeof(blob)), STATUS_OK);
    memcpy(right, blob, sizeof(blob));
    vf_state_rewind(VF_STATE_2021, blob, sizeof(blob), used, 1);
    vf_state_rewind(VF_STATE_PARTS, blob, sizeof(blob), used, 2);
    assert_memory_equal(blob, right, sizeof(blob));
    memcpy(right + 24, (uint8_t[]){0x23, 0x22, 0x22, 0x22}, 4); /* one is taken, as before */
    vf_state_rewind(VF_STATE_2021, blob, sizeof(blob), used, 2);
    assert_memory_equal(blob, right, sizeof(blob));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_parts),
        cmocka_unit_test(test_check_fields),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_indexes_from_guest_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
