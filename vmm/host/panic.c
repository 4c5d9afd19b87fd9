/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A panic goes through steps. When a step itself faults, the fault comes back here and the panic
 * goes on with the next step, so the most important is said first and nothing can loop.
 */
#include "vmm/host/panic.h"

#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/base/types.h"
#include "vmm/base/x86.h"
#include "vmm/host/apic.h"
#include "vmm/host/backtrace.h"
#include "vmm/host/instructions.h"
#include "vmm/host/msr.h"
#include "vmm/host/percpu.h"
#include "vmm/host/selftest.h"

static struct {
    const struct trap_frame *frame; /* NULL: panic() was called */
    char message[LOG_LINE_MAX];
    uint32_t cpu;
    uint64_t rip, rbp;
} cause;

static volatile bool stop_requested;
static volatile uint32_t owner; /* index of the panicking CPU + 1, 0: nobody */
static volatile uint32_t next_step;
static void (*reset_machine)(void);

void panic_set_reset(void (*reset)(void))
{
    reset_machine = reset;
}

bool panic_stop_requested(void)
{
    return stop_requested;
}

static void step_stop_others(void)
{
    log_set_emergency();
    stop_requested = true;
    apic_send_nmi_to_others();
}

static void step_say_why(void)
{
    log_error("PANIC on CPU %u: %s", cause.cpu, cause.message);
    if (selftest_panic_in_panic()) {
        __asm__ volatile("ud2");
    }
}

static void step_registers(void)
{
    const struct trap_frame *f = cause.frame;
    uint64_t efer;

    if (!f) {
        return;
    }
    log_error("vector %lu (%s), error code 0x%lx", f->vector, trap_name(f->vector), f->error);
    log_error("RIP %04lx:%016lx RFLAGS %08lx RSP %04lx:%016lx", f->cs, f->rip, f->rflags, f->ss,
              f->rsp);
    log_error("RAX %016lx RBX %016lx RCX %016lx RDX %016lx", f->rax, f->rbx, f->rcx, f->rdx);
    log_error("RSI %016lx RDI %016lx RBP %016lx R8  %016lx", f->rsi, f->rdi, f->rbp, f->r8);
    log_error("R9  %016lx R10 %016lx R11 %016lx R12 %016lx", f->r9, f->r10, f->r11, f->r12);
    log_error("R13 %016lx R14 %016lx R15 %016lx", f->r13, f->r14, f->r15);
    (void)msr_read(MSR_EFER, &efer);
    log_error("CR0 %08lx CR2 %016lx CR3 %016lx CR4 %08lx EFER %04lx", cpu_read_cr0(),
              cpu_read_cr2(), cpu_read_cr3(), cpu_read_cr4(), efer);
}

static void step_backtrace(void)
{
    backtrace_print(cause.rip, !cause.frame, cause.rbp);
}

static void step_finish(void)
{
    if (reset_machine) {
        log_error("the machine is reset (on_panic = reset)");
        log_flush();
        reset_machine();
    }
    log_error("the machine is halted; switch it off or reset it");
    log_flush();
}

static void (*const steps[])(void) = {step_stop_others, step_say_why, step_registers,
                                      step_backtrace, step_finish};

static __attribute__((noreturn)) void panic_run(void)
{
    while (next_step < ARRAY_SIZE(steps)) {
        steps[next_step++]();
    }
    cpu_halt_forever();
}

/*
 * Become the one CPU that panics, or, when this CPU is that already, go on with its next step; a
 * second CPU that panics at the same time waits to be stopped.
 */
static void panic_claim(void)
{
    uint32_t me = cpu_has_area() ? cpu_current()->index + 1 : 1, nobody = 0;

    cpu_irq_disable();
    if (__atomic_compare_exchange_n(&owner, &nobody, me, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        cause.cpu = me - 1;
        return;
    }
    if (nobody == me) {
        log_error("another fault during the panic: it goes on with its next step");
        panic_run();
    }
    cpu_halt_forever();
}

void panic(const char *fmt, ...)
{
    va_list args;

    panic_claim();
    va_start(args, fmt);
    (void)format_args(cause.message, sizeof(cause.message), fmt, args);
    va_end(args);
    cause.rip = (uint64_t)__builtin_return_address(0);
    cause.rbp = *(const uint64_t *)__builtin_frame_address(0);
    panic_run();
}

void panic_exception(const struct trap_frame *frame)
{
    panic_claim();
    cause.frame = frame;
    cause.rip = frame->rip;
    cause.rbp = frame->rbp;
    if (frame->vector == VECTOR_PF || frame->vector == VECTOR_DF) {
        char why[160];

        trap_explain_page_fault(cpu_read_cr2(), frame->vector == VECTOR_PF ? frame->error : 2, why,
                                sizeof(why));
        (void)format(cause.message, sizeof(cause.message), "%s, %s", trap_name(frame->vector), why);
    } else {
        (void)format(cause.message, sizeof(cause.message), "%s (vector %lu, error 0x%lx)",
                     trap_name(frame->vector), frame->vector, frame->error);
    }
    panic_run();
}
