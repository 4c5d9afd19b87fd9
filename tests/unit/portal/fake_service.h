/* SPDX-License-Identifier: BSD-2-Clause */
/* The service VM's program for the portal's tests: frames in, lines and messages out. */
#ifndef PORTOLAN_TESTS_UNIT_PORTAL_FAKE_SERVICE_H
#define PORTOLAN_TESTS_UNIT_PORTAL_FAKE_SERVICE_H

#include "tests/unit/portal/fake_machine.h"

/* A session from its beginning; with `hello`. */
void service_start(void);

/* Bytes as they are into the ring; then the doorbell. The portal does not run. */
void service_put(const void *bytes, uint32_t size);
void service_put_frame(uint32_t channel, const void *bytes, uint32_t size);

/* Take what has come; the next line of it that is no event, or NULL; the next event, or NULL. */
const char *service_line(void);
const char *service_event(void);

/* Send a line, let the portal run once: the answer, "" if there is none yet. */
const char *service_ask(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A message of vfio-user with SIZE bytes of PAYLOAD, the portal runs once. The answer's payload,
 * until the next, and its error; -1: there is no answer yet. */
int service_command(unsigned channel, unsigned command, const void *payload, uint32_t size);
int service_answer(unsigned channel);
extern uint8_t service_payload[PORTAL_DATA + 512];
extern uint32_t service_payload_size;

/* By messages: open and version; VFIO's states, version 2. */
int service_open(unsigned channel, const char *what);
int service_set_state(unsigned channel, uint32_t state);

enum { S_STOP = 1, S_RUNNING = 2, S_STOP_COPY = 3, S_RESUMING = 4, S_PRE_COPY = 6 };

#endif
