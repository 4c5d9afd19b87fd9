/* SPDX-License-Identifier: BSD-2-Clause */
/* The function's MSI-X table and BARs, notifications and resets, misused. */
#include "guest/lib/apic.h"
#include "guest/vbad/vbad.h"

#include <stdio.h>

#define BAR0          0x10
#define BAR1          0x14
#define COMMAND       0x04
#define COMMAND_ALL   3U
#define ENTRIES_MAX   128U
#define FLOOD_DEFAULT 100000U
#define RESETS        40U
#define VECTOR_NMI    2
#define VECTORS_FROM  0x20U
#define HPET          0xfed00000U

enum delivery { DELIVERY_FIXED, DELIVERY_LOWEST, DELIVERY_SMI, DELIVERY_NMI = 4 };

static volatile unsigned seen, nmis;

static void handle_any(struct guest_frame *frame)
{
    seen++;
    apic_write(APIC_EOI, 0);
}

static void handle_nmi(struct guest_frame *frame)
{
    nmis++;
}

/* ---- the MSI-X table ---- */

static void entry_write(unsigned index, uint64_t address, uint32_t data)
{
    uint64_t entry = disk.memory + (uint64_t)index * 16;

    mmio_write(entry, (uint32_t)address);
    mmio_write(entry + 4, (uint32_t)(address >> 32));
    mmio_write(entry + 8, data);
    mmio_write(entry + 12, 0);
}

/* One request, whose end is told by entry 1 as it is now. */
static void trigger(void)
{
    (void)disk_transfer(READ, 0, (uint64_t)buffer, SECTOR);
    for (unsigned i = 0; i < 64; i++) {
        cpu_relax();
        irq_poll();
    }
}

/* Addresses that no interrupt has, or interrupts that nobody awaits. */
static const uint64_t addresses[] = {
    0x0,         0x1000,      0x100000,   0x3f000000,         0xc0000000,         0xe0000000,
    0xfec00000,  0xfed00000,  0xfed90000, 0xfedffffc,         0xfef00000,         0xfffffffc,
    0x100000000, 0x1fee00000, 0xfee00ff8, 0xffffffffffffffff, 0xfee00000fee00000, 0xfee00010,
    0xfee0f000,  0xfee0f01c,  0xfee0ff0c, 0xfee01000,         0xfee02000,         0xfee7f000,
    0xfeefe000,  0xfee0000c,  0xfee00004,
};

/* DELIVERY << 8 | vector; not INIT, which ends this guest: case 'init'. */
static const uint32_t messages[] = {
    0x000, 0x001, 0x00f, 0x010, 0x030, 0x0ef, 0x0ff, 0x131,  0x200,  0x2ff,      0x300,
    0x3ff, 0x400, 0x4ff, 0x600, 0x6ff, 0x700, 0x7ff, 0x8031, 0xc031, 0xffff0031, 0xfffff8ff,
};

static void wild_table_accesses(void)
{
    for (unsigned at = 0; at < 4096; at += 4) {
        mmio_write(disk.memory + at, 0xfee00000U + at);
    }
    for (unsigned at = 0; at < 4096 - 8; at += 3) {
        *(volatile uint8_t *)(disk.memory + at) = 0xff;
        *(volatile uint16_t *)(disk.memory + at) = 0xffff;
        *(volatile uint64_t *)(disk.memory + at) = UINT64_MAX;
        (void)*(volatile uint64_t *)(disk.memory + at);
    }
}

/* Those that this guest survives: SMI, NMI, and fixed ones that it has a handler for. */
static bool for_own_cpu(uint32_t message)
{
    uint32_t delivery = message >> 8 & 7;

    return delivery == DELIVERY_SMI || delivery == DELIVERY_NMI ||
           (delivery <= DELIVERY_LOWEST && (message & 0xff) >= VECTORS_FROM);
}

/* Each address and each message, sent by the device. Returns how many. */
static unsigned trigger_all(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < sizeof(addresses) / sizeof(*addresses); i++, count++) {
        entry_write(1, addresses[i], 0x31);
        trigger();
    }
    for (unsigned i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
        /* CPU 0 is this one; the others are none of this VM's. */
        for (uint32_t target = for_own_cpu(messages[i]) ? 0 : 1; target < 4; target++, count++) {
            entry_write(1, 0xfee00000U | target << 12, messages[i]);
            trigger();
        }
    }
    return count;
}

void case_table(uint64_t address, uint64_t value)
{
    for (unsigned vector = VECTORS_FROM; vector < 0x100; vector++) {
        interrupt_set_handler(vector, handle_any);
    }
    interrupt_set_handler(VECTOR_NMI, handle_nmi);
    disk_start(true);
    wild_table_accesses();
    disk_start(true);
    unsigned count = trigger_all();

    /* Entries that the device has not, and vectors that the table has not. */
    outw((uint16_t)(disk.base + VIRTIO_QUEUE_VECTOR), ENTRIES_MAX + 1);
    trigger();
    outw((uint16_t)(disk.base + VIRTIO_CONFIG_VECTOR), 0xfffe);
    trigger();
    virtio_msix_set(&disk, 1, VECTOR_OWN, 0);
    disk_start(true);
    unsigned before = seen;

    trigger();
    for (unsigned i = 0; i < POLLS_MAX && seen == before; i++) {
        cpu_relax();
        irq_poll();
    }
    CHECK(seen != before);
    printf("table: %u messages, %u interrupts and %u NMIs here\n", count, seen, nmis);
}

/* ---- BARs ---- */

static const uint32_t ports[] = {0x00,  0x20,  0x40,  0x60,  0xa0,  0xe0,  0x3e0,  0x4c0,
                                 0x500, 0x600, 0x700, 0xce0, 0xcf8, 0xcfc, 0xfff0, 0x1ff00};
static const uint32_t places[] = {0x0,        0x1000,     0x100000,   0x3000000,
                                  0x4000000,  0xdffff000, 0xfebff000, 0xfec00000,
                                  0xfed00000, 0xfed90000, 0xfee00000, 0xfffff000};

/* The devices below the function are still there and are what the guest gets. */
static void check_devices(void)
{
    CHECK_EQUAL(inb(0x21), 0xff);
    CHECK_EQUAL(inb(0xa1), 0xff);
    CHECK_EQUAL(pci_read(0, 0), 0x12378086);
    CHECK_EQUAL(ioapic_read(1) & 0xff, 0x20);
    CHECK_EQUAL(apic_id(), 0);
    CHECK((inb(0x3fd) & 0x20) != 0);
}

static void poke_ports(uint32_t base)
{
    for (unsigned i = 0; i < 0x20 && base + i < 0x10000; i++) {
        uint16_t at = (uint16_t)(base + i);

        /* Not the ports that would end the guest or talk to the test. */
        if ((at >= 0x3f8 && at < 0x400) || (at >= 0xf0 && at < 0x100) || at == 0x64 || at == 0x92 ||
            (at >= 0xcf8 && at < 0xd00) || (at >= 0x600 && at < 0x620)) {
            continue;
        }
        (void)inb(at);
        outb(at, 0); /* to an 8259 not the beginning of an initialisation */
    }
    pic_mask_all();
}

static void poke_memory(uint32_t base)
{
    static const uint32_t marker = 0x600dda7a;
    uint32_t own = base >= 0x3000000 && base < 0x4000000 ? 1 : 0;

    if (own) {
        mmio_write(base, marker);
        CHECK_EQUAL(mmio_read(base), marker);
    } else if (base >= 0x4000000 && base < 0xfec00000) {
        mmio_write(base, 0xfee00000);
        (void)mmio_read(base + 0x800);
    } else if (base == HPET) {
        (void)mmio_read(base);
    }
}

void case_bars(uint64_t address, uint64_t value)
{
    disk_start(false);
    for (unsigned i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
        disk_offer(0, READ, 0, (uint64_t)buffer, SECTOR, true);
        pci_write(disk.function, BAR0, ports[i]);
        poke_ports(ports[i]);
        check_devices();
    }
    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
        pci_write(disk.function, BAR1, places[i]);
        poke_memory(places[i]);
        check_devices();
    }
    pci_write(disk.function, BAR0, disk.base);
    pci_write(disk.function, BAR1, (uint32_t)disk.memory);
    disk_start(false);
    CHECK(disk_transfer(READ, 0, (uint64_t)buffer, SECTOR));
    printf("bars: moved over everything\n");
}

void case_decode(uint64_t address, uint64_t value)
{
    for (unsigned i = 0; i < RESETS; i++) {
        disk_start(false);
        disk_load();
        pci_write(disk.function, COMMAND, i % 4);
        (void)inb((uint16_t)(disk.base + VIRTIO_STATUS));
        outw((uint16_t)(disk.base + VIRTIO_QUEUE_NOTIFY), 0);
        (void)mmio_read(disk.memory);
        pci_write(disk.function, COMMAND, COMMAND_ALL);
    }
    disk_start(false);
    CHECK(disk_transfer(READ, 0, (uint64_t)buffer, SECTOR));
    printf("decode: switched off in the middle\n");
}

/* ---- notifications, resets ---- */

void case_flood(uint64_t address, uint64_t value)
{
    unsigned count = value ? (unsigned)value : FLOOD_DEFAULT;
    uint16_t port = (uint16_t)(disk.base + VIRTIO_QUEUE_NOTIFY);

    disk_start(false);
    for (unsigned i = 0; i < count; i++) {
        outw(port, i % 16 == 15 ? (uint16_t)i : 0);
    }
    CHECK(disk_transfer(READ, 0, (uint64_t)buffer, SECTOR));
    printf("flood: %u notifications\n", count);
}

/* Nothing is written to the buffer once the reset has ended. */
void case_resets(uint64_t address, uint64_t value)
{
    for (unsigned i = 0; i < RESETS; i++) {
        disk_start(i % 2 != 0);
        disk_load();
        virtio_reset(&disk);
        buffer[0] = 0x5a;
        buffer[BUFFER - 1] = 0xa5;
        for (unsigned k = 0; k < POLLS / RESETS; k++) {
            cpu_relax();
        }
        CHECK_EQUAL(buffer[0], 0x5a);
        CHECK_EQUAL(buffer[BUFFER - 1], 0xa5);
    }
    printf("resets: %u with I/O under way\n", RESETS);
}
