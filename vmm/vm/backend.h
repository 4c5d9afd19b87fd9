/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the vendor-neutral part needs of the CPU's virtualisation extension; docs/backend.md is the
 * whole contract. One image serves all vendors, so the choice is made at boot: a table of
 * functions. What is needed at every exit are plain fields of struct vcpu that the backend takes
 * over at the entry and brings up to date at the exit, so the hot path makes one call: enter().
 * Functions that take a vCPU run on the CPU it is pinned to, while it is not in its guest.
 */
#ifndef PORTOLAN_VMM_VM_BACKEND_H
#define PORTOLAN_VMM_VM_BACKEND_H

#include "vmm/host/radix.h"
#include "vmm/vm/vcpu.h"

/* Registers that change one by one, as the guest sees them; values are checked by the caller. */
enum backend_register {
    BACKEND_CR0,
    BACKEND_CR2,
    BACKEND_CR3,
    BACKEND_CR4,
    BACKEND_EFER,
    BACKEND_PAT,
    BACKEND_DR6,
    BACKEND_TSC_OFFSET, /* guest's TSC less the host's, at the guest's rate */
    BACKEND_TSC_RATIO,  /* the guest's rate by the host's: see backend_offers */
    BACKEND_REGISTERS
};

/* What the machine's CPUs have: init() sets it. */
struct backend_offers {
    bool giant_pages; /* of 1 GiB, in the nested page tables */

    /* May vcpu->apic be set? Then each VM has a page of its own at LAPIC_BASE in its nested tables,
     * vm->apic_page, which stands for the local APIC. */
    bool serves_apic;

    /*
     * Can a CPU mark the pages that its guest writes? Then it does so while vm->ram.tracked is set,
     * from the first flush on: what was written is marked when the guest has been left, once for
     * each time that the page's nested entry, of 4 KiB, is made anew.
     */
    bool logs_writes;

    /* How BACKEND_TSC_RATIO has a ratio as a fixed-point number: bits before the point, and behind
     * it. No bits at all: guests' TSCs run at the host's rate, and nobody writes it. */
    struct backend_ratio {
        uint8_t whole, fraction;
    } tsc_ratio;
};

struct backend {
    const char *name;

    /* What is allocated for vcpu->backend: zeroed, whole pages of memory that is physically
     * contiguous. */
    size_t vcpu_size;

    const struct radix_format *nested; /* its nested page tables */

    /* May vcpu->offer be set? */
    bool takes_offers;

    /* Also sets backend_offers. UNSUPPORTED: not this CPU's. Boot CPU, once. */
    enum status (*init)(void);

    /* Switch virtualisation on for this CPU, once or again. UNSUPPORTED: the firmware forbids it;
     * the log says so. What fails leaves nothing behind. */
    enum status (*enable_cpu)(void);

    /*
     * Enter the guest, delivering vcpu->event, until something happens that the neutral part must
     * see to. Interrupts off at the call, on at the return; *EXIT says why, in full. An event whose
     * delivery the exit interrupted is in vcpu->event again, else there is none.
     */
    void (*enter)(struct vcpu *vcpu, struct exit *exit);

    /* The part of the guest's state that is neither in struct vcpu nor in the CPU's registers:
     * segments, control, debug and the passed model registers. set_state() clears all else.
     * get_state() also takes out of all of it what no CPU is in but this one let the guest set, and
     * gives the local APIC's state back to the software. */
    void (*get_state)(struct vcpu *vcpu, struct cpu_state *state);
    void (*set_state)(struct vcpu *vcpu, const struct cpu_state *state);

    uint64_t (*read)(const struct vcpu *vcpu, enum backend_register reg);
    void (*write)(struct vcpu *vcpu, enum backend_register reg, uint64_t value);

    /* Control state and segments for emulation, and the bytes of the instruction where the hardware
     * gave them. */
    void (*context)(const struct vcpu *vcpu, struct emulate_cpu *cpu);

    /* Use the nested tables at ROOT. Forget all translations of the guest. */
    void (*set_root)(struct vcpu *vcpu, hpa_t root);
    void (*flush)(struct vcpu *vcpu);
};

/*
 * #DB and #AC: a guest whose handler's stack raises them again would loop inside the CPU for ever,
 * with no exit that an interrupt could make (CVE-2015-8104, CVE-2015-5307). #MC is the machine's.
 */
#define BACKEND_EXCEPTIONS (1U << 1 | 1U << 17 | 1U << 18)

/*
 * The word in which both vendors' hardware tells of events at entries, exits and in delivery: AMD
 * APM 2, 15.20; Intel SDM 3, 25.8.3, 25.9.2, 25.9.3.
 */
#define VCPU_EVENT_TYPE_SHIFT 8
#define VCPU_EVENT_HAS_ERROR  (1U << 11)
#define VCPU_EVENT_VALID      (1U << 31)

enum vcpu_event_type {
    VCPU_EVENT_TYPE_INTERRUPT = 0,
    VCPU_EVENT_TYPE_NMI = 2,
    VCPU_EVENT_TYPE_EXCEPTION = 3,
    VCPU_EVENT_TYPE_SOFTWARE = 4, /* and, with VMX, above */
};

/* Pure: the word that lets EVENT be delivered; the event that WORD and ERROR tell was under way. */
uint32_t vcpu_event_word(const struct vcpu_event *event);
struct vcpu_event vcpu_event_of(uint32_t word, uint32_t error);

/* The one that was chosen; NULL: this machine runs no VMs. */
extern const struct backend *backend;
extern struct backend_offers backend_offers;

/* Choose the first of COUNT that this CPU is made for. UNSUPPORTED: none. Boot CPU, once. */
enum status backend_choose(const struct backend *const *list, unsigned count);

#endif
