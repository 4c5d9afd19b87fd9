/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial line when it is slow, full, dead, absent or has several writers. */
#include "tests/unit/console/operator.h"
#include "tests/unit/fakes/console.h"
#include "vmm/base/log.h"
#include "vmm/console/console.h"
#include "vmm/console/line.h"
#include "vmm/vm/vm_edge.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LINES 1500U /* of each CPU, in test_cpus() */
#define ERASE "\r\x1b[K"

static void test_slow_line(void **state)
{
    char line[200];

    fake_line_takes = 1;
    memset(line, 'x', sizeof(line));
    line[198] = '\r';
    line[199] = '\n';
    /* Ten rings of it: the writer waits, nothing is lost. */
    for (unsigned i = 0; i < 10 * LINE_RING / sizeof(line); i++) {
        guest_say_bytes(0, line, sizeof(line));
    }
    operator_poll();
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
    operator_poll();
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
    guest_say(1, "F\r\n"); /* of its next life, a line of its own */
    expect_within("[db] F\r\n");
}

static void test_dead_line(void **state)
{
    fake_line_stuck = true;
    for (unsigned i = 0; i < 3 * LINE_RING; i++) {
        (void)guest_say_byte(0, i % 64 == 63 ? '\n' : 'x');
    }
    assert_true(fake_line_was_stalled);
    assert_int_equal(fake_line_length(), 0);
    log_info("not lost: it is in the log");
    fake_line_stuck = false;
    expect_within("[web] xxx");
    guest_say(0, "again\r\n");
    expect_within("[web] again\r\n");
    operator_type("log 3\r");
    expect_within("not lost: it is in the log\r\n");
    operator_type("log 1\r");
    expect_within("bytes are lost; ");
}

static void test_no_line(void **state)
{
    fake_line_absent = true;
    fake_console_reset();
    for (unsigned i = 0; i < 3 * LINE_RING; i++) {
        (void)guest_say_byte(0, i % 64 == 63 ? '\n' : 'x');
    }
    assert_false(console_poll(0));
    assert_int_equal(line_take_lost(), 0);
    assert_int_equal(fake_line_length(), 0);
}

static volatile unsigned finished;

/* A CPU whose guest talks, and that logs. */
static void *talk(void *argument)
{
    unsigned vm = *(const unsigned *)argument;

    for (unsigned i = 0; i < LINES; i++) {
        guest_say(vm, vm == 0 ? "aa\n" : "bb\n");
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
    operator_others_poll = true;
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
    operator_others_poll = false;
    operator_poll();
    assert_int_equal(count_text("[web] aa\r\n"), LINES);
    assert_int_equal(count_text("[db] bb\r\n"), LINES);
    assert_int_equal(count_text("[   0.000000] cpu 0\r\n"), LINES);
    assert_int_equal(count_text("[   0.000000] cpu 1\r\n"), LINES);
    assert_int_equal(count_text("\n"), 4 * LINES);
}

/* Last: there is no way back. A panic is said at once, prompt and locks or not. */
static void test_emergency(void **state)
{
    operator_type("abc");
    guest_say(0, "half");
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
        cmocka_unit_test_setup(test_slow_line, operator_setup),
        cmocka_unit_test_setup(test_full, operator_setup),
        cmocka_unit_test_setup(test_last_words, operator_setup),
        cmocka_unit_test_setup(test_dead_line, operator_setup),
        cmocka_unit_test_setup(test_no_line, operator_setup),
        cmocka_unit_test_setup(test_cpus, operator_setup),
        cmocka_unit_test_setup(test_emergency, operator_setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
