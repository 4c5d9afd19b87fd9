/* SPDX-License-Identifier: BSD-2-Clause */
/* Hosts and ports, words of the portal's lines, and where a command of QMP ends. */
#include "guest/agent/agent.h"
#include "guest/agent/qmp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void hosts_and_ports(void **state)
{
    static const struct {
        const char *text, *host, *port;
    } rows[] = {
        {"host:1234",      "host",         "1234"},
        {"host",           "host",         NULL  },
        {":1234",          "",             "1234"},
        {"host:",          "host",         NULL  },
        {"[::1]:1234",     "::1",          "1234"},
        {"[fe80::1%eth0]", "fe80::1%eth0", NULL  },
        {"192.0.2.1:1",    "192.0.2.1",    "1"   },
    };
    char host[20];
    const char *port;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(agent_split_host(rows[i].text, host, sizeof(host), &port));
        assert_string_equal(host, rows[i].host);
        if (rows[i].port == NULL) {
            assert_null(port);
        } else {
            assert_string_equal(port, rows[i].port);
        }
    }
    assert_false(agent_split_host("a-name-that-is-too-long:1", host, sizeof(host), &port));
}

static void words_of_lines(void **state)
{
    static const char line[] = "ok vm=a state=running cpus=2 memory=1073741824 x=";
    char value[8];

    (void)state;
    assert_true(agent_find_value(line, "vm", value, sizeof(value)));
    assert_string_equal(value, "a");
    assert_true(agent_find_value(line, "state", value, sizeof(value)));
    assert_false(agent_find_value(line, "state", value, 7));
    assert_false(agent_find_value(line, "stat", value, sizeof(value)));
    assert_false(agent_find_value(line, "m", value, sizeof(value)));
    assert_true(agent_find_value(line, "x", value, sizeof(value)));
    assert_string_equal(value, "");
    assert_int_equal(agent_find_number(line, "memory"), 1073741824);
    assert_int_equal(agent_find_number(line, "nothing"), 0);
}

static void texts_of_others(void **state)
{
    char text[] = "a\x1b[2J\n\xc3\xa4~ b";

    (void)state;
    agent_clean_text(text);
    assert_string_equal(text, "a?[2J???~ b");
}

/* Where the first command of TEXT ends, however it is cut. */
static uint32_t end_of(const char *text, bool *broken)
{
    uint32_t size = (uint32_t)strlen(text), whole;
    struct qmp_scan at_once = {0}, pieces = {0};

    whole = qmp_scan(&at_once, text, size, broken);
    for (uint32_t have = 1; have <= size; have++) {
        uint32_t end = qmp_scan(&pieces, text, have, broken);

        if (end != 0) {
            assert_int_equal(end, whole);
            return end;
        }
    }
    assert_int_equal(whole, 0);
    return 0;
}

static void commands_end(void **state)
{
    bool broken = false;

    (void)state;
    assert_int_equal(end_of("{}{}", &broken), 2);
    assert_int_equal(end_of("{\"a\":[{}]}", &broken), 10);
    assert_int_equal(end_of("{\"}\":\"\\\"}\"}", &broken), 11);
    assert_int_equal(end_of("{\"\\\\\":1}x", &broken), 8);
    assert_int_equal(end_of("{\n\"a\":", &broken), 0);
    assert_int_equal(end_of("hello\n", &broken), 6);
    assert_int_equal(end_of("]", &broken), 1);
    assert_false(broken);
    assert_int_equal(end_of("{\"a\x01", &broken), 4);
    assert_true(broken);
    assert_int_equal(end_of("{\xff", &broken), 2);
    assert_true(broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports),
        cmocka_unit_test(words_of_lines),
        cmocka_unit_test(texts_of_others),
        cmocka_unit_test(commands_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
