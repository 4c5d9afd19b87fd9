/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a vCPU: what a reset sets, a loader fills in, and a checkpoint keeps. */
#ifndef PORTOLAN_VMM_VM_CPU_STATE_H
#define PORTOLAN_VMM_VM_CPU_STATE_H

#include "vmm/base/fields.h"
#include "vmm/base/x86.h"
#include "vmm/host/fpu.h"

/* The first six as ModRM numbers them. */
enum state_segment_index {
    STATE_ES,
    STATE_CS,
    STATE_SS,
    STATE_DS,
    STATE_FS,
    STATE_GS,
    STATE_GDTR,
    STATE_LDTR,
    STATE_IDTR,
    STATE_TR,
    STATE_SEGMENTS
};

enum vcpu_activity {
    VCPU_RUNNING,
    VCPU_HALTED,            /* HLT: until an interrupt */
    VCPU_WAITS_FOR_STARTUP, /* after INIT: until a SIPI */
    VCPU_ACTIVITIES
};

/* What other CPUs ask of it; bits of vcpu.requests. */
#define VCPU_REQUEST_NMI     (1U << 0)
#define VCPU_REQUEST_INIT    (1U << 1)
#define VCPU_REQUEST_STARTUP (1U << 2)
#define VCPU_REQUEST_PORTAL                                              \
    (1U << 3) /* vCPU 0: see to the portal. No state: behind all that is \
               */
#define VCPU_REQUESTS 7U

enum vcpu_event_kind {
    VCPU_EVENT_NONE,
    VCPU_EVENT_INTERRUPT,
    VCPU_EVENT_NMI,
    VCPU_EVENT_EXCEPTION, /* of the CPU: INT n, INT3 and INTO are executed again instead */
    VCPU_EVENT_KINDS
};

#define STATE_MTRR_VARIABLE 16U
#define STATE_MTRR_FIXED    11U

/* Model registers that keep what is written and act on nothing but RDTSCP and RDPID. */
struct state_model {
    uint64_t mtrr_default;
    uint64_t mtrr_variable[STATE_MTRR_VARIABLE];
    uint64_t mtrr_fixed[STATE_MTRR_FIXED];
    uint64_t debugctl;
    uint64_t tsc_aux;
};

/* Everything of a CPU that its guest can see, and nothing else; field by field in cpu_section. */
struct cpu_state {
    uint64_t gpr[16]; /* as ModRM numbers them */
    uint64_t rip;
    uint64_t rflags;
    struct x86_segment segment[STATE_SEGMENTS];
    uint64_t cr0;
    uint64_t cr2;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t dr6;
    uint64_t dr7;
    uint64_t star; /* from here on to tsc_offset, INIT changes nothing */
    uint64_t lstar;
    uint64_t cstar;
    uint64_t sfmask;
    uint64_t kernel_gs_base;
    uint64_t sysenter_cs;
    uint64_t sysenter_esp;
    uint64_t sysenter_eip;
    uint64_t pat;
    uint64_t tsc_offset; /* the guest's TSC at virtual time 0 */
    uint8_t cpl;
    uint8_t cr8;
    uint8_t activity; /* enum vcpu_activity */
    bool shadow;      /* of STI or MOV SS: no interrupt before the next instruction's end */
    bool nmi_pending;
    bool nmi_blocked; /* an NMI handler is running */
    uint8_t startup_vector;
    uint8_t requests;   /* VCPU_REQUEST_... that nobody has seen to */
    uint8_t event_kind; /* enum vcpu_event_kind: to be delivered before anything else */
    uint8_t event_vector;
    bool event_has_error;
    uint32_t event_error;
    bool held; /* an interrupt that the PICs gave out and an exception overtook */
    uint8_t held_vector;
    struct state_model model;
    struct fpu_registers fpu;
};

extern const struct section cpu_section;

#define CR0_KNOWN                                                                              \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
     CR0_PG)
#define PAT_RESET 0x0007040600070406ULL

/* What the CPU holds after power-on or reset (AMD APM 2, table 14-1), model_reset() apart. */
void state_set_reset(struct cpu_state *state);

/*
 * INIT: as a reset, but for what SDM 3 table 9-1 lets stay: FPU, model registers, PAT, those of
 * SYSCALL and SYSENTER, the time, CR0.CD and NW.
 */
void state_set_init(struct cpu_state *state);

/* A SIPI with VECTOR after INIT: real mode at VECTOR << 12. */
void state_set_startup(struct cpu_state *state, uint8_t vector);

/*
 * Could a CPU with this model be in that state? For states from outside, before anything uses them:
 * what it accepts can be loaded and entered. The ranges of cpu_section hold already.
 */
bool state_check(const void *state);

#endif
