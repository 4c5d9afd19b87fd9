/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Distinct types for things that are all numbers and must not be mixed up.
 *
 * The compiler refuses to pass a guest-physical address where a host-physical one is wanted;
 * conversion is always visible in the source as a constructor call or as '.raw'.
 */
#ifndef PORTOLAN_VMM_BASE_TYPES_H
#define PORTOLAN_VMM_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE    4096UL
#define PAGE_SIZE_2M (2UL << 20)
#define PAGE_SIZE_1G (1UL << 30)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Host-physical: what the machine's buses see. */
typedef struct {
    uint64_t raw;
} hpa_t;

/* Guest-physical: what a guest's page tables produce. */
typedef struct {
    uint64_t raw;
} gpa_t;

/* Guest-linear: what a guest's instructions use, after segmentation. */
typedef struct {
    uint64_t raw;
} gva_t;

static inline hpa_t hpa(uint64_t raw)
{
    return (hpa_t){raw};
}

static inline gpa_t gpa(uint64_t raw)
{
    return (gpa_t){raw};
}

static inline gva_t gva(uint64_t raw)
{
    return (gva_t){raw};
}

/* A PCI function: segment (PCI domain), bus, and device number << 3 | function number. */
typedef struct {
    uint16_t segment;
    uint8_t bus;
    uint8_t devfn;
} bdf_t;

#define BDF_FORMAT    "%04x:%02x:%02x.%x"
#define BDF_ARGS(bdf) (bdf).segment, (bdf).bus, (bdf).devfn >> 3, (bdf).devfn & 7U

static inline bool bdf_equal(bdf_t a, bdf_t b)
{
    return a.segment == b.segment && a.bus == b.bus && a.devfn == b.devfn;
}

/* ALIGN is a power of two. Rounding up wraps to a small number near 2^64: check before. */
static inline uint64_t align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) & ~(align - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t align)
{
    return value & ~(align - 1);
}

/* Do [a, a + a_size) and [b, b + b_size) share a byte? Neither sum may wrap. */
static inline bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

/* Does [base, base + size) lie within [0, limit)? Safe for every input. */
static inline bool range_fits(uint64_t base, uint64_t size, uint64_t limit)
{
    return base <= limit && size <= limit - base;
}

/* How many bits of WORD are set. */
static inline unsigned bit_count(uint64_t word)
{
    unsigned count = 0;

    for (; word != 0; word &= word - 1) {
        count++;
    }
    return count;
}

#endif
