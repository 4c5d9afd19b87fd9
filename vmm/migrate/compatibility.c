/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/migrate/compatibility.h"

#include "vmm/base/format.h"
#include "vmm/state/state.h"

#include "drivers/virtio/device.h"

#include <string.h>

#define PREFIX    "virtio-vf/1;"
#define VALUE_MAX 128U

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

enum rule { SAME, AT_LEAST, HAS_QUEUES, HAS_FEATURES };

/* In the order of the text. */
static const struct {
    const char *key;
    enum rule rule;
} keys[] = {
    {"abi",      SAME        },
    {"cfg",      SAME        },
    {"cfglen",   SAME        },
    {"driver",   HAS_FEATURES}, /* those that the driver took: in the target's 'features' */
    {"features", SAME        }, /* by abi: see needed() */
    {"msix",     AT_LEAST    },
    {"qsz",      HAS_QUEUES  },
    {"type",     SAME        },
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
    char queues[VALUE_MAX];
    enum status status = queues_text(d, queues, sizeof(queues));

    if (status != STATUS_OK) {
        return status;
    }
    int length = format(text, COMPATIBILITY_MAX,
                        PREFIX "abi=%s;cfg=%x;cfglen=%u;driver=%x;features=%x;msix=%u;qsz=%s;"
                               "type=%u",
                        abi, config_sum(d), d->config_length, d->driver_features, d->features,
                        d->vectors, queues, d->type);

    return (unsigned)length < COMPATIBILITY_MAX ? STATUS_OK : STATUS_NOTE(STATUS_RANGE);
}

/* The value of KEY, copied. False: it is not there, or too long. */
static bool find(const char *text, const char *key, char value[VALUE_MAX])
{
    size_t length = strlen(key);

    for (const char *at = text; at; at = strchr(at, ';')) {
        at += *at == ';';
        if (strncmp(at, key, length) == 0 && at[length] == '=') {
            size_t size = strcspn(at + length + 1, ";");

            if (size >= VALUE_MAX) {
                return false;
            }
            memcpy(value, at + length + 1, size);
            value[size] = '\0';
            return true;
        }
    }
    return false;
}

/* The number that *TEXT begins with, which moves behind it; 0 without one. */
static uint32_t number(const char **text, unsigned base)
{
    uint32_t value = 0;

    for (;; (*text)++) {
        char c = **text;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : base;

        if (digit >= base) {
            return value;
        }
        value = value * base + digit;
    }
}

/* The size of queue INDEX by a list of runs; 0: it is not there. */
static uint32_t queue_size(const char *list, unsigned index)
{
    while (*list) {
        uint32_t run = number(&list, 10);

        list += *list == 'x';
        uint32_t size = number(&list, 10);

        if (index < run) {
            return size;
        }
        index -= run;
        if (*list != ',') {
            return 0;
        }
        list++;
    }
    return 0;
}

/* Rings have their sizes: each queue of the source that somebody has looked at is there. */
static bool has_queues(const char *source, const char *target)
{
    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        uint32_t size = queue_size(source, i);

        if (size != 0 && queue_size(target, i) != size) {
            return false;
        }
    }
    return true;
}

static bool fits(enum rule rule, const char *source, const char *target, const char *features)
{
    switch (rule) {
    case AT_LEAST:
        return number(&target, 10) >= number(&source, 10);
    case HAS_QUEUES:
        return has_queues(source, target);
    case HAS_FEATURES:
        return (number(&source, 16) & ~number(&features, 16)) == 0;
    case SAME:
        break;
    }
    return strcmp(source, target) == 0;
}

/* By the 2021 protocol a target need not offer what nobody took. */
static bool needed(const char *key, const char *abi)
{
    return strcmp(key, "features") != 0 || strcmp(abi, "2021") != 0;
}

enum status compatibility_compare(const char *source, const char *target, char *why)
{
    char here[VALUE_MAX], there[VALUE_MAX], abi[VALUE_MAX], features[VALUE_MAX];
    size_t prefix = strlen(PREFIX);

    (void)format(why, COMPATIBILITY_WHY_MAX, "the text of one of them is damaged");
    if (strncmp(source, PREFIX, prefix) != 0 || strncmp(target, PREFIX, prefix) != 0 ||
        !find(source, "abi", abi) || !find(target, "features", features)) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *key = keys[i].key;

        if (!find(source, key, here) || !find(target, key, there)) {
            return STATUS_NOTE(STATUS_INVALID);
        }
        if (needed(key, abi) && !fits(keys[i].rule, here, there, features)) {
            (void)format(why, COMPATIBILITY_WHY_MAX, "%s is '%.40s' here and '%.40s' there",
                         keys[i].rule == HAS_FEATURES ? "features, of which the driver uses" : key,
                         here, keys[i].rule == HAS_FEATURES ? features : there);
            return STATUS_NOTE(STATUS_CONFLICT);
        }
    }
    why[0] = '\0';
    return STATUS_OK;
}
