/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/legacy/inflight.h"

#include "vmm/host/guest_ram.h"
#include "vmm/legacy/legacy_internal.h"

#include "drivers/virtio/device.h"

#include <string.h>

#define RING_ALIGN      4096U
#define DESCRIPTOR_SIZE 16U
#define INDEX           2U /* in both rings */
#define ENTRIES         4U
#define AVAIL_ENTRY     2U
#define USED_ENTRY      8U
#define EVENT           2U /* behind the entries */
#define POLLED          8U /* queues, at most, each time */
#define PLACED          2U /* a count, while heads are put in order */

struct ring {
    const struct ram *ram;
    uint64_t avail, used; /* GPAs */
    uint16_t size;
};

static struct ring ring_at(const struct legacy_function *f, uint32_t pfn, uint16_t size)
{
    uint64_t avail = (uint64_t)pfn * RING_ALIGN + (uint64_t)DESCRIPTOR_SIZE * size;

    return (struct ring){
        .ram = f->setup.ram,
        .avail = avail,
        .used = align_up(avail + ENTRIES + (uint64_t)AVAIL_ENTRY * size + EVENT, RING_ALIGN),
        .size = size,
    };
}

static struct ring ring_of(const struct legacy_function *f, unsigned queue)
{
    const struct legacy_queue *q = &f->state.queue[queue];

    return ring_at(f, q->pfn, q->size);
}

/* RAM has no gap as small as a ring: it is enough that both ends are RAM. */
bool legacy_ring_is_ram(const struct legacy_function *f, unsigned queue, uint32_t pfn)
{
    const struct ring ring = ring_at(f, pfn, f->state.queue[queue].size);
    uint64_t last = ring.used + ENTRIES + (uint64_t)USED_ENTRY * ring.size + EVENT - 1;

    return !ring.ram || (ram_pointer(ring.ram, gpa((uint64_t)pfn * RING_ALIGN), 1) &&
                         ram_pointer(ring.ram, gpa(last), 1));
}

/* The two bytes at AT; 0 if that is no RAM. */
static uint16_t get(const struct ring *ring, uint64_t at)
{
    const uint16_t *value = ram_pointer(ring->ram, gpa(at), sizeof(*value));

    return value ? __atomic_load_n(value, __ATOMIC_ACQUIRE) : 0;
}

static uint64_t avail_entry(const struct ring *ring, uint16_t index)
{
    return ring->avail + ENTRIES + (uint64_t)AVAIL_ENTRY * (index & (ring->size - 1U));
}

static uint64_t used_entry(const struct ring *ring, uint16_t index)
{
    return ring->used + ENTRIES + (uint64_t)USED_ENTRY * (index & (ring->size - 1U));
}

void legacy_indexes(const struct legacy_function *f, unsigned queue, uint16_t *avail,
                    uint16_t *used)
{
    const struct ring ring = ring_of(f, queue);

    /* In this order: what is seen used has then been seen offered. */
    *used = get(&ring, ring.used + INDEX);
    *avail = get(&ring, ring.avail + INDEX);
}

/* ---- Following ---- */

/* What is known of QUEUE; NULL: it is not followed. */
static struct legacy_followed *find(struct legacy_function *f, unsigned queue)
{
    struct legacy_inflight *in = f->setup.inflight;
    uint16_t size = f->state.queue[queue].size;

    if (!in || !has_ring(f, queue) || size == 0 || (size & (size - 1U)) != 0) {
        return NULL;
    }
    struct legacy_followed *q = &in->queue[queue];

    if (q->size == 0 && LEGACY_HEADS_MAX - in->taken >= size) {
        *q = (struct legacy_followed){.first = in->taken, .size = size};
        in->taken += size;
    }
    return q->size == size ? q : NULL;
}

/*
 * A driver has at most SIZE chains in the ring that it has not seen used, so that the entry of
 * INDEX stands until more than INDEX chains are used: if no more are by the time it has been read,
 * it is what was offered. Others are left out.
 */
static void add_offered(struct legacy_followed *q, uint8_t *count, const struct ring *ring,
                        uint16_t index)
{
    uint16_t head = get(ring, avail_entry(ring, index));

    if ((int16_t)(index - get(ring, ring->used + INDEX)) >= 0 && head < q->size &&
        count[head] < UINT8_MAX) {
        count[head]++;
        q->known++;
    }
}

static void remove_used(struct legacy_followed *q, uint8_t *count, const struct ring *ring,
                        uint16_t index)
{
    uint64_t at = used_entry(ring, index);
    uint32_t head = get(ring, at) | (uint32_t)get(ring, at + 2) << 16;

    if (head < q->size && count[head] > 0) {
        count[head]--;
        q->known--;
    }
}

/*
 * What was offered counts before what is used. But for what was used before, for certain: the
 * chain of index I can only be offered when those up to I - SIZE are used. Without that a head that
 * nothing is known of, and that is used and offered again between two looks, would stay so.
 */
static void follow(struct legacy_followed *q, uint8_t *count, const struct ring *ring,
                   uint16_t avail, uint16_t used)
{
    uint16_t done = q->used;

    for (uint16_t i = q->avail; i != avail; i++) {
        for (; done != used && (uint16_t)(i - done) >= q->size; done++) {
            remove_used(q, count, ring, done);
        }
        add_offered(q, count, ring, i);
    }
    for (; done != used; done++) {
        remove_used(q, count, ring, done);
    }
}

/*
 * Had half a ring been used since the last look, entries might be overwritten: no device has the
 * other half written before it says so.
 */
static bool is_overrun(const struct legacy_followed *q, uint16_t used)
{
    return (uint16_t)(used - q->used) > q->size / 2;
}

static void look_at(struct legacy_function *f, unsigned queue)
{
    struct legacy_followed *q = queue < LEGACY_QUEUES_MAX ? find(f, queue) : NULL;

    if (!q) {
        return;
    }
    const struct ring ring = ring_of(f, queue);
    uint8_t *count = &f->setup.inflight->count[q->first];
    uint16_t avail, used;

    legacy_indexes(f, queue, &avail, &used);
    bool lost = q->pfn != f->state.queue[queue].pfn || (uint16_t)(avail - q->avail) > q->size ||
                is_overrun(q, used);

    if (!lost) {
        follow(q, count, &ring, avail, used);
        lost = is_overrun(q, get(&ring, ring.used + INDEX));
    }
    if (lost || (avail == used && q->known > 0)) {
        memset(count, 0, q->size);
        q->known = 0;
    }
    q->pfn = f->state.queue[queue].pfn;
    q->avail = avail;
    q->used = used;
}

/*
 * A net VF's driver seldom notifies of receive buffers. But who receives by TCP acknowledges, by
 * the other queue of the pair, long before half a ring is used.
 */
void legacy_inflight_look(struct legacy_function *f, unsigned queue)
{
    look_at(f, queue);
    if (f->type->type == VIRTIO_TYPE_NET) {
        look_at(f, queue ^ 1U);
    }
}

void legacy_inflight_poll(struct legacy_function *f)
{
    if (!f->setup.inflight || !spinlock_try(&f->lock)) {
        return;
    }
    unsigned *turn = &f->setup.inflight->turn;

    for (unsigned i = 0, looks = 0; i < LEGACY_QUEUES_MAX && looks < POLLED && !f->rebuilding;
         i++) {
        *turn = (*turn + 1) % LEGACY_QUEUES_MAX;
        if (has_ring(f, *turn)) {
            look_at(f, *turn);
            looks++;
        }
    }
    spinlock_release(&f->lock);
}

void legacy_inflight_restart(struct legacy_function *f, unsigned queue)
{
    if (f->setup.inflight) {
        f->setup.inflight->queue[queue].pfn = 0;
        look_at(f, queue);
    }
}

/* One that is to take another's place leaves that one's requests alone. */
void legacy_inflight_forget(struct legacy_function *f)
{
    if (f->setup.inflight && !f->set->hidden) {
        memset(f->setup.inflight, 0, offsetof(struct legacy_inflight, count));
    }
}

/* ---- The end ---- */

static bool is_known(const struct legacy_function *f, unsigned queue,
                     const struct legacy_followed *q)
{
    uint16_t avail, used;

    legacy_indexes(f, queue, &avail, &used);
    uint16_t left = (uint16_t)(avail - used);

    if (left == 0 || !q) {
        return left == 0;
    }
    const uint8_t *count = &f->setup.inflight->count[q->first];
    unsigned once = 0;

    for (unsigned head = 0; head < q->size; head++) {
        once += count[head] == 1;
    }
    return once == left && q->known == left;
}

static void put(const struct ring *ring, uint16_t index, uint16_t head)
{
    gpa_t at = gpa(avail_entry(ring, index));
    uint16_t *entry = ram_pointer(ring->ram, at, sizeof(*entry));

    if (entry) {
        *entry = head;
        ram_written(ring->ram, at, sizeof(*entry));
    }
}

/* The last ones first. What the ring does not show any more is older than all that it shows. */
static void offer_again(const struct legacy_function *f, unsigned queue,
                        const struct legacy_followed *q)
{
    const struct ring ring = ring_of(f, queue);
    uint8_t *count = &f->setup.inflight->count[q->first];
    uint16_t end = q->avail;

    for (uint16_t n = 1; n <= q->size; n++) {
        uint16_t head = get(&ring, avail_entry(&ring, (uint16_t)(q->avail - n)));

        if (head < q->size && count[head] == 1) {
            count[head] = PLACED;
            put(&ring, --end, head);
        }
    }
    for (unsigned head = q->size; head-- > 0;) {
        if (count[head] == 1) {
            put(&ring, --end, (uint16_t)head);
        }
        count[head] = count[head] != 0;
    }
}

enum status legacy_offer_again(struct legacy_function *f, unsigned *queue)
{
    enum status status = STATUS_OK;

    spinlock_acquire(&f->lock);
    for (unsigned i = 0; i < LEGACY_QUEUES_MAX && status == STATUS_OK; i++) {
        look_at(f, i);
        if (has_ring(f, i) && !is_known(f, i, find(f, i))) {
            *queue = i;
            status = STATUS_NOTE(STATUS_CONFLICT);
        }
    }
    for (unsigned i = 0; i < LEGACY_QUEUES_MAX && status == STATUS_OK; i++) {
        const struct legacy_followed *q = find(f, i);

        if (q && q->known > 0) {
            offer_again(f, i, q);
        }
    }
    spinlock_release(&f->lock);
    return status;
}
