/* SPDX-License-Identifier: BSD-2-Clause */
/* Where VMs come in. */
#ifndef PORTOLAN_GUEST_AGENT_INCOMING_H
#define PORTOLAN_GUEST_AGENT_INCOMING_H

#include "vmm/base/types.h"

#include <poll.h>

#define INCOMING_CALLERS 8U /* with whom TLS is agreed on at the same time */
#define INCOMING_FDS     (INCOMING_CALLERS + 1)

/* Listen at [HOST]:PORT. False: said why. */
bool incoming_listen(const char *where);
void incoming_close(void);

/* tcp:[HOST]:PORT: listen there; file:PATH: start the VM in it. NULL, or why not. */
const char *incoming_begin(const char *uri);

/* What to poll, INCOMING_FDS entries, and until when at most: *DEADLINE, 0: always, gets nearer. */
void incoming_poll_fds(struct pollfd *fd, uint64_t *deadline);

/* What has come. */
void incoming_poll(const struct pollfd *fd);

#endif
