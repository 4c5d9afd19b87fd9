/* SPDX-License-Identifier: BSD-2-Clause */
/* Entering the guest. */
#include "vmm/host/guards.h"
#include "vmm/host/instructions.h"
#include "vmm/host/msr.h"
#include "vmm/host/panic.h"
#include "vmm/vm/notify.h"
#include "vmm/vm/vm.h"
#include "vmm/vmx/vmx.h"

#define VIRTUAL_TPR   (LAPIC_TPR / sizeof(uint32_t)) /* in the virtual-APIC page; 30.1.1 */
#define SHADOW        (VMCS_BLOCKED_BY_STI | VMCS_BLOCKED_BY_MOV_SS)
#define WATCHES       (VMCS_PRIMARY_WINDOW | VMCS_PRIMARY_NMI_WINDOW | VMCS_PRIMARY_CR8_LOAD)
#define MSR_FLUSH_CMD 0x10bU
#define FLUSH_CMD_L1D 1U
#define INVEPT_ONE    1U
#define INVEPT_ALL    2U
#define IO_SIZES      (1U << 1 | 1U << 2 | 1U << 4)

/* The guest shall find nothing in the L1 cache and the CPU's buffers but its own: last, as what
 * follows handles no more than its registers. */
static inline void guard_entry(uint32_t guards)
{
    if (guards & GUARD_BUFFERS) {
        vmx_clear_buffers();
    } else if (guards & GUARD_FLUSH_L1) {
        (void)msr_write(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
    }
}

/* 0: it is not done; or it is, and there is something to look at. */
static __attribute__((noinline)) uint64_t serve_io(struct vcpu *vcpu, uint64_t info, uint64_t next)
{
    struct vmx_vcpu *vmx = vcpu->backend;
    struct exit_io io = vmx_decode_io((uint32_t)info);

    if ((info & VMCS_IO_STRING) || !(1U << io.size & IO_SIZES) ||
        !vcpu_io_quick(vcpu, &io, &vcpu->gpr[INSN_RAX])) {
        return 0;
    }
    if (vcpu->look) {
        vmx->served = true;
        vmcs_write(VMCS_RIP, next);
        return 0;
    }
    guard_entry(vmx->guards);
    return next;
}

/*
 * From vmx_enter.S, after an exit by an instruction that is for a port: if it notifies a queue (OUT
 * of two bytes from AX to DX's port), or accesses a port behind which nothing is to be waited for,
 * do it; the guest is to go on at NEXT. Not if it is single-stepped, resumed behind a breakpoint or
 * in the shadow of STI or MOV SS, which ends behind it, or if a pointer of 32 bits may overflow.
 * Nothing can interrupt since
 * the exit, so nothing that is new is missed: what comes from outside ends the next run before its
 * first instruction, and what the access itself has brought sets vcpu->look.
 */
uint64_t vmx_quick(struct vcpu *vcpu, uint64_t info, uint64_t next, uint64_t flags,
                   uint64_t blocked)
{
    if ((uint32_t)next < INSN_MAX || (flags & (RFLAGS_TF | RFLAGS_RF)) || (blocked & SHADOW)) {
        return 0;
    }
    if ((uint16_t)info == VMCS_IO_OUT_2 &&
        vcpu_notify_fast(vcpu, (uint16_t)(info >> VMCS_IO_PORT_SHIFT),
                         (uint16_t)vcpu->gpr[INSN_RAX])) {
        return next;
    }
    return serve_io(vcpu, info, next);
}

/*
 * What has been put off to the entry. With EPT all that the CPU keeps of a guest's translations
 * goes with the EPT pointer (29.4.1), so that INVEPT forgets all of it and INVVPID is not needed.
 */
static __attribute__((noinline)) void see_to_due(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    if (vmx->due & VMX_DUE_REPAIR) {
        vmx_repair(vcpu);
    }
    if (vmx->due & VMX_DUE_FLUSH) {
        vmx_log_switch(vcpu, vmx);
        vmx_invept(vmx_features()->invept_one ? INVEPT_ONE : INVEPT_ALL, vmx->root);
    }
    if ((vmx->due & VMX_DUE_PDPTES) && vmx_has_pdptes(vcpu)) {
        vmx_load_pdptes(vcpu);
    }
    vmx->due = 0;
}

static __attribute__((noinline)) void set_watches(const struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    uint32_t primary = (vmx->primary & ~WATCHES) | (vcpu->window ? VMCS_PRIMARY_WINDOW : 0) |
                       (vcpu->nmi_pending ? VMCS_PRIMARY_NMI_WINDOW : 0) |
                       (vcpu->cr8_watched ? VMCS_PRIMARY_CR8_LOAD : 0);

    if (primary != vmx->primary) {
        vmx->primary = primary;
        vmx->watches = primary & WATCHES;
        vmcs_write(VMCS_PRIMARY_CONTROLS, primary);
    }
}

/*
 * What is blocked while the first instruction runs: nothing by STI or MOV SS if an interrupt or NMI
 * is delivered; NMIs not yet, if one is (27.3.1.5). A trap by TF that the shadow holds back is told
 * apart: it is pending. So are breakpoints of a MOV SS, which stay.
 */
static __attribute__((noinline)) void set_interruptibility(const struct vcpu *vcpu,
                                                           struct vmx_vcpu *vmx)
{
    enum vcpu_event_kind kind = vcpu->event.kind;
    uint32_t value = 0;

    if (vcpu->shadow && kind != VCPU_EVENT_INTERRUPT && kind != VCPU_EVENT_NMI) {
        value = vcpu->rflags & RFLAGS_IF ? VMCS_BLOCKED_BY_STI : VMCS_BLOCKED_BY_MOV_SS;
    }
    if (value || (vmx->interruptibility & SHADOW)) {
        uint64_t step = value && (vcpu->rflags & RFLAGS_TF) ? VMCS_PENDING_BS : 0;

        vmcs_write(VMCS_PENDING_DEBUG, (vmcs_read(VMCS_PENDING_DEBUG) & ~VMCS_PENDING_BS) | step);
    }
    if (vcpu->nmi_blocked && kind != VCPU_EVENT_NMI) {
        value |= VMCS_BLOCKED_BY_NMI;
    }
    if (value != vmx->interruptibility) {
        vmx->interruptibility = value;
        vmcs_write(VMCS_INTERRUPTIBILITY, value);
    }
}

/* An exit takes the event out of the VMCS, a refused entry does not (25.8.3, 27.8). */
static void set_event(const struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    bool some = vcpu->event.kind != VCPU_EVENT_NONE;

    if (some || vmx->event_stays) {
        uint32_t word = some ? vcpu_event_word(&vcpu->event) : 0;

        vmcs_write(VMCS_ENTRY_EVENT, word);
        vmcs_write(VMCS_ENTRY_ERROR, vcpu->event.error & UINT16_MAX);
        vmx->event_stays = false;
    }
}

/* A write takes longer than a look at what is THERE. */
static inline void put(enum vmcs_field field, uint64_t *there, uint64_t value)
{
    if (*there != value) {
        *there = value;
        vmcs_write(field, value);
    }
}

/* As a rule nothing is due, watched or blocked, nor was it at the last entry. */
static void prepare(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    if (vmx->due) {
        see_to_due(vcpu, vmx);
    }
    put(VMCS_RSP, &vmx->rsp, vcpu->gpr[INSN_RSP]);
    put(VMCS_RIP, &vmx->rip, vcpu->rip);
    put(VMCS_RFLAGS, &vmx->rflags, vcpu->rflags);
    if (vcpu->shadow | vcpu->nmi_blocked | vmx->interruptibility) {
        set_interruptibility(vcpu, vmx);
    }
    set_event(vcpu, vmx);
    if (vcpu->window | vcpu->nmi_pending | vcpu->cr8_watched | vmx->watches) {
        set_watches(vcpu, vmx);
    }
    if (vcpu->apic != vmx->apic) {
        vmx_apic_switch(vcpu, vmx);
    }
    if (!vmx->apic) {
        vmx->virtual_apic[VIRTUAL_TPR] = (uint32_t)vcpu->cr8 << 4;
    } else if (!vmx->lent || lapic_has_requests(vmx->lapic)) {
        vmx_apic_lend(vcpu, vmx);
    }
}

/* What was being delivered when the exit came. */
static void take_event(struct vcpu *vcpu, uint32_t word)
{
    uint32_t error = word & VCPU_EVENT_HAS_ERROR ? (uint32_t)vmcs_read(VMCS_VECTORING_ERROR) : 0;

    vcpu->event = vcpu_event_of(word, error);
    vcpu->nmi_blocked |= vcpu->event.kind == VCPU_EVENT_NMI;
}

static void take_over(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    vcpu->gpr[INSN_RSP] = vmx->rsp = vmcs_read(VMCS_RSP);
    vcpu->rip = vmx->rip = vmcs_read(VMCS_RIP);
    vcpu->rflags = vmx->rflags = vmcs_read(VMCS_RFLAGS);
    vmx->interruptibility = (uint32_t)vmcs_read(VMCS_INTERRUPTIBILITY);
    uint32_t word = (uint32_t)vmcs_read(VMCS_VECTORING_EVENT);

    vcpu->shadow = vmx->interruptibility & SHADOW;
    vcpu->nmi_blocked = vmx->interruptibility & VMCS_BLOCKED_BY_NMI;
    vcpu->event.kind = VCPU_EVENT_NONE;
    if (word & VCPU_EVENT_VALID) {
        take_event(vcpu, word);
    }
    vcpu->cr8 = (uint8_t)(vmx->virtual_apic[VIRTUAL_TPR] >> 4);
}

/* How often the guest has been entered anew behind vmx_quick(): the exits themselves are counted
 * later. */
static uint64_t count_quick(const struct vcpu *vcpu)
{
    return vcpu->counter[EXIT_NOTIFY].exits + vcpu->counter[EXIT_IO].exits;
}

void vmx_run(struct vcpu *vcpu, struct exit *exit)
{
    struct vmx_vcpu *vmx = vcpu->backend;
    uint64_t quick = count_quick(vcpu);

    prepare(vcpu, vmx);
    guard_entry(vmx->guards);
    uint32_t reason = vmx_enter(vcpu, vmx->launched);

    if (reason == VMX_NOT_ENTERED) {
        /* A fault of ours: this VM stops, for no such exit is known. */
        log_error("VM '%s', vCPU %u: VMX refuses the entry: error %lu", vcpu->vm->config->name,
                  vcpu->index, vmcs_read(VMCS_INSTRUCTION_ERROR));
    }
    /* Else it was not entered: what was to be delivered still is. */
    if (!(reason & VMCS_EXIT_REFUSED) || count_quick(vcpu) != quick) {
        vmx->launched = true;
        take_over(vcpu, vmx);
    }
    if (vmx->served) { /* and there is something to look at */
        vmx->served = false;
        *exit = (struct exit){.reason = EXIT_RETRY};
    } else {
        vmx_decode_exit(vcpu, reason, exit);
    }
    if (vmx->apic && !(VMX_KEEPS_APIC >> exit->reason & 1U)) {
        vmx_apic_see_exit(vcpu, vmx, exit);
    }
    if (vmx->logs) {
        vmx_log_drain(vcpu, vmx);
    }
    cpu_irq_enable();
    if (exit->reason == EXIT_INVALID) {
        vmx->due |= VMX_DUE_REPAIR;
        vmx->event_stays = true;
    }
}
