/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest may see of the CPU: no virtualisation extensions, a topology of its own, faults
 * where the manual wants them, model registers that keep what is written.
 */
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define VECTOR_UD    6
#define VECTOR_GP    13
#define MSR_UNKNOWN  0x12345678
#define MSR_EFER     0xc0000080
#define MSR_STAR     0xc0000081
#define MSR_LSTAR    0xc0000082
#define MSR_SFMASK   0xc0000084
#define MSR_PAT      0x277
#define MSR_SYSENTER 0x174
#define MSR_TSC      0x10
#define EFER_SVME    (1UL << 12)
#define FLAG_RF      (1UL << 16)
#define CPUID_VMX    (1U << 5)
#define CPUID_SVM    (1U << 2)

struct msr {
    uint32_t index;
    uint64_t value;
};

static void read_msr(void *argument)
{
    struct msr *msr = argument;

    msr->value = rdmsr(msr->index);
}

static void write_msr(void *argument)
{
    const struct msr *msr = argument;

    wrmsr(msr->index, msr->value);
}

static void vmcall(void *unused)
{
    __asm__ volatile("vmmcall" ::: "memory");
}

static void vmrun(void *unused)
{
    __asm__ volatile("vmrun" ::"a"(0) : "memory");
}

static void set_cr4(void *value)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(*(uint64_t *)value) : "memory");
}

static void set_cr0(void *value)
{
    __asm__ volatile("mov %0, %%cr0" ::"r"(*(uint64_t *)value) : "memory");
}

static void test_virtualisation_is_hidden(bool bare)
{
    uint32_t id[4];
    struct msr efer = {MSR_EFER, 0};

    if (bare) {
        printf("skipped: hidden virtualisation: this is no VM of Portolan's\n");
        return;
    }
    test_group("no virtualisation extensions");
    cpuid(1, 0, id);
    CHECK_EQUAL(id[2] & CPUID_VMX, 0);
    cpuid(0x80000001, 0, id);
    CHECK_EQUAL(id[2] & CPUID_SVM, 0);
    efer.value = rdmsr(MSR_EFER) | EFER_SVME;
    CHECK_EQUAL(fault_catch(write_msr, &efer), VECTOR_GP);
    CHECK_EQUAL(rdmsr(MSR_EFER) & EFER_SVME, 0);
    CHECK_EQUAL(fault_catch(vmrun, NULL), VECTOR_UD);
    CHECK_EQUAL(fault_catch(vmcall, NULL), VECTOR_UD);
}

static void test_msrs(bool bare)
{
    static const struct msr kept[] = {
        {MSR_STAR,     0x0023001000000000},
        {MSR_LSTAR,    0xffff800012345678},
        {MSR_SFMASK,   0x47700           },
        {MSR_PAT,      0x0007010600070106},
        {MSR_SYSENTER, 0x10              },
    };
    struct msr unknown = {MSR_UNKNOWN, 0}, bad = {MSR_EFER, ~0UL};

    test_group("model registers keep what is written");
    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        uint64_t before = rdmsr(kept[i].index);

        wrmsr(kept[i].index, kept[i].value);
        CHECK_EQUAL(rdmsr(kept[i].index), kept[i].value);
        wrmsr(kept[i].index, before);
    }
    if (bare) {
        printf("skipped: faults of unknown registers: QEMU ignores such accesses\n");
        return;
    }
    test_group("unknown registers and reserved bits fault");
    CHECK_EQUAL(fault_catch(read_msr, &unknown), VECTOR_GP);
    CHECK_EQUAL(fault_catch(write_msr, &unknown), VECTOR_GP);
    CHECK_EQUAL(fault_catch(write_msr, &bad), VECTOR_GP);
}

static uint64_t fault_flags;

/* Note what was pushed, and go on behind an RDMSR or WRMSR. */
static void note_flags(struct guest_frame *frame)
{
    fault_flags = frame->rflags;
    frame->rip += 2;
}

static void test_resume_flag(bool bare)
{
    if (bare) {
        printf("skipped: the flags that faults push: see above\n");
        return;
    }
    test_group("faults push RF");
    interrupt_set_handler(VECTOR_GP, note_flags);
    (void)rdmsr(MSR_UNKNOWN);
    CHECK_EQUAL(fault_flags & FLAG_RF, FLAG_RF);
    fault_flags = 0;
    wrmsr(MSR_EFER, ~0UL);
    CHECK_EQUAL(fault_flags & FLAG_RF, FLAG_RF);
    interrupt_set_handler(VECTOR_GP, NULL);
}

static void test_control_registers(bool bare)
{
    uint64_t cr4 = read_cr4() | 1UL << 40, cr0 = read_cr0() & ~1UL;

    if (bare) {
        printf("skipped: refused control register values: QEMU 7.2 lets them pass\n");
        return;
    }
    test_group("control registers refuse what the manual refuses");
    CHECK_EQUAL(fault_catch(set_cr4, &cr4), VECTOR_GP);
    CHECK_EQUAL(fault_catch(set_cr0, &cr0), VECTOR_GP); /* paging without protection */
    cr4 = read_cr4() & ~0x20UL;
    CHECK_EQUAL(fault_catch(set_cr4, &cr4), VECTOR_GP); /* long mode without PAE */
}

static void test_time_stamp(bool bare)
{
    test_group("the time stamp counter moves forward");
    uint64_t first = rdtsc(), msr = rdmsr(MSR_TSC), last = rdtsc();

    CHECK(first < last);
    if (bare) {
        printf("skipped: its model register: QEMU's does not move\n");
        return;
    }
    CHECK(first < msr && msr < last);
}

int main(void)
{
    bool bare = strstr(guest_command_line(), "lenient") != NULL;

    test_virtualisation_is_hidden(bare);
    test_msrs(bare);
    test_resume_flag(bare);
    test_control_registers(bare);
    test_time_stamp(bare);
    test_end();
}
