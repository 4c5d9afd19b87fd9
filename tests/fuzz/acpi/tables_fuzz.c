/* SPDX-License-Identifier: BSD-2-Clause */
/* The first byte chooses a parser, the rest is the table. */
#include "drivers/acpi/acpi_parse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_dmar(const struct acpi_dmar *dmar)
{
    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        const struct acpi_scopes *scopes = &dmar->drhds[i].scopes;

        if (scopes->first + scopes->count > dmar->scope_count) {
            abort();
        }
    }
    for (uint32_t i = 0; i < dmar->scope_count; i++) {
        if (dmar->scopes[i].path_length < 1 || dmar->scopes[i].path_length > ACPI_SCOPE_PATH_MAX) {
            abort();
        }
    }
}

static void check_ivrs(const struct acpi_ivrs *ivrs)
{
    for (uint32_t i = 0; i < ivrs->device_count; i++) {
        if (ivrs->devices[i].first > ivrs->devices[i].last ||
            ivrs->devices[i].unit >= ivrs->ivhd_count) {
            abort();
        }
    }
}

static void check_mcfg(const struct acpi_mcfg *mcfg)
{
    for (uint32_t i = 0; i < mcfg->ecam_count; i++) {
        const struct acpi_ecam *ecam = &mcfg->ecams[i];

        if (ecam->bus_first > ecam->bus_last || ecam->base.raw >= 1ULL << 52) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const signatures[] = {"APIC", "MCFG", "DMAR", "IVRS", "FACP"};
    static struct acpi_facts facts;

    if (size < 1) {
        return 0;
    }
    struct acpi_window table = {data + 1, (uint32_t)(size - 1)};
    unsigned kind = data[0] % (ARRAY_SIZE(signatures) + 1);

    if (kind < ARRAY_SIZE(signatures)) {
        (void)acpi_parse_table(signatures[kind], table, &facts);
        check_mcfg(&facts.mcfg);
        check_dmar(&facts.dmar);
        check_ivrs(&facts.ivrs);
    } else if (sleep_find_s5(table, &facts.s5) == STATUS_OK && facts.s5.type_a > 7) {
        abort();
    }
    return 0;
}
