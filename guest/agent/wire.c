/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* accept4(), and TCP's options */
#include "guest/agent/wire.h"

#include "guest/agent/agent_task.h"
#include "guest/agent/wire_resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STALL   (300000 * AGENT_MS) /* a peer that takes nothing for so long is given up */
#define BURST   (20 * AGENT_MS)     /* what a limit lets pass at once */
#define BACKLOG 64                  /* that have connected, and were not looked at yet */
#define RECENT  (16UL << 20)        /* bytes that the pace is taken from */

/* A peer that is gone without a word is noticed: seconds, and ms for what is not acknowledged. */
#define IDLE       10
#define INTERVAL   5
#define PROBES     4
#define UNANSWERED 30000

void wire_init(struct wire *w)
{
    *w = (struct wire){.fd = -1};
}

static bool fail(struct wire *w, const char *what)
{
    if (w->why[0] == '\0') {
        (void)snprintf(w->why, sizeof(w->why), "%s: %s", what, strerror(errno));
    }
    return false;
}

/* Wait for EVENTS. False: cancelled, or DEADLINE has passed. */
static bool wait_for(struct wire *w, short events, uint64_t deadline)
{
    if (deadline != 0 && agent_now() >= deadline) {
        errno = ETIMEDOUT;
        return fail(w, "the connection");
    }
    if (!task_wait(w->fd, events, deadline)) {
        errno = ECANCELED;
        return fail(w, "the connection");
    }
    return true;
}

static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET,  SO_KEEPALIVE,     1         },
        {IPPROTO_TCP, TCP_NODELAY,      1         },
        {IPPROTO_TCP, TCP_KEEPIDLE,     IDLE      },
        {IPPROTO_TCP, TCP_KEEPINTVL,    INTERVAL  },
        {IPPROTO_TCP, TCP_KEEPCNT,      PROBES    },
        {IPPROTO_TCP, TCP_USER_TIMEOUT, UNANSWERED},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
    }
}

/* ---- Open ---- */

static bool connect_to(struct wire *w, const struct wire_address *address)
{
    struct pollfd state;
    int error = 0;
    socklen_t size = sizeof(error);
    uint64_t deadline = agent_now() + WIRE_GREETING;

    w->why[0] = '\0';
    w->fd = socket(address->bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->fd < 0) {
        return fail(w, "socket");
    }
    if (connect(w->fd, (const struct sockaddr *)&address->bytes, address->size) != 0 &&
        errno != EINPROGRESS) {
        return fail(w, "connect");
    }
    do {
        if (!wait_for(w, POLLOUT, deadline)) {
            return false;
        }
        state = (struct pollfd){.fd = w->fd, .events = POLLOUT};
    } while (poll(&state, 1, 0) <= 0);
    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        errno = error != 0 ? error : errno;
        return fail(w, "connect");
    }
    set_options(w->fd);
    return true;
}

static bool shake_hands(struct wire *w)
{
    uint64_t deadline = agent_now() + WIRE_GREETING;
    short events = 0;
    enum tls_step step;

    while ((step = tls_shake(w, &events)) == TLS_WAITS) {
        if (!wait_for(w, events, deadline)) {
            return false;
        }
    }
    return step == TLS_READY;
}

bool wire_connect(struct wire *w, const char *host, const char *port)
{
    struct wire_addresses all;
    bool connected = false;

    if (!wire_resolve(w, host, port, &all)) {
        return false;
    }
    for (unsigned i = 0; i < all.count && !connected; i++) {
        connected = connect_to(w, &all.address[i]);
        if (!connected && w->fd >= 0) {
            (void)close(w->fd);
            w->fd = -1;
        }
    }
    return connected && tls_start(w, false, host) && shake_hands(w);
}

bool wire_accept(struct wire *w, int fd)
{
    wire_init(w);
    w->fd = fd;
    set_options(fd);
    return tls_start(w, true, NULL);
}

bool wire_open_file(struct wire *w, const char *path, bool writing)
{
    int flags = writing ? O_WRONLY | O_CREAT | O_EXCL : O_RDONLY;

    w->is_file = true;
    w->fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600); /* it may be a pipe */
    if (w->fd < 0) {
        (void)snprintf(w->why, sizeof(w->why), "%s: %s", strerror(errno), path);
    }
    return w->fd >= 0;
}

int wire_listen(const char *where)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    const int on = 1;
    struct addrinfo *all = NULL;
    char host[256];
    const char *port;
    int fd = -1;

    if (!agent_split_host(where, host, sizeof(host), &port) || port == NULL) {
        agent_say("'%s' is no [HOST]:PORT", where);
        return -1;
    }
    int error = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &all);

    if (error != 0) {
        agent_say("%s: %s", where, gai_strerror(error));
        return -1;
    }
    fd = socket(all->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, all->ai_addr, all->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        agent_say("%s: %s", where, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        fd = -1;
    }
    freeaddrinfo(all);
    return fd;
}

/* ---- Bytes ---- */

/* By the limit, SIZE bytes more may go. */
static bool wait_turn(struct wire *w, size_t size)
{
    uint64_t now = agent_now();

    if (w->limit == 0) {
        return true;
    }
    w->free_at = w->free_at + BURST < now ? now - BURST : w->free_at;
    w->free_at += (uint64_t)size * 1000000000U / w->limit;
    while (agent_now() < w->free_at) {
        if (!task_wait(-1, 0, w->free_at)) {
            errno = ECANCELED;
            return fail(w, "the connection");
        }
    }
    return true;
}

static void note_pace(struct wire *w, size_t size, uint64_t ns)
{
    w->busy_bytes += size;
    w->busy_ns += ns;
    if (w->busy_bytes > RECENT) {
        w->busy_bytes /= 2;
        w->busy_ns /= 2;
    }
}

uint64_t wire_pace(const struct wire *w)
{
    return w->busy_bytes < 1024 ? 0 : w->busy_ns / (w->busy_bytes / 1024);
}

bool wire_write(struct wire *w, const uint8_t *bytes, size_t size)
{
    uint64_t begun;

    if (!wait_turn(w, size)) {
        return false;
    }
    begun = agent_now();
    for (size_t done = 0; done < size;) {
        short events = POLLOUT;
        ssize_t now = w->tls != NULL ? tls_write(w, bytes + done, size - done, &events)
                                     : write(w->fd, bytes + done, size - done);

        if (now >= 0) {
            done += (size_t)now;
            w->sent += (uint64_t)now;
        } else if (errno == EAGAIN ? !wait_for(w, events, begun + STALL) : errno != EINTR) {
            w->broken = done != 0 || w->tls != NULL || errno != ECANCELED;
            return fail(w, w->is_file ? "the file" : "the connection");
        }
    }
    note_pace(w, size, agent_now() - begun);
    return true;
}

bool wire_read(struct wire *w, uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        short events = POLLIN;

        if (w->deadline != 0 && agent_now() >= w->deadline) { /* also if there is always more */
            (void)snprintf(w->why, sizeof(w->why), "%s is given up: what had to come took too long",
                           w->is_file ? "the file" : "the peer");
            return false;
        }
        ssize_t now = w->tls != NULL ? tls_read(w, bytes + done, size - done, &events)
                                     : read(w->fd, bytes + done, size - done);

        if (now > 0) {
            done += (size_t)now;
            w->received += (uint64_t)now;
        } else if (now == 0) {
            (void)snprintf(w->why, sizeof(w->why), "%s",
                           w->is_file ? "the file ends too early" : "the connection was closed");
            return false;
        } else if (errno == EAGAIN ? !wait_for(w, events, w->deadline) : errno != EINTR) {
            return fail(w, w->is_file ? "the file" : "the connection");
        }
    }
    return true;
}

bool wire_has_input(const struct wire *w)
{
    struct pollfd state = {.fd = w->fd, .events = POLLIN};

    return !w->is_file && (tls_has_input(w) || poll(&state, 1, 0) > 0);
}

bool wire_flush_file(struct wire *w)
{
    return fsync(w->fd) == 0 || fail(w, "the file");
}

void wire_leave(struct wire *w)
{
    tls_close(w);
    (void)shutdown(w->fd, SHUT_WR);
}

bool wire_has_left(const struct wire *w)
{
    static uint8_t rest[64 << 10];
    ssize_t now = read(w->fd, rest, sizeof(rest));

    return now == 0 || (now < 0 && errno != EAGAIN && errno != EINTR);
}

void wire_close(struct wire *w, bool last_word)
{
    uint64_t deadline = agent_now() + WIRE_LAST_WORD;

    if (w->fd < 0) {
        return;
    }
    tls_close(w);
    if (last_word && !w->is_file) {
        wire_leave(w);
        while (!wire_has_left(w) && agent_now() < deadline) {
            task_wait_always(w->fd, POLLIN, deadline);
        }
    }
    (void)close(w->fd);
    w->fd = -1;
}
