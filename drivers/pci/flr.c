/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/flr.h"

#include "drivers/pci/acs.h"
#include "drivers/pci/caps.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/sriov.h"
#include "vmm/base/log.h"
#include "vmm/host/time.h"
#include "vmm/host/wait.h"

#define CACHE_LINE   0x0cU
#define VENDOR_RETRY 0x0001U /* vendor id while a function asks to be tried again, 2.3.2 */
#define HEADER_MASK  0x7fU
#define DISABLE      (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER)
/* In the Status register: configuration accesses need no wait after a reset, 7.5.1.1.4. */
#define IMMEDIATE_READINESS 0x0001U
#define POLL_US             1000U
#define POLLS_MAX           2000U /* of all functions; the states end sooner, by the clock */
#define AF_CAPS             0x03U
#define AF_CONTROL          0x04U
#define AF_STATUS           0x05U
#define AF_HAS_FLR          0x02U
#define AF_START_FLR        0x01U
#define AF_PENDING          0x01U
#define CONTROL_KEEP        0x7fffU

bool pci_function_answers(bdf_t bdf, bool vf)
{
    uint32_t vendor = pci_config_read(bdf, PCI_VENDOR_ID, 4) & 0xffffU;
    uint32_t header;

    if (vendor == VENDOR_RETRY || (!vf && (vendor == PCI_VENDOR_NONE || vendor == 0))) {
        return false;
    }
    header = pci_config_read(bdf, PCI_HEADER_TYPE, 1);
    return header != 0xffU && (header & HEADER_MASK) == PCI_HEADER_DEVICE;
}

/* Find how BDF is reset. */
static enum status find_method(struct pci_flr *flr)
{
    bdf_t bdf = flr->bdf;
    uint16_t express = pci_cap_find(bdf, PCI_CAP_EXPRESS);
    uint16_t af;

    if (express != 0 &&
        (pci_config_read(bdf, express + PCI_EXPRESS_DEVICE_CAPS, 4) & PCI_EXPRESS_FLR) != 0) {
        flr->express = (uint8_t)express;
        return STATUS_OK;
    }
    af = express == 0 ? pci_cap_find(bdf, PCI_CAP_AF) : 0;
    if (af != 0 && (pci_config_read(bdf, af + AF_CAPS, 1) & AF_HAS_FLR) != 0) {
        flr->af = (uint8_t)af;
        return STATUS_OK;
    }
    log_warn("PCI " BDF_FORMAT ": it has no function level reset, so it cannot be given to a VM",
             BDF_ARGS(bdf));
    return STATUS_NOTE(STATUS_UNSUPPORTED);
}

static bool vfs_are_on(bdf_t bdf)
{
    uint16_t sriov = pci_cap_find_extended(bdf, PCI_EXT_CAP_SRIOV);

    return sriov != 0 && (pci_config_read(bdf, sriov + (uint32_t)PCI_SRIOV_CONTROL, 2) &
                          PCI_SRIOV_CONTROL_ENABLE) != 0;
}

static void save(struct pci_flr *flr)
{
    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        flr->header[i] = pci_config_read(flr->bdf, PCI_BAR0 + 4 * i, 4);
    }
    flr->rom = pci_config_read(flr->bdf, PCI_ROM, 4);
    flr->cache_line = pci_config_read(flr->bdf, CACHE_LINE, 1);
    flr->interrupt_line = pci_config_read(flr->bdf, PCI_INTERRUPT_LINE, 1);
}

static void restore(const struct pci_flr *flr)
{
    for (uint32_t i = 0; i < PCI_BARS_MAX; i++) {
        pci_config_write(flr->bdf, PCI_BAR0 + 4 * i, 4, flr->header[i]);
    }
    pci_config_write(flr->bdf, PCI_ROM, 4, flr->rom);
    pci_config_write(flr->bdf, CACHE_LINE, 1, flr->cache_line);
    pci_config_write(flr->bdf, PCI_INTERRUPT_LINE, 1, flr->interrupt_line);
    if (flr->express != 0) {
        pci_config_write(flr->bdf, flr->express + PCI_EXPRESS_DEVICE_CONTROL, 2,
                         flr->device_control);
    }
}

enum status pci_flr_start(struct pci_flr *flr, bdf_t bdf, bool vf)
{
    enum status status;

    *flr = (struct pci_flr){.bdf = bdf, .vf = vf, .state = PCI_FLR_FAILED};
    if (!pci_function_answers(bdf, vf)) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    status = find_method(flr);
    if (status != STATUS_OK) {
        return status;
    }
    if (!vf && vfs_are_on(bdf)) {
        return STATUS_NOTE(STATUS_STATE);
    }
    if (!vf) {
        save(flr);
    }
    if (flr->express != 0) {
        flr->device_control =
            (uint16_t)(pci_config_read(bdf, flr->express + PCI_EXPRESS_DEVICE_CONTROL, 2) &
                       CONTROL_KEEP);
    }
    flr->acs = pci_cap_find_extended(bdf, PCI_EXT_CAP_ACS);
    flr->ready = (pci_config_read(bdf, PCI_STATUS, 2) & IMMEDIATE_READINESS) != 0;
    (void)pci_config_change(bdf, PCI_COMMAND, 2, vf ? PCI_COMMAND_BUS_MASTER : DISABLE, 0);
    flr->deadline_ns = time_now_ns() + PCI_FLR_DRAIN_NS;
    flr->state = PCI_FLR_DRAIN;
    return STATUS_OK;
}

/* Is a request of the function still without an answer? All ones: it is gone; that shows later. */
static bool pending(const struct pci_flr *flr)
{
    if (flr->express != 0) {
        return (pci_config_read(flr->bdf, flr->express + PCI_EXPRESS_DEVICE_STATUS, 2) &
                PCI_EXPRESS_PENDING) != 0;
    }
    return (pci_config_read(flr->bdf, flr->af + AF_STATUS, 1) & AF_PENDING) != 0;
}

static void drain(struct pci_flr *flr)
{
    if (pending(flr)) {
        if (time_now_ns() < flr->deadline_ns) {
            return;
        }
        log_warn("PCI " BDF_FORMAT ": requests are still under way after %u ms; it is reset anyway",
                 BDF_ARGS(flr->bdf), (unsigned)(PCI_FLR_DRAIN_NS / 1000000));
    }
    if (flr->express != 0) {
        pci_config_write(flr->bdf, flr->express + PCI_EXPRESS_DEVICE_CONTROL, 2,
                         flr->device_control | PCI_EXPRESS_START_FLR);
    } else {
        pci_config_write(flr->bdf, flr->af + AF_CONTROL, 1, AF_START_FLR);
    }
    flr->deadline_ns = time_now_ns() + PCI_FLR_SETTLE_NS;
    flr->state = PCI_FLR_SETTLE;
}

static void await_answer(struct pci_flr *flr)
{
    if (pci_function_answers(flr->bdf, flr->vf)) {
        if (!flr->vf) {
            restore(flr);
        } else {
            /* A function learns its bus number from writes, and has just forgotten it (2.2.6.2). */
            pci_config_write(flr->bdf, PCI_COMMAND, 2, 0);
        }
        (void)pci_acs_set(flr->bdf, flr->acs); /* that it takes it was seen before */
        flr->state = PCI_FLR_DONE;
    } else if (time_now_ns() >= flr->deadline_ns) {
        log_warn("PCI " BDF_FORMAT ": no answer 1 s after a function level reset; it is not used "
                 "any more",
                 BDF_ARGS(flr->bdf));
        flr->state = PCI_FLR_FAILED;
    }
}

enum pci_flr_state pci_flr_poll(struct pci_flr *flr)
{
    if (flr->state == PCI_FLR_DRAIN) {
        drain(flr);
    }
    if (flr->state == PCI_FLR_SETTLE && (flr->ready || time_now_ns() >= flr->deadline_ns)) {
        flr->deadline_ns += PCI_FLR_ANSWER_NS - PCI_FLR_SETTLE_NS;
        flr->state = PCI_FLR_ANSWER;
    }
    if (flr->state == PCI_FLR_ANSWER) {
        await_answer(flr);
    }
    return (enum pci_flr_state)flr->state;
}

static bool under_way(const struct pci_flr *flr)
{
    return flr->state != PCI_FLR_DONE && flr->state != PCI_FLR_FAILED;
}

void pci_flr_finish(struct pci_flr *flr, uint32_t count)
{
    uint32_t left = count;

    for (uint32_t polls = 0; left > 0 && polls < POLLS_MAX; polls++) {
        left = 0;
        for (uint32_t i = 0; i < count; i++) {
            (void)pci_flr_poll(&flr[i]);
            left += under_way(&flr[i]);
        }
        if (left > 0) {
            wait_us(POLL_US);
        }
    }
}
