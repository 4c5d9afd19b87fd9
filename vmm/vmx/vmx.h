/* SPDX-License-Identifier: BSD-2-Clause */
/* Intel's virtual machine extensions: SDM 3, chapters 24 to 31. Behind vmm/vm/backend.h. */
#ifndef PORTOLAN_VMM_VMX_VMX_H
#define PORTOLAN_VMM_VMX_VMX_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/vm/backend.h"
#include "vmm/vmx/vmcs.h"

/* What tells what the CPU can do: appendix A. */
enum vmx_word {
    VMX_BASIC,
    VMX_EPT,
    VMX_PIN, /* from here on bits that must be set, and, 32 bits up, those that may be */
    VMX_PRIMARY,
    VMX_SECONDARY,
    VMX_EXIT,
    VMX_ENTRY,
    VMX_WORDS
};

enum vmx_need {
    VMX_REQUIRED, /* set, always */
    VMX_SWITCHED, /* the CPU must have it, but it is set at times only */
    VMX_CLEAR,    /* must not be forced upon us */
    VMX_OPTIONAL, /* set where the CPU has it */
};

/* THE table of what VMX must and may offer; the report's features are held against it by a test. */
struct vmx_row {
    uint8_t word; /* enum vmx_word */
    uint8_t bit;
    uint8_t need; /* enum vmx_need */
    const char *name;
};

extern const struct vmx_row vmx_rows[];
extern const unsigned vmx_row_count;
extern const uint32_t vmx_word_msr[VMX_WORDS];

/* The TSC multiplier has 16 bits before the point: 25.6.5. */
#define VMX_TSC_FRACTION 48U

/* What was chosen: the words of VMX_PIN and above go into the VMCS. */
struct vmx_features {
    uint32_t control[VMX_WORDS];
    bool invept_one;
    struct backend_offers offers;
    uint32_t guards; /* enum guard_action's bits */
};

/* Pure: fill FEATURES for a CPU whose capability registers hold CAPABILITY. The name of the first
 * thing that it lacks, or NULL. */
const char *vmx_choose(const uint64_t *capability, struct vmx_features *features);

#define VMX_LOG_ENTRIES 512U

enum vmx_due {
    VMX_DUE_REPAIR = 1, /* the last entry was refused: its state is to be mended */
    VMX_DUE_FLUSH = 2,  /* translations of the guest are to be forgotten */
    VMX_DUE_PDPTES = 4, /* CR0, CR3, CR4 or EFER have been changed for the guest */
};

/* The VMCS is the CPU's: docs/vmx.md. */
struct vmx_vcpu {
    uint32_t virtual_apic[PAGE_SIZE / sizeof(uint32_t)]; /* first; without APICv only its TPR */
    uint64_t log[VMX_LOG_ENTRIES]; /* pages that the guest has written, by the CPU */
    uint64_t rsp, rip, rflags;     /* as the VMCS has it; the next three likewise */
    uint32_t primary;
    uint32_t interruptibility;
    uint64_t level[4];   /* the bitmap of EOIs that exit */
    uint64_t root;       /* the EPT pointer */
    struct lapic *lapic; /* while the CPU may serve it */
    uint32_t guards;     /* of struct vmx_features, where each entry finds it */
    uint8_t due;         /* enum vmx_due's bits: what is to be done before the next entry */
    bool launched;
    bool event_stays;   /* a refused entry has left its event in the VMCS */
    bool served;        /* the last exit, by vmx_quick(), but it has brought news */
    bool watches;       /* the last entry's controls had one of vcpu's watches */
    bool logs;          /* the CPU logs what the guest writes */
    bool apic;          /* the CPU serves the local APIC: as vcpu->apic was at the last entry */
    bool lent;          /* ... and has its state */
    uint8_t request;    /* ... with this vector as the highest that waited */
    bool registers_due; /* ... of which the page lacks what has changed */
};

extern const struct backend vmx_backend;

/* UNSUPPORTED: no VMX, or not all of what vmx_rows asks for. Boot CPU, once. */
enum status vmx_init(void);
const struct vmx_features *vmx_features(void);
hpa_t vmx_msr_bitmap(void);

/* Make this CPU's VMCS current, cleared: VMLAUNCH comes next, and every field is to be written. */
void vmx_renew_vmcs(void);

/* Write what exits bring back of the host: as it is now on this CPU. */
void vmx_set_host(void);

/* Bits that CR0 (INDEX 0) and CR4 (1) must have, and those that they may have: appendices A.7, A.8.
 */
struct vmx_fixed {
    uint64_t set, allowed;
};
const struct vmx_fixed *vmx_fixed(unsigned index);

/* The backend's functions: vmm/vm/backend.h. */
enum status vmx_enable_cpu(void);
void vmx_run(struct vcpu *vcpu, struct exit *exit);
void vmx_get_state(struct vcpu *vcpu, struct cpu_state *state);
void vmx_set_state(struct vcpu *vcpu, const struct cpu_state *state);
uint64_t vmx_read(const struct vcpu *vcpu, enum backend_register reg);
void vmx_write(struct vcpu *vcpu, enum backend_register reg, uint64_t value);
void vmx_context(const struct vcpu *vcpu, struct emulate_cpu *cpu);

/* A segment as the guest has it (STATE_...), and its CPL. */
void vmx_get_segment(struct x86_segment *segment, unsigned i);
unsigned vmx_get_cpl(void);

/* Does CR3 point to four entries that the CPU keeps in the VMCS? */
bool vmx_has_pdptes(const struct vcpu *vcpu);

/* Before an entry: read these entries from the guest's memory, as MOV to CR3 does. */
void vmx_load_pdptes(struct vcpu *vcpu);

/* Mend what an entry has refused. */
void vmx_repair(struct vcpu *vcpu);

/*
 * APICv: vcpu->apic says whether it is used. Switch it on or off; before an entry, if it has not
 * all of the local APIC's state, see to it that the CPU has it; take it back, if it has; see
 * whether EXIT, which is not one of VMX_KEEPS_APIC, wants that.
 */
void vmx_apic_switch(struct vcpu *vcpu, struct vmx_vcpu *vmx);
void vmx_apic_lend(struct vcpu *vcpu, struct vmx_vcpu *vmx);
void vmx_apic_take_back(struct vcpu *vcpu);
void vmx_apic_see_exit(struct vcpu *vcpu, struct vmx_vcpu *vmx, struct exit *exit);

/*
 * Page-modification logging (29.3.6): before an entry, switch it on if the VM is tracked, else off;
 * mark what the CPU has logged: at each exit, while it is on.
 */
void vmx_log_switch(const struct vcpu *vcpu, struct vmx_vcpu *vmx);
void vmx_log_drain(const struct vcpu *vcpu, struct vmx_vcpu *vmx);

/* Write the secondary controls, as VMX has it. */
void vmx_set_secondary(const struct vmx_vcpu *vmx);

/* After these nothing of the VMM's looks at the local APIC: the CPU keeps it. */
#define VMX_KEEPS_APIC                                                                     \
    (1U << EXIT_INTERRUPT | 1U << EXIT_WINDOW | 1U << EXIT_NMI_WINDOW | 1U << EXIT_RETRY | \
     1U << EXIT_IO | 1U << EXIT_CPUID | 1U << EXIT_MSR_READ | 1U << EXIT_CACHE | 1U << EXIT_PAUSE)

/* vmx_enter.S: the exit's reason; and what it calls behind an exit for a port: NEXT, where the
 * guest is to go on, or 0. */
#define VMX_NOT_ENTERED UINT32_MAX
uint32_t vmx_enter(struct vcpu *vcpu, bool launched);
uint64_t vmx_quick(struct vcpu *vcpu, uint64_t info, uint64_t next, uint64_t flags,
                   uint64_t blocked);

/* What the VMCS says about the last exit, for REASON; what INFO, its qualification, says about one
 * for a port. */
void vmx_decode_exit(struct vcpu *vcpu, uint32_t reason, struct exit *exit);

static inline struct exit_io vmx_decode_io(uint32_t info)
{
    return (struct exit_io){
        .port = (uint16_t)(info >> VMCS_IO_PORT_SHIFT),
        .size = (uint8_t)((info & VMCS_IO_SIZE) + 1),
        .in = info & VMCS_IO_IN,
    };
}

#endif
