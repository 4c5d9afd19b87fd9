/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/x86.h"
#include "vmm/host/address_space.h"
#include "vmm/host/instructions.h"
#include "vmm/host/msr.h"
#include "vmm/host/paging.h"
#include "vmm/host/pool.h"

extern const char core_text[], core_text_end[], core_rodata_end[], core_data_end[], core_end[];
extern const char boot_stack_guard[];

static const struct {
    const char *from, *to;
    unsigned rights;
} sections[] = {
    {core_text,       core_text_end,   PAGING_EXECUTE},
    {core_text_end,   core_rodata_end, PAGING_READ   },
    {core_rodata_end, core_data_end,   PAGING_WRITE  },
    {core_data_end,   core_end,        PAGING_READ   }, /* the table of symbols */
};

enum status vmm_tables_build(const struct handoff *handoff)
{
    enum status status = paging_init();

    for (unsigned i = 0; i < ARRAY_SIZE(sections) && status == STATUS_OK; i++) {
        uint64_t va = (uint64_t)sections[i].from, size = (uint64_t)sections[i].to - va;

        if (size > 0) {
            status = paging_map(va, hpa(handoff->core_base + (va - CORE_BASE)), size,
                                sections[i].rights);
        }
    }
    if (status != STATUS_OK) {
        return status;
    }
    paging_unmap((uint64_t)boot_stack_guard, PAGE_SIZE);
    hpa_t pool = pool_first();

    return paging_map(DIRECT_BASE + pool.raw, pool, pool_size(), PAGING_WRITE);
}

void vmm_tables_load(void)
{
    /* Raw writes: there is no trap handler yet that could catch a fault, and long mode has both. */
    __asm__ volatile("rdmsr; orl %0, %%eax; wrmsr" ::"i"(EFER_NXE), "c"(MSR_EFER) : "eax", "edx");
    cpu_write_cr3(paging_root().raw);
    pool_relocate();
}

uint64_t vmm_image_size(void)
{
    return (uint64_t)core_end - CORE_BASE;
}

void flush_local_page(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}
