/* SPDX-License-Identifier: BSD-2-Clause */
/* Which devices a list of the DMAR table means. Intel VT-d specification 4.1, section 8.3.1. */
#include "drivers/iommu/vtd.h"
#include "drivers/pci/scan.h"

/* The function that SCOPE's path leads to; false when a bridge on the way is not there. */
static bool scope_resolve(const struct acpi_scope *scope, uint16_t segment, bdf_t *bdf)
{
    *bdf = (bdf_t){.segment = segment, .bus = scope->bus, .devfn = scope->path[0]};
    for (uint32_t step = 1; step < scope->path_length; step++) {
        const struct pci_function *bridge = pci_find(*bdf);

        if (bridge == NULL || bridge->secondary == 0) {
            return false;
        }
        bdf->bus = bridge->secondary;
        bdf->devfn = scope->path[step];
    }
    return true;
}

static bool scope_covers(const struct acpi_scope *scope, uint16_t segment, bdf_t bdf)
{
    bdf_t device;

    /* IOAPICs, HPETs and ACPI devices have requester ids, but are no functions to assign. */
    if ((scope->type != ACPI_SCOPE_ENDPOINT && scope->type != ACPI_SCOPE_BRIDGE) ||
        !scope_resolve(scope, segment, &device)) {
        return false;
    }
    if (bdf_equal(device, bdf)) {
        return true;
    }
    if (scope->type == ACPI_SCOPE_ENDPOINT) {
        return false;
    }
    const struct pci_function *bridge = pci_find(device);

    return bridge != NULL && bridge->secondary != 0 && bdf.bus >= bridge->secondary &&
           bdf.bus <= bridge->subordinate;
}

bool vtd_scopes_cover(const struct acpi_dmar *dmar, struct acpi_scopes scopes, uint16_t segment,
                      bdf_t bdf)
{
    if (segment != bdf.segment) {
        return false;
    }
    for (uint32_t i = 0; i < scopes.count; i++) {
        if (scope_covers(&dmar->scopes[scopes.first + i], segment, bdf)) {
            return true;
        }
    }
    return false;
}

int vtd_scope_unit(const struct acpi_dmar *dmar, bdf_t bdf)
{
    int rest = -1;

    for (uint32_t i = 0; i < dmar->drhd_count; i++) {
        const struct acpi_drhd *drhd = &dmar->drhds[i];

        if (drhd->include_all) {
            rest = drhd->segment == bdf.segment ? (int)i : rest;
        } else if (vtd_scopes_cover(dmar, drhd->scopes, drhd->segment, bdf)) {
            return (int)i;
        }
    }
    return rest;
}

bool vtd_scope_reserved(const struct acpi_dmar *dmar, bdf_t bdf)
{
    for (uint32_t i = 0; i < dmar->rmrr_count; i++) {
        if (vtd_scopes_cover(dmar, dmar->rmrrs[i].scopes, dmar->rmrrs[i].segment, bdf)) {
            return true;
        }
    }
    return false;
}
