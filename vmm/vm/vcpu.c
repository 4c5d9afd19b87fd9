/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a vCPU on its CPU: look what is new, enter the guest, see to its exit, again. */
#include "vmm/vm/vcpu.h"

#include "vmm/host/apic.h"
#include "vmm/host/fpu.h"
#include "vmm/host/instructions.h"
#include "vmm/host/msr.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/host/trap.h"
#include "vmm/pc/clock.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/exit_table.h"
#include "vmm/vm/interrupts.h"
#include "vmm/vm/model.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

/*
 * When an NMI waits for something that makes no exit, the vCPU is looked at again so soon: long
 * enough for the guest to get on by some instructions, even where an entry is slow.
 */
#define LOOK_AGAIN_NS 100000U

/*
 * One IPI is enough until the vCPU has looked. Its own CPU is outside of the guest and needs none;
 * it has a flag of its own, for KICKED says that an IPI is under way.
 */
void vcpu_kick(struct vcpu *vcpu)
{
    if (vcpu->cpu == cpu_current()) {
        vcpu->look = true;
    } else if (!__atomic_exchange_n(&vcpu->kicked, 1, __ATOMIC_SEQ_CST)) {
        apic_send(vcpu->cpu->apic_id, VECTOR_KICK);
    }
}

void vcpu_request(struct vcpu *vcpu, uint32_t request)
{
    __atomic_fetch_or(&vcpu->requests, request, __ATOMIC_SEQ_CST);
    vcpu_kick(vcpu);
}

void vcpu_kick_self(struct vcpu *vcpu)
{
    apic_send(vcpu->cpu->apic_id, VECTOR_KICK);
}

void vcpu_reset(struct vcpu *vcpu)
{
    struct cpu_state state;

    state_set_reset(&state);
    model_reset(&state);
    state.gpr[INSN_RDX] = model_signature(&vcpu->vm->level);
    state.activity = vcpu->index == 0 ? VCPU_RUNNING : VCPU_WAITS_FOR_STARTUP;
    if (vcpu->index == 0) {
        program_enter(vcpu->vm, &state);
    }
    vcpu_load(vcpu, &state);
}

static void vcpu_init(struct vcpu *vcpu, struct cpu_state *state)
{
    pc_vcpu_init(&vcpu->vm->pc, vcpu->index);
    state_set_init(state);
    state->gpr[INSN_RDX] = model_signature(&vcpu->vm->level);
    state->activity = vcpu->index == 0 ? VCPU_RUNNING : VCPU_WAITS_FOR_STARTUP;
}

void vcpu_resume(struct vcpu *vcpu)
{
    backend->write(vcpu, BACKEND_TSC_OFFSET, vcpu->tsc_offset - vcpu->vm->base_tsc);
    vcpu->timer_due = vcpu->look = true;
}

/* INIT, then a SIPI. */
static void vcpu_start_anew(struct vcpu *vcpu, uint32_t requests)
{
    struct cpu_state state;

    vcpu_save(vcpu, &state);
    if (requests & VCPU_REQUEST_INIT) {
        vcpu_init(vcpu, &state);
    }
    if ((requests & VCPU_REQUEST_STARTUP) && state.activity == VCPU_WAITS_FOR_STARTUP) {
        uint32_t vector = __atomic_load_n(&vcpu->startup_vector, __ATOMIC_RELAXED);

        state_set_startup(&state, (uint8_t)vector);
    }
    vcpu_load(vcpu, &state);
}

static void vcpu_see_to_requests(struct vcpu *vcpu)
{
    if (!__atomic_load_n(&vcpu->requests, __ATOMIC_RELAXED)) {
        return;
    }
    uint32_t requests = __atomic_exchange_n(&vcpu->requests, 0, __ATOMIC_SEQ_CST);

    if (requests & (VCPU_REQUEST_INIT | VCPU_REQUEST_STARTUP)) {
        vcpu_start_anew(vcpu, requests);
    }
    if (requests & VCPU_REQUEST_NMI) {
        vcpu->nmi_pending = true;
    }
    if (requests & VCPU_REQUEST_PORTAL) {
        vm_edge_portal(vcpu->vm->index);
    }
}

/* A kick is none by itself: it says only that there may be some. */
bool vcpu_has_news(const struct vcpu *vcpu)
{
    return __atomic_load_n(&vcpu->requests, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&vcpu->vm->request, __ATOMIC_RELAXED) != 0;
}

/* The guest's shared devices are driven by the CPU of vCPU 0. */
static uint64_t vcpu_next_event(const struct vcpu *vcpu)
{
    const struct pc *pc = &vcpu->vm->pc;
    uint64_t own = pc_vcpu_next_event(pc, vcpu->index);
    uint64_t shared = vcpu->index == 0 ? pc_next_event(pc) : CLOCK_NEVER;

    return clock_earliest(own, shared);
}

/* Let expire what is due: before interrupts are looked at, for it may raise one. */
static void vcpu_run_timers(struct vcpu *vcpu, uint64_t tsc)
{
    struct pc *pc = &vcpu->vm->pc;

    if (tsc >= vcpu->due_tsc) {
        uint64_t now = vm_now(vcpu->vm);

        pc_vcpu_run(pc, vcpu->index, now);
        if (vcpu->index == 0) {
            pc_run(pc, now);
            checkpoint_run(vcpu->vm, now);
        }
        vcpu->due_tsc = UINT64_MAX; /* until vcpu_set_timer() has looked for the next */
        vcpu->timer_due = true;
    }
}

/* Set the CPU's timer for what comes next: after all that may bring it forward. */
static void vcpu_set_timer(struct vcpu *vcpu)
{
    uint64_t deadline = vcpu_next_event(vcpu);

    vcpu->timer_look = false;
    if (vcpu->look_soon) {
        deadline = clock_earliest(deadline, vm_now(vcpu->vm) + LOOK_AGAIN_NS);
        vcpu->look_soon = false;
        vcpu->timer_due = true;
    }
    if (deadline != vcpu->deadline || vcpu->timer_due) {
        vcpu->deadline = deadline;
        vcpu->timer_due = false;
        if (vcpu->index == 0) {
            deadline = clock_earliest(deadline, vcpu->vm->checkpoints.at_ns);
        }
        uint64_t host = deadline == CLOCK_NEVER ? TIMER_NEVER : vcpu->vm->base_ns + deadline;

        vcpu->due_tsc = deadline == CLOCK_NEVER ? UINT64_MAX : time_ns_to_tsc(host);
        timer_set(TIMER_VCPU, host);
    }
}

static void vcpu_see_flush(struct vcpu *vcpu)
{
    uint32_t generation = __atomic_load_n(&vcpu->vm->nested_generation, __ATOMIC_ACQUIRE);

    if (generation != vcpu->flushed) {
        backend->flush(vcpu);
        __atomic_store_n(&vcpu->flushed, generation, __ATOMIC_RELEASE);
    }
}

/* One that is elsewhere looks at the generation when it enters, after it has said that it does. */
static bool is_new_to(const struct vcpu *vcpu, uint32_t generation)
{
    return (int32_t)(__atomic_load_n(&vcpu->flushed, __ATOMIC_ACQUIRE) - generation) < 0;
}

bool vcpu_has_flushed(const struct vcpu *vcpu, uint32_t generation)
{
    return __atomic_load_n(&vcpu->place, __ATOMIC_SEQ_CST) != VCPU_INSIDE ||
           !is_new_to(vcpu, generation);
}

bool vcpu_has_passed(const struct vcpu *vcpu, uint32_t generation)
{
    return vcpu->cpu == cpu_current() ||
           __atomic_load_n(&vcpu->place, __ATOMIC_SEQ_CST) == VCPU_AWAY ||
           !is_new_to(vcpu, generation);
}

void vcpu_go(struct vcpu *vcpu, enum vcpu_place place)
{
    __atomic_store_n(&vcpu->place, place, __ATOMIC_RELEASE);
}

/*
 * What only news can change: an interrupt or NMI to deliver or to watch for, the CPU's timer, the
 * nested tables. False: the news is for the vCPU's loop. While something waits each entry looks.
 */
static bool vcpu_look(struct vcpu *vcpu, uint64_t tsc)
{
    if (vcpu_has_news(vcpu)) {
        return false;
    }
    vcpu_run_timers(vcpu, tsc);
    vcpu->look = false;
    interrupts_prepare(vcpu);
    vcpu->look |= vcpu->window || vcpu->nmi_pending || vcpu->cr8_watched;
    vcpu_set_timer(vcpu);
    vcpu_see_flush(vcpu);
    return true;
}

/*
 * Is there anything to look at? Others change something first, and kick then. The exchange comes
 * before all looks, and says that the next kick is to send an IPI again: that one ends the guest's
 * run, since interrupts are off from here to the entry.
 */
static bool vcpu_must_look(struct vcpu *vcpu, uint64_t now)
{
    bool kicked = __atomic_exchange_n(&vcpu->kicked, 0, __ATOMIC_SEQ_CST);

    return kicked || vcpu->look || now >= vcpu->due_tsc;
}

/* Into the guest and out again. False: there is news, and it was not entered. */
static bool vcpu_enter(struct vcpu *vcpu, struct exit *exit)
{
    cpu_irq_disable();
    vcpu_go(vcpu, VCPU_INSIDE);
    uint64_t now = cpu_read_tsc();

    if (vcpu_must_look(vcpu, now)) {
        if (!vcpu_look(vcpu, now)) {
            vcpu->look = true;
            vcpu_go(vcpu, VCPU_AT_EXIT);
            cpu_irq_enable();
            return false;
        }
        now = cpu_read_tsc();
    } else if (vcpu->timer_look) {
        vcpu_set_timer(vcpu);
    }
    vcpu->counter[vcpu->reason].cycles += now - vcpu->left;
    vcpu->entered = now;
    uint8_t cr8 = vcpu->cr8, offered = vcpu->offer;

    backend->enter(vcpu, exit);
    if (offered) {
        interrupts_settle(vcpu, offered);
    }
    vcpu_go(vcpu, VCPU_AT_EXIT);
    vcpu->left = cpu_read_tsc();
    vcpu->guest_cycles += vcpu->left - vcpu->entered;
    vcpu->reason = exit->reason;
    vcpu->counter[exit->reason].exits++;
    interrupts_see_cr8(vcpu, cr8);
    return true;
}

/*
 * As long as nothing else is to be done on this CPU: who asks for something kicks, so that a vCPU
 * that stays here sees it before its next entry.
 */
static void vcpu_run(struct vcpu *vcpu)
{
    struct exit exit;

    do {
        if (!vcpu_enter(vcpu, &exit)) {
            return;
        }
        handlers_run(vcpu, &exit);
    } while (vcpu->activity == VCPU_RUNNING && !vcpu->cpu->service);
}

/* HLT, or the wait for a SIPI: sleep until there is news. */
static void vcpu_sleep(struct vcpu *vcpu)
{
    cpu_irq_disable();
    vcpu_go(vcpu, VCPU_AWAY);
    __atomic_store_n(&vcpu->kicked, 0, __ATOMIC_SEQ_CST);
    vcpu->look = true; /* when it goes on: what else is new is not looked at here */
    vcpu_run_timers(vcpu, cpu_read_tsc());
    if (vcpu->activity == VCPU_HALTED && interrupts_wake(vcpu)) {
        vcpu->activity = VCPU_RUNNING;
    }
    if (vcpu->activity == VCPU_RUNNING || vcpu_has_news(vcpu) || timer_service_is_due()) {
        cpu_irq_enable();
        return;
    }
    vcpu_set_timer(vcpu);
    cpu_sleep();
}

void vcpu_main(void *argument)
{
    struct vcpu *vcpu = argument;

    fpu_enable_cpu();
    /* Another VM may have trained this CPU's branch predictors. UNSUPPORTED: it cannot forget. */
    (void)msr_write(MSR_PRED_CMD, PRED_CMD_IBPB);
    cpu_current()->guest_log = &vcpu->vm->log;
    vcpu->left = cpu_read_tsc();
    vcpu->reason = EXIT_INTERRUPT;
    if (backend->enable_cpu() == STATUS_OK) {
        vcpu_reset(vcpu);
    } else { /* it takes part in the stop, but has no state */
        (void)vm_stop(vcpu->vm, "one of its CPUs cannot run guests");
    }
    while (vm_rendezvous(vcpu)) {
        timer_service();
        vcpu_see_to_requests(vcpu);
        if (vcpu->activity == VCPU_RUNNING) {
            vcpu_run(vcpu);
        } else {
            vcpu_sleep(vcpu);
        }
    }
    timer_set(TIMER_VCPU, TIMER_NEVER);
    vcpu_go(vcpu, VCPU_AWAY);
    vm_vcpu_ended(vcpu);
}
