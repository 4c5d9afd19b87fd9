/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Function level reset of VFs. PCI Express Base 6.0, sections 6.6.2 and 9.2.2.
 *
 * A state machine, so that one CPU can reset many VFs at once: start, then poll until DONE or
 * FAILED. The VMM's own mappings and tables (MSI-X, legacy registers) are the caller's to restore.
 */
#ifndef PORTOLAN_DRIVERS_PCI_FLR_H
#define PORTOLAN_DRIVERS_PCI_FLR_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_FLR_DRAIN_NS  100000000ULL  /* for what is under way to end, before the reset */
#define PCI_FLR_SETTLE_NS 100000000ULL  /* the function is left alone so long */
#define PCI_FLR_ANSWER_NS 1000000000ULL /* from the reset: then it must answer */

enum pci_flr_state {
    PCI_FLR_IDLE,
    PCI_FLR_DRAIN,  /* requests of the function are still under way */
    PCI_FLR_SETTLE, /* reset; not to be touched */
    PCI_FLR_ANSWER, /* it may say 'not yet' */
    PCI_FLR_DONE,
    PCI_FLR_FAILED
};

/* Private to flr.c, but 'state'. Belongs to the caller. */
struct pci_flr {
    bdf_t bdf;
    uint8_t state;    /* enum pci_flr_state */
    bool ready;       /* Immediate Readiness: it need not settle */
    uint16_t express; /* offsets of capabilities */
    uint16_t acs;     /* 0: none */
    uint16_t device_control;
    uint64_t deadline_ns;
};

/* Stop the DMA of the VF at BDF and begin. UNSUPPORTED: it has no FLR; DEVICE: it does not answer.
 */
enum status pci_flr_start(struct pci_flr *flr, bdf_t bdf);

/*
 * Go on as far as the time allows, without waiting; returns the new state. When DONE the function
 * has Bus Master off and ACS on. FAILED, with a warning: it never came back. To be called every
 * millisecond or so, from any one CPU at a time.
 */
enum pci_flr_state pci_flr_poll(struct pci_flr *flr);

/*
 * Poll COUNT that were started, to the end of all: together they take as long as the slowest. Those
 * that could not be started stay FAILED.
 */
void pci_flr_finish(struct pci_flr *flr, uint32_t count);

/* Does the VF at BDF answer? Its vendor and device id read FFFFh. */
bool pci_vf_answers(bdf_t bdf);

#endif
