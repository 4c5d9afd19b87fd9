/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts, and waiting with and without them. One driver has them at a time. */
#include "guest/drivers/drivers.h"
#include "guest/lib/apic.h"

#include <stdio.h>

#define VECTOR_LINE    0x51
#define VECTOR_ENTRIES 0x60 /* and on: the entries of the MSI-X table */
#define ENTRIES_MAX    (QUEUES_MAX + 1)
#define LEVEL          (1U << 15)
#define MASKED         (1U << 16)
#define ISR_QUEUE      1
#define ISR_CONFIG     2
#define NO_NOTIFY      1 /* flag of the used ring */

static struct driver *current;
static volatile unsigned lines, idle_lines, config_lines;
static volatile unsigned messages[ENTRIES_MAX];

static void handle_line(struct guest_frame *frame)
{
    uint8_t isr = inb(driver_port(current, VIRTIO_ISR));

    lines += isr & ISR_QUEUE ? 1 : 0;
    config_lines += isr & ISR_CONFIG ? 1 : 0;
    idle_lines += isr == 0 ? 1 : 0;
    apic_write(APIC_EOI, 0);
}

static void handle_message(struct guest_frame *frame)
{
    messages[frame->vector - VECTOR_ENTRIES]++;
    apic_write(APIC_EOI, 0);
}

void wait_set_up(void)
{
    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR_LINE, handle_line);
    for (unsigned entry = 0; entry < ENTRIES_MAX; entry++) {
        interrupt_set_handler(VECTOR_ENTRIES + entry, handle_message);
    }
}

void wait_begin(struct driver *driver)
{
    current = driver;
    lines = idle_lines = config_lines = 0;
    for (unsigned entry = 0; entry < ENTRIES_MAX; entry++) {
        messages[entry] = 0;
    }
    if (driver->style->interrupts != POLLED) {
        ioapic_route(driver->pci.line, VECTOR_LINE | LEVEL, apic_id());
    }
}

/* Whatever was on its way to this CPU is taken, and counted, before the line is masked. */
void wait_end(void)
{
    irq_enable();
    cpu_relax();
    irq_disable();
    ioapic_route(current->pci.line, MASKED, 0);
}

void wait_arm(const struct driver *driver, unsigned entry)
{
    driver_step();
    virtio_msix_set(&driver->pci, entry, (uint8_t)(VECTOR_ENTRIES + entry), (uint8_t)apic_id());
}

/* ---- EVENT_IDX ---- */

static bool has_event_index(const struct driver *driver)
{
    return (driver->features & FEATURE_EVENT_INDEX) != 0;
}

static volatile uint16_t *used_event(const struct virtio_queue *queue)
{
    return &queue->available->ring[queue->size];
}

static uint16_t available_event(const struct virtio_queue *queue)
{
    return *(volatile const uint16_t *)&queue->used->ring[queue->size];
}

void wait_kick(struct driver *driver, unsigned number)
{
    struct virtio_queue *queue = &driver->queue[number];
    uint16_t index = queue->available->index, before = driver->kicked[number];

    driver_step(); /* the chain is there, and the device does not know */

    bool wanted = (queue->used->flags & NO_NOTIFY) == 0;

    if (has_event_index(driver)) {
        wanted = (uint16_t)(index - available_event(queue) - 1) < (uint16_t)(index - before);
    }
    driver->kicked[number] = index;
    if (wanted) {
        driver_step(); /* nor does it know that it wanted to */
        virtio_notify(&driver->pci, queue);
    }
}

/* Ask for an interrupt for the next chain. False: it is there already. */
static bool ask_for_interrupt(const struct driver *driver, struct virtio_queue *queue)
{
    driver_step();
    if (!has_event_index(driver)) {
        return true; /* they were never off */
    }
    *used_event(queue) = queue->seen;
    __asm__ volatile("mfence" ::: "memory");
    return queue->used->index == queue->seen;
}

/* ---- waiting ---- */

static uint16_t poll_for(struct driver *driver, unsigned number, uint32_t *length)
{
    uint32_t rules = driver->style->rules;
    uint16_t head;

    while (!virtio_take_chain(&driver->queue[number], &head, length)) {
        if (rules & RULE_ISR_EACH_POLL) {
            (void)inb((uint16_t)(driver->pci.base + VIRTIO_ISR)); /* however often: no step */
        }
        cpu_relax();
    }
    if (rules & RULE_ISR_EACH_REQUEST) {
        (void)inb(driver_port(driver, VIRTIO_ISR));
    }
    return head;
}

static unsigned interrupts_so_far(const struct driver *driver)
{
    if (driver->way == BY_INTX) {
        return lines;
    }
    return messages[driver->shared ? 1 : queues_main(driver) + 1];
}

/* Take one of the main queue's. With the last one the driver goes to sleep. */
static bool take(struct driver *driver, uint16_t *head, uint32_t *length)
{
    struct virtio_queue *queue = &driver->queue[queues_main(driver)];
    bool taken = virtio_take_chain(queue, head, length);

    if (queue->used->index == queue->seen) {
        driver->awake = !ask_for_interrupt(driver, queue);
    }
    return taken;
}

/*
 * Awake, the driver takes what is there; asleep, it finds what comes only because of an interrupt.
 * One that is lost stops the test.
 */
uint16_t wait_for(struct driver *driver, unsigned number, uint32_t *length)
{
    uint16_t head;

    driver_step();
    if (driver->way == POLLED || number != queues_main(driver)) {
        return poll_for(driver, number, length);
    }
    for (;;) {
        while (!driver->awake) {
            if (interrupts_so_far(driver) == driver->woken) {
                irq_wait();
            }
            driver->awake = interrupts_so_far(driver) != driver->woken;
            driver->woken = interrupts_so_far(driver);
        }
        if (take(driver, &head, length)) {
            return head;
        }
    }
}

/* ---- device configuration ---- */

static unsigned changes_so_far(const struct driver *driver)
{
    return driver->way == BY_INTX ? config_lines : messages[0];
}

void wait_for_change(struct driver *driver)
{
    while (changes_so_far(driver) == driver->changes) {
        irq_wait();
    }
    driver->changes = changes_so_far(driver);
}

/* ---- checks ---- */

void wait_check_dump(struct driver *driver)
{
    if (driver->way == BY_INTX) {
        while (!apic_bit(APIC_IRR, VECTOR_LINE)) {
            cpu_relax();
        }
    }
    driver_dump(driver);
    if (driver->way == BY_INTX) {
        CHECK_EQUAL(inb(driver_port(driver, VIRTIO_ISR)) & ISR_QUEUE, ISR_QUEUE);
        CHECK(inb(driver_port(driver, VIRTIO_ISR)) == 0 || devices_move);
        lines++; /* the handler will see none of it */
    }
}

void wait_report(const struct driver *driver)
{
    unsigned wanted = driver->way == POLLED ? 0 : interrupts_so_far(driver);

    printf("  %s%s: %u by line, %u of them idle, %u changes, messages %u %u %u %u\n",
           driver->way == POLLED    ? "polled"
           : driver->way == BY_INTX ? "INTx"
                                    : "MSI-X",
           driver->way == BY_MSIX && driver->shared ? ", shared" : "", lines + idle_lines,
           idle_lines, config_lines, messages[0], messages[1], messages[2], messages[3]);
    CHECK((driver->way == POLLED) == (wanted == 0));
    CHECK((driver->changes == 0) == (config_lines + messages[0] == 0));
    if (devices_move) {
        return; /* one was there for it, in whatever way it had at the time */
    }
    if (driver->way != BY_INTX) {
        CHECK_EQUAL(lines + config_lines, 0);
    }
    if (driver->way != BY_MSIX) {
        CHECK_EQUAL(messages[0] + messages[1] + messages[2] + messages[3], 0);
    }
}
