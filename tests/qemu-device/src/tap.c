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

static IOMMUTLBEntry translate(IOMMUMemoryRegion *mr, hwaddr addr,
                               IOMMUAccessFlags flag, int index)
{
    PCIDevice *vf = PCI_DEVICE(memory_region_owner(MEMORY_REGION(mr)));
    Tap *t = &vf_state(vf)->tap;
    /* All of it maps to itself. */
    IOMMUTLBEntry entry = {
        .target_as = t->target, .addr_mask = UINT64_MAX, .perm = IOMMU_RW,
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
    uint8_t bytes[8] = { 0 };
    MemTxResult result;

    if (pretend(vf, find_ring(virtio_of(vf), addr, false), data)) {
        return MEMTX_OK;
    }
    result = address_space_read(vf_state(vf)->tap.target, addr, attrs, bytes,
                                size);
    *data = ldq_le_p(bytes);
    return result;
}

static MemTxResult ring_write(void *opaque, hwaddr addr, uint64_t data,
                              unsigned size, MemTxAttrs attrs)
{
    PCIDevice *vf = ring_vf;
    Tap *t = &vf_state(vf)->tap;
    RingPlace place = find_ring(virtio_of(vf), addr, true);
    uint8_t bytes[8];

    stq_le_p(bytes, data);
    if (place.part == RING_USED && size == USED_ENTRY &&
        place.offset % USED_ENTRY == RING_ENTRIES) {
        look_at_taken(vf, place.queue);
        t->outstanding[place.queue]--;
        halt_given_back(vf);
    }
    return address_space_write(t->target, addr, attrs, bytes, size);
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
        t->outstanding[n] = 0;
    }
}

void tap_queue_changed(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);
    Tap *t = &vf_state(vf)->tap;

    for (unsigned n = 0; n < queue_count(vdev); n++) {
        if (virtio_queue_get_desc_addr(vdev, n) != t->address[n]) {
            tap_queue_set_up(vf, n);
        }
    }
}

/* A driver that overlaps its rings can only make it look idle too early. */
bool tap_idle(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);

    for (unsigned n = 0; n < queue_count(vdev); n++) {
        if (virtio_queue_get_addr(vdev, n)) {
            look_at_taken(vf, n);
            if (vf_state(vf)->tap.outstanding[n] > (int)hold_count(vf, n)) {
                return false;
            }
        }
    }
    return true;
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
    t->present = true;
}

static void tap_class_init(ObjectClass *oc, CompatClassData data)
{
    IOMMU_MEMORY_REGION_CLASS(oc)->translate = translate;
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
