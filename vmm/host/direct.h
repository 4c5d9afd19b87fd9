/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames that the VMM takes and sees at once: in its direct view, where their address says. */
#ifndef PORTOLAN_VMM_HOST_DIRECT_H
#define PORTOLAN_VMM_HOST_DIRECT_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/host/address_space.h"

/* The VMM's pointer to what lies at ADDRESS, in frames that it owns. */
static inline uint8_t *direct_view(hpa_t address)
{
    return (uint8_t *)(DIRECT_BASE + address.raw);
}

/*
 * Take SIZE bytes of frames anywhere, aligned to ALIGN, and map them in the direct view; what is in
 * them is not cleared. NO_MEMORY: then nothing is taken, and *FRAMES is as it was. Any CPU.
 */
enum status direct_take(uint64_t size, uint64_t align, hpa_t *frames);

/* Give them back; nobody uses them any more. Any CPU. */
void direct_give(hpa_t frames, uint64_t size);

#endif
