/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client of vmm/vfio_user, and of tools/vfiod/vfio_user_device.h, and all that their edges ask
 * for, in memory. Handles are numbers that are followed: each that came in is taken or closed,
 * once, and none is used after that. What breaks a rule of the edge ends the program.
 */
#ifndef PORTOLAN_TESTS_UNIT_VFIO_USER_FAKE_CLIENT_H
#define PORTOLAN_TESTS_UNIT_VFIO_USER_FAKE_CLIENT_H

#include "tools/vfiod/vfio_user_commands.h"

#define FAKE_HANDLES 100000U /* handles of the client: from FAKE_FIRST on */
#define FAKE_FIRST   1000
#define FAKE_REGION  9000 /* the function's own */
#define FAKE_NOTIFY  9100
#define FAKE_VECTORS 40U
#define FAKE_MAPS    70000U
#define FAKE_STATE   1000U /* bytes of its state */
#define FAKE_SENT    (4U << 20)

enum fake_handle { HANDLE_UNKNOWN, HANDLE_OPEN, HANDLE_CLOSED };

struct fake_map {
    uint64_t address, size;
    int handle;
    bool written; /* its first page was */
};

struct fake_client {
    struct vfio_user_device device;
    struct vfio_user_function function;
    uint8_t *input, *output, *stage;

    /* What was sent, whole messages one after the other. */
    uint8_t *sent;
    uint32_t sent_size;
    int sent_handle[VFIO_USER_HANDLES_MAX]; /* of the last */
    uint32_t sent_handles;

    /* The last answer: fake_command(). */
    const uint8_t *reply;
    uint32_t reply_size, reply_flags;

    int next_handle;

    uint8_t region[VFIO_USER_PCI_REGIONS][8192];
    unsigned reads, writes, resets;
    bool wanted[FAKE_VECTORS];
    unsigned again;    /* so often states, reset and the log are not there yet */
    enum status fails; /* what accesses, reset, maps and changes of state give, if not OK */

    unsigned dma_done; /* answers to vfio_user_dma() ... */
    bool dma_ok;       /* ... and how the last one was, with the sum of its bytes */
    uint32_t dma_sum;

    uint32_t maps;
    bool logging;
    uint64_t log_page; /* that it picks; 0: the one asked for */
    uint32_t log_ranges;

    uint32_t state;
    uint8_t saved[FAKE_STATE];
    uint32_t read_at, loaded;
    uint32_t piece; /* bytes that it saves at once, at most */

    /* Only what was used of these is cleared. */
    uint8_t handle[FAKE_HANDLES]; /* enum fake_handle */
    unsigned signals[FAKE_HANDLES];
    struct fake_map map[FAKE_MAPS];
};

extern struct fake_client fake;

/* A server with DATA bytes in a message, in FORM; it has no version yet. */
void fake_start(enum vfio_user_form form, uint32_t data);

/* The client goes: nothing of it is left. */
void fake_stop(void);

/* A handle of the client's. */
int fake_handle(void);

/* Give the server SIZE bytes in pieces of PIECE at most, HANDLEs with the first; stops when the
 * server does not read any more. Returns how many it took. */
uint32_t fake_feed(const uint8_t *bytes, uint32_t size, const int *handle, uint32_t count,
                   uint32_t piece);

/* Send a command and read its answer; returns the error in it, 0 if it is none, and -1 if there is
 * no answer. */
int fake_command(uint16_t command, const void *payload, uint32_t size, const int *handle,
                 uint32_t count);

/* VERSION, as a client of FORM says it. */
void fake_version(enum vfio_user_form form);

/* Put COUNT u32, or u64, into a payload. */
void fake_put32(uint8_t *at, unsigned count, ...);
void fake_put64(uint8_t *at, unsigned count, ...);

#endif
