/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/ivrs.h"

#include "drivers/acpi/complain.h"

enum { IVRS_INFO = 36, IVRS_ENTRIES = 48, IVMD_SIZE = 32 };

#define IVINFO_DMA_REMAP (1U << 1)

enum ivrs_block {
    BLOCK_IVHD_10 = 0x10,
    BLOCK_IVHD_11 = 0x11,
    BLOCK_IVMD_ALL = 0x20,
    BLOCK_IVMD_ONE = 0x21,
    BLOCK_IVMD_RANGE = 0x22,
    BLOCK_IVHD_40 = 0x40
};

/* Device entries of an IVHD. */
enum ivhd_entry {
    DEVICE_PAD = 0,
    DEVICE_ALL = 1,
    DEVICE_SELECT = 2,
    DEVICE_RANGE_START = 3,
    DEVICE_RANGE_END = 4,
    DEVICE_ALIAS = 66,
    DEVICE_ALIAS_START = 67,
    DEVICE_EXTENDED = 70,
    DEVICE_EXTENDED_START = 71,
    DEVICE_SPECIAL = 72,
    DEVICE_NAMED = 240 /* an ACPI device: the requester id is given as for the others */
};

#define IVMD_READ      0x02U
#define IVMD_WRITE     0x04U
#define IVMD_EXCLUSION 0x08U

/* One parse under way. */
struct parse {
    struct acpi_ivrs *ivrs;
    struct acpi_window table;
    struct acpi_complaints complaints;
    struct acpi_ivhd_device range; /* where a range of requester ids began */
    bool in_range;
};

static bool block_is_ivhd(uint8_t type)
{
    return type == BLOCK_IVHD_10 || type == BLOCK_IVHD_11 || type == BLOCK_IVHD_40;
}

static uint32_t ivhd_fixed_size(uint8_t type)
{
    return type == BLOCK_IVHD_10 ? 24 : 40;
}

/* The block at OFFSET; of size 0 when its length makes no sense. */
static struct acpi_window block_at(struct acpi_window table, uint32_t offset)
{
    uint16_t length = window_u16(table, offset + 2);

    if (length < 4 || !window_has(table, offset, length)) {
        return (struct acpi_window){table.bytes, 0};
    }
    return window_part(table, offset, length);
}

/*
 * Has the table a block of a higher type for the same unit? Firmware describes a unit once for each
 * generation of software; the highest type says most (section 5.2.2).
 */
static bool ivhd_superseded(struct acpi_window table, struct acpi_window ivhd)
{
    uint32_t offset = IVRS_ENTRIES;

    while (offset < table.size) {
        struct acpi_window other = block_at(table, offset);

        if (other.size == 0) {
            return false;
        }
        if (block_is_ivhd(window_u8(other, 0)) && window_u8(other, 0) > window_u8(ivhd, 0) &&
            other.size >= ivhd_fixed_size(window_u8(other, 0)) &&
            window_u16(other, 4) == window_u16(ivhd, 4) &&
            window_u16(other, 16) == window_u16(ivhd, 16)) {
            return true;
        }
        offset += other.size;
    }
    return false;
}

/* Bytes of the device entry at OFFSET of IVHD; 0 when it cannot be told. */
static uint32_t device_size(struct acpi_window ivhd, uint32_t offset)
{
    uint8_t type = window_u8(ivhd, offset);

    if (type == DEVICE_NAMED) {
        return 22U + window_u8(ivhd, offset + 21);
    }
    return 4U << (type >> 6);
}

static struct acpi_ivhd_device device_decode(struct acpi_window entry)
{
    struct acpi_ivhd_device device = {.first = window_u16(entry, 1),
                                      .last = window_u16(entry, 1),
                                      .settings = window_u8(entry, 3)};

    switch (window_u8(entry, 0)) {
    case DEVICE_ALL:
        device.first = 0;
        device.last = 0xffff;
        break;
    case DEVICE_ALIAS:
    case DEVICE_ALIAS_START:
        device.has_alias = true;
        device.alias = window_u16(entry, 5);
        break;
    case DEVICE_EXTENDED:
    case DEVICE_EXTENDED_START:
        device.extended = window_u32(entry, 4);
        break;
    case DEVICE_SPECIAL:
        device.first = window_u16(entry, 5);
        device.last = device.first;
        device.handle = window_u8(entry, 4);
        device.special = window_u8(entry, 7);
        break;
    default:
        break;
    }
    return device;
}

static void add_device(struct parse *parse, struct acpi_ivhd_device device)
{
    struct acpi_ivrs *ivrs = parse->ivrs;

    if (device.first > device.last) {
        acpi_complain(&parse->complaints, "requester ids %04x-%04x run backwards; left out",
                      device.first, device.last);
    } else if (device.special > ACPI_IVHD_HPET) {
        acpi_complain(&parse->complaints, "special device %04x of unknown variety %u; left out",
                      device.first, device.special);
    } else if (ivrs->device_count == ACPI_IVHD_DEVICES_MAX) {
        acpi_complain(&parse->complaints, "more than %u device entries; %04x-%04x left out",
                      ACPI_IVHD_DEVICES_MAX, device.first, device.last);
    } else {
        ivrs->devices[ivrs->device_count++] = device;
    }
}

static void begin_range(struct parse *parse, struct acpi_window entry)
{
    if (parse->in_range) {
        acpi_complain(&parse->complaints, "the range from requester id %04x has no end; left out",
                      parse->range.first);
    }
    parse->range = device_decode(entry);
    parse->in_range = true;
}

static void end_range(struct parse *parse, struct acpi_window entry)
{
    if (!parse->in_range) {
        acpi_complain(&parse->complaints, "a range ends at requester id %04x without a beginning",
                      window_u16(entry, 1));
        return;
    }
    parse->in_range = false;
    parse->range.last = window_u16(entry, 1);
    add_device(parse, parse->range);
}

static void read_device(struct parse *parse, struct acpi_window entry)
{
    switch (window_u8(entry, 0)) {
    case DEVICE_PAD:
        break;
    case DEVICE_ALL:
    case DEVICE_SELECT:
    case DEVICE_ALIAS:
    case DEVICE_EXTENDED:
    case DEVICE_SPECIAL:
    case DEVICE_NAMED:
        add_device(parse, device_decode(entry));
        break;
    case DEVICE_RANGE_START:
    case DEVICE_ALIAS_START:
    case DEVICE_EXTENDED_START:
        begin_range(parse, entry);
        break;
    case DEVICE_RANGE_END:
        end_range(parse, entry);
        break;
    default:
        acpi_complain(&parse->complaints, "device entry of unknown type %u; left out",
                      window_u8(entry, 0));
        break;
    }
}

static void read_devices(struct parse *parse, struct acpi_window ivhd)
{
    uint32_t offset = ivhd_fixed_size(window_u8(ivhd, 0));

    parse->in_range = false;
    while (offset < ivhd.size) {
        uint32_t size = device_size(ivhd, offset);

        if (!window_has(ivhd, offset, size)) {
            acpi_complain(&parse->complaints,
                          "device entry of type %u needs %u bytes, %u are left; the rest is lost",
                          window_u8(ivhd, offset), size, ivhd.size - offset);
            break;
        }
        read_device(parse, window_part(ivhd, offset, size));
        offset += size;
    }
    if (parse->in_range) {
        acpi_complain(&parse->complaints, "the range from requester id %04x has no end; left out",
                      parse->range.first);
    }
}

static const char *ivhd_fault(const struct acpi_ivrs *ivrs, const struct acpi_ivhd *ivhd)
{
    if (ivhd->base.raw == 0 || ivhd->base.raw % (4 * PAGE_SIZE) != 0 ||
        ivhd->base.raw >= 1ULL << 52) {
        return "its address is impossible";
    }
    for (uint32_t i = 0; i < ivrs->ivhd_count; i++) {
        if (bdf_equal(ivrs->ivhds[i].bdf, ivhd->bdf) || ivrs->ivhds[i].base.raw == ivhd->base.raw) {
            return "it has the address of another unit";
        }
    }
    return ivrs->ivhd_count == ACPI_IVHDS_MAX ? "there are too many units" : NULL;
}

static void read_ivhd(struct parse *parse, struct acpi_window block)
{
    struct acpi_ivrs *ivrs = parse->ivrs;
    uint16_t id = window_u16(block, 4);
    struct acpi_ivhd ivhd = {
        .type = window_u8(block, 0),
        .flags = window_u8(block, 1),
        .bdf = {.segment = window_u16(block, 16), .bus = (uint8_t)(id >> 8), .devfn = (uint8_t)id},
        .capability = window_u16(block, 6),
        .base = hpa(window_u64(block, 8)),
        .efr = window_u8(block, 0) == BLOCK_IVHD_10 ? 0 : window_u64(block, 24),
        .device_first = (uint16_t)ivrs->device_count
    };

    if (block.size < ivhd_fixed_size(ivhd.type)) {
        acpi_complain(&parse->complaints, "unit of type %02xh is cut to %u bytes; left out",
                      ivhd.type, block.size);
        return;
    }
    if (ivhd_superseded(parse->table, block)) {
        return;
    }
    const char *fault = ivhd_fault(ivrs, &ivhd);
    if (fault != NULL) {
        acpi_complain(&parse->complaints, "unit " BDF_FORMAT " at %#llx left out: %s",
                      BDF_ARGS(ivhd.bdf), (unsigned long long)ivhd.base.raw, fault);
        return;
    }
    read_devices(parse, block);
    ivhd.device_count = (uint16_t)(ivrs->device_count - ivhd.device_first);
    ivrs->ivhds[ivrs->ivhd_count++] = ivhd;
}

static void read_ivmd(struct parse *parse, struct acpi_window block)
{
    struct acpi_ivrs *ivrs = parse->ivrs;
    uint8_t type = window_u8(block, 0);
    uint8_t flags = window_u8(block, 1);
    uint16_t first = type == BLOCK_IVMD_ALL ? 0 : window_u16(block, 4);
    struct acpi_ivmd ivmd = {.base = hpa(window_u64(block, 16)),
                             .size = window_u64(block, 24),
                             .segment = window_u16(block, 8),
                             .first = first,
                             .last = first,
                             .exclusion = (flags & IVMD_EXCLUSION) != 0,
                             .readable = (flags & IVMD_READ) != 0,
                             .writable = (flags & IVMD_WRITE) != 0};

    if (type == BLOCK_IVMD_ALL) {
        ivmd.last = 0xffff;
    } else if (type == BLOCK_IVMD_RANGE) {
        ivmd.last = window_u16(block, 6);
    }
    if (block.size < IVMD_SIZE || ivmd.size == 0 || ivmd.first > ivmd.last ||
        !range_fits(ivmd.base.raw, ivmd.size, 1ULL << 52) || ivrs->ivmd_count == ACPI_IVMDS_MAX) {
        acpi_complain(
            &parse->complaints,
            "memory block %#llx, %#llx bytes, for requester ids %04x-%04x left out: %s",
            (unsigned long long)ivmd.base.raw, (unsigned long long)ivmd.size, ivmd.first, ivmd.last,
            ivrs->ivmd_count == ACPI_IVMDS_MAX ? "there are too many" : "it makes no sense");
        return;
    }
    ivrs->ivmds[ivrs->ivmd_count++] = ivmd;
}

static void read_blocks(struct parse *parse)
{
    uint32_t offset = IVRS_ENTRIES;

    while (offset < parse->table.size) {
        struct acpi_window block = block_at(parse->table, offset);
        uint8_t type = window_u8(block, 0);

        if (block.size == 0) {
            acpi_complain(&parse->complaints,
                          "block at offset %u has length %u of %u left; the rest is lost", offset,
                          window_u16(parse->table, offset + 2), parse->table.size - offset);
            return;
        }
        if (block_is_ivhd(type)) {
            read_ivhd(parse, block);
        } else if (type >= BLOCK_IVMD_ALL && type <= BLOCK_IVMD_RANGE) {
            read_ivmd(parse, block);
        }
        offset += block.size;
    }
}

enum status ivrs_parse(struct acpi_window table, struct acpi_ivrs *ivrs)
{
    struct parse parse = {
        .ivrs = ivrs, .table = table, .complaints = {"IVRS", 0}
    };
    uint32_t info = window_u32(table, IVRS_INFO);

    *ivrs = (struct acpi_ivrs){0};
    if (table.size < IVRS_ENTRIES) {
        acpi_complain(&parse.complaints, "table of %u bytes, needs at least %u", table.size,
                      (unsigned)IVRS_ENTRIES);
        return STATUS_NOTE(STATUS_INVALID);
    }
    ivrs->present = true;
    ivrs->dma_remap_guaranteed = (info & IVINFO_DMA_REMAP) != 0;
    ivrs->physical_width = (uint8_t)(info >> 8 & 0x7fU);
    ivrs->virtual_width = (uint8_t)(info >> 15 & 0x7fU);
    read_blocks(&parse);
    ivrs->complete = parse.complaints.count == 0;
    acpi_complaints_close(&parse.complaints);
    return STATUS_OK;
}
