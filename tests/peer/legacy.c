/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy I/O BAR that virtio-vfio-pci shows for a net VF. Each access to it is an
 * administration command to the PF, but for notifications, which go to the address that the device
 * names.
 */
#include "peer.h"

#include <errno.h>

#define BAR_SIZE       32U /* 24 of header, address and status */
#define HOST_FEATURES  0x00U
#define GUEST_FEATURES 0x04U
#define QUEUE_PFN      0x08U
#define QUEUE_SIZE     0x0cU
#define QUEUE_SELECT   0x0eU
#define QUEUE_NOTIFY   0x10U
#define STATUS         0x12U
#define ISR            0x13U
#define CONFIG_VECTOR  0x14U
#define QUEUE_VECTOR   0x16U
#define CONFIG         0x14U
#define CONFIG_MSIX    0x18U
#define NET_STATUS_AT  6U
#define NET_MAC        (1U << 5)
#define NET_STATUS     (1U << 16)
#define STATUS_DRIVER  3U
#define STATUS_OK      7U
#define ISR_QUEUE      1U
#define RX             0
#define TX             1

static uint64_t get(const struct vf *vf, unsigned offset, unsigned size)
{
    return vf_read(vf, vf->bars[0] + offset, size);
}

static void set(const struct vf *vf, unsigned offset, unsigned size, uint64_t value)
{
    vf_write(vf, vf->bars[0] + offset, size, value);
}

void driver_notify(const struct driver *driver, unsigned queue)
{
    if (driver->is_legacy) {
        set(driver->vf, QUEUE_NOTIFY, 2, queue);
        return;
    }
    vf_write(driver->vf,
             driver->notify + (uint64_t)driver->notify_offsets[queue] * driver->notify_multiplier,
             2, queue);
}

/* What a guest sees: a transitional device. */
static void check_identity(const struct vf *vf)
{
    uint64_t value;

    expect_value("vendor", vf_read(vf, vf->config, 2), 0x1af4);
    expect_value("device", vf_read(vf, vf->config + 2, 2), 0x1000);
    expect_value("revision", vf_read(vf, vf->config + 8, 1), 0);
    expect_value("subsystem", vf_read(vf, vf->config + 0x2e, 2), 1);
    expect_value("BAR 0's type", vf_read(vf, vf->config + 0x10, 4) & 3, 1);
    expect_value("BAR 0's size", vf->bar_sizes[0], BAR_SIZE);
    vf_set_command(vf, 0);
    expect_value("read with I/O space off", (unsigned)vf_try_read(vf, vf->bars[0], 4, &value), EIO);
    vf_set_command(vf, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER);
    say("identity and BAR 0 are those of a transitional device");
}

static void check_mac(const struct vf *vf, unsigned config, const uint8_t *mac)
{
    for (unsigned i = 0; i < 6; i++) {
        expect_value("byte of the address", get(vf, config + i, 1), mac[i]);
    }
}

/* Command 4 writes, command 5 reads: an address is written byte by byte. */
static void check_config(const struct vf *vf, unsigned config, const uint8_t *mac)
{
    static const uint8_t other[6] = {0x06, 0x54, 0x12, 0x34, 0x56, 0x78};

    check_mac(vf, config, mac);
    for (unsigned i = 0; i < 6; i++) {
        set(vf, config + i, 1, other[i]);
    }
    check_mac(vf, config, other);
    for (unsigned i = 0; i < 6; i++) {
        set(vf, config + i, 1, mac[i]);
    }
    check_mac(vf, config, mac);
    expect_value("link status", get(vf, config + NET_STATUS_AT, 2), 1);
}

static void check_refusals(const struct vf *vf)
{
    uint64_t value;

    expect_value("read of two registers at once",
                 (unsigned)vf_try_read(vf, vf->bars[0] + QUEUE_SELECT, 4, &value), EINVAL);
    expect_value("read across the end of a register",
                 (unsigned)vf_try_read(vf, vf->bars[0] + HOST_FEATURES + 2, 4, &value), EINVAL);
    expect_value("write of two registers at once",
                 (unsigned)vf_try_write(vf, vf->bars[0] + STATUS, 2, 0), EINVAL);
}

/* To DRIVER_OK with both queues; their vectors are their numbers, if MSI-X is on. */
void legacy_start(struct driver *driver, struct vf *vf)
{
    bool has_msix = vf->events[0] >= 0;

    *driver = (struct driver){.vf = vf, .is_legacy = true, .is_net = true};
    set(vf, STATUS, 1, 0);
    expect_value("status after a reset", get(vf, STATUS, 1), 0);
    set(vf, STATUS, 1, STATUS_DRIVER);
    expect_value("status", get(vf, STATUS, 1), STATUS_DRIVER);
    expect_value("features", get(vf, HOST_FEATURES, 4) & (NET_MAC | NET_STATUS),
                 NET_MAC | NET_STATUS);
    set(vf, GUEST_FEATURES, 4, NET_MAC | NET_STATUS);
    expect_value("accepted features", get(vf, GUEST_FEATURES, 4), NET_MAC | NET_STATUS);
    for (uint16_t i = RX; i <= TX; i++) {
        struct queue *queue = &driver->queues[i];

        set(vf, QUEUE_SELECT, 2, i);
        expect_value("selected queue", get(vf, QUEUE_SELECT, 2), i);
        expect_value("PFN of a new queue", get(vf, QUEUE_PFN, 4), 0);
        queue_init(queue, i, (uint16_t)get(vf, QUEUE_SIZE, 2));
        set(vf, QUEUE_PFN, 4, queue_descriptors(queue) >> 12);
        expect_value("PFN", get(vf, QUEUE_PFN, 4), queue_descriptors(queue) >> 12);
        if (has_msix) {
            set(vf, QUEUE_VECTOR, 2, i);
            expect_value("queue vector", get(vf, QUEUE_VECTOR, 2), i);
        }
    }
    set(vf, QUEUE_SELECT, 2, 64);
    expect_value("size of a queue that is not there", get(vf, QUEUE_SIZE, 2), 0);
    set(vf, STATUS, 1, STATUS_OK);
    expect_value("status", get(vf, STATUS, 1), STATUS_OK);
}

uint64_t legacy_config(const struct driver *driver, unsigned offset, unsigned size)
{
    return get(driver->vf, (driver->vf->events[0] >= 0 ? CONFIG_MSIX : CONFIG) + offset, size);
}

uint8_t legacy_status(const struct driver *driver)
{
    return (uint8_t)get(driver->vf, STATUS, 1);
}

void legacy_check(struct vf *vf, const uint8_t *mac)
{
    struct driver driver;

    check_identity(vf);
    check_config(vf, CONFIG, mac);
    check_refusals(vf);
    legacy_start(&driver, vf);
    net_post_buffers(&driver);
    (void)get(vf, ISR, 1);
    net_ask(&driver, mac);
    expect_value("ISR", get(vf, ISR, 1), ISR_QUEUE);
    expect_value("ISR that was read", get(vf, ISR, 1), 0);
    say("without MSI-X: registers, frames and ISR work");

    vf_enable_msix(vf);
    legacy_start(&driver, vf);
    set(vf, CONFIG_VECTOR, 2, 2);
    expect_value("configuration vector", get(vf, CONFIG_VECTOR, 2), 2);
    set(vf, CONFIG_VECTOR, 2, 0x7ff);
    expect_value("a vector that is not there", get(vf, CONFIG_VECTOR, 2), 0xffff);
    check_config(vf, CONFIG_MSIX, mac);
    net_post_buffers(&driver);
    net_ask(&driver, mac);
    vf_wait_interrupt(vf, RX);
    vf_wait_interrupt(vf, TX);
    say("with MSI-X: vectors, the shifted configuration, frames and interrupts work");
    set(vf, STATUS, 1, 0);
    expect_value("status after a reset", get(vf, STATUS, 1), 0);
}
