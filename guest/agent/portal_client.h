/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service VM's end of the portal: frames in both rings, requests on the control channel and
 * their answers, and the bytes of the vfio-user channels.
 *
 * The VMM is trusted not to lie, but what comes is checked all the same: the agent must not fall
 * over a portal that it does not understand.
 */
#ifndef PORTOLAN_GUEST_AGENT_PORTAL_CLIENT_H
#define PORTOLAN_GUEST_AGENT_PORTAL_CLIENT_H

#include "guest/agent/portal_bus.h"

#define PORTAL_LINE_MAX     1000U
#define PORTAL_FRAME_MAX    32768U
#define PORTAL_CHANNELS     32U
#define PORTAL_REQUESTS_MAX 64U /* not answered yet */
#define PORTAL_INPUT_MAX    (160U << 10)

/* Who wants to have an answer. */
enum portal_asker {
    PORTAL_ASKER_NOBODY,
    PORTAL_ASKER_TABLE, /* of VMs */
    PORTAL_ASKER_MOVE,
    PORTAL_ASKER_QMP
};

struct portal_request {
    enum portal_asker asker;
    uint32_t tag; /* the asker's */
    bool sent;
    char line[PORTAL_LINE_MAX + 1];
};

struct portal {
    struct portal_bus bus;
    uint32_t session, sent, read; /* as in the registers */
    bool ended; /* the session, or the whole function; nothing works until a new one */

    /* Requests in their order: the first is FIRST, the one to be answered next. */
    struct portal_request request[PORTAL_REQUESTS_MAX];
    uint32_t first, requests;

    /* The frame that comes in: its header, then its line; bytes of a channel go to INPUT. */
    uint8_t header[8];
    uint32_t header_have, frame_have;
    char line[PORTAL_LINE_MAX + 1];

    /* What came on CHANNEL, the one that a message is waited for on. */
    uint32_t channel, input_have;
    uint8_t input[PORTAL_INPUT_MAX];
};

extern struct portal portal;

/* Open it and begin a session. False: said why. */
bool portal_open(const char *where);
void portal_close(void);

/* The answer to what was asked in a session that has ended: done or not, nobody knows. */
#define PORTAL_SESSION_ENDED "error session the portal's session has ended"

/* A new session; all requests of the old one are answered with PORTAL_SESSION_ENDED. */
void portal_begin_session(void);

/*
 * Ask for LINE, at most PORTAL_LINE_MAX bytes. The answer comes by portal_answered(). False: it is
 * too long, or there are too many.
 */
bool portal_ask(enum portal_asker asker, uint32_t tag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* How many bytes of a channel could be sent now. */
uint32_t portal_room(void);

/* Send SIZE bytes, at most portal_room(), on CHANNEL. */
void portal_send(uint32_t channel, const uint8_t *bytes, uint32_t size);

/* Only this channel's bytes are expected from now on; what was left of another's is dropped. */
void portal_listen(uint32_t channel);

/* SIZE bytes of 'input' have been used. */
void portal_consume(uint32_t size);

/* Is there something to do without waiting? Else when portal.bus.fd is readable. */
bool portal_is_ready(void);

/* Take what has come, and send what waits. */
void portal_poll(void);

/* ---- What others make of it ---- */

/* ANSWER to a request: 'ok ...' or 'error ...'. */
void portal_answered(enum portal_asker asker, uint32_t tag, const char *answer);
void portal_event(const char *line); /* without 'event ' */

#endif
