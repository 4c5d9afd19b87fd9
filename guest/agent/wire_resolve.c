/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* pipe2(), close_range() */
#include "guest/agent/wire_resolve.h"

#include "guest/agent/agent_task.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void look_up(const char *host, const char *port, int flags, struct wire_addresses *all)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found = NULL;

    memset(all, 0, sizeof(*all));
    all->error = getaddrinfo(host, port, &hints, &found);
    if (all->error != 0) {
        return;
    }
    for (const struct addrinfo *a = found; a != NULL && all->count < WIRE_ADDRESSES;
         a = a->ai_next) {
        struct wire_address *to = &all->address[all->count++];

        memcpy(&to->bytes, a->ai_addr, a->ai_addrlen);
        to->size = a->ai_addrlen;
    }
    freeaddrinfo(found);
}

/* The process that asks: it has nothing of ours but the pipe, and what it learns fits into it. */
static _Noreturn void be_child(int out, const char *host, const char *port)
{
    struct wire_addresses all;

    if (dup2(out, STDIN_FILENO) < 0 || close_range(STDERR_FILENO + 1, UINT_MAX, 0) != 0) {
        _exit(1);
    }
    look_up(host, port, 0, &all);
    _exit(write(STDIN_FILENO, &all, sizeof(all)) == (ssize_t)sizeof(all) ? 0 : 1);
}

/* What the child writes to IN. False: nothing, in time. */
static bool wait_child(struct wire *w, int in, const char *host, struct wire_addresses *all)
{
    uint64_t deadline = agent_now() + WIRE_GREETING;
    ssize_t got;

    while ((got = read(in, all, sizeof(*all))) < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (agent_now() >= deadline || !task_wait(in, POLLIN, deadline)) {
            (void)snprintf(w->why, sizeof(w->why), "%.100s: %s", host,
                           task_is_cancelled() ? "cancelled" : "nobody says in time where it is");
            return false;
        }
    }
    if (got != (ssize_t)sizeof(*all)) {
        (void)snprintf(w->why, sizeof(w->why), "%.100s: it could not be looked up", host);
    }
    return got == (ssize_t)sizeof(*all);
}

static bool ask_child(struct wire *w, const char *host, const char *port,
                      struct wire_addresses *all)
{
    int ends[2];
    bool told;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        (void)snprintf(w->why, sizeof(w->why), "pipe: %s", strerror(errno));
        return false;
    }
    pid_t child = fork();

    if (child == 0) {
        be_child(ends[1], host, port);
    }
    (void)close(ends[1]);
    told = child > 0 && wait_child(w, ends[0], host, all);
    (void)close(ends[0]);
    if (child < 0) {
        (void)snprintf(w->why, sizeof(w->why), "fork: %s", strerror(errno));
        return false;
    }
    (void)kill(child, SIGKILL); /* it has nothing to do any more */
    (void)waitpid(child, NULL, 0);
    return told;
}

bool wire_resolve(struct wire *w, const char *host, const char *port, struct wire_addresses *all)
{
    /* What is a number needs nobody. */
    look_up(host, port, AI_NUMERICHOST, all);
    if (all->error == EAI_NONAME && !ask_child(w, host, port, all)) {
        return false;
    }
    if (all->error != 0) {
        (void)snprintf(w->why, sizeof(w->why), "%.100s: %s", host, gai_strerror(all->error));
    }
    return all->error == 0;
}
