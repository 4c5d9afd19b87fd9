/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done about each kind of exit. All on the vCPU's own CPU, interrupts on. */
#ifndef PORTOLAN_VMM_VM_EXIT_TABLE_H
#define PORTOLAN_VMM_VM_EXIT_TABLE_H

#include "vmm/vm/vcpu.h"

/* See to EXIT, whatever it is: the table is in exit_table.c. */
void handlers_run(struct vcpu *vcpu, const struct exit *exit);

void handle_io(struct vcpu *vcpu, const struct exit *exit);
void handle_string_io(struct vcpu *vcpu, const struct exit *exit);
void handle_memory(struct vcpu *vcpu, const struct exit *exit);
void handle_cpuid(struct vcpu *vcpu, const struct exit *exit);
void handle_msr_read(struct vcpu *vcpu, const struct exit *exit);
void handle_msr_write(struct vcpu *vcpu, const struct exit *exit);
void handle_cr_read(struct vcpu *vcpu, const struct exit *exit);
void handle_cr_write(struct vcpu *vcpu, const struct exit *exit);
void handle_xsetbv(struct vcpu *vcpu, const struct exit *exit);

#endif
