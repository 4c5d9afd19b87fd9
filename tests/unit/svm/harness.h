/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries and exits on a VMCB without a CPU: what its tests have in common. */
#ifndef PORTOLAN_TESTS_UNIT_SVM_HARNESS_H
#define PORTOLAN_TESTS_UNIT_SVM_HARNESS_H

#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "vmm/svm/svm.h"
#include "vmm/vm/vm.h"

#define RIP       0x1000U /* where setup() puts the vCPU's */
#define FREE_PORT 0x1f8U

static struct vcpu *const vcpu = &fake_vcpu;

extern struct svm_features features; /* nothing that is optional; a test may add some */
extern struct vmcb *vmcb;
extern struct exit last;

/* A vCPU in 32-bit code without paging. For cmocka. */
int setup(void **state);

/* What the guest does until it exits. */
void exit_with(uint64_t code, uint64_t info1, uint64_t info2);
void host_interrupt(void);
void refuse(void);

/* Enter it, let it do WHAT, and see to the exit. */
void run(void (*what)(void));

/* An NMI handler runs, and stands at its IRET. */
void reach(void);

#endif
