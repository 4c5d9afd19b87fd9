/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All DMA of a VF passes here.
 *
 * QEMU's virtio devices write through pointers into guest memory and keep
 * private what is outstanding.  An IOMMU region of our own in the function's
 * bus master window is asked for each page they map and for each access to a
 * ring.  Rings are led on to a region that reads and writes for the device,
 * which tells exactly which buffers it took and gave back.
 */
#include "device.h"
#include "backend.h"
#include "hold.h"

#define TYPE_TAP "portolan-tap"

/* Everything under the big lock: a translation and its access come together. */
static MemoryRegion ring_region;
static AddressSpace ring_space;
static PCIDevice *ring_vf;

typedef enum RingPart { RING_NONE, RING_AVAIL, RING_USED } RingPart;

typedef struct RingPlace {
    RingPart part;
    unsigned queue;
    hwaddr offset;
} RingPlace;

/* Offsets in the rings of virtio's split layout. */
#define RING_INDEX      2
#define RING_ENTRIES    4
#define USED_ENTRY      8

#define DMA_PAGE        4096

static unsigned queue_count(VirtIODevice *vdev)
{
    return MIN(virtio_get_num_queues(vdev), TAP_QUEUES);
}

/* A device reads available rings and writes used rings. */
static RingPlace find_ring(VirtIODevice *vdev, hwaddr addr, bool write)
{
    for (unsigned n = 0; n < queue_count(vdev); n++) {
        hwaddr start = write ? virtio_queue_get_used_addr(vdev, n)
                             : virtio_queue_get_avail_addr(vdev, n);
        hwaddr size = write ? virtio_queue_get_used_size(vdev, n)
                            : virtio_queue_get_avail_size(vdev, n);

        if (start && addr >= start && addr - start < size) {
            return (RingPlace) { write ? RING_USED : RING_AVAIL, n,
                                 addr - start };
        }
    }
    return (RingPlace) { RING_NONE };
}

/*
 * Buffers.  A page of a buffer is written to at any time from when the device
 * maps it until the buffer is given back; it is marked then, so that no report
 * in between makes it be missed.
 */

static uint32_t buffer_key(unsigned queue, uint16_t head)
{
    return queue << 16 | head;
}

static void add_page(Tap *t, hwaddr page)
{
    gpointer key = GUINT_TO_POINTER(t->taking);
    GArray *pages = g_hash_table_lookup(t->open, key);

    if (!pages) {
        pages = g_array_new(false, false, sizeof(hwaddr));
        g_hash_table_insert(t->open, key, pages);
    }
    for (unsigned i = 0; i < pages->len; i++) {
        if (g_array_index(pages, hwaddr, i) == page) {
            return;
        }
    }
    g_array_append_val(pages, page);
}

static void mark_pages(PCIDevice *vf, const GArray *pages)
{
    for (unsigned i = 0; i < pages->len; i++) {
        dirty_mark(vf, g_array_index(pages, hwaddr, i), DMA_PAGE);
    }
}

static void close_buffer(PCIDevice *vf, unsigned queue, uint16_t head)
{
    GHashTable *open = vf_state(vf)->tap.open;
    gpointer key = GUINT_TO_POINTER(buffer_key(queue, head));
    GArray *pages = g_hash_table_lookup(open, key);

    if (pages) {
        mark_pages(vf, pages);
        g_hash_table_remove(open, key);
    }
}

/* They never come back; what was written to them stays written. */
static void close_queue(PCIDevice *vf, unsigned queue)
{
    GHashTableIter iter;
    gpointer key, pages;

    g_hash_table_iter_init(&iter, vf_state(vf)->tap.open);
    while (g_hash_table_iter_next(&iter, &key, &pages)) {
        if (GPOINTER_TO_UINT(key) >> 16 == queue) {
            mark_pages(vf, pages);
            g_hash_table_iter_remove(&iter);
        }
    }
}

/* An interrupt message says who sends it; a virtio device's data do not. */
enum { INDEX_DATA, INDEX_MESSAGE, INDEXES };

static int attrs_to_index(IOMMUMemoryRegion *mr, MemTxAttrs attrs)
{
    return attrs.unspecified ? INDEX_DATA : INDEX_MESSAGE;
}

static int num_indexes(IOMMUMemoryRegion *mr)
{
    return INDEXES;
}

static IOMMUTLBEntry translate(IOMMUMemoryRegion *mr, hwaddr addr,
                               IOMMUAccessFlags flag, int index)
{
    PCIDevice *vf = PCI_DEVICE(memory_region_owner(MEMORY_REGION(mr)));
    Tap *t = &vf_state(vf)->tap;
    /* All of it maps to itself.  A mask of all ones would do, but from address 0
     * on it makes a length of 2^64, which is 0, and QEMU asks for ever. */
    IOMMUTLBEntry entry = {
        .target_as = t->target, .translated_addr = addr,
        .addr_mask = INT64_MAX, .perm = IOMMU_RW,
    };

    if (flag == IOMMU_NONE) {
        return entry;
    }
    if (t->closed) {
        pf_state(pf_of(vf))->stray_dma++;
        entry.perm = IOMMU_NONE;
        return entry;
    }
    if (find_ring(virtio_of(vf), addr, flag & IOMMU_WO).part != RING_NONE) {
        ring_vf = vf;
        entry.target_as = &ring_space;
    } else if (flag & IOMMU_WO && index == INDEX_MESSAGE) {
        dirty_mark(vf, addr, 4);
    } else if (flag & IOMMU_WO) {
        /* One page, so that the next one is asked for as well. */
        entry.addr_mask = DMA_PAGE - 1;
        add_page(t, addr & ~(hwaddr)(DMA_PAGE - 1));
    }
    return entry;
}

/* Rings */

static void look_at_taken(PCIDevice *vf, unsigned n)
{
    Tap *t = &vf_state(vf)->tap;
    uint16_t taken = virtio_queue_get_last_avail_idx(virtio_of(vf), n);

    t->outstanding[n] += (int16_t)(taken - t->taken[n]);
    t->taken[n] = taken;
}

/* What the driver is made out to have written at PLACE; false: the truth. */
static bool pretend(PCIDevice *vf, RingPlace place, uint64_t *data)
{
    VirtIODevice *vdev = virtio_of(vf);
    const Tap *t = &vf_state(vf)->tap;
    const Replay *r = &t->replay;
    unsigned size, i;

    if (place.part != RING_AVAIL) {
        return false;
    }
    if (r->count && r->queue == place.queue) {
        size = virtio_queue_get_num(vdev, place.queue);
        i = ((place.offset - RING_ENTRIES) / 2 + size - r->first % size) % size;
        if (place.offset == RING_INDEX) {
            *data = (uint16_t)(r->first + r->count);
            return true;
        }
        if (place.offset >= RING_ENTRIES &&
            place.offset < RING_ENTRIES + 2 * size && i < r->count) {
            *data = r->heads[i];
            return true;
        }
    } else if (t->gate && place.offset == RING_INDEX) {
        *data = virtio_queue_get_last_avail_idx(vdev, place.queue);
        return true;
    }
    return false;
}

static MemTxResult ring_read(void *opaque, hwaddr addr, uint64_t *data,
                             unsigned size, MemTxAttrs attrs)
{
    PCIDevice *vf = ring_vf;
    Tap *t = &vf_state(vf)->tap;
    RingPlace place = find_ring(virtio_of(vf), addr, false);
    uint8_t bytes[8] = { 0 };
    MemTxResult result = MEMTX_OK;

    if (!pretend(vf, place, data)) {
        result = address_space_read(t->target, addr, attrs, bytes, size);
        *data = ldq_le_p(bytes);
    }
    if (place.part == RING_AVAIL && place.offset >= RING_ENTRIES) {
        t->taking = buffer_key(place.queue, *data);
    }
    return result;
}

static MemTxResult ring_write(void *opaque, hwaddr addr, uint64_t data,
                              unsigned size, MemTxAttrs attrs)
{
    PCIDevice *vf = ring_vf;
    Tap *t = &vf_state(vf)->tap;
    RingPlace place = find_ring(virtio_of(vf), addr, true);
    MemTxResult result;
    uint8_t bytes[8];

    stq_le_p(bytes, data);
    if (place.part == RING_USED && size == USED_ENTRY &&
        place.offset % USED_ENTRY == RING_ENTRIES) {
        look_at_taken(vf, place.queue);
        t->outstanding[place.queue]--;
        close_buffer(vf, place.queue, data);
        halt_given_back(vf);
    }
    result = address_space_write(t->target, addr, attrs, bytes, size);
    /* Not before: the host may clear a pushed map at any time. */
    dirty_mark(vf, addr, size);
    return result;
}

uint16_t tap_avail_index(PCIDevice *vf, hwaddr avail)
{
    uint8_t bytes[2] = { 0 };

    address_space_read(virtio_of(vf)->dma_as, avail + RING_INDEX,
                       MEMTXATTRS_UNSPECIFIED, bytes, sizeof(bytes));
    return lduw_le_p(bytes);
}

static const MemoryRegionOps ring_ops = {
    .read_with_attrs = ring_read,
    .write_with_attrs = ring_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    /* A used entry is eight bytes at an odd multiple of four, in one piece. */
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

void tap_queue_set_up(PCIDevice *vf, unsigned n)
{
    Tap *t = &vf_state(vf)->tap;

    if (n < TAP_QUEUES) {
        t->address[n] = virtio_queue_get_desc_addr(virtio_of(vf), n);
        t->taken[n] = virtio_queue_get_last_avail_idx(virtio_of(vf), n);
        t->stale += t->outstanding[n];
        t->outstanding[n] = 0;
        close_queue(vf, n);
    }
}

void tap_queue_changed(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);
    Tap *t = &vf_state(vf)->tap;
    bool reset = true;

    for (unsigned n = 0; n < queue_count(vdev); n++) {
        if (virtio_queue_get_desc_addr(vdev, n) != t->address[n]) {
            if (t->address[n]) {
                look_at_taken(vf, n);
            }
            tap_queue_set_up(vf, n);
        }
        reset = reset && !t->address[n];
    }
    if (reset) {
        t->stale = 0;
    }
}

void tap_settle(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);
    const BackendOps *backend = family_of(vf)->backend;
    Tap *t = &vf_state(vf)->tap;

    if (!t->present) {
        return;
    }
    if (backend->drain) {
        backend->drain(vf);
    }
    t->stale = 0;
    for (unsigned n = 0; n < queue_count(vdev); n++) {
        t->taken[n] = virtio_queue_get_last_avail_idx(vdev, n);
        t->outstanding[n] = hold_count(vf, n);
        close_queue(vf, n);
    }
}

/*
 * All queues together: what comes back to a ring that a driver gave to several of
 * them counts for the first, and what comes back after a queue got another ring
 * for that one.  A driver that overlaps its rings otherwise can only make it look
 * idle too early.
 */
bool tap_idle(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);
    Tap *t = &vf_state(vf)->tap;
    int left;

    if (virtio_device_disabled(vdev)) {
        tap_settle(vf);
    }
    left = t->stale;
    for (unsigned n = 0; n < queue_count(vdev); n++) {
        if (virtio_queue_get_addr(vdev, n)) {
            look_at_taken(vf, n);
            left += t->outstanding[n] - (int)hold_stays(vf, n);
        }
    }
    return left <= 0;
}

void tap_close_gate(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);

    vf_state(vf)->tap.gate = true;
    /* QEMU remembers how far it may go: it has to ask again. */
    for (unsigned n = 0; n < queue_count(vdev); n++) {
        virtio_queue_set_last_avail_idx(
            vdev, n, virtio_queue_get_last_avail_idx(vdev, n));
    }
}

void tap_open_gate(PCIDevice *vf)
{
    vf_state(vf)->tap.gate = false;
}

static void start_at(PCIDevice *vf, unsigned n, uint16_t index)
{
    virtio_queue_set_last_avail_idx(virtio_of(vf), n, index);
    vf_state(vf)->tap.taken[n] = index;
}

void tap_replay(PCIDevice *vf, unsigned n, uint16_t first,
                const uint16_t *heads, unsigned count,
                void (*take)(PCIDevice *vf, unsigned n))
{
    Tap *t = &vf_state(vf)->tap;

    t->replay = (Replay) { heads, count, n, first };
    start_at(vf, n, first);
    take(vf, n);
    look_at_taken(vf, n);
    t->replay.count = 0;
    /* As if the ring itself had been read so far. */
    virtio_queue_set_last_avail_idx(virtio_of(vf), n, first + count);
    t->taken[n] = first + count;
}

/* Place */

MemoryRegion *tap_root(PCIDevice *vf, AddressSpace *bus)
{
    Tap *t = &vf_state(vf)->tap;

    if (!t->present) {
        return bus->root;
    }
    t->target = bus;
    return MEMORY_REGION(&t->mr);
}

void tap_init(PCIDevice *vf)
{
    Tap *t = &vf_state(vf)->tap;

    if (!ring_region.ops) {
        memory_region_init_io(&ring_region, NULL, &ring_ops, NULL,
                              "portolan-rings", UINT64_MAX);
        address_space_init(&ring_space, &ring_region, "portolan-rings");
    }
    memory_region_init_iommu(&t->mr, sizeof(t->mr), TYPE_TAP, OBJECT(vf),
                             "portolan-tap", UINT64_MAX);
    t->open = g_hash_table_new_full(NULL, NULL, NULL,
                                    (GDestroyNotify)g_array_unref);
    t->present = true;
}

void tap_exit(PCIDevice *vf)
{
    g_clear_pointer(&vf_state(vf)->tap.open, g_hash_table_unref);
}

static void tap_class_init(ObjectClass *oc, CompatClassData data)
{
    IOMMUMemoryRegionClass *class = IOMMU_MEMORY_REGION_CLASS(oc);

    class->translate = translate;
    class->attrs_to_index = attrs_to_index;
    class->num_indexes = num_indexes;
}

void tap_register_type(void)
{
    static const TypeInfo tap = {
        .name = TYPE_TAP,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .class_init = tap_class_init,
    };

    type_register_static(&tap);
}
