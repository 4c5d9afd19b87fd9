/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/fpu.h"

#include "vmm/base/x86.h"
#include "vmm/host/cpuid.h"
#include "vmm/host/instructions.h"

#include <string.h>

#define CPUID_1_ECX_XSAVE (1U << 26)
#define LEAF_XSAVE        0xdU
#define XCR0_X87          1ULL
#define XCR0_SSE          2ULL
#define COMPONENTS        0xe7ULL /* x87, SSE, AVX, AVX-512 */
#define FIRST_EXTENDED    2U
#define FCW_RESET         0x40U /* after power-on; FNINIT makes it 37Fh */
#define MXCSR_RESET       0x1f80U
#define MXCSR_MASK_OLD    0xffbfU /* where FXSAVE says 0 (AMD APM 2, 11.5.9) */
#define WORD_MXCSR        3U      /* of the area: with MXCSR_MASK in its upper half */

static bool has_xsave(uint64_t *mask)
{
    *mask = 0;
    if (!(cpuid_read(1, 0).ecx & CPUID_1_ECX_XSAVE)) {
        return false;
    }
    struct cpuid leaf = cpuid_read(LEAF_XSAVE, 0);

    *mask = (uint64_t)leaf.edx << 32 | leaf.eax;
    return true;
}

uint64_t fpu_components(void)
{
    uint64_t mask;

    (void)has_xsave(&mask);
    for (uint32_t i = FIRST_EXTENDED; i < 64 && mask >> i != 0; i++) {
        struct cpuid component = mask >> i & 1 ? cpuid_read(LEAF_XSAVE, i) : (struct cpuid){0};

        if (component.ebx > FPU_AREA_SIZE || component.eax > FPU_AREA_SIZE - component.ebx) {
            mask &= ~(1ULL << i);
        }
    }
    return mask & COMPONENTS;
}

void fpu_enable_cpu(void)
{
    uint64_t mask;

    cpu_write_cr0((cpu_read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP);
    cpu_write_cr4(cpu_read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT |
                  (has_xsave(&mask) ? CR4_OSXSAVE : 0));
}

/* XSTATE_BV stays 0: every component takes its initial state, but what FXRSTOR loads. */
void fpu_set_reset(struct fpu_registers *registers)
{
    memset(registers, 0, sizeof(*registers));
    registers->area[0] = FCW_RESET;
    registers->area[WORD_MXCSR] = MXCSR_RESET;
    registers->area[FPU_AREA_BV] = XCR0_X87 | XCR0_SSE;
    registers->xcr0 = XCR0_X87;
}

static void fpu_fxsave(uint64_t *area, bool wide)
{
    if (wide) {
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
    } else {
        __asm__ volatile("fxsave (%0)" ::"r"(area) : "memory");
    }
}

uint32_t fpu_mxcsr_mask(void)
{
    uint64_t image[64] __attribute__((aligned(16))) = {0};

    fpu_fxsave(image, true);
    uint32_t mask = image[WORD_MXCSR] >> 32;

    return mask ? mask : MXCSR_MASK_OLD;
}

static uint64_t read_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void read_debug_registers(uint64_t *dr)
{
    __asm__ volatile("mov %%db0, %0; mov %%db1, %1; mov %%db2, %2; mov %%db3, %3"
                     : "=&r"(dr[0]), "=&r"(dr[1]), "=&r"(dr[2]), "=&r"(dr[3]));
}

/* All components are in the area afterwards, used or not: the same state gives the same bytes. */
void fpu_save(struct fpu_registers *to, bool wide)
{
    uint64_t all = fpu_components(), mask;

    memset(to, 0, sizeof(*to));
    read_debug_registers(to->dr);
    to->xcr0 = XCR0_X87;
    if (!has_xsave(&mask)) {
        fpu_fxsave(to->area, wide);
        all = XCR0_X87 | XCR0_SSE;
    } else {
        to->xcr0 = read_xcr0();
        (void)fpu_write_xcr0(mask);
        if (wide) {
            __asm__ volatile("xsave64 (%0)" ::"r"(to->area), "a"((uint32_t)all), "d"(0) : "memory");
        } else {
            __asm__ volatile("xsave (%0)" ::"r"(to->area), "a"((uint32_t)all), "d"(0) : "memory");
        }
        (void)fpu_write_xcr0(to->xcr0);
    }
    to->area[WORD_MXCSR] &= fpu_mxcsr_mask(); /* QEMU's TCG lets guests set others */
    to->area[FPU_AREA_BV] = all;
}

void fpu_load(const struct fpu_registers *from, bool wide)
{
    const uint64_t *area = from->area;
    uint64_t mask;

    /* AMD's FXRSTOR and XRSTOR leave the last instruction's addresses alone unless an exception
     * waits (CVE-2006-1056); FNINIT clears them, whoever had the CPU before. */
    __asm__ volatile("fninit");
    if (!has_xsave(&mask)) {
        if (wide) {
            __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
        } else {
            __asm__ volatile("fxrstor (%0)" ::"r"(area) : "memory");
        }
    } else {
        (void)fpu_write_xcr0(mask);
        if (wide) {
            __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
        } else {
            __asm__ volatile("xrstor (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
        }
        (void)fpu_write_xcr0(from->xcr0);
    }
    __asm__ volatile(
        "mov %0, %%db0; mov %1, %%db1; mov %2, %%db2; mov %3, %%db3" ::"r"(from->dr[0]),
        "r"(from->dr[1]), "r"(from->dr[2]), "r"(from->dr[3]));
}
