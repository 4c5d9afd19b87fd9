/* SPDX-License-Identifier: BSD-2-Clause */
/* What terminals send, as keys. */
#include "vmm/console/keymap.h"
#include "vmm/pc/ps2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define S PS2_SHIFT
#define C PS2_CTRL
#define A PS2_ALT

/* Every character of the US layout, by its place on the keyboard's rows. */
static void test_layout(void **state)
{
    static const struct {
        uint8_t first;
        const char *plain, *shifted;
    } rows[] = {
        {0x02, "1234567890-=", "!@#$%^&*()_+" },
        {0x10, "qwertyuiop[]", "QWERTYUIOP{}" },
        {0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
        {0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?"  },
        {0x39, " ",            ""             },
    };
    unsigned count = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned k = 0; rows[i].plain[k]; k++, count++) {
            assert_int_equal(keymap_byte((uint8_t)rows[i].plain[k]), rows[i].first + k);
        }
        for (unsigned k = 0; rows[i].shifted[k]; k++, count++) {
            assert_int_equal(keymap_byte((uint8_t)rows[i].shifted[k]), (rows[i].first + k) | S);
        }
    }
    assert_int_equal(count, 95); /* all of ASCII that is printed */
    for (unsigned c = 0x80; c < 0x100; c++) {
        assert_int_equal(keymap_byte((uint8_t)c), 0);
    }
}

static void test_control(void **state)
{
    static const struct {
        uint8_t byte;
        uint16_t stroke;
    } cases[] = {
        {0x00, 0x03 | S | C},
        {0x01, 0x1e | C    },
        {0x03, 0x2e | C    },
        {0x08, 0x0e        },
        {0x09, 0x0f        },
        {0x0a, 0x1c        },
        {0x0d, 0x1c        },
        {0x1a, 0x2c | C    },
        {0x1b, 0x01        },
        {0x1c, 0x2b | C    },
        {0x1d, 0x1b | C    },
        {0x1e, 0x07 | S | C},
        {0x1f, 0x0c | S | C},
        {0x7f, 0x0e        },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(keymap_byte(cases[i].byte), cases[i].stroke);
    }
}

static void test_words(void **state)
{
    static const struct {
        const char *word;
        unsigned count;
        uint16_t first, last;
    } cases[] = {
        {"a",                  1, 0x1e,             0x1e            },
        {"A",                  1, 0x1e | S,         0x1e | S        },
        {"'",                  1, 0x28,             0x28            },
        {"''",                 1, 0x28,             0x28            },
        {"'dir",               3, 0x20,             0x13            },
        {"-",                  1, 0x0c,             0x0c            },
        {"ctrl--",             1, 0x0c | C,         0x0c | C        },
        {"ctrl-alt-del",       1, 0xd3 | C | A,     0xd3 | C | A    },
        {"alt-ctrl-shift-f12", 1, 0x58 | C | A | S, 0x58 | C | A | S},
        {"f1",                 1, 0x3b,             0x3b            },
        {"f10",                1, 0x44,             0x44            },
        {"pgdn",               1, 0xd1,             0xd1            },
        {"ctrl-",              0, 0,                0               },
        {"dir",                0, 0,                0               },
        {"ctrl-dir",           0, 0,                0               },
        {"\xe4",               0, 0,                0               },
        {"'12345",             0, 0,                0               },
    };
    uint16_t strokes[4];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned count = keymap_word(cases[i].word, strokes, ARRAY_SIZE(strokes));

        assert_int_equal(count, cases[i].count);
        if (count > 0) {
            assert_int_equal(strokes[0], cases[i].first);
            assert_int_equal(strokes[count - 1], cases[i].last);
        }
    }
    assert_int_equal(keymap_word("a", strokes, 0), 0);
}

static void test_sequences(void **state)
{
    static const struct {
        const char *bytes;
        uint16_t stroke;
    } cases[] = {
        {"\x1b[A",             0xc8            },
        {"\x1bOB",             0xd0            },
        {"\x1b[1;5C",          0xcd | C        },
        {"\x1b[3~",            0xd3            },
        {"\x1b[3;7~",          0xd3 | C | A    },
        {"\x1b[2;8~",          0xd2 | C | A | S},
        {"\x1b[1~",            0xc7            },
        {"\x1b[7~",            0xc7            },
        {"\x1bOF",             0xcf            },
        {"\x1b[5~",            0xc9            },
        {"\x1b[6~",            0xd1            },
        {"\x1bOP",             0x3b            },
        {"\x1b[[A",            0x3b            },
        {"\x1b[[E",            0x3f            },
        {"\x1b[15~",           0x3f            },
        {"\x1b[21~",           0x44            },
        {"\x1b[23~",           0x57            },
        {"\x1b[24;2~",         0x58 | S        },
        {"\x1b[Z",             0x0f | S        },
        {"\x1bx",              0x2d | A        },
        {"\x1b\r",             0x1c | A        },
        {"\x1b[?1;2c",         0               }, /* a terminal says what it is */
        {"\x1b[99~",           0               },
        {"\x1b[~",             0               },
        {"\x1b[[[",            0               },
        {"\x1b[1111111111111", 0x02            },
    };
    uint16_t strokes[KEYMAP_MAX];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct keymap map = {.count = 0};
        uint16_t got = 0;

        for (const char *byte = cases[i].bytes; *byte; byte++) {
            assert_in_range(map.count, 0, KEYMAP_MAX - 1);
            unsigned count = keymap_feed(&map, (uint8_t)*byte, strokes);

            assert_in_range(count, 0, 1);
            got = count > 0 ? strokes[0] : got;
        }
        assert_int_equal(got, cases[i].stroke);
        assert_int_equal(map.count, 0);
    }
}

static void test_escape_key(void **state)
{
    struct keymap map = {.count = 0};
    uint16_t strokes[KEYMAP_MAX];

    assert_int_equal(keymap_flush(&map, strokes), 0);
    assert_int_equal(keymap_feed(&map, 0x1b, strokes), 0);
    assert_int_equal(keymap_flush(&map, strokes), 1);
    assert_int_equal(strokes[0], 0x01);
    assert_int_equal(keymap_feed(&map, 0x1b, strokes), 0);
    assert_int_equal(keymap_feed(&map, 0x1b, strokes), 1);
    assert_int_equal(strokes[0], 0x01);
    assert_int_equal(keymap_feed(&map, '[', strokes), 0);
    assert_int_equal(keymap_flush(&map, strokes), 2);
    assert_int_equal(strokes[1], 0x1a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),     cmocka_unit_test(test_control),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_escape_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
