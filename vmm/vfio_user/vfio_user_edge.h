/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vmm/vfio_user asks of the function that it serves and of the transport. Nothing here calls
 * back, but for what tools/vfiod/vfio_user_device.h allows. All ranges have been checked against
 * struct vfio_user_function.
 *
 * A status other than OK becomes the error number of the answer. Where it says so AGAIN is allowed:
 * it takes time, other servers go on meanwhile, and vfio_user_again() asks the same once more. If
 * the client goes before, nobody asks again.
 */
#ifndef PORTOLAN_VMM_VFIO_USER_VFIO_USER_EDGE_H
#define PORTOLAN_VMM_VFIO_USER_VFIO_USER_EDGE_H

#include "vmm/vfio_user/vfio_user.h"

/* ---- The transport ---- */

/*
 * Send a message of SIZE bytes and COUNT handles, which stay the caller's. What cannot be sent at
 * once is copied, or BYTES stay as they are until vfio_user_space() is called again.
 */
void vfio_user_edge_send(struct vfio_user *server, const uint8_t *bytes, uint32_t size,
                         const int *handle, uint32_t count);

void vfio_user_edge_close(struct vfio_user *server, int handle);

/* What a client named among its capabilities. */
enum vfio_user_capability {
    CAPABLE_FDS = 1,
    CAPABLE_DATA = 2,
    CAPABLE_MULTI = 4, /* and it is true */
    CAPABLE_MIGRATION = 8,
    CAPABLE_2021 = 16 /* a name that only the form of 2021 has */
};

struct vfio_user_capabilities {
    uint32_t named; /* enum vfio_user_capability */
    uint64_t fds;   /* max_msg_fds; in 2021 max_fds */
    uint64_t data;  /* max_data_xfer_size; in 2021 max_msg_size, that of a whole message */
};

/* Read the LENGTH bytes of JSON at TEXT, at most 4 KiB, of which *FOUND gets what is there.
 * INVALID: they are none. */
enum status vfio_user_edge_parse(struct vfio_user *server, const char *text, uint32_t length,
                                 struct vfio_user_capabilities *found);

/* ---- The function ---- */

/* COUNT bytes, at least 1, at OFFSET of REGION, one of PCI's. */
enum status vfio_user_edge_read(struct vfio_user *server, uint32_t region, uint64_t offset,
                                uint8_t *data, uint32_t count);
enum status vfio_user_edge_write(struct vfio_user *server, uint32_t region, uint64_t offset,
                                 const uint8_t *data, uint32_t count);

/* ---- The log ---- */

/*
 * Note what is written to the COUNT ranges at RANGE, to all memory if there is none, in pages of
 * *PAGE_SIZE bytes, a power of two, or of another size, which is put there. STATE: it is noted
 * already. AGAIN.
 */
enum status vfio_user_edge_log_start(struct vfio_user *server, uint64_t *page_size,
                                     const struct vfio_user_area *range, uint32_t count);
enum status vfio_user_edge_log_stop(struct vfio_user *server); /* STATE: it is not noted. AGAIN */

/*
 * Set the bits of BITMAP, which is zeroes, for pages of PAGE_SIZE, a power of two and at least
 * 4096, from ADDRESS on, SIZE bytes of them, in which something was written since the last report,
 * and forget it. STATE: it is not noted. AGAIN, in the form of today.
 */
enum status vfio_user_edge_log_report(struct vfio_user *server, const struct vfio_user_area *range,
                                      uint64_t page_size, uint8_t *bitmap);

/* ---- Migration: the four bits of vmm/migrate/device_state.h ---- */

/* Go to STATE, a valid one. It has been reached on return, or the old one or ERROR is. AGAIN: it is
 * on its way, vfio_user_edge_state() still gives the old one. */
enum status vfio_user_edge_set_state(struct vfio_user *server, uint32_t state);
uint32_t vfio_user_edge_state(struct vfio_user *server);

/* Bytes of the state that are still to be read, at most; 0: none, or none now. */
uint64_t vfio_user_edge_pending(struct vfio_user *server);

/* The next *SIZE bytes of the state or less, in SAVING states, of which *SIZE are put out. 0: there
 * are none, or none now. */
enum status vfio_user_edge_save(struct vfio_user *server, uint8_t *data, uint32_t *size);

/* The next SIZE bytes of the state, RESUMING. They may be cut at any byte. */
enum status vfio_user_edge_load(struct vfio_user *server, const uint8_t *data, uint32_t size);

#endif
