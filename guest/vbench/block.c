/* SPDX-License-Identifier: BSD-2-Clause */
/* Many requests under way: each slot is one request of 4 KiB, three descriptors, and its buffer. */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/lib/virtio.h"
#include "guest/vbench/vbench.h"

#define DISK       0x1001
#define READ       0U
#define SLOTS      32U
#define PARTS      3U
#define SECTOR     512U
#define RING_PAGES 16U
#define LOOK_MAX   64U /* ticks: less than any handler or exit takes */

static struct virtio_device disk;
static struct virtio_queue queue;
static uint8_t ring[RING_PAGES * PAGE] __attribute__((aligned(4096)));
static struct slot {
    uint64_t data[BLOCK_BYTES / sizeof(uint64_t)];
    struct {
        uint32_t type, priority;
        uint64_t sector;
    } header;
    uint8_t outcome;
} __attribute__((aligned(4096))) slots[SLOTS];
static unsigned wanted, offered;
static volatile unsigned done;
static uint32_t idle_slots; /* bits; atomic */
static uint64_t blocks_on_disk;
static volatile uint64_t total; /* so that the data must be looked at */

static void describe(unsigned index, volatile const void *at, uint32_t length, uint16_t flags)
{
    queue.descriptor[index] = (struct virtio_descriptor){
        .address = (uint64_t)at, .length = length, .flags = flags, .next = (uint16_t)(index + 1)};
}

/* Put the next request into slot NUMBER of the ring; notified is later, once for all. */
static void offer(unsigned number)
{
    struct slot *slot = &slots[number];
    uint16_t index = queue.available->index;

    slot->header.type = READ;
    slot->header.sector = offered % blocks_on_disk * (BLOCK_BYTES / SECTOR);
    slot->outcome = 0xff;
    queue.available->ring[index % queue.size] = (uint16_t)(number * PARTS);
    __asm__ volatile("" ::: "memory");
    queue.available->index = (uint16_t)(index + 1);
    offered++;
}

static void notify(void)
{
    __asm__ volatile("mfence" ::: "memory");
    outw((uint16_t)(disk.base + VIRTIO_QUEUE_NOTIFY), 0);
}

/* Look at all of the data once, as whoever reads it does. */
static void use(unsigned number)
{
    const struct slot *slot = &slots[number];
    uint64_t sum = 0;

    CHECK_EQUAL(slot->outcome, 0);
    for (unsigned i = 0; i < BLOCK_BYTES / sizeof(slot->data[0]); i++) {
        sum += slot->data[i];
    }
    total += sum;
}

static void handle_queue(struct guest_frame *frame)
{
    while (queue.used->index != queue.seen) {
        unsigned number = queue.used->ring[queue.seen % queue.size].id / PARTS;

        queue.seen++;
        use(number);
        done++;
        __atomic_fetch_or(&idle_slots, 1U << number, __ATOMIC_SEQ_CST);
    }
    mmio_write(APIC_BASE + APIC_EOI, 0);
}

static bool may_offer(void)
{
    return offered < wanted && __atomic_load_n(&idle_slots, __ATOMIC_SEQ_CST) != 0;
}

/* A request for each slot that is idle, and one notification for all. */
static void refill(void)
{
    uint32_t slots_now = __atomic_exchange_n(&idle_slots, 0, __ATOMIC_SEQ_CST);

    while (slots_now != 0 && offered < wanted) {
        offer((unsigned)__builtin_ctz(slots_now));
        slots_now &= slots_now - 1;
    }
    notify();
}

void block_start(void)
{
    if (!CHECK(virtio_find(DISK, &disk)) || !CHECK(disk.msix != 0)) {
        test_end();
    }
    uint16_t base = disk.base;

    interrupt_set_handler(VECTOR_DISK, handle_queue);
    virtio_reset(&disk);
    virtio_msix_set(&disk, 0, VECTOR_DISK, 0);
    virtio_msix_enable(&disk, true);
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE);
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    outl((uint16_t)(base + VIRTIO_GUEST_FEATURES), 0);
    if (!CHECK(virtio_set_up_queue(&disk, 0, ring, sizeof(ring), &queue)) ||
        !CHECK(queue.size >= SLOTS * PARTS)) {
        test_end();
    }
    outw((uint16_t)(base + VIRTIO_QUEUE_VECTOR), 0);
    CHECK_EQUAL(inw((uint16_t)(base + VIRTIO_QUEUE_VECTOR)), 0);
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
    blocks_on_disk = inl(virtio_config(&disk)) / (BLOCK_BYTES / SECTOR);
    if (!CHECK(blocks_on_disk > 0)) {
        test_end();
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        describe(i * PARTS, &slots[i].header, sizeof(slots[i].header), VIRTIO_NEXT);
        describe(i * PARTS + 1, slots[i].data, BLOCK_BYTES, VIRTIO_NEXT | VIRTIO_WRITE);
        describe(i * PARTS + 2, &slots[i].outcome, 1, VIRTIO_WRITE);
    }
}

/* Returns the ticks of all looks that found nothing, and had nothing come in between. */
static uint64_t work_spinning(void)
{
    uint64_t idle = 0, before = rdtsc();

    while (done < wanted) {
        if (may_offer()) {
            refill();
            before = rdtsc();
        }
        cpu_relax();
        uint64_t now = rdtsc();

        idle += now - before < LOOK_MAX ? now - before : 0;
        before = now;
    }
    return idle;
}

static void work_sleeping(void)
{
    while (done < wanted) {
        if (may_offer()) {
            refill();
        }
        irq_disable();
        if (done < wanted && !may_offer()) {
            irq_wait();
        }
        irq_enable();
    }
}

void block_read(unsigned count, unsigned depth, uint64_t *busy)
{
    uint64_t begin = rdtsc();

    done = offered = 0;
    wanted = count;
    idle_slots = (uint32_t)((1ULL << depth) - 1);
    irq_enable();
    if (busy) {
        uint64_t idle = work_spinning();

        *busy = rdtsc() - begin - idle;
    } else {
        work_sleeping();
    }
    irq_disable();
    CHECK_EQUAL(done, count);
}
