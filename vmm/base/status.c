/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/status.h"

#include "vmm/base/log.h"

static const char *const names[STATUS_COUNT] = {
    [STATUS_OK] = "ok",
    [STATUS_INVALID] = "invalid",
    [STATUS_RANGE] = "out of range",
    [STATUS_CONFLICT] = "conflict",
    [STATUS_NOT_FOUND] = "not found",
    [STATUS_NO_MEMORY] = "out of memory",
    [STATUS_NO_ROOM] = "no addresses are free for it",
    [STATUS_UNSUPPORTED] = "not supported",
    [STATUS_STATE] = "wrong state",
    [STATUS_TIMEOUT] = "timed out",
    [STATUS_DEVICE] = "device error",
    [STATUS_AGAIN] = "not yet",
};

const char *status_name(enum status status)
{
    return (unsigned)status < STATUS_COUNT ? names[status] : "unknown status";
}

enum status status_note(enum status status, const char *file, int line)
{
    log_debug("%s:%d: %s", file, line, status_name(status));
    return status;
}
