/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Another thread polls the console: who waits for room does not. */
extern bool operator_others_poll;

/* A test's beginning: no text, nothing typed, the VMs of tests/unit/fakes/console.h. */
int operator_setup(void **state);

/* Look after the console until it has nothing to do. */
void operator_poll(void);

void operator_type(const char *keys);

/* So long that pieces of lines are shown. */
void operator_wait(void);

/* VM speaks as its vCPU does: it comes back until there is room. True: it may go on. */
bool guest_say_byte(unsigned vm, char byte);
void guest_say_bytes(unsigned vm, const char *text, size_t length);
void guest_say(unsigned vm, const char *text);

/* What the line has shown since the last call is exactly WANTED; has WANTED in it. */
void expect_line(const char *wanted);
void expect_within(const char *wanted);
