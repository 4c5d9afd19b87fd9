/* SPDX-License-Identifier: BSD-2-Clause */
/* How a driver finds its queues and gives them rings and vectors; and takes them back. */
#include "guest/drivers/drivers.h"

#define RING_BYTES      (8 * 4096UL)
#define CONFIG_PAIRS    8 /* net: how many there are */
#define MSIX_SIZE(word) (((word) >> 16 & 0x7ff) + 1)

static uint8_t rings[QUEUES_MAX][RING_BYTES] __attribute__((aligned(4096)));

struct queue_plan {
    uint8_t count;
    uint8_t main;
    uint8_t silent; /* a bit for each queue that has no vector; net: its last one, for control */
};

static const struct queue_plan plans[DEVICE_TYPES] = {
    [NET] = {.count = 2, .main = 0}, /* of each pair; and one more, if CTRL_VQ is taken */
    [BLOCK] = {.count = 1, .main = 0},
      [CONSOLE] = {.count = 2, .main = 0, .silent = 1 << 1},
    [RNG] = {.count = 1,          .main = 0         },
      [SCSI] = {.count = 3,          .main = 2},
};

unsigned queues_main(const struct driver *driver)
{
    return plans[driver->type].main;
}

unsigned queues_msix_size(const struct driver *driver)
{
    return MSIX_SIZE(pci_read(driver->pci.function, driver->pci.msix));
}

static bool has_rule(const struct driver *driver, enum rule rule)
{
    return (driver->style->rules & (uint32_t)rule) != 0;
}

static bool is_silent(const struct driver *driver, unsigned number)
{
    if (driver->type == NET) {
        return number == plans[NET].count * driver->pairs;
    }
    return (plans[driver->type].silent >> number & 1) != 0;
}

static bool is_skipped(const struct driver *driver, unsigned number)
{
    return driver->type == SCSI && has_rule(driver, RULE_ONLY_REQUEST_QUEUE) &&
           number != queues_main(driver);
}

static void give_ring(struct driver *driver, unsigned number, uint16_t size)
{
    struct virtio_queue *queue = &driver->queue[number];

    if (!CHECK(virtio_lay_out_queue((uint16_t)number, size, rings[number], RING_BYTES, queue))) {
        test_end();
    }
    if (driver->way == POLLED || number != queues_main(driver)) {
        queue->available->flags = VIRTIO_NO_INTERRUPT;
    }
    driver->kicked[number] = 0;
    outl(driver_port(driver, VIRTIO_QUEUE_PFN), virtio_page(queue));
}

/* A queue must be there, and in nobody's use. */
static void find_queue(struct driver *driver, unsigned number)
{
    uint16_t size = 0;
    uint32_t page = 0;

    outw(driver_port(driver, VIRTIO_QUEUE_SELECT), (uint16_t)number);
    if (has_rule(driver, RULE_PFN_FIRST)) {
        page = inl(driver_port(driver, VIRTIO_QUEUE_PFN));
    }
    size = inw(driver_port(driver, VIRTIO_QUEUE_SIZE));
    if (!has_rule(driver, RULE_PFN_FIRST) && !has_rule(driver, RULE_PFN_UNSEEN)) {
        page = inl(driver_port(driver, VIRTIO_QUEUE_PFN));
    }
    CHECK_EQUAL(page, 0);
    give_ring(driver, number, size);
    CHECK_EQUAL(inl(driver_port(driver, VIRTIO_QUEUE_PFN)), virtio_page(&driver->queue[number]));
}

static void find_queues(struct driver *driver)
{
    for (unsigned number = 0; number < driver->queues; number++) {
        if (!is_skipped(driver, number)) {
            find_queue(driver, number);
        }
    }
}

/* ---- vectors ---- */

/* The entry for queue NUMBER: 0 is the configuration's. */
static unsigned entry_of(const struct driver *driver, unsigned number)
{
    return driver->shared ? 1 : number + 1;
}

/* True if the register reads back as VECTOR. */
static bool set_vector(const struct driver *driver, enum virtio_port where, uint16_t vector)
{
    outw(driver_port(driver, where), vector);
    return inw(driver_port(driver, where)) == vector;
}

/* The last queue that has a vector. */
static unsigned last_loud(const struct driver *driver)
{
    unsigned number = driver->queues - 1;

    while (number > 0 && is_silent(driver, number)) {
        number--;
    }
    return number;
}

/* The selected queue's, VECTOR being what it is to get. */
static bool set_queue_vector(struct driver *driver, unsigned number, uint16_t vector)
{
    if (is_silent(driver, number)) {
        return !has_rule(driver, RULE_NO_VECTOR) ||
               set_vector(driver, VIRTIO_QUEUE_VECTOR, VIRTIO_NO_VECTOR);
    }
    return set_vector(driver, VIRTIO_QUEUE_VECTOR, vector);
}

static void switch_msix_on(struct driver *driver, unsigned entries)
{
    for (unsigned entry = 0; entry < entries; entry++) {
        wait_arm(driver, entry);
    }
    virtio_msix_enable(&driver->pci, true);
}

/*
 * One of the tries of Linux 2.6.32. REFUSED: the last vector that is asked for is one that the
 * device has not, so all of it must be taken back.
 */
static bool try_msix(struct driver *driver, bool shared, bool refused)
{
    unsigned size = queues_msix_size(driver);
    unsigned entries = shared ? 2 : driver->queues + 1;
    bool good;

    if (entries > size) {
        return false;
    }
    driver->shared = shared;
    switch_msix_on(driver, entries);
    good = CHECK(set_vector(driver, VIRTIO_CONFIG_VECTOR, 0));
    for (unsigned number = 0; number < driver->queues && good; number++) {
        bool last = refused && number == last_loud(driver);

        if (is_skipped(driver, number)) {
            continue;
        }
        find_queue(driver, number);
        good = set_queue_vector(driver, number, (uint16_t)(last ? size : entry_of(driver, number)));
    }
    if (good) {
        return true;
    }
    CHECK(refused);
    CHECK_EQUAL(inw(driver_port(driver, VIRTIO_QUEUE_VECTOR)), VIRTIO_NO_VECTOR);
    queues_let_go(driver);
    CHECK(set_vector(driver, VIRTIO_CONFIG_VECTOR, VIRTIO_NO_VECTOR));
    virtio_msix_enable(&driver->pci, false);
    return false;
}

void queues_set_up(struct driver *driver)
{
    unsigned refused = driver->style->refused;

    driver->pairs = 1;
    if (driver->type == NET && (driver->features & FEATURE_NET_PAIRS)) {
        driver->pairs = inw((uint16_t)(virtio_config(&driver->pci) + CONFIG_PAIRS));
    }
    driver->queues = plans[driver->type].count * driver->pairs;
    if (driver->type == NET && (driver->features & FEATURE_NET_CONTROL)) {
        driver->queues++;
    }
    if (!CHECK(driver->queues <= QUEUES_MAX)) {
        test_end();
    }
    driver->way = driver->style->interrupts;
    if (driver->way == BY_MSIX) {
        if (try_msix(driver, false, refused > 0) || try_msix(driver, true, refused > 1)) {
            return;
        }
        driver->way = BY_INTX;
    }
    find_queues(driver);
}

/* After a reset: rings and vectors as they were, and no questions. */
void queues_renew(struct driver *driver)
{
    if (driver->way == BY_MSIX) {
        virtio_msix_enable(&driver->pci, true);
        CHECK(set_vector(driver, VIRTIO_CONFIG_VECTOR, 0));
    }
    for (unsigned number = 0; number < driver->queues; number++) {
        if (is_skipped(driver, number)) {
            continue;
        }
        outw(driver_port(driver, VIRTIO_QUEUE_SELECT), (uint16_t)number);
        give_ring(driver, number, driver->queue[number].size);
        if (driver->way == BY_MSIX) {
            CHECK(set_queue_vector(driver, number, (uint16_t)entry_of(driver, number)));
        }
    }
}

void queues_let_go(struct driver *driver)
{
    for (unsigned number = 0; number < driver->queues; number++) {
        outw(driver_port(driver, VIRTIO_QUEUE_SELECT), (uint16_t)number);
        if (driver->pci.msix_on) {
            outw(driver_port(driver, VIRTIO_QUEUE_VECTOR), VIRTIO_NO_VECTOR);
            (void)inb(driver_port(driver, VIRTIO_ISR)); /* so that the write has arrived */
        }
        outl(driver_port(driver, VIRTIO_QUEUE_PFN), 0);
        CHECK_EQUAL(inl(driver_port(driver, VIRTIO_QUEUE_PFN)), 0);
    }
}
