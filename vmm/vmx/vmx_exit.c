/* SPDX-License-Identifier: BSD-2-Clause */
/* From the VMCS's words to the neutral ones: Intel SDM 3, 25.9, 28.2 and appendix C. */
#include "vmm/pc/lapic.h"
#include "vmm/vmx/vmx.h"

#define REASON_BASIC 0xffffU

/* Exits that need no more than their name, by code. What is not here is unknown. */
#define PLAIN(name) [VMCS_EXIT_##name]

static const struct {
    uint8_t reason; /* 0, EXIT_INTERRUPT, with KNOWN only */
    bool known;
    bool instruction; /* its length is told */
} plain[] = {
    PLAIN(INTERRUPT) = {EXIT_INTERRUPT,   true, false},
    PLAIN(TRIPLE_FAULT) = {EXIT_SHUTDOWN,    true, false},
    PLAIN(WINDOW) = {EXIT_WINDOW,      true, false},
    PLAIN(NMI_WINDOW) = {EXIT_NMI_WINDOW,  true, false},
    PLAIN(TASK_SWITCH) = {EXIT_TASK_SWITCH, true, false},
    PLAIN(CPUID) = {EXIT_CPUID,       true, true },
    PLAIN(GETSEC) = {EXIT_REFUSED,     true, false},
    PLAIN(HLT) = {EXIT_HLT,         true, true },
    PLAIN(INVD) = {EXIT_CACHE,       true, true },
    PLAIN(RDPMC) = {EXIT_FORBIDDEN,   true, false},
    [VMCS_EXIT_VMCALL... VMCS_EXIT_VMXON] = {EXIT_REFUSED,     true, false},
    PLAIN(RDMSR) = {EXIT_MSR_READ,    true, true },
    PLAIN(WRMSR) = {EXIT_MSR_WRITE,   true, true },
    PLAIN(BAD_STATE) = {EXIT_INVALID,     true, false},
    PLAIN(BAD_MSR) = {EXIT_INVALID,     true, false},
    PLAIN(MWAIT) = {EXIT_REFUSED,     true, false},
    PLAIN(MONITOR) = {EXIT_REFUSED,     true, false},
    PLAIN(PAUSE) = {EXIT_PAUSE,       true, true },
    PLAIN(INVEPT) = {EXIT_REFUSED,     true, false},
    PLAIN(INVVPID) = {EXIT_REFUSED,     true, false},
    PLAIN(WBINVD) = {EXIT_CACHE,       true, true },
    PLAIN(XSETBV) = {EXIT_XSETBV,      true, true },
    PLAIN(VMFUNC) = {EXIT_REFUSED,     true, false},
    PLAIN(ENCLS) = {EXIT_REFUSED,     true, false},
};

static uint8_t length_now(void)
{
    return (uint8_t)vmcs_read(VMCS_LENGTH);
}

static void decode_io(struct exit *exit)
{
    uint32_t info = (uint32_t)exit->info1;

    exit->reason = info & VMCS_IO_STRING ? EXIT_STRING_IO : EXIT_IO;
    exit->io = vmx_decode_io(info);
    exit->length = length_now();
}

/* An IRET that could not read its stack, or whatever, is executed again: its NMI is not over. */
static void see_iret(struct vcpu *vcpu, uint64_t info)
{
    if ((info & VMCS_EPT_NMI) && vcpu->event.kind == VCPU_EVENT_NONE) {
        vcpu->nmi_blocked = true;
    }
}

static void decode_memory(struct vcpu *vcpu, struct exit *exit)
{
    uint64_t info = exit->info1, tables = VMCS_EPT_LINEAR | VMCS_EPT_FINAL;

    exit->reason = EXIT_MEMORY;
    exit->info2 = vmcs_read(VMCS_PHYSICAL_ADDRESS);
    exit->memory = (struct exit_memory){
        .address = gpa(exit->info2),
        .write = info & VMCS_EPT_WRITE,
        .walk = (info & tables) != tables,
        .present = info & VMCS_EPT_RIGHTS,
    };
    see_iret(vcpu, info);
}

/* An access that the CPU cannot serve (30.4) is as one to memory that is not there. */
static void decode_apic_access(struct exit *exit)
{
    exit->reason = EXIT_MEMORY;
    exit->memory = (struct exit_memory){
        .address = gpa(LAPIC_BASE + (exit->info1 & VMCS_APIC_OFFSET)),
        .write = exit->info1 & VMCS_APIC_WRITE,
    };
}

/* The CPU has done it to the page, or the EOI: these exits come behind the instruction, whose trap,
 * if it is stepped, is pending (28.3.3). Who carries out the rest raises it, before what is
 * injected. */
static void take_trap(void)
{
    vmcs_write(VMCS_PENDING_DEBUG, vmcs_read(VMCS_PENDING_DEBUG) & ~VMCS_PENDING_BS);
}

static void decode_apic_write(const struct vcpu *vcpu, struct exit *exit)
{
    take_trap();
    const struct vmx_vcpu *vmx = vcpu->backend;
    uint16_t offset = exit->info1 & VMCS_APIC_OFFSET;

    exit->reason = EXIT_APIC_WRITE;
    exit->apic.offset = offset;
    exit->apic.value = vmx->virtual_apic[offset / sizeof(vmx->virtual_apic[0])];
}

/* All that exits is MOV to CR0, CR4 and CR8: the bits that LMSW and CLTS change are the guest's
 * own, and so are CR3 and reading. Outside of 64-bit code the operand has 32 bits. */
static void decode_control(struct vcpu *vcpu, struct exit *exit)
{
    struct emulate_cpu cpu;
    uint8_t reg = exit->info1 >> VMCS_CR_REG_SHIFT & 0xf;

    if (exit->info1 & VMCS_CR_TYPE) {
        return;
    }
    vmx_context(vcpu, &cpu);
    exit->reason = EXIT_CR_WRITE;
    exit->length = length_now();
    exit->control = (struct exit_control){
        .number = exit->info1 & VMCS_CR_NUMBER,
        .reg = reg,
        .value = vcpu->gpr[reg] & (emulate_mode(&cpu) == INSN_MODE_64 ? UINT64_MAX : UINT32_MAX),
    };
}

/* What #DB sets in DR6 and clears in DR7, the exit only tells (28.1). */
static void take_debug(uint64_t info)
{
    vmx_write_dr6((vmx_read_dr6() & ~DR6_HITS) | (info & VMCS_DEBUG_REPORTED));
    vmcs_write(VMCS_DR7, vmcs_read(VMCS_DR7) & ~DR7_GD);
}

static void decode_exception(struct exit *exit)
{
    uint32_t event = (uint32_t)vmcs_read(VMCS_EXIT_EVENT);

    exit->info2 = event;
    if ((event >> VCPU_EVENT_TYPE_SHIFT & 7) == VCPU_EVENT_TYPE_NMI) {
        exit->reason = EXIT_INTERRUPT;
        vmx_serve_nmi();
        return;
    }
    exit->reason = EXIT_EXCEPTION;
    exit->exception.vector = (uint8_t)event;
    if (event & VCPU_EVENT_HAS_ERROR) {
        exit->exception.error = (uint32_t)vmcs_read(VMCS_EXIT_ERROR);
    }
    if (exit->exception.vector == VECTOR_DB) {
        take_debug(exit->info1);
    }
}

static bool decode_plain(struct exit *exit, uint32_t code)
{
    if (code >= ARRAY_SIZE(plain) || !plain[code].known) {
        return false;
    }
    exit->reason = (enum exit_reason)plain[code].reason;
    exit->length = plain[code].instruction ? length_now() : 0;
    return true;
}

/* Exits whose qualification says more. */
static __attribute__((noinline)) void decode_more(struct vcpu *vcpu, uint32_t reason,
                                                  struct exit *exit)
{
    exit->info1 = vmcs_read(VMCS_QUALIFICATION);
    switch (reason & REASON_BASIC) {
    case VMCS_EXIT_IO:
        decode_io(exit);
        break;
    case VMCS_EXIT_EPT_VIOLATION:
        decode_memory(vcpu, exit);
        break;
    case VMCS_EXIT_APIC_ACCESS:
        decode_apic_access(exit);
        break;
    case VMCS_EXIT_APIC_WRITE:
        decode_apic_write(vcpu, exit);
        break;
    case VMCS_EXIT_APIC_EOI:
        take_trap();
        exit->reason = EXIT_APIC_EOI;
        exit->apic.vector = (uint8_t)exit->info1;
        break;
    case VMCS_EXIT_CR:
        decode_control(vcpu, exit);
        break;
    case VMCS_EXIT_EXCEPTION:
        decode_exception(exit);
        break;
    case VMCS_EXIT_LOG_FULL: /* vmx_run() drains it */
        exit->reason = EXIT_RETRY;
        see_iret(vcpu, exit->info1);
        break;
    case VMCS_EXIT_MACHINE_CHECK:
        exit->reason = EXIT_EXCEPTION;
        exit->exception.vector = 18;
        break;
    default:
        break;
    }
}

void vmx_decode_exit(struct vcpu *vcpu, uint32_t reason, struct exit *exit)
{
    *exit = (struct exit){.reason = EXIT_UNKNOWN, .code = reason};
    if (!decode_plain(exit, reason & REASON_BASIC)) {
        decode_more(vcpu, reason, exit);
    }
}
