/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps. */
#include "guest/drivers/drivers.h"

#include <string.h>

#define CHUNK_MAX 4U

/* Widths of the fields of device configuration, as far as old drivers know it. */
static const char *const fields[DEVICE_TYPES] = {
    [NET] = "1111112",        /* MAC address, status */
    [BLOCK] = "444421141124", /* capacity in halves; sizes, geometry, topology */
    [CONSOLE] = "224",        /* columns, rows, ports */
    [RNG] = "",
    [SCSI] = "4444444224",
};

uint16_t driver_port(const struct driver *driver, enum virtio_port offset)
{
    driver_step();
    return (uint16_t)(driver->pci.base + offset);
}

/* ---- device configuration ---- */

static void read_config_part(uint16_t port, uint8_t *bytes, unsigned width)
{
    driver_step();

    uint32_t value = width == 4 ? inl(port) : width == 2 ? inw(port) : inb(port);

    memcpy(bytes, &value, width);
}

static unsigned config_length(enum device_type type)
{
    unsigned length = 0;

    for (const char *field = fields[type]; *field != 0; field++) {
        length += (unsigned)(*field - '0');
    }
    return length;
}

/* How much to read at OFFSET: FIELD wide is the field there; LEFT bytes are still wanted. */
static unsigned config_width(enum config_access access, unsigned field, unsigned left)
{
    switch (access) {
    case BY_FIELDS:
        return field;
    case BY_CHUNKS: /* the largest that fits, and fields are no matter */
        return left >= CHUNK_MAX ? CHUNK_MAX : left >= 2 ? 2 : 1;
    case BY_BYTES:
        break;
    }
    return 1;
}

static void read_config(const struct driver *driver, enum config_access access, uint8_t *bytes)
{
    uint16_t base = virtio_config(&driver->pci);
    const char *field = fields[driver->type];
    unsigned length = config_length(driver->type);

    /* The MAC address is a field of its own to those who read in chunks: 4 and 2 bytes. */
    unsigned end = driver->type == NET ? 6 : length;

    for (unsigned at = 0; at < length;) {
        if (at == end) {
            end = length;
        }
        unsigned width = config_width(access, (unsigned)(*field - '0'), end - at);

        read_config_part((uint16_t)(base + at), bytes + at, width);
        at += width;
        field += access == BY_FIELDS ? 1 : 0;
    }
}

/* The style's way gives the same as any other, now and later. */
void driver_read_config(struct driver *driver, bool announced)
{
    uint8_t by_style[CONFIG_MAX], by_bytes[CONFIG_MAX];
    unsigned length = config_length(driver->type);

    read_config(driver, driver->style->config, by_style);
    read_config(driver, BY_BYTES, by_bytes);
    CHECK(memcmp(by_style, by_bytes, length) == 0);
    if (driver->config_known && !announced) {
        CHECK(memcmp(by_style, driver->config, length) == 0);
    }
    memcpy(driver->config, by_style, length);
    driver->config_known = true;
}

/* ---- status and features ---- */

static const uint8_t status_bits[] = {
    [STEP_ACKNOWLEDGE] = VIRTIO_ACKNOWLEDGE,
    [STEP_DRIVER] = VIRTIO_DRIVER,
    [STEP_PRESENT] = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER,
    [STEP_DRIVER_OK] = VIRTIO_DRIVER_OK,
    [STEP_ALL_AT_ONCE] = VIRTIO_DRIVER | VIRTIO_DRIVER_OK,
};

static void add_status(struct driver *driver, uint8_t bits)
{
    uint16_t port = driver_port(driver, VIRTIO_STATUS);

    if (driver->style->rules & RULE_STATUS_READ) {
        driver->status = inb(port);
    }
    driver->status |= bits;
    outb(port, driver->status);
    CHECK_EQUAL(inb(port), driver->status);
}

static void take_back_ok(struct driver *driver)
{
    uint16_t port = driver_port(driver, VIRTIO_STATUS);

    driver->status = inb(port) & (uint8_t)~VIRTIO_DRIVER_OK;
    outb(port, driver->status);
    CHECK_EQUAL(inb(port), driver->status);
}

static void reset(struct driver *driver)
{
    outb(driver_port(driver, VIRTIO_STATUS), 0);
    CHECK_EQUAL(inb(driver_port(driver, VIRTIO_STATUS)), 0);
    driver->status = 0;
    driver->features = 0;
}

static void negotiate(struct driver *driver)
{
    const struct style *style = driver->style;
    uint32_t own = driver->type == NET ? style->net : driver->type == BLOCK ? style->block : 0;

    driver->features = inl(driver_port(driver, VIRTIO_HOST_FEATURES)) & (own | style->ring);
    outl(driver_port(driver, VIRTIO_GUEST_FEATURES), driver->features);
    CHECK_EQUAL(inl(driver_port(driver, VIRTIO_GUEST_FEATURES)), driver->features);
}

/* ---- registers, too wide ---- */

void driver_dump(const struct driver *driver)
{
    static const uint8_t registers[] = {0x00, 0x04, 0x08, 0x0c, 0x0e, 0x10, 0x12};
    uint32_t features = inl(driver_port(driver, VIRTIO_GUEST_FEATURES));
    uint32_t page = inl(driver_port(driver, VIRTIO_QUEUE_PFN));
    uint16_t size = inw(driver_port(driver, VIRTIO_QUEUE_SIZE));
    uint16_t select = inw(driver_port(driver, VIRTIO_QUEUE_SELECT));
    uint8_t status = inb(driver_port(driver, VIRTIO_STATUS));

    for (unsigned i = 0; i < sizeof(registers); i++) {
        (void)inl((uint16_t)(driver->pci.base + registers[i]));
    }
    CHECK_EQUAL(inl(driver_port(driver, VIRTIO_QUEUE_SIZE)) & 0xffff, size);
    CHECK_EQUAL(inl(driver_port(driver, VIRTIO_GUEST_FEATURES)), features);
    CHECK_EQUAL(inl(driver_port(driver, VIRTIO_QUEUE_PFN)), page);
    CHECK_EQUAL(inw(driver_port(driver, VIRTIO_QUEUE_SIZE)), size);
    CHECK_EQUAL(inw(driver_port(driver, VIRTIO_QUEUE_SELECT)), select);
    CHECK_EQUAL(inb(driver_port(driver, VIRTIO_STATUS)), status);
}

/* ---- steps ---- */

static void post_buffers(struct driver *driver)
{
    if (driver->type == NET) {
        net_post(driver);
    } else if (driver->type == CONSOLE) {
        console_post(driver);
    }
}

/* Steps that are for one type only. */
static void run_own_step(struct driver *driver, enum step step)
{
    if (driver->type == NET && step == STEP_CONTROL) {
        net_control(driver);
    } else if (driver->type == NET && step == STEP_WRITE_ADDRESS) {
        net_write_address(driver);
    } else if (driver->type == BLOCK && step == STEP_EARLY) {
        block_early(driver);
    } else if (driver->type == BLOCK && step == STEP_PENDING_DUMP) {
        block_pending_dump(driver);
    }
}

static void run_step(struct driver *driver, enum step step)
{
    switch (step) {
    case STEP_RESET:
        reset(driver);
        break;
    case STEP_READ_ISR:
        (void)inb(driver_port(driver, VIRTIO_ISR));
        break;
    case STEP_MSIX_OFF:
        virtio_msix_enable(&driver->pci, false);
        break;
    case STEP_ACKNOWLEDGE:
    case STEP_DRIVER:
    case STEP_PRESENT:
    case STEP_DRIVER_OK:
    case STEP_ALL_AT_ONCE:
        add_status(driver, status_bits[step]);
        break;
    case STEP_NOT_OK:
        take_back_ok(driver);
        break;
    case STEP_FEATURES:
        negotiate(driver);
        break;
    case STEP_CONFIG:
        driver_read_config(driver, false);
        break;
    case STEP_DUMP:
        driver_dump(driver);
        (void)inl(driver_port(driver, VIRTIO_ISR));
        break;
    case STEP_QUEUES:
        queues_set_up(driver);
        break;
    case STEP_RENEW:
        queues_renew(driver);
        break;
    case STEP_QUEUES_OFF:
        queues_let_go(driver);
        break;
    case STEP_BUFFERS:
        post_buffers(driver);
        break;
    case STEP_CONTROL:
    case STEP_WRITE_ADDRESS:
    case STEP_EARLY:
    case STEP_PENDING_DUMP:
        run_own_step(driver, step);
        break;
    case STEP_END:
        break;
    }
}

void driver_run(struct driver *driver, const enum step *steps)
{
    for (; *steps != STEP_END; steps++) {
        run_step(driver, *steps);
    }
}
