/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual-machine control structure: Intel SDM 3, chapter 25 and appendices A to C. */
#ifndef PORTOLAN_VMM_VMX_VMCS_H
#define PORTOLAN_VMM_VMX_VMCS_H

#include "vmm/host/gdt.h"

#include <stdbool.h>
#include <stdint.h>

/* Encodings: appendix B. Fields of segments are the first of a row: see vmx_state.c. */
enum vmcs_field {
    VMCS_VPID = 0x0000, /* B.1 */
    VMCS_SELECTORS = 0x0800,
    VMCS_INTERRUPT_STATUS = 0x0810, /* RVI; SVI in bits 15..8 */
    VMCS_LOG_INDEX = 0x0812,
    VMCS_HOST_ES = 0x0c00,
    VMCS_HOST_CS = 0x0c02,
    VMCS_HOST_SS = 0x0c04,
    VMCS_HOST_DS = 0x0c06,
    VMCS_HOST_FS = 0x0c08,
    VMCS_HOST_GS = 0x0c0a,
    VMCS_HOST_TR = 0x0c0c,

    VMCS_MSR_BITMAP = 0x2004, /* B.2 */
    VMCS_LOG = 0x200e,
    VMCS_TSC_OFFSET = 0x2010,
    VMCS_VIRTUAL_APIC = 0x2012,
    VMCS_APIC_ACCESS = 0x2014,
    VMCS_EPT_POINTER = 0x201a,
    VMCS_EOI_EXITS = 0x201c, /* the first of four */
    VMCS_ENCLS_BITMAP = 0x202e,
    VMCS_TSC_MULTIPLIER = 0x2032,
    VMCS_PHYSICAL_ADDRESS = 0x2400,
    VMCS_LINK_POINTER = 0x2800,
    VMCS_DEBUGCTL = 0x2802,
    VMCS_PAT = 0x2804,
    VMCS_EFER = 0x2806,
    VMCS_PDPTES = 0x280a, /* the first of four */
    VMCS_HOST_PAT = 0x2c00,
    VMCS_HOST_EFER = 0x2c02,

    VMCS_PIN_CONTROLS = 0x4000, /* B.3 */
    VMCS_PRIMARY_CONTROLS = 0x4002,
    VMCS_EXCEPTIONS = 0x4004,
    VMCS_PF_MASK = 0x4006,
    VMCS_PF_MATCH = 0x4008,
    VMCS_CR3_TARGETS = 0x400a,
    VMCS_EXIT_CONTROLS = 0x400c,
    VMCS_EXIT_STORES = 0x400e,
    VMCS_EXIT_LOADS = 0x4010,
    VMCS_ENTRY_CONTROLS = 0x4012,
    VMCS_ENTRY_LOADS = 0x4014,
    VMCS_ENTRY_EVENT = 0x4016,
    VMCS_ENTRY_ERROR = 0x4018,
    VMCS_TPR_THRESHOLD = 0x401c,
    VMCS_SECONDARY_CONTROLS = 0x401e,
    VMCS_PLE_GAP = 0x4020,
    VMCS_PLE_WINDOW = 0x4022,
    VMCS_INSTRUCTION_ERROR = 0x4400,
    VMCS_EXIT_REASON = 0x4402,
    VMCS_EXIT_EVENT = 0x4404,
    VMCS_EXIT_ERROR = 0x4406,
    VMCS_VECTORING_EVENT = 0x4408,
    VMCS_VECTORING_ERROR = 0x440a,
    VMCS_LENGTH = 0x440c,
    VMCS_LIMITS = 0x4800,
    VMCS_RIGHTS = 0x4814,
    VMCS_INTERRUPTIBILITY = 0x4824,
    VMCS_ACTIVITY = 0x4826,
    VMCS_SYSENTER_CS = 0x482a,
    VMCS_HOST_SYSENTER_CS = 0x4c00,

    VMCS_CR0_MASK = 0x6000, /* B.4 */
    VMCS_CR4_MASK = 0x6002,
    VMCS_CR0_SHADOW = 0x6004,
    VMCS_CR4_SHADOW = 0x6006,
    VMCS_QUALIFICATION = 0x6400,
    VMCS_CR0 = 0x6800,
    VMCS_CR3 = 0x6802,
    VMCS_CR4 = 0x6804,
    VMCS_BASES = 0x6806,
    VMCS_DR7 = 0x681a,
    VMCS_RSP = 0x681c,
    VMCS_RIP = 0x681e,
    VMCS_RFLAGS = 0x6820,
    VMCS_PENDING_DEBUG = 0x6822,
    VMCS_SYSENTER_ESP = 0x6824,
    VMCS_SYSENTER_EIP = 0x6826,
    VMCS_HOST_CR0 = 0x6c00,
    VMCS_HOST_CR3 = 0x6c02,
    VMCS_HOST_CR4 = 0x6c04,
    VMCS_HOST_FS_BASE = 0x6c06,
    VMCS_HOST_GS_BASE = 0x6c08,
    VMCS_HOST_TR_BASE = 0x6c0a,
    VMCS_HOST_GDTR_BASE = 0x6c0c,
    VMCS_HOST_IDTR_BASE = 0x6c0e,
    VMCS_HOST_SYSENTER_ESP = 0x6c10,
    VMCS_HOST_SYSENTER_EIP = 0x6c12,
    VMCS_HOST_RSP = 0x6c14, /* vmx_enter.S knows it */
    VMCS_HOST_RIP = 0x6c16,
};

/* Primary controls that change while the guest runs, and the entry control that goes with EFER.LMA:
 * 25.6.2, 25.8.1. */
#define VMCS_PRIMARY_WINDOW     (1U << 2)
#define VMCS_PRIMARY_CR8_LOAD   (1U << 19)
#define VMCS_PRIMARY_NMI_WINDOW (1U << 22)
#define VMCS_ENTRY_LONG_MODE    (1U << 9)

/* Secondary controls that bring fields with them: 25.6.2. */
#define VMCS_SECONDARY_APIC_ACCESS (1U << 0)
#define VMCS_SECONDARY_DELIVERY    (1U << 8 | 1U << 9) /* of interrupts, with registers */
#define VMCS_SECONDARY_APIC        (VMCS_SECONDARY_APIC_ACCESS | VMCS_SECONDARY_DELIVERY)
#define VMCS_SECONDARY_VPID        (1U << 5)
#define VMCS_SECONDARY_PAUSE_LOOP  (1U << 10)
#define VMCS_SECONDARY_ENCLS       (1U << 15)
#define VMCS_SECONDARY_LOG         (1U << 17)
#define VMCS_SECONDARY_TSC_SCALING (1U << 25)

/* Interruptibility and pending debug exceptions: 25.4.2. */
#define VMCS_BLOCKED_BY_STI    (1U << 0)
#define VMCS_BLOCKED_BY_MOV_SS (1U << 1)
#define VMCS_BLOCKED_BY_NMI    (1U << 3)
#define VMCS_PENDING_BS        (1ULL << 14)

/* Access rights: 25.4.1. */
#define VMCS_RIGHTS_UNUSABLE (1U << 16)

/* EPT pointer: write-back, four levels; 25.6.11. */
#define VMCS_EPT_POINTER_BITS  (6U | 3U << 3)
#define VMCS_EPT_POINTER_DIRTY (1U << 6) /* the CPU sets accessed and dirty bits */

/* Basic exit reasons: appendix C. With this bit they say why an entry was none: 25.9.1. */
#define VMCS_EXIT_REFUSED (1U << 31)

enum vmcs_exit {
    VMCS_EXIT_EXCEPTION = 0, /* or an NMI */
    VMCS_EXIT_INTERRUPT = 1,
    VMCS_EXIT_TRIPLE_FAULT = 2,
    VMCS_EXIT_WINDOW = 7,
    VMCS_EXIT_NMI_WINDOW = 8,
    VMCS_EXIT_TASK_SWITCH = 9,
    VMCS_EXIT_CPUID = 10,
    VMCS_EXIT_GETSEC = 11,
    VMCS_EXIT_HLT = 12,
    VMCS_EXIT_INVD = 13,
    VMCS_EXIT_RDPMC = 15,
    VMCS_EXIT_VMCALL = 18,
    VMCS_EXIT_VMXON = 27, /* and the VMX instructions in between */
    VMCS_EXIT_CR = 28,
    VMCS_EXIT_IO = 30,
    VMCS_EXIT_RDMSR = 31,
    VMCS_EXIT_WRMSR = 32,
    VMCS_EXIT_BAD_STATE = 33,
    VMCS_EXIT_BAD_MSR = 34,
    VMCS_EXIT_MWAIT = 36,
    VMCS_EXIT_MONITOR = 39,
    VMCS_EXIT_PAUSE = 40,
    VMCS_EXIT_MACHINE_CHECK = 41, /* during an entry */
    VMCS_EXIT_APIC_ACCESS = 44,
    VMCS_EXIT_APIC_EOI = 45,
    VMCS_EXIT_EPT_VIOLATION = 48,
    VMCS_EXIT_INVEPT = 50,
    VMCS_EXIT_INVVPID = 53,
    VMCS_EXIT_WBINVD = 54,
    VMCS_EXIT_XSETBV = 55,
    VMCS_EXIT_APIC_WRITE = 56,
    VMCS_EXIT_VMFUNC = 59,
    VMCS_EXIT_ENCLS = 60,
    VMCS_EXIT_LOG_FULL = 62,
};

/* Exit qualifications: 28.2.1. */
#define VMCS_IO_SIZE        7U /* less 1 */
#define VMCS_IO_IN          (1U << 3)
#define VMCS_IO_STRING      (1U << 4)
#define VMCS_IO_OUT_2       1U /* all of the lower half: no string, no REP, DX */
#define VMCS_IO_PORT_SHIFT  16
#define VMCS_CR_NUMBER      0xfU
#define VMCS_CR_TYPE        0x30U /* 0: MOV to the register */
#define VMCS_CR_REG_SHIFT   8
#define VMCS_EPT_WRITE      (1U << 1)
#define VMCS_EPT_RIGHTS     (7U << 3) /* what is allowed there */
#define VMCS_EPT_LINEAR     (1U << 7) /* the linear address is there */
#define VMCS_EPT_FINAL      (1U << 8) /* ... and it is not one of the tables' that translate it */
#define VMCS_EPT_NMI        (1U << 12)
#define VMCS_APIC_OFFSET    0xfffU
#define VMCS_APIC_WRITE     (1U << 12) /* of the types of access: by an instruction, like a read, 0 */
#define VMCS_DEBUG_HITS     0xfU
#define VMCS_DEBUG_REPORTED (VMCS_DEBUG_HITS | 1U << 13 | 1U << 14) /* BD, BS */

/*
 * VMREAD and VMWRITE of this CPU's current VMCS; what it has no such field for is the VMM's own
 * fault, and a panic. There are a dozen at each exit, so they are no calls; on the host, tests have
 * a VMCS in memory.
 */
#ifdef PORTOLAN_VMCS_IN_MEMORY
uint64_t vmcs_read(enum vmcs_field field);
void vmcs_write(enum vmcs_field field, uint64_t value);
void vmx_clear_buffers(void);
#else
static inline uint64_t vmcs_read(enum vmcs_field field)
{
    uint64_t value;

    __asm__ volatile("vmread %1, %0\n\tjbe vmx_refused_access"
                     : "=r"(value)
                     : "D"((uint64_t)field)
                     : "cc");
    return value;
}

static inline void vmcs_write(enum vmcs_field field, uint64_t value)
{
    __asm__ volatile("vmwrite %1, %0\n\tjbe vmx_refused_access" ::"D"((uint64_t)field), "r"(value)
                     : "cc");
}

/* Overwrite the CPU's buffers: VERW of a selector in memory does it, of a register it would not. */
static inline void vmx_clear_buffers(void)
{
    static const uint16_t selector = SELECTOR_DATA;

    __asm__ volatile("verw %0" ::"m"(selector) : "cc");
}
#endif

/* VMXON, VMCLEAR, VMPTRLD: false: refused. INVEPT of TYPE 1 (one) or 2 (all). In vmx_access.S. */
bool vmx_on(uint64_t region);
bool vmcs_clear(uint64_t vmcs);
bool vmcs_load(uint64_t vmcs);
void vmx_invept(uint64_t type, uint64_t pointer);

/* What the guest leaves in the CPU, where the VMM has no use for it. */
uint64_t vmx_read_cr2(void);
void vmx_write_cr2(uint64_t value);
uint64_t vmx_read_dr6(void);
void vmx_write_dr6(uint64_t value);

/* The NMI that made the exit has been taken off the CPU: call its handler, whose IRET lets the next
 * one in. */
void vmx_serve_nmi(void);

#endif
