/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/flr.h"

#include "drivers/pci/acs.h"
#include "drivers/pci/caps.h"
#include "drivers/pci/pci_config.h"
#include "vmm/base/log.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"

#define VENDOR_RETRY 0x0001U /* vendor id while a function asks to be tried again, 2.3.2 */
#define HEADER_MASK  0x7fU
/* In the Status register: configuration accesses need no wait after a reset, 7.5.1.1.4. */
#define IMMEDIATE_READINESS 0x0001U
#define POLL_US             1000U
#define POLLS_MAX           2000U /* of all functions; the states end sooner, by the clock */
#define CONTROL_KEEP        0x7fffU

bool pci_vf_answers(bdf_t bdf)
{
    uint32_t header;

    if ((pci_config_read(bdf, PCI_VENDOR_ID, 4) & 0xffffU) == VENDOR_RETRY) {
        return false;
    }
    header = pci_config_read(bdf, PCI_HEADER_TYPE, 1);
    return header != 0xffU && (header & HEADER_MASK) == PCI_HEADER_DEVICE;
}

enum status pci_flr_start(struct pci_flr *flr, bdf_t bdf)
{
    *flr = (struct pci_flr){.bdf = bdf, .state = PCI_FLR_FAILED};
    if (!pci_vf_answers(bdf)) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    flr->express = pci_cap_find(bdf, PCI_CAP_EXPRESS);
    if (flr->express == 0 ||
        (pci_config_read(bdf, flr->express + PCI_EXPRESS_DEVICE_CAPS, 4) & PCI_EXPRESS_FLR) == 0) {
        log_warn("PCI " BDF_FORMAT
                 ": it has no function level reset, so it cannot be given to a VM",
                 BDF_ARGS(bdf));
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    flr->device_control =
        (uint16_t)(pci_config_read(bdf, flr->express + PCI_EXPRESS_DEVICE_CONTROL, 2) &
                   CONTROL_KEEP);
    flr->acs = pci_cap_find_extended(bdf, PCI_EXT_CAP_ACS);
    flr->ready = (pci_config_read(bdf, PCI_STATUS, 2) & IMMEDIATE_READINESS) != 0;
    (void)pci_config_change(bdf, PCI_COMMAND, PCI_COMMAND_BUS_MASTER, 0);
    flr->deadline_ns = time_now_ns() + PCI_FLR_DRAIN_NS;
    flr->state = PCI_FLR_DRAIN;
    return STATUS_OK;
}

/* Is a request of the VF still without an answer? All ones: it is gone; that shows later. */
static bool pending(const struct pci_flr *flr)
{
    return (pci_config_read(flr->bdf, flr->express + PCI_EXPRESS_DEVICE_STATUS, 2) &
            PCI_EXPRESS_PENDING) != 0;
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
    pci_config_write(flr->bdf, flr->express + PCI_EXPRESS_DEVICE_CONTROL, 2,
                     flr->device_control | PCI_EXPRESS_START_FLR);
    flr->deadline_ns = time_now_ns() + PCI_FLR_SETTLE_NS;
    flr->state = PCI_FLR_SETTLE;
}

static void await_answer(struct pci_flr *flr)
{
    if (pci_vf_answers(flr->bdf)) {
        /* A function learns its bus number from writes, and has just forgotten it (2.2.6.2). */
        pci_config_write(flr->bdf, PCI_COMMAND, 2, 0);
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
