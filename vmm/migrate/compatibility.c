/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/migrate/compatibility.h"

#include "vmm/base/format.h"
#include "vmm/state/state.h"

#include "drivers/virtio/device.h"

#include <string.h>

#define QUEUES_MAX 128U

/* What a driver may write in the device configuration, or what changes by itself: not compared. */
static const struct {
    uint16_t type;
    uint8_t from, end;
    bool by_itself;
} open_config[] = {
    {VIRTIO_TYPE_NET,     0,  6,                    false}, /* mac */
    {VIRTIO_TYPE_NET,     6,  8,                    true }, /* status */
    {VIRTIO_TYPE_BLOCK,   32, 33,                   false}, /* writeback */
    {VIRTIO_TYPE_CONSOLE, 0,  4,                    true }, /* its window */
    {VIRTIO_TYPE_CONSOLE, 8,  LEGACY_DEVICE_CONFIG, false}, /* emerg_wr */
    {VIRTIO_TYPE_SCSI,    20, 28,                   false}, /* sense_size, cdb_size */
    {VIRTIO_TYPE_BALLOON, 0,  4,                    true }, /* num_pages */
    {VIRTIO_TYPE_BALLOON, 4,  LEGACY_DEVICE_CONFIG, false},
};

static uint32_t config_sum(const struct legacy_description *d)
{
    uint8_t config[LEGACY_DEVICE_CONFIG];

    memcpy(config, d->config, sizeof(config));
    for (unsigned i = 0; i < ARRAY_SIZE(open_config); i++) {
        if (open_config[i].type == d->type) {
            memset(config + open_config[i].from, 0,
                   (size_t)open_config[i].end - open_config[i].from);
        }
    }
    return state_checksum(config, d->config_length);
}

bool compatibility_has_news(const struct legacy_description *here,
                            const struct legacy_description *there)
{
    for (unsigned i = 0; i < ARRAY_SIZE(open_config); i++) {
        unsigned from = open_config[i].from;

        if (open_config[i].type == here->type && open_config[i].by_itself &&
            memcmp(here->config + from, there->config + from, open_config[i].end - from) != 0) {
            return true;
        }
    }
    return false;
}

/* Sizes of queues, as runs of the same size: 2x256,1x64. */
static enum status queues_text(const struct legacy_description *d, char *text, size_t room)
{
    unsigned end = LEGACY_QUEUES_MAX;
    size_t used = 0;

    text[0] = '\0';
    while (end > 0 && d->queue_size[end - 1] == 0) {
        end--;
    }
    for (unsigned i = 0, run; i < end; i += run) {
        for (run = 1; i + run < end && d->queue_size[i + run] == d->queue_size[i];) {
            run++;
        }
        used += (size_t)format(text + used, room - used, "%s%ux%u", i > 0 ? "," : "", run,
                               d->queue_size[i]);
        if (used >= room) {
            return STATUS_NOTE(STATUS_RANGE);
        }
    }
    return STATUS_OK;
}

enum status compatibility_text(const struct legacy_description *d, const char *abi, char *text)
{
    char queues[QUEUES_MAX];
    enum status status = queues_text(d, queues, sizeof(queues));

    if (status != STATUS_OK) {
        return status;
    }
    int length = format(text, COMPATIBILITY_MAX,
                        "virtio-vf/1;abi=%s;cfg=%x;cfglen=%u;driver=%x;features=%x;msix=%u;qsz=%s;"
                        "type=%u",
                        abi, config_sum(d), d->config_length, d->driver_features, d->features,
                        d->vectors, queues, d->type);

    return (unsigned)length < COMPATIBILITY_MAX ? STATUS_OK : STATUS_NOTE(STATUS_RANGE);
}
