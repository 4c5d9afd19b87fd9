/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VMCS in memory, as wide as the manual has each field, with what else vmcs.h needs of a CPU. A
 * field that vmcs.h does not name, or a write to one that is read-only, fails the test.
 */
#ifndef PORTOLAN_TESTS_UNIT_VMX_FAKE_VMCS_H
#define PORTOLAN_TESTS_UNIT_VMX_FAKE_VMCS_H

#include "vmm/vmx/vmcs.h"

extern uint64_t fake_vmcs[0x8000]; /* by encoding */
extern uint64_t fake_cr2, fake_dr6;
extern unsigned fake_invepts, fake_nmis, fake_clears, fake_verws, fake_vmcs_writes;
extern uint64_t fake_invept_pointer;
extern bool fake_vmxon_refuses;

void fake_vmcs_fill(uint64_t value);

#endif
