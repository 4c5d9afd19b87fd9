/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a vCPU left its guest, in words that all vendors share. Exits of instructions come with the
 * instruction's length and its operands, from the hardware or by decoding; only memory accesses and
 * string I/O are decoded by who carries them out.
 */
#ifndef PORTOLAN_VMM_VM_EXIT_H
#define PORTOLAN_VMM_VM_EXIT_H

#include "vmm/base/types.h"

enum exit_reason {
    EXIT_INTERRUPT,  /* a host interrupt or NMI, already served */
    EXIT_WINDOW,     /* the guest can take an interrupt now */
    EXIT_NMI_WINDOW, /* it ends its NMI handler, or can take an NMI now */
    EXIT_RETRY,      /* not carried out: enter again; what is due is in vcpu->event */
    EXIT_IO,
    EXIT_STRING_IO,
    EXIT_MEMORY, /* no RAM there, or not with these rights */
    EXIT_HLT,
    EXIT_CPUID,
    EXIT_MSR_READ,
    EXIT_MSR_WRITE,
    EXIT_CR_READ,
    EXIT_CR_WRITE,
    EXIT_XSETBV,
    EXIT_CACHE,       /* WBINVD, INVD */
    EXIT_PAUSE,       /* it spins */
    EXIT_EXCEPTION,   /* one that the VMM watches */
    EXIT_REFUSED,     /* an instruction that a guest does not have: #UD */
    EXIT_FORBIDDEN,   /* one that it has no right to: #GP */
    EXIT_APIC_WRITE,  /* a register of the local APIC that the CPU does not know to serve */
    EXIT_APIC_EOI,    /* the CPU has ended an interrupt that the I/O APIC waits for */
    EXIT_TASK_SWITCH, /* by hardware, which this CPU leaves to the VMM */
    EXIT_SHUTDOWN,    /* a triple fault */
    EXIT_INVALID,     /* the CPU refuses the guest's state */
    EXIT_NOTIFY,      /* a queue notification, done already: only counted */
    EXIT_UNKNOWN,
    EXIT_REASONS
};

struct exit_io {
    uint16_t port;
    uint8_t size; /* 1, 2 or 4 */
    bool in;
};

struct exit_memory {
    gpa_t address;
    bool present; /* something is mapped there, but not with the rights that it wants */
    bool write;   /* the access is one, also if it reads before */
    bool walk;    /* not the access itself, but a page table of the guest's lies there */
};

struct exit_control {
    uint8_t number; /* of the control register */
    uint8_t reg;    /* a read: the general register that gets it */
    uint64_t value; /* a write, by MOV, LMSW or CLTS: what the register is to hold */
};

struct exit_exception {
    uint8_t vector;
    uint32_t error;
};

struct exit_apic {
    uint16_t offset; /* in its page */
    uint8_t vector;  /* EXIT_APIC_EOI */
    uint32_t value;
};

struct exit {
    enum exit_reason reason;
    uint8_t length; /* of the instruction, where it is one and not above */
    bool over;      /* EXIT_HLT: the CPU itself will deliver what ends it, at once */
    union {
        struct exit_io io;
        struct exit_memory memory;
        struct exit_control control;
        struct exit_exception exception;
        struct exit_apic apic;
    };
    uint64_t code, info1, info2; /* as the hardware says it, for the log */
};

/* Short and lower-case, for the statistics. */
const char *exit_name(enum exit_reason reason);

#endif
