/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the guest that does everything wrong.
 *
 * Two worlds: the fuzzer's C code, whose single accesses may fault (fuzz_try()), and the cage, in
 * which random code runs one instruction at a time (TF), in page tables of its own that hold the
 * fuzzer's image read-only. fuzz_step() looks at each instruction before the CPU does.
 */
#ifndef PORTOLAN_GUEST_FUZZ_FUZZ_H
#define PORTOLAN_GUEST_FUZZ_FUZZ_H

#include "guest/fuzz/layout.h"
#include "guest/lib/guest.h"

/* What a batch of operations consists of. */
enum fuzz_kind {
    FUZZ_KERNEL_CODE, /* random instructions in 64-bit mode at CPL 0 */
    FUZZ_OTHER_CODE,  /* the same in 32 and 16-bit code segments, and at CPL 3 */
    FUZZ_PORTS,
    FUZZ_MSRS,
    FUZZ_CONTROLS, /* CR, DR, EFER, XCR0 */
    FUZZ_MMIO,
    FUZZ_PAGE_TABLES,
    FUZZ_DEVICES, /* sequences that mean something to a device, with random values */
    FUZZ_BURSTS,
    FUZZ_VF, /* where there is one: half of all batches */
    FUZZ_KINDS,
};

#define FUZZ_BATCH 2048 /* operations */

enum fuzz_register { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R11 = 11, REGISTERS = 16 };

struct fuzz_descriptor {
    uint16_t limit;
    uint16_t base[4], unused[3]; /* not aligned, hence in parts */
};

/* Written by the trap handlers; see layout.h. */
struct fuzz_state {
    uint64_t regs[REGISTERS], rip, cs, rflags, vector, error;
    uint64_t caged; /* the random code is running */
    uint64_t recover_rip, recover_rsp;
    uint64_t good_cr0, good_cr3, good_cr4, cage_cr3, leave_rsp;
    uint64_t nmis, nmi_total, result;
    uint64_t mxcsr;
    struct fuzz_descriptor gdtr, idtr;
    uint64_t ss;
    /* Of fuzz_step() alone. */
    uint64_t random, budget, mode;
    uint64_t steps, reseats, refused, hung, faults[32], interrupts;
    uint32_t suicide; /* one dangerous instruction in so many is let through; 0: none */
    bool lenient;     /* plain QEMU's devices */
    bool tcg;         /* QEMU runs the instructions */
    bool walks, debug_dirty;
    bool armed;  /* the watchdog is as it was armed */
    bool bursts; /* no step after each instruction */
    uint64_t burst_from;
    uint16_t vf_pfn; /* the port of the VF's register that says where a ring is; 0: no VF */
};

#define fuzz_state ((struct fuzz_state *)STATE_BASE)

/* ---- randomness: splitmix64 ---- */

static inline uint64_t fuzz_random(void)
{
    uint64_t z = fuzz_state->random += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
/* 0 .. BELOW - 1. */
static inline unsigned fuzz_below(unsigned below)
{
    return (unsigned)((fuzz_random() & 0xffffffff) * below >> 32);
}
static inline bool fuzz_one_in(unsigned n)
{
    return n != 0 && fuzz_below(n) == 0;
}
/* Small numbers, single bits, runs of ones, borders and noise. */
uint64_t fuzz_value(void);

/* ---- cage.c ---- */

/* The cage's windows, as virtual addresses. */
#define CAGE_CODE     0x40000000UL /* two pages; also at CAGE_LOW_CODE, for 16-bit segments */
#define CAGE_DATA     0x41000000UL /* 64 KiB; its first 16 KiB also at CAGE_LOW_DATA */
#define CAGE_DEVICES  0x42000000UL /* local APIC, IOAPIC, firmware, and holes: read-only */
#define CAGE_HOLES    0x43000000UL /* physical addresses with nothing behind them, writable */
#define CAGE_LOW_CODE 0x8000UL
#define CAGE_LOW_DATA 0x4000UL
#define CAGE_CODE_LEN 2048
#define CAGE_DATA_LEN 65536
#define CAGE_LOW_LEN  16384
#define CAGE_WINDOW   16384

extern uint8_t fuzz_code[8192], fuzz_data[CAGE_DATA_LEN];

/* Make page tables, GDT, IDT and TSS and switch to them. Once. */
void fuzz_cage_build(void);
/* The MSRs that system calls and random code depend on. */
void fuzz_msrs_restore(void);
void fuzz_debug_restore(void);

/* ---- entry.S ---- */

typedef uint64_t (*fuzz_stub)(uint64_t a, uint64_t b);
/*
 * STUB(A, B), whose result goes to fuzz_state->result; the vector of the fault, or -1. Brings back
 * CR0, CR3 and CR4. The stub must not use SSE if it changes these.
 */
int fuzz_try(fuzz_stub stub, uint64_t a, uint64_t b);
/* Run the cage with the registers in the state until fuzz_step() wants no more. */
void fuzz_enter(void);
extern const uint8_t fuzz_entries[], fuzz_nmi[], fuzz_landing[];
void fuzz_fatal(void);

/* ---- step.c: called from the trap entry, with the cage's page tables; no SSE ---- */

bool fuzz_step(void);
void fuzz_reseat(void);
bool fuzz_port_read_allowed(uint16_t port, unsigned width);
bool fuzz_port_write_allowed(uint16_t port, unsigned width, uint32_t value);

/* ---- the operations; each does FUZZ_BATCH of them ---- */

void fuzz_run_code(bool kernel);
void fuzz_run_ports(void);
void fuzz_run_msrs(void);
void fuzz_run_controls(void);
void fuzz_run_mmio(void);
void fuzz_run_page_tables(void);
void fuzz_run_devices(void);
void fuzz_run_bursts(void);
void fuzz_run_vf(void);

/* ---- single accesses, for others ---- */

void fuzz_port_read(uint16_t port, unsigned width);
void fuzz_port_write(uint16_t port, unsigned width, uint32_t value);
/* By one of the instructions that there are; it may write up to 16 bytes, or only read. */
void fuzz_access_at(uint64_t address, uint64_t value);
/* VALUE as the data of an interrupt message that does not reset this guest. */
uint64_t fuzz_message(uint64_t value);

/* ---- vf.c ---- */

/* Is there a block VF in SLOT, and does it work? */
bool fuzz_vf_find(unsigned slot);

/* ---- burst.c ---- */

/* How many instructions begin before each byte of the code. */
extern uint16_t fuzz_burst_rank[CAGE_CODE_LEN + 1];
/* Begin somewhere in it (in step.c). */
void fuzz_burst_begin(void);

/* ---- devices.c ---- */

/* PIT, IOAPIC and local APIC as the watchdog wants them, an NMI each 10 ms; if they are not. */
void fuzz_watchdog_arm(void);
/* The UART prints, or is in loop-back mode and may be written to at random. */
void fuzz_console_on(void);
void fuzz_console_off(void);
uint8_t fuzz_cmos_read(uint8_t index);
void fuzz_cmos_write(uint8_t index, uint8_t value);

#endif
