/* SPDX-License-Identifier: BSD-2-Clause */
/* One virtual CPU: its registers, what it waits for, and what it counts. */
#ifndef PORTOLAN_VMM_VM_VCPU_H
#define PORTOLAN_VMM_VM_VCPU_H

#include "vmm/emulate/emulate.h"
#include "vmm/host/percpu.h"
#include "vmm/vm/cpu_state.h"
#include "vmm/vm/exit.h"

struct vm;

/* What is to be delivered at the next entry; with kind NONE the rest says nothing. */
struct vcpu_event {
    enum vcpu_event_kind kind;
    uint8_t vector;
    bool has_error;
    uint32_t error;
};

/* Where its CPU is. */
enum vcpu_place {
    VCPU_AWAY,   /* it sleeps, is parked or does not run */
    VCPU_INSIDE, /* in the guest, or about to enter */
    VCPU_AT_EXIT /* between two entries */
};

struct vcpu_counter {
    uint64_t exits;
    uint64_t cycles; /* from the exit to the next entry */
};

/* Padded on purpose: what other CPUs write has a cache line of its own. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct vcpu {
    uint64_t gpr[16]; /* as ModRM numbers them; entry code knows that they come first */
    uint64_t rip;
    uint64_t rflags;

    /* Goes in at each entry, and comes out at each exit: see vmm/vm/backend.h. */
    struct vcpu_event event;
    bool shadow;      /* of STI or MOV SS */
    bool nmi_blocked; /* an NMI handler is running: until its IRET has been executed */
    bool nmi_pending; /* in: exit as soon as it can be delivered */
    bool window;      /* in: exit as soon as the guest can take an interrupt */
    uint8_t offer;    /* in: a vector that the CPU delivers as soon as the guest can take it, or 0;
                       * out: 0 if it has been taken */
    uint8_t cr8;      /* the task priority class */
    bool cr8_watched; /* in: writes to CR8 exit */
    bool apic;        /* in: the CPU itself delivers what the local APIC holds, and serves it */

    struct vm *vm;
    struct cpu *cpu; /* where it runs, always */
    unsigned index;
    void *backend; /* the backend's part */

    enum vcpu_activity activity;
    bool held; /* an exception overtook an interrupt that is acknowledged already */
    uint8_t held_vector;
    bool look; /* something may be new: look before the next entry. Its own CPU's, whose interrupt
                * handlers set it, too; so it is cleared with interrupts off */
    bool timer_look;     /* likewise, but only for the timer's deadline */
    bool look_soon;      /* an NMI waits for something that no exit tells */
    bool timer_due;      /* set the timer anew even if the deadline is the same */
    uint64_t deadline;   /* virtual ns for which the CPU's timer is set */
    uint64_t due_tsc;    /* the same as a host TSC value */
    uint64_t tsc_offset; /* guest TSC at virtual time 0 */
    uint32_t flushed;    /* the nested tables' generation that the TLB has seen; atomic */
    uint32_t place;      /* enum vcpu_place; atomic */
    struct state_model model;

    struct cpu_state saved; /* while it is parked */
    struct emulate_memo memo;

    /* Other CPUs write these. */
    uint32_t kicked __attribute__((aligned(64)));
    uint32_t requests;
    uint32_t startup_vector;

    struct vcpu_counter counter[EXIT_REASONS] __attribute__((aligned(64)));
    uint64_t entered; /* host TSC at the last entry: what the VMM has not used since is the guest's
                       */
    uint64_t left;    /* host TSC at the last exit, */
    enum exit_reason reason; /* and why; what the VMM uses until the next entry is for that */
    uint64_t guest_cycles;
    uint64_t interrupts; /* delivered */
};

_Static_assert(offsetof(struct vcpu, gpr) == 0, "entry code gets a pointer to the registers");

/* Run the vCPU ARGUMENT on this CPU until its VM is stopped; for smp_call(). */
void vcpu_main(void *argument);

/* Put it where a reset of the machine does: the boot vCPU starts, the others wait. What others
 * asked of it since stays. Its own CPU. */
void vcpu_reset(struct vcpu *vcpu);

/* The VM's time has stood still: go on with it. Its own CPU. */
void vcpu_resume(struct vcpu *vcpu);

/*
 * Copy out everything of it that its guest can see; or put STATE, which state_check() accepts, in
 * the place of everything: nothing remains of what was before. But what other CPUs write, REQUESTS
 * and STARTUP_VECTOR, stays out and as it is: they may do so at the same time. Its own CPU, not in
 * the guest.
 */
void vcpu_save(struct vcpu *vcpu, struct cpu_state *state);
void vcpu_load(struct vcpu *vcpu, const struct cpu_state *state);

/* Make it look at what is new, which was changed before: wake it, or get it out of its guest. Any
 * CPU. */
void vcpu_kick(struct vcpu *vcpu);

/* Let the guest be left at its first instruction, or at that of the handler of vcpu->event. Its own
 * CPU, before an entry. */
void vcpu_kick_self(struct vcpu *vcpu);

/*
 * After vm_flush() to GENERATION: will its CPU use nothing more of the nested tables as they were
 * before? Has it also ended what it may have been at, an exit? Any CPU.
 */
bool vcpu_has_flushed(const struct vcpu *vcpu, uint32_t generation);
bool vcpu_has_passed(const struct vcpu *vcpu, uint32_t generation);

/* Its CPU is going to PLACE. Its own CPU. */
void vcpu_go(struct vcpu *vcpu, enum vcpu_place place);

/* Set REQUEST (VCPU_REQUEST_...) and kick it. Any CPU. */
void vcpu_request(struct vcpu *vcpu, uint32_t request);

/* ---- For exit handlers: on the vCPU's own CPU ---- */

/* Is there something that must be seen to outside of the guest? */
bool vcpu_has_news(const struct vcpu *vcpu);

/* Raise an exception in the guest, or what becomes of it on top of one under way (APM 2, 8.2.9). */
void vcpu_raise(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error);

/* #GP(0), #UD */
void vcpu_raise_gp(struct vcpu *vcpu);
void vcpu_raise_ud(struct vcpu *vcpu);

/* Fill CPU with the state for emulation, and take back what it has changed. */
void vcpu_context(struct vcpu *vcpu, struct emulate_cpu *cpu);
void vcpu_store(struct vcpu *vcpu, const struct emulate_cpu *cpu,
                const struct emulate_result *result);

/* Raise what an outcome of emulation that is not DONE asks for. */
void vcpu_fail(struct vcpu *vcpu, const struct emulate_result *result);

/* Step over an instruction of LENGTH bytes that was carried out. */
void vcpu_skip(struct vcpu *vcpu, unsigned length);

#endif
