/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First VF Offset and VF Stride depend on NumVFs and on ARI Capable Hierarchy (9.3.3.9, 9.3.3.10),
 * so both are set before they are read.
 */
#include "drivers/pci/pci_config.h"
#include "drivers/pci/pci_vf.h"
#include "drivers/pci/scan.h"
#include "vmm/base/log.h"

#define FUNCTIONS 8U
#define NO_HEADER 0xffU /* reads so where nothing is */

static uint32_t control_at(const struct pci_function *pf)
{
    return pf->sriov + (uint32_t)PCI_SRIOV_CONTROL;
}

/* Of the functions of PF's device that have SR-IOV, the lowest: it has ARI Capable Hierarchy. */
static const struct pci_function *lowest_pf(const struct pci_function *pf)
{
    for (uint32_t devfn = 0; devfn < pf->bdf.devfn; devfn++) {
        bdf_t bdf = {.segment = pf->bdf.segment, .bus = pf->bdf.bus, .devfn = (uint8_t)devfn};
        const struct pci_function *other = pci_find(bdf);

        if (other != NULL && other->sriov != 0) {
            return other;
        }
    }
    return pf;
}

/* Does PORT pass on only device 0 of its secondary bus, unless it forwards ARI? */
static bool needs_ari_forwarding(const struct pci_function *port)
{
    return port != NULL && (port->port == PCI_PORT_ROOT || port->port == PCI_PORT_DOWNSTREAM);
}

static bool port_forwards(const struct pci_function *port)
{
    return (pci_config_read(port->bdf, port->express + PCI_EXPRESS_DEVICE_CONTROL2, 2) &
            PCI_EXPRESS_ARI_FORWARDING) != 0;
}

/* Have other PFs of PF's device VFs that are on? */
static bool device_has_vfs(const struct pci_function *pf)
{
    for (uint32_t i = 0; i < PCI_PFS_MAX; i++) {
        const struct pci_pf *other = pci_pf_at(i);

        if (other != NULL && other->function->bdf.segment == pf->bdf.segment &&
            other->function->bdf.bus == pf->bdf.bus) {
            return true;
        }
    }
    return false;
}

/* Make the device's ARI Capable Hierarchy say ON. */
static enum status set_hierarchy(const struct pci_function *pf, bool on)
{
    const struct pci_function *lowest = lowest_pf(pf);

    pci_vf_await_release(lowest); /* it may be another PF than that which is switched on */
    uint32_t control = pci_config_read(lowest->bdf, control_at(lowest), 2);
    uint32_t wanted = on ? control | PCI_SRIOV_CONTROL_ARI : control & ~PCI_SRIOV_CONTROL_ARI;

    if (wanted == control) {
        return STATUS_OK;
    }
    if (device_has_vfs(pf) || (control & PCI_SRIOV_CONTROL_ENABLE) != 0) {
        log_warn("PCI " BDF_FORMAT ": ARI cannot change while other VFs of the device are on: "
                 "switch the VFs of this PF on first",
                 BDF_ARGS(pf->bdf));
        return STATUS_NOTE(STATUS_STATE);
    }
    pci_config_write(lowest->bdf, control_at(lowest), 2, wanted);
    /* A device with few VFs may leave the bit out: then nothing depends on it. */
    return STATUS_OK;
}

/* Set NumVFs and read what depends on it. */
static enum status read_numbers(const struct pci_function *pf, uint16_t count,
                                struct pci_sriov *sriov)
{
    uint32_t at = pf->sriov;

    pci_config_write(pf->bdf, at + PCI_SRIOV_NUM_VFS, 2, count);
    sriov->num_vfs = (uint16_t)pci_config_read(pf->bdf, at + PCI_SRIOV_NUM_VFS, 2);
    sriov->first_offset = (uint16_t)pci_config_read(pf->bdf, at + PCI_SRIOV_FIRST_OFFSET, 2);
    sriov->stride = (uint16_t)pci_config_read(pf->bdf, at + PCI_SRIOV_STRIDE, 2);
    if (sriov->num_vfs != count) {
        log_warn("PCI " BDF_FORMAT ": it takes %u for NumVFs, not %u; its VFs are not used",
                 BDF_ARGS(pf->bdf), sriov->num_vfs, count);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    if (sriov->first_offset == 0 || (count > 1 && sriov->stride == 0)) {
        log_warn("PCI " BDF_FORMAT ": its VFs have offset %u and stride %u, which are no places of "
                 "their own; they are not used",
                 BDF_ARGS(pf->bdf), sriov->first_offset, sriov->stride);
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return STATUS_OK;
}

/* Would PORT drop what is for some VF, for its device number? */
static bool beyond_device(const struct pci_function *pf, const struct pci_sriov *sriov)
{
    for (uint32_t i = 0; i < sriov->num_vfs; i++) {
        bdf_t vf;

        if (pci_sriov_vf(pf->bdf, sriov, i, &vf) != STATUS_OK || vf.bus != pf->bdf.bus) {
            return false; /* they rise: none after it is on this bus */
        }
        if (vf.devfn >= FUNCTIONS) {
            return true;
        }
    }
    return false;
}

static enum status enable_forwarding(const struct pci_function *pf, const struct pci_function *port,
                                     enum log_level level)
{
    if (!port->ari_supported || pf->ari == 0) {
        log_write(
            level,
            "PCI " BDF_FORMAT ": its VFs need ARI, which %s " BDF_FORMAT
            " lacks: put the card into another slot, switch ARI on in the firmware set-up, or "
            "use fewer VFs",
            BDF_ARGS(pf->bdf), pf->ari == 0 ? "the device" : "the port",
            BDF_ARGS(pf->ari == 0 ? pf->bdf : port->bdf));
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    (void)pci_config_change(port->bdf, port->express + PCI_EXPRESS_DEVICE_CONTROL2, 0,
                            PCI_EXPRESS_ARI_FORWARDING);
    if (!port_forwards(port)) {
        log_warn("PCI " BDF_FORMAT ": ARI forwarding cannot be switched on", BDF_ARGS(port->bdf));
        return STATUS_NOTE(STATUS_DEVICE);
    }
    log_info("PCI " BDF_FORMAT ": ARI forwarding is on now, for the VFs of " BDF_FORMAT,
             BDF_ARGS(port->bdf), BDF_ARGS(pf->bdf));
    return STATUS_OK;
}

/*
 * Is another function at VF? VFs that are off do not answer, so whatever does is not ours, even if
 * the scan has not listed it: a VF has no vendor id, a broken function perhaps no header.
 */
static bool place_taken(bdf_t vf)
{
    return pci_find(vf) != NULL || pci_vf_find(vf) != NULL ||
           pci_config_read(vf, PCI_VENDOR_ID, 2) != PCI_VENDOR_NONE ||
           pci_config_read(vf, PCI_HEADER_TYPE, 1) != NO_HEADER;
}

/* May VFs be on BUS, behind PORT (NULL: none)? */
static enum status check_bus(const struct pci_function *pf, const struct pci_function *port,
                             uint8_t bus, enum log_level level)
{
    const struct pci_function *upstream = pci_upstream(pf->bdf.segment, bus);

    /* On a root bus nobody says which later buses are the host bridge's. */
    if (upstream == port && (port != NULL || bus == pf->bdf.bus) &&
        pci_config_open(pf->bdf.segment, bus) == STATUS_OK) {
        return STATUS_OK;
    }
    if (port != NULL) {
        log_write(level,
                  "PCI " BDF_FORMAT ": some VFs would be on bus %02x, but bridge " BDF_FORMAT
                  " leads to buses %02x-%02x: use fewer VFs, or have the firmware reserve buses "
                  "(SR-IOV support)",
                  BDF_ARGS(pf->bdf), bus, BDF_ARGS(port->bdf), port->secondary, port->subordinate);
    } else {
        log_write(level,
                  "PCI " BDF_FORMAT ": some VFs would be on bus %02x, which cannot be reached: use "
                  "fewer VFs",
                  BDF_ARGS(pf->bdf), bus);
    }
    return STATUS_NOTE(STATUS_RANGE);
}

static enum status check_places(const struct pci_function *pf, const struct pci_function *port,
                                const struct pci_sriov *sriov, enum log_level level)
{
    uint32_t bus_checked = 0x100;

    for (uint32_t i = 0; i < sriov->num_vfs; i++) {
        enum status status;
        bdf_t vf;

        status = pci_sriov_vf(pf->bdf, sriov, i, &vf);
        if (status != STATUS_OK) {
            log_write(level, "PCI " BDF_FORMAT ": VF %u would be beyond bus ff: use fewer VFs",
                      BDF_ARGS(pf->bdf), i + 1);
            return status;
        }
        if (vf.bus != bus_checked) {
            status = check_bus(pf, port, vf.bus, level);
            if (status != STATUS_OK) {
                return status;
            }
            bus_checked = vf.bus;
        }
        if (place_taken(vf)) {
            log_write(level,
                      "PCI " BDF_FORMAT ": VF %u would be at " BDF_FORMAT
                      ", where another function is; its VFs are not used",
                      BDF_ARGS(pf->bdf), i + 1, BDF_ARGS(vf));
            return STATUS_NOTE(STATUS_CONFLICT);
        }
    }
    return STATUS_OK;
}

enum status pci_vf_plan(const struct pci_function *pf, struct pci_sriov *sriov, uint16_t count,
                        enum log_level level)
{
    const struct pci_function *port = pci_upstream(pf->bdf.segment, pf->bdf.bus);
    bool gated = needs_ari_forwarding(port);
    enum status status;

    /* ARI Capable Hierarchy is to say what the port does (9.3.3.3.5). */
    status = set_hierarchy(pf, gated && port_forwards(port));
    if (status == STATUS_OK) {
        status = read_numbers(pf, count, sriov);
    }
    if (status == STATUS_OK && gated && !port_forwards(port) && beyond_device(pf, sriov)) {
        status = enable_forwarding(pf, port, level);
        if (status == STATUS_OK) {
            status = set_hierarchy(pf, true);
        }
        if (status == STATUS_OK) {
            status = read_numbers(pf, count, sriov);
        }
    }
    return status == STATUS_OK ? check_places(pf, port, sriov, level) : status;
}
