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

extern bool vmx_enter(struct vcpu *vcpu, bool launched);
bool vmx_notify(struct vcpu *vcpu, uint64_t info, uint64_t rip, uint64_t next, uint64_t flags,
                uint64_t blocked);

/*
 * From vmx_enter.S, after an exit by an instruction at RIP that is for a port: if it notifies a
 * queue (OUT of two bytes from AX to DX's port, not single-stepped, resumed behind a breakpoint or
 * in a shadow), do it; the guest is to go on at NEXT. Nothing can interrupt since the exit, so
 * nothing that is new is missed.
 */
bool vmx_notify(struct vcpu *vcpu, uint64_t info, uint64_t rip, uint64_t next, uint64_t flags,
                uint64_t blocked)
{
    if ((uint16_t)info != VMCS_IO_OUT_2 || (next ^ rip) >> 32 ||
        (flags & (RFLAGS_TF | RFLAGS_RF)) || (blocked & SHADOW)) {
        return false;
    }
    return vcpu_notify_fast(vcpu, (uint16_t)(info >> VMCS_IO_PORT_SHIFT),
                            (uint16_t)vcpu->gpr[INSN_RAX]);
}

/*
 * With EPT all that the CPU keeps of a guest's translations goes with the EPT pointer (29.4.1), so
 * that INVEPT forgets all of it and INVVPID is not needed.
 */
static void forget(struct vmx_vcpu *vmx)
{
    vmx_invept(vmx_features()->invept_one ? INVEPT_ONE : INVEPT_ALL, vmx->root);
    vmx->stale = false;
}

/* Exits, and the task priority, as struct vcpu wants them. */
static void set_watches(const struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    uint32_t primary = (vmx->primary & ~WATCHES) | (vcpu->window ? VMCS_PRIMARY_WINDOW : 0) |
                       (vcpu->nmi_pending ? VMCS_PRIMARY_NMI_WINDOW : 0) |
                       (vcpu->cr8_watched ? VMCS_PRIMARY_CR8_LOAD : 0);

    if (primary != vmx->primary) {
        vmx->primary = primary;
        vmcs_write(VMCS_PRIMARY_CONTROLS, primary);
    }
    if (!vcpu->apic) {
        vmx->virtual_apic[VIRTUAL_TPR] = (uint32_t)vcpu->cr8 << 4;
    }
}

/*
 * What is blocked while the first instruction runs: nothing by STI or MOV SS if an interrupt or NMI
 * is delivered; NMIs not yet, if one is (27.3.1.5). A trap by TF that the shadow holds back is told
 * apart: it is pending.
 */
static void set_interruptibility(const struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    enum vcpu_event_kind kind = vcpu->event.kind;
    uint32_t value = 0;

    if (vcpu->shadow && kind != VCPU_EVENT_INTERRUPT && kind != VCPU_EVENT_NMI) {
        value = vcpu->rflags & RFLAGS_IF ? VMCS_BLOCKED_BY_STI : VMCS_BLOCKED_BY_MOV_SS;
    }
    if (value || (vmx->interruptibility & SHADOW)) {
        vmcs_write(VMCS_PENDING_DEBUG, value && (vcpu->rflags & RFLAGS_TF) ? VMCS_PENDING_BS : 0);
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
    uint32_t word = vcpu_event_word(&vcpu->event);

    if (word || vmx->event_stays) {
        vmcs_write(VMCS_ENTRY_EVENT, word);
        vmcs_write(VMCS_ENTRY_ERROR, vcpu->event.error & UINT16_MAX);
        vmx->event_stays = false;
    }
}

static void prepare(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    if (vmx->refused) {
        vmx_repair(vcpu);
    }
    if (vmx->stale) {
        forget(vmx);
    }
    if (vmx->pdptes_due && vmx_has_pdptes(vcpu)) {
        vmx_load_pdptes(vcpu);
    }
    vmx->pdptes_due = false;
    vmcs_write(VMCS_RSP, vcpu->gpr[INSN_RSP]);
    vmcs_write(VMCS_RIP, vcpu->rip);
    vmcs_write(VMCS_RFLAGS, vcpu->rflags);
    set_interruptibility(vcpu, vmx);
    set_event(vcpu, vmx);
    set_watches(vcpu, vmx);
    if (vcpu->apic != vmx->apic) {
        vmx_apic_switch(vcpu, vmx);
    }
    if (vmx->apic) {
        vmx_apic_lend(vcpu, vmx);
    }
}

/* The guest shall find nothing in the L1 cache and the CPU's buffers but its own: last, as what
 * follows handles no more than its registers. */
static void guard_entry(uint32_t guards)
{
    if (guards & GUARD_FLUSH_L1) {
        (void)msr_write(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
    } else if (guards & GUARD_BUFFERS) {
        vmx_clear_buffers();
    }
}

static void take_over(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
    uint32_t vectoring = (uint32_t)vmcs_read(VMCS_VECTORING_EVENT), error = 0;

    vcpu->gpr[INSN_RSP] = vmcs_read(VMCS_RSP);
    vcpu->rip = vmcs_read(VMCS_RIP);
    vcpu->rflags = vmcs_read(VMCS_RFLAGS);
    vmx->interruptibility = (uint32_t)vmcs_read(VMCS_INTERRUPTIBILITY);
    if ((vectoring & VCPU_EVENT_VALID) && (vectoring & VCPU_EVENT_HAS_ERROR)) {
        error = (uint32_t)vmcs_read(VMCS_VECTORING_ERROR);
    }
    vcpu->event = vcpu_event_of(vectoring, error);
    vcpu->shadow = vmx->interruptibility & SHADOW;
    vcpu->nmi_blocked =
        (vmx->interruptibility & VMCS_BLOCKED_BY_NMI) || vcpu->event.kind == VCPU_EVENT_NMI;
    vcpu->cr8 = (uint8_t)(vmx->virtual_apic[VIRTUAL_TPR] >> 4);
}

void vmx_run(struct vcpu *vcpu, struct exit *exit)
{
    struct vmx_vcpu *vmx = vcpu->backend;
    uint64_t notified = vcpu->counter[EXIT_NOTIFY].exits;
    struct vcpu_event event = vcpu->event;
    bool shadow = vcpu->shadow, nmi_blocked = vcpu->nmi_blocked;

    prepare(vcpu, vmx);
    guard_entry(vmx_features()->guards);
    if (!vmx_enter(vcpu, vmx->launched)) {
        panic("VM '%s', vCPU %u: VMX refuses the entry: error %lu", vcpu->vm->config->name,
              vcpu->index, vmcs_read(VMCS_INSTRUCTION_ERROR));
    }
    take_over(vcpu, vmx);
    vmx_decode_exit(vcpu, exit);
    vmx_apic_see_exit(vcpu, vmx, exit);
    if (exit->reason == EXIT_INTERRUPT && exit->code == VMCS_EXIT_EXCEPTION) {
        vmx_serve_nmi();
    }
    cpu_irq_enable();
    bool entered = exit->reason != EXIT_INVALID || vcpu->counter[EXIT_NOTIFY].exits != notified;

    vmx->launched |= entered;
    vmx->refused = vmx->event_stays = exit->reason == EXIT_INVALID;
    if (!entered) { /* nothing was delivered: it is still to be */
        vcpu->event = event;
        vcpu->shadow = shadow;
        vcpu->nmi_blocked = nmi_blocked;
    }
}
