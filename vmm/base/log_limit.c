/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/log_limit.h"

static void give_back(struct log_limit *limit, uint64_t now_ns)
{
    uint64_t back = now_ns > limit->since_ns ? (now_ns - limit->since_ns) / LOG_LIMIT_EACH : 0;

    if (back >= limit->spent) {
        limit->spent = 0;
        limit->since_ns = now_ns;
    } else {
        limit->spent -= (uint32_t)back;
        limit->since_ns += back * LOG_LIMIT_EACH;
    }
}

bool log_limit_pass(struct log_limit *limit, uint64_t now_ns, uint64_t *dropped)
{
    give_back(limit, now_ns);
    if (limit->spent == LOG_LIMIT_BURST) {
        limit->dropped++;
        return false;
    }
    limit->spent++;
    *dropped = limit->dropped;
    limit->dropped = 0;
    return true;
}
