/* SPDX-License-Identifier: BSD-2-Clause */
/* THE table of model-specific registers; one that is not here gives #GP. */
#include "vmm/host/msr.h"

#include "vmm/host/instructions.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/model.h"
#include "vmm/vm/vm.h"

#include <string.h>

#define MTRR_CAP          0x0508U /* 8 variable ranges, fixed ranges, write-combining */
#define MTRR_DEFAULT      0x0c06U /* on, fixed ranges on, write-back */
#define MTRR_ALL_WB       0x0606060606060606ULL
#define MTRR_MASK_VALID   0x800U
#define MTRR_DEFAULT_BITS 0xcffULL /* type, fixed ranges on, on */
#define HWCR_TSC_FREQ     (1ULL << 24)
#define VM_CR_OFF         0x18U /* SVM off, and locked */
#define DE_CFG_LFENCE     (1ULL << 1)
#define EFER_LMA_BIT      (1ULL << 10)

enum msr_kind {
    MSR_KIND_PLATFORM, /* the virtual PC's */
    MSR_KIND_TSC,
    MSR_KIND_EFER,
    MSR_KIND_PAT,
    MSR_KIND_MTRR_DEFAULT,
    MSR_KIND_MTRR_VARIABLE,
    MSR_KIND_MTRR_FIXED,
    MSR_KIND_DEBUGCTL,
    MSR_KIND_TSC_AUX,
    MSR_KIND_HOST,     /* reads as the host's, writes do nothing */
    MSR_KIND_CONSTANT, /* reads as 'value', writes do nothing */
    MSR_KIND_FIXED,    /* reads as 'value', writes give #GP */
    MSR_KIND_IBPB,
};

struct msr_row {
    uint32_t first, last;
    uint8_t kind;
    uint64_t value; /* or the index of the first one */
};

static const struct msr_row rows[] = {
    {0x00000010, 0x00000010, MSR_KIND_TSC,           0            },
    {0x0000001b, 0x0000001b, MSR_KIND_PLATFORM,      0            }, /* APIC base */
    {0x00000049, 0x00000049, MSR_KIND_IBPB,          0            }, /* PRED_CMD */
    {0x0000008b, 0x0000008b, MSR_KIND_HOST,          0            }, /* microcode */
    {0x000000fe, 0x000000fe, MSR_KIND_FIXED,         MTRR_CAP     },
    {0x00000179, 0x00000179, MSR_KIND_FIXED,         0            }, /* machine checks: no banks */
    {0x0000017a, 0x0000017a, MSR_KIND_CONSTANT,      0            },
    {0x000001d9, 0x000001d9, MSR_KIND_DEBUGCTL,      0            },
    {0x000001db, 0x000001de, MSR_KIND_CONSTANT,      0            }, /* last branches */
    {0x00000200, 0x0000020f, MSR_KIND_MTRR_VARIABLE, 0            },
    {0x00000250, 0x00000250, MSR_KIND_MTRR_FIXED,    0            },
    {0x00000258, 0x00000259, MSR_KIND_MTRR_FIXED,    1            },
    {0x00000268, 0x0000026f, MSR_KIND_MTRR_FIXED,    3            },
    {0x00000277, 0x00000277, MSR_KIND_PAT,           0            },
    {0x000002ff, 0x000002ff, MSR_KIND_MTRR_DEFAULT,  0            },
    {0x000006e0, 0x000006e0, MSR_KIND_PLATFORM,      0            }, /* TSC deadline */
    {0x00000800, 0x000008ff, MSR_KIND_PLATFORM,      0            }, /* x2APIC */
    {0xc0000080, 0xc0000080, MSR_KIND_EFER,          0            },
    {0xc0000103, 0xc0000103, MSR_KIND_TSC_AUX,       0            },
    {0xc0010000, 0xc0010007, MSR_KIND_CONSTANT,      0            }, /* performance counters */
    {0xc0010010, 0xc0010010, MSR_KIND_CONSTANT,      0            }, /* SYSCFG */
    {0xc0010015, 0xc0010015, MSR_KIND_CONSTANT,      HWCR_TSC_FREQ},
    {0xc001001a, 0xc001001a, MSR_KIND_CONSTANT,      0            }, /* TOP_MEM */
    {0xc001001d, 0xc001001d, MSR_KIND_CONSTANT,      0            },
    {0xc001001f, 0xc001001f, MSR_KIND_CONSTANT,      0            }, /* NB_CFG */
    {0xc0010055, 0xc0010055, MSR_KIND_CONSTANT,      0            }, /* interrupt pending message */
    {0xc0010058, 0xc0010058, MSR_KIND_CONSTANT,      0            }, /* no MMCONFIG */
    {0xc0010061, 0xc0010063, MSR_KIND_CONSTANT,      0            }, /* P-states */
    {0xc0010112, 0xc0010113, MSR_KIND_CONSTANT,      0            }, /* no SMM memory */
    {0xc0010114, 0xc0010114, MSR_KIND_FIXED,         VM_CR_OFF    },
    {0xc0010140, 0xc0010141, MSR_KIND_CONSTANT,      0            }, /* no workarounds needed */
    {0xc0011005, 0xc0011005, MSR_KIND_CONSTANT,      0            }, /* feature overrides */
    {0xc0011020, 0xc0011023, MSR_KIND_CONSTANT,      0            }, /* LS, IC, DC, BU_CFG */
    {0xc0011028, 0xc0011028, MSR_KIND_CONSTANT,      0            }, /* FP_CFG */
    {0xc0011029, 0xc0011029, MSR_KIND_CONSTANT,      DE_CFG_LFENCE}, /* the VMM has set it */
    {0xc001102a, 0xc001102a, MSR_KIND_CONSTANT,      0            }, /* BU_CFG2 */
    {0xc001102c, 0xc001102d, MSR_KIND_CONSTANT,      0            }, /* EX_CFG, LS_CFG2 */
};

static const struct msr_row *find(uint32_t msr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (msr >= rows[i].first && msr <= rows[i].last) {
            return &rows[i];
        }
    }
    return NULL;
}

void model_reset(struct vcpu_model *model)
{
    *model = (struct vcpu_model){.mtrr_default = MTRR_DEFAULT};
    for (unsigned i = 0; i < VCPU_MTRR_FIXED; i++) {
        model->mtrr_fixed[i] = MTRR_ALL_WB;
    }
    model->mtrr_fixed[2] = 0; /* A0000h..BFFFFh */
    /* The PCI hole, from E0000000h to 4 GiB, is uncached. */
    model->mtrr_variable[0] = PCI_HOLE_BASE;
    model->mtrr_variable[1] =
        (((1ULL << model_physical_bits()) - 1) & ~(0x20000000ULL - 1)) | MTRR_MASK_VALID;
    (void)msr_write(0xc0000103, 0);
}

static uint64_t read_tsc(const struct vcpu *vcpu)
{
    return cpu_read_tsc() - vcpu->vm->base_tsc + vcpu->tsc_offset;
}

static void write_tsc(struct vcpu *vcpu, uint64_t value)
{
    vcpu->tsc_offset += value - read_tsc(vcpu);
    backend_set_tsc_offset(vcpu, vcpu->tsc_offset - vcpu->vm->base_tsc);
    pc_vcpu_set_tsc_offset(&vcpu->vm->pc, vcpu->index, vcpu->tsc_offset, vm_now(vcpu->vm));
}

/* LME may not change while paging is on; LMA is the CPU's (AMD APM 2, 3.1.7). */
static enum status write_efer(struct vcpu *vcpu, uint64_t value)
{
    uint64_t before = backend_read_efer(vcpu);

    if ((value & ~model_efer_mask()) ||
        (((value ^ before) & EFER_LME) && (backend_read_cr(vcpu, 0) & CR0_PG))) {
        return STATUS_INVALID;
    }
    backend_write_efer(vcpu, (value & ~EFER_LMA_BIT) | (before & EFER_LMA_BIT));
    backend_flush(vcpu);
    return STATUS_OK;
}

/* Memory types 2, 3 and above 7 do not exist; 7 is one of page tables alone. */
static bool memory_type_is_valid(unsigned type, bool pat)
{
    return type <= (pat ? 7U : 6U) && type != 2 && type != 3;
}

static bool memory_types_are_valid(uint64_t value, bool pat)
{
    for (unsigned i = 0; i < 8; i++) {
        if (!memory_type_is_valid(value >> 8 * i & 0xff, pat)) {
            return false;
        }
    }
    return true;
}

/* Types and reserved bits: Intel SDM 3, 12.11.2. */
static enum status write_mtrr_default(struct vcpu_model *model, uint64_t value)
{
    if ((value & ~MTRR_DEFAULT_BITS) || !memory_type_is_valid(value & 0xff, false)) {
        return STATUS_INVALID;
    }
    model->mtrr_default = value;
    return STATUS_OK;
}

static enum status write_mtrr_variable(struct vcpu_model *model, unsigned index, uint64_t value)
{
    uint64_t known = ((1ULL << model_physical_bits()) - 1) & ~(PAGE_SIZE - 1);
    bool is_mask = index % 2;

    known |= is_mask ? MTRR_MASK_VALID : 0xffU;
    if ((value & ~known) || (!is_mask && !memory_type_is_valid(value & 0xff, false))) {
        return STATUS_INVALID;
    }
    model->mtrr_variable[index] = value;
    return STATUS_OK;
}

static enum status write_pat(struct vcpu *vcpu, uint64_t value)
{
    if (!memory_types_are_valid(value, true)) {
        return STATUS_INVALID;
    }
    backend_write_pat(vcpu, value);
    return STATUS_OK;
}

/* Only that a barrier is wanted; it acts on the CPU that the vCPU has to itself. */
static enum status write_ibpb(uint64_t value)
{
    if (value & ~PRED_CMD_IBPB) {
        return STATUS_INVALID;
    }
    return value && msr_write(MSR_PRED_CMD, value) != STATUS_OK ? STATUS_INVALID : STATUS_OK;
}

static enum status write_tsc_aux(struct vcpu *vcpu, uint64_t value)
{
    if (value > UINT32_MAX || msr_write(0xc0000103, value) != STATUS_OK) {
        return STATUS_INVALID;
    }
    vcpu->model.tsc_aux = value;
    return STATUS_OK;
}

enum status model_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
    const struct msr_row *row = find(msr);
    const struct vcpu_model *model = &vcpu->model;

    if (!row) {
        return STATUS_INVALID;
    }
    *value = row->value;
    switch ((enum msr_kind)row->kind) {
    case MSR_KIND_PLATFORM:
        return pc_msr_read(&vcpu->vm->pc, vcpu->index, msr, vm_now(vcpu->vm), value);
    case MSR_KIND_TSC:
        *value = read_tsc(vcpu);
        break;
    case MSR_KIND_EFER:
        *value = backend_read_efer(vcpu);
        break;
    case MSR_KIND_PAT:
        *value = backend_read_pat(vcpu);
        break;
    case MSR_KIND_MTRR_DEFAULT:
        *value = model->mtrr_default;
        break;
    case MSR_KIND_MTRR_VARIABLE:
        *value = model->mtrr_variable[msr - row->first];
        break;
    case MSR_KIND_MTRR_FIXED:
        *value = model->mtrr_fixed[row->value + (msr - row->first)];
        break;
    case MSR_KIND_DEBUGCTL:
        *value = model->debugctl;
        break;
    case MSR_KIND_TSC_AUX:
        *value = model->tsc_aux;
        break;
    case MSR_KIND_HOST:
        (void)msr_read(msr, value);
        break;
    case MSR_KIND_IBPB: /* write only */
        return STATUS_INVALID;
    case MSR_KIND_CONSTANT:
    case MSR_KIND_FIXED:
        break;
    }
    return STATUS_OK;
}

enum status model_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
    const struct msr_row *row = find(msr);
    struct vcpu_model *model = &vcpu->model;

    if (!row) {
        return STATUS_INVALID;
    }
    switch ((enum msr_kind)row->kind) {
    case MSR_KIND_PLATFORM:
        return pc_msr_write(&vcpu->vm->pc, vcpu->index, msr, value, vm_now(vcpu->vm));
    case MSR_KIND_TSC:
        write_tsc(vcpu, value);
        break;
    case MSR_KIND_EFER:
        return write_efer(vcpu, value);
    case MSR_KIND_PAT:
        return write_pat(vcpu, value);
    case MSR_KIND_MTRR_DEFAULT:
        return write_mtrr_default(model, value);
    case MSR_KIND_MTRR_VARIABLE:
        return write_mtrr_variable(model, msr - row->first, value);
    case MSR_KIND_MTRR_FIXED:
        if (!memory_types_are_valid(value, false)) {
            return STATUS_INVALID;
        }
        model->mtrr_fixed[row->value + (msr - row->first)] = value;
        break;
    case MSR_KIND_DEBUGCTL: /* kept, and without effect: last branches are not virtual */
        if (value & ~0x3fULL) {
            return STATUS_INVALID;
        }
        model->debugctl = value;
        break;
    case MSR_KIND_TSC_AUX:
        return write_tsc_aux(vcpu, value);
    case MSR_KIND_IBPB:
        return write_ibpb(value);
    case MSR_KIND_HOST:
    case MSR_KIND_CONSTANT:
        break;
    case MSR_KIND_FIXED:
        return STATUS_INVALID;
    }
    return STATUS_OK;
}
