/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of exits, and the handlers of the simple ones. */
#include "vmm/vm/exit_table.h"

#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/host/panic.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/interrupts.h"
#include "vmm/vm/vm.h"

#define STATE_TEXT_MAX 160U

/* Nothing to do: that it left the guest was all that was wanted. */
static void handle_nothing(struct vcpu *vcpu, const struct exit *exit) {}

static void handle_hlt(struct vcpu *vcpu, const struct exit *exit)
{
    vcpu_skip(vcpu, exit->length);
    if (!exit->over && !interrupts_wake(vcpu)) {
        vcpu->activity = VCPU_HALTED;
    }
}

/* WBINVD, INVD: caches stay coherent with all that the guest can reach. PAUSE: it spins. */
static void handle_skip(struct vcpu *vcpu, const struct exit *exit)
{
    vcpu_skip(vcpu, exit->length);
}

/*
 * The exceptions that are watched are the guest's all the same; but not #MC, which is the
 * machine's. Its exit calls no handler of the host's (AMD APM 2, 15.12.18), and the guest must not
 * go on with what the machine has lost: as for a machine check outside of guests, that is the end.
 */
static void handle_exception(struct vcpu *vcpu, const struct exit *exit)
{
    unsigned vector = exit->exception.vector;

    if (vector == VECTOR_MC) {
        panic("machine check while VM '%s' ran (vCPU %u): the hardware is defective",
              vcpu->vm->config->name, vcpu->index);
    }
    if (vector == VECTOR_DB || vector == VECTOR_AC) {
        vcpu_raise(vcpu, (uint8_t)vector, vector == VECTOR_AC, exit->exception.error);
    }
}

static void handle_refused(struct vcpu *vcpu, const struct exit *exit)
{
    vcpu_raise_ud(vcpu);
}

static void handle_forbidden(struct vcpu *vcpu, const struct exit *exit)
{
    vcpu_raise_gp(vcpu);
}

/* The instruction is over already. */
static void handle_apic_write(struct vcpu *vcpu, const struct exit *exit)
{
    vcpu_skip(vcpu, 0);
    pc_lapic_written(&vcpu->vm->pc, vcpu->index, exit->apic.offset, exit->apic.value,
                     vm_now(vcpu->vm));
}

static void handle_apic_eoi(struct vcpu *vcpu, const struct exit *exit)
{
    vcpu_skip(vcpu, 0);
    pc_lapic_ended(&vcpu->vm->pc, vcpu->index, exit->apic.vector);
}

/* Where it is and in which mode, for a last word. */
static void describe_state(const struct vcpu *vcpu, char *text)
{
    struct emulate_cpu cpu;

    backend->context(vcpu, &cpu);
    const struct x86_segment *cs = &cpu.segment[INSN_SEGMENT_CS];

    (void)format(text, STATE_TEXT_MAX,
                 "rip 0x%lx cs 0x%lx/0x%x rflags 0x%lx cr0 0x%lx cr3 0x%lx cr4 0x%lx efer 0x%lx",
                 vcpu->rip, cs->base, cs->attributes, vcpu->rflags, cpu.cr0, cpu.cr3, cpu.cr4,
                 cpu.efer);
}

static void handle_shutdown(struct vcpu *vcpu, const struct exit *exit)
{
    char text[STATE_TEXT_MAX];

    describe_state(vcpu, text);
    vm_complain(vcpu->vm, "vCPU %u: triple fault: reset; %s", vcpu->index, text);
    (void)vm_reset(vcpu->vm, NULL);
}

/*
 * The CPU refuses what the guest has loaded, or was about to load into CR3: a CPU that is careful
 * raises #GP for it at once. If that cannot be entered either it becomes a double and then a triple
 * fault, and so a reset.
 */
static void handle_invalid(struct vcpu *vcpu, const struct exit *exit)
{
    char text[STATE_TEXT_MAX];

    describe_state(vcpu, text);
    vm_complain(vcpu->vm, "vCPU %u: the CPU refuses its state: #GP; %s", vcpu->index, text);
    vcpu_raise_gp(vcpu);
}

/* Nothing that this VMM is for switches tasks while it works: systems do it to show a crash. */
static void handle_task_switch(struct vcpu *vcpu, const struct exit *exit)
{
    log_warn("VM '%s': vCPU %u switches to another task by hardware at rip 0x%lx: VMs can do that "
             "on AMD CPUs only",
             vcpu->vm->config->name, vcpu->index, vcpu->rip);
    (void)vm_stop(vcpu->vm, "it switched tasks by hardware");
}

static void handle_unknown(struct vcpu *vcpu, const struct exit *exit)
{
    vm_complain(vcpu->vm, "vCPU %u: exit 0x%lx (0x%lx 0x%lx) at rip 0x%lx is not known",
                vcpu->index, exit->code, exit->info1, exit->info2, vcpu->rip);
    (void)vm_stop(vcpu->vm, "it made an exit that is not known");
}

static const struct {
    void (*handle)(struct vcpu *vcpu, const struct exit *exit);
    const char *name;
    bool quiet; /* what it changes for interrupts or timers is kicked for, or sets vcpu->look */
} exits[] = {
    [EXIT_INTERRUPT] = {handle_nothing,     "interrupt",     false},
    [EXIT_WINDOW] = {handle_nothing,     "window",        false},
    [EXIT_NMI_WINDOW] = {handle_nothing,     "nmi window",    false},
    [EXIT_RETRY] = {handle_nothing,     "retry",         false},
    [EXIT_IO] = {handle_io,          "port",          true },
    [EXIT_STRING_IO] = {handle_string_io,   "string port",   false},
    [EXIT_MEMORY] = {handle_memory,      "memory",        true },
    [EXIT_HLT] = {handle_hlt,         "hlt",           false},
    [EXIT_CPUID] = {handle_cpuid,       "cpuid",         true },
    [EXIT_MSR_READ] = {handle_msr_read,    "msr read",      true },
    [EXIT_MSR_WRITE] = {handle_msr_write,   "msr write",     true },
    [EXIT_CR_READ] = {handle_cr_read,     "cr read",       true },
    [EXIT_CR_WRITE] = {handle_cr_write,    "cr write",      true },
    [EXIT_XSETBV] = {handle_xsetbv,      "xsetbv",        true },
    [EXIT_CACHE] = {handle_skip,        "cache",         true },
    [EXIT_PAUSE] = {handle_skip,        "pause",         true },
    [EXIT_EXCEPTION] = {handle_exception,   "exception",     false},
    [EXIT_REFUSED] = {handle_refused,     "refused",       false},
    [EXIT_FORBIDDEN] = {handle_forbidden,   "forbidden",     false},
    [EXIT_APIC_WRITE] = {handle_apic_write,  "apic write",    false},
    [EXIT_APIC_EOI] = {handle_apic_eoi,    "apic eoi",      false},
    [EXIT_TASK_SWITCH] = {handle_task_switch, "task switch",   false},
    [EXIT_SHUTDOWN] = {handle_shutdown,    "triple fault",  false},
    [EXIT_INVALID] = {handle_invalid,     "invalid state", false},
    [EXIT_NOTIFY] = {handle_nothing,     "notify",        true },
    [EXIT_UNKNOWN] = {handle_unknown,     "unknown",       false},
};

_Static_assert(ARRAY_SIZE(exits) == EXIT_REASONS, "every reason has a handler");

void handlers_run(struct vcpu *vcpu, const struct exit *exit)
{
    if (!exits[exit->reason].quiet) {
        vcpu->look = true;
    }
    exits[exit->reason].handle(vcpu, exit);
}

const char *exit_name(enum exit_reason reason)
{
    return exits[reason < EXIT_REASONS ? reason : EXIT_UNKNOWN].name;
}
