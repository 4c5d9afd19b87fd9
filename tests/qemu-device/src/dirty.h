/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Maps of the pages that a VF has written to, by IOVA.
 */
#ifndef PORTOLAN_DIRTY_H
#define PORTOLAN_DIRTY_H

#include "compat.h"

typedef enum DirtyMode {
    DIRTY_PUSH_BITMAP = 1,      /* in memory of the host, which clears it */
    DIRTY_PUSH_BYTEMAP = 2,
    DIRTY_PULL_BITMAP = 3,      /* in the device, cleared by reading */
    DIRTY_PULL_BYTEMAP = 4,
} DirtyMode;

typedef struct DirtySegment {
    uint64_t address;
    uint32_t length;
} DirtySegment;

typedef struct DirtyRange {
    uint64_t start, length;
    uint32_t page_size;
    DirtyMode mode;
    uint64_t map_length;        /* bytes */
    uint8_t *map;               /* pull */
    DirtySegment *segments;     /* push: where the map is, for the PF */
    bool failed;                /* push: a page that could not be told */
} DirtyRange;

typedef struct Dirty {
    GArray *ranges;             /* DirtyRange */
} Dirty;

/* Bytes of a map of PAGES pages. */
uint64_t dirty_map_length(DirtyMode mode, uint64_t pages);

/* The range that begins at START, or NULL. */
DirtyRange *dirty_find(PCIDevice *vf, uint64_t start);
bool dirty_overlaps(PCIDevice *vf, uint64_t start, uint64_t length);
unsigned dirty_count(PCIDevice *vf);

/* Takes RANGE and its segments over; the map begins empty. */
void dirty_start(PCIDevice *vf, DirtyRange range);
void dirty_stop(PCIDevice *vf, DirtyRange *range);
void dirty_stop_all(PCIDevice *vf);

/* VF has written to LENGTH bytes at IOVA. */
void dirty_mark(PCIDevice *vf, uint64_t iova, uint64_t length);

#endif
