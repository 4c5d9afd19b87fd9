/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers that the VMM leaves alone and that are therefore always the guest's: FPU, SSE, AVX,
 * XCR0, DR0..3.
 */
#ifndef PORTOLAN_VMM_HOST_FPU_H
#define PORTOLAN_VMM_HOST_FPU_H

#include <stdbool.h>
#include <stdint.h>

/* Let this CPU save and load them for a guest, whatever the guest's CR4 says. Each CPU. */
void fpu_enable_cpu(void);

/* Put all of them into their state after a reset. This CPU. */
void fpu_reset(void);

/* Does the CPU have XSAVE? Then the bits of XCR0 that it has are in *MASK. */
bool fpu_has_xsave(uint64_t *mask);

/* Write XCR0. False: the CPU refuses VALUE. */
bool fpu_write_xcr0(uint64_t value);

#endif
