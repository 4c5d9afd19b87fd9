/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's half of vfio-user, as far as a move needs it, in the form of today:
 * docs/vfio-user.md. Devices are channels of the portal. All functions are called from the task,
 * wait for the answer, and return 0 or the error number of the answer; EPROTO: the answer makes no
 * sense; ESHUTDOWN: the session has ended; ECANCELED: the task is cancelled, and nothing was
 * asked.
 */
#ifndef PORTOLAN_GUEST_AGENT_VFU_CLIENT_H
#define PORTOLAN_GUEST_AGENT_VFU_CLIENT_H

#include "vmm/base/types.h"

#define VFU_DATA_MAX (64U << 10) /* bytes of data in a message */

enum vfu_state { VFU_ERROR, VFU_STOP, VFU_RUNNING, VFU_STOP_COPY, VFU_RESUMING, VFU_PRE_COPY = 6 };

struct vfu_area {
    uint64_t offset, size;
};

/* VERSION: the channel is a vfio-user's from here on. *DATA gets how many bytes of data a message
 * may have there. */
int vfu_begin(uint32_t channel, uint32_t *data);

/* How large REGION is, and its areas; *COUNT of them fit, and it gets how many there are. */
int vfu_region(uint32_t channel, uint32_t region, uint64_t *size, struct vfu_area *area,
               uint32_t *count);

/* SIZE bytes, as below at most what vfu_begin() said. */
int vfu_read(uint32_t channel, uint32_t region, uint64_t offset, uint8_t *data, uint32_t size);

int vfu_set_state(uint32_t channel, enum vfu_state state);

/* All of the memory, in pages of 4 KiB. */
int vfu_log_start(uint32_t channel);
int vfu_log_stop(uint32_t channel);

/* The pages of SIZE bytes from ADDRESS on, multiples of 64 pages, that were written since the last
 * report, a bit each. */
int vfu_log_report(uint32_t channel, uint64_t address, uint64_t size, uint8_t *bitmap);

/* *SIZE bytes of the state at most, which gets how many there were; fewer: it is the end. */
int vfu_save(uint32_t channel, uint8_t *data, uint32_t *size);
int vfu_load(uint32_t channel, const uint8_t *data, uint32_t size);

#endif
