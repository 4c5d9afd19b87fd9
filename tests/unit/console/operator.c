/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of the console share: an operator who types, guests that speak, and what the line
 * shows. */
#include "tests/unit/console/operator.h"

#include "tests/unit/fakes/console.h"
#include "vmm/console/console.h"
#include "vmm/vm/vm_edge.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define QUIET_NS 1100000000ULL

void operator_poll(void)
{
    while (console_poll(fake_now_ns)) {
    }
    (void)console_poll(fake_now_ns);
    while (console_poll(fake_now_ns)) {
    }
}

void operator_type(const char *keys)
{
    fake_type(keys, strlen(keys));
    operator_poll();
}

bool operator_others_poll;

/* As a vCPU does: it comes back until there is room. */
bool guest_say_byte(unsigned vm, char byte)
{
    while (!vm_edge_has_room(vm)) {
        if (operator_others_poll) {
            (void)sched_yield();
        } else {
            (void)console_poll(fake_now_ns);
        }
    }
    bool more = vm_edge_output(vm, (uint8_t)byte);

    vm_edge_bring(vm);
    return more;
}

void guest_say_bytes(unsigned vm, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        (void)guest_say_byte(vm, text[i]);
    }
}

void guest_say(unsigned vm, const char *text)
{
    guest_say_bytes(vm, text, strlen(text));
}

void operator_wait(void)
{
    for (unsigned i = 0; i < 2; i++) {
        fake_now_ns += QUIET_NS;
        operator_poll();
    }
}

/* What came since the last call is exactly WANTED. */
void expect_line(const char *wanted)
{
    operator_poll();
    assert_string_equal(fake_line_text(), wanted);
    fake_line_clear();
}

void expect_within(const char *wanted)
{
    operator_poll();
    if (!strstr(fake_line_text(), wanted)) {
        print_error("not found: %s\nin: %s\n", wanted, fake_line_text());
        fail();
    }
    fake_line_clear();
}

int operator_setup(void **state)
{
    fake_line_absent = false;
    fake_console_reset();
    operator_poll();
    fake_line_clear();
    return 0;
}
