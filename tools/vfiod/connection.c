/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* accept4() */
#include "tools/vfiod/backing.h"
#include "tools/vfiod/vfiod.h"
#include "vmm/base/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGES_A_TURN 64U /* so that the function and signals have theirs, too */

/* Room for the handles of a message, aligned for its header. */
union control {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(VFIO_USER_HANDLES_MAX * sizeof(int))];
};

/* ---- Open and close ---- */

/* The socket is at PATH only when it listens: who waits for it to appear may connect. */
static bool listen_at(struct connection *c, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}, first = address;
    struct stat stat;
    bool taken = false;

    if (format(address.sun_path, sizeof(address.sun_path), "%s", path) < 0 ||
        format(first.sun_path, sizeof(first.sun_path), "%s.new", path) >=
            (int)sizeof(first.sun_path)) {
        vfiod_say("%s: a socket's path is too long", path);
        return false;
    }
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* What a daemon that was killed left there is replaced: a socket that nobody answers at. */
    if (c->listener >= 0 && lstat(path, &stat) == 0) {
        int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        taken = !S_ISSOCK(stat.st_mode) || probe < 0 ||
                connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0 ||
                errno != ECONNREFUSED;
        (void)close(probe);
    }
    if (taken) {
        vfiod_say("%s: somebody has it", path);
        return false;
    }
    (void)unlink(first.sun_path);
    if (c->listener < 0 || bind(c->listener, (struct sockaddr *)&first, sizeof(first)) != 0 ||
        listen(c->listener, 1) != 0 || rename(first.sun_path, path) != 0) {
        vfiod_say("%s: %s", path, strerror(errno));
        return false;
    }
    c->path = path;
    return true;
}

static bool take_fd(struct connection *c, int fd)
{
    int listens = 0, type = 0, flags = fcntl(fd, F_GETFL);
    socklen_t size = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        vfiod_say("--fd=%d is no stream socket", fd);
        return false;
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    *(listens ? &c->listener : &c->client) = fd;
    return true;
}

bool connection_open(struct connection *c, const struct options *options, uint32_t room)
{
    c->listener = c->client = -1;
    c->room = room;
    c->queue = malloc(room);
    if (c->queue == NULL) {
        vfiod_say("no memory");
        return false;
    }
    return options->socket_path != NULL ? listen_at(c, options->socket_path)
                                        : take_fd(c, options->fd);
}

static void drop_client(struct connection *c)
{
    if (c->broken != NULL) {
        vfiod_say("the client was dropped: %s", c->broken);
    }
    vdev_client_left();
    vfio_user_disconnected(c->server);
    (void)backing_was_lost(); /* it was the client's */
    (void)close(c->client);
    c->client = -1;
    c->used = c->handles = 0;
    c->broken = NULL;
    c->gone = false;
}

void connection_close(struct connection *c)
{
    if (c->client >= 0) {
        drop_client(c);
    }
    if (c->listener >= 0) {
        (void)close(c->listener);
    }
    if (c->path != NULL) {
        (void)unlink(c->path);
    }
    free(c->queue);
}

/* ---- Out ---- */

/* How many of the SIZE bytes were sent, with the handles; -1: none, and the client is broken. */
static ssize_t send_some(struct connection *c, const uint8_t *bytes, uint32_t size,
                         const int *handle, uint32_t count)
{
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union control control = {0};
    ssize_t sent;

    if (count != 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), handle, count * sizeof(int));
    }
    do {
        sent = sendmsg(c->client, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR && !vfiod_stopping);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        c->broken = strerror(errno);
        return -1;
    }
    return sent < 0 ? 0 : sent;
}

void connection_send(struct connection *c, const uint8_t *bytes, uint32_t size, const int *handle,
                     uint32_t count)
{
    ssize_t sent = 0;

    if (c->client < 0 || c->broken != NULL) {
        return;
    }
    if (c->used == 0) {
        sent = send_some(c, bytes, size, handle, count);
        if (sent < 0) {
            return;
        }
        if (sent == 0 && count != 0) {
            memcpy(c->handle, handle, count * sizeof(int));
            c->handles = count;
        }
    }
    if (size - (uint32_t)sent > c->room - c->used) {
        c->broken = "it does not read what it is sent";
        return;
    }
    memcpy(c->queue + c->used, bytes + sent, size - (uint32_t)sent);
    c->used += size - (uint32_t)sent;
}

static void send_queue(struct connection *c)
{
    ssize_t sent = send_some(c, c->queue, c->used, c->handle, c->handles);

    if (sent > 0) {
        c->handles = 0;
        c->used -= (uint32_t)sent;
        memmove(c->queue, c->queue + sent, c->used);
    }
}

/* ---- In ---- */

/* The handles that came with MESSAGE; returns how many. */
static uint32_t take_handles(struct connection *c, struct msghdr *message, int *handle)
{
    uint32_t count = 0;

    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
        size_t size = h->cmsg_len - CMSG_LEN(0);

        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
            memcpy(handle + count, CMSG_DATA(h), size);
            count += (uint32_t)(size / sizeof(int));
        }
    }
    if ((message->msg_flags & MSG_CTRUNC) != 0) {
        c->broken = "it sent more handles than there may be in a message";
    }
    return count;
}

/* Read once. False: there is nothing more now. */
static bool receive(struct connection *c)
{
    uint32_t room, count;
    uint8_t *at = vfio_user_space(c->server, &room);
    struct iovec part = {at, room};
    union control control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int handle[VFIO_USER_HANDLES_MAX];
    ssize_t size;

    if (at == NULL) {
        c->broken = "it broke the rules of the protocol";
        return false;
    }
    size = recvmsg(c->client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            c->broken = strerror(errno);
        }
        return false;
    }
    count = take_handles(c, &message, handle);
    vfio_user_received(c->server, (uint32_t)size, handle, count);
    c->gone = size == 0;
    return !c->gone && c->broken == NULL;
}

static void accept_client(struct connection *c)
{
    int client = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (client >= 0 && c->client >= 0) {
        vfiod_say("another client was sent away: there is one already");
        (void)close(client);
    } else if (client >= 0) {
        c->client = client;
    }
}

unsigned connection_poll_fds(const struct connection *c, struct pollfd *fd)
{
    unsigned count = 0;

    if (c->listener >= 0) {
        fd[count++] = (struct pollfd){.fd = c->listener, .events = POLLIN};
    }
    if (c->client >= 0) {
        fd[count++] = (struct pollfd){.fd = c->client, .events = c->used != 0 ? POLLOUT : POLLIN};
    }
    return count;
}

bool connection_poll(struct connection *c, const struct pollfd *fd, unsigned count)
{
    bool ready = false, ends = false, knocks = false;

    for (unsigned i = 0; i < count; i++) {
        knocks |= fd[i].fd == c->listener && fd[i].revents != 0;
        ready |= fd[i].fd == c->client && fd[i].revents != 0;
        ends |= fd[i].fd == c->client && (fd[i].revents & POLLHUP) != 0;
    }
    /* Who comes after a client that has closed waits until that one's last messages are done. The
     * listener was looked at first, so that its closing is seen. */
    if (knocks && !ends) {
        accept_client(c);
    }
    if (c->client >= 0 && ready && c->used != 0) {
        send_queue(c);
    }
    /* Two reads a message; none while an answer waits to be sent. */
    for (unsigned i = 0; ready && i < 2 * MESSAGES_A_TURN && c->used == 0 && c->broken == NULL;
         i++) {
        ready = receive(c);
    }
    if (c->client >= 0 && backing_was_lost()) {
        c->broken = "it took away memory that it had mapped";
    }
    if (c->client >= 0 && (c->gone || c->broken != NULL)) {
        drop_client(c);
        return c->listener >= 0;
    }
    return true;
}
