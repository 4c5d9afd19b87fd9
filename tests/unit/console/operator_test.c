/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's console from outside: keys in, the serial line's text out. */
#include "tests/unit/fakes/console.h"
#include "vmm/base/log.h"
#include "vmm/console/console.h"
#include "vmm/console/line.h"
#include "vmm/console/sinks.h"
#include "vmm/vm/vm_edge.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define QUIET_NS 1100000000ULL
#define LINES    1500U /* of each CPU, in test_cpus() */
#define ERASE    "\r\x1b[K"

static void poll_all(void)
{
    while (console_poll(fake_now_ns)) {
    }
    (void)console_poll(fake_now_ns);
    while (console_poll(fake_now_ns)) {
    }
}

static void type_keys(const char *keys)
{
    fake_type(keys, strlen(keys));
    poll_all();
}

static bool others_poll;

/* As a vCPU does: it comes back until there is room. */
static bool say_byte(unsigned vm, char byte)
{
    while (!vm_edge_has_room(vm)) {
        if (others_poll) {
            (void)sched_yield();
        } else {
            (void)console_poll(fake_now_ns);
        }
    }
    bool more = vm_edge_output(vm, (uint8_t)byte);

    vm_edge_bring(vm);
    return more;
}

static void say_bytes(unsigned vm, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        (void)say_byte(vm, text[i]);
    }
}

static void say(unsigned vm, const char *text)
{
    say_bytes(vm, text, strlen(text));
}

static void quiet(void)
{
    for (unsigned i = 0; i < 2; i++) {
        fake_now_ns += QUIET_NS;
        poll_all();
    }
}

/* What came since the last call is exactly WANTED. */
static void expect(const char *wanted)
{
    poll_all();
    assert_string_equal(fake_line_text(), wanted);
    fake_line_clear();
}

static void expect_within(const char *wanted)
{
    poll_all();
    if (!strstr(fake_line_text(), wanted)) {
        print_error("not found: %s\nin: %s\n", wanted, fake_line_text());
        fail();
    }
    fake_line_clear();
}

static int setup(void **state)
{
    fake_line_absent = false;
    fake_console_reset();
    poll_all();
    fake_line_clear();
    return 0;
}

static void test_prompt(void **state)
{
    fake_console_reset();
    expect("vmm> ");
    type_keys("xy\x7fz");
    expect("xy\b \bz");
    type_keys("\x15"); /* Ctrl-U */
    expect(ERASE "vmm> ");
    type_keys("abc\x03");
    expect("abc^C\r\nvmm> ");
    type_keys("\r\n\n\r"); /* three empty lines */
    expect("\r\nvmm> \r\nvmm> \r\nvmm> ");
    /* A log line takes the prompt away and brings it back with what is typed. */
    type_keys("vm l");
    fake_line_clear();
    fake_now_ns = 1000;
    log_warn("watch out");
    expect(ERASE "[   0.000001] warning: watch out\r\nvmm> vm l");
}

static void test_background(void **state)
{
    say(0, "one\r\ntw");
    say(1, "uno\n");
    say(0, "o\r\n\r\n");
    expect(ERASE "[web] one\r\n[db] uno\r\n[web] two\r\n[web] \r\nvmm> ");
    /* A progress line, rewritten twice: both are kept; what ends in CR LF is one line. */
    say(0, "10%\r20%\r\r\n");
    expect(ERASE "[web] 10%\r\n[web] 20%\r\nvmm> ");
    say(2, "login: ");
    expect("");
    quiet();
    expect(ERASE "[old-mail-server] login: \r\nvmm> ");
    say(2, "root\r\n"); /* the line goes on: only the rest is new */
    expect(ERASE "[old-mail-server]+root\r\nvmm> ");
    quiet();
    expect("");
    say(2, "# ");
    quiet();
    fake_line_clear();
    say(2, "\r\n"); /* its end alone is nothing new */
    expect("");
    (void)say_byte(3, 'x');
    (void)say_byte(CONSOLE_VMM, 'x');
    quiet();
    expect("");
}

static void test_harmless(void **state)
{
    static const char bad[] = "a\x1b[2Jb\x1b]0;title\x07"
                              "c\x1b]2;x\x1b\\d\x1b(Be\x1bPq#0\x1b\\f\x1b[1;\x1b[31mg"
                              "\0h\x07i\bj\tk\xc2\x9bm\x7fn\x0eo\x1b[3\x18p\r\n";
    char line[400];

    say_bytes(0, bad, sizeof(bad) - 1);
    expect(ERASE "[web] abcdefghij\tk??mnop\r\nvmm> ");
    /* A string that never ends hides no more than its line, and no more than 256 bytes. */
    say(0, "\x1b]0;no end\r\nthere\r\n");
    expect(ERASE "[web] \r\n[web] there\r\nvmm> ");
    memset(line, 'x', sizeof(line));
    memcpy(line, "\x1b]", 2);
    say_bytes(0, line, sizeof(line));
    say(0, "\n");
    poll_all();
    assert_in_range(strspn(fake_line_text() + strlen(ERASE "[web] "), "x"), 140, 150);
}

static void test_long_lines(void **state)
{
    char line[256], wanted[700];

    memset(line, 'x', sizeof(line));
    say_bytes(0, line, sizeof(line));
    expect("");
    say(0, "y\r\n");
    (void)snprintf(wanted, sizeof(wanted), ERASE "[web] %.256s\r\n[web]+y\r\nvmm> ", line);
    expect(wanted);
    /* Exactly full: no empty line behind it. */
    say_bytes(0, line, sizeof(line));
    say(0, "\r\n");
    (void)snprintf(wanted, sizeof(wanted), ERASE "[web] %.256s\r\nvmm> ", line);
    expect(wanted);
}

/* What VM 2, in the foreground, says, and what goes to the line between that and a line of the log.
 */
static void expect_line_behind(const char *said, const char *between)
{
    char wanted[64];

    say(1, said);
    log_info("news");
    (void)snprintf(wanted, sizeof(wanted), "%s%s[   0.000000] news\r\n", said, between);
    expect(wanted);
}

static void test_foreground(void **state)
{
    say(1, "boot\r\nlogin: ");
    poll_all();
    fake_line_clear();
    type_keys("\x01"
              "2");
    expect(ERASE "[VM 2, db: running; Ctrl-A 0 leads back to the VMM]\r\nlogin: ");
    type_keys("root\r\x01\x01\x1d\x1d\x03");
    assert_int_equal(fake_vms[1].got, 8);
    assert_memory_equal(fake_vms[1].input, "root\r\x01\x1d\x03", 8);
    expect("");
    say(1, "\x1b[1mroot\x1b[0m\r\n\xff\n");
    expect("\x1b[1mroot\x1b[0m\r\n\xff\n");
    say(0, "hello\r\n"); /* the cursor stands in an empty line, but not at its start */
    expect("\r[web] hello\r\n");
    say(1, "half");
    log_info("news");
    expect("half\r\n[   0.000000] news\r\n");
    say(1, "\x1b[3"); /* an unfinished sequence would swallow the line */
    log_info("news");
    expect("\x1b[3\x18\r\n[   0.000000] news\r\n");
    /* Nor does a terminal end a string at a line's end, at BEL but for OSC, or at some length. */
    expect_line_behind("\x1bP\r\n", "\x18\r\n");
    expect_line_behind("\x1b_a\x07\r\n", "\x18\r\n");
    expect_line_behind("\x9d\r\n", "\x18\r\n");
    expect_line_behind("\x1b]0;title\x07\r\n", "");
    expect_line_behind("\x1bP\n\x1b\\\r\n", "");
    expect_line_behind("\x1bP\n\x18\r\n", "");
    say(1, "1mred\r\n");
    fake_line_clear();
    type_keys("\x1d"
              "0");
    expect("\x1b[0m[VMM: 'help' lists the commands, Ctrl-A h the keys]\r\nvmm> ");
    say(1, "behind\r\n");
    expect(ERASE "[db] behind\r\nvmm> ");
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
        type_keys(steps[i].keys);
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
    type_keys("\x01"
              "1");
    fake_vms[0].deaf = true;
    type_keys("abc");
    assert_int_equal(fake_vms[0].got, 0);
    fake_vms[0].deaf = false;
    poll_all();
    assert_memory_equal(fake_vms[0].input, "abc", 3);
    fake_vms[0].deaf = true;
    fake_line_clear();
    for (unsigned i = 0; i < 2; i++) {
        fake_type(many, sizeof(many));
    }
    for (unsigned i = 0; i < 20; i++) {
        poll_all();
    }
    const char *told = strstr(fake_line_text(), "does not read what is typed");

    assert_non_null(told);
    assert_null(strstr(told + 1, "does not read")); /* once */
    fake_vms[0].deaf = false;
    poll_all();
    assert_int_equal(fake_vms[0].got, 3 + 256);
    assert_memory_equal(fake_vms[0].input + 3, many, 256);
    type_keys("\x01l");
    expect_within("running, 344 typed bytes not read");
    fake_vms[0].off = true;
    type_keys("zzz");
    expect("[web does not run (off), nobody reads this; Ctrl-A 0, then 'vm start web']\r\n");
    fake_vms[0].off = false;
    type_keys("y");
    assert_int_equal(fake_vms[0].got, 3 + 256 + 1);
    assert_int_equal(fake_vms[0].input[259], 'y');
}

static void test_commands(void **state)
{
    static const struct {
        const char *line, *wanted;
    } cases[] = {
        {"help",            "  vm    button     NAME         press a VM's power button"    },
        {"help vm nmi",     "usage: vm nmi NAME - send an NMI"                             },
        {"help vm",         "  vm    list "                                                },
        {"help log",        "usage: log [LINES] - "                                        },
        {"help me",         "unknown command 'me'; these are known:\r\n  help "            },
        {"  vm   list ",    "  1  web             running\r\n  2  db  "                    },
        {"vm",              "'vm' needs one of these behind it:\r\n  vm    list "          },
        {"vm fly web",      "'vm' needs one of these behind it:\r\n  vm    list "          },
        {"vm start",        "usage: vm start NAME - start a VM"                            },
        {"vm start web db", "usage: vm start NAME - start a VM"                            },
        {"vm start mail",   "there is no VM 'mail'; 'vm list' shows the 3 that there are"  },
        {"vm start 4",      "there is no VM '4'; "                                         },
        {"vm start 0",      "there is no VM '0'; "                                         },
        {"vm list all",     "usage: vm list  - "                                           },
        {"log many",        "'many' is not a number of lines from 1 to 1000\r\nusage: log "},
        {"log 0",           "'0' is not a number of lines "                                },
        {"log 99999999999", "'99999999999' is not a number of lines "                      },
        {"bogus",           "unknown command 'bogus'; these are known:"                    },
        {"stats db",        "\r\ndb: 42 exits\r\nvmm> "                                    },
        {"stats",           "web: 42 exits\r\ndb: 42 exits\r\nold-mail-server: 42 exits\r\n"
                  "the VMM: 7 KiB\r\nvmm> "                               },
        {"vm console db",   "[VM 2, db: running"                                           },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        type_keys(cases[i].line);
        type_keys("\r");
        expect_within(cases[i].wanted);
    }
    type_keys("\x01"
              "0");
    assert_int_equal(fake_vms[0].actions | fake_vms[1].actions | fake_vms[2].actions, 0);
    type_keys("a-word-that-is-longer-than-any-name-of-a-vm-could-ever-be 1 2 3 4 5 6 7 8 9\r");
    expect_within("unknown command 'a-word-that-is-longer-than-any-'; ");
}

static void test_actions(void **state)
{
    static const struct {
        const char *word;
        enum console_action action;
    } actions[] = {
        {"start",  CONSOLE_START },
        {"stop",   CONSOLE_STOP  },
        {"reset",  CONSOLE_RESET },
        {"pause",  CONSOLE_PAUSE },
        {"resume", CONSOLE_RESUME},
        {"nmi",    CONSOLE_NMI   },
        {"button", CONSOLE_BUTTON},
    };
    char line[64], wanted[64];

    for (unsigned i = 0; i < ARRAY_SIZE(actions); i++) {
        (void)snprintf(line, sizeof(line), "vm %s %s\r", actions[i].word, i % 2 ? "2" : "db");
        (void)snprintf(wanted, sizeof(wanted), "\r\nvm %s db: %s\r\nvmm> ", actions[i].word,
                       actions[i].action == CONSOLE_START ? "begun" : "done");
        fake_vms[1].actions = 0;
        type_keys(line);
        expect_within(wanted);
        assert_int_equal(fake_vms[1].actions, 1U << actions[i].action);
    }
    assert_int_equal(fake_vms[0].actions | fake_vms[2].actions, 0);
    fake_vms[0].answer = STATUS_STATE;
    type_keys("vm start web\r");
    expect_within("vm start web: not now, the VM is 'running'");
    fake_vms[0].answer = STATUS_NO_MEMORY;
    type_keys("vm start web\r");
    expect_within("vm start web: out of memory; ");
    type_keys("\x1b[A"); /* history */
    expect_within(ERASE "vmm> vm start web");
    type_keys("\x1b[B\x1bOA\x17");
    expect_within("vmm> vm start ");
}

static void test_dumps(void **state)
{
    char line[32];

    for (unsigned i = 0; i < 2000; i++) {
        log_info("line %u.", i);
    }
    poll_all();
    fake_line_clear();
    type_keys("log 2\r");
    expect("log 2\r\n[   0.000000] line 1998.\r\n[   0.000000] line 1999.\r\nvmm> ");
    type_keys("log\r");
    poll_all();
    assert_non_null(strstr(fake_line_text(), "log\r\n[   0.000000] line 1960.\r\n"));
    assert_non_null(strstr(fake_line_text(), "line 1999.\r\nvmm> "));
    fake_line_clear();
    /* All that was asked for comes, though the ring of the line cannot hold it at once. */
    type_keys("log 1000\r");
    poll_all();
    assert_non_null(strstr(fake_line_text(), "\r\n[   0.000000] line 1000.\r\n"));
    assert_non_null(strstr(fake_line_text(), "line 1999.\r\nvmm> "));
    fake_line_clear();
    fake_line_takes = 1;
    fake_type("log 1000\r\x03", 10); /* and Ctrl-C ends it */
    poll_all();
    assert_null(strstr(fake_line_text(), "line 1999."));
    fake_line_clear();
    say(1, "first\r\n");
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(line, sizeof(line), "\x1b[1mrow %u.\r\n", i);
        say(1, line);
    }
    poll_all();
    fake_line_clear();
    type_keys("vm log db\r");
    poll_all();
    assert_null(strstr(fake_line_text(), "first"));
    assert_null(strstr(fake_line_text(), "\x1b[1m"));
    assert_non_null(strstr(fake_line_text(), "\r\n[db] row 598.\r\n[db] row 599.\r\nvmm> "));
}

static void test_slow_line(void **state)
{
    char line[200];

    fake_line_takes = 1;
    memset(line, 'x', sizeof(line));
    line[198] = '\r';
    line[199] = '\n';
    /* Ten rings of it: the writer waits, nothing is lost. */
    for (unsigned i = 0; i < 10 * LINE_RING / sizeof(line); i++) {
        say_bytes(0, line, sizeof(line));
    }
    poll_all();
    assert_null(strstr(fake_line_text(), "lost"));
    size_t count = 0;

    for (const char *at = fake_line_text(); (at = strstr(at, "[web] xxx")); at++) {
        count++;
    }
    assert_int_equal(count, 10 * LINE_RING / sizeof(line));
}

/*
 * A slow line, full of the log, beside a VM that does not look: its UART is told to wait, a byte
 * too many is not asked for, and nobody waits. When the line has room all of it comes, in its
 * order, and the UART may go on, once.
 */
static void test_full(void **state)
{
    unsigned sent = 0, told = 0, lines = 0;
    char wanted[2048];

    fake_line_takes = 1;
    while (line_room() > 100 || lines < 500) { /* it does not wait either */
        log_info("line %u of the log, which has many of them", lines++);
    }
    while (vm_edge_has_room(0) && sent < sizeof(wanted) - 2) {
        wanted[sent] = (char)('a' + sent % 26);
        told += vm_edge_output(0, (uint8_t)wanted[sent++]) ? 0 : 1;
    }
    assert_in_range(sent, 512, sizeof(wanted) - 3);
    assert_in_range(told, 16, 64);
    assert_false(vm_edge_output(0, '!'));
    vm_edge_bring(0); /* in haste: not its turn */
    assert_false(vm_edge_has_room(0));
    assert_int_equal(fake_vms[0].ready, 0);
    wanted[sent++] = '!';
    wanted[sent] = '\0';
    console_select(0);
    poll_all();
    assert_int_equal(fake_vms[0].ready, 1);
    assert_non_null(strstr(fake_line_text(), wanted));
    assert_true(vm_edge_output(0, '\n'));
    for (unsigned i = 0; i < lines; i++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "line %u of the log, which has many of them\r\n", i);
        assert_non_null(strstr(fake_line_text(), text));
    }
    assert_null(strstr(fake_line_text(), "lost"));
}

/* What a VM said last stands before what is said of it, though nobody polls; a line's part, too. */
static void test_last_words(void **state)
{
    fake_line_takes = 1;
    for (unsigned i = 0; i < 900; i++) {
        (void)vm_edge_output(1, i % 30 == 29 ? '\n' : 'x');
    }
    (void)vm_edge_output(1, 'E');
    vm_edge_flush(1);
    log_info("stopped");
    expect_within("[db] E\r\n[   0.000000] stopped\r\n");
    say(1, "F\r\n"); /* of its next life, a line of its own */
    expect_within("[db] F\r\n");
}

static void test_dead_line(void **state)
{
    fake_line_stuck = true;
    for (unsigned i = 0; i < 3 * LINE_RING; i++) {
        (void)say_byte(0, i % 64 == 63 ? '\n' : 'x');
    }
    assert_true(fake_line_was_stalled);
    assert_int_equal(fake_line_length(), 0);
    log_info("not lost: it is in the log");
    fake_line_stuck = false;
    expect_within("[web] xxx");
    say(0, "again\r\n");
    expect_within("[web] again\r\n");
    type_keys("log 3\r");
    expect_within("not lost: it is in the log\r\n");
    type_keys("log 1\r");
    expect_within("bytes are lost; ");
}

static void test_no_line(void **state)
{
    fake_line_absent = true;
    fake_console_reset();
    for (unsigned i = 0; i < 3 * LINE_RING; i++) {
        (void)say_byte(0, i % 64 == 63 ? '\n' : 'x');
    }
    assert_false(console_poll(0));
    assert_int_equal(line_take_lost(), 0);
    assert_int_equal(fake_line_length(), 0);
}

static void test_no_vms(void **state)
{
    fake_console_reset();
    fake_vm_count = 0;
    console_init();
    type_keys("\x01n\x01"
              "1stats\rvm list\rvm start a\r");
    expect_within("[there is no VM 1; Ctrl-A l lists the 0 VMs]");
}

static volatile unsigned finished;

/* A CPU whose guest talks, and that logs. */
static void *talk(void *argument)
{
    unsigned vm = *(const unsigned *)argument;

    for (unsigned i = 0; i < LINES; i++) {
        say(vm, vm == 0 ? "aa\n" : "bb\n");
        log_info("cpu %u", vm);
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static unsigned count_text(const char *wanted)
{
    unsigned count = 0;

    for (const char *at = fake_line_text(); (at = strstr(at, wanted)); at++) {
        count++;
    }
    return count;
}

/* Two CPUs at once while a third polls: every line whole, none lost, none twice. */
static void test_cpus(void **state)
{
    static unsigned vms[] = {0, 1};
    pthread_t threads[2];

    finished = 0;
    others_poll = true;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &vms[i]), 0);
    }
    while (__atomic_load_n(&finished, __ATOMIC_SEQ_CST) < 2) {
        (void)console_poll(fake_now_ns);
        (void)sched_yield();
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    others_poll = false;
    poll_all();
    assert_int_equal(count_text("[web] aa\r\n"), LINES);
    assert_int_equal(count_text("[db] bb\r\n"), LINES);
    assert_int_equal(count_text("[   0.000000] cpu 0\r\n"), LINES);
    assert_int_equal(count_text("[   0.000000] cpu 1\r\n"), LINES);
    assert_int_equal(count_text("\n"), 4 * LINES);
}

/* Last: there is no way back. A panic is said at once, prompt and locks or not. */
static void test_emergency(void **state)
{
    type_keys("abc");
    say(0, "half");
    fake_line_clear();
    uint64_t flags = line_enter(0); /* the CPU that panics holds the lock */

    line_whole("", "before", 6);
    log_set_emergency();
    log_error("PANIC");
    assert_string_equal(fake_line_text(), ERASE "before\r\n[   0.000000] ERROR PANIC\r\n");
    assert_true(vm_edge_output(0, '\n'));
    assert_string_equal(fake_line_text() + fake_line_length() - 7, "PANIC\r\n");
    line_leave(flags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_prompt, setup),
        cmocka_unit_test_setup(test_background, setup),
        cmocka_unit_test_setup(test_harmless, setup),
        cmocka_unit_test_setup(test_long_lines, setup),
        cmocka_unit_test_setup(test_foreground, setup),
        cmocka_unit_test_setup(test_keys, setup),
        cmocka_unit_test_setup(test_input_waits, setup),
        cmocka_unit_test_setup(test_commands, setup),
        cmocka_unit_test_setup(test_actions, setup),
        cmocka_unit_test_setup(test_dumps, setup),
        cmocka_unit_test_setup(test_slow_line, setup),
        cmocka_unit_test_setup(test_full, setup),
        cmocka_unit_test_setup(test_last_words, setup),
        cmocka_unit_test_setup(test_dead_line, setup),
        cmocka_unit_test_setup(test_no_line, setup),
        cmocka_unit_test_setup(test_no_vms, setup),
        cmocka_unit_test_setup(test_cpus, setup),
        cmocka_unit_test_setup(test_emergency, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
