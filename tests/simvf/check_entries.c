/* SPDX-License-Identifier: BSD-2-Clause */
/* Around the product's vmx_enter() (the linker's --wrap): what our rules say of an entry, the CPU
 * has to say, too. */
#include "tests/simvf/entry_check.h"
#include "vmm/host/panic.h"
#include "vmm/vmx/vmx.h"

#define REASON 0xffffU

uint32_t __real_vmx_enter(struct vcpu *vcpu, bool launched);
uint32_t __wrap_vmx_enter(struct vcpu *vcpu, bool launched);

uint32_t __wrap_vmx_enter(struct vcpu *vcpu, bool launched)
{
    const char *vmcs = entry_check_vmcs(), *guest = entry_check_guest();

    if (vmcs) {
        panic("the VMCS breaks a rule of VM entries: %s", vmcs);
    }
    uint32_t reason = __real_vmx_enter(vcpu, launched);
    bool refused = (reason & REASON) == VMCS_EXIT_BAD_STATE;

    if (reason != VMX_NOT_ENTERED && !guest == refused) {
        panic("the CPU %s an entry of which the rules say: %s", refused ? "refuses" : "makes",
              guest ? guest : "good");
    }
    return reason;
}
