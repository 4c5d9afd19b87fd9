/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/physical.h"

#include "vmm/host/map_physical.h"

#include <stdlib.h>
#include <string.h>

#define RANGES_MAX  300
#define WINDOWS_MAX 512

static struct range {
    uint64_t base;
    uint64_t size;
    uint8_t *host;
} ranges[RANGES_MAX];
static unsigned range_count;

static struct window {
    void *va;
    uint64_t size;
    bool copy;
} windows[WINDOWS_MAX];
static unsigned window_count;
static int limit = -1;

/* Not cmocka's assert: a fuzzer has none. */
static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

void fake_physical_reset(void)
{
    require(window_count == 0);
    range_count = 0;
    limit = -1;
}

void fake_physical_add(uint64_t base, void *host, uint64_t size)
{
    require(range_count < RANGES_MAX);
    ranges[range_count++] = (struct range){base, size, host};
}

unsigned fake_physical_windows(void)
{
    return window_count;
}

void fake_physical_limit(int maps)
{
    limit = maps;
}

static uint8_t *find(uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < range_count; i++) {
        if (base >= ranges[i].base && range_fits(base - ranges[i].base, size, ranges[i].size)) {
            return ranges[i].host + (base - ranges[i].base);
        }
    }
    return NULL;
}

void *map_physical(hpa_t base, uint64_t size, enum map_kind kind)
{
    uint8_t *host = find(base.raw, size);
    struct window *window = &windows[window_count];

    require(size > 0 && window_count < WINDOWS_MAX);
    if (host == NULL || limit == 0) {
        return NULL;
    }
    limit -= limit > 0;
    *window = (struct window){host, size, kind == MAP_READ_ONLY};
    if (window->copy) {
        window->va = malloc(size);
        require(window->va != NULL);
        memcpy(window->va, host, size);
    }
    window_count++;
    return window->va;
}

void map_release(void *va, uint64_t size)
{
    unsigned i = 0;

    while (i < window_count && (windows[i].va != va || windows[i].size != size)) {
        i++;
    }
    require(i < window_count); /* released what was never mapped */
    if (windows[i].copy) {
        free(windows[i].va);
    }
    windows[i] = windows[--window_count];
}
