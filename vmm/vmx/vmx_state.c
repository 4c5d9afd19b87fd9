/* SPDX-License-Identifier: BSD-2-Clause */
/* One vCPU's state in the VMCS and out of it: Intel SDM 3, 25.4 to 25.8; docs/vmx.md. */
#include "vmm/emulate/emulate_edge.h"
#include "vmm/host/msr.h"
#include "vmm/host/pool.h"
#include "vmm/vm/model.h"
#include "vmm/vm/msr_table.h"
#include "vmm/vm/vm.h"
#include "vmm/vmx/vmx.h"

#include <string.h>

#define PAUSE_GAP_CYCLES    128U
#define PAUSE_WINDOW_CYCLES 4096U
#define PDPTE_PRESENT       1ULL
#define PDPTE_RESERVED      0x1e6ULL
#define CR3_PAE             0xffffffe0ULL
#define CPL_SHIFT           5
#define CPL                 (3U << CPL_SHIFT)
#define RIGHTS_BUSY         (1U << 1)
#define RIGHTS_ACCESSED     0x01U
#define RIGHTS_CODE_OR_DATA 0x10U
#define RIGHTS_PRESENT      0x80U
#define RIGHTS_GRANULAR     0x8000U

/* Where a segment stands in the rows of selectors, limits, rights and bases; GDTR and IDTR have no
 * selectors and rights. */
static const uint8_t row_index[STATE_SEGMENTS] = {
    [STATE_ES] = 0, [STATE_CS] = 1,   [STATE_SS] = 2, [STATE_DS] = 3,   [STATE_FS] = 4,
    [STATE_GS] = 5, [STATE_LDTR] = 6, [STATE_TR] = 7, [STATE_GDTR] = 8, [STATE_IDTR] = 9,
};
#define WITH_RIGHTS 8U

static enum vmcs_field field_of(enum vmcs_field first, unsigned segment)
{
    return (enum vmcs_field)(first + 2U * row_index[segment]);
}

/* What has the same meaning in both; the state's by words. */
static const struct {
    uint16_t field, state;
} words[] = {
#define WORD(name, member)                                                 \
    {                                                                      \
        VMCS_##name, offsetof(struct cpu_state, member) / sizeof(uint64_t) \
    }
    WORD(CR3, cr3),
    WORD(DR7, dr7),
    WORD(PAT, pat),
    WORD(EFER, efer),
    WORD(SYSENTER_CS, sysenter_cs),
    WORD(SYSENTER_ESP, sysenter_esp),
    WORD(SYSENTER_EIP, sysenter_eip),
#undef WORD
};

/* What every VMCS begins with besides, where the CPU has the secondary CONTROL that the field comes
 * with: 25.6 to 25.8. */
static const struct {
    uint16_t field;
    uint32_t control;
    uint64_t value;
} constants[] = {
    {VMCS_VPID,             VMCS_SECONDARY_VPID,        1                       }, /* a CPU has one vCPU at a time */
    {VMCS_LINK_POINTER,     0,                          UINT64_MAX              },
    {VMCS_DEBUGCTL,         0,                          0                       },
    {VMCS_EXCEPTIONS,       0,                          BACKEND_EXCEPTIONS      },
    {VMCS_PF_MASK,          0,                          0                       },
    {VMCS_PF_MATCH,         0,                          0                       },
    {VMCS_CR3_TARGETS,      0,                          0                       },
    {VMCS_EXIT_STORES,      0,                          0                       },
    {VMCS_EXIT_LOADS,       0,                          0                       },
    {VMCS_ENTRY_LOADS,      0,                          0                       },
    {VMCS_ENTRY_EVENT,      0,                          0                       },
    {VMCS_TPR_THRESHOLD,    0,                          0                       },
    {VMCS_ACTIVITY,         0,                          0                       },
    {VMCS_INTERRUPTIBILITY, 0,                          0                       },
    {VMCS_PENDING_DEBUG,    0,                          0                       },
    {VMCS_RSP,              0,                          0                       }, /* put in where it differs */
    {VMCS_RIP,              0,                          0                       },
    {VMCS_RFLAGS,           0,                          0                       },
    {VMCS_PLE_GAP,          VMCS_SECONDARY_PAUSE_LOOP,  PAUSE_GAP_CYCLES        },
    {VMCS_PLE_WINDOW,       VMCS_SECONDARY_PAUSE_LOOP,  PAUSE_WINDOW_CYCLES     },
    {VMCS_ENCLS_BITMAP,     VMCS_SECONDARY_ENCLS,       UINT64_MAX              },
    {VMCS_TSC_MULTIPLIER,   VMCS_SECONDARY_TSC_SCALING, 1ULL << VMX_TSC_FRACTION},
    {VMCS_EOI_EXITS,        VMCS_SECONDARY_DELIVERY,    0                       },
    {VMCS_EOI_EXITS + 2,    VMCS_SECONDARY_DELIVERY,    0                       },
    {VMCS_EOI_EXITS + 4,    VMCS_SECONDARY_DELIVERY,    0                       },
    {VMCS_EOI_EXITS + 6,    VMCS_SECONDARY_DELIVERY,    0                       },
};

/* What of the registers that are passed is not in the VMCS stays in the CPU: the VMM uses none. */
static bool is_resident(const struct msr_row *row)
{
    return row->kind == MSR_KIND_PASSED && row->first >= MSR_EFER && row->first != MSR_FS_BASE &&
           row->first != MSR_GS_BASE;
}

void vmx_get_segment(struct x86_segment *segment, unsigned i)
{
    uint32_t rights = VMCS_RIGHTS_UNUSABLE;

    *segment = (struct x86_segment){
        .limit = (uint32_t)vmcs_read(field_of(VMCS_LIMITS, i)),
        .base = vmcs_read(field_of(VMCS_BASES, i)),
    };
    if (row_index[i] < WITH_RIGHTS) {
        segment->selector = (uint16_t)vmcs_read(field_of(VMCS_SELECTORS, i));
        rights = (uint32_t)vmcs_read(field_of(VMCS_RIGHTS, i));
    }
    if (!(rights & VMCS_RIGHTS_UNUSABLE)) {
        segment->attributes = (uint16_t)((rights & 0xff) | (rights >> 4 & 0xf00));
    }
}

unsigned vmx_get_cpl(void)
{
    return vmcs_read(field_of(VMCS_RIGHTS, STATE_SS)) >> CPL_SHIFT & 3;
}

/* G says in which unit the limit was given, and has to fit it (27.3.1.2). */
static uint32_t granularity(uint32_t rights, uint32_t limit)
{
    if (limit > 0xfffff) {
        return rights | RIGHTS_GRANULAR;
    }
    return (limit & 0xfff) == 0xfff ? rights : rights & ~RIGHTS_GRANULAR;
}

/* SS has the CPL as its DPL, be it usable or not. */
static void set_segment(const struct x86_segment *segment, unsigned i, unsigned cpl)
{
    vmcs_write(field_of(VMCS_LIMITS, i), segment->limit);
    vmcs_write(field_of(VMCS_BASES, i), segment->base);
    if (row_index[i] >= WITH_RIGHTS) {
        return;
    }
    uint32_t rights = (segment->attributes & 0xffU) | (segment->attributes & 0xf00U) << 4;

    if (!(rights & RIGHTS_PRESENT)) {
        rights |= VMCS_RIGHTS_UNUSABLE;
    } else if (rights & RIGHTS_CODE_OR_DATA) {
        rights |= RIGHTS_ACCESSED; /* it is loaded */
    }
    if (i == STATE_TR) {
        rights |= RIGHTS_BUSY; /* VM entry wants it (SDM 3, 27.3.1.2) */
    }
    if (i == STATE_SS) {
        rights = (rights & ~CPL) | cpl << CPL_SHIFT;
    }
    vmcs_write(field_of(VMCS_SELECTORS, i), segment->selector);
    vmcs_write(field_of(VMCS_RIGHTS, i), granularity(rights, segment->limit));
}

void vmx_get_state(struct vcpu *vcpu, struct cpu_state *state)
{
    vmx_apic_take_back(vcpu);
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        ((uint64_t *)state)[words[i].state] = vmcs_read((enum vmcs_field)words[i].field);
    }
    for (unsigned i = 0; i < msr_row_count; i++) {
        if (is_resident(&msr_rows[i])) {
            (void)msr_read(msr_rows[i].first, (uint64_t *)state + msr_rows[i].kept);
        }
    }
    for (unsigned i = 0; i < STATE_SEGMENTS; i++) {
        vmx_get_segment(&state->segment[i], i);
    }
    state->cpl = (uint8_t)vmx_get_cpl();
    state->cr0 = vmx_read(vcpu, BACKEND_CR0);
    state->cr2 = vmx_read(vcpu, BACKEND_CR2);
    state->cr4 = vmx_read(vcpu, BACKEND_CR4);
    state->dr6 = vmx_read(vcpu, BACKEND_DR6);
}

static void set_controls(const struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    const uint32_t *control = vmx_features()->control;

    vmx->primary = control[VMX_PRIMARY];
    vmx->guards = vmx_features()->guards;
    vmcs_write(VMCS_PIN_CONTROLS, control[VMX_PIN]);
    vmcs_write(VMCS_PRIMARY_CONTROLS, vmx->primary);
    vmx_set_secondary(vmx);
    vmcs_write(VMCS_EXIT_CONTROLS, control[VMX_EXIT]);
    vmcs_write(VMCS_ENTRY_CONTROLS, control[VMX_ENTRY]);
    vmcs_write(VMCS_MSR_BITMAP, vmx_msr_bitmap().raw);
    vmcs_write(VMCS_VIRTUAL_APIC, pool_hpa(vmx).raw);
    if (vmx_features()->offers.serves_apic) {
        vmcs_write(VMCS_APIC_ACCESS, pool_hpa(vcpu->vm->apic_page).raw);
    }
    vmcs_write(VMCS_CR0_MASK, ~(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM | CR0_PG));
    vmcs_write(VMCS_CR4_MASK, ~model_facts.cr4 | vcpu->vm->level.cr4 | CR4_MCE);
    for (unsigned i = 0; i < ARRAY_SIZE(constants); i++) {
        if (!(constants[i].control & ~control[VMX_SECONDARY])) {
            vmcs_write((enum vmcs_field)constants[i].field, constants[i].value);
        }
    }
}

void vmx_set_state(struct vcpu *vcpu, const struct cpu_state *state)
{
    struct vmx_vcpu *vmx = vcpu->backend;

    memset(vmx, 0, sizeof(*vmx));
    vmx_renew_vmcs();
    set_controls(vcpu, vmx);
    vmx_set_host();
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        vmcs_write((enum vmcs_field)words[i].field, ((const uint64_t *)state)[words[i].state]);
    }
    for (unsigned i = 0; i < msr_row_count; i++) {
        if (is_resident(&msr_rows[i])) {
            (void)msr_write(msr_rows[i].first, ((const uint64_t *)state)[msr_rows[i].kept]);
        }
    }
    for (unsigned i = 0; i < STATE_SEGMENTS; i++) {
        set_segment(&state->segment[i], i, state->cpl);
    }
    vmx_write(vcpu, BACKEND_EFER, state->efer);
    vmx_write(vcpu, BACKEND_CR0, state->cr0);
    vmx_write(vcpu, BACKEND_CR2, state->cr2);
    vmx_write(vcpu, BACKEND_CR4, state->cr4);
    vmx_write(vcpu, BACKEND_DR6, state->dr6);
}

bool vmx_has_pdptes(const struct vcpu *vcpu)
{
    return (vmcs_read(VMCS_CR0) & CR0_PG) && (vmcs_read(VMCS_CR4) & CR4_PAE) &&
           !(vmcs_read(VMCS_EFER) & EFER_LMA);
}

/* One that no CPU would load, or that is not in RAM, becomes one that is not present. */
void vmx_load_pdptes(struct vcpu *vcpu)
{
    uint64_t at = vmcs_read(VMCS_CR3) & CR3_PAE;
    uint64_t reserved = PDPTE_RESERVED | ~((1ULL << model_facts.physical_bits) - 1);

    for (unsigned i = 0; i < 4; i++) {
        uint64_t entry;

        if (!emulate_ram_read(vcpu, gpa(at + i * sizeof(entry)), &entry, sizeof(entry)) ||
            ((entry & PDPTE_PRESENT) && (entry & reserved))) {
            entry = 0;
        }
        vmcs_write((enum vmcs_field)(VMCS_PDPTES + 2U * i), entry);
    }
}

/* Clear what an entry must not see, and a CPU may have let the guest load. */
void vmx_repair(struct vcpu *vcpu)
{
    struct x86_segment segment;
    unsigned cpl = vmx_get_cpl();

    for (unsigned i = 0; i < STATE_SEGMENTS; i++) {
        vmx_get_segment(&segment, i);
        set_segment(&segment, i, cpl);
    }
    vmcs_write(VMCS_CR3, vmcs_read(VMCS_CR3) & ((1ULL << model_facts.physical_bits) - 1));
    vmcs_write(VMCS_DR7, vmcs_read(VMCS_DR7) & UINT32_MAX);
    vmcs_write(VMCS_PENDING_DEBUG, 0);
    vmx_write(vcpu, BACKEND_EFER, vmcs_read(VMCS_EFER)); /* the entry's mode goes with it */
}
