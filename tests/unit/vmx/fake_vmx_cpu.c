/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/vmx/vmx_cpu.c, but for what it chooses: a CPU whose CR0 and CR4 have to be as any CPU's. */
#include "vmm/vmx/vmx.h"

const struct vmx_fixed *vmx_fixed(unsigned index)
{
    static const struct vmx_fixed fixed[] = {
        {0x80000021, UINT32_MAX},
        {0x2000,     UINT64_MAX}
    };

    return &fixed[index];
}

enum status vmx_init(void)
{
    return STATUS_OK;
}

enum status vmx_enable_cpu(void)
{
    return STATUS_OK;
}

hpa_t vmx_msr_bitmap(void)
{
    return hpa(0x5000);
}
