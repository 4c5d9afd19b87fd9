/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a host is: names are looked up without keeping the loop from its work. */
#ifndef PORTOLAN_GUEST_AGENT_WIRE_RESOLVE_H
#define PORTOLAN_GUEST_AGENT_WIRE_RESOLVE_H

#include "guest/agent/wire.h"

#include <sys/socket.h>

#define WIRE_ADDRESSES 8U /* that are tried of a host */

struct wire_address {
    struct sockaddr_storage bytes;
    socklen_t size;
};

struct wire_addresses {
    int error; /* of getaddrinfo() */
    unsigned count;
    struct wire_address address[WIRE_ADDRESSES];
};

/* From the task: the addresses of HOST and PORT, within WIRE_GREETING. False: W->why says why. */
bool wire_resolve(struct wire *w, const char *host, const char *port, struct wire_addresses *all);

#endif
