/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/fpu.h"

#include "vmm/host/cpuid.h"
#include "vmm/host/instructions.h"

#define CPUID_1_ECX_XSAVE (1U << 26)
#define LEAF_XSAVE        0xdU
#define CR0_MP            (1ULL << 1)
#define CR0_EM            (1ULL << 2)
#define CR0_TS            (1ULL << 3)
#define CR4_OSFXSR        (1ULL << 9)
#define CR4_OSXMMEXCPT    (1ULL << 10)
#define CR4_OSXSAVE       (1ULL << 18)
#define XCR0_X87          1U
#define FCW_RESET         0x40U /* after power-on; FNINIT makes it 37Fh */
#define MXCSR_RESET       0x1f80U

/* FXSAVE's image and XSAVE's header behind it (AMD APM 2, 11.4.4 and 11.5.2). */
struct fpu_image {
    uint16_t fcw;
    uint8_t reserved2[22];
    uint32_t mxcsr;
    uint8_t reserved28[484];
    uint64_t xstate_bv; /* 0: every component takes its initial state */
    uint8_t reserved520[56];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct fpu_image) == 576, "AMD APM 2, 11.5.2");

extern bool xcr0_try_write(uint64_t value);

static const struct fpu_image initial = {.fcw = FCW_RESET, .mxcsr = MXCSR_RESET};

bool fpu_has_xsave(uint64_t *mask)
{
    *mask = 0;
    if (!(cpuid_read(1, 0).ecx & CPUID_1_ECX_XSAVE)) {
        return false;
    }
    struct cpuid leaf = cpuid_read(LEAF_XSAVE, 0);

    *mask = (uint64_t)leaf.edx << 32 | leaf.eax;
    return true;
}

void fpu_enable_cpu(void)
{
    uint64_t mask;

    cpu_write_cr0((cpu_read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP);
    cpu_write_cr4(cpu_read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT |
                  (fpu_has_xsave(&mask) ? CR4_OSXSAVE : 0));
}

bool fpu_write_xcr0(uint64_t value)
{
    return xcr0_try_write(value);
}

void fpu_reset(void)
{
    uint64_t mask;

    /* AMD's FXRSTOR and XRSTOR leave the last instruction's addresses alone unless an exception
     * waits (CVE-2006-1056); FNINIT clears them, whoever had the CPU before. */
    __asm__ volatile("fninit");
    if (fpu_has_xsave(&mask)) {
        (void)fpu_write_xcr0(mask);
        __asm__ volatile("xrstor64 %0" ::"m"(initial), "a"(UINT32_MAX), "d"(UINT32_MAX) : "memory");
        (void)fpu_write_xcr0(XCR0_X87);
    }
    __asm__ volatile("fxrstor64 %0" ::"m"(initial) : "memory");
    __asm__ volatile("mov %0, %%db0; mov %0, %%db1; mov %0, %%db2; mov %0, %%db3" ::"r"(0UL));
}
