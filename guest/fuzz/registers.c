/* SPDX-License-Identifier: BSD-2-Clause */
/* Model-specific, control and debug registers. Each gets its old value back at once. */
#pragma GCC target("general-regs-only")

#include "guest/fuzz/fuzz.h"
#include "guest/lib/apic.h"

#define MSR_ICR     0x830
#define MSR_SELF    0x83f
#define MSR_LVT     0x832
#define MSR_LVT_END 0x837
#define MSR_EFER    0xc0000080
#define CR0_PE      1UL
#define CR0_PG      (1UL << 31)
#define CR4_PAE     (1UL << 5)
#define CR4_EPYC    0x3507ffUL /* what QEMU's EPYC has */
#define EFER_LMA    (1UL << 10)
#define EFER_LME    (1UL << 8)
#define EFER_SVME   (1UL << 12)
#define MODE_MASK   0x700U /* an APIC command's delivery mode */

static const uint32_t msr_bases[] = {
    0x10,       0x1b,       0x3a,       0x48,       0x79,       0x8b,       0xc0,       0xe7,
    0xfe,       0x122,      0x174,      0x179,      0x186,      0x198,      0x1a0,      0x1d9,
    0x200,      0x20f,      0x250,      0x268,      0x277,      0x2ff,      0x345,      0x38d,
    0x400,      0x410,      0x480,      0x490,      0x600,      0x6e0,      0x802,      0x80b,
    0x830,      0x838,      0x83f,      0xc80,      0xda0,      0x40000000, 0x40000070, 0x4b564d00,
    0xc0000080, 0xc0000100, 0xc0000103, 0xc0010000, 0xc0010010, 0xc0010015, 0xc001001f, 0xc0010055,
    0xc0010111, 0xc0010114, 0xc0010140, 0xc0011020, 0xc0011029, 0xc00110a2, 0xc0001fff, 0xc0012000,
};

static uint64_t stub_rdmsr(uint64_t index, uint64_t unused)
{
    return rdmsr((uint32_t)index);
}

static uint64_t stub_wrmsr(uint64_t index, uint64_t value)
{
    wrmsr((uint32_t)index, value);
    return 0;
}

/* An instruction or two that what was just set may make fault. */
static inline void exercise(void)
{
    uint64_t word = 0;

    __asm__ volatile("mov (%%rsp), %0; invlpg (%%rsp); fnop; rdtsc; movaps %%xmm0, %%xmm0"
                     : "+r"(word)::"rax", "rdx", "memory");
}

static uint64_t stub_efer(uint64_t value, uint64_t old)
{
    wrmsr(MSR_EFER, value);
    exercise();
    wrmsr(MSR_EFER, old);
    return 0;
}

static uint64_t stub_cr0(uint64_t value, uint64_t unused)
{
    __asm__ volatile("mov %0, %%cr0" ::"r"(value) : "memory");
    exercise();
    return 0;
}

static uint64_t stub_lmsw(uint64_t value, uint64_t unused)
{
    __asm__ volatile("lmsw %w0; clts" ::"r"(value) : "memory");
    exercise();
    return 0;
}

static uint64_t stub_cr2(uint64_t value, uint64_t unused)
{
    __asm__ volatile("mov %0, %%cr2; mov %%cr2, %0" : "+r"(value)::"memory");
    return value;
}

static uint64_t stub_cr3(uint64_t value, uint64_t unused)
{
    write_cr3(value);
    exercise();
    return 0;
}

static uint64_t stub_cr4(uint64_t value, uint64_t unused)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(value) : "memory");
    exercise();
    return 0;
}

static uint64_t stub_cr8(uint64_t value, uint64_t unused)
{
    uint64_t zero = 0;

    __asm__ volatile("mov %0, %%cr8; mov %%cr8, %0; mov %1, %%cr8" : "+r"(value) : "r"(zero));
    return value;
}

#define STUB_DEBUG(n)                                                                  \
    static uint64_t stub_dr##n(uint64_t value, uint64_t unused)                        \
    {                                                                                  \
        __asm__ volatile("mov %0, %%dr" #n "; nop; mov %%dr" #n ", %0" : "+r"(value)); \
        return value;                                                                  \
    }
STUB_DEBUG(0)
STUB_DEBUG(1)
STUB_DEBUG(2)
STUB_DEBUG(3)
STUB_DEBUG(4)
STUB_DEBUG(5)
STUB_DEBUG(6)
STUB_DEBUG(7)

static uint64_t stub_xsetbv(uint64_t value, uint64_t index)
{
    __asm__ volatile("xsetbv" ::"c"((uint32_t)index), "a"((uint32_t)value),
                     "d"((uint32_t)(value >> 32)));
    return 0;
}

static uint64_t stub_cpuid(uint64_t leaf, uint64_t subleaf)
{
    uint32_t out[4];

    cpuid((uint32_t)leaf, (uint32_t)subleaf, out);
    return out[0];
}

static uint32_t msr_choose(void)
{
    if (fuzz_one_in(8)) {
        return (uint32_t)fuzz_value();
    }
    return msr_bases[fuzz_below(sizeof(msr_bases) / sizeof(msr_bases[0]))] + fuzz_below(8);
}

/* An APIC's command must not INIT or start a CPU, nor make an SMI. */
static bool is_command(uint32_t msr)
{
    return msr == MSR_ICR || (msr >= MSR_LVT && msr <= MSR_LVT_END);
}

static void msr_write(uint32_t msr, uint64_t value)
{
    if (msr == MSR_APIC && fuzz_state->lenient) {
        return; /* QEMU does not let an APIC be switched on again */
    }
    bool readable = fuzz_try(stub_rdmsr, msr, 0) < 0;
    uint64_t old = fuzz_state->result;

    if (fuzz_one_in(4)) {
        value = old ^ 1UL << fuzz_below(64);
    }
    if (is_command(msr)) {
        value &= ~(uint64_t)MODE_MASK;
    }
    if (msr == MSR_EFER) {
        if (fuzz_state->lenient) { /* QEMU takes the CPU out of long mode without a fault */
            value = (value | EFER_LMA | EFER_LME) & ~EFER_SVME;
        }
        (void)fuzz_try(stub_efer, value, old);
        (void)fuzz_try(stub_wrmsr, MSR_EFER, old);
        return;
    }
    if (fuzz_try(stub_wrmsr, msr, value) < 0 && readable && !is_command(msr)) {
        (void)fuzz_try(stub_wrmsr, msr, old);
    }
}

/* Some batches look at the APIC's registers in x2APIC mode. */
static bool x2apic_begin(void)
{
    return fuzz_one_in(4) && !fuzz_state->lenient &&
           fuzz_try(stub_wrmsr, MSR_APIC,
                    APIC_BASE | MSR_APIC_ENABLE | MSR_APIC_BSP | MSR_APIC_EXTD) < 0;
}

static void apic_base_restore(void)
{
    if (rdmsr(MSR_APIC) != (APIC_BASE | MSR_APIC_ENABLE | MSR_APIC_BSP)) {
        (void)fuzz_try(stub_wrmsr, MSR_APIC, APIC_BASE | MSR_APIC_BSP);
        (void)fuzz_try(stub_wrmsr, MSR_APIC, APIC_BASE | MSR_APIC_ENABLE | MSR_APIC_BSP);
    }
}

void fuzz_run_msrs(void)
{
    bool x2apic = x2apic_begin();

    for (unsigned i = 0; i < FUZZ_BATCH; i++) {
        uint32_t msr = x2apic && fuzz_one_in(2) ? 0x800 + fuzz_below(64) : msr_choose();

        if (fuzz_random() >> 32 & 1) {
            (void)fuzz_try(stub_rdmsr, msr, 0);
        } else {
            msr_write(msr, fuzz_value());
        }
    }
    apic_base_restore();
    fuzz_msrs_restore();
}

static void control_write_0(void)
{
    uint64_t value = fuzz_state->good_cr0 ^ fuzz_value();

    if (fuzz_state->lenient) { /* QEMU takes the CPU out of paging without a fault */
        value |= CR0_PG | CR0_PE;
    }
    (void)fuzz_try(stub_cr0, value, 0);
}

static void control_write_3(void)
{
    uint64_t value = fuzz_state->good_cr3;

    if (fuzz_one_in(fuzz_state->suicide)) {
        /* Nothing is mapped there: a triple fault, mostly. TCG hangs where there is no memory. */
        value = fuzz_state->tcg ? fuzz_below(0x2000000) : fuzz_value();
    } else if (fuzz_one_in(2)) {
        value ^= fuzz_below(4096);
    } else if (!fuzz_state->lenient) {
        value ^= 1UL << (52 + fuzz_below(12)); /* reserved: a fault, if it is not PCID's bit */
    }
    (void)fuzz_try(stub_cr3, value, 0);
}

static void control_write_4(void)
{
    uint64_t value = fuzz_state->good_cr4 ^ (fuzz_one_in(2) ? 1UL << fuzz_below(32) : fuzz_value());

    if (fuzz_state->tcg) {
        value = (value & CR4_EPYC) | CR4_PAE; /* QEMU hangs for some of the others */
    }
    (void)fuzz_try(stub_cr4, value, 0);
}

static void debug_write(void)
{
    static const fuzz_stub stubs[] = {stub_dr0, stub_dr1, stub_dr2, stub_dr3,
                                      stub_dr4, stub_dr5, stub_dr6, stub_dr7};

    (void)fuzz_try(stubs[fuzz_below(8)], fuzz_one_in(2) ? CAGE_DATA : fuzz_value(), 0);
}

void fuzz_run_controls(void)
{
    for (unsigned i = 0; i < FUZZ_BATCH; i++) {
        switch (fuzz_below(10)) {
        case 0:
            control_write_0();
            break;
        case 1:
            control_write_3();
            break;
        case 2:
            control_write_4();
            break;
        case 3:
            (void)fuzz_try(stub_cr8, fuzz_value(), 0);
            break;
        case 4:
            (void)fuzz_try(stub_cr2, fuzz_value(), 0);
            break;
        case 5:
            (void)fuzz_try(stub_xsetbv, fuzz_value(), fuzz_one_in(4) ? fuzz_value() : 0);
            break;
        case 6:
            (void)fuzz_try(stub_lmsw, fuzz_value(), 0);
            break;
        case 7:
            (void)fuzz_try(stub_cpuid, fuzz_value(), fuzz_below(32));
            break;
        default:
            debug_write();
        }
    }
    fuzz_debug_restore();
}
