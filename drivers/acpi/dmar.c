/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/acpi_parse.h"

enum { DMAR_FLAGS = 37, DMAR_ENTRIES = 48, SCOPE_PATH = 6 };

#define DMAR_FLAG_INTR_REMAP     0x1U
#define DMAR_FLAG_X2APIC_OPT_OUT 0x2U
#define DRHD_FLAG_INCLUDE_ALL    0x1U

/* Of the types of entries those that isolation hangs on, and where their device scopes begin. */
enum dmar_entry { ENTRY_DRHD = 0, ENTRY_RMRR = 1 };
enum { DRHD_SCOPES = 16, RMRR_SCOPES = 24 };

static bool scope_decode(struct acpi_window entry, struct acpi_scope *scope)
{
    uint32_t steps = (entry.size - SCOPE_PATH) / 2;

    *scope = (struct acpi_scope){
        .type = window_u8(entry, 0), .bus = window_u8(entry, 5), .path_length = (uint8_t)steps};
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

/* The scopes of ENTRY from OFFSET on. */
static struct acpi_scopes read_scopes(struct acpi_parse *parse, struct acpi_window entry,
                                      uint32_t offset)
{
    struct acpi_dmar *dmar = &parse->facts->dmar;
    struct acpi_scopes scopes = {.first = (uint16_t)dmar->scope_count};
    struct acpi_list list = {.window = window_part(entry, offset, entry.size),
                             .what = "device scope",
                             .length_at = 1,
                             .length_width = 1,
                             .least = SCOPE_PATH + 2};

    while (acpi_list_next(parse, &list)) {
        if (dmar->scope_count == ACPI_SCOPES_MAX) {
            acpi_complain(parse, "more than %u device scopes; the rest is lost", ACPI_SCOPES_MAX);
            break;
        }
        if (scope_decode(list.entry, &dmar->scopes[dmar->scope_count])) {
            dmar->scope_count++;
            scopes.count++;
        } else {
            acpi_complain(parse, "device scope of type %u, bus %02x makes no sense; left out",
                          window_u8(list.entry, 0), window_u8(list.entry, 5));
        }
    }
    return scopes;
}

static const char *drhd_fault(const struct acpi_dmar *dmar, const struct acpi_drhd *drhd)
{
    if (drhd->base.raw == 0 || drhd->base.raw % PAGE_SIZE != 0 ||
        !range_fits(drhd->base.raw, drhd->size, ACPI_PHYSICAL_LIMIT)) {
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

static void read_drhd(struct acpi_parse *parse, struct acpi_window entry)
{
    struct acpi_dmar *dmar = &parse->facts->dmar;
    struct acpi_drhd drhd = {.include_all = (window_u8(entry, 4) & DRHD_FLAG_INCLUDE_ALL) != 0,
                             .size = (uint32_t)PAGE_SIZE << (window_u8(entry, 5) & 0xfU),
                             .segment = window_u16(entry, 6),
                             .base = hpa(window_u64(entry, 8))};
    const char *fault = drhd_fault(dmar, &drhd);

    if (fault != NULL) {
        acpi_complain(parse, "remapping unit at %#llx left out: %s",
                      (unsigned long long)drhd.base.raw, fault);
        return;
    }
    drhd.scopes = read_scopes(parse, entry, DRHD_SCOPES);
    dmar->drhds[dmar->drhd_count++] = drhd;
}

static void read_rmrr(struct acpi_parse *parse, struct acpi_window entry)
{
    struct acpi_dmar *dmar = &parse->facts->dmar;
    uint64_t first = window_u64(entry, 8);
    uint64_t last = window_u64(entry, 16);

    if (first >= last || last >= ACPI_PHYSICAL_LIMIT || dmar->rmrr_count == ACPI_RMRRS_MAX) {
        acpi_complain(parse, "reserved memory %#llx-%#llx left out: %s", (unsigned long long)first,
                      (unsigned long long)last,
                      dmar->rmrr_count == ACPI_RMRRS_MAX ? "too many" : "impossible addresses");
        return;
    }
    dmar->rmrrs[dmar->rmrr_count++] = (struct acpi_rmrr){
        .segment = window_u16(entry, 6), .scopes = read_scopes(parse, entry, RMRR_SCOPES)};
}

void dmar_parse(struct acpi_parse *parse)
{
    uint8_t flags = window_u8(parse->table, DMAR_FLAGS);
    struct acpi_list list = {.window = parse->table,
                             .what = "structure",
                             .at = DMAR_ENTRIES,
                             .length_at = 2,
                             .length_width = 2,
                             .least = 4};

    parse->facts->dmar =
        (struct acpi_dmar){.present = true,
                           .interrupt_remapping = (flags & DMAR_FLAG_INTR_REMAP) != 0,
                           .x2apic_opt_out = (flags & DMAR_FLAG_X2APIC_OPT_OUT) != 0};
    while (acpi_list_next(parse, &list)) {
        uint16_t type = window_u16(list.entry, 0);

        if (type > ENTRY_RMRR) {
            continue; /* ATSR, RHSA, ANDD and the like: nothing that isolation hangs on */
        }
        if (list.entry.size < (type == ENTRY_DRHD ? DRHD_SCOPES : RMRR_SCOPES)) {
            acpi_complain(parse, "structure of type %u is cut to %u bytes; left out", type,
                          list.entry.size);
        } else if (type == ENTRY_DRHD) {
            read_drhd(parse, list.entry);
        } else {
            read_rmrr(parse, list.entry);
        }
    }
    parse->facts->dmar.complete = parse->complaints == 0;
}
