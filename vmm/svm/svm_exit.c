/* SPDX-License-Identifier: BSD-2-Clause */
/* From the VMCB's words to the neutral ones. */
#include "vmm/host/msr.h"
#include "vmm/svm/svm.h"
#include "vmm/vm/cpu_state.h"

#define INSN_LENGTH_MAX   15U
#define EXCEPTIONS        32U
#define VECTOR_BREAKPOINT 3U
#define VECTOR_OVERFLOW   4U
#define CONTROL_REGISTERS 16U

/* Exits that need no more than their name. */
static const struct {
    uint16_t code;
    uint8_t reason;
    bool instruction; /* the next rip is that behind it */
} plain[] = {
    {VMCB_EXIT_INTR,        EXIT_INTERRUPT,  false},
    {VMCB_EXIT_NMI,         EXIT_INTERRUPT,  false},
    {VMCB_EXIT_SMI,         EXIT_INTERRUPT,  false},
    {VMCB_EXIT_INIT,        EXIT_INTERRUPT,  false},
    {VMCB_EXIT_FERR_FREEZE, EXIT_INTERRUPT,  false},
    {VMCB_EXIT_VINTR,       EXIT_WINDOW,     false},
    {VMCB_EXIT_IRET,        EXIT_NMI_WINDOW, false},
    {VMCB_EXIT_HLT,         EXIT_HLT,        true },
    {VMCB_EXIT_CPUID,       EXIT_CPUID,      true },
    {VMCB_EXIT_XSETBV,      EXIT_XSETBV,     true },
    {VMCB_EXIT_WBINVD,      EXIT_CACHE,      true },
    {VMCB_EXIT_INVD,        EXIT_CACHE,      true },
    {VMCB_EXIT_PAUSE,       EXIT_PAUSE,      true },
    {VMCB_EXIT_RDPMC,       EXIT_FORBIDDEN,  false},
    {VMCB_EXIT_RSM,         EXIT_REFUSED,    false},
    {VMCB_EXIT_INVLPGA,     EXIT_REFUSED,    false},
    {VMCB_EXIT_MONITOR,     EXIT_REFUSED,    false},
    {VMCB_EXIT_MWAIT,       EXIT_REFUSED,    false},
    {VMCB_EXIT_MWAIT_ARMED, EXIT_REFUSED,    false},
    {VMCB_EXIT_RDPRU,       EXIT_REFUSED,    false},
    {VMCB_EXIT_SHUTDOWN,    EXIT_SHUTDOWN,   false},
};

static uint8_t length_to(const struct vmcb *vmcb, uint64_t next)
{
    uint64_t length = next - vmcb->rip;

    return length >= 1 && length <= INSN_LENGTH_MAX ? (uint8_t)length : 0;
}

static uint8_t length_of(const struct vmcb *vmcb, const struct svm_features *features)
{
    return features->next_rip ? length_to(vmcb, vmcb->next_rip) : 0;
}

static void decode_io(const struct vmcb *vmcb, struct exit *exit)
{
    uint32_t info = (uint32_t)vmcb->exit_info1;

    exit->reason = info & VMCB_IO_STRING ? EXIT_STRING_IO : EXIT_IO;
    exit->io.port = (uint16_t)(info >> VMCB_IO_PORT_SHIFT);
    exit->io.size = info >> VMCB_IO_SIZE_SHIFT & 7;
    exit->io.in = info & VMCB_IO_IN;
    exit->length = length_to(vmcb, vmcb->exit_info2);
}

static void decode_memory(const struct vmcb *vmcb, struct exit *exit)
{
    exit->reason = EXIT_MEMORY;
    exit->memory = (struct exit_memory){
        .address = gpa(vmcb->exit_info2),
        .write = vmcb->exit_info1 & VMCB_NPF_WRITE,
        .present = vmcb->exit_info1 & VMCB_NPF_PRESENT,
        .fetch = vmcb->exit_info1 & VMCB_NPF_FETCH,
        .walk = vmcb->exit_info1 & VMCB_NPF_WALK,
    };
}

static void decode_control(const struct vmcb *vmcb, const struct svm_features *features,
                           struct exit *exit)
{
    uint64_t code = vmcb->exit_code;

    exit->reason = code < VMCB_EXIT_CR_WRITE ? EXIT_CR_READ : EXIT_CR_WRITE;
    exit->control = (struct exit_control){
        .number = code == VMCB_EXIT_CR0_SELECTIVE ? 0 : (uint8_t)(code % CONTROL_REGISTERS),
    };
    if (features->decode_assists && (vmcb->exit_info1 & VMCB_CR_IS_MOV)) {
        exit->control.reg = (uint8_t)(vmcb->exit_info1 & VMCB_CR_REGISTER);
        exit->length = length_of(vmcb, features);
    }
}

static void decode_exception(const struct vmcb *vmcb, struct exit *exit)
{
    exit->reason = EXIT_EXCEPTION;
    exit->exception = (struct exit_exception){
        .vector = (uint8_t)(vmcb->exit_code - VMCB_EXIT_EXCEPTION),
        .error = (uint32_t)vmcb->exit_info1,
    };
}

static bool decode_plain(const struct vmcb *vmcb, const struct svm_features *features,
                         struct exit *exit)
{
    for (unsigned i = 0; i < ARRAY_SIZE(plain); i++) {
        if (vmcb->exit_code == plain[i].code) {
            exit->reason = (enum exit_reason)plain[i].reason;
            exit->length = plain[i].instruction ? length_of(vmcb, features) : 0;
            return true;
        }
    }
    return false;
}

void svm_decode_exit(const struct vmcb *vmcb, const struct svm_features *features,
                     struct exit *exit)
{
    uint64_t code = vmcb->exit_code;

    *exit = (struct exit){
        .reason = EXIT_UNKNOWN,
        .code = code,
        .info1 = vmcb->exit_info1,
        .info2 = vmcb->exit_info2,
    };
    if (code == VMCB_EXIT_IOIO) {
        decode_io(vmcb, exit);
    } else if (code == VMCB_EXIT_NPF) {
        decode_memory(vmcb, exit);
    } else if (code == VMCB_EXIT_MSR) {
        exit->reason = vmcb->exit_info1 & 1 ? EXIT_MSR_WRITE : EXIT_MSR_READ;
        exit->length = length_of(vmcb, features);
    } else if (code < VMCB_EXIT_CR_WRITE + CONTROL_REGISTERS || code == VMCB_EXIT_CR0_SELECTIVE) {
        decode_control(vmcb, features, exit);
    } else if (code - VMCB_EXIT_EXCEPTION < EXCEPTIONS) {
        decode_exception(vmcb, exit);
    } else if (code >= VMCB_EXIT_VMRUN && code <= VMCB_EXIT_SKINIT) {
        exit->reason = EXIT_REFUSED;
    } else if ((uint32_t)code == VMCB_EXIT_INVALID) {
        exit->reason = EXIT_INVALID;
    } else {
        (void)decode_plain(vmcb, features, exit);
    }
}

uint64_t svm_settle_efer(uint64_t efer, uint64_t cr0)
{
    return (efer & EFER_LME) && (cr0 & CR0_PG) ? efer | EFER_LMA : efer & ~EFER_LMA;
}

static const uint8_t event_types[] = {
    [VCPU_EVENT_INTERRUPT] = VMCB_EVENT_INTERRUPT,
    [VCPU_EVENT_NMI] = VMCB_EVENT_NMI,
    [VCPU_EVENT_EXCEPTION] = VMCB_EVENT_EXCEPTION,
};

uint64_t svm_encode_event(const struct vcpu_event *event)
{
    if (event->kind == VCPU_EVENT_NONE) {
        return 0;
    }
    uint64_t word = event->vector | VMCB_EVENT_VALID |
                    (uint64_t)event_types[event->kind] << VMCB_EVENT_TYPE_SHIFT;

    if (event->has_error) {
        word |= VMCB_EVENT_HAS_ERROR | (uint64_t)event->error << VMCB_EVENT_ERROR_AT;
    }
    return word;
}

/*
 * INT n, INT3 and INTO are not delivered a second time: the guest's rip still points at them, and
 * they are simply executed again. A type of 'exception' with a vector that is none comes from a CPU
 * that does not tell the types apart.
 */
struct vcpu_event svm_decode_event(uint64_t information)
{
    struct vcpu_event event = {.kind = VCPU_EVENT_NONE, .vector = (uint8_t)information};
    unsigned type = information >> VMCB_EVENT_TYPE_SHIFT & 7;

    if (!(information & VMCB_EVENT_VALID)) {
        return event;
    }
    if (type == VMCB_EVENT_NMI || (type == VMCB_EVENT_EXCEPTION && event.vector == VECTOR_NMI)) {
        event.kind = VCPU_EVENT_NMI;
        event.vector = VECTOR_NMI;
    } else if (type == VMCB_EVENT_INTERRUPT || event.vector >= EXCEPTIONS) {
        event.kind = type == VMCB_EVENT_SOFTWARE ? VCPU_EVENT_NONE : VCPU_EVENT_INTERRUPT;
    } else if (type == VMCB_EVENT_EXCEPTION && event.vector != VECTOR_BREAKPOINT &&
               event.vector != VECTOR_OVERFLOW) {
        event.kind = VCPU_EVENT_EXCEPTION;
        event.has_error = information & VMCB_EVENT_HAS_ERROR;
        event.error = (uint32_t)(information >> VMCB_EVENT_ERROR_AT);
    }
    return event;
}
