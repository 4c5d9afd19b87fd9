/* SPDX-License-Identifier: BSD-2-Clause */
/* APICv: the CPU serves the guest's local APIC and delivers what it holds. Intel SDM 3, chapter 30.
 */
#include "vmm/vm/vm.h"
#include "vmm/vmx/vmx.h"

#define SERVICE_SHIFT 8
#define CLASS         0xf0U /* of a vector, by which priorities are compared */

/* What may change its registers, or has changed the page's copies of them. */
#define CHANGES_REGISTERS (1U << EXIT_MEMORY | 1U << EXIT_STRING_IO | 1U << EXIT_APIC_WRITE)

/* Which interrupts the CPU may not end alone: 30.1.4. The bitmap has four fields of 64 bits. */
static void set_levels(struct vmx_vcpu *vmx)
{
    const struct lapic *l = vmx->lapic;

    /* As a rule all is as it was. */
    if (((lapic_levels(l, 0) ^ vmx->level[0]) | (lapic_levels(l, 1) ^ vmx->level[1]) |
         (lapic_levels(l, 2) ^ vmx->level[2]) | (lapic_levels(l, 3) ^ vmx->level[3])) == 0) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(vmx->level); i++) {
        uint64_t word = lapic_levels(l, i);

        if (word != vmx->level[i]) {
            vmx->level[i] = word;
            lapic_lend_levels(vmx->virtual_apic, i, word);
            vmcs_write((enum vmcs_field)(VMCS_EOI_EXITS + 2 * i), word);
        }
    }
}

/* LEFT, the highest vector that still waits: others have been delivered. */
static void see_delivered(struct vcpu *vcpu, const struct vmx_vcpu *vmx, uint8_t left)
{
    vcpu->interrupts += vmx->request && vmx->request != left; /* one, at least */
}

void vmx_apic_take_back(struct vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vcpu->backend;

    if (vmx->lent) {
        see_delivered(vcpu, vmx, lapic_take_back(vmx->lapic, vmx->virtual_apic));
        vmx->lent = false;
    }
}

/*
 * THE place where an interrupt is posted to a vCPU whose CPU has the state: what has been requested
 * since is added to it. The vCPU has left its guest for that, by VECTOR_KICK. Posted interrupts
 * (30.6; pin control 7, which no engine here has, so that it is not in vmx_rows) would spare the
 * exit: lapic_accept() would set the vector's bit in a descriptor beside the page, vcpu_kick()
 * would send the descriptor's notification vector, and the CPU would do this itself.
 */
static void lend_more(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    uint32_t status = (uint32_t)vmcs_read(VMCS_INTERRUPT_STATUS);
    uint8_t left = (uint8_t)status;
    uint8_t more = lapic_lend_requests(vmx->lapic, vmx->virtual_apic);

    see_delivered(vcpu, vmx, left);
    set_levels(vmx);
    vmx->request = more > left ? more : left;
    vmcs_write(VMCS_INTERRUPT_STATUS, (status & ~(uint32_t)UINT8_MAX) | vmx->request);
}

/* The levels stay as set_levels() knows them. */
static void fill_page(struct vmx_vcpu *vmx)
{
    lapic_fill_page(vmx->lapic, vmx->virtual_apic);
    for (unsigned i = 0; i < ARRAY_SIZE(vmx->level); i++) {
        lapic_lend_levels(vmx->virtual_apic, i, vmx->level[i]);
    }
    vmx->registers_due = false;
}

void vmx_apic_lend(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    if (vmx->lent) {
        lend_more(vcpu, vmx);
        return;
    }
    if (vmx->registers_due) {
        fill_page(vmx);
    }
    uint32_t service = lapic_lend(vmx->lapic, vmx->virtual_apic);

    vmx->lent = true;
    vmx->request = lapic_lend_requests(vmx->lapic, vmx->virtual_apic);
    set_levels(vmx);
    vmcs_write(VMCS_INTERRUPT_STATUS, vmx->request | service << SERVICE_SHIFT);
}

/* HLT behind STI, with an interrupt that the CPU will deliver as soon as the shadow is
 * over: 30.2.1.
 */
static bool ends_hlt(const struct vcpu *vcpu, const struct vmx_vcpu *vmx)
{
    return (vcpu->rflags & RFLAGS_IF) &&
           (vmcs_read(VMCS_INTERRUPT_STATUS) & CLASS) >
               (vmx->virtual_apic[LAPIC_PPR / sizeof(uint32_t)] & CLASS);
}

void vmx_apic_see_exit(struct vcpu *vcpu, struct vmx_vcpu *vmx, struct exit *exit)
{
    if (exit->reason == EXIT_MSR_WRITE && (uint32_t)vcpu->gpr[INSN_RCX] == LAPIC_MSR_TSC_DEADLINE) {
        return; /* each tick of a guest writes it; it is not among what is lent */
    }
    if (exit->reason == EXIT_HLT && vmx->lent) {
        exit->over = ends_hlt(vcpu, vmx);
        if (!exit->over) { /* who sleeps compares what comes with what is in service */
            lapic_read_back(vmx->lapic, vmx->virtual_apic);
        }
        return;
    }
    vmx_apic_take_back(vcpu);
    vmx->registers_due |= CHANGES_REGISTERS >> exit->reason & 1U;
}

/* In x2APIC mode and switched off it is the software's: docs/vmx.md. */
void vmx_apic_switch(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    vmx->apic = vcpu->apic;
    vmx->lapic = &vcpu->vm->pc.lapic[vcpu->index];
    vmx->registers_due = true;
    vmx_set_secondary(vmx);
}
