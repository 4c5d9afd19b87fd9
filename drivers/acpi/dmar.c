/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/dmar.h"

#include "drivers/acpi/complain.h"

enum { DMAR_WIDTH = 36, DMAR_FLAGS = 37, DMAR_ENTRIES = 48, SCOPE_PATH = 6 };

#define DMAR_FLAG_INTR_REMAP     0x1U
#define DMAR_FLAG_X2APIC_OPT_OUT 0x2U
#define DMAR_FLAG_DMA_OPT_IN     0x4U
#define DRHD_FLAG_INCLUDE_ALL    0x1U
#define ATSR_FLAG_ALL_PORTS      0x1U

enum dmar_entry { ENTRY_DRHD = 0, ENTRY_RMRR = 1, ENTRY_ATSR = 2, ENTRY_TYPES };

/* Where the device scopes begin: the size of the fixed part. */
static const uint8_t fixed_sizes[ENTRY_TYPES] = {
    [ENTRY_DRHD] = 16, [ENTRY_RMRR] = 24, [ENTRY_ATSR] = 8};

/* One parse under way. */
struct parse {
    struct acpi_dmar *dmar;
    struct acpi_complaints complaints;
};

static bool scope_decode(struct acpi_window entry, struct acpi_scope *scope)
{
    uint32_t steps = (entry.size - SCOPE_PATH) / 2;

    *scope = (struct acpi_scope){.type = window_u8(entry, 0),
                                 .id = window_u8(entry, 4),
                                 .bus = window_u8(entry, 5),
                                 .path_length = (uint8_t)steps};
    if (scope->type < ACPI_SCOPE_ENDPOINT || scope->type > ACPI_SCOPE_NAMESPACE ||
        entry.size % 2 != 0 || steps > ACPI_SCOPE_PATH_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < steps; i++) {
        uint8_t device = window_u8(entry, SCOPE_PATH + 2 * i);
        uint8_t function = window_u8(entry, SCOPE_PATH + 2 * i + 1);

        if (device > 31 || function > 7) {
            return false;
        }
        scope->path[i] = (uint8_t)(device << 3 | function);
    }
    return true;
}

static struct acpi_scopes read_scopes(struct parse *parse, struct acpi_window list)
{
    struct acpi_dmar *dmar = parse->dmar;
    struct acpi_scopes scopes = {.first = (uint16_t)dmar->scope_count};
    uint32_t offset = 0;

    while (offset < list.size) {
        struct acpi_window entry = window_part(list, offset, window_u8(list, offset + 1));

        if (entry.size < SCOPE_PATH + 2 || entry.size != window_u8(list, offset + 1)) {
            acpi_complain(&parse->complaints,
                          "device scope of length %u with %u bytes left; the rest is lost",
                          window_u8(list, offset + 1), list.size - offset);
            break;
        }
        if (dmar->scope_count == ACPI_SCOPES_MAX) {
            acpi_complain(&parse->complaints, "more than %u device scopes; the rest is lost",
                          ACPI_SCOPES_MAX);
            break;
        }
        if (scope_decode(entry, &dmar->scopes[dmar->scope_count])) {
            dmar->scope_count++;
            scopes.count++;
        } else {
            acpi_complain(&parse->complaints,
                          "device scope of type %u, bus %02x makes no sense; left out",
                          window_u8(entry, 0), window_u8(entry, 5));
        }
        offset += entry.size;
    }
    return scopes;
}

static const char *drhd_fault(const struct acpi_dmar *dmar, const struct acpi_drhd *drhd)
{
    if (drhd->base.raw == 0 || drhd->base.raw % PAGE_SIZE != 0 ||
        !range_fits(drhd->base.raw, drhd->size, 1ULL << 52)) {
        return "its address is impossible";
    }
    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        const struct acpi_drhd *other = &dmar->drhds[i];

        if (ranges_overlap(drhd->base.raw, drhd->size, other->base.raw, other->size)) {
            return "its registers overlap those of another unit";
        }
        if (drhd->include_all && other->include_all && drhd->segment == other->segment) {
            return "another unit has the rest of its segment already";
        }
    }
    return dmar->drhd_count == ACPI_DRHDS_MAX ? "there are too many units" : NULL;
}

static void read_drhd(struct parse *parse, struct acpi_window entry)
{
    struct acpi_dmar *dmar = parse->dmar;
    struct acpi_drhd drhd = {.include_all = (window_u8(entry, 4) & DRHD_FLAG_INCLUDE_ALL) != 0,
                             .size = (uint32_t)PAGE_SIZE << (window_u8(entry, 5) & 0xfU),
                             .segment = window_u16(entry, 6),
                             .base = hpa(window_u64(entry, 8))};
    const char *fault = drhd_fault(dmar, &drhd);

    if (fault != NULL) {
        acpi_complain(&parse->complaints, "remapping unit at %#llx left out: %s",
                      (unsigned long long)drhd.base.raw, fault);
        return;
    }
    drhd.scopes = read_scopes(parse, window_part(entry, fixed_sizes[ENTRY_DRHD], entry.size));
    dmar->drhds[dmar->drhd_count++] = drhd;
}

static void read_rmrr(struct parse *parse, struct acpi_window entry)
{
    struct acpi_dmar *dmar = parse->dmar;
    uint64_t first = window_u64(entry, 8);
    uint64_t last = window_u64(entry, 16);

    if (first >= last || last >= 1ULL << 52 || dmar->rmrr_count == ACPI_RMRRS_MAX) {
        acpi_complain(&parse->complaints, "reserved memory %#llx-%#llx left out: %s",
                      (unsigned long long)first, (unsigned long long)last,
                      dmar->rmrr_count == ACPI_RMRRS_MAX ? "too many" : "impossible addresses");
        return;
    }
    first = align_down(first, PAGE_SIZE);
    dmar->rmrrs[dmar->rmrr_count++] = (struct acpi_rmrr){
        .base = hpa(first),
        .size = align_up(last + 1, PAGE_SIZE) - first,
        .segment = window_u16(entry, 6),
        .scopes = read_scopes(parse, window_part(entry, fixed_sizes[ENTRY_RMRR], entry.size))};
}

static void read_atsr(struct parse *parse, struct acpi_window entry)
{
    struct acpi_dmar *dmar = parse->dmar;

    if (dmar->atsr_count == ACPI_ATSRS_MAX) {
        acpi_complain(&parse->complaints, "more than %u ATS structures; the rest is not used",
                      ACPI_ATSRS_MAX);
        return;
    }
    dmar->atsrs[dmar->atsr_count++] = (struct acpi_atsr){
        .all_ports = (window_u8(entry, 4) & ATSR_FLAG_ALL_PORTS) != 0,
        .segment = window_u16(entry, 6),
        .scopes = read_scopes(parse, window_part(entry, fixed_sizes[ENTRY_ATSR], entry.size))};
}

static void read_entry(struct parse *parse, struct acpi_window entry)
{
    uint16_t type = window_u16(entry, 0);

    if (type >= ENTRY_TYPES) {
        return; /* RHSA, ANDD and the like: nothing that isolation hangs on */
    }
    if (entry.size < fixed_sizes[type]) {
        acpi_complain(&parse->complaints, "structure of type %u is cut to %u bytes; left out", type,
                      entry.size);
        return;
    }
    switch ((enum dmar_entry)type) {
    case ENTRY_DRHD:
        read_drhd(parse, entry);
        break;
    case ENTRY_RMRR:
        read_rmrr(parse, entry);
        break;
    case ENTRY_ATSR:
        read_atsr(parse, entry);
        break;
    case ENTRY_TYPES:
        break;
    }
}

static void read_entries(struct parse *parse, struct acpi_window table)
{
    uint32_t offset = DMAR_ENTRIES;

    while (offset < table.size) {
        struct acpi_window entry = window_part(table, offset, window_u16(table, offset + 2));

        if (entry.size < 4 || entry.size != window_u16(table, offset + 2)) {
            acpi_complain(&parse->complaints,
                          "structure at offset %u has length %u of %u left; the rest is lost",
                          offset, window_u16(table, offset + 2), table.size - offset);
            return;
        }
        read_entry(parse, entry);
        offset += entry.size;
    }
}

enum status dmar_parse(struct acpi_window table, struct acpi_dmar *dmar)
{
    struct parse parse = {
        .dmar = dmar, .complaints = {"DMAR", 0}
    };
    uint8_t flags = window_u8(table, DMAR_FLAGS);

    *dmar = (struct acpi_dmar){0};
    if (table.size < DMAR_ENTRIES) {
        acpi_complain(&parse.complaints, "table of %u bytes, needs at least %u", table.size,
                      (unsigned)DMAR_ENTRIES);
        return STATUS_NOTE(STATUS_INVALID);
    }
    dmar->present = true;
    dmar->interrupt_remapping = (flags & DMAR_FLAG_INTR_REMAP) != 0;
    dmar->x2apic_opt_out = (flags & DMAR_FLAG_X2APIC_OPT_OUT) != 0;
    dmar->dma_opt_in = (flags & DMAR_FLAG_DMA_OPT_IN) != 0;
    dmar->address_width = (uint8_t)((window_u8(table, DMAR_WIDTH) & 0x3fU) + 1);
    read_entries(&parse, table);
    dmar->complete = parse.complaints.count == 0;
    acpi_complaints_close(&parse.complaints);
    return STATUS_OK;
}
