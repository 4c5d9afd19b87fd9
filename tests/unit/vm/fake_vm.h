/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One vCPU of one VM whose backend (vmm/vm/backend.h) is plain fields instead of a VMCB, with a
 * platform that only remembers, a page of code and data at guest-physical 0, and records of what
 * was asked of the VM.
 */
#ifndef PORTOLAN_TESTS_UNIT_VM_FAKE_VM_H
#define PORTOLAN_TESTS_UNIT_VM_FAKE_VM_H

#include "vmm/vm/vm.h"

#include <setjmp.h>

#define FAKE_RAM_SIZE  0x4000U
#define FAKE_CODE_LONG 0xa9bU
#define FAKE_CODE_32   0xc9bU
#define FAKE_CODE_16   0x09bU

struct fake_backend {
    uint64_t cr0, cr3, cr4, efer, pat, cr2, dr6, tsc_offset;
    unsigned flushes;
    uint16_t cs_attributes;
    uint8_t cpl;
};

struct fake_platform {
    int vector;  /* of the interrupt that waits, or -1 */
    bool gone;   /* it goes when it is taken */
    bool extint; /* it is the 8259s' */
    bool offers; /* it can be offered */
    uint8_t excepted;
    int settled;                      /* the vector, if it was taken; less than 0 if not */
    uint32_t apic_offset, apic_value; /* of what was written there last */
    uint8_t apic_ended;
    uint8_t cr8;
    unsigned cr8_writes;
    bool blocked_by_cr8;
    uint64_t tsc_offset;
    uint32_t msr; /* the last one that was read or written */
    uint64_t msr_value;
    enum status msr_status;
    uint16_t port;
    unsigned port_size;
    uint32_t port_value;
    uint64_t mmio;
    uint64_t mmio_value;
    unsigned accesses;
    unsigned dma_pieces; /* that are still to be done */
    unsigned dma_runs;
    unsigned settles; /* of the memory below 1 MiB */
};

struct fake_console {
    uint32_t room;    /* bytes that it takes */
    uint32_t drained; /* more, each time that it is asked to bring some to the line */
    unsigned brought;
    bool service_due; /* the CPU's own work waits */
};

extern struct vm fake_vm;
extern struct fake_console fake_console;
extern struct vcpu fake_vcpu;
extern struct fake_backend fake_backend;
extern struct fake_platform fake_platform;
extern unsigned fake_kicks;  /* how often the vCPU kicked itself */
extern unsigned fake_marked; /* calls of ram_mark() */
extern gpa_t fake_marked_at; /* ... and the last one's */
extern uint64_t fake_now;
extern unsigned fake_resets, fake_stops;
#define fake_complaints fake_vm.log.lines
extern jmp_buf fake_panicked; /* where a panic goes on */
extern uint8_t fake_ram[FAKE_RAM_SIZE];

/* Protected mode without paging, CPL 0, rip 1000h, nothing pending. */
void fake_vm_reset(void);

/* In place of it: 64-bit code (with flat memory), 16-bit code. */
void fake_vm_long_mode(void);

/* Put code at rip. */
void fake_code(const uint8_t *bytes, unsigned size);
#define FAKE_CODE(...) \
    fake_code((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* What is to be delivered is that exception, or nothing. */
void fake_expect_exception(unsigned vector, bool has_error, uint32_t error);
void fake_expect_nothing(void);

#endif
