/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who connects is nobody until TLS says otherwise. Until then he is not in the way of a move, and
 * changes nothing that operators see.
 */
#define _GNU_SOURCE /* accept4() */
#include "guest/agent/incoming.h"

#include "guest/agent/move.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUIET (1000 * AGENT_MS) /* strangers have a line of the log in this time */

struct caller {
    struct wire wire;
    short events; /* of its socket, that it waits for */
    bool leaves;  /* it has been told why */
    uint64_t deadline;
};

static int listener = -1;
static struct caller callers[INCOMING_CALLERS];
static bool begun;

bool incoming_listen(const char *where)
{
    for (unsigned i = 0; i < INCOMING_CALLERS && !begun; i++) {
        wire_init(&callers[i].wire);
    }
    begun = true;
    listener = wire_listen(where);
    return listener >= 0;
}

void incoming_close(void)
{
    for (unsigned i = 0; begun && i < INCOMING_CALLERS; i++) {
        wire_close(&callers[i].wire, false);
    }
    if (listener >= 0) {
        (void)close(listener);
        listener = -1;
    }
}

const char *incoming_begin(const char *uri)
{
    if (strncmp(uri, "file:", 5) == 0) {
        return move_begin_file(uri + 5);
    }
    if (strncmp(uri, "tcp:", 4) != 0) {
        return "the uri has to be tcp:[HOST]:PORT or file:PATH";
    }
    if (listener >= 0) {
        return "The incoming migration has already been started";
    }
    if (!tls_is_decided()) {
        return "the agent was started without keys for TLS, and without --insecure";
    }
    return incoming_listen(uri + 4) ? NULL : "it cannot listen there: the agent's log says why";
}

static void say(const char *why)
{
    static uint64_t said;
    uint64_t now = agent_now();

    if (said == 0 || now - said >= QUIET) {
        said = now;
        agent_say("a connection was closed: %s", why);
    }
}

static void turn_away(struct caller *c, const char *why)
{
    say(why);
    wire_leave(&c->wire);
    c->leaves = true;
    c->events = POLLIN;
    c->deadline = agent_now() + WIRE_LAST_WORD;
}

/* Go on with TLS; who can be trusted begins a move. */
static void greet(struct caller *c)
{
    struct wire wire;

    switch (tls_shake(&c->wire, &c->events)) {
    case TLS_WAITS:
        return;
    case TLS_FAILED:
        turn_away(c, c->wire.why);
        return;
    case TLS_READY:
        wire = c->wire;
        wire_init(&c->wire);
        move_begin_target(&wire);
        return;
    }
}

/* A place for one more: a free one, or that of who has been there for longest. */
static struct caller *make_place(void)
{
    struct caller *oldest = callers;

    for (struct caller *c = callers; c < callers + INCOMING_CALLERS; c++) {
        if (c->wire.fd < 0) {
            return c;
        }
        oldest = c->deadline < oldest->deadline ? c : oldest;
    }
    say("there are too many at once");
    wire_close(&oldest->wire, false);
    return oldest;
}

static void accept_one(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct caller *c;

    if (fd < 0) {
        return;
    }
    c = make_place();
    c->leaves = false;
    c->deadline = agent_now() + WIRE_GREETING;
    if (wire_accept(&c->wire, fd)) {
        greet(c);
    } else {
        turn_away(c, c->wire.why);
    }
}

/* ---- The loop's ---- */

void incoming_poll_fds(struct pollfd *fd, uint64_t *deadline)
{
    fd[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (unsigned i = 0; i < INCOMING_CALLERS; i++) {
        const struct caller *c = &callers[i];

        fd[i + 1] = (struct pollfd){.fd = begun ? c->wire.fd : -1, .events = c->events};
        if (begun && c->wire.fd >= 0 && (*deadline == 0 || c->deadline < *deadline)) {
            *deadline = c->deadline;
        }
    }
}

static void poll_one(struct caller *c, short events)
{
    bool late = agent_now() >= c->deadline;

    if (c->leaves ? late || (events != 0 && wire_has_left(&c->wire)) : late) {
        if (!c->leaves) {
            say("TLS was not agreed on in time");
        }
        wire_close(&c->wire, false);
    } else if (!c->leaves && events != 0) {
        greet(c);
    }
}

void incoming_poll(const struct pollfd *fd)
{
    for (unsigned i = 0; begun && i < INCOMING_CALLERS; i++) {
        struct caller *c = &callers[i];

        if (c->wire.fd >= 0) {
            poll_one(c, fd[i + 1].revents);
        }
    }
    if (fd[0].revents != 0) {
        accept_one();
    }
}
