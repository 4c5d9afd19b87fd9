/* SPDX-License-Identifier: BSD-2-Clause */
/* APICv: the CPU serves the guest's local APIC and delivers what it holds. Intel SDM 3, chapter 30.
 */
#include "vmm/vm/vm.h"
#include "vmm/vmx/vmx.h"

#define SERVICE_SHIFT 8

/* After these nothing of the VMM's looks at the local APIC: the CPU keeps it. */
#define KEEPS_APIC                                                                      \
    (1U << EXIT_INTERRUPT | 1U << EXIT_WINDOW | 1U << EXIT_NMI_WINDOW | 1U << EXIT_IO | \
     1U << EXIT_CPUID | 1U << EXIT_MSR_READ | 1U << EXIT_CACHE | 1U << EXIT_PAUSE)

/* What may change its registers, or has changed the page's copies of them. */
#define CHANGES_REGISTERS (1U << EXIT_MEMORY | 1U << EXIT_STRING_IO | 1U << EXIT_APIC_WRITE)

bool vmx_serves_apic(void)
{
    return vmx_features()->control[VMX_SECONDARY] & VMCS_SECONDARY_APIC_ACCESS;
}

static struct lapic *lapic_of(const struct vcpu *vcpu)
{
    return &vcpu->vm->pc.lapic[vcpu->index];
}

/* Which interrupts the CPU may not end alone: 30.1.4. The bitmap has four fields of 64 bits. */
static void set_levels(struct vmx_vcpu *vmx, const uint32_t *level)
{
    for (size_t i = 0; i < ARRAY_SIZE(vmx->level); i++) {
        uint64_t word = level[2 * i] | (uint64_t)level[2 * i + 1] << 32;

        if (word != vmx->level[i]) {
            vmx->level[i] = word;
            vmcs_write((enum vmcs_field)(VMCS_EOI_EXITS + 2 * i), word);
        }
    }
}

void vmx_apic_take_back(struct vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vcpu->backend;

    if (vmx->lent) {
        uint8_t left = lapic_take_back(lapic_of(vcpu), vmx->virtual_apic);

        vcpu->interrupts += vmx->request && vmx->request != left; /* one, at least */
        vmx->lent = false;
    }
}

void vmx_apic_lend(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    struct lapic *l = lapic_of(vcpu);
    struct lapic_lent lent;

    if (vmx->lent && lapic_has_requests(l)) {
        vmx_apic_take_back(vcpu);
    }
    if (vmx->lent) {
        return;
    }
    if (vmx->registers_due) {
        lapic_fill_page(l, vmx->virtual_apic);
        vmx->registers_due = false;
    }
    lapic_lend(l, vmx->virtual_apic, &lent);
    vmx->lent = true;
    vmx->request = lent.request;
    set_levels(vmx, lent.level);
    vmcs_write(VMCS_INTERRUPT_STATUS, lent.request | (uint32_t)lent.service << SERVICE_SHIFT);
}

void vmx_apic_see_exit(struct vcpu *vcpu, struct vmx_vcpu *vmx, const struct exit *exit)
{
    if (!(KEEPS_APIC >> exit->reason & 1U)) {
        vmx_apic_take_back(vcpu);
    }
    vmx->registers_due |= CHANGES_REGISTERS >> exit->reason & 1U;
}

/* In x2APIC mode and switched off it is the software's: docs/vmx.md. */
void vmx_apic_switch(const struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    uint32_t control = vmx_features()->control[VMX_SECONDARY];

    vmx->apic = vcpu->apic;
    vmx->registers_due = true;
    vmcs_write(VMCS_SECONDARY_CONTROLS, vmx->apic ? control : control & ~VMCS_SECONDARY_DELIVERY);
}
