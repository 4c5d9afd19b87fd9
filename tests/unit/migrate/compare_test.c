/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of VMs: each key alone differs, is missing, or is cut. compatibility_test.c has VFs'. */
#include "vmm/migrate/compare.h"

#include "vmm/base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX 1024U
#define TSC      "3000000000"

static const struct {
    const char *key, *value, *other;
} keys[] = {
    {"pc",     "1",                 "2"             },
    {"cpus",   "2",                 "1"             },
    {"ram",    "c0000000+40000000", "c0000000+0"    },
    {"slots",  "2:2,3:1",           "2:2,4:1"       },
    {"vga",    "1.1a2b3c4d",        "0.0"           },
    {"rom",    "40000.89abcdef",    "40000.89abcdee"},
    {"fwcfg",  "12345678",          "0"             },
    {"debug",  "f4.0",              "f4.1"          },
    {"tsc",    TSC,                 "2900000000"    },
    {"vendor", "AuthenticAMD",      "GenuineIntel"  },
    {"sig",    "a00f11",            "f61"           },
    {"max",    "d.80000008",        "10.8000001f"   },
    {"c1c",    "fff83203",          "fff83202"      },
    {"c1d",    "178bfbff",          "178bfbfe"      },
    {"c7b",    "219c03a9",          "209c01a9"      },
    {"c7c",    "400604",            "0"             },
    {"c7d",    "10",                "0"             },
    {"x1c",    "1f3",               "1"             },
    {"x1d",    "2fd3fbff",          "2193fbff"      },
    {"x7d",    "100",               "0"             },
    {"x8a",    "3030",              "3028"          },
    {"x8b",    "1005",              "0"             },
    {"xcr0",   "7",                 "0"             },
    {"xsave",  "340",               "0"             },
    {"cache",  "11112222",          "0"             },
    {"brand",  "33334444",          "0"             },
    {"msr",    "55556666",          "55556667"      },
};

/* With key CHANGED of another value; NULL: without it. */
static void build(char *text, size_t changed, const char *value)
{
    size_t used = (size_t)snprintf(text, TEXT_MAX, "vm/1");

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *own = i == changed ? value : keys[i].value;

        if (own) {
            used += (size_t)snprintf(text + used, TEXT_MAX - used, ";%s=%s", keys[i].key, own);
        }
    }
}

/* A target whose CPU scales guests' TSCs takes any rate; what the source's can does not count. */
static void test_scaling(void **state)
{
    char source[TEXT_MAX], target[TEXT_MAX], why[COMPARE_WHY_MAX];

    build(source, SIZE_MAX, NULL);
    build(target, 8, "2900000000;scale=0");
    assert_int_equal(compare_texts(source, target, why), STATUS_CONFLICT);
    build(target, 8, "2900000000;scale=1");
    assert_int_equal(compare_texts(source, target, why), STATUS_OK);
    assert_int_equal(compare_texts(target, source, why), STATUS_CONFLICT);
}

static void test_same(void **state)
{
    char text[TEXT_MAX], why[COMPARE_WHY_MAX] = "?";

    build(text, SIZE_MAX, NULL);
    assert_int_equal(compare_texts(text, text, why), STATUS_OK);
    assert_string_equal(why, "");
}

/* The refusal names the key and both values. */
static void test_each_key(void **state)
{
    char text[TEXT_MAX], other[TEXT_MAX], why[COMPARE_WHY_MAX], wanted[COMPARE_WHY_MAX];

    build(text, SIZE_MAX, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        build(other, i, keys[i].other);
        assert_int_equal(compare_texts(text, other, why), STATUS_CONFLICT);
        (void)snprintf(wanted, sizeof(wanted), "%s is '%s' here and '%s' there", keys[i].key,
                       keys[i].value, keys[i].other);
        assert_string_equal(why, wanted);
        assert_int_equal(compare_texts(other, text, why), STATUS_CONFLICT);
        build(other, i, NULL);
        assert_int_equal(compare_texts(text, other, why), STATUS_INVALID);
        assert_int_equal(compare_texts(other, text, why), STATUS_INVALID);
    }
}

/* What is not plain text is not repeated: a terminal would obey it. */
static void test_not_plain(void **state)
{
    static const char bad[] = {'\033', '\n', '\177', (char)0x9b};
    char text[TEXT_MAX], other[TEXT_MAX], why[COMPARE_WHY_MAX];

    build(text, SIZE_MAX, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char value[] = {'1', bad[i], '\0'};

        build(other, 0, value);
        assert_int_equal(compare_texts(other, text, why), STATUS_INVALID);
        assert_null(strchr(why, bad[i]));
        assert_int_equal(compare_texts(text, other, why), STATUS_INVALID);
        assert_null(strchr(why, bad[i]));
    }
}

/* A newer VMM may say more. */
static void test_unknown_key(void **state)
{
    char text[TEXT_MAX], more[TEXT_MAX + 16], why[COMPARE_WHY_MAX];

    build(text, SIZE_MAX, NULL);
    (void)snprintf(more, sizeof(more), "%s;new=1", text);
    assert_int_equal(compare_texts(text, more, why), STATUS_OK);
    assert_int_equal(compare_texts(more, text, why), STATUS_OK);
}

static void test_rates(void **state)
{
    static const struct {
        const char *rate;
        enum status status;
    } rows[] = {
        {"3000000001", STATUS_OK      },
        {"3001500000", STATUS_OK      },
        {"2998500000", STATUS_OK      },
        {"3001500001", STATUS_CONFLICT},
        {"2998499999", STATUS_CONFLICT},
        {"0",          STATUS_CONFLICT},
        {"",           STATUS_CONFLICT},
    };
    char text[TEXT_MAX], other[TEXT_MAX], why[COMPARE_WHY_MAX];

    build(text, SIZE_MAX, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        build(other, 8, rows[i].rate);
        assert_int_equal(compare_texts(text, other, why), rows[i].status);
    }
    build(text, 8, "0");
    assert_int_equal(compare_texts(text, text, why), STATUS_CONFLICT); /* nobody knows it */
}

/* Of another kind, or cut at each byte. */
static void test_damaged(void **state)
{
    char text[TEXT_MAX], other[TEXT_MAX], why[COMPARE_WHY_MAX];

    build(text, SIZE_MAX, NULL);
    assert_int_equal(compare_texts(text, "virtio-vf/1;type=2", why), STATUS_INVALID);
    assert_int_equal(compare_texts("vm/2;pc=1", "vm/2;pc=1", why), STATUS_INVALID);
    for (size_t length = 0; length < strlen(text); length++) {
        memcpy(other, text, length);
        other[length] = '\0';
        assert_int_not_equal(compare_texts(text, other, why), STATUS_OK);
        assert_int_not_equal(compare_texts(other, text, why), STATUS_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),      cmocka_unit_test(test_each_key),
        cmocka_unit_test(test_not_plain), cmocka_unit_test(test_unknown_key),
        cmocka_unit_test(test_rates),     cmocka_unit_test(test_scaling),
        cmocka_unit_test(test_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
