/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon asks of the function that it serves ("vdev"): a simulated device behind
 * vmm/legacy, or a VF of this machine. There is one in a process.
 *
 * All of it is called from the thread of the daemon's loop, and everything that the function tells
 * the daemon has to come from that thread, too. The client's memory: memory.h.
 */
#ifndef PORTOLAN_TOOLS_VFIOD_DEVICE_H
#define PORTOLAN_TOOLS_VFIOD_DEVICE_H

#include "tools/vfiod/vfio_user_device.h"

#include <poll.h>

#define VDEV_FDS_MAX (VFIO_USER_NOTIFY_MAX + VFIO_USER_VECTORS_MAX)

/* ---- Life ---- */

/*
 * Open the function that OPTIONS describe: what follows --simulated ("block,file=disk.img,...") or,
 * with VF, --vf. False: a message says why. What needs privileges or system calls beyond those of
 * vdev_syscalls() is done here: the seccomp filter comes after it.
 */
bool vdev_open(const char *options, bool vf);

/* Give everything back; data that was accepted is with the back end. */
void vdev_close(void);

/* The system calls (SYS_...) that the function makes after vdev_open(), besides read, write,
 * readv, writev, ppoll, memory management and the like, which the daemon needs itself. */
const int *vdev_syscalls(unsigned *count);

/* The requests of ioctl() that it makes then; others are not allowed. */
const unsigned long *vdev_requests(unsigned *count);

/* ---- What it is; fixed after vdev_open() ---- */

/* BAR 0, BAR 1 and configuration space (256 bytes); INTA; vectors; an eventfd for each queue as the
 * notify port's, which the function polls. */
const struct vfio_user_function *vdev_describe(void);

/* ---- What the client's guest does ---- */

/*
 * COUNT bytes, at least 1, within REGION (VFIO_USER_BAR0.., VFIO_USER_CONFIG). Any count and any
 * alignment. A region that decodes nothing now reads as ones and ignores writes: that is no
 * failure.
 */
enum status vdev_read(uint32_t region, uint64_t offset, uint8_t *data, uint32_t count);
enum status vdev_write(uint32_t region, uint64_t offset, const uint8_t *data, uint32_t count);

/* The client listens to VECTOR of MSI-X, or no longer. It keeps the table itself (QEMU does): the
 * function takes an entry that is listened to as unmasked, whatever is in the table. */
void vdev_vector_wanted(uint32_t vector, bool wanted);

/* As an FLR. It is RUNNING afterwards. */
enum status vdev_reset(void);

/* The client has gone, and its memory goes next. */
void vdev_client_left(void);

/* ---- Memory ---- */

/* These bytes of a file of the client's were mapped, whole pages, where memory_at() says: HERE. A
 * status other than OK: the function's DMA cannot reach them, and they are not mapped. */
enum status vdev_memory_comes(const struct vfio_user_map *map, void *here);

/* What lies in this range is about to be unmapped: finish or forget what uses it. No pointer there
 * from memory_at() is used after it. */
void vdev_memory_leaves(uint64_t iova, uint64_t size);

/* The answer to vfiod_dma(): DATA, as many bytes as that said, if some were asked for. Not OK:
 * there are none. */
void vdev_dma_done(bool ok, const uint8_t *data);

/* ---- Migration: bits of vmm/migrate/device_state.h; see vfio_user_edge.h ---- */

enum status vdev_set_state(uint32_t state);
uint32_t vdev_state(void);
uint64_t vdev_pending(void);
enum status vdev_save(uint8_t *data, uint32_t *size);
enum status vdev_load(const uint8_t *data, uint32_t size);

/* ---- The loop ---- */

/* Put what is to be polled into FD, ROOM entries; returns how many. *TIMEOUT_MS is -1, or in how
 * many ms vdev_poll() is to be called at the latest. */
unsigned vdev_poll_fds(struct pollfd *fd, unsigned room, int *timeout_ms);

/* Called after each poll, with what came of those. Bounded: whoever has more to do says timeout 0
 * the next time. */
void vdev_poll(const struct pollfd *fd, unsigned count);

/* ---- What the function tells the daemon; the daemon has these ---- */

/* Ask the client for COUNT bytes at ADDRESS of its memory, or write FROM there. Returns how many:
 * as many as one message may have, or 0: it cannot be asked. One at a time; not from within a call
 * of the client's. vdev_dma_done() tells, unless the client leaves. */
uint32_t vfiod_dma(uint64_t address, uint32_t count, const uint8_t *from);

void vfiod_intx(bool level);          /* INTA of the function; also when it is as it was */
void vfiod_vector(uint32_t vector);   /* a message of MSI-X */
void vfiod_say(const char *text, ...) /* a line for the operator */
    __attribute__((format(printf, 1, 2)));

#endif
