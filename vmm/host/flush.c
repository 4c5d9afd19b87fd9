/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/flush.h"

#include "vmm/host/instructions.h"

void flush_local_page(uint64_t va)
{
    cpu_flush_page((const void *)va);
}
