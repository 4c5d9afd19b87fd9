/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/acpi_parse.h"

enum { MCFG_ENTRIES = 44, MCFG_ENTRY_SIZE = 16 };

#define ECAM_BUS_SIZE (1ULL << 20)

static uint64_t ecam_start(const struct acpi_ecam *ecam)
{
    return ecam->base.raw + ecam->bus_first * ECAM_BUS_SIZE;
}

static uint64_t ecam_size(const struct acpi_ecam *ecam)
{
    return (ecam->bus_last - ecam->bus_first + 1U) * ECAM_BUS_SIZE;
}

static bool buses_overlap(const struct acpi_ecam *a, const struct acpi_ecam *b)
{
    return a->segment == b->segment && a->bus_first <= b->bus_last && b->bus_first <= a->bus_last;
}

static const char *ecam_fault(const struct acpi_mcfg *mcfg, const struct acpi_ecam *ecam)
{
    if (ecam->bus_first > ecam->bus_last) {
        return "its buses run backwards";
    }
    if (ecam->base.raw == 0 || ecam->base.raw % ECAM_BUS_SIZE != 0) {
        return "its address is not a multiple of 1 MiB";
    }
    if (!range_fits(ecam->base.raw, (ecam->bus_last + 1U) * ECAM_BUS_SIZE, ACPI_PHYSICAL_LIMIT)) {
        return "it lies beyond 52 bits of address";
    }
    for (uint32_t i = 0; i < mcfg->ecam_count; i++) {
        const struct acpi_ecam *other = &mcfg->ecams[i];

        if (buses_overlap(ecam, other)) {
            return "an earlier range has some of its buses";
        }
        if (ranges_overlap(ecam_start(ecam), ecam_size(ecam), ecam_start(other),
                           ecam_size(other))) {
            return "its memory overlaps that of an earlier range";
        }
    }
    return mcfg->ecam_count == ACPI_ECAM_MAX ? "there are too many ranges" : NULL;
}

void mcfg_parse(struct acpi_parse *parse)
{
    struct acpi_mcfg *mcfg = &parse->facts->mcfg;
    struct acpi_window table = parse->table;
    uint32_t offset = MCFG_ENTRIES;

    *mcfg = (struct acpi_mcfg){.present = true};
    for (; window_has(table, offset, MCFG_ENTRY_SIZE); offset += MCFG_ENTRY_SIZE) {
        struct acpi_ecam ecam = {.base = hpa(window_u64(table, offset)),
                                 .segment = window_u16(table, offset + 8),
                                 .bus_first = window_u8(table, offset + 10),
                                 .bus_last = window_u8(table, offset + 11)};
        const char *fault = ecam_fault(mcfg, &ecam);

        if (fault != NULL) {
            acpi_complain(parse, "segment %u buses %02x-%02x at %#llx left out: %s", ecam.segment,
                          ecam.bus_first, ecam.bus_last, (unsigned long long)ecam.base.raw, fault);
        } else {
            mcfg->ecams[mcfg->ecam_count++] = ecam;
        }
    }
    if (offset != table.size) {
        acpi_complain(parse, "%u bytes at the end are no whole entry", table.size - offset);
    }
}
