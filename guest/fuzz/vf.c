/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VF with a legacy virtio function: its ports, its MSI-X table, its configuration space, and
 * rings that point anywhere. What the device writes lands in memory that nobody else uses, or in
 * none of this VM's: descriptors that lie where the device writes would soon be a driver for this
 * program's own image. So rings are only ever where VF_RINGS says, or outside RAM.
 */
#include "guest/fuzz/fuzz.h"
#include "guest/lib/virtio.h"

#include <stdio.h>
#include <string.h>

#define BLOCK         0x1001
#define COMMAND       0x04
#define COMMAND_ALL   7U
#define BAR0          0x10
#define BAR1          0x14
#define MSIX_CONTROL  16 /* in the first dword of the capability */
#define REGISTERS_LEN 0x40U
#define PAGE          4096UL
#define VF_RINGS      0x2800000UL /* 40 MiB */
#define RING_AREAS    4U
#define RING_BYTES    (16 * PAGE) /* for 1024 entries */
#define VF_DATA       (VF_RINGS + RING_AREAS * RING_BYTES)
#define DATA_LEN      0x80000U
#define VF_END        (VF_DATA + DATA_LEN)
#define ENTRIES       256U /* that are written of a descriptor table */
#define ADDRESS_MAX \
    (UINT64_MAX >> 1) /* QEMU hangs where a long buffer goes over the end of addresses */
#define LENGTH_MAX    0x8000U
#define QUEUES        5U /* that are selected: one of them is not there */
#define SECTORS       4096U
#define SECTOR        512U
#define CHAIN         3
#define HONEST_SECTOR 64U
#define HONEST_LEN    8192U
#define POLLS         400000000U

struct request_header {
    uint32_t type, priority;
    uint64_t sector;
};

static struct virtio_device vf;
static uint32_t bar[2];
static unsigned area; /* the ring that is being filled */

/* ---- rings ---- */

static volatile struct virtio_descriptor *descriptors(void)
{
    return (volatile struct virtio_descriptor *)(VF_RINGS + area * RING_BYTES);
}

/* Of a queue of ENTRIES; others have it elsewhere, and take what is there for more descriptors,
 * which is zero. */
static volatile struct virtio_available *available(void)
{
    return (volatile struct virtio_available *)((uint64_t)descriptors() +
                                                ENTRIES * sizeof(struct virtio_descriptor));
}

static uint64_t ram_end(void)
{
    return 0x100000 + guest_memory_upper();
}

static uint64_t outside(void)
{
    static const uint64_t places[] = {0xfee00000, 0xfec00000, 0xfed90000, 0xe0000000, 0x3f000000,
                                      0xfffff000, 1UL << 32,  1UL << 52,  ~0xfffUL};

    switch (fuzz_below(3)) {
    case 0:
        return ram_end() + (fuzz_value() & 0xffffff);
    case 1:
        return (fuzz_value() | 1UL << (32 + fuzz_below(31))) & ADDRESS_MAX;
    default:
        return places[fuzz_below(sizeof(places) / sizeof(places[0]))] + fuzz_below(PAGE);
    }
}

/* An address, and in *FLAGS whether a device may write there. */
static uint64_t target(uint16_t *flags)
{
    switch (fuzz_below(6)) {
    case 0:
        *flags = (uint16_t)(fuzz_random() & VIRTIO_WRITE);
        return outside();
    case 1: /* the end of RAM in its middle */
        *flags = (uint16_t)(fuzz_random() & VIRTIO_WRITE);
        return ram_end() - fuzz_below(SECTOR);
    case 2: /* anything of this VM's can be read */
        *flags = 0;
        return fuzz_random() & 0x3ffffff;
    case 3:
        *flags = fuzz_one_in(2) ? VIRTIO_INDIRECT : 0;
        return VF_RINGS + (fuzz_random() & (RING_AREAS * RING_BYTES - 1) & ~15UL);
    default:
        *flags = (uint16_t)(fuzz_random() & VIRTIO_WRITE);
        return VF_DATA + fuzz_below(DATA_LEN / 2);
    }
}

static void describe_at_random(unsigned index)
{
    volatile struct virtio_descriptor *d = &descriptors()[index];
    uint16_t flags;

    d->address = target(&flags);
    d->length =
        (uint32_t)(d->address >= ram_end() - SECTOR ? fuzz_value() : fuzz_below(LENGTH_MAX));
    d->flags = (uint16_t)(flags | (fuzz_random() & VIRTIO_NEXT) |
                          (fuzz_one_in(16) ? fuzz_random() & 0xfff8 : 0));
    d->next = (uint16_t)(fuzz_one_in(8) ? fuzz_value() : fuzz_below(ENTRIES));
}

/* A request as a driver makes it, so that the device has I/O under way; now and then with one of
 * its three parts astray. */
static void describe_request(unsigned index)
{
    struct request_header *header =
        (struct request_header *)(VF_DATA + DATA_LEN - (index + 1UL) * 32);
    uint16_t direction = (uint16_t)(fuzz_random() & VIRTIO_WRITE);

    *header = (struct request_header){direction ? 0 : 1, 0,
                                      fuzz_one_in(16) ? fuzz_value() : fuzz_below(SECTORS)};
    virtio_describe(descriptors(), (uint16_t)index, header, sizeof(*header), VIRTIO_NEXT);
    virtio_describe(descriptors(), (uint16_t)(index + 1),
                    (void *)(VF_DATA + fuzz_below(DATA_LEN / 2)), (size_t)fuzz_below(64) * SECTOR,
                    VIRTIO_NEXT | direction);
    virtio_describe(descriptors(), (uint16_t)(index + 2), (uint8_t *)(header + 1), 1, VIRTIO_WRITE);
    if (fuzz_one_in(8)) {
        describe_at_random(index + fuzz_below(CHAIN));
    }
}

static uint16_t port(unsigned offset)
{
    return (uint16_t)(vf.base + offset);
}

static void notify(void)
{
    outw(port(VIRTIO_QUEUE_NOTIFY),
         (uint16_t)(fuzz_one_in(16) ? fuzz_value() : fuzz_below(QUEUES)));
}

static void do_offer(void)
{
    unsigned count = 1 + fuzz_below(8);

    area = fuzz_below(RING_AREAS);
    for (unsigned i = 0; i < count; i++) {
        unsigned head = fuzz_below(ENTRIES - CHAIN);

        if (fuzz_one_in(4)) {
            describe_at_random(head);
        } else {
            describe_request(head);
        }
        available()->ring[available()->index % ENTRIES] =
            (uint16_t)(fuzz_one_in(32) ? fuzz_value() : head);
        __asm__ volatile("" ::: "memory");
        available()->index++;
    }
    if (fuzz_one_in(16)) {
        available()->index = (uint16_t)fuzz_value();
    }
    available()->flags = (uint16_t)(fuzz_random() & VIRTIO_NO_INTERRUPT);
    notify();
}

/* The device's part of a ring is the guest's memory as well. */
static void do_used(void)
{
    volatile uint16_t *used =
        (volatile uint16_t *)(VF_RINGS + fuzz_below(RING_AREAS) * RING_BYTES + 2 * PAGE);

    used[fuzz_below(4)] = (uint16_t)fuzz_value();
    notify();
}

/* ---- registers ---- */

static uint32_t pfn_choose(void)
{
    if (fuzz_one_in(4)) {
        return fuzz_one_in(4) ? 0 : (uint32_t)(outside() / PAGE) | 0x10000U; /* 256 MiB and more */
    }
    return (uint32_t)((VF_RINGS + fuzz_below(RING_AREAS) * RING_BYTES) / PAGE);
}

static void pfn_write(void)
{
    outw(port(VIRTIO_QUEUE_SELECT),
         (uint16_t)(fuzz_one_in(16) ? fuzz_value() : fuzz_below(QUEUES)));
    outl(port(VIRTIO_QUEUE_PFN), pfn_choose());
}

static void do_start(void)
{
    virtio_reset(&vf);
    memset((void *)VF_RINGS, 0, RING_AREAS * RING_BYTES);
    outb(port(VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    outl(port(VIRTIO_GUEST_FEATURES), fuzz_one_in(2) ? 0 : (uint32_t)fuzz_value());
    outw(port(VIRTIO_QUEUE_SELECT), 0);
    outl(port(VIRTIO_QUEUE_PFN), (uint32_t)(VF_RINGS / PAGE));
    for (unsigned i = fuzz_below(QUEUES); i > 0; i--) {
        pfn_write();
    }
    outb(port(VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
}

static void do_ports(void)
{
    unsigned offset = fuzz_one_in(3) ? fuzz_below(REGISTERS_LEN) : fuzz_below(0x18),
             width = 1U << fuzz_below(3);

    if (fuzz_one_in(2)) {
        fuzz_port_read(port(offset), width);
    } else if (offset == VIRTIO_STATUS && !fuzz_one_in(16)) {
        outb(port(VIRTIO_STATUS), (uint8_t)(fuzz_value() | 1)); /* no reset */
    } else if (fuzz_port_write_allowed(port(offset), width, 0)) {
        fuzz_port_write(port(offset), width, (uint32_t)fuzz_value());
    } else {
        pfn_write();
    }
}

/* ---- BAR 1 ---- */

/* An entry with which a message does come, of a kind that this guest survives. */
static void entry_write(void)
{
    uint64_t entry = vf.memory + 16UL * fuzz_below(8);

    mmio_write(entry, 0xfee00000U | (fuzz_one_in(2) ? 0 : fuzz_below(4) << 12));
    mmio_write(entry + 4, 0);
    mmio_write(entry + 8, (uint32_t)fuzz_message(fuzz_value()));
    mmio_write(entry + 12, fuzz_one_in(4));
}

static void do_table(void)
{
    if (fuzz_one_in(4)) {
        entry_write();
        return;
    }
    uint64_t offset = fuzz_one_in(3)   ? fuzz_below(PAGE)
                      : fuzz_one_in(4) ? 2048 + fuzz_below(32)
                                       : fuzz_below(8 * 16);

    fuzz_access_at(vf.memory + offset, fuzz_value());
}

/* ---- configuration space ---- */

static void config_restore(void)
{
    pci_write(vf.function, BAR0, bar[0]);
    pci_write(vf.function, BAR1, bar[1]);
    pci_write(vf.function, COMMAND, COMMAND_ALL);
}

static void do_config(void)
{
    static const uint8_t favourites[] = {COMMAND, BAR0, BAR1, 0x3c, 0x0c};
    unsigned reg = fuzz_below(256);

    switch (fuzz_below(4)) {
    case 0:
        (void)pci_read(vf.function, (uint8_t)(reg & 0xfc));
        return;
    case 1:
        pci_write(vf.function, vf.msix, (uint32_t)(fuzz_random() & 3) << (MSIX_CONTROL + 14));
        return;
    case 2:
        reg = favourites[fuzz_below(sizeof(favourites))];
        break;
    default:
        reg &= 0xfc;
    }
    pci_write(vf.function, (uint8_t)reg, (uint32_t)fuzz_value());
    notify(); /* may reach nothing now */
    (void)inb(port(VIRTIO_ISR));
    config_restore();
}

void fuzz_run_vf(void)
{
    static void (*const ways[])(void) = {do_offer, do_offer, do_offer, do_ports,  do_ports,
                                         do_ports, do_table, do_table, do_config, do_used};

    for (unsigned i = 0; i < FUZZ_BATCH; i++) {
        if (i % 64 == 0) {
            do_start(); /* most devices do nothing more once a ring makes no sense */
        }
        ways[fuzz_below(sizeof(ways) / sizeof(ways[0]))]();
    }
}

/* ---- as a driver should ---- */

static bool transfer(struct virtio_queue *queue, uint32_t type, void *buffer)
{
    static struct request_header header;
    static volatile uint8_t outcome;
    uint32_t length;

    header = (struct request_header){type, 0, HONEST_SECTOR};
    outcome = 0xff;
    virtio_describe(queue->descriptor, 0, &header, sizeof(header), VIRTIO_NEXT);
    virtio_describe(queue->descriptor, 1, buffer, HONEST_LEN,
                    VIRTIO_NEXT | (type == 0 ? VIRTIO_WRITE : 0));
    virtio_describe(queue->descriptor, 2, &outcome, 1, VIRTIO_WRITE);
    virtio_offer(&vf, queue, 0);
    for (unsigned i = 0; i < POLLS && !virtio_take(queue, &length); i++) {
        __asm__ volatile("pause");
    }
    return CHECK_EQUAL(outcome, 0);
}

/* Whatever was done to the VF before this VM's reset, it works now. */
static void be_honest(void)
{
    uint8_t *out = (uint8_t *)VF_DATA, *in = out + HONEST_LEN;
    struct virtio_queue queue;

    virtio_reset(&vf);
    outb(port(VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    outl(port(VIRTIO_GUEST_FEATURES), 0);
    if (!CHECK(virtio_set_up_queue(&vf, 0, (void *)VF_RINGS, RING_BYTES, &queue))) {
        return;
    }
    outb(port(VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK);
    for (unsigned i = 0; i < HONEST_LEN; i++) {
        out[i] = (uint8_t)(rdtsc() >> 3 ^ i);
    }
    memset(in, 0, HONEST_LEN);
    if (transfer(&queue, 1, out) && transfer(&queue, 0, in) &&
        CHECK(memcmp(in, out, HONEST_LEN) == 0)) {
        printf("fuzz: the VF works\n");
    }
    virtio_reset(&vf);
}

bool fuzz_vf_find(unsigned slot)
{
    if (slot == 0 || !CHECK(virtio_find_from(slot, BLOCK, &vf)) || !CHECK_EQUAL(vf.slot, slot) ||
        !CHECK(guest_memory_upper() + 0x100000 >= VF_END)) {
        return false;
    }
    bar[0] = pci_read(vf.function, BAR0);
    bar[1] = pci_read(vf.function, BAR1);
    fuzz_state->vf_pfn = port(VIRTIO_QUEUE_PFN);
    be_honest();
    return true;
}
