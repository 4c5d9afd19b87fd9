/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/vfiod/ring.h"

#include "tools/vfiod/dma.h"
#include "tools/vfiod/far.h"
#include "tools/vfiod/memory.h"

/* Virtio 1.3, 2.7. */
#define DESCRIPTOR_SIZE 16U
#define ALIGNMENT       4096U /* of the used ring, as the legacy interface has it */

enum { DESCRIPTOR_NEXT = 1, DESCRIPTOR_WRITE = 2, DESCRIPTOR_INDIRECT = 4 };
enum { AVAIL_FLAGS = 0, AVAIL_INDEX = 2, AVAIL_RING = 4, USED_INDEX = 2, USED_RING = 4 };
#define AVAIL_NO_INTERRUPT 1U

struct descriptor {
    uint64_t at;
    uint32_t length;
    uint16_t flags, next;
};

_Static_assert(sizeof(struct descriptor) == DESCRIPTOR_SIZE, "virtio 1.3, 2.7.5");

struct used_entry {
    uint32_t head, length;
};

static uint64_t avail_at(const struct ring *ring)
{
    return ring->at + (uint64_t)ring->size * DESCRIPTOR_SIZE;
}

static uint64_t used_event_at(const struct ring *ring)
{
    return avail_at(ring) + AVAIL_RING + 2ULL * ring->size;
}

static uint64_t used_at(const struct ring *ring)
{
    uint64_t end = used_event_at(ring) + 2;

    return (end + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

static uint64_t avail_event_at(const struct ring *ring)
{
    return used_at(ring) + USED_RING + sizeof(struct used_entry) * ring->size;
}

static bool break_ring(struct ring *ring)
{
    ring->broken = true;
    return false;
}

/* An index: one access. All of a ring's lie at even addresses. */
static void put16(struct ring *ring, uint64_t at, uint16_t value)
{
    if (!dma_put16(at, value)) {
        (void)break_ring(ring);
    }
}

void ring_open(struct ring *ring, uint64_t at, uint16_t size, uint16_t index)
{
    ring->at = at;
    ring->size = size;
    ring->avail = ring->used = ring->told = index;
    ring->broken = false;
}

bool ring_is_far(const struct ring *ring)
{
    return memory_far_run(used_at(ring) + USED_INDEX, 2, false) != 0;
}

bool ring_used_index(const struct ring *ring, uint16_t *index)
{
    return dma_get16(used_at(ring) + USED_INDEX, index);
}

/* ---- Taking ---- */

/* A place where descriptors are: the ring's own table, or one in a buffer. */
struct table {
    uint64_t at;
    uint32_t count;
};

static bool add_segment(struct ring_chain *chain, const struct descriptor *d)
{
    bool write = (d->flags & DESCRIPTOR_WRITE) != 0;

    if (chain->out + chain->in == RING_SEGMENTS || d->length == 0 || (!write && chain->in > 0)) {
        return false;
    }
    chain->segment[chain->out + chain->in] =
        (struct ring_segment){.at = d->at, .length = d->length};
    if (write) {
        chain->in++;
        chain->in_bytes += d->length;
    } else {
        chain->out++;
        chain->out_bytes += d->length;
    }
    return true;
}

/* An indirect table comes last, and there is none within it. */
static bool enter_table(struct table *table, const struct descriptor *d, bool *entered)
{
    uint32_t count = d->length / DESCRIPTOR_SIZE;

    if (*entered || (d->flags & DESCRIPTOR_NEXT) != 0 || count == 0 ||
        d->length % DESCRIPTOR_SIZE != 0) {
        return false;
    }
    *table = (struct table){.at = d->at, .count = count};
    *entered = true;
    return true;
}

/* A chain longer than RING_SEGMENTS ends here, whatever its links say. */
static bool walk(const struct ring *ring, struct ring_chain *chain)
{
    struct table table = {.at = ring->at, .count = ring->size};
    uint32_t index = chain->head;
    bool entered = false;

    for (;;) {
        struct descriptor d;

        if (index >= table.count ||
            !dma_read(table.at + (uint64_t)index * DESCRIPTOR_SIZE, &d, sizeof(d))) {
            return false;
        }
        if ((d.flags & DESCRIPTOR_INDIRECT) != 0) {
            if (!enter_table(&table, &d, &entered)) {
                return false;
            }
            index = 0;
            continue;
        }
        if (!add_segment(chain, &d)) {
            return false;
        }
        if ((d.flags & DESCRIPTOR_NEXT) == 0) {
            return true;
        }
        index = d.next;
    }
}

/* Is something there that was not taken? An index that runs ahead further than a ring is long is
 * none. */
static enum ring_outcome look(struct ring *ring)
{
    uint16_t index;

    if (!dma_get16(avail_at(ring) + AVAIL_INDEX, &index)) {
        return RING_AWAY;
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the entries are read after the index */
    if ((uint16_t)(index - ring->avail) > ring->size) {
        (void)break_ring(ring);
        return RING_BROKEN;
    }
    return index != ring->avail ? RING_CHAIN : RING_EMPTY;
}

/* As look(). A driver that goes by event indexes is asked for a notification before the ring counts
 * as empty: what came meanwhile is seen. */
static enum ring_outcome look_and_ask(struct ring *ring)
{
    enum ring_outcome found = look(ring);

    if (found != RING_EMPTY || !ring->event_idx) {
        return found;
    }
    if (!dma_put16(avail_event_at(ring), ring->avail)) {
        return RING_AWAY;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return look(ring);
}

enum ring_outcome ring_take(struct ring *ring, struct ring_chain *chain)
{
    uint64_t entry = avail_at(ring) + AVAIL_RING + 2ULL * (ring->avail & (ring->size - 1U));
    enum ring_outcome found = ring->broken ? RING_BROKEN : look_and_ask(ring);

    if (found != RING_CHAIN) {
        return found;
    }
    *chain = (struct ring_chain){0};
    if (!dma_get16(entry, &chain->head)) {
        return RING_AWAY;
    }
    if (chain->head >= ring->size || !walk(ring, chain)) {
        (void)break_ring(ring);
        return RING_BROKEN;
    }
    ring->avail++;
    return RING_CHAIN;
}

/* ---- Giving back ---- */

void ring_give(struct ring *ring, uint16_t head, uint32_t length)
{
    struct used_entry entry = {.head = head, .length = length};
    uint64_t at = used_at(ring) + USED_RING + sizeof(entry) * (ring->used & (ring->size - 1U));

    if (!dma_write(at, &entry, sizeof(entry))) {
        (void)break_ring(ring);
        return;
    }
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the entry is there before the index says so */
    put16(ring, used_at(ring) + USED_INDEX, ++ring->used);
    far_commit(ring);
}

bool ring_wants_interrupt(struct ring *ring)
{
    uint16_t given = (uint16_t)(ring->used - ring->told), value;

    if (given == 0 || ring->broken) {
        return false;
    }
    ring->told = ring->used;
    __atomic_thread_fence(
        __ATOMIC_SEQ_CST); /* the index is there before the driver's wish is read */
    if (!dma_get16(ring->event_idx ? used_event_at(ring) : avail_at(ring) + AVAIL_FLAGS, &value)) {
        return true; /* one too many does no harm */
    }
    if (!ring->event_idx) {
        return (value & AVAIL_NO_INTERRUPT) == 0;
    }
    /* 2.7.10: the index that was asked for is among those that were passed. */
    return (uint16_t)(ring->used - value - 1) < given;
}
