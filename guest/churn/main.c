/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that is made to be interrupted. It drives a legacy disk and a legacy network card for
 * ever, checks every byte that comes back, and says so after every few rounds. What is typed on its
 * console ends it: see 'orders'.
 *
 *   name=X     begins each of its lines
 *   msix=0|1   the interrupts that it uses
 *   area=N     the sectors from N on are its own
 *
 * A round: read 4 KiB of the disk that nobody writes, write 4 KiB of its own, read them back, and
 * ask the network's router for its address.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/lib/virtio.h"

#include <stdio.h>
#include <string.h>

#define DISK           0x1001
#define CARD           0x1000
#define SECTOR         512U
#define SECTORS        8U /* of one request */
#define READ_AREA      1024U
#define OWN_AREA       64U
#define READ           0
#define WRITE          1
#define RECEIVE        0
#define TRANSMIT       1
#define VECTOR_FIRST   0x51U /* of the disk; the card's come next */
#define PIRQ_PIN       16
#define LEVEL          (1U << 15)
#define RING_PAGES     8
#define ROUNDS         8U /* between two lines */
#define NET_HEADER     10U
#define FRAME          60U
#define MAC_LENGTH     6U
#define ARP_LENGTH     42U
#define ARP_TYPE       12U /* offsets in the frame */
#define ARP_OPERATION  21U
#define ARP_SENDER_MAC 22U
#define ARP_SENDER     28U
#define ARP_REPLY      2
#define FEATURE_MAC    (1U << 5) /* of a network card */
#define UART           0x3f8
#define UART_LSR       5
#define PM_CONTROL     0x604
#define SLEEP_NOW      0x2000

/* A device, a queue or two of it, and how it interrupts. */
struct card {
    struct virtio_device device;
    struct virtio_queue queue[2];
    volatile unsigned interrupts;
};

static struct card disk, net;
static uint8_t rings[3][RING_PAGES * 4096] __attribute__((aligned(4096)));
static struct {
    uint32_t type, priority;
    uint64_t sector;
} header __attribute__((aligned(16)));
static uint8_t data[SECTORS * SECTOR] __attribute__((aligned(512)));
static uint8_t received[2048] __attribute__((aligned(2048)));
static uint8_t sent[NET_HEADER + FRAME] __attribute__((aligned(128)));
static volatile uint8_t outcome;
static const char *name;
static uint32_t own;
static bool msix;

/* ---- what is wrong is said, and ends the guest ---- */

static void fail(const char *what, uint64_t got)
{
    printf("%.1s: FAIL %s (0x%lx)\n", name, what, got);
    outb(GUEST_EXIT_PORT, 1);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

/* ---- what ends it otherwise ---- */

static void triple_fault(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) nothing = {0, 0};

    __asm__ volatile("lidt %0; ud2" ::"m"(nothing));
}

static void power_off(void)
{
    outw(PM_CONTROL, SLEEP_NOW);
}

static void debug_exit(void)
{
    outb(GUEST_EXIT_PORT, 0);
}

static void reset(void)
{
    outb(0xcf9, 0x02);
    outb(0xcf9, 0x06);
}

/* Two requests before the first can be seen to. */
static void reset_twice(void)
{
    outb(0x64, 0xfe);
    reset();
}

static const struct {
    char key;
    void (*end)(void);
} orders[] = {
    {'t', triple_fault},
    {'p', power_off   },
    {'d', debug_exit  },
    {'r', reset       },
    {'R', reset_twice },
};

static void obey(void)
{
    if (!(inb(UART + UART_LSR) & 1)) {
        return;
    }
    char key = (char)inb(UART);

    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (orders[i].key == key) {
            orders[i].end();
            for (;;) { /* not a word more */
                __asm__ volatile("cli; hlt");
            }
        }
    }
}

/* ---- interrupts ---- */

static void handle_intx(struct card *card)
{
    if (inb((uint16_t)(card->device.base + VIRTIO_ISR)) & 1) {
        card->interrupts++;
    }
}

static void handle_disk(struct guest_frame *frame)
{
    if (msix) {
        disk.interrupts++;
    } else {
        handle_intx(&disk);
    }
    apic_write(APIC_EOI, 0);
}

static void handle_net(struct guest_frame *frame)
{
    if (msix) {
        net.interrupts++;
    } else {
        handle_intx(&net);
    }
    apic_write(APIC_EOI, 0);
}

/*
 * Sleep until QUEUE has something: only interrupts wake it, so that one that is lost is noticed by
 * the test, which waits for more lines.
 */
static void wait_for(struct card *card, unsigned queue)
{
    uint32_t length;

    while (!virtio_take(&card->queue[queue], &length)) {
        irq_wait();
    }
}

/* ---- the devices ---- */

static void open_device(uint16_t id, struct card *card, unsigned vector, uint32_t features)
{
    struct virtio_device *device = &card->device;

    if (!virtio_find(id, device) || device->base == 0 || device->msix == 0) {
        fail("there is no such device", id);
    }
    virtio_reset(device);
    if (inb((uint16_t)(device->base + VIRTIO_STATUS)) != 0) {
        fail("the status after a reset", inb((uint16_t)(device->base + VIRTIO_STATUS)));
    }
    if (msix) {
        virtio_msix_set(device, 0, (uint8_t)vector, 0);
    } else {
        ioapic_route(PIRQ_PIN + (device->slot + 3) % 4, vector | LEVEL, 0);
    }
    virtio_msix_enable(device, msix);
    outb((uint16_t)(device->base + VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    outl((uint16_t)(device->base + VIRTIO_GUEST_FEATURES), features);
}

static void open_queue(struct card *card, uint16_t number, void *ring)
{
    uint16_t base = card->device.base;

    if (!virtio_set_up_queue(&card->device, number, ring, sizeof(rings[0]), &card->queue[number])) {
        fail("the queue is not as after a reset", number);
    }
    if (msix) {
        outw((uint16_t)(base + VIRTIO_QUEUE_VECTOR), 0);
        if (inw((uint16_t)(base + VIRTIO_QUEUE_VECTOR)) != 0) {
            fail("no vector for the queue", number);
        }
    }
}

static void go(struct card *card)
{
    outb((uint16_t)(card->device.base + VIRTIO_STATUS),
         VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
}

static void describe(struct virtio_queue *queue, unsigned index, volatile const void *at,
                     uint32_t length, uint16_t flags)
{
    volatile struct virtio_descriptor *descriptor = &queue->descriptor[index];

    descriptor->address = (uint64_t)at;
    descriptor->length = length;
    descriptor->flags = flags;
    descriptor->next = (uint16_t)(index + 1);
}

static void transfer(uint32_t type, uint64_t sector)
{
    struct virtio_queue *queue = &disk.queue[0];

    header.type = type;
    header.priority = 0;
    header.sector = sector;
    outcome = 0xff;
    describe(queue, 0, &header, 16, VIRTIO_NEXT);
    describe(queue, 1, data, sizeof(data), type == READ ? VIRTIO_NEXT | VIRTIO_WRITE : VIRTIO_NEXT);
    describe(queue, 2, &outcome, 1, VIRTIO_WRITE);
    virtio_offer(&disk.device, queue, 0);
    wait_for(&disk, 0);
    if (outcome != 0) {
        fail("the disk's answer", outcome);
    }
}

/* ---- what is on the disk ---- */

static uint8_t pattern(uint64_t sector, unsigned byte)
{
    return (uint8_t)(sector * 7 + byte * 13UL + (sector >> 8) + 1);
}

static void compare(uint64_t sector, unsigned shift)
{
    for (unsigned i = 0; i < sizeof(data); i++) {
        if (data[i] != (uint8_t)(pattern(sector + i / SECTOR, i % SECTOR) + shift)) {
            fail("a byte of sector", sector + i / SECTOR);
        }
    }
}

static void use_disk(unsigned round)
{
    uint64_t mine = own + round * SECTORS % OWN_AREA;
    uint64_t common = round * SECTORS % READ_AREA;

    memset(data, 0, sizeof(data));
    transfer(READ, common);
    compare(common, 0);
    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(pattern(mine + i / SECTOR, i % SECTOR) + round);
    }
    transfer(WRITE, mine);
    memset(data, 0, sizeof(data));
    transfer(READ, mine);
    compare(mine, round);
}

/* ---- the network: ARP, RFC 826 ---- */

static const uint8_t router[] = {10, 0, 2, 2};

/* "Who has 10.0.2.2? Tell 10.0.2.15." */
static void build_question(void)
{
    static const uint8_t question[ARP_LENGTH] = {
        0xff, 0xff, 0xff, 0xff, 0xff,      0xff, [12] = 8, 6,  0,         1, 8, 0,
        6,    4,    0,    1,    [28] = 10, 0,    2,        15, [38] = 10, 0, 2, 2};
    uint8_t *frame = sent + NET_HEADER;

    memcpy(frame, question, sizeof(question));
    for (uint16_t i = 0; i < MAC_LENGTH; i++) {
        frame[MAC_LENGTH + i] = inb((uint16_t)(virtio_config(&net.device) + i));
    }
    memcpy(frame + ARP_SENDER_MAC, frame + MAC_LENGTH, MAC_LENGTH);
}

static bool is_answer(const uint8_t *frame)
{
    return frame[ARP_TYPE] == 8 && frame[ARP_TYPE + 1] == 6 && frame[ARP_OPERATION] == ARP_REPLY &&
           memcmp(frame + ARP_SENDER, router, sizeof(router)) == 0 &&
           memcmp(frame, sent + NET_HEADER + MAC_LENGTH, MAC_LENGTH) == 0;
}

static void listen(void)
{
    memset(received, 0, sizeof(received));
    describe(&net.queue[RECEIVE], 0, received, sizeof(received), VIRTIO_WRITE);
    virtio_offer(&net.device, &net.queue[RECEIVE], 0);
}

/* The router also sends what nobody asked for. */
static void use_net(void)
{
    listen();
    describe(&net.queue[TRANSMIT], 0, sent, sizeof(sent), 0);
    virtio_offer(&net.device, &net.queue[TRANSMIT], 0);
    wait_for(&net, TRANSMIT);
    wait_for(&net, RECEIVE);
    while (!is_answer(received + NET_HEADER)) {
        listen();
        wait_for(&net, RECEIVE);
    }
}

int main(void)
{
    name = strstr(guest_command_line(), "name=");
    name = name ? name + strlen("name=") : "?";
    own = (uint32_t)guest_option("area", READ_AREA);
    msix = guest_option("msix", 0) != 0;
    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR_FIRST, handle_disk);
    interrupt_set_handler(VECTOR_FIRST + 1, handle_net);
    open_device(DISK, &disk, VECTOR_FIRST, 0);
    open_queue(&disk, 0, rings[0]);
    go(&disk);
    open_device(CARD, &net, VECTOR_FIRST + 1, FEATURE_MAC);
    build_question();
    open_queue(&net, RECEIVE, rings[1]);
    open_queue(&net, TRANSMIT, rings[2]);
    go(&net);
    printf("%.1s: begins\n", name);
    for (unsigned round = 1;; round++) {
        use_disk(round);
        use_net();
        if (round % ROUNDS == 0) {
            printf("%.1s: %u rounds\n", name, round);
        }
        obey();
    }
}
