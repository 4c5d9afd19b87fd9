/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/simvf/entry_check.h"

#include "vmm/vmx/vmx.h"

#define MUST(condition, rule) \
    do {                      \
        if (!(condition)) {   \
            return rule;      \
        }                     \
    } while (0)

#define EVENT_TYPE(word) ((word) >> 8 & 7U)
#define CR3_MAX          (1ULL << 52)
#define CS               1U /* in a row of segments: vmx_state.c */
#define SS               2U
#define FS               4U
#define LDTR             6U
#define TR               7U
#define SEGMENTS         8U

/* Access rights: 25.4.1. */
#define TYPE(rights) ((rights)&0xfU)
#define S(rights)    ((rights) >> 4 & 1)
#define DPL(rights)  ((rights) >> 5 & 3)
#define P(rights)    ((rights) >> 7 & 1)
#define L(rights)    ((rights) >> 13 & 1)
#define DB(rights)   ((rights) >> 14 & 1)
#define G(rights)    ((rights) >> 15 & 1)
#define RESERVED     0xfffe0f00U
#define CODE         8U

struct segment {
    uint16_t selector;
    uint32_t limit, rights;
    uint64_t base;
};

static uint64_t get(unsigned field)
{
    return vmcs_read((enum vmcs_field)field);
}

static struct segment segment(unsigned i)
{
    return (struct segment){(uint16_t)get(VMCS_SELECTORS + 2 * i),
                            (uint32_t)get(VMCS_LIMITS + 2 * i), (uint32_t)get(VMCS_RIGHTS + 2 * i),
                            get(VMCS_BASES + 2 * i)};
}

static bool canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool pat_is_valid(uint64_t pat)
{
    for (unsigned i = 0; i < 8; i++, pat >>= 8) {
        unsigned type = pat & 0xff;

        if (type == 2 || type == 3 || type > 7) {
            return false;
        }
    }
    return true;
}

static bool in(uint64_t value, const struct vmx_fixed *fixed)
{
    return !(fixed->set & ~value) && !(value & ~fixed->allowed);
}

/* ---- 27.2 ---- */

static const char *check_execution(void)
{
    uint64_t pin = get(VMCS_PIN_CONTROLS), primary = get(VMCS_PRIMARY_CONTROLS);
    uint64_t secondary = get(VMCS_SECONDARY_CONTROLS);
    bool delivery = secondary >> 9 & 1;

    MUST(!get(VMCS_CR3_TARGETS), "27.2.1.1: CR3 targets");
    MUST(!(get(VMCS_MSR_BITMAP) & 0xfff), "27.2.1.1: MSR bitmap");
    MUST(primary >> 21 & 1 || !(secondary & VMCS_SECONDARY_DELIVERY),
         "27.2.1.1: APICv without TPR shadow");
    MUST(!(get(VMCS_VIRTUAL_APIC) & 0xfff), "27.2.1.1: virtual-APIC page");
    MUST(delivery || !(get(VMCS_TPR_THRESHOLD) & ~0xfULL), "27.2.1.1: TPR threshold");
    MUST(pin >> 3 & 1 || !(pin >> 5 & 1), "27.2.1.1: virtual NMIs without NMI exiting");
    MUST(pin >> 5 & 1 || !(primary >> 22 & 1), "27.2.1.1: NMI window without virtual NMIs");
    MUST(!(secondary & 1) || !(get(VMCS_APIC_ACCESS) & 0xfff), "27.2.1.1: APIC-access page");
    MUST(!delivery || (pin & 1), "27.2.1.1: delivery without external-interrupt exiting");
    MUST(!(secondary >> 5 & 1) || get(VMCS_VPID), "27.2.1.1: VPID 0");
    MUST(!(secondary >> 25 & 1) || get(VMCS_TSC_MULTIPLIER), "27.2.1.1: TSC multiplier 0");
    MUST(!(secondary & VMCS_SECONDARY_LOG) || (secondary >> 1 & 1), "27.2.1.1: PML without EPT");
    MUST(!(secondary & VMCS_SECONDARY_LOG) || !(get(VMCS_LOG) & 0xfff), "27.2.1.1: PML's page");
    MUST((get(VMCS_EPT_POINTER) & 0xfff & ~0x40ULL) == VMCS_EPT_POINTER_BITS,
         "27.2.1.1: EPT pointer");
    return NULL;
}

static const char *check_event(void)
{
    uint32_t event = (uint32_t)get(VMCS_ENTRY_EVENT);
    unsigned type = EVENT_TYPE(event), vector = event & 0xff;
    bool error = event >> 11 & 1;

    if (!(event >> 31)) {
        return NULL;
    }
    MUST(type != 1, "27.2.1.3: event type");
    MUST(type != 2 || vector == 2, "27.2.1.3: vector of an NMI");
    MUST(type != 3 || vector < 32, "27.2.1.3: vector of an exception");
    MUST(!(event & 0x7ffff000), "27.2.1.3: event's reserved bits");
    /* Unless VMX_BASIC says that the CPU takes any. */
    MUST(error == (type == 3 && vector < 32 && (VECTORS_WITH_ERROR >> vector & 1) &&
                   (get(VMCS_CR0) & CR0_PE)),
         "27.2.1.3: error code");
    MUST(!error || !(get(VMCS_ENTRY_ERROR) & ~0xffffULL), "27.2.1.3: error code's high half");
    return NULL;
}

static const char *check_host(void)
{
    MUST(in(get(VMCS_HOST_CR0), vmx_fixed(0)), "27.2.2: host CR0");
    MUST(in(get(VMCS_HOST_CR4), vmx_fixed(1)), "27.2.2: host CR4");
    MUST(get(VMCS_HOST_CR3) < CR3_MAX, "27.2.2: host CR3");
    MUST(canonical(get(VMCS_HOST_SYSENTER_ESP)) && canonical(get(VMCS_HOST_SYSENTER_EIP)),
         "27.2.2: host SYSENTER");
    MUST(pat_is_valid(get(VMCS_HOST_PAT)), "27.2.2: host PAT");
    MUST((get(VMCS_HOST_EFER) & (EFER_LMA | EFER_LME)) == (EFER_LMA | EFER_LME),
         "27.2.2: host EFER");
    for (unsigned field = VMCS_HOST_ES; field <= VMCS_HOST_TR; field += 2) {
        MUST(!(get(field) & 7), "27.2.3: host selector");
    }
    MUST(get(VMCS_HOST_CS) && get(VMCS_HOST_TR), "27.2.3: host CS or TR");
    for (unsigned field = VMCS_HOST_FS_BASE; field <= VMCS_HOST_IDTR_BASE; field += 2) {
        MUST(canonical(get(field)), "27.2.3: host base");
    }
    MUST(canonical(get(VMCS_HOST_RIP)), "27.2.4: host RIP");
    return NULL;
}

const char *entry_check_vmcs(void)
{
    const char *rule = check_execution();

    rule = rule ? rule : check_event();
    return rule ? rule : check_host();
}

/* ---- 27.3 ---- */

static const char *check_registers(void)
{
    uint64_t cr0 = get(VMCS_CR0), cr4 = get(VMCS_CR4), efer = get(VMCS_EFER);
    bool lma = get(VMCS_ENTRY_CONTROLS) & VMCS_ENTRY_LONG_MODE;

    MUST(in(cr0 | CR0_PE | CR0_PG, vmx_fixed(0)), "27.3.1.1: CR0");
    MUST(!(cr0 & CR0_PG) || (cr0 & CR0_PE), "27.3.1.1: PG without PE");
    MUST(in(cr4, vmx_fixed(1)), "27.3.1.1: CR4");
    MUST(!(get(VMCS_DEBUGCTL) & ~0xdfc3ULL), "27.3.1.1: DEBUGCTL");
    MUST(!lma || ((cr0 & CR0_PG) && (cr4 & CR4_PAE)), "27.3.1.1: long mode without PG or PAE");
    MUST(get(VMCS_CR3) < CR3_MAX, "27.3.1.1: CR3");
    MUST(!(get(VMCS_DR7) >> 32), "27.3.1.1: DR7");
    MUST(canonical(get(VMCS_SYSENTER_ESP)) && canonical(get(VMCS_SYSENTER_EIP)),
         "27.3.1.1: SYSENTER");
    MUST(pat_is_valid(get(VMCS_PAT)), "27.3.1.1: PAT");
    MUST(!(efer & ~0xd01ULL), "27.3.1.1: EFER's reserved bits");
    MUST(!!(efer & EFER_LMA) == lma, "27.3.1.1: EFER.LMA");
    MUST(!(cr0 & CR0_PG) || !!(efer & EFER_LME) == lma, "27.3.1.1: EFER.LME");
    return NULL;
}

static const char *check_virtual_8086(void)
{
    for (unsigned i = 0; i < LDTR; i++) {
        struct segment s = segment(i);

        MUST(s.base == (uint64_t)s.selector << 4, "27.3.1.2: base in virtual-8086 mode");
        MUST(s.limit == 0xffff, "27.3.1.2: limit in virtual-8086 mode");
        MUST(s.rights == 0xf3, "27.3.1.2: rights in virtual-8086 mode");
    }
    return NULL;
}

static bool granularity_fits(struct segment s)
{
    return ((s.limit & 0xfff) == 0xfff || !G(s.rights)) && (!(s.limit >> 20) || G(s.rights));
}

static const char *check_cs(struct segment cs, struct segment ss, bool lma)
{
    unsigned type = TYPE(cs.rights);

    MUST(!(cs.base >> 32), "27.3.1.2: base of CS");
    MUST(!(cs.rights & VMCS_RIGHTS_UNUSABLE), "27.3.1.2: CS unusable");
    MUST(type == 3 || ((type & CODE) && (type & 1)), "27.3.1.2: type of CS");
    MUST(type != 3 || DPL(cs.rights) == 0, "27.3.1.2: DPL of CS as data");
    MUST(type != 9 && type != 11 ? 1 : DPL(cs.rights) == DPL(ss.rights), "27.3.1.2: DPL of CS");
    MUST(type != 13 && type != 15 ? 1 : DPL(cs.rights) <= DPL(ss.rights),
         "27.3.1.2: DPL of conforming CS");
    MUST(!lma || !L(cs.rights) || !DB(cs.rights), "27.3.1.2: L and D of CS");
    return NULL;
}

static const char *check_data(unsigned i, struct segment s)
{
    unsigned type = TYPE(s.rights);

    MUST(i == CS || i >= FS || !(s.base >> 32) || (s.rights & VMCS_RIGHTS_UNUSABLE),
         "27.3.1.2: base of a data segment");
    if (s.rights & VMCS_RIGHTS_UNUSABLE) {
        return NULL;
    }
    MUST(S(s.rights) && P(s.rights), "27.3.1.2: S or P of a segment");
    MUST(!(s.rights & RESERVED), "27.3.1.2: reserved rights");
    MUST(granularity_fits(s), "27.3.1.2: granularity");
    MUST(i == CS || (type & 1), "27.3.1.2: not accessed");
    MUST(i == CS || i == SS || !(type & CODE) || (type & 2), "27.3.1.2: unreadable code");
    MUST(i != SS || type == 3 || type == 7, "27.3.1.2: type of SS");
    return NULL;
}

static const char *check_system(void)
{
    struct segment tr = segment(TR), ldtr = segment(LDTR);
    bool lma = get(VMCS_ENTRY_CONTROLS) & VMCS_ENTRY_LONG_MODE;

    MUST(!(tr.selector & 4), "27.3.1.2: TR in the LDT");
    MUST(TYPE(tr.rights) == 11 || (!lma && TYPE(tr.rights) == 3), "27.3.1.2: type of TR");
    MUST(!S(tr.rights) && P(tr.rights) && !(tr.rights & (RESERVED | VMCS_RIGHTS_UNUSABLE)),
         "27.3.1.2: rights of TR");
    MUST(granularity_fits(tr) && canonical(tr.base), "27.3.1.2: TR");
    if (ldtr.rights & VMCS_RIGHTS_UNUSABLE) {
        return NULL;
    }
    MUST(!(ldtr.selector & 4), "27.3.1.2: LDTR in the LDT");
    MUST(TYPE(ldtr.rights) == 2 && !S(ldtr.rights) && P(ldtr.rights) && !(ldtr.rights & RESERVED),
         "27.3.1.2: rights of LDTR");
    MUST(granularity_fits(ldtr) && canonical(ldtr.base), "27.3.1.2: LDTR");
    return NULL;
}

static const char *check_segments(void)
{
    bool lma = get(VMCS_ENTRY_CONTROLS) & VMCS_ENTRY_LONG_MODE;
    struct segment cs = segment(CS), ss = segment(SS);

    if (get(VMCS_RFLAGS) & RFLAGS_VM) {
        return check_virtual_8086();
    }
    const char *rule = check_cs(cs, ss, lma);

    MUST((get(VMCS_CR0) & CR0_PE) && TYPE(cs.rights) != 3 ? 1 : DPL(ss.rights) == 0,
         "27.3.1.2: DPL of SS");
    for (unsigned i = 0; i < LDTR && !rule; i++) {
        rule = check_data(i, segment(i));
        MUST(i < FS || canonical(segment(i).base), "27.3.1.2: base of FS or GS");
    }
    return rule;
}

static const char *check_flow(void)
{
    uint64_t rip = get(VMCS_RIP), flags = get(VMCS_RFLAGS);
    uint32_t event = (uint32_t)get(VMCS_ENTRY_EVENT), blocked;
    bool lma = get(VMCS_ENTRY_CONTROLS) & VMCS_ENTRY_LONG_MODE;

    for (unsigned i = SEGMENTS; i < SEGMENTS + 2; i++) {
        MUST(canonical(get(VMCS_BASES + 2 * i)) && get(VMCS_LIMITS + 2 * i) <= 0xffff,
             "27.3.1.3: GDTR or IDTR");
    }
    MUST((lma && L(segment(CS).rights)) || !(rip >> 32), "27.3.1.4: RIP's high half");
    MUST(!(flags & ~0x3f7fd7ULL) && (flags & 2), "27.3.1.4: RFLAGS' reserved bits");
    MUST(!(flags & RFLAGS_VM) || (!lma && (get(VMCS_CR0) & CR0_PE)), "27.3.1.4: VM");
    MUST(!(event >> 31) || EVENT_TYPE(event) != 0 || (flags & RFLAGS_IF),
         "27.3.1.4: interrupt with IF = 0");
    blocked = (uint32_t)get(VMCS_INTERRUPTIBILITY);
    MUST(!get(VMCS_ACTIVITY), "27.3.1.5: activity");
    MUST(!(blocked & ~0xfU) && (blocked & 3) != 3, "27.3.1.5: interruptibility");
    MUST(!(blocked & 1) || (flags & RFLAGS_IF), "27.3.1.5: STI with IF = 0");
    MUST(!(event >> 31) || !(blocked & 3) || (EVENT_TYPE(event) != 0 && EVENT_TYPE(event) != 2),
         "27.3.1.5: event in a shadow");
    MUST(!(event >> 31) || EVENT_TYPE(event) != 2 || !(blocked & 8), "27.3.1.5: NMI while blocked");
    MUST(!(get(VMCS_PENDING_DEBUG) & ~0x1500fULL), "27.3.1.5: pending debug exceptions");
    MUST(!(blocked & 3) || !(get(VMCS_PENDING_DEBUG) >> 14 & 1) == !(flags & RFLAGS_TF),
         "27.3.1.5: BS and TF");
    MUST(get(VMCS_LINK_POINTER) == UINT64_MAX, "27.3.1.5: link pointer");
    return NULL;
}

static const char *check_pdptes(void)
{
    bool pae = (get(VMCS_CR0) & CR0_PG) && (get(VMCS_CR4) & CR4_PAE);

    for (unsigned i = 0; i < 4 && pae && !(get(VMCS_EFER) & EFER_LMA); i++) {
        uint64_t entry = get(VMCS_PDPTES + 2 * i);

        MUST(!(entry & 1) || !(entry & (0x1e6 | ~(CR3_MAX - 1))), "27.3.1.6: PDPTEs");
    }
    return NULL;
}

const char *entry_check_guest(void)
{
    const char *rule = check_registers();

    rule = rule ? rule : check_segments();
    rule = rule ? rule : check_system();
    rule = rule ? rule : check_flow();
    return rule ? rule : check_pdptes();
}
