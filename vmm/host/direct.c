/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/direct.h"

#include "vmm/host/frame.h"
#include "vmm/host/paging.h"

enum status direct_take(uint64_t size, uint64_t align, hpa_t *frames)
{
    hpa_t taken;
    enum status status = frame_allocate(size, align, FRAME_ANYWHERE, &taken);

    if (status != STATUS_OK) {
        return status;
    }
    status = paging_map((uint64_t)direct_view(taken), taken, size, PAGING_WRITE);
    if (status != STATUS_OK) {
        direct_give(taken, size);
        return status;
    }
    *frames = taken;
    return STATUS_OK;
}

void direct_give(hpa_t frames, uint64_t size)
{
    /* Other CPUs may keep the translation: it stays true as long as the direct view exists. */
    paging_unmap((uint64_t)direct_view(frames), size);
    (void)frame_free(frames, size);
}
