/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/msr.h"

#include <stdbool.h>

bool msr_try_read(uint32_t msr, uint64_t *value);
bool msr_try_write(uint32_t msr, uint64_t value);

enum status msr_read(uint32_t msr, uint64_t *value)
{
    *value = 0;
    return msr_try_read(msr, value) ? STATUS_OK : STATUS_UNSUPPORTED;
}

enum status msr_write(uint32_t msr, uint64_t value)
{
    return msr_try_write(msr, value) ? STATUS_OK : STATUS_UNSUPPORTED;
}
