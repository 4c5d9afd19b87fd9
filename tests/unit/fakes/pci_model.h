/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions of tests/unit/fakes/pci_space.h that behave: BARs with sizes, bridge windows, PFs whose
 * VFs come and go, resets that take their time. What the standard forbids software to do meanwhile
 * is counted. Time is that of tests/unit/fakes/ports.h.
 */
#ifndef PORTOLAN_TESTS_UNIT_FAKES_PCI_MODEL_H
#define PORTOLAN_TESTS_UNIT_FAKES_PCI_MODEL_H

#include "drivers/pci/flr.h"
#include "vmm/base/types.h"

/* Start: fake_pci_reset(), and behaviour from now on. */
void fake_model_reset(void);

/* Things done that must not be: decoding on while a BAR changes, times not kept... */
unsigned fake_model_violations(void);

/* The BAR at OFFSET: FLAGS are its low bits (0xc: 64-bit prefetchable); SIZE a power of two. */
void fake_model_bar(bdf_t bdf, uint32_t offset, uint32_t flags, uint64_t size, uint64_t base);

/* Windows of a bridge; size 0: closed. WIDE: the prefetchable one has upper halves. */
void fake_model_windows(bdf_t bdf, uint64_t memory, uint64_t memory_size, uint64_t prefetchable,
                        uint64_t prefetchable_size, bool wide);

/* A PF. */
struct fake_sriov {
    bdf_t pf;
    uint16_t capability;
    uint16_t offset[2]; /* First VF Offset and VF Stride without and with ARI Capable Hierarchy */
    uint16_t stride[2];
    uint32_t ready_us; /* VFs do not answer before */
    bool retry;        /* they say 'not yet' then, instead of nothing */
    uint16_t dead;     /* this VF, from 1, never answers; 0: none */
    bool plain;        /* VFs get no capabilities */
};
void fake_model_sriov(const struct fake_sriov *sriov);

/* Reset of BDF by its PCI Express capability takes BUSY_US; PENDING_US from now on it has requests
 * under way. */
void fake_model_flr(bdf_t bdf, uint32_t pending_us, uint32_t busy_us);

/* Reset BDF and poll to the end: TIMEOUT when that failed, else what pci_flr_start() says. */
static inline enum status fake_flr_run(bdf_t bdf)
{
    struct pci_flr flr;
    enum status status = pci_flr_start(&flr, bdf);

    if (status != STATUS_OK) {
        return status;
    }
    pci_flr_finish(&flr, 1);
    return flr.state == PCI_FLR_DONE ? STATUS_OK : STATUS_TIMEOUT;
}

#endif
