/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's half of vfio-user: one PCI function, served to one client. docs/vfio-user.md has the
 * messages. Here is what a function needs that has no interrupts, no DMA and no reset, in the form
 * of today (QEMU's docs/interop/vfio-user.rst); who serves more than that brings it as struct
 * vfio_user_more (tools/vfiod).
 *
 * No allocation, no OS call: bytes and handles come in by vfio_user_received(), and all that is
 * needed goes out by vfio_user_edge.h. A handle is what the transport passes beside bytes (on Linux
 * a file descriptor), at least 0; NO_HANDLE is none. One that came in belongs to the server, which
 * hands it on or closes it, each exactly once.
 *
 * Clients may send anything. All calls for one server come from one thread.
 */
#ifndef PORTOLAN_VMM_VFIO_USER_VFIO_USER_H
#define PORTOLAN_VMM_VFIO_USER_VFIO_USER_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define NO_HANDLE (-1)

#define VFIO_USER_HANDLES_MAX 16U  /* in one message */
#define VFIO_USER_AREAS_MAX   4U   /* of a region, that can be mapped */
#define VFIO_USER_NOTIFY_MAX  64U  /* places for which there is a handle */
#define VFIO_USER_VECTORS_MAX 128U /* of MSI-X */
#define VFIO_USER_DATA_MAX    (1U << 20)
#define VFIO_USER_DATA_MIN    4096U
#define VFIO_USER_MAPS_MAX    65535U

/* What a message needs besides its data, at most: header, fixed part, ranges or capabilities. */
#define VFIO_USER_ENVELOPE 256U

/* PCI's regions. */
enum vfio_user_region_index {
    VFIO_USER_BAR0,
    VFIO_USER_ROM = 6,
    VFIO_USER_CONFIG = 7,
    VFIO_USER_VGA = 8,
    VFIO_USER_PCI_REGIONS = 9
};

struct vfio_user_area {
    uint64_t offset, size;
};

/* Size 0: there is no such region. All of it can be read and written by messages. */
struct vfio_user_region {
    uint64_t size;
    int handle;      /* by which the client may map it; or NO_HANDLE. It stays the caller's */
    uint64_t offset; /* with which */
    uint32_t areas;  /* the parts that it may, or without a handle those that are there; 0: all */
    struct vfio_user_area area[VFIO_USER_AREAS_MAX];
};

/* A write of SIZE bytes of MATCH at OFFSET of a region is as good as a signal to HANDLE, which
 * stays the caller's. */
struct vfio_user_notify {
    uint32_t region, size;
    uint64_t offset, match;
    bool io; /* in the space of ports */
    int handle;
};

/* What the function is; it does not change while it is served. */
struct vfio_user_function {
    struct vfio_user_region region[VFIO_USER_PCI_REGIONS];
    bool migrates,
        logs; /* vfio_user_edge_state() and others work, vfio_user_edge_log_start() does */

    /* For struct vfio_user_more: */
    uint32_t intx;    /* 1: it has INTA */
    uint32_t vectors; /* of MSI-X */
    uint32_t notifies;
    const struct vfio_user_notify *notify; /* so many */
    bool split; /* parts of maps can be unmapped: asked for by the form of 2021 only */
};

enum vfio_user_form {
    VFIO_USER_AUTO, /* by what the client says of itself; not chosen yet */
    VFIO_USER_TODAY,
    VFIO_USER_2021
};

/* What a server can besides: vfio_user_internal.h. */
struct vfio_user_more;

/* The buffers are the server's from vfio_user_init() on. */
struct vfio_user_setup {
    const struct vfio_user_function *function;
    const struct vfio_user_more *more; /* NULL: nothing */
    uint32_t data;   /* bytes of data in a message, at most: VFIO_USER_DATA_MIN to _MAX */
    uint8_t *input;  /* this, and VFIO_USER_ENVELOPE */
    uint8_t *output; /* likewise */
};

struct vfio_user {
    struct vfio_user_setup setup;
    enum vfio_user_form form; /* AUTO: no version yet */
    bool failed;              /* the client broke the rules: nothing is read any more */
    bool waits;               /* a message is whole, but cannot be answered yet */

    /* The message that comes in. */
    uint32_t have; /* bytes of it */
    uint32_t skip; /* of one that is too long, bytes that are still to be passed over */
    uint32_t handles;
    int handle[VFIO_USER_HANDLES_MAX];

    /* What the client can. */
    uint32_t client_data, client_handles;
};

/* A server without a client. RANGE: 'data', or a region's areas, are out of bounds. */
enum status vfio_user_init(struct vfio_user *server, const struct vfio_user_setup *setup);

/*
 * Where the next bytes go: *ROOM of them at most, never more than belong to one message, so that
 * handles that come with them are this message's. NULL: the client broke the rules, and the
 * connection is to be closed. Not before all that vfio_user_edge_send() was given is sent. No room:
 * a message waits, see vfio_user_again().
 */
uint8_t *vfio_user_space(struct vfio_user *server, uint32_t *room);

/*
 * SIZE bytes have come there, and COUNT handles, at most VFIO_USER_HANDLES_MAX, with them. A
 * message that is whole now is carried out and answered.
 */
void vfio_user_received(struct vfio_user *server, uint32_t size, const int *handle, uint32_t count);

/*
 * The message that waits since an edge said AGAIN is carried out from its beginning, and answered
 * unless it is still too early. Nothing if none waits. False: it waits further.
 */
bool vfio_user_again(struct vfio_user *server);

/* The client has gone: its maps and handles go, too; the function stays as it is. */
void vfio_user_disconnected(struct vfio_user *server);

/* What we can as JSON into TEXT of SIZE bytes; returns the length that it has. ASKED, enum
 * vfio_user_capability: a client is told only what it named. */
int vfio_user_capabilities(const struct vfio_user_setup *setup, uint32_t asked, char *text,
                           size_t size);

#endif
