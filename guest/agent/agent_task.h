/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The move under way, as a coroutine: its steps stand one below the other in the source, and where
 * one has to wait the loop goes on with everything else. There is one at a time, with a stack of
 * its own; it never runs beside the loop.
 */
#ifndef PORTOLAN_GUEST_AGENT_AGENT_TASK_H
#define PORTOLAN_GUEST_AGENT_AGENT_TASK_H

#include "vmm/base/types.h"

/* Begin BODY(ARGUMENT), which runs until it waits first. False: there is one already, or no memory.
 */
bool task_start(void (*body)(void *argument), void *argument);

bool task_is_active(void);

/*
 * From within: let the loop go on until FD (-1: none) has one of EVENTS, something came through the
 * portal, DEADLINE (agent_now(); 0: none) has passed, or task_cancel() was called. It may return
 * for no reason, too: the caller looks itself. False: the task is cancelled; it is to end.
 */
bool task_wait(int fd, short events, uint64_t deadline);

/* As that, for what is to be done although it is cancelled. */
void task_wait_always(int fd, short events, uint64_t deadline);

/* From the loop: what it waits for; and run it on. */
int task_fd(short *events, uint64_t *deadline);
void task_resume(void);

/* All its waits end from now on; or, for what has to be said at the end, they do not any more. */
void task_cancel(void);
void task_uncancel(void);
bool task_is_cancelled(void);

#endif
