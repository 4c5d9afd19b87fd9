/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/migrate/compare.h"

#include "vmm/base/format.h"
#include "vmm/base/types.h"

#include <string.h>

#define VALUE_MAX  128U
#define QUEUES_MAX 256U /* of one VF */
#define RATE_PPM   500U
#define MILLION    1000000U

enum rule {
    SAME,
    AT_LEAST,
    HAS_QUEUES,
    HAS_FEATURES,
    RATE /* within RATE_PPM, unless the target scales */
};

struct key {
    const char *name;
    enum rule rule;
};

/* In the order of the text. */
static const struct key vf_keys[] = {
    {"abi",      SAME        },
    {"cfg",      SAME        },
    {"cfglen",   SAME        },
    {"driver",   HAS_FEATURES}, /* those that the driver took: in the target's 'features' */
    {"features", SAME        }, /* by abi: see needed() */
    {"msix",     AT_LEAST    },
    {"qsz",      HAS_QUEUES  },
    {"type",     SAME        },
};

static const struct key vm_keys[] = {
    {"pc",     SAME}, /* what is first is said first */
    {"cpus",   SAME},
    {"ram",    SAME},
    {"slots",  SAME},
    {"vga",    SAME},
    {"rom",    SAME},
    {"fwcfg",  SAME},
    {"debug",  SAME},
    {"tsc",    RATE},
    {"vendor", SAME},
    {"sig",    SAME},
    {"max",    SAME},
    {"c1c",    SAME},
    {"c1d",    SAME},
    {"c7b",    SAME},
    {"c7c",    SAME},
    {"c7d",    SAME},
    {"x1c",    SAME},
    {"x1d",    SAME},
    {"x7d",    SAME},
    {"x8a",    SAME},
    {"x8b",    SAME},
    {"xcr0",   SAME},
    {"xsave",  SAME},
    {"cache",  SAME},
    {"brand",  SAME},
    {"msr",    SAME},
};

static const struct kind {
    const char *prefix;
    const struct key *key;
    unsigned count;
} kinds[] = {
    {"virtio-vf/1;", vf_keys, ARRAY_SIZE(vf_keys)},
    {"vm/1;",        vm_keys, ARRAY_SIZE(vm_keys)},
};

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
static uint64_t number(const char **text, unsigned base)
{
    uint64_t value = 0;

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
static uint64_t queue_size(const char *list, unsigned index)
{
    while (*list) {
        uint64_t run = number(&list, 10);

        list += *list == 'x';
        uint64_t size = number(&list, 10);

        if (index < run) {
            return size;
        }
        index -= (unsigned)run;
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
    for (unsigned i = 0; i < QUEUES_MAX; i++) {
        uint64_t size = queue_size(source, i);

        if (size != 0 && queue_size(target, i) != size) {
            return false;
        }
    }
    return true;
}

/* So far off a clock is that goes by another's: less than a quartz and NTP's steps of its rate. */
static bool rates_fit(uint64_t source, uint64_t target)
{
    uint64_t difference = source > target ? source - target : target - source;

    return source != 0 && difference <= source / MILLION * RATE_PPM;
}

/* EXTRA: what else of the target's text counts for RULE. */
static bool fits(enum rule rule, const char *source, const char *target, const char *extra)
{
    switch (rule) {
    case AT_LEAST:
        return number(&target, 10) >= number(&source, 10);
    case HAS_QUEUES:
        return has_queues(source, target);
    case HAS_FEATURES:
        return (number(&source, 16) & ~number(&extra, 16)) == 0;
    case RATE:
        return strcmp(extra, "1") == 0 || rates_fit(number(&source, 10), number(&target, 10));
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

/* The kind of both texts; NULL: they have none, or not the same. */
static const struct kind *kind_of(const char *source, const char *target)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t length = strlen(kinds[i].prefix);

        if (strncmp(source, kinds[i].prefix, length) == 0 &&
            strncmp(target, kinds[i].prefix, length) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* It may come from anywhere, and goes into the log. */
static bool is_plain(const char *text)
{
    while (*text >= ' ' && *text <= '~') {
        text++;
    }
    return *text == '\0';
}

enum status compare_texts(const char *source, const char *target, char *why)
{
    char here[VALUE_MAX], there[VALUE_MAX], abi[VALUE_MAX] = "", features[VALUE_MAX] = "";
    char scales[VALUE_MAX] = "";
    const struct kind *kind = kind_of(source, target);

    (void)format(why, COMPARE_WHY_MAX, "the text of one of them is damaged");
    if (!kind || !is_plain(source) || !is_plain(target)) {
        return STATUS_INVALID;
    }
    (void)find(source, "abi", abi);
    (void)find(target, "features", features);
    (void)find(target, "scale", scales);
    for (unsigned i = 0; i < kind->count; i++) {
        const char *name = kind->key[i].name;
        bool subset = kind->key[i].rule == HAS_FEATURES;

        if (!find(source, name, here) || !find(target, name, there)) {
            return STATUS_INVALID;
        }
        if (needed(name, abi) &&
            !fits(kind->key[i].rule, here, there, subset ? features : scales)) {
            (void)format(why, COMPARE_WHY_MAX, "%s is '%.40s' here and '%.40s' there",
                         subset ? "features, of which the driver uses" : name, here,
                         subset ? features : there);
            return STATUS_CONFLICT;
        }
    }
    why[0] = '\0';
    return STATUS_OK;
}
