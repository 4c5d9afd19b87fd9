/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/agent/agent_task.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK (512UL << 10)

static struct {
    ucontext_t loop, task;
    uint8_t *stack; /* with a page below it that nobody may touch */
    void (*body)(void *argument);
    void *argument;
    bool active, cancelled;
    int fd;
    short events;
    uint64_t deadline;
} task;

static void run(void)
{
    task.body(task.argument);
    task.active = false;
    /* The end of this function goes back to 'loop': uc_link. */
}

bool task_start(void (*body)(void *argument), void *argument)
{
    if (task.active) {
        return false;
    }
    if (task.stack == NULL) {
        void *memory = mmap(NULL, STACK + PAGE_SIZE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

        if (memory == MAP_FAILED || mprotect(memory, PAGE_SIZE, PROT_NONE) != 0) {
            return false;
        }
        task.stack = memory;
    }
    if (getcontext(&task.task) != 0) {
        return false;
    }
    task.task.uc_stack.ss_sp = task.stack + PAGE_SIZE;
    task.task.uc_stack.ss_size = STACK;
    task.task.uc_link = &task.loop;
    task.body = body;
    task.argument = argument;
    task.active = true;
    task.cancelled = false;
    makecontext(&task.task, run, 0);
    task_resume();
    return true;
}

bool task_is_active(void)
{
    return task.active;
}

void task_wait_always(int fd, short events, uint64_t deadline)
{
    task.fd = fd;
    task.events = events;
    task.deadline = deadline;
    (void)swapcontext(&task.task, &task.loop);
}

bool task_wait(int fd, short events, uint64_t deadline)
{
    if (!task.cancelled) {
        task_wait_always(fd, events, deadline);
    }
    return !task.cancelled;
}

int task_fd(short *events, uint64_t *deadline)
{
    *events = task.events;
    *deadline = task.deadline;
    return task.fd;
}

void task_resume(void)
{
    task.fd = -1;
    task.deadline = 0;
    (void)swapcontext(&task.loop, &task.task);
}

void task_cancel(void)
{
    task.cancelled = true;
}

void task_uncancel(void)
{
    task.cancelled = false;
}

bool task_is_cancelled(void)
{
    return task.cancelled;
}
