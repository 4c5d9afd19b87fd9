/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parsers of ACPI's tables share. Private to this folder and its tests.
 *
 * Every parser reads through a window on untrusted bytes, which cannot be left: a read outside
 * gives zero, so a parser that forgot a check misreads, but never touches memory that is not the
 * table's. All numbers in ACPI tables are little-endian and of any alignment.
 */
#ifndef PORTOLAN_DRIVERS_ACPI_ACPI_PARSE_H
#define PORTOLAN_DRIVERS_ACPI_ACPI_PARSE_H

#include "drivers/acpi/acpi.h"
#include "vmm/base/little_endian.h"

/* Every table starts with a header of this size. */
#define ACPI_HEADER_SIZE 36U

/* How many of one table's faults are told in full. */
#define ACPI_COMPLAINTS_TOLD 8U

/* No x86 CPU has longer addresses. */
#define ACPI_PHYSICAL_LIMIT (1ULL << 52)

/* A longer table is taken for nonsense (DSDTs of real machines stay below 1 MiB). */
#define ACPI_TABLE_SIZE_MAX (8U << 20)

/* Tables that a root table may list; more are not looked at. */
#define ACPI_ROOT_ENTRIES_MAX 256U

struct acpi_window {
    const uint8_t *bytes;
    uint32_t size;
};

/* Are the SIZE bytes from OFFSET inside WINDOW? */
static inline bool window_has(struct acpi_window window, uint32_t offset, uint32_t size)
{
    return range_fits(offset, size, window.size);
}

/* The little-endian number of WIDTH (1..8) bytes at OFFSET; 0 when it is not wholly inside. */
static inline uint64_t window_read(struct acpi_window window, uint32_t offset, uint32_t width)
{
    if (window.bytes == NULL || !window_has(window, offset, width)) {
        return 0;
    }
    return bytes_get(window.bytes + offset, width);
}

static inline uint8_t window_u8(struct acpi_window window, uint32_t offset)
{
    return (uint8_t)window_read(window, offset, 1);
}

static inline uint16_t window_u16(struct acpi_window window, uint32_t offset)
{
    return (uint16_t)window_read(window, offset, 2);
}

static inline uint32_t window_u32(struct acpi_window window, uint32_t offset)
{
    return (uint32_t)window_read(window, offset, 4);
}

static inline uint64_t window_u64(struct acpi_window window, uint32_t offset)
{
    return window_read(window, offset, 8);
}

/* The part of WINDOW from OFFSET, SIZE bytes long, cut off where WINDOW ends. */
static inline struct acpi_window window_part(struct acpi_window window, uint32_t offset,
                                             uint32_t size)
{
    if (offset > window.size) {
        offset = window.size;
    }
    if (size > window.size - offset) {
        size = window.size - offset;
    }
    return (struct acpi_window){window.bytes + offset, size};
}

/* One parse under way. */
struct acpi_parse {
    struct acpi_window table; /* with its header; not shorter than the parser wants */
    struct acpi_facts *facts;
    const char *name;
    uint32_t complaints;
};

/*
 * Read TABLE, the first sound one with SIGNATURE, into the part of FACTS that it has, which is
 * overwritten. What makes no sense is left out with a warning. NOT_FOUND: nobody reads such tables;
 * INVALID, with that part as it was: it is too short for its fixed part. Pure: no hardware, any
 * CPU.
 */
enum status acpi_parse_table(const char *signature, struct acpi_window table,
                             struct acpi_facts *facts);

/* Which parser reads tables with SIGNATURE, as a number below ACPI_PARSERS_MAX; -1: none. */
#define ACPI_PARSERS_MAX 32
int acpi_parser_of(const char *signature);

/* Warn that this table is wrong; what follows the limit is only counted. */
void acpi_complain(struct acpi_parse *parse, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A list of entries, each with its length in it. */
struct acpi_list {
    struct acpi_window window;
    const char *what;     /* an entry is, for complaints */
    uint32_t at;          /* offset of the next one */
    uint8_t length_at;    /* where in an entry its length is ... */
    uint8_t length_width; /* ... and how many bytes that has */
    uint8_t least;        /* a shorter entry cannot be */
    struct acpi_window entry;
};

/*
 * Put the next entry at list->entry, and step over it. False at the end of LIST, or where a length
 * makes no sense: that is complained of to PARSE, unless it is NULL.
 */
bool acpi_list_next(struct acpi_parse *parse, struct acpi_list *list);

/* The parsers, each for the structure of its name. */
void madt_parse(struct acpi_parse *parse);
void mcfg_parse(struct acpi_parse *parse);
void dmar_parse(struct acpi_parse *parse);
void ivrs_parse(struct acpi_parse *parse);
void fadt_parse(struct acpi_parse *parse);

/*
 * Look in AML (a DSDT or SSDT with its header) for Name (_S5_, Package () {a, b, ...}) with
 * constants. NOT_FOUND, with '*s5' untouched, when there is none. Pure: no hardware, any CPU.
 */
enum status sleep_find_s5(struct acpi_window aml, struct acpi_s5 *s5);

#endif
