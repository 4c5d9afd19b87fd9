/* SPDX-License-Identifier: BSD-2-Clause */
/* The backend for Intel's VMX (docs/backend.md): its table, and single registers. */
#include "vmm/base/x86.h"
#include "vmm/vmx/vmx.h"

/* What the CPU lets no guest be without, but for these two (unrestricted guests: A.7). */
#define CR0_FREE (CR0_PE | CR0_PG)

static const uint16_t fields[BACKEND_REGISTERS] = {
    [BACKEND_CR0] = VMCS_CR0,
    [BACKEND_CR3] = VMCS_CR3,
    [BACKEND_CR4] = VMCS_CR4,
    [BACKEND_EFER] = VMCS_EFER,
    [BACKEND_PAT] = VMCS_PAT,
    [BACKEND_TSC_OFFSET] = VMCS_TSC_OFFSET,
    [BACKEND_TSC_RATIO] = VMCS_TSC_MULTIPLIER,
};

/* Bits in the mask read as in the shadow. */
static uint64_t shadowed(uint64_t value, enum vmcs_field mask, enum vmcs_field shadow)
{
    uint64_t ours = vmcs_read(mask);

    return (value & ~ours) | (vmcs_read(shadow) & ours);
}

uint64_t vmx_read(const struct vcpu *vcpu, enum backend_register reg)
{
    if (reg == BACKEND_CR2) {
        return vmx_read_cr2();
    }
    if (reg == BACKEND_DR6) {
        return vmx_read_dr6();
    }
    uint64_t value = vmcs_read((enum vmcs_field)fields[reg]);

    if (reg == BACKEND_CR0) {
        value = shadowed(value, VMCS_CR0_MASK, VMCS_CR0_SHADOW);
    } else if (reg == BACKEND_CR4) {
        value = shadowed(value, VMCS_CR4_MASK, VMCS_CR4_SHADOW);
    }
    return value;
}

/* Caches stay on, whatever the guest says: CD would make all of its memory uncached (29.3.7.2). */
static uint64_t real_cr0(uint64_t value)
{
    const struct vmx_fixed *fixed = vmx_fixed(0);

    return ((value & ~(CR0_CD | CR0_NW)) | (fixed->set & ~CR0_FREE)) & fixed->allowed;
}

void vmx_write(struct vcpu *vcpu, enum backend_register reg, uint64_t value)
{
    struct vmx_vcpu *vmx = vcpu->backend;
    uint64_t entry;

    switch (reg) {
    case BACKEND_CR2:
        vmx_write_cr2(value);
        return;
    case BACKEND_DR6:
        vmx_write_dr6(value);
        return;
    case BACKEND_CR0:
        vmcs_write(VMCS_CR0_SHADOW, value);
        value = real_cr0(value);
        break;
    case BACKEND_CR4:
        vmcs_write(VMCS_CR4_SHADOW, value);
        value |= vmx_fixed(1)->set | CR4_VMXE | CR4_MCE; /* a machine check is never the guest's */
        break;
    case BACKEND_EFER:
        entry = vmcs_read(VMCS_ENTRY_CONTROLS) & ~(uint64_t)VMCS_ENTRY_LONG_MODE;
        vmcs_write(VMCS_ENTRY_CONTROLS, entry | (value & EFER_LMA ? VMCS_ENTRY_LONG_MODE : 0));
        break;
    case BACKEND_CR3:
    case BACKEND_PAT:
    case BACKEND_TSC_OFFSET:
    case BACKEND_TSC_RATIO:
        break;
    case BACKEND_REGISTERS:
        return;
    }
    vmcs_write((enum vmcs_field)fields[reg], value);
    if (reg == BACKEND_CR0 || reg == BACKEND_CR3 || reg == BACKEND_CR4 || reg == BACKEND_EFER) {
        vmx->due |= VMX_DUE_PDPTES;
    }
}

void vmx_context(const struct vcpu *vcpu, struct emulate_cpu *cpu)
{
    cpu->cr0 = vmx_read(vcpu, BACKEND_CR0);
    cpu->cr3 = vmcs_read(VMCS_CR3);
    cpu->cr4 = vmx_read(vcpu, BACKEND_CR4);
    cpu->efer = vmcs_read(VMCS_EFER);
    cpu->cpl = vmx_get_cpl();
    for (unsigned i = 0; i < INSN_SEGMENT_COUNT; i++) {
        vmx_get_segment(&cpu->segment[i], i);
    }
    cpu->pdpte_cached = vmx_has_pdptes(vcpu);
    for (unsigned i = 0; cpu->pdpte_cached && i < ARRAY_SIZE(cpu->pdpte); i++) {
        cpu->pdpte[i] = vmcs_read((enum vmcs_field)(VMCS_PDPTES + 2U * i));
    }
}

static void vmx_flush(struct vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vcpu->backend;

    vmx->due |= VMX_DUE_FLUSH;
}

static void vmx_set_root(struct vcpu *vcpu, hpa_t root)
{
    struct vmx_vcpu *vmx = vcpu->backend;

    vmx->root = root.raw | VMCS_EPT_POINTER_BITS | (vmx->logs ? VMCS_EPT_POINTER_DIRTY : 0);
    vmcs_write(VMCS_EPT_POINTER, vmx->root);
    vmx_flush(vcpu);
}

static const struct radix_format nested_format = {
    /* 29.3.2. The memory type goes together with that of the guest's PAT. No accessed and dirty
     * bits: with them the CPU would count walks of the guest's tables as writes to these. */
    .present = 0x7, .table = 0x7,   .read = 0x1,      .write = 0x2,      .execute = 0x4,
    .type = 0x38,   .cached = 0x30, .uncached = 0x00, .combining = 0x08, .large = 0x80,
};

const struct backend vmx_backend = {
    .name = "VMX",
    .vcpu_size = sizeof(struct vmx_vcpu),
    .nested = &nested_format,
    .init = vmx_init,
    .enable_cpu = vmx_enable_cpu,
    .enter = vmx_run,
    .get_state = vmx_get_state,
    .set_state = vmx_set_state,
    .read = vmx_read,
    .write = vmx_write,
    .context = vmx_context,
    .set_root = vmx_set_root,
    .flush = vmx_flush,
};
