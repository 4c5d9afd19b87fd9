/* SPDX-License-Identifier: BSD-2-Clause */
/* RDMSR and WRMSR as vmm/vm/msr_table.c says. */
#include "vmm/host/msr.h"

#include "vmm/host/instructions.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/model.h"
#include "vmm/vm/msr_table.h"
#include "vmm/vm/vm.h"

#define MTRR_DEFAULT      0x0c06U /* on, fixed ranges on, write-back */
#define MTRR_ALL_WB       0x0606060606060606ULL
#define MTRR_ALL_WP       0x0505050505050505ULL
#define MTRR_MASK_VALID   0x800U
#define MTRR_DEFAULT_BITS 0xcffULL /* type, fixed ranges on, on */
#define DEBUGCTL_BITS     0x3fULL

static bool has(const struct msr_row *row, uint32_t msr)
{
    return msr >= row->first && msr <= row->last;
}

/* By halves; where one was found before is looked first. A hint may be wrong, and is any vCPU's. */
static const struct msr_row *find(uint32_t msr)
{
    static uint8_t hints[64];
    uint8_t *hint = &hints[msr % sizeof(hints)];
    const struct msr_row *row = &msr_rows[__atomic_load_n(hint, __ATOMIC_RELAXED)];

    if (has(row, msr)) {
        return row;
    }
    row = msr_rows;
    for (unsigned count = msr_row_count; count > 1;) { /* the last that does not begin behind it */
        unsigned half = count / 2;

        row = msr >= row[half].first ? row + half : row;
        count -= half;
    }
    __atomic_store_n(hint, (uint8_t)(row - msr_rows), __ATOMIC_RELAXED);
    return has(row, msr) ? row : NULL;
}

void model_reset(struct cpu_state *state)
{
    struct state_model *model = &state->model;

    *model = (struct state_model){.mtrr_default = MTRR_DEFAULT};
    for (unsigned i = 0; i < STATE_MTRR_FIXED; i++) {
        model->mtrr_fixed[i] = MTRR_ALL_WB;
    }
    model->mtrr_fixed[2] = 0; /* A0000h..BFFFFh */
    for (unsigned i = 3; i < STATE_MTRR_FIXED; i++) {
        model->mtrr_fixed[i] = MTRR_ALL_WP; /* ROMs */
    }
    /* The PCI hole, from E0000000h to 4 GiB, is uncached. */
    model->mtrr_variable[0] = PCI_HOLE_BASE;
    model->mtrr_variable[1] =
        (((1ULL << model_facts.physical_bits) - 1) & ~(0x20000000ULL - 1)) | MTRR_MASK_VALID;
}

static uint64_t read_tsc(const struct vcpu *vcpu)
{
    return vm_scale_tsc(vcpu->vm, cpu_read_tsc()) - vcpu->vm->base_tsc + vcpu->tsc_offset;
}

static void write_tsc(struct vcpu *vcpu, uint64_t value)
{
    vcpu->tsc_offset += value - read_tsc(vcpu);
    backend->write(vcpu, BACKEND_TSC_OFFSET, vcpu->tsc_offset - vcpu->vm->base_tsc);
    pc_vcpu_set_tsc_offset(&vcpu->vm->pc, vcpu->index, vcpu->tsc_offset, vm_now(vcpu->vm));
    vcpu->look = true;
}

/* LME may not change while paging is on; LMA is the CPU's (AMD APM 2, 3.1.7). */
static enum status write_efer(struct vcpu *vcpu, uint64_t value)
{
    uint64_t before = backend->read(vcpu, BACKEND_EFER);

    if ((value & (~model_facts.efer | vcpu->vm->level.efer)) ||
        (((value ^ before) & EFER_LME) && (backend->read(vcpu, BACKEND_CR0) & CR0_PG))) {
        return STATUS_INVALID;
    }
    backend->write(vcpu, BACKEND_EFER, (value & ~EFER_LMA) | (before & EFER_LMA));
    backend->flush(vcpu);
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
static bool mtrr_default_is_valid(uint64_t value)
{
    return !(value & ~MTRR_DEFAULT_BITS) && memory_type_is_valid(value & 0xff, false);
}

static bool mtrr_variable_is_valid(bool is_mask, uint64_t value)
{
    uint64_t known = ((1ULL << model_facts.physical_bits) - 1) & ~(PAGE_SIZE - 1);

    known |= is_mask ? MTRR_MASK_VALID : 0xffU;
    return !(value & ~known) && (is_mask || memory_type_is_valid(value & 0xff, false));
}

/* May a register of KIND, which has no effect, hold VALUE? DEBUGCTL: last branches are not virtual.
 */
static bool is_valid(enum msr_kind kind, uint32_t msr, uint64_t value)
{
    switch (kind) {
    case MSR_KIND_PAT:
        return memory_types_are_valid(value, true);
    case MSR_KIND_MTRR_DEFAULT:
        return mtrr_default_is_valid(value);
    case MSR_KIND_MTRR_VARIABLE:
        return mtrr_variable_is_valid(msr % 2, value);
    case MSR_KIND_MTRR_FIXED:
        return memory_types_are_valid(value, false);
    case MSR_KIND_DEBUGCTL:
        return !(value & ~DEBUGCTL_BITS);
    case MSR_KIND_TSC_AUX:
        return value <= UINT32_MAX;
    case MSR_KIND_PASSED:
    case MSR_KIND_PLATFORM:
    case MSR_KIND_TSC:
    case MSR_KIND_EFER:
    case MSR_KIND_HOST:
    case MSR_KIND_CONSTANT:
    case MSR_KIND_FIXED:
    case MSR_KIND_IBPB:
        break;
    }
    return true;
}

/* Only that a barrier is wanted; it acts on the CPU that the vCPU has to itself. */
static enum status write_ibpb(uint64_t value)
{
    if (value & ~PRED_CMD_IBPB) {
        return STATUS_INVALID;
    }
    return value && msr_write(MSR_PRED_CMD, value) != STATUS_OK ? STATUS_INVALID : STATUS_OK;
}

/* The registers of struct state_model lie in the vCPU as they do in struct cpu_state. */
static uint64_t *kept_at(struct vcpu *vcpu, const struct msr_row *row, uint32_t msr)
{
    size_t at = row->kept - offsetof(struct cpu_state, model) / sizeof(uint64_t);

    return (uint64_t *)&vcpu->model + at + (msr - row->first);
}

bool model_check(const struct cpu_state *state)
{
    for (unsigned i = 0; i < msr_row_count; i++) {
        const struct msr_row *row = &msr_rows[i];

        for (uint32_t msr = row->first; row->kept != MSR_NOT_KEPT && msr <= row->last; msr++) {
            uint64_t value = ((const uint64_t *)state)[row->kept + (msr - row->first)];

            if (!is_valid((enum msr_kind)row->kind, msr, value)) {
                return false;
            }
        }
    }
    return true;
}

enum status model_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
    const struct msr_row *row = find(msr);

    if (!row) {
        return STATUS_INVALID;
    }
    *value = row->value;
    switch ((enum msr_kind)row->kind) {
    case MSR_KIND_PLATFORM: /* the local APIC: its timer may expire on the way */
        vcpu->look = true;
        return pc_msr_read(&vcpu->vm->pc, vcpu->index, msr, vm_now(vcpu->vm), value);
    case MSR_KIND_TSC:
        *value = read_tsc(vcpu);
        break;
    case MSR_KIND_EFER:
        *value = backend->read(vcpu, BACKEND_EFER);
        break;
    case MSR_KIND_PAT:
        *value = backend->read(vcpu, BACKEND_PAT);
        break;
    case MSR_KIND_MTRR_DEFAULT:
    case MSR_KIND_MTRR_VARIABLE:
    case MSR_KIND_MTRR_FIXED:
    case MSR_KIND_DEBUGCTL:
    case MSR_KIND_TSC_AUX:
        *value = *kept_at(vcpu, row, msr);
        break;
    case MSR_KIND_HOST:
        (void)msr_read(msr, value);
        break;
    case MSR_KIND_PASSED: /* makes no exit */
    case MSR_KIND_IBPB:   /* write only */
        return STATUS_INVALID;
    case MSR_KIND_CONSTANT:
    case MSR_KIND_FIXED:
        break;
    }
    return STATUS_OK;
}

/* Rows of the table (PLATFORM) that guests write so often that it is not asked. */
static bool is_hot(uint32_t msr)
{
    return msr == LAPIC_MSR_TSC_DEADLINE ||
           msr - LAPIC_MSR_X2APIC <= LAPIC_MSR_X2APIC_LAST - LAPIC_MSR_X2APIC;
}

/*
 * As write_apic() in exit_io.c does for those in memory. The deadline is written at each tick of a
 * guest: unless the timer has expired on the way there is nothing to look at but when it does.
 */
static enum status write_hot(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
    struct pc *pc = &vcpu->vm->pc;
    bool deadline = msr == LAPIC_MSR_TSC_DEADLINE;
    bool needs_time = !deadline && pc_lapic_needs_time((msr - LAPIC_MSR_X2APIC) << 4);
    enum status status =
        pc_msr_write(pc, vcpu->index, msr, value, deadline || needs_time ? vm_now(vcpu->vm) : 0);

    if (deadline) {
        vcpu->timer_look = true;
    }
    if (needs_time || lapic_has_requests(&pc->lapic[vcpu->index])) {
        vcpu->look = true; /* a store: handlers of this CPU's interrupts set it, too */
    }
    vcpu->cr8 = pc_cr8_read(pc, vcpu->index);
    return status;
}

enum status model_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
    if (is_hot(msr)) {
        return write_hot(vcpu, msr, value);
    }
    const struct msr_row *row = find(msr);

    if (!row || !is_valid((enum msr_kind)row->kind, msr, value)) {
        return STATUS_INVALID;
    }
    switch ((enum msr_kind)row->kind) {
    case MSR_KIND_PLATFORM:
        vcpu->look = true;
        return pc_msr_write(&vcpu->vm->pc, vcpu->index, msr, value, vm_now(vcpu->vm));
    case MSR_KIND_TSC:
        write_tsc(vcpu, value);
        break;
    case MSR_KIND_EFER:
        return write_efer(vcpu, value);
    case MSR_KIND_PAT:
        backend->write(vcpu, BACKEND_PAT, value);
        break;
    case MSR_KIND_TSC_AUX:
        if (msr_write(msr, value) != STATUS_OK) {
            return STATUS_INVALID;
        }
        *kept_at(vcpu, row, msr) = value;
        break;
    case MSR_KIND_MTRR_DEFAULT:
    case MSR_KIND_MTRR_VARIABLE:
    case MSR_KIND_MTRR_FIXED:
    case MSR_KIND_DEBUGCTL:
        *kept_at(vcpu, row, msr) = value;
        break;
    case MSR_KIND_IBPB:
        return write_ibpb(value);
    case MSR_KIND_PASSED:
    case MSR_KIND_FIXED:
        return STATUS_INVALID;
    case MSR_KIND_HOST:
    case MSR_KIND_CONSTANT:
        break;
    }
    return STATUS_OK;
}
