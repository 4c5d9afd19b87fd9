/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual machine control block: AMD APM 2, appendix B; meanings in sections 15.5 to 15.20. */
#ifndef PORTOLAN_VMM_SVM_VMCB_H
#define PORTOLAN_VMM_SVM_VMCB_H

#include "vmm/vm/cpu_state.h"

#define VMCB_TLB_KEEP       0U
#define VMCB_TLB_FLUSH_ALL  1U
#define VMCB_TLB_FLUSH_ASID 3U

/* 060h */
#define VMCB_V_IRQ          (1ULL << 8)
#define VMCB_V_PRIORITY     (0xfULL << 16)
#define VMCB_V_CLASS_SHIFT  12 /* from a vector, whose upper half is its class */
#define VMCB_V_VECTOR_SHIFT 32
#define VMCB_V_IGNORE_TPR   (1ULL << 20)
#define VMCB_V_INTR_MASKING (1ULL << 24)

#define VMCB_SHADOW (1ULL << 0) /* 068h */

/* 0C0h: what of the VMCB is as at the last exit; 15.15.3. */
enum vmcb_clean {
    VMCB_CLEAN_INTERCEPTS = 1U << 0,
    VMCB_CLEAN_ASID = 1U << 2,
    VMCB_CLEAN_TPR = 1U << 3,
    VMCB_CLEAN_NESTED = 1U << 4,
    VMCB_CLEAN_CR = 1U << 5,
    VMCB_CLEAN_DR = 1U << 6,
    VMCB_CLEAN_CR2 = 1U << 9,
    VMCB_CLEAN_ALL = 0x3ffU,
};

/* Exit codes: appendix C. */
enum vmcb_exit {
    VMCB_EXIT_CR_READ = 0x00,
    VMCB_EXIT_CR_WRITE = 0x10,
    VMCB_EXIT_EXCEPTION = 0x40,
    VMCB_EXIT_INTR = 0x60,
    VMCB_EXIT_NMI = 0x61,
    VMCB_EXIT_SMI = 0x62,
    VMCB_EXIT_INIT = 0x63,
    VMCB_EXIT_VINTR = 0x64,
    VMCB_EXIT_CR0_SELECTIVE = 0x65,
    VMCB_EXIT_RDPMC = 0x6f,
    VMCB_EXIT_CPUID = 0x72,
    VMCB_EXIT_RSM = 0x73,
    VMCB_EXIT_IRET = 0x74,
    VMCB_EXIT_INVD = 0x76,
    VMCB_EXIT_PAUSE = 0x77,
    VMCB_EXIT_HLT = 0x78,
    VMCB_EXIT_INVLPGA = 0x7a,
    VMCB_EXIT_IOIO = 0x7b,
    VMCB_EXIT_MSR = 0x7c,
    VMCB_EXIT_FERR_FREEZE = 0x7e,
    VMCB_EXIT_SHUTDOWN = 0x7f,
    VMCB_EXIT_VMRUN = 0x80,
    VMCB_EXIT_SKINIT = 0x86,
    VMCB_EXIT_WBINVD = 0x89,
    VMCB_EXIT_MONITOR = 0x8a,
    VMCB_EXIT_MWAIT = 0x8b,
    VMCB_EXIT_MWAIT_ARMED = 0x8c,
    VMCB_EXIT_XSETBV = 0x8d,
    VMCB_EXIT_RDPRU = 0x8e,
    VMCB_EXIT_NPF = 0x400,
};

/* The bit of NAME's exit in the control area's words 00Ch (exits 60h..7Fh) and 010h (80h..9Fh). */
#define VMCB_INTERCEPT(name) (1U << VMCB_EXIT_##name % 32)

#define VMCB_EXIT_INVALID UINT32_MAX /* -1; some write only the lower half of the exit code */

/* EXITINFO1 of IOIO: 15.10.2. */
#define VMCB_IO_IN         (1U << 0)
#define VMCB_IO_STRING     (1U << 2)
#define VMCB_IO_REPEAT     (1U << 3)
#define VMCB_IO_SIZE_SHIFT 4
#define VMCB_IO_PORT_SHIFT 16
#define VMCB_IO_KIND       (VMCB_IO_IN | VMCB_IO_STRING | VMCB_IO_REPEAT | 7U << VMCB_IO_SIZE_SHIFT)
#define VMCB_IO_OUT_2      (2U << VMCB_IO_SIZE_SHIFT) /* of VMCB_IO_KIND */

/* EXITINFO1 of CR accesses with decode assists: 15.33.1. */
#define VMCB_CR_IS_MOV   (1ULL << 63)
#define VMCB_CR_REGISTER 0xfULL

/* EXITINFO1 of nested page faults: 15.25.6. */
#define VMCB_NPF_PRESENT (1ULL << 0)
#define VMCB_NPF_WRITE   (1ULL << 1)
#define VMCB_NPF_WALK    (1ULL << 33)

struct vmcb {
    uint16_t cr_reads;
    uint16_t cr_writes;
    uint16_t dr_reads;
    uint16_t dr_writes;
    uint32_t exceptions;
    uint32_t intercepts;
    uint32_t intercepts2;
    uint8_t reserved014[0x3c - 0x14];
    uint16_t pause_threshold;
    uint16_t pause_count;
    uint64_t iopm;
    uint64_t msrpm;
    uint64_t tsc_offset;
    uint32_t asid;
    uint8_t tlb_control;
    uint8_t reserved05d[3];
    uint64_t interrupt_control;
    uint64_t interrupt_shadow;
    uint64_t exit_code;
    uint64_t exit_info1;
    uint64_t exit_info2;
    uint64_t exit_event;
    uint64_t nested_enable;
    uint8_t reserved098[0xa8 - 0x98];
    uint64_t inject;
    uint64_t nested_cr3;
    uint64_t lbr_enable;
    uint32_t clean;
    uint32_t reserved0c4;
    uint64_t next_rip;
    uint8_t fetched;
    uint8_t bytes[15];
    uint8_t reserved0e0[0x400 - 0xe0];

    struct x86_segment segment[STATE_SEGMENTS];
    uint8_t reserved4a0[0x4cb - 0x4a0];
    uint8_t cpl;
    uint32_t reserved4cc;
    uint64_t efer;
    uint8_t reserved4d8[0x548 - 0x4d8];
    uint64_t cr4;
    uint64_t cr3;
    uint64_t cr0;
    uint64_t dr7;
    uint64_t dr6;
    uint64_t rflags;
    uint64_t rip;
    uint8_t reserved580[0x5d8 - 0x580];
    uint64_t rsp;
    uint8_t reserved5e0[0x5f8 - 0x5e0];
    uint64_t rax;
    uint64_t star;
    uint64_t lstar;
    uint64_t cstar;
    uint64_t sfmask;
    uint64_t kernel_gs_base;
    uint64_t sysenter_cs;
    uint64_t sysenter_esp;
    uint64_t sysenter_eip;
    uint64_t cr2;
    uint8_t reserved648[0x668 - 0x648];
    uint64_t pat;
    uint64_t debugctl;
    uint8_t reserved678[0x1000 - 0x678];
};

#define VMCB_AT(field, offset) \
    _Static_assert(offsetof(struct vmcb, field) == (offset), "AMD APM 2, appendix B")
VMCB_AT(exceptions, 0x008);
VMCB_AT(intercepts2, 0x010);
VMCB_AT(pause_threshold, 0x03c);
VMCB_AT(iopm, 0x040);
VMCB_AT(asid, 0x058);
VMCB_AT(interrupt_control, 0x060);
VMCB_AT(exit_event, 0x088);
VMCB_AT(nested_enable, 0x090);
VMCB_AT(inject, 0x0a8);
VMCB_AT(clean, 0x0c0);
VMCB_AT(next_rip, 0x0c8);
VMCB_AT(fetched, 0x0d0);
VMCB_AT(segment, 0x400);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rflags, 0x570);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(cr2, 0x640);
VMCB_AT(pat, 0x668);
_Static_assert(sizeof(struct vmcb) == 0x1000, "AMD APM 2, 15.5");
#undef VMCB_AT

#endif
