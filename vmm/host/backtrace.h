/* SPDX-License-Identifier: BSD-2-Clause */
/* Who called whom, by the chain of frame pointers; never reads outside the VMM's stacks. */
#ifndef PORTOLAN_VMM_HOST_BACKTRACE_H
#define PORTOLAN_VMM_HOST_BACKTRACE_H

#include <stdbool.h>
#include <stdint.h>

#define BACKTRACE_DEPTH_MAX 24U

/* Log RIP and the return addresses from frame pointer RBP on, each with its function. Any state. */
void backtrace_print(uint64_t rip, uint64_t rbp);

/* May a frame pointer have this value: aligned, and two words above it in the mapped part of a
 * stack? Pure. */
bool backtrace_frame_ok(uint64_t rbp);

#endif
