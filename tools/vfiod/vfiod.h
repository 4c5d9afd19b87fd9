/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of portolan-vfiod share: its options, its connection, its sandbox. */
#ifndef PORTOLAN_TOOLS_VFIOD_VFIOD_H
#define PORTOLAN_TOOLS_VFIOD_VFIOD_H

#include "tools/vfiod/device.h"

#include <signal.h>

enum sandbox { SANDBOX_KILL, SANDBOX_LOG, SANDBOX_NONE };

struct options {
    const char *socket_path; /* or NULL, and FD */
    int fd;
    const char *function; /* what vdev_open() is given */
    bool vf;
    enum vfio_user_form form;
    enum sandbox sandbox;
    bool print_capabilities;
};

/* Read the command line. False: the process is to end with *CODE; all has been said. */
bool options_read(int argc, char **argv, struct options *options, int *code);

/* From here on only what SANDBOX allows. False: it cannot be had; a message says why. */
bool sandbox_enter(enum sandbox sandbox);

/* Before that: what vfio_user_edge_parse() needs. */
void capabilities_init(void);

/* ---- The connection: one client ---- */

struct connection {
    int listener; /* or -1: what was given is the client itself */
    int client;   /* or -1 */
    const char *path;
    struct vfio_user *server;

    /* What is still to be sent, ROOM bytes at most, and the handles that go before it. */
    uint8_t *queue;
    uint32_t room, used;
    int handle[VFIO_USER_HANDLES_MAX];
    uint32_t handles;

    bool gone;          /* of its own */
    const char *broken; /* why it is to be closed */
};

/* Listen, or take what --fd gave. ROOM: of the queue. False: a message says why. */
bool connection_open(struct connection *c, const struct options *options, uint32_t room);
void connection_close(struct connection *c);

/* What to poll, at most two entries. */
unsigned connection_poll_fds(const struct connection *c, struct pollfd *fd);

/* Read, carry out, answer and send, as far as it goes without waiting. False: the client has gone,
 * and no other may come. */
bool connection_poll(struct connection *c, const struct pollfd *fd, unsigned count);

/* As vfio_user_edge_send(). */
void connection_send(struct connection *c, const uint8_t *bytes, uint32_t size, const int *handle,
                     uint32_t count);

extern struct connection connection;
extern struct vfio_user_device vfio_user;

/* Somebody wants the process to end. */
extern volatile sig_atomic_t vfiod_stopping;

#endif
