/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers of virtio 1.x, as far as the queues need them. */
#include "peer.h"

#include <unistd.h>

#define CAPABILITIES      0x34U
#define CAPABILITY_VENDOR 9U
#define CFG_COMMON        1U
#define CFG_NOTIFY        2U
#define CFG_DEVICE        4U
#define CAPABILITIES_MAX  48

#define COMMON_FEATURE_SELECT 0x00U
#define COMMON_FEATURE        0x04U
#define COMMON_DRIVER_SELECT  0x08U
#define COMMON_DRIVER         0x0cU
#define COMMON_CONFIG_VECTOR  0x10U
#define COMMON_STATUS         0x14U
#define COMMON_QUEUE_SELECT   0x16U
#define COMMON_QUEUE_SIZE     0x18U
#define COMMON_QUEUE_VECTOR   0x1aU
#define COMMON_QUEUE_ENABLE   0x1cU
#define COMMON_QUEUE_NOTIFY   0x1eU
#define COMMON_QUEUE_DESC     0x20U
#define COMMON_QUEUE_DRIVER   0x28U
#define COMMON_QUEUE_DEVICE   0x30U

#define STATUS_DRIVER      3U
#define STATUS_FEATURES_OK 11U
#define STATUS_DRIVER_OK   15U

#define FEATURES_HIGH 3U /* VERSION_1, ACCESS_PLATFORM */
#define NET_MAC       (1U << 5)
#define NET_STATUS    (1U << 16)

void modern_find(struct driver *driver, struct vf *vf)
{
    uint8_t at = (uint8_t)vf_read(vf, vf->config + CAPABILITIES, 1);

    driver->vf = vf;
    driver->common = driver->notify = driver->device = 0;
    for (int i = 0; at && i < CAPABILITIES_MAX; i++) {
        uint64_t cap = vf->config + at, kind = vf_read(vf, cap + 3, 1),
                 bar = vf_read(vf, cap + 4, 1);

        if (vf_read(vf, cap, 1) == CAPABILITY_VENDOR && bar < 6) {
            uint64_t place = vf->bars[bar] + vf_read(vf, cap + 8, 4);

            if (kind == CFG_COMMON) {
                driver->common = place;
            } else if (kind == CFG_NOTIFY) {
                driver->notify = place;
                driver->notify_multiplier = (uint32_t)vf_read(vf, cap + 16, 4);
            } else if (kind == CFG_DEVICE) {
                driver->device = place;
            }
        }
        at = (uint8_t)vf_read(vf, cap + 1, 1);
    }
    if (!driver->common || !driver->notify || !driver->device) {
        fail("%s lacks modern capabilities", vf->bdf);
    }
}

static uint64_t get(const struct driver *driver, unsigned offset, unsigned size)
{
    return vf_read(driver->vf, driver->common + offset, size);
}

static void set(const struct driver *driver, unsigned offset, unsigned size, uint64_t value)
{
    vf_write(driver->vf, driver->common + offset, size, value);
}

uint64_t modern_config(const struct driver *driver, unsigned offset, unsigned size)
{
    return vf_read(driver->vf, driver->device + offset, size);
}

uint8_t modern_status(const struct driver *driver)
{
    return (uint8_t)get(driver, COMMON_STATUS, 1);
}

static void negotiate(const struct driver *driver)
{
    uint32_t low = driver->is_net ? NET_MAC | NET_STATUS : 0;

    set(driver, COMMON_FEATURE_SELECT, 4, 1);
    expect_value("VERSION_1 and ACCESS_PLATFORM", get(driver, COMMON_FEATURE, 4) & FEATURES_HIGH,
                 FEATURES_HIGH);
    set(driver, COMMON_DRIVER_SELECT, 4, 0);
    set(driver, COMMON_DRIVER, 4, low);
    set(driver, COMMON_DRIVER_SELECT, 4, 1);
    set(driver, COMMON_DRIVER, 4, FEATURES_HIGH);
    set(driver, COMMON_STATUS, 1, STATUS_FEATURES_OK);
    expect_value("status with FEATURES_OK", modern_status(driver), STATUS_FEATURES_OK);
}

static void start_queue(struct driver *driver, uint16_t index)
{
    struct queue *queue = &driver->queues[index];
    bool has_msix = driver->vf->events[0] >= 0;

    set(driver, COMMON_QUEUE_SELECT, 2, index);
    queue_init(queue, index, (uint16_t)get(driver, COMMON_QUEUE_SIZE, 2));
    set(driver, COMMON_QUEUE_VECTOR, 2, has_msix ? index : 0xffff);
    expect_value("queue vector", get(driver, COMMON_QUEUE_VECTOR, 2), has_msix ? index : 0xffff);
    set(driver, COMMON_QUEUE_DESC, 4, queue_descriptors(queue));
    set(driver, COMMON_QUEUE_DESC + 4, 4, 0);
    set(driver, COMMON_QUEUE_DRIVER, 4, queue_available(queue));
    set(driver, COMMON_QUEUE_DRIVER + 4, 4, 0);
    set(driver, COMMON_QUEUE_DEVICE, 4, queue_used(queue));
    set(driver, COMMON_QUEUE_DEVICE + 4, 4, 0);
    driver->notify_offsets[index] = (uint16_t)get(driver, COMMON_QUEUE_NOTIFY, 2);
    set(driver, COMMON_QUEUE_ENABLE, 2, 1);
}

void modern_start(struct driver *driver, struct vf *vf, bool is_net)
{
    *driver = (struct driver){.is_net = is_net};
    modern_find(driver, vf);
    set(driver, COMMON_STATUS, 1, 0);
    while (modern_status(driver)) {
        (void)usleep(1000);
    }
    set(driver, COMMON_STATUS, 1, STATUS_DRIVER);
    negotiate(driver);
    for (unsigned i = 0; i < (is_net ? 2U : 1U); i++) {
        start_queue(driver, (uint16_t)i);
    }
    set(driver, COMMON_STATUS, 1, STATUS_DRIVER_OK);
    expect_value("status with DRIVER_OK", modern_status(driver), STATUS_DRIVER_OK);
}
