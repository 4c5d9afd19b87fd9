/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QMP, QEMU's protocol for operators' tools (docs/interop/qmp-spec.rst of QEMU): a greeting,
 * commands and answers, events, as JSON. What is not QEMU's has names that begin with x-portolan-,
 * or is the argument 'vm', which a command needs only if the machine has more than one VM besides
 * the service VM.
 */
#ifndef PORTOLAN_GUEST_AGENT_QMP_H
#define PORTOLAN_GUEST_AGENT_QMP_H

#include "guest/agent/vm_table.h"

#include <jansson.h>
#include <poll.h>

#define QMP_CLIENTS    8U
#define QMP_LISTENERS  2U
#define QMP_INPUT_MAX  (64U << 10) /* of a command */
#define QMP_OUTPUT_MAX (256U << 10)

struct qmp_scan {
    uint32_t next, depth;
    bool in_text, escaped;
};

struct qmp_client {
    int fd;          /* -1: nobody */
    bool greeted;    /* capabilities are negotiated: commands and events */
    bool waits;      /* a command waits for the portal; no other is looked at */
    bool skips;      /* a command was too long: up to the next line all is dropped */
    uint32_t serial; /* of the client: an answer for one that has gone is nobody's */
    json_t *id;      /* of the command that waits */
    uint32_t have;   /* of input */
    struct qmp_scan scan;
    char input[QMP_INPUT_MAX];
    char *output;
    uint32_t out_have, out_sent;
};

/* Listen at a Unix socket, or at [HOST]:PORT. False: said why. */
bool qmp_listen_unix(const char *path);
bool qmp_listen_tcp(const char *where);
void qmp_close(void);

/* What to poll, at most QMP_CLIENTS + QMP_LISTENERS entries; and what has come. */
unsigned qmp_poll_fds(struct pollfd *fd);
void qmp_poll(const struct pollfd *fd, unsigned count);

/* An answer of the portal for a command. */
void qmp_answered(uint32_t tag, const char *answer);

/* ---- Events, to all clients ---- */

void qmp_event_migration(const char *vm, const char *status);

/* STOP or RESUME of VM, if that is news. A move says so itself: in between the state is 'moving'.
 */
void qmp_event_run(struct vm_entry *vm, bool runs);
void qmp_event_state(struct vm_entry *vm, enum vm_state before);
void qmp_event_button(struct vm_entry *vm, bool reset); /* or powerdown */
void qmp_event_vm(const char *event, const struct vm_entry *vm, json_t *data);

/* ---- Shared by the parts ---- */

/* What a command answers. */
struct qmp_answer {
    json_t *value;     /* NULL: an empty object */
    const char *error; /* its class, if it is one */
    char text[AGENT_TEXT_MAX * 2];
    bool waits; /* the portal was asked; the answer follows */
};

/* Carry out the command in INPUT, an object. ID gets its id or NULL, a new reference. */
void qmp_execute(const json_t *input, bool greeted, uint32_t tag, bool *negotiated,
                 struct qmp_answer *answer);

void qmp_fail(struct qmp_answer *answer, const char *error, const char *text, ...)
    __attribute__((format(printf, 3, 4)));

/* {"major": ..., "minor": ..., "micro": ...} and the package's name. */
json_t *qmp_version(void);

/* Of query-migrate. */
json_t *qmp_query_migrate(void);

/* An event's object, without its data. */
json_t *qmp_make_event(const char *name);

/*
 * How far a command is read that comes in pieces. NEXT byte of TEXT, which has HAVE: returns the
 * length of the command that is whole, or of what no command begins with, or 0. *BROKEN: it ends
 * with a byte that no JSON has, by which a client can begin anew.
 */
uint32_t qmp_scan(struct qmp_scan *s, const char *text, uint32_t have, bool *broken);

#endif
