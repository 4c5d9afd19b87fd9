/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's memory that only messages reach (DMA_READ, DMA_WRITE), for a device that does its
 * work in one go. An access whose answer is missing fails, as one does to memory that is not there;
 * when the answer has come all that the device did since the last request is done again, with the
 * same ring, where the accesses that have their answers find them in a log. So nothing ever waits,
 * and a client that never answers has a device that does not go on.
 *
 *   far_begin(ring); serve(); if (!far_end()) the same again, when far_may_serve(ring)
 *
 * What is done again must be able to: it is, but for what follows far_commit(). One ring at a time,
 * one message at a time, so that the client sees them in order.
 */
#ifndef PORTOLAN_TOOLS_VFIOD_FAR_H
#define PORTOLAN_TOOLS_VFIOD_FAR_H

#include "tools/vfiod/ring.h"

/* RING is going to be served: no message is under way, and no other ring has one to be done again.
 */
bool far_may_serve(const struct ring *ring);
void far_begin(struct ring *ring);

/* A request of the ring is done, and will not be done again. */
void far_commit(const struct ring *ring);

/* False: an answer is missing. The ring is as it was behind the last request that was done. */
bool far_end(void);

/* Nothing is done again: somebody is about to change the device, or its memory. Its ring is as for
 * far_end(). */
void far_cancel(void);

/* All that was sent has been answered: the client has it. */
bool far_is_idle(void);

/* Between far_begin() and far_end(), of memory_far_run()'s. False: see above, or the client's
 * error; or it is more than there is room for. */
bool far_read(uint64_t at, void *to, uint32_t size);
bool far_write(uint64_t at, const void *from, uint32_t size);

/* Before an access to memory that is not far: the client has all that was sent before. False: not
 * yet, or this time is over. */
bool far_settle(void);

/* The answer to what vfiod_dma() sent: DATA, if bytes were asked for; with OK false it failed. */
void far_answer(bool ok, const uint8_t *data);

/* No answer comes any more. */
void far_forget(void);

#endif
