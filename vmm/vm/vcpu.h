/* SPDX-License-Identifier: BSD-2-Clause */
/* One virtual CPU: its registers, what it waits for, and what it counts. */
#ifndef PORTOLAN_VMM_VM_VCPU_H
#define PORTOLAN_VMM_VM_VCPU_H

#include "vmm/emulate/emulate.h"
#include "vmm/host/percpu.h"
#include "vmm/vm/cpu_state.h"
#include "vmm/vm/exit.h"

struct vm;
struct svm_vcpu;

enum vcpu_activity {
    VCPU_RUNNING,
    VCPU_HALTED,           /* HLT: until an interrupt */
    VCPU_WAITS_FOR_STARTUP /* after INIT: until a SIPI */
};

/* What other CPUs ask of it; bits of vcpu.requests. */
#define VCPU_REQUEST_NMI     (1U << 0)
#define VCPU_REQUEST_INIT    (1U << 1)
#define VCPU_REQUEST_STARTUP (1U << 2)

enum vcpu_event_kind {
    VCPU_EVENT_NONE,
    VCPU_EVENT_INTERRUPT,
    VCPU_EVENT_NMI,
    VCPU_EVENT_EXCEPTION,
    VCPU_EVENT_SOFTWARE /* INT n, INT3 or INTO that was interrupted under way */
};

/* What is to be delivered at the next entry. */
struct vcpu_event {
    enum vcpu_event_kind kind;
    uint8_t vector;
    uint8_t length; /* of the instruction, for SOFTWARE; 0: not known */
    bool has_error;
    uint32_t error;
};

struct vcpu_counter {
    uint64_t exits;
    uint64_t cycles; /* from the exit to the next entry */
};

#define VCPU_MTRR_VARIABLE 16U
#define VCPU_MTRR_FIXED    11U

/* Model registers that keep what is written and do nothing. */
struct vcpu_model {
    uint64_t mtrr_default;
    uint64_t mtrr_variable[VCPU_MTRR_VARIABLE];
    uint64_t mtrr_fixed[VCPU_MTRR_FIXED];
    uint64_t debugctl;
    uint64_t tsc_aux;
};

/* Padded on purpose: what other CPUs write has a cache line of its own. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct vcpu {
    uint64_t gpr[16]; /* as ModRM numbers them; enter.S knows that they come first */
    uint64_t rip;
    uint64_t rflags;

    struct vm *vm;
    struct cpu *cpu; /* where it runs, always */
    unsigned index;
    struct svm_vcpu *svm; /* the backend's */

    enum vcpu_activity activity;
    struct vcpu_event event;
    bool nmi_pending;
    bool nmi_blocked;    /* an NMI handler is running */
    uint64_t nmi_iret;   /* where its IRET is, once it is reached */
    bool nmi_ends;       /* ... and it is about to be executed */
    bool look_soon;      /* an event waits for something that no exit tells */
    bool timer_due;      /* set the timer anew even if the deadline is the same */
    uint64_t deadline;   /* virtual ns for which the CPU's timer is set */
    uint64_t due_tsc;    /* the same as a host TSC value */
    uint64_t tsc_offset; /* guest TSC at virtual time 0 */
    uint32_t flushed;    /* the nested tables' generation that the TLB has seen; atomic */
    bool inside;         /* it is in its guest, or about to enter; atomic */
    bool busy;           /* ... or sees to an exit; atomic */
    struct vcpu_model model;

    /* Other CPUs write these. */
    uint32_t kicked __attribute__((aligned(64)));
    uint32_t requests;
    uint32_t startup_vector;

    struct vcpu_counter counter[EXIT_REASONS] __attribute__((aligned(64)));
    uint64_t entered; /* host TSC at the last entry: what the VMM has not used since is the guest's
                       */
    uint64_t guest_cycles;
    uint64_t interrupts; /* delivered */
};

_Static_assert(offsetof(struct vcpu, gpr) == 0, "enter.S gets a pointer to the registers");

/* Run the vCPU ARGUMENT on this CPU until its VM is stopped; for smp_call(). */
void vcpu_main(void *argument);

/* Put it where a reset of the machine does: the boot vCPU starts, the others wait. What others
 * asked of it since stays. Its own CPU. */
void vcpu_reset(struct vcpu *vcpu);

/* The VM's time has stood still: go on with it. Its own CPU. */
void vcpu_resume(struct vcpu *vcpu);

/* Put STATE in the place of all it holds but FPU and model registers. Its own CPU. */
void vcpu_take_state(struct vcpu *vcpu, const struct vcpu_state *state);

/* Make it look at what is new: wake it, or get it out of its guest. Any CPU. */
void vcpu_kick(struct vcpu *vcpu);

/*
 * After vm_flush() to GENERATION: will its CPU use nothing more of the nested tables as they were
 * before? Has it also ended what it may have been at, an exit? Any CPU.
 */
bool vcpu_has_flushed(const struct vcpu *vcpu, uint32_t generation);
bool vcpu_has_passed(const struct vcpu *vcpu, uint32_t generation);

/* Set REQUEST (VCPU_REQUEST_...) and kick it. Any CPU. */
void vcpu_request(struct vcpu *vcpu, uint32_t request);

/* ---- For exit handlers: on the vCPU's own CPU ---- */

/* Raise an exception in the guest, or what becomes of it on top of one under way (APM 2, 8.2.9). */
void vcpu_raise(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error);

/* #GP(0), #UD */
void vcpu_raise_gp(struct vcpu *vcpu);
void vcpu_raise_ud(struct vcpu *vcpu);

/* Fill CPU with the state for emulation, and take back what it has changed. */
void vcpu_context(struct vcpu *vcpu, const struct exit *exit, struct emulate_cpu *cpu);
void vcpu_store(struct vcpu *vcpu, const struct emulate_cpu *cpu,
                const struct emulate_result *result);

/*
 * The length of the instruction that made EXIT, which is one of the COUNT operations OPS. 0: it is
 * not to be carried out (another instruction is there by now, or it faults); the event is raised.
 */
unsigned vcpu_length(struct vcpu *vcpu, const struct exit *exit, const enum insn_op *ops,
                     unsigned count, struct insn *insn);

/* Step over an instruction of LENGTH bytes that was carried out. */
void vcpu_skip(struct vcpu *vcpu, unsigned length);

#endif
