/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of the VMM by a fault of its own. Never for what a guest, a device or the firmware does.
 */
#ifndef PORTOLAN_VMM_HOST_PANIC_H
#define PORTOLAN_VMM_HOST_PANIC_H

#include "vmm/host/trap.h"

#include <stdbool.h>

/* What to do when the dump is out: RESET the machine, which may fail. NULL, the default: halt. */
void panic_set_reset(void (*reset)(void));

/* Stop the other CPUs, print the message, where we are and how we came here, and end. Any state. */
void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The same for an exception in the VMM: all registers, and the cause in words. */
void panic_exception(const struct trap_frame *frame) __attribute__((noreturn));

/* Does a panic on another CPU want this one to stop? For the NMI handler. */
bool panic_stop_requested(void);

#endif
