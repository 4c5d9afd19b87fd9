/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers that the VMM leaves alone and that are therefore always the guest's: FPU, SSE, AVX,
 * XCR0, DR0..3.
 */
#ifndef PORTOLAN_VMM_HOST_FPU_H
#define PORTOLAN_VMM_HOST_FPU_H

#include <stdbool.h>
#include <stdint.h>

/* The legacy area, the header, and AVX and AVX-512 where any CPU has put them. */
#define FPU_AREA_SIZE 2688U
#define FPU_AREA_BV   64U /* word of the area: which components are in it */
#define FPU_AREA_XCBV 65U /* 0: the standard format; the rest of the header likewise */

struct fpu_registers {
    uint64_t area[FPU_AREA_SIZE / 8] __attribute__((aligned(64))); /* XSAVE's standard format */
    uint64_t xcr0;
    uint64_t dr[4];
};

/* Let this CPU save and load them for a guest, whatever the guest's CR4 says. Each CPU. */
void fpu_enable_cpu(void);

/* What they hold after a reset. */
void fpu_set_reset(struct fpu_registers *registers);

/*
 * Copy them all out, or in. WIDE: the guest is one of long mode, so that the addresses of the last
 * x87 instruction have 64 bits and no selectors. What fpu_load() gets must be loadable: XCR0
 * legal, no component that fpu_components() has not, MXCSR in fpu_mxcsr_mask(). This CPU.
 */
void fpu_save(struct fpu_registers *to, bool wide);
void fpu_load(const struct fpu_registers *from, bool wide);

/* Components that a guest may use: x87, SSE, AVX, AVX-512, as far as the CPU has them. 0: no XSAVE.
 */
uint64_t fpu_components(void);

/* Bits that MXCSR has here. */
uint32_t fpu_mxcsr_mask(void);

/* Write XCR0. False: the CPU refuses VALUE. */
bool fpu_write_xcr0(uint64_t value);

#endif
