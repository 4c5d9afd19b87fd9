/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses and interrupts, one at a time. The device answers a request for its name (GET_ID) while
 * it is notified, so its interrupt comes at once: the time from the OUT to the handler is
 * the notification and the interrupt, and nothing else.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/lib/virtio.h"
#include "guest/vbench/vbench.h"

#define DISK       0x1001
#define GET_ID     8U
#define NAME_BYTES 20U
#define MASKED     (1U << 16)
#define DRIVER_OK  (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK)
#define RING_PAGES 16U
#define ISR_QUEUE  1U

static struct virtio_device disk;
static struct virtio_queue queue;
static uint8_t ring[RING_PAGES * PAGE] __attribute__((aligned(4096)));
static struct {
    uint32_t type, priority;
    uint64_t sector;
} header __attribute__((aligned(16)));
static uint8_t name[NAME_BYTES];
static volatile uint8_t outcome;

static uint16_t port(unsigned offset)
{
    return (uint16_t)(disk.base + offset);
}

/* ---- registers ---- */

/* The time between two readings of the TSC with INSTRUCTION in between. */
#define TIME(instruction, ...)                     \
    ({                                             \
        uint64_t start_ = rdtsc();                 \
        __asm__ volatile(instruction __VA_ARGS__); \
        rdtsc() - start_;                          \
    })
#define TIME_OUT(name, at, value, suffix, reg)                                    \
    static uint64_t time_##name(void)                                             \
    {                                                                             \
        return TIME("out" suffix " %" reg "0, %w1", ::"a"(value), "d"(port(at))); \
    }
#define TIME_IN(name, at, suffix, reg)                                             \
    static uint64_t time_##name(void)                                              \
    {                                                                              \
        uint32_t value;                                                            \
                                                                                   \
        return TIME("in" suffix " %w1, %" reg "0", : "=a"(value) : "d"(port(at))); \
    }

static uint64_t time_nothing(void)
{
    return TIME("");
}

TIME_OUT(status_write, VIRTIO_STATUS, DRIVER_OK, "b", "b")
TIME_OUT(select_write, VIRTIO_QUEUE_SELECT, 0, "w", "w")
TIME_IN(features_read, VIRTIO_HOST_FEATURES, "l", "")
TIME_IN(size_read, VIRTIO_QUEUE_SIZE, "w", "w")
TIME_IN(status_read, VIRTIO_STATUS, "b", "b")
TIME_IN(config_read, 0x14, "l", "") /* MSI-X is off: the lower half of the capacity */
TIME_IN(isr_read, VIRTIO_ISR, "b", "b")

/* ---- interrupts ---- */

static void handle_message(struct guest_frame *frame)
{
    interrupt.arrived = rdtsc();
    mmio_write(APIC_BASE + APIC_EOI, 0);
    interrupt.ended = rdtsc();
    interrupt.taken++;
}

static void handle_intx(struct guest_frame *frame)
{
    interrupt.arrived = rdtsc();
    uint8_t isr = inb(port(VIRTIO_ISR));

    mmio_write(APIC_BASE + APIC_EOI, 0);
    interrupt.ended = rdtsc();
    interrupt.taken += isr & ISR_QUEUE;
}

static void describe(unsigned index, volatile const void *at, uint32_t length, uint16_t flags)
{
    queue.descriptor[index] = (struct virtio_descriptor){
        .address = (uint64_t)at, .length = length, .flags = flags, .next = (uint16_t)(index + 1)};
}

/* Offer a request that the device answers at once; the time of the OUT. */
static uint64_t ask_name(void)
{
    uint16_t index = queue.available->index;
    unsigned before = interrupt.taken;
    uint32_t length = 0;

    header.type = GET_ID;
    outcome = 0xff;
    describe(0, &header, 16, VIRTIO_NEXT);
    describe(1, name, sizeof(name), VIRTIO_NEXT | VIRTIO_WRITE);
    describe(2, &outcome, 1, VIRTIO_WRITE);
    queue.available->ring[index % queue.size] = 0;
    __asm__ volatile("mfence" ::: "memory");
    queue.available->index = (uint16_t)(index + 1);
    __asm__ volatile("mfence" ::: "memory");
    uint64_t start = rdtsc();

    __asm__ volatile("outw %w0, %w1" ::"a"(0), "d"(port(VIRTIO_QUEUE_NOTIFY)) : "memory");
    for (unsigned i = 0; i < POLLS && interrupt.taken == before; i++) {
        cpu_relax();
    }
    CHECK(virtio_take(&queue, &length));
    CHECK_EQUAL(outcome, 0);
    return start;
}

static void start(bool msix)
{
    virtio_reset(&disk);
    virtio_msix_enable(&disk, msix);
    outb(port(VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE);
    outb(port(VIRTIO_STATUS), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    outl(port(VIRTIO_GUEST_FEATURES), 0);
    if (!CHECK(virtio_set_up_queue(&disk, 0, ring, sizeof(ring), &queue))) {
        test_end();
    }
    if (msix) {
        outw(port(VIRTIO_QUEUE_VECTOR), 0);
        CHECK_EQUAL(inw(port(VIRTIO_QUEUE_VECTOR)), 0);
    }
    outb(port(VIRTIO_STATUS), DRIVER_OK);
}

void measure_accesses(bool interrupts)
{
    static const struct {
        const char *name;
        uint64_t (*time)(void);
    } rows[] = {
        {"status_write",  time_status_write },
        {"select_write",  time_select_write },
        {"features_read", time_features_read},
        {"size_read",     time_size_read    },
        {"status_read",   time_status_read  },
        {"config_read",   time_config_read  },
        {"isr_read",      time_isr_read     },
    };

    test_group("accesses");
    if (!CHECK(virtio_find(DISK, &disk)) || !CHECK(disk.msix != 0)) {
        test_end();
    }
    unsigned pin = PIRQ_PIN + (disk.slot + 3) % 4;

    interrupt_set_handler(VECTOR_INTX, handle_intx);
    interrupt_set_handler(VECTOR_DISK, handle_message);
    ioapic_route(pin, VECTOR_INTX | LEVEL, 0);
    start(false);
    uint64_t notify = measure_notify(port(VIRTIO_QUEUE_NOTIFY));
    uint64_t base = sample(time_nothing);

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        report(rows[i].name, rows[i].time, base);
    }
    if (!interrupts) {
        ioapic_route(pin, MASKED, 0);
        virtio_reset(&disk);
        return;
    }
    measure_interrupt("intx", "intx_whole", ask_name, notify);
    ioapic_route(pin, MASKED, 0);
    virtio_msix_set(&disk, 0, VECTOR_DISK, 0);
    start(true);
    measure_interrupt("msix", "msix_whole", ask_name, notify);
    virtio_reset(&disk);
    virtio_msix_enable(&disk, false);
}
