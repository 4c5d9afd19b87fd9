/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's console from outside: keys in, the serial line's text out. */
#include "tests/unit/console/operator.h"
#include "tests/unit/fakes/console.h"
#include "vmm/base/log.h"
#include "vmm/console/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ERASE "\r\x1b[K"

static void test_prompt(void **state)
{
    fake_console_reset();
    expect_line("vmm> ");
    operator_type("xy\x7fz");
    expect_line("xy\b \bz");
    operator_type("\x15"); /* Ctrl-U */
    expect_line(ERASE "vmm> ");
    operator_type("abc\x03");
    expect_line("abc^C\r\nvmm> ");
    operator_type("\r\n\n\r"); /* three empty lines */
    expect_line("\r\nvmm> \r\nvmm> \r\nvmm> ");
    /* A log line takes the prompt away and brings it back with what is typed. */
    operator_type("vm l");
    fake_line_clear();
    fake_now_ns = 1000;
    log_warn("watch out");
    expect_line(ERASE "[   0.000001] warning: watch out\r\nvmm> vm l");
}

static void test_background(void **state)
{
    guest_say(0, "one\r\ntw");
    guest_say(1, "uno\n");
    guest_say(0, "o\r\n\r\n");
    expect_line(ERASE "[web] one\r\n[db] uno\r\n[web] two\r\n[web] \r\nvmm> ");
    /* A progress line, rewritten twice: both are kept; what ends in CR LF is one line. */
    guest_say(0, "10%\r20%\r\r\n");
    expect_line(ERASE "[web] 10%\r\n[web] 20%\r\nvmm> ");
    guest_say(2, "login: ");
    expect_line("");
    operator_wait();
    expect_line(ERASE "[old-mail-server] login: \r\nvmm> ");
    guest_say(2, "root\r\n"); /* the line goes on: only the rest is new */
    expect_line(ERASE "[old-mail-server]+root\r\nvmm> ");
    operator_wait();
    expect_line("");
    guest_say(2, "# ");
    operator_wait();
    fake_line_clear();
    guest_say(2, "\r\n"); /* its end alone is nothing new */
    expect_line("");
    (void)guest_say_byte(3, 'x');
    (void)guest_say_byte(CONSOLE_VMM, 'x');
    operator_wait();
    expect_line("");
}

static void test_harmless(void **state)
{
    static const char bad[] = "a\x1b[2Jb\x1b]0;title\x07"
                              "c\x1b]2;x\x1b\\d\x1b(Be\x1bPq#0\x1b\\f\x1b[1;\x1b[31mg"
                              "\0h\x07i\bj\tk\xc2\x9bm\x7fn\x0eo\x1b[3\x18p\r\n";
    char line[400];

    guest_say_bytes(0, bad, sizeof(bad) - 1);
    expect_line(ERASE "[web] abcdefghij\tk??mnop\r\nvmm> ");
    /* A string that never ends hides no more than its line, and no more than 256 bytes. */
    guest_say(0, "\x1b]0;no end\r\nthere\r\n");
    expect_line(ERASE "[web] \r\n[web] there\r\nvmm> ");
    memset(line, 'x', sizeof(line));
    memcpy(line, "\x1b]", 2);
    guest_say_bytes(0, line, sizeof(line));
    guest_say(0, "\n");
    operator_poll();
    assert_in_range(strspn(fake_line_text() + strlen(ERASE "[web] "), "x"), 140, 150);
}

static void test_long_lines(void **state)
{
    char line[256], wanted[700];

    memset(line, 'x', sizeof(line));
    guest_say_bytes(0, line, sizeof(line));
    expect_line("");
    guest_say(0, "y\r\n");
    (void)snprintf(wanted, sizeof(wanted), ERASE "[web] %.256s\r\n[web]+y\r\nvmm> ", line);
    expect_line(wanted);
    /* Exactly full: no empty line behind it. */
    guest_say_bytes(0, line, sizeof(line));
    guest_say(0, "\r\n");
    (void)snprintf(wanted, sizeof(wanted), ERASE "[web] %.256s\r\nvmm> ", line);
    expect_line(wanted);
}

/* What VM 2, in the foreground, says, and what goes to the line between that and a line of the log.
 */
static void expect_line_behind(const char *said, const char *between)
{
    char wanted[64];

    guest_say(1, said);
    log_info("news");
    (void)snprintf(wanted, sizeof(wanted), "%s%s[   0.000000] news\r\n", said, between);
    expect_line(wanted);
}

static void test_foreground(void **state)
{
    guest_say(1, "boot\r\nlogin: ");
    operator_poll();
    fake_line_clear();
    operator_type("\x01"
                  "2");
    expect_line(ERASE "[VM 2, db: running; Ctrl-A 0 leads back to the VMM]\r\nlogin: ");
    operator_type("root\r\x01\x01\x1d\x1d\x03");
    assert_int_equal(fake_vms[1].got, 8);
    assert_memory_equal(fake_vms[1].input, "root\r\x01\x1d\x03", 8);
    expect_line("");
    guest_say(1, "\x1b[1mroot\x1b[0m\r\n\xff\n");
    expect_line("\x1b[1mroot\x1b[0m\r\n\xff\n");
    guest_say(0, "hello\r\n"); /* the cursor stands in an empty line, but not at its start */
    expect_line("\r[web] hello\r\n");
    guest_say(1, "half");
    log_info("news");
    expect_line("half\r\n[   0.000000] news\r\n");
    guest_say(1, "\x1b[3"); /* an unfinished sequence would swallow the line */
    log_info("news");
    expect_line("\x1b[3\x18\r\n[   0.000000] news\r\n");
    /* Nor does a terminal end a string at a line's end, at BEL but for OSC, or at some length. */
    expect_line_behind("\x1bP\r\n", "\x18\r\n");
    expect_line_behind("\x1b_a\x07\r\n", "\x18\r\n");
    expect_line_behind("\x9d\r\n", "\x18\r\n");
    expect_line_behind("\x1b]0;title\x07\r\n", "");
    expect_line_behind("\x1bP\n\x1b\\\r\n", "");
    expect_line_behind("\x1bP\n\x18\r\n", "");
    guest_say(1, "1mred\r\n");
    fake_line_clear();
    operator_type("\x1d"
                  "0");
    expect_line("\x1b[0m[VMM: 'help' lists the commands, Ctrl-A h the keys]\r\nvmm> ");
    guest_say(1, "behind\r\n");
    expect_line(ERASE "[db] behind\r\nvmm> ");
}

static void test_keys(void **state)
{
    static const struct {
        const char *keys, *wanted;
    } steps[] = {
        {"\x01n",      "[VM 1, web: "               },
        {"\x01n",      "[VM 2, db: "                },
        {"\x1dn",      "[VM 3, old-mail-server: "   },
        {"\x01n",      "[VMM: "                     },
        {"\x01p",      "[VM 3, "                    },
        {"\x01v",      "[VMM: "                     },
        {"\x01"
         "9", "[there is no VM 9; "        },
        {"\x01x",      "[that key does nothing "    },
        {"\x01l",      " 2  db              running"},
        {"\x01h",      "Ctrl-A or Ctrl-], and then:"},
        {"\x01?",      "for the guest"              },
        {"\x01\x1d"
         "1", "[VM 1, web: "               },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        operator_type(steps[i].keys);
        expect_within(steps[i].wanted);
    }
    assert_int_equal(fake_vms[0].got + fake_vms[1].got + fake_vms[2].got, 0);
}

static void test_input_waits(void **state)
{
    char many[300];

    for (unsigned i = 0; i < sizeof(many); i++) {
        many[i] = (char)('a' + i % 26);
    }
    operator_type("\x01"
                  "1");
    fake_vms[0].deaf = true;
    operator_type("abc");
    assert_int_equal(fake_vms[0].got, 0);
    fake_vms[0].deaf = false;
    operator_poll();
    assert_memory_equal(fake_vms[0].input, "abc", 3);
    fake_vms[0].deaf = true;
    fake_line_clear();
    for (unsigned i = 0; i < 2; i++) {
        fake_type(many, sizeof(many));
    }
    for (unsigned i = 0; i < 20; i++) {
        operator_poll();
    }
    const char *told = strstr(fake_line_text(), "does not read what is typed");

    assert_non_null(told);
    assert_null(strstr(told + 1, "does not read")); /* once */
    fake_vms[0].deaf = false;
    operator_poll();
    assert_int_equal(fake_vms[0].got, 3 + 256);
    assert_memory_equal(fake_vms[0].input + 3, many, 256);
    operator_type("\x01l");
    expect_within("running, 344 typed bytes not read");
    fake_vms[0].off = true;
    operator_type("zzz");
    expect_line("[web does not run (off), nobody reads this; Ctrl-A 0, then 'vm start web']\r\n");
    fake_vms[0].off = false;
    operator_type("y");
    assert_int_equal(fake_vms[0].got, 3 + 256 + 1);
    assert_int_equal(fake_vms[0].input[259], 'y');
}

static void test_strokes(void **state)
{
    static const uint16_t wanted[] = {0x20, 0x117, 0x1c, 0x6d3};

    fake_vms[1].deaf = true;
    operator_type("vm key db 'dI enter ctrl-alt-del\r");
    assert_int_equal(fake_vms[1].strokes, 0);
    fake_vms[1].deaf = false;
    for (unsigned i = 0; i < 4; i++) { /* a poll for each: in between time must pass */
        (void)console_poll(fake_now_ns);
        (void)console_poll(fake_now_ns);
        assert_int_equal(fake_vms[1].strokes, i + 1);
        fake_now_ns += 20000000;
    }
    assert_memory_equal(fake_vms[1].stroke, wanted, sizeof(wanted));
    fake_vms[1].off = true;
    fake_line_clear();
    operator_type("vm key db a\r");
    expect_within("vm key db: not now, the VM is 'off'");
    fake_vms[1].off = false;
    fake_vms[1].deaf = true;
    for (unsigned i = 0; i < 10; i++) {
        operator_type("vm key db '123456789012345678901234567\r");
    }
    expect_within("vm key db: not now, the VM is 'running', or has not taken the keys before");
    fake_vms[1].off = true;
    operator_poll();
    fake_vms[1].off = fake_vms[1].deaf = false;
}

static void test_commands(void **state)
{
    static const struct {
        const char *line, *wanted;
    } cases[] = {
        {"help",                                                                            "  vm    button     NAME         press a VM's power button"    },
        {"help vm nmi",                                                                     "usage: vm nmi NAME - send an NMI"                             },
        {"help vm",                                                                         "  vm    list "                                                },
        {"help log",                                                                        "usage: log [LINES] - "                                        },
        {"help me",                                                                         "unknown command 'me'; these are known:\r\n  help "            },
        {"  vm   list ",                                                                    "  1  web             running\r\n  2  db  "                    },
        {"vm",                                                                              "'vm' needs one of these behind it:\r\n  vm    list "          },
        {"vm fly web",                                                                      "'vm' needs one of these behind it:\r\n  vm    list "          },
        {"vm start",                                                                        "usage: vm start NAME - start a VM"                            },
        {"vm start web db",                                                                 "usage: vm start NAME - start a VM"                            },
        {"vm start mail",                                                                   "there is no VM 'mail'; 'vm list' shows the 3 that there are"  },
        {"vm start 4",                                                                      "there is no VM '4'; "                                         },
        {"vm start 0",                                                                      "there is no VM '0'; "                                         },
        {"vm list all",                                                                     "usage: vm list  - "                                           },
        {"log many",                                                                        "'many' is not a number of lines from 1 to 1000\r\nusage: log "},
        {"log 0",                                                                           "'0' is not a number of lines "                                },
        {"log 99999999999",                                                                 "'99999999999' is not a number of lines "                      },
        {"vm key web",                                                                      "usage: vm key NAME KEY... - strike"                           },
        {"vm key web f13",                                                                  "'f13' is no key, or too long: "                               },
        {"vm key mail a",                                                                   "there is no VM 'mail'"                                        },
        {"vm mouse web 1",                                                                  "usage: vm mouse NAME RIGHT UP [BUTTONS] - "                   },
        {"vm mouse web -5 x",                                                               "'x' is no number from -999 to 999"                            },
        {"vm mouse web 1 2 8",                                                              "'8' are no buttons: 1, 2, 4 or a sum of them"                 },
        {"vm mouse web -5 999 3",                                                           "mouse -5 999 0, 3"                                            },
        {"bogus",                                                                           "unknown command 'bogus'; these are known:"                    },
        {"stats db",                                                                        "\r\ndb: 42 exits\r\nvmm> "                                    },
        {"stats",                                                                           "web: 42 exits\r\ndb: 42 exits\r\nold-mail-server: 42 exits\r\n"
                  "the VMM: 7 KiB\r\nvmm> "                                                                                               },
        {"vm migrate web",                                                                  "usage: vm migrate NAME HOST[:PORT] - "                        },
        {"vm migrate web a b",                                                              "usage: vm migrate NAME HOST[:PORT] - "                        },
        {"vm migrate web a:4444",                                                           "\r\n  to 'a:4444'\r\nvmm> "                                   },
        {"vm migrate 1 cancel",                                                             "\r\n  to 'cancel'\r\nvmm> "                                   },
        {"vm migrate web resolve",                                                          "usage: vm migrate NAME "                                      },
        {"vm migrate web resolve x",                                                        "usage: vm migrate NAME "                                      },
        {"vm migrate web resolve here",                                                     "\r\n  it runs here\r\nvmm> "                                  },
        {"vm migrate web resolve there",                                                    "\r\n  it runs there\r\nvmm> "                                 },
        {"vm migrate mail a",                                                               "there is no VM 'mail'"                                        },
        {"vm migrate web 1234567890123456789012345678901234567890123456789012345678901234",
         "is too long for a host's name"                                                                                                                   },
        {"vm console db",                                                                   "[VM 2, db: running"                                           },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        operator_type(cases[i].line);
        operator_type("\r");
        expect_within(cases[i].wanted);
    }
    operator_type("\x01"
                  "0");
    assert_int_equal(fake_vms[0].actions | fake_vms[1].actions | fake_vms[2].actions, 0);
    operator_type("a-word-that-is-longer-than-any-name-of-a-vm-or-of-a-host-could-ever-be 1 2 3\r");
    expect_within(
        "unknown command 'a-word-that-is-longer-than-any-name-of-a-vm-or-of-a-host-could-'; ");
}

static void test_actions(void **state)
{
    static const struct {
        const char *word;
        enum console_action action;
    } actions[] = {
        {"start",    CONSOLE_START   },
        {"stop",     CONSOLE_STOP    },
        {"reset",    CONSOLE_RESET   },
        {"pause",    CONSOLE_PAUSE   },
        {"resume",   CONSOLE_RESUME  },
        {"nmi",      CONSOLE_NMI     },
        {"button",   CONSOLE_BUTTON  },
        {"incoming", CONSOLE_INCOMING},
    };
    char line[64], wanted[64];

    for (unsigned i = 0; i < ARRAY_SIZE(actions); i++) {
        (void)snprintf(line, sizeof(line), "vm %s %s\r", actions[i].word, i % 2 ? "2" : "db");
        (void)snprintf(wanted, sizeof(wanted), "\r\nvm %s db: %s\r\nvmm> ", actions[i].word,
                       actions[i].action == CONSOLE_START || actions[i].action == CONSOLE_INCOMING
                           ? "begun"
                           : "done");
        fake_vms[1].actions = 0;
        operator_type(line);
        expect_within(wanted);
        assert_int_equal(fake_vms[1].actions, 1U << actions[i].action);
    }
    assert_int_equal(fake_vms[0].actions | fake_vms[2].actions, 0);
    fake_vms[0].answer = STATUS_STATE;
    operator_type("vm start web\r");
    expect_within("vm start web: not now, the VM is 'running'");
    fake_vms[0].answer = STATUS_NO_MEMORY;
    operator_type("vm start web\r");
    expect_within("vm start web: out of memory; ");
    operator_type("\x1b[A"); /* history */
    expect_within(ERASE "vmm> vm start web");
    operator_type("\x1b[B\x1bOA\x17");
    expect_within("vmm> vm start ");
}

/* While a VM's time stands still, as for a checkpoint, its mouse waits; one move. */
static void test_motion(void **state)
{
    fake_vms[1].answer = STATUS_STATE;
    operator_type("vm mouse db 5 -7 1\r");
    expect_line("vm mouse db 5 -7 1\r\nvmm> ");
    operator_type("vm mouse db 1 1\r");
    expect_within("vm mouse db: not now, the VM is 'running'");
    fake_vms[1].answer = STATUS_OK;
    operator_poll();
    expect_line(ERASE "mouse 5 -7 0, 1\r\nvmm> ");
    operator_poll();
    expect_line("");
    /* It is not for the VM's next life. */
    fake_vms[1].answer = STATUS_STATE;
    operator_type("vm mouse db 3 3\r");
    fake_vms[1].off = true;
    operator_poll();
    operator_type("vm mouse db 4 4\r");
    expect_within("vm mouse db: not now, the VM is 'off'");
    fake_vms[1].off = false;
    fake_vms[1].answer = STATUS_OK;
    operator_poll();
    expect_line("");
    fake_vms[1].answer = STATUS_NOT_FOUND;
    operator_type("vm mouse db 4 4\r");
    expect_within("vm mouse db: ");
}

static void test_dumps(void **state)
{
    char line[32];

    for (unsigned i = 0; i < 2000; i++) {
        log_info("line %u.", i);
    }
    operator_poll();
    fake_line_clear();
    operator_type("log 2\r");
    expect_line("log 2\r\n[   0.000000] line 1998.\r\n[   0.000000] line 1999.\r\nvmm> ");
    operator_type("log\r");
    operator_poll();
    assert_non_null(strstr(fake_line_text(), "log\r\n[   0.000000] line 1960.\r\n"));
    assert_non_null(strstr(fake_line_text(), "line 1999.\r\nvmm> "));
    fake_line_clear();
    /* All that was asked for comes, though the ring of the line cannot hold it at once. */
    operator_type("log 1000\r");
    operator_poll();
    assert_non_null(strstr(fake_line_text(), "\r\n[   0.000000] line 1000.\r\n"));
    assert_non_null(strstr(fake_line_text(), "line 1999.\r\nvmm> "));
    fake_line_clear();
    fake_line_takes = 1;
    fake_type("log 1000\r\x03", 10); /* and Ctrl-C ends it */
    operator_poll();
    assert_null(strstr(fake_line_text(), "line 1999."));
    fake_line_clear();
    guest_say(1, "first\r\n");
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(line, sizeof(line), "\x1b[1mrow %u.\r\n", i);
        guest_say(1, line);
    }
    operator_poll();
    fake_line_clear();
    operator_type("vm log db\r");
    operator_poll();
    assert_null(strstr(fake_line_text(), "first"));
    assert_null(strstr(fake_line_text(), "\x1b[1m"));
    assert_non_null(strstr(fake_line_text(), "\r\n[db] row 598.\r\n[db] row 599.\r\nvmm> "));
}

static void test_no_vms(void **state)
{
    fake_console_reset();
    fake_vm_count = 0;
    console_init();
    operator_type("\x01n\x01"
                  "1stats\rvm list\rvm start a\r");
    expect_within("[there is no VM 1; Ctrl-A l lists the 0 VMs]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_prompt, operator_setup),
        cmocka_unit_test_setup(test_background, operator_setup),
        cmocka_unit_test_setup(test_harmless, operator_setup),
        cmocka_unit_test_setup(test_long_lines, operator_setup),
        cmocka_unit_test_setup(test_foreground, operator_setup),
        cmocka_unit_test_setup(test_keys, operator_setup),
        cmocka_unit_test_setup(test_input_waits, operator_setup),
        cmocka_unit_test_setup(test_strokes, operator_setup),
        cmocka_unit_test_setup(test_commands, operator_setup),
        cmocka_unit_test_setup(test_actions, operator_setup),
        cmocka_unit_test_setup(test_motion, operator_setup),
        cmocka_unit_test_setup(test_dumps, operator_setup),
        cmocka_unit_test_setup(test_no_vms, operator_setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
