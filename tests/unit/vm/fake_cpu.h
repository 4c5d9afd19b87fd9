/* SPDX-License-Identifier: BSD-2-Clause */
/* A host CPU for the guest's CPU model: CPUID leaves, model registers, XCR0. */
#ifndef PORTOLAN_TESTS_UNIT_VM_FAKE_CPU_H
#define PORTOLAN_TESTS_UNIT_VM_FAKE_CPU_H

#include "vmm/host/cpuid.h"

#include <stdbool.h>

/* Be like a server of this kind, and forget what was written. */
void fake_cpu_milan(void); /* AMD, with AVX2 and protection keys */
void fake_cpu_genoa(void); /* AMD, with AVX-512 and five levels of page tables */
void fake_cpu_intel(void);
void fake_cpu_old(void); /* AMD without XSAVE or leaf 7 */

/* Change one leaf. */
void fake_cpuid_set(uint32_t leaf, uint32_t subleaf, struct cpuid out);

/* What a model register holds; it exists from then on. */
void fake_msr_set(uint32_t msr, uint64_t value);

/* What it holds now. */
uint64_t fake_msr(uint32_t msr);

/* What XCR0 holds; and let the CPU refuse the next write. */
extern uint64_t fake_xcr0;
extern bool fake_xcr0_refuses;

#endif
