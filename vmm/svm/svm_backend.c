/* SPDX-License-Identifier: BSD-2-Clause */
/* The backend for AMD's SVM (docs/backend.md): its table, and what is no more than a VMCB field. */
#include "vmm/base/x86.h"
#include "vmm/host/msr.h"
#include "vmm/svm/svm.h"

#include <string.h>

#define MSR_TSC_RATIO 0xc0000104U

/* Where a register lies in struct svm_vcpu, and which clean bit goes with it (15.15.3). */
static const struct {
    uint16_t at, clean;
} registers[BACKEND_REGISTERS] = {
    [BACKEND_CR0] = {offsetof(struct svm_vcpu, vmcb.cr0),        VMCB_CLEAN_CR        },
    [BACKEND_CR2] = {offsetof(struct svm_vcpu, vmcb.cr2),        VMCB_CLEAN_CR2       },
    [BACKEND_CR3] = {offsetof(struct svm_vcpu, vmcb.cr3),        VMCB_CLEAN_CR        },
    [BACKEND_CR4] = {offsetof(struct svm_vcpu, vmcb.cr4),        VMCB_CLEAN_CR        },
    [BACKEND_EFER] = {offsetof(struct svm_vcpu, vmcb.efer),       VMCB_CLEAN_CR        },
    [BACKEND_PAT] = {offsetof(struct svm_vcpu, vmcb.pat),        VMCB_CLEAN_NESTED    },
    [BACKEND_DR6] = {offsetof(struct svm_vcpu, vmcb.dr6),        VMCB_CLEAN_DR        },
    [BACKEND_TSC_OFFSET] = {offsetof(struct svm_vcpu, vmcb.tsc_offset), VMCB_CLEAN_INTERCEPTS},
    [BACKEND_TSC_RATIO] = {offsetof(struct svm_vcpu, tsc_ratio),       0                    },
};

static uint64_t svm_read(const struct vcpu *vcpu, enum backend_register reg)
{
    const struct svm_vcpu *svm = vcpu->backend;
    uint64_t value;

    memcpy(&value, (const char *)svm + registers[reg].at, sizeof(value));
    if (reg == BACKEND_EFER) {
        value &= ~EFER_SVME; /* VMRUN wants it set (15.5.1) */
    }
    return reg == BACKEND_CR4 ? svm->cr4 : value;
}

static void svm_write(struct vcpu *vcpu, enum backend_register reg, uint64_t value)
{
    struct svm_vcpu *svm = vcpu->backend;

    if (reg == BACKEND_EFER) {
        value |= EFER_SVME;
    } else if (reg == BACKEND_CR4) {
        svm->cr4 = value;
        value |= CR4_MCE; /* a machine check is never the guest's to miss */
    }
    memcpy((char *)svm + registers[reg].at, &value, sizeof(value));
    svm_changed(svm, registers[reg].clean);
    if (reg == BACKEND_TSC_RATIO) { /* the CPU's, and in effect in guests only: 15.30.5 */
        (void)msr_write(MSR_TSC_RATIO, value);
    }
}

static void svm_context(const struct vcpu *vcpu, struct emulate_cpu *cpu)
{
    const struct svm_vcpu *svm = vcpu->backend;
    const struct vmcb *vmcb = &svm->vmcb;

    svm_code_context(svm, cpu);
    memcpy(cpu->segment, vmcb->segment, sizeof(cpu->segment));
    if (svm_features()->decode_assists && vmcb->exit_code == VMCB_EXIT_NPF &&
        vmcb->fetched <= INSN_MAX) {
        cpu->byte_count = vmcb->fetched;
        memcpy(cpu->bytes, vmcb->bytes, vmcb->fetched);
    }
}

static void svm_flush(struct vcpu *vcpu)
{
    struct svm_vcpu *svm = vcpu->backend;

    asid_flush(&svm->asid);
}

static void svm_set_root(struct vcpu *vcpu, hpa_t root)
{
    struct svm_vcpu *svm = vcpu->backend;

    svm->vmcb.nested_cr3 = root.raw;
    svm_changed(svm, VMCB_CLEAN_NESTED);
    svm_flush(vcpu);
}

static const struct radix_format nested_format = {
    /* Present, and user: every nested access is one, 15.25.5. */
    .present = 0x01,  .table = 0x27,     .leaf = 0x05,  .write = 0x02,    .no_execute = 1ULL << 63,
    .type = 0x18, /* PWT and PCD: an entry of the host's PAT (PAGING_PAT) */
    .uncached = 0x18, .combining = 0x08, .large = 0x80, .accessed = 0x20, .dirty = 0x40,
};

const struct backend svm_backend = {
    .name = "SVM",
    .vcpu_size = sizeof(struct svm_vcpu),
    .nested = &nested_format,
    .takes_offers = true,
    .init = svm_init,
    .enable_cpu = svm_enable_cpu,
    .enter = svm_run,
    .get_state = svm_get_state,
    .set_state = svm_set_state,
    .read = svm_read,
    .write = svm_write,
    .context = svm_context,
    .set_root = svm_set_root,
    .flush = svm_flush,
};
