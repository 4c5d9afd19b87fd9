/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a stream goes over: a TCP connection, with TLS 1.3 or without, or a file. All functions
 * that wait are called from the task, those that listen, accept or shake hands do not; after false,
 * 'why' says why, and only wire_close() is left.
 */
#ifndef PORTOLAN_GUEST_AGENT_WIRE_H
#define PORTOLAN_GUEST_AGENT_WIRE_H

#include "guest/agent/agent.h"

#include <sys/types.h>

#define WIRE_GREETING  (30000 * AGENT_MS) /* for a connection, and for TLS to be agreed on */
#define WIRE_LAST_WORD (5000 * AGENT_MS)  /* for the peer to close, too */

struct wire {
    int fd; /* -1: closed */
    bool is_file;
    void *tls;   /* gnutls_session_t; NULL: none */
    bool broken; /* half of something was written: nothing may follow */
    uint64_t sent, received;
    char why[AGENT_TEXT_MAX];

    uint64_t deadline; /* of what is to be read, as agent_now() has it; 0: none */
    uint64_t limit;    /* bytes a second; 0: none */
    uint64_t free_at;  /* when the next bytes may go, by that */

    /* How fast it is: what was sent lately, and for how long it was waited. */
    uint64_t busy_bytes, busy_ns;
};

void wire_init(struct wire *w);

/* Connect to HOST and PORT, and agree on TLS unless the operator wants none. */
bool wire_connect(struct wire *w, const char *host, const char *port);

/* The connection FD has come, which is W's from here on; tls_shake() follows. Nothing waits. */
bool wire_accept(struct wire *w, int fd);

/* The file PATH, to be read, or to be made for writing: readable for its owner only. */
bool wire_open_file(struct wire *w, const char *path, bool writing);

bool wire_write(struct wire *w, const uint8_t *bytes, size_t size);
bool wire_read(struct wire *w, uint8_t *bytes, size_t size);

/* Would wire_read() find something? */
bool wire_has_input(const struct wire *w);

/* What was written to the file is on the disk. */
bool wire_flush_file(struct wire *w);

/*
 * Nothing more is sent. The peer may be sending still: closed now, the last word would be thrown
 * away on its side. So what it sends is taken, piece by piece and without waiting, until it HAS
 * LEFT, too.
 */
void wire_leave(struct wire *w);
bool wire_has_left(const struct wire *w);

/* Close it, at once and from anywhere; with LAST_WORD, from the task, as above before. */
void wire_close(struct wire *w, bool last_word);

/* Nanoseconds that 1024 bytes need; 0: not known. */
uint64_t wire_pace(const struct wire *w);

/* Listen at [HOST]:PORT. -1: said why. */
int wire_listen(const char *where);

/* ---- TLS ---- */

/* Read keys and certificates. False: said why. */
bool tls_init(const struct agent_options *options);
void tls_end(void);

/* Is there a way to be safe, or did the operator say that there need be none? */
bool tls_is_decided(void);

/* Begin a session over W's connection, in which HOST was called. True, and nothing: --insecure. */
bool tls_start(struct wire *w, bool server, const char *host);

enum tls_step { TLS_FAILED, TLS_WAITS, TLS_READY };

/* Go on with the handshake, without waiting. TLS_WAITS: for *EVENTS of the socket. */
enum tls_step tls_shake(struct wire *w, short *events);

/* As read() and write(), with errno; EAGAIN: *EVENTS of the socket are to be waited for. */
ssize_t tls_read(struct wire *w, uint8_t *bytes, size_t size, short *events);
ssize_t tls_write(struct wire *w, const uint8_t *bytes, size_t size, short *events);
bool tls_has_input(const struct wire *w);
void tls_close(struct wire *w);

#endif
