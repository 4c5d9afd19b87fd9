/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/percpu.h"

#include "vmm/base/x86.h"
#include "vmm/host/instructions.h"
#include "vmm/host/msr.h"
#include "vmm/host/paging.h"
#include "vmm/host/pool.h"
#include "vmm/host/smp.h"
#include "vmm/host/trap.h"

static struct cpu *cpus[CPUS_MAX];
static uint32_t count;
static bool boot_cpu_ready;

bool cpu_has_area(void)
{
    return boot_cpu_ready;
}

struct cpu *cpu_by_index(uint32_t index)
{
    return index < count ? cpus[index] : NULL;
}

uint32_t cpu_count(void)
{
    return count;
}

uint32_t cpu_count_started(void)
{
    uint32_t started = 0;

    for (uint32_t i = 0; i < count; i++) {
        started += cpus[i]->started;
    }
    return started;
}

uint64_t cpu_stack_top(uint32_t index, enum stack_slot slot)
{
    return STACK_BASE + ((uint64_t)index * STACK_SLOTS + slot + 1) * STACK_STRIDE;
}

static enum status cpu_map_stack(uint32_t index, enum stack_slot slot)
{
    void *memory = pool_allocate(STACK_SIZE, PAGE_SIZE);

    if (!memory) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    return paging_map(cpu_stack_top(index, slot) - STACK_SIZE, pool_hpa(memory), STACK_SIZE,
                      PAGING_WRITE);
}

enum status cpu_create(uint32_t apic_id, struct cpu **created)
{
    struct cpu *cpu = count < CPUS_MAX ? pool_allocate(sizeof(*cpu), PAGE_SIZE) : NULL;
    enum status status = cpu ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);

    for (unsigned slot = 0; slot < STACK_SLOTS && status == STATUS_OK; slot++) {
        status = cpu_map_stack(count, (enum stack_slot)slot);
    }
    if (status != STATUS_OK) {
        return status;
    }
    cpu->self = cpu;
    cpu->index = count;
    cpu->apic_id = apic_id;
    for (unsigned i = 0; i < TIMER_USERS; i++) {
        cpu->timer[i] = UINT64_MAX; /* never */
    }
    cpu->tss.rsp[0] = cpu_stack_top(count, STACK_MAIN);
    cpu->tss.ist[IST_DOUBLE_FAULT - 1] = cpu_stack_top(count, STACK_DOUBLE_FAULT);
    cpu->tss.ist[IST_NMI - 1] = cpu_stack_top(count, STACK_NMI);
    cpu->tss.ist[IST_MACHINE_CHECK - 1] = cpu_stack_top(count, STACK_MACHINE_CHECK);
    cpu->tss.io_map = sizeof(cpu->tss);
    gdt_build(&cpu->gdt, &cpu->tss);
    cpus[count++] = cpu;
    *created = cpu;
    return STATUS_OK;
}

void cpu_load(struct cpu *cpu)
{
    /* CR0.WP: read-only is read-only for us too. Caches on, whatever the start left. */
    cpu_write_cr0((cpu_read_cr0() | CR0_WP) & ~(CR0_CD | CR0_NW));
    /* CR4.MCE: a machine check is a dump, not a silent shutdown. */
    cpu_write_cr4((cpu_read_cr4() | CR4_MCE) & ~(CR4_PGE | CR4_SMEP | CR4_SMAP));
    gdt_load(&cpu->gdt);
    (void)msr_write(MSR_GS_BASE, (uint64_t)cpu);
    trap_load();
    (void)msr_write(MSR_PAT, PAGING_PAT);
    cpu_write_cr3(cpu_read_cr3()); /* no translation with an old memory type stays */
    boot_cpu_ready = true;
}

enum status cpu_setup_boot(void)
{
    struct cpu *cpu;
    enum status status = cpu_create(0, &cpu);

    if (status == STATUS_OK) {
        cpu_load(cpu);
        cpu->started = true;
    }
    return status;
}

void cpu_enter_main_stack(void (*function)(void))
{
    __asm__ volatile(
        "movq %0, %%rsp\n\t"
        "xorl %%ebp, %%ebp\n\t"
        "pushq $0\n\t" /* where a backtrace ends; and the alignment that a call leaves */
        "jmp *%1"
        :
        : "r"(cpu_stack_top(cpu_current()->index, STACK_MAIN)), "r"(function)
        : "memory");
    __builtin_unreachable();
}
