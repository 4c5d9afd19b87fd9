/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/acpi_parse.h"

enum { IVRS_INFO = 36, IVRS_ENTRIES = 48, IVMD_SIZE = 32 };

enum ivrs_block {
    BLOCK_IVHD_10 = 0x10,
    BLOCK_IVHD_11 = 0x11,
    BLOCK_IVMD_ALL = 0x20,
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

static struct acpi_list blocks_of(struct acpi_window table)
{
    return (struct acpi_list){.window = table,
                              .what = "block",
                              .at = IVRS_ENTRIES,
                              .length_at = 2,
                              .length_width = 2,
                              .least = 4};
}

static bool block_is_ivhd(uint8_t type)
{
    return type == BLOCK_IVHD_10 || type == BLOCK_IVHD_11 || type == BLOCK_IVHD_40;
}

static uint32_t ivhd_fixed_size(uint8_t type)
{
    return type == BLOCK_IVHD_10 ? 24 : 40;
}

/*
 * Has the table a block of a higher type for the same unit? Firmware describes a unit once for each
 * generation of software; the highest type says most (section 5.2.2).
 */
static bool ivhd_superseded(struct acpi_window table, struct acpi_window ivhd)
{
    struct acpi_list blocks = blocks_of(table);

    while (acpi_list_next(NULL, &blocks)) {
        struct acpi_window other = blocks.entry;

        if (block_is_ivhd(window_u8(other, 0)) && window_u8(other, 0) > window_u8(ivhd, 0) &&
            other.size >= ivhd_fixed_size(window_u8(other, 0)) &&
            window_u16(other, 4) == window_u16(ivhd, 4) &&
            window_u16(other, 16) == window_u16(ivhd, 16)) {
            return true;
        }
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
    case DEVICE_SPECIAL:
        device.first = window_u16(entry, 5);
        device.last = device.first;
        device.special = window_u8(entry, 7);
        break;
    default:
        break;
    }
    return device;
}

/* Add an entry of the IVHD under way, which will be the next unit. */
static void add_device(struct acpi_parse *parse, uint16_t segment, struct acpi_ivhd_device device)
{
    struct acpi_ivrs *ivrs = &parse->facts->ivrs;

    device.segment = segment;
    device.unit = (uint8_t)ivrs->ivhd_count;
    if (device.first > device.last) {
        acpi_complain(parse, "requester ids %04x-%04x run backwards; left out", device.first,
                      device.last);
    } else if (device.special > ACPI_IVHD_HPET) {
        acpi_complain(parse, "special device %04x of unknown variety %u; left out", device.first,
                      device.special);
    } else if (ivrs->device_count == ACPI_IVHD_DEVICES_MAX) {
        acpi_complain(parse, "more than %u device entries; %04x-%04x left out",
                      ACPI_IVHD_DEVICES_MAX, device.first, device.last);
    } else {
        ivrs->devices[ivrs->device_count++] = device;
    }
}

/* A range of requester ids under way. */
struct range {
    bool open;
    struct acpi_ivhd_device device;
};

static void range_check_closed(struct acpi_parse *parse, const struct range *range)
{
    if (range->open) {
        acpi_complain(parse, "the range from requester id %04x has no end; left out",
                      range->device.first);
    }
}

static void read_device(struct acpi_parse *parse, uint16_t segment, struct acpi_window entry,
                        struct range *range)
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
        add_device(parse, segment, device_decode(entry));
        break;
    case DEVICE_RANGE_START:
    case DEVICE_ALIAS_START:
    case DEVICE_EXTENDED_START:
        range_check_closed(parse, range);
        *range = (struct range){true, device_decode(entry)};
        break;
    case DEVICE_RANGE_END:
        if (!range->open) {
            acpi_complain(parse, "a range ends at requester id %04x without a beginning",
                          window_u16(entry, 1));
            break;
        }
        range->open = false;
        range->device.last = window_u16(entry, 1);
        add_device(parse, segment, range->device);
        break;
    default:
        acpi_complain(parse, "device entry of unknown type %u; left out", window_u8(entry, 0));
        break;
    }
}

static void read_devices(struct acpi_parse *parse, uint16_t segment, struct acpi_window ivhd)
{
    uint32_t offset = ivhd_fixed_size(window_u8(ivhd, 0));
    struct range range = {0};

    while (offset < ivhd.size) {
        uint32_t size = device_size(ivhd, offset);

        if (!window_has(ivhd, offset, size)) {
            acpi_complain(parse,
                          "device entry of type %u needs %u bytes, %u are left; the rest is lost",
                          window_u8(ivhd, offset), size, ivhd.size - offset);
            break;
        }
        read_device(parse, segment, window_part(ivhd, offset, size), &range);
        offset += size;
    }
    range_check_closed(parse, &range);
}

static const char *ivhd_fault(const struct acpi_ivrs *ivrs, const struct acpi_ivhd *ivhd)
{
    if (ivhd->base.raw == 0 || ivhd->base.raw % (4 * PAGE_SIZE) != 0 ||
        ivhd->base.raw >= ACPI_PHYSICAL_LIMIT) {
        return "its address is impossible";
    }
    for (uint32_t i = 0; i < ivrs->ivhd_count; i++) {
        if (bdf_equal(ivrs->ivhds[i].bdf, ivhd->bdf) || ivrs->ivhds[i].base.raw == ivhd->base.raw) {
            return "it has the address of another unit";
        }
    }
    return ivrs->ivhd_count == ACPI_IVHDS_MAX ? "there are too many units" : NULL;
}

static void read_ivhd(struct acpi_parse *parse, struct acpi_window block)
{
    struct acpi_ivrs *ivrs = &parse->facts->ivrs;
    uint8_t type = window_u8(block, 0);
    uint16_t id = window_u16(block, 4);
    struct acpi_ivhd ivhd = {
        .flags = window_u8(block, 1),
        .bdf = {.segment = window_u16(block, 16), .bus = (uint8_t)(id >> 8), .devfn = (uint8_t)id},
        .capability = window_u16(block, 6),
        .base = hpa(window_u64(block, 8))
    };

    if (block.size < ivhd_fixed_size(type)) {
        acpi_complain(parse, "unit of type %02xh is cut to %u bytes; left out", type, block.size);
        return;
    }
    if (ivhd_superseded(parse->table, block)) {
        return;
    }
    const char *fault = ivhd_fault(ivrs, &ivhd);
    if (fault != NULL) {
        acpi_complain(parse, "unit " BDF_FORMAT " at %#llx left out: %s", BDF_ARGS(ivhd.bdf),
                      (unsigned long long)ivhd.base.raw, fault);
        return;
    }
    read_devices(parse, ivhd.bdf.segment, block);
    ivrs->ivhds[ivrs->ivhd_count++] = ivhd;
}

static void read_ivmd(struct acpi_parse *parse, struct acpi_window block)
{
    struct acpi_ivrs *ivrs = &parse->facts->ivrs;
    uint8_t type = window_u8(block, 0);
    uint16_t first = type == BLOCK_IVMD_ALL ? 0 : window_u16(block, 4);
    uint64_t base = window_u64(block, 16), size = window_u64(block, 24);
    struct acpi_ivmd ivmd = {.segment = window_u16(block, 8), .first = first, .last = first};

    if (type == BLOCK_IVMD_ALL) {
        ivmd.last = 0xffff;
    } else if (type == BLOCK_IVMD_RANGE) {
        ivmd.last = window_u16(block, 6);
    }
    if (block.size < IVMD_SIZE || size == 0 || ivmd.first > ivmd.last ||
        !range_fits(base, size, ACPI_PHYSICAL_LIMIT) || ivrs->ivmd_count == ACPI_IVMDS_MAX) {
        acpi_complain(
            parse, "memory block %#llx, %#llx bytes, for requester ids %04x-%04x left out: %s",
            (unsigned long long)base, (unsigned long long)size, ivmd.first, ivmd.last,
            ivrs->ivmd_count == ACPI_IVMDS_MAX ? "there are too many" : "it makes no sense");
        return;
    }
    ivrs->ivmds[ivrs->ivmd_count++] = ivmd;
}

void ivrs_parse(struct acpi_parse *parse)
{
    struct acpi_ivrs *ivrs = &parse->facts->ivrs;
    struct acpi_list blocks = blocks_of(parse->table);

    *ivrs = (struct acpi_ivrs){.present = true,
                               .virtual_width =
                                   (uint8_t)(window_u32(parse->table, IVRS_INFO) >> 15 & 0x7fU)};
    while (acpi_list_next(parse, &blocks)) {
        uint8_t type = window_u8(blocks.entry, 0);

        if (block_is_ivhd(type)) {
            read_ivhd(parse, blocks.entry);
        } else if (type >= BLOCK_IVMD_ALL && type <= BLOCK_IVMD_RANGE) {
            read_ivmd(parse, blocks.entry);
        }
    }
    ivrs->complete = parse->complaints == 0;
}
