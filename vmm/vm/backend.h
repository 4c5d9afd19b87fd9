/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the vendor-neutral part needs of the CPU's virtualisation extension. One backend for AMD's
 * SVM; the functions that take a vCPU run on the CPU it is pinned to.
 */
#ifndef PORTOLAN_VMM_VM_BACKEND_H
#define PORTOLAN_VMM_VM_BACKEND_H

#include "vmm/host/radix.h"
#include "vmm/vm/vcpu.h"

/* Choose the backend for this machine. UNSUPPORTED: it has none that we know. Boot CPU, once. */
enum status backend_init(void);

/* The format of its nested page tables, and whether it knows pages of 1 GiB there. */
const struct radix_format *backend_nested_format(bool *giant_pages);

/* Switch virtualisation on for this CPU. UNSUPPORTED: the firmware forbids it; the log says so. */
enum status backend_enable_cpu(void);

/* Allocate what it needs for VCPU, once, on any CPU. NO_MEMORY. */
enum status backend_vcpu_create(struct vcpu *vcpu);

/* Give it back, also after a creation that failed. The vCPU never ran. */
void backend_vcpu_destroy(struct vcpu *vcpu);

/* Take over STATE, and clear all that is not in it: general, FPU, debug and model registers. */
void backend_vcpu_reset(struct vcpu *vcpu, const struct vcpu_state *state);

/*
 * Enter the guest, delivering vcpu->event, until something happens that the neutral part must see
 * to. Interrupts off at the call, on at the return; *EXIT says why. An event whose delivery the
 * exit interrupted is in vcpu->event again.
 */
void backend_vcpu_run(struct vcpu *vcpu, struct exit *exit);

/* Can the guest take an interrupt (INTERRUPTIBLE: RFLAGS.IF and no shadow)? Is it in the shadow of
 * STI or MOV SS? */
bool backend_is_interruptible(const struct vcpu *vcpu);
bool backend_is_in_shadow(const struct vcpu *vcpu);
void backend_end_shadow(struct vcpu *vcpu);

/* Exit as soon as the guest can take an interrupt; or when it ends an NMI handler. */
void backend_watch_window(struct vcpu *vcpu, bool on);
void backend_watch_iret(struct vcpu *vcpu, bool on);

/* The task priority as the guest sees it in CR8, and whether writes to that must exit. */
uint8_t backend_read_cr8(const struct vcpu *vcpu);
void backend_write_cr8(struct vcpu *vcpu, uint8_t value, bool watch);

/* Control registers and EFER as the guest sees them; checked by the caller. */
uint64_t backend_read_cr(const struct vcpu *vcpu, unsigned number);
void backend_write_cr(struct vcpu *vcpu, unsigned number, uint64_t value);
uint64_t backend_read_efer(const struct vcpu *vcpu);
void backend_write_efer(struct vcpu *vcpu, uint64_t value);
uint64_t backend_read_pat(const struct vcpu *vcpu);
void backend_write_pat(struct vcpu *vcpu, uint64_t value);
void backend_write_cr2(struct vcpu *vcpu, uint64_t value);
void backend_set_dr6(struct vcpu *vcpu, uint64_t bits);
void backend_set_tsc_offset(struct vcpu *vcpu, uint64_t offset);

/* Control state for emulation, and the bytes of the instruction where the hardware gave them. */
void backend_context(const struct vcpu *vcpu, struct emulate_cpu *cpu);

/* Forget all translations of the guest. */
void backend_flush(struct vcpu *vcpu);

/* The guest's state was refused at entry: mend what the CPU should not have let it load. */
void backend_repair(struct vcpu *vcpu);

#endif
