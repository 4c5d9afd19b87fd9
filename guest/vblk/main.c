/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio disk by its legacy registers: polled, with INTx, with MSI-X.
 *
 * The disk's byte b of sector s is pattern(s, b) at the beginning. Each way of interrupting reads
 * sectors and writes some that the test looks at afterwards.
 *
 *   count=N    requests for each way
 *   stray      at the end, let the device read into memory that is not this VM's
 *   cost=N     at the end, notify N times, and say how much longer that takes than not doing it
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/lib/virtio.h"

#include <stdio.h>
#include <string.h>

#define DEVICE        0x1001
#define SECTOR        512U
#define SECTORS       8U /* of one request */
#define READ          0
#define WRITE         1
#define VECTOR_INTX   0x51
#define VECTOR_CONFIG 0x52
#define VECTOR_QUEUE  0x53
#define PIRQ_PIN      16
#define LEVEL         (1U << 15)
#define MASKED        (1U << 16)
#define WRITTEN_FIRST 1024U /* sectors that this guest writes, by way */
#define WRITTEN_EACH  256U
#define POLLS         50000000U
#define STRAY_ADDRESS 0x3f000000UL /* beyond the VM's RAM, within the machine's */
#define STRAY_POLLS   200000U
#define RING_PAGES    8

enum way { POLLED, INTX, MSIX };

static struct virtio_device disk;
static struct virtio_queue queue;
static uint8_t ring[RING_PAGES * 4096] __attribute__((aligned(4096)));
static struct {
    uint32_t type, priority;
    uint64_t sector;
} header __attribute__((aligned(16)));
static uint8_t data[SECTORS * SECTOR] __attribute__((aligned(512)));
static volatile uint8_t outcome;
static volatile unsigned interrupts, config_changes, idle_interrupts;

static uint8_t pattern(uint64_t sector, unsigned byte)
{
    return (uint8_t)(sector * 7 + byte * 13UL + (sector >> 8) + 1);
}

static void handle_intx(struct guest_frame *frame)
{
    uint8_t isr = inb((uint16_t)(disk.base + VIRTIO_ISR));

    if (isr & 1) {
        interrupts++;
    } else {
        idle_interrupts++;
    }
    apic_write(APIC_EOI, 0);
}

static void handle_queue(struct guest_frame *frame)
{
    interrupts++;
    apic_write(APIC_EOI, 0);
}

static void handle_config(struct guest_frame *frame)
{
    config_changes++;
    apic_write(APIC_EOI, 0);
}

static void submit(uint32_t type, uint64_t sector, const void *buffer)
{
    header.type = type;
    header.priority = 0;
    header.sector = sector;
    outcome = 0xff;
    virtio_describe(queue.descriptor, 0, &header, 16, VIRTIO_NEXT);
    virtio_describe(queue.descriptor, 1, buffer, sizeof(data),
                    type == READ ? VIRTIO_NEXT | VIRTIO_WRITE : VIRTIO_NEXT);
    virtio_describe(queue.descriptor, 2, &outcome, 1, VIRTIO_WRITE);
    virtio_offer(&disk, &queue, 0);
}

/*
 * Wait for the request's end; true if it came and is good. With interrupts each one is waited for,
 * even if the request has ended already: one that is lost stops the test.
 */
static bool finish(enum way way)
{
    unsigned before = interrupts;
    uint32_t length = 0;

    while (way != POLLED && interrupts == before) {
        irq_wait();
    }
    for (unsigned i = 0; i < POLLS && queue.used->index == queue.seen; i++) {
        cpu_relax();
    }
    return CHECK(virtio_take(&queue, &length)) && CHECK_EQUAL(outcome, 0) && CHECK(length > 0);
}

static bool transfer(enum way way, uint32_t type, uint64_t sector)
{
    irq_disable();
    submit(type, sector, data);
    return finish(way);
}

static bool same(uint64_t sector, unsigned shift)
{
    for (unsigned i = 0; i < sizeof(data); i++) {
        if (data[i] != (uint8_t)(pattern(sector + i / SECTOR, i % SECTOR) + shift)) {
            return false;
        }
    }
    return true;
}

/* Read what the image holds, write something else, read it back. */
static void exercise(enum way way, unsigned count)
{
    uint64_t mine = WRITTEN_FIRST + (unsigned)way * WRITTEN_EACH;
    unsigned before = interrupts;

    for (unsigned i = 0; i < count && test_failures() == 0; i++) {
        uint64_t sector = i * SECTORS % WRITTEN_FIRST;

        memset(data, 0, sizeof(data));
        if (transfer(way, READ, sector)) {
            CHECK(same(sector, 0));
        }
    }
    for (uint64_t sector = mine; sector < mine + WRITTEN_EACH && test_failures() == 0;
         sector += SECTORS) {
        for (unsigned i = 0; i < sizeof(data); i++) {
            data[i] = (uint8_t)(pattern(sector + i / SECTOR, i % SECTOR) + 1 + (unsigned)way);
        }
        (void)transfer(way, WRITE, sector);
        memset(data, 0, sizeof(data));
        if (transfer(way, READ, sector)) {
            CHECK(same(sector, 1 + (unsigned)way));
        }
    }
    if (way != POLLED) {
        CHECK_EQUAL(interrupts - before, count + 2 * WRITTEN_EACH / SECTORS);
    }
    printf("%u interrupts, %u without a reason\n", interrupts - before, idle_interrupts);
}

static void start(enum way way)
{
    uint16_t base = disk.base;

    virtio_reset(&disk);
    CHECK_EQUAL(inb((uint16_t)(base + VIRTIO_STATUS)), 0);
    virtio_msix_enable(&disk, way == MSIX);
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE);
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    printf("features %08x\n", inl((uint16_t)(base + VIRTIO_HOST_FEATURES)));
    outl((uint16_t)(base + VIRTIO_GUEST_FEATURES), 0);
    if (way == MSIX) {
        outw((uint16_t)(base + VIRTIO_CONFIG_VECTOR), 0);
        CHECK_EQUAL(inw((uint16_t)(base + VIRTIO_CONFIG_VECTOR)), 0);
    }
    if (!CHECK(virtio_set_up_queue(&disk, 0, ring, sizeof(ring), &queue))) {
        test_end();
    }
    if (way == MSIX) {
        outw((uint16_t)(base + VIRTIO_QUEUE_VECTOR), 1);
        CHECK_EQUAL(inw((uint16_t)(base + VIRTIO_QUEUE_VECTOR)), 1);
    }
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
    CHECK_EQUAL(inb((uint16_t)(base + VIRTIO_STATUS)), 7);
    printf("queue of %u, capacity %lu sectors\n", queue.size,
           inl(virtio_config(&disk)) | (uint64_t)inl((uint16_t)(virtio_config(&disk) + 4)) << 32);
    CHECK(inl(virtio_config(&disk)) >= WRITTEN_FIRST + 3 * WRITTEN_EACH);
}

static void test_stray(void)
{
    uint32_t length;

    test_group("DMA beyond the VM's memory goes nowhere");
    start(POLLED);
    submit(READ, 0, (const void *)STRAY_ADDRESS);
    for (unsigned i = 0; i < STRAY_POLLS && !virtio_take(&queue, &length); i++) {
        cpu_relax();
    }
    /* What the device says of it is its own affair; the VMM's log is what counts. */
    printf("the device says %u\n", outcome);
}

/* Notifications of a queue that has nothing new: the device does nothing, so the rest is ours. */
static void measure(uint64_t rounds)
{
    uint16_t port = (uint16_t)(disk.base + VIRTIO_QUEUE_NOTIFY);

    test_group("what a notification costs");
    start(POLLED);
    uint64_t begin = rdtsc();

    for (uint64_t i = 0; i < rounds; i++) {
        __asm__ volatile("nop" ::"a"(0), "d"(port) : "memory");
    }
    uint64_t middle = rdtsc();

    for (uint64_t i = 0; i < rounds; i++) {
        __asm__ volatile("outw %%ax, %%dx" ::"a"(0), "d"(port) : "memory");
    }
    printf("%lu notifications: %lu ticks\n", rounds, rdtsc() - middle - (middle - begin));
}

int main(void)
{
    unsigned count = (unsigned)guest_option("count", 256);

    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR_INTX, handle_intx);
    interrupt_set_handler(VECTOR_CONFIG, handle_config);
    interrupt_set_handler(VECTOR_QUEUE, handle_queue);
    test_group("the disk");
    if (!CHECK(virtio_find(DEVICE, &disk)) || !CHECK(disk.base != 0) || !CHECK(disk.msix != 0)) {
        test_end();
    }
    unsigned pin = PIRQ_PIN + (disk.slot + 3) % 4;

    printf("slot %u, ports at %x, memory at %lx, line %u\n", disk.slot, disk.base, disk.memory,
           disk.line);
    test_group("polled");
    start(POLLED);
    exercise(POLLED, count);
    test_group("INTx");
    ioapic_route(pin, VECTOR_INTX | LEVEL, 0);
    start(INTX);
    exercise(INTX, count);
    ioapic_route(pin, MASKED, 0);
    test_group("MSI-X");
    virtio_msix_set(&disk, 0, VECTOR_CONFIG, 0);
    virtio_msix_set(&disk, 1, VECTOR_QUEUE, 0);
    start(MSIX);
    exercise(MSIX, count);
    if (strstr(guest_command_line(), "stray") && test_failures() == 0) {
        test_stray();
    }
    if (guest_option("cost", 0) > 0) {
        measure(guest_option("cost", 0));
    }
    virtio_reset(&disk);
    test_end();
}
