/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/cpu/flush.h"

#include "vmm/cpu/instructions.h"

void flush_local_page(uint64_t va)
{
    cpu_flush_page((const void *)va);
}
