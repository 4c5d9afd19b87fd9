/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a vCPU as data: its fields, and which of their combinations no CPU is ever in. */
#include "vmm/base/x86.h"
#include "vmm/vm/model.h"

#define FLAG           1U
#define CPL_MAX        3U
#define CR8_MAX        15U
#define ATTRIBUTES_MAX 0xfffU
#define TABLE_LIMIT    0xffffU
#define CODE_LONG      0x200U
#define CODE_BIG       0x400U
#define TSS_KIND       0x15U /* S and type, apart from the bits for busy and for 16 or 32 bits */
#define TSS            0x01U
#define WORD_MXCSR     3U
#define WORD_RESERVED  66U /* of XSAVE's header */
#define WORD_EXTENDED  72U

#define WORD(member)      FIELD(struct cpu_state, member, UINT64_MAX)
#define SMALL(member, to) FIELD(struct cpu_state, member, to)

static const struct field fields[] = {
    FIELD_ARRAY(struct cpu_state, gpr, UINT64_MAX),
    WORD(rip),
    SMALL(rflags, RFLAGS_DEFINED),
    FIELD_EACH(struct cpu_state, segment, selector, UINT16_MAX),
    FIELD_EACH(struct cpu_state, segment, attributes, ATTRIBUTES_MAX),
    FIELD_EACH(struct cpu_state, segment, limit, UINT32_MAX),
    FIELD_EACH(struct cpu_state, segment, base, UINT64_MAX),
    SMALL(cr0, CR0_KNOWN),
    WORD(cr2),
    WORD(cr3),
    WORD(cr4),
    WORD(efer),
    SMALL(dr6, UINT32_MAX),
    SMALL(dr7, UINT32_MAX),
    WORD(star),
    WORD(lstar),
    WORD(cstar),
    WORD(sfmask),
    WORD(kernel_gs_base),
    WORD(sysenter_cs),
    WORD(sysenter_esp),
    WORD(sysenter_eip),
    WORD(pat),
    WORD(tsc_offset),
    SMALL(cpl, CPL_MAX),
    SMALL(cr8, CR8_MAX),
    SMALL(activity, VCPU_ACTIVITIES - 1),
    SMALL(shadow, FLAG),
    SMALL(nmi_pending, FLAG),
    SMALL(nmi_blocked, FLAG),
    SMALL(startup_vector, UINT8_MAX),
    SMALL(requests, VCPU_REQUESTS),
    SMALL(event_kind, VCPU_EVENT_KINDS - 1),
    SMALL(event_vector, UINT8_MAX),
    SMALL(event_has_error, FLAG),
    SMALL(event_error, UINT32_MAX),
    SMALL(held, FLAG),
    SMALL(held_vector, UINT8_MAX),
    WORD(model.mtrr_default),
    FIELD_ARRAY(struct cpu_state, model.mtrr_variable, UINT64_MAX),
    FIELD_ARRAY(struct cpu_state, model.mtrr_fixed, UINT64_MAX),
    WORD(model.debugctl),
    WORD(model.tsc_aux),
    FIELD_ARRAY(struct cpu_state, fpu.area, UINT64_MAX),
    WORD(fpu.xcr0),
    FIELD_ARRAY(struct cpu_state, fpu.dr, UINT64_MAX),
};

const struct section cpu_section = SECTION(struct cpu_state, "cpu", 1, fields, state_check);

/* Paging modes and their bits: AMD APM 2, 15.5.1 and 14.6. */
static bool control_is_valid(const struct cpu_state *state)
{
    uint64_t cr0 = state->cr0, efer = state->efer;
    bool paging = cr0 & CR0_PG, long_mode = efer & EFER_LMA;
    unsigned code = state->segment[STATE_CS].attributes;

    if ((cr0 & ~CR0_KNOWN) || !(cr0 & CR0_ET) || (paging && !(cr0 & CR0_PE)) ||
        ((cr0 & CR0_NW) && !(cr0 & CR0_CD))) {
        return false;
    }
    if ((state->cr4 & ~model_facts.cr4) || (efer & ~model_facts.efer) ||
        state->cr3 >> model_facts.physical_bits != 0) {
        return false;
    }
    if (long_mode != (paging && (efer & EFER_LME)) || (long_mode && !(state->cr4 & CR4_PAE))) {
        return false;
    }
    return !long_mode || (code & (CODE_LONG | CODE_BIG)) != (CODE_LONG | CODE_BIG);
}

/* Level and instruction pointer, as the mode allows them. */
static bool mode_is_valid(const struct cpu_state *state)
{
    bool protected = state->cr0 & CR0_PE, long_mode = state->efer & EFER_LMA;
    bool wide = long_mode && (state->segment[STATE_CS].attributes & CODE_LONG);

    if ((state->rflags & ~RFLAGS_DEFINED) || !(state->rflags & RFLAGS_FIXED)) {
        return false;
    }
    if (state->rflags & RFLAGS_VM) {
        return protected && !long_mode && state->cpl == CPL_MAX;
    }
    return (protected || state->cpl == 0) && (wide || state->rip <= UINT32_MAX);
}

static bool is_canonical(uint64_t address)
{
    return address + (1ULL << 47) < 1ULL << 48;
}

static bool addresses_are_valid(const struct cpu_state *state)
{
    const struct x86_segment *segment = state->segment;
    const uint64_t linear[] = {
        segment[STATE_FS].base,
        segment[STATE_GS].base,
        segment[STATE_GDTR].base,
        segment[STATE_IDTR].base,
        segment[STATE_LDTR].base,
        segment[STATE_TR].base,
        state->kernel_gs_base,
        state->lstar,
        state->cstar,
        state->sysenter_esp,
        state->sysenter_eip,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(linear); i++) {
        if (!is_canonical(linear[i])) {
            return false;
        }
    }
    for (unsigned i = STATE_ES; i <= STATE_DS; i++) {
        if (segment[i].base > UINT32_MAX) {
            return false;
        }
    }
    return segment[STATE_GDTR].limit <= TABLE_LIMIT && segment[STATE_IDTR].limit <= TABLE_LIMIT &&
           (segment[STATE_TR].attributes & TSS_KIND) == TSS; /* not busy: QEMU leaves it so */
}

/* Whether an exception has an error code is no choice: VMX refuses the entry else (27.2.1.3). */
static bool event_is_valid(const struct cpu_state *state)
{
    bool exception = state->event_vector < VECTOR_EXCEPTIONS;
    bool has_error =
        exception && (VECTORS_WITH_ERROR >> state->event_vector & 1) && (state->cr0 & CR0_PE);

    switch ((enum vcpu_event_kind)state->event_kind) {
    case VCPU_EVENT_NONE:
    case VCPU_EVENT_INTERRUPT:
        return !state->event_has_error;
    case VCPU_EVENT_NMI:
        return !state->event_has_error && state->event_vector == VECTOR_NMI;
    case VCPU_EVENT_EXCEPTION:
        return exception && state->event_vector != VECTOR_NMI &&
               !state->event_has_error == !has_error;
    case VCPU_EVENT_KINDS:
        break;
    }
    return false;
}

/* What XSETBV and XRSTOR take without a fault. */
static bool fpu_is_valid(const struct fpu_registers *fpu)
{
    uint64_t components = model_facts.xcr0;

    for (unsigned i = WORD_RESERVED; i < WORD_EXTENDED; i++) {
        if (fpu->area[i] != 0) {
            return false;
        }
    }
    return (components ? model_xcr0_is_valid(fpu->xcr0) : fpu->xcr0 == 1) &&
           !(fpu->area[FPU_AREA_BV] & ~(components ? components : 3)) &&
           fpu->area[FPU_AREA_XCBV] == 0 && !(fpu->area[WORD_MXCSR] & ~(uint64_t)fpu_mxcsr_mask());
}

bool state_check(const void *from)
{
    const struct cpu_state *state = from;

    return control_is_valid(state) && mode_is_valid(state) && addresses_are_valid(state) &&
           event_is_valid(state) && model_check(state) && fpu_is_valid(&state->fpu);
}
