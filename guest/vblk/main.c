/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio disk by its legacy registers: polled, with INTx, with MSI-X.
 *
 * The disk's byte b of sector s is pattern(s, b) at the beginning. Each way of interrupting reads
 * sectors and writes some that the test looks at afterwards.
 *
 *   count=N    requests for each way
 *   disks=N    do all that with N disks (1): each request goes to all, then all are waited for
 *   queues=N   and with N queues of each (1), as if each were a disk, but for their sectors
 *   stray      at the end, let the device read into memory that is not this VM's
 *   rounds     before all that, work in rounds, and say of each that it was right, until the power
 *              button is pressed; if a disk goes away, say so and wait for a reset
 *   way=W      of the rounds: 0 polled, 1 INTx, 2 MSI-X (2)
 *   restart    each round begins with a reset of the disks
 *   deep       of the rounds: eight requests to the first disk at the same time, which may end in
 *              any order; a round says how many others have ended since the one that has waited
 *              longest was offered
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/vblk/vblk.h"

#include <stdio.h>
#include <string.h>

#define DEVICE        0x1001
#define VECTOR_INTX   0x51
#define VECTOR_CONFIG 0x52
#define VECTOR_QUEUE  0x53 /* and those behind it, one for each disk */
#define DISKS_MAX     16U
#define PIRQ_PIN      16
#define LEVEL         (1U << 15)
#define MASKED        (1U << 16)
#define POLLS         50000000U
#define STRAY_ADDRESS 0x3f000000UL /* beyond the VM's RAM, within the machine's */
#define STRAY_POLLS   200000U
#define ROUND_READS   16U
#define ROUND_WRITES  8U
#define DEEP_ROUND    64U      /* requests of a deep round */
#define PATIENCE      1000000U /* looks for an interrupt, then one at the status */
#define GONE          0xff     /* a status that no device has */
#define FEATURE_MQ    (1U << 12)
#define CONFIG_QUEUES 34 /* in device configuration: how many */
#define PM_STATUS     0x600
#define WITNESSES     8192U /* words of memory that nobody but this guest may change */
#define WITNESS_STEP  0x9e3779b97f4a7c15UL
#define PM_BUTTON     (1U << 8)

static struct disk disks[DISKS_MAX];
static unsigned disk_count; /* their queues */
unsigned queues;
static volatile unsigned interrupts, config_changes, idle_interrupts;
bool gone;
static bool in_rounds;
static volatile uint64_t witness[WITNESSES] __attribute__((aligned(4096)));

/* One of several queues had its interrupt if it has something, for each request once. */
static void count_intx(struct disk *first)
{
    for (unsigned i = 0; i < queues; i++) {
        struct disk *disk = first + i;

        if (queues == 1 || (disk->queue.used && disk->queue.used->index != disk->queue.seen &&
                            disk->interrupts == disk->before)) {
            disk->interrupts++;
            interrupts++;
        }
    }
}

static void handle_intx(struct guest_frame *frame)
{
    unsigned before = interrupts;

    for (unsigned i = 0; i < disk_count; i += queues) {
        if (inb((uint16_t)(disks[i].device.base + VIRTIO_ISR)) & 1) {
            count_intx(&disks[i]);
        }
    }
    if (interrupts == before) {
        idle_interrupts++;
    }
    apic_write(APIC_EOI, 0);
}

static void handle_queue(struct guest_frame *frame)
{
    disks[frame->vector - VECTOR_QUEUE].interrupts++;
    interrupts++;
    apic_write(APIC_EOI, 0);
}

static void handle_config(struct guest_frame *frame)
{
    config_changes++;
    apic_write(APIC_EOI, 0);
}

static void submit(struct disk *disk, uint32_t type, uint64_t sector, const void *buffer)
{
    disk->before = disk->interrupts;
    disk->header.type = type;
    disk->header.priority = 0;
    disk->header.sector = sector;
    disk->outcome = 0xff;
    virtio_describe(disk->queue.descriptor, 0, &disk->header, 16, VIRTIO_NEXT);
    virtio_describe(disk->queue.descriptor, 1, buffer, sizeof(disk->data),
                    type == READ ? VIRTIO_NEXT | VIRTIO_WRITE : VIRTIO_NEXT);
    virtio_describe(disk->queue.descriptor, 2, &disk->outcome, 1, VIRTIO_WRITE);
    virtio_offer(&disk->device, &disk->queue, 0);
}

static bool has_ended(const struct disk *disk, enum way way)
{
    return way == POLLED ? disk->queue.used->index != disk->queue.seen
                         : disk->interrupts != disk->before;
}

struct disk *watch(struct disk *first, unsigned count, enum way way)
{
    uint16_t status = (uint16_t)(first->device.base + VIRTIO_STATUS);

    for (;;) {
        for (unsigned i = 0; i < PATIENCE; i++) {
            if (has_ended(first + i % count, way)) {
                return first + i % count;
            }
            cpu_relax();
            irq_poll();
        }
        if (inb(status) == GONE) {
            gone = true;
            return NULL;
        }
    }
}

/*
 * Wait for the request's end; true if it came and is good. With interrupts each one is waited for,
 * even if the request has ended already: one that is lost stops the test.
 */
static bool finish(struct disk *disk, enum way way)
{
    struct virtio_queue *queue = &disk->queue;
    uint32_t length = 0;

    /* After a move, or one that failed, comes an interrupt for nothing. */
    if (in_rounds && (!watch(disk, 1, way) || !watch(disk, 1, POLLED))) {
        return false;
    }
    while (way != POLLED && disk->interrupts == disk->before) {
        irq_wait();
    }
    for (unsigned i = 0; i < POLLS && queue->used->index == queue->seen; i++) {
        cpu_relax();
    }
    return CHECK(virtio_take(queue, &length)) && CHECK_EQUAL(disk->outcome, 0) && CHECK(length > 0);
}

/* By all disks. */
static bool transfer(enum way way, uint32_t type, uint64_t sector)
{
    bool good = true;

    irq_disable();
    for (unsigned i = 0; i < disk_count; i++) {
        submit(&disks[i], type, sectors_turned(sector, disks[i].number), disks[i].data);
    }
    for (unsigned i = 0; i < disk_count && good; i++) {
        good = finish(&disks[i], way);
    }
    return good;
}

static bool same(uint64_t sector, unsigned shift)
{
    for (unsigned i = 0; i < disk_count; i++) {
        uint64_t own = sectors_turned(sector, disks[i].number);

        for (unsigned k = 0; k < sizeof(disks[i].data); k++) {
            if (disks[i].data[k] != sectors_byte(own, k, shift)) {
                return false;
            }
        }
    }
    return true;
}

static void fill(uint64_t sector, unsigned shift)
{
    for (unsigned i = 0; i < disk_count; i++) {
        uint64_t own = sectors_turned(sector, disks[i].number);

        for (unsigned k = 0; k < sizeof(disks[i].data); k++) {
            disks[i].data[k] = sectors_byte(own, k, shift);
        }
    }
}

static void clear(void)
{
    for (unsigned i = 0; i < disk_count; i++) {
        memset(disks[i].data, 0, sizeof(disks[i].data));
    }
}

/* Read what the image holds, write something else, read it back. */
static void exercise(enum way way, unsigned count)
{
    uint64_t mine = WRITTEN_FIRST + (unsigned)way * WRITTEN_EACH;
    unsigned before = interrupts;

    for (unsigned i = 0; i < count && test_failures() == 0; i++) {
        uint64_t sector = i * SECTORS % WRITTEN_FIRST;

        clear();
        if (transfer(way, READ, sector)) {
            CHECK(same(sector, 0));
        }
    }
    for (uint64_t sector = mine; sector < mine + WRITTEN_EACH && test_failures() == 0;
         sector += SECTORS) {
        fill(sector, 1 + (unsigned)way);
        (void)transfer(way, WRITE, sector);
        clear();
        if (transfer(way, READ, sector)) {
            CHECK(same(sector, 1 + (unsigned)way));
        }
    }
    if (way != POLLED) {
        unsigned wanted = disk_count * (count + 2 * WRITTEN_EACH / SECTORS);

        /* By INTx one tells of several queues; a message of each of the others may come in the
         * device's next life, once. */
        CHECK(interrupts - before >= wanted);
        CHECK(interrupts - before <= wanted + disk_count * (queues - 1));
    }
    printf("%u interrupts, %u without a reason\n", interrupts - before, idle_interrupts);
}

static bool set_up_queues(struct disk *first, enum way way)
{
    uint16_t vector = (uint16_t)(first->device.base + VIRTIO_QUEUE_VECTOR);
    bool right = true;

    for (uint16_t i = 0; i < queues && right; i++) {
        struct disk *disk = first + i;

        right =
            virtio_set_up_queue(&first->device, i, disk->ring, sizeof(disk->ring), &disk->queue);
        if (way == MSIX && right) {
            outw(vector, (uint16_t)(1 + i));
            right = inw(vector) == 1 + i;
        }
    }
    return right;
}

/* Registers are 'right', then the queues are there. */
static bool set_up(struct disk *disk, enum way way)
{
    uint16_t base = disk->device.base;
    bool right = inb((uint16_t)(base + VIRTIO_STATUS)) == 0;

    virtio_msix_enable(&disk->device, way == MSIX);
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE);
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    outl((uint16_t)(base + VIRTIO_GUEST_FEATURES), queues > 1 ? FEATURE_MQ : 0);
    if (way == MSIX) {
        outw((uint16_t)(base + VIRTIO_CONFIG_VECTOR), 0);
        right = right && inw((uint16_t)(base + VIRTIO_CONFIG_VECTOR)) == 0;
    }
    if (queues > 1) {
        right = right && (inl((uint16_t)(base + VIRTIO_HOST_FEATURES)) & FEATURE_MQ) &&
                inw((uint16_t)(virtio_config(&disk->device) + CONFIG_QUEUES)) >= queues;
    }
    if (!right || !set_up_queues(disk, way)) {
        return false;
    }
    outb((uint16_t)(base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
    return inb((uint16_t)(base + VIRTIO_STATUS)) == 7;
}

static void start_one(struct disk *disk, enum way way)
{
    virtio_reset(&disk->device);
    irq_poll(); /* what is still to come of its life before */
    bool right = set_up(disk, way);
    uint16_t config = virtio_config(&disk->device);
    uint64_t sectors = inl(config) | (uint64_t)inl((uint16_t)(config + 4)) << 32;

    gone = gone || (in_rounds && inb((uint16_t)(disk->device.base + VIRTIO_STATUS)) == GONE);
    if (gone) {
        return;
    }
    if (!in_rounds) {
        printf("features %08x, queue of %u, capacity %lu sectors\n",
               inl((uint16_t)(disk->device.base + VIRTIO_HOST_FEATURES)), disk->queue.size,
               sectors);
    }
    CHECK(right);
    CHECK(sectors >= WRITTEN_FIRST + 3 * WRITTEN_EACH);
}

static void start(enum way way)
{
    gone = false;
    for (unsigned i = 0; i < disk_count; i += queues) {
        start_one(&disks[i], way);
    }
}

static void test_stray(void)
{
    uint32_t length;

    test_group("DMA beyond the VM's memory goes nowhere");
    start(POLLED);
    submit(&disks[0], READ, 0, (const void *)STRAY_ADDRESS);
    for (unsigned i = 0; i < STRAY_POLLS && !virtio_take(&disks[0].queue, &length); i++) {
        cpu_relax();
    }
    /* What the device says of it is its own affair; the VMM's log is what counts. */
    printf("the device says %u\n", disks[0].outcome);
}

/* ---- rounds ---- */

static bool button_pressed(void)
{
    return (inw(PM_STATUS) & PM_BUTTON) != 0;
}

/* The test finds this in the machine's memory, and lets others try to write there. */
static void witness_fill(void)
{
    for (unsigned i = 0; i < WITNESSES; i++) {
        witness[i] = (i + 1) * WITNESS_STEP;
    }
}

static void witness_check(void)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < WITNESSES; i++) {
        wrong += witness[i] != (i + 1) * WITNESS_STEP;
    }
    CHECK_EQUAL(wrong, 0);
}

/* Sectors of WAY's own are written, all are read again. */
static void work(enum way way, unsigned round)
{
    uint64_t mine = WRITTEN_FIRST + (unsigned)way * WRITTEN_EACH;
    unsigned shift = 16 + round % ROUND_PACE;

    for (unsigned i = 0; i < ROUND_READS && !gone && test_failures() == 0; i++) {
        uint64_t sector = (round * ROUND_READS + i) * SECTORS % WRITTEN_FIRST;

        clear();
        if (transfer(way, READ, sector)) {
            CHECK(same(sector, 0));
        }
    }
    for (unsigned i = 0; i < ROUND_WRITES && !gone && test_failures() == 0; i++) {
        uint64_t sector = mine + (uint64_t)i * SECTORS;

        fill(sector, shift);
        if (transfer(way, WRITE, sector)) {
            clear();
            if (transfer(way, READ, sector)) {
                CHECK(same(sector, shift));
            }
        }
    }
}

static void route(uint32_t entry)
{
    for (unsigned i = 0; i < disk_count; i++) {
        ioapic_route(PIRQ_PIN + (disks[i].device.slot + 3) % 4, entry, 0);
    }
}

static void run_rounds(enum way way)
{
    bool restart = strstr(guest_command_line(), "restart") != NULL;
    bool deep = strstr(guest_command_line(), "deep") != NULL;

    test_group("rounds");
    route(way == INTX ? VECTOR_INTX | LEVEL : MASKED);
    in_rounds = true;
    witness_fill();
    for (unsigned round = 1; !button_pressed() && test_failures() == 0; round++) {
        if (round == 1 || restart) {
            start(way);
        }
        if (deep) {
            deep_work(&disks[0], way, DEEP_ROUND, false);
        } else {
            work(way, round);
        }
        witness_check();
        if (gone) {
            printf("the disk is gone\n");
            for (;;) {
                __asm__ volatile("cli; hlt");
            }
        }
        printf("round %u %s", round, test_failures() ? "FAILED" : "ok");
        if (deep) {
            printf(", passed by %u", deep_longest());
        }
        printf("\n");
    }
    deep_work(&disks[0], way, deep_under_way(), true);
    in_rounds = false;
    route(MASKED);
}

/* Queue NUMBER of DEVICE, the next one in disks[]. */
static void add_queue(const struct virtio_device *device, uint16_t number)
{
    struct disk *disk = &disks[disk_count];
    uint8_t vector = (uint8_t)(VECTOR_QUEUE + disk_count++);

    disk->device = *device;
    disk->number = number;
    interrupt_set_handler(vector, handle_queue);
    virtio_msix_set(device, 1U + number, vector, 0);
}

static bool find_disks(unsigned count)
{
    struct virtio_device device = {.slot = 0};

    for (unsigned slot = 0; count > 0 && disk_count + queues <= DISKS_MAX; count--) {
        if (!virtio_find_from(slot, DEVICE, &device) || device.base == 0 || device.msix == 0) {
            return false;
        }
        printf("slot %u, ports at %x, memory at %lx, line %u\n", device.slot, device.base,
               device.memory, device.line);
        virtio_msix_set(&device, 0, VECTOR_CONFIG, 0);
        for (unsigned number = 0; number < queues; number++) {
            add_queue(&device, (uint16_t)number);
        }
        slot = device.slot + 1;
    }
    return count == 0;
}

int main(void)
{
    unsigned count = (unsigned)guest_option("count", 256);

    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR_INTX, handle_intx);
    interrupt_set_handler(VECTOR_CONFIG, handle_config);
    test_group("the disk");
    queues = (unsigned)guest_option("queues", 1);
    if (!CHECK(find_disks((unsigned)guest_option("disks", 1)))) {
        test_end();
    }
    if (strstr(guest_command_line(), "rounds")) {
        run_rounds((enum way)guest_option("way", MSIX));
    }
    test_group("polled");
    start(POLLED);
    exercise(POLLED, count);
    test_group("INTx");
    route(VECTOR_INTX | LEVEL);
    start(INTX);
    exercise(INTX, count);
    route(MASKED);
    test_group("MSI-X");
    start(MSIX);
    exercise(MSIX, count);
    if (strstr(guest_command_line(), "stray") && test_failures() == 0) {
        test_stray();
    }
    for (unsigned i = 0; i < disk_count; i += queues) {
        virtio_reset(&disks[i].device);
    }
    test_end();
}
