/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-modification logging: the CPU writes down which pages the guest writes. Intel SDM 3, 29.3.6.
 * It does so when it sets the dirty bit of a nested entry, and these bits are on only meanwhile:
 * with them walks of the guest's tables count as writes.
 */
#include "vmm/host/pool.h"
#include "vmm/vm/vm.h"
#include "vmm/vmx/vmx.h"

#define LAST (VMX_LOG_ENTRIES - 1) /* where the CPU begins, and counts down */

void vmx_set_secondary(const struct vmx_vcpu *vmx)
{
    uint32_t control = vmx_features()->control[VMX_SECONDARY];

    control &= vmx->apic ? UINT32_MAX : ~VMCS_SECONDARY_DELIVERY;
    control &= vmx->logs ? UINT32_MAX : ~VMCS_SECONDARY_LOG;
    vmcs_write(VMCS_SECONDARY_CONTROLS, control);
}

void vmx_log_switch(const struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    bool on = vmx_features()->offers.logs_writes &&
              __atomic_load_n(&vcpu->vm->ram.tracked, __ATOMIC_SEQ_CST);

    if (on == vmx->logs) {
        return;
    }
    vmx->logs = on;
    vmx->root ^= VMCS_EPT_POINTER_DIRTY;
    vmcs_write(VMCS_EPT_POINTER, vmx->root);
    if (on) {
        vmcs_write(VMCS_LOG, pool_hpa(vmx->log).raw);
        vmcs_write(VMCS_LOG_INDEX, LAST);
    }
    vmx_set_secondary(vmx);
}

/*
 * The index is that of the next entry, or -1. Not all that the nested tables map is RAM. Bits 11..0
 * of an entry are to be 0; Bochs leaves what the access had there.
 */
void vmx_log_drain(const struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    const struct ram *ram = &vcpu->vm->ram;
    uint16_t next = (uint16_t)(vmcs_read(VMCS_LOG_INDEX) + 1);

    if (next > LAST) {
        return;
    }
    for (size_t i = next; i <= LAST; i++) {
        gpa_t page = gpa(align_down(vmx->log[i], PAGE_SIZE));

        if (ram_holds(ram, page.raw, PAGE_SIZE)) {
            ram_mark(ram, page, PAGE_SIZE);
        }
    }
    vmcs_write(VMCS_LOG_INDEX, LAST);
}
