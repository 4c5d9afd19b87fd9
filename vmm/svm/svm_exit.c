/* SPDX-License-Identifier: BSD-2-Clause */
/* From the VMCB's words to the neutral ones. */
#include "vmm/base/x86.h"
#include "vmm/svm/svm.h"

#define INSN_LENGTH_MAX   15U
#define EXCEPTIONS        32U
#define CONTROL_REGISTERS 16U

/* Exits that need no more than their name, by code from the first on. What is not here is unknown.
 */
#define PLAIN_FIRST VMCB_EXIT_INTR
#define PLAIN(name) [VMCB_EXIT_##name - PLAIN_FIRST]

static const struct {
    uint8_t reason; /* 0, EXIT_INTERRUPT, with KNOWN only */
    bool known;
    bool instruction; /* the next rip is that behind it */
} plain[] = {
    PLAIN(INTR) = {EXIT_INTERRUPT,  true, false},
    PLAIN(NMI) = {EXIT_INTERRUPT,  true, false},
    PLAIN(SMI) = {EXIT_INTERRUPT,  true, false},
    PLAIN(INIT) = {EXIT_INTERRUPT,  true, false},
    PLAIN(FERR_FREEZE) = {EXIT_INTERRUPT,  true, false},
    PLAIN(VINTR) = {EXIT_WINDOW,     true, false},
    PLAIN(IRET) = {EXIT_NMI_WINDOW, true, false},
    PLAIN(HLT) = {EXIT_HLT,        true, true },
    PLAIN(CPUID) = {EXIT_CPUID,      true, true },
    PLAIN(XSETBV) = {EXIT_XSETBV,     true, true },
    PLAIN(WBINVD) = {EXIT_CACHE,      true, true },
    PLAIN(INVD) = {EXIT_CACHE,      true, true },
    PLAIN(PAUSE) = {EXIT_PAUSE,      true, true },
    PLAIN(RDPMC) = {EXIT_FORBIDDEN,  true, false},
    PLAIN(RSM) = {EXIT_REFUSED,    true, false},
    PLAIN(INVLPGA) = {EXIT_REFUSED,    true, false},
    PLAIN(MONITOR) = {EXIT_REFUSED,    true, false},
    PLAIN(MWAIT) = {EXIT_REFUSED,    true, false},
    PLAIN(MWAIT_ARMED) = {EXIT_REFUSED,    true, false},
    PLAIN(RDPRU) = {EXIT_REFUSED,    true, false},
    PLAIN(SHUTDOWN) = {EXIT_SHUTDOWN,   true, false},
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
    exit->io = svm_decode_io(info);
    exit->length = length_to(vmcb, vmcb->exit_info2);
}

static void decode_memory(const struct vmcb *vmcb, struct exit *exit)
{
    exit->reason = EXIT_MEMORY;
    exit->memory = (struct exit_memory){
        .address = gpa(vmcb->exit_info2),
        .present = vmcb->exit_info1 & VMCB_NPF_PRESENT,
        .write = vmcb->exit_info1 & VMCB_NPF_WRITE,
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
    uint64_t index = vmcb->exit_code - PLAIN_FIRST;

    if (index >= ARRAY_SIZE(plain) || !plain[index].known) {
        return false;
    }
    exit->reason = (enum exit_reason)plain[index].reason;
    exit->length = plain[index].instruction ? length_of(vmcb, features) : 0;
    return true;
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
    if (decode_plain(vmcb, features, exit)) {
        return;
    }
    if (code == VMCB_EXIT_NPF) {
        decode_memory(vmcb, exit);
    } else if (code == VMCB_EXIT_IOIO) {
        decode_io(vmcb, exit);
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
    }
}

uint64_t svm_settle_efer(uint64_t efer, uint64_t cr0)
{
    return (efer & EFER_LME) && (cr0 & CR0_PG) ? efer | EFER_LMA : efer & ~EFER_LMA;
}
