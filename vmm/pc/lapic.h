/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One local APIC, in xAPIC (MMIO) or x2APIC (MSR) mode: Intel SDM volume 3, chapter 11.
 *
 * Who may touch it: everything belongs to the CPU that runs the vCPU and needs no lock, except
 *   - irr, tmr and pending_errors, which any CPU changes with atomic operations,
 *   - mode, ldr, dfr, svr and lvt[], which the owner writes and any CPU reads, atomically.
 * What concerns others (an IPI, an EOI that the I/O APIC waits for, a change of routing) a write
 * hands back as a struct lapic_effect; pc.c carries it out.
 *
 * The timer counts virtual nanoseconds, that is, the bus runs at 1 GHz.
 */
#ifndef PORTOLAN_VMM_PC_LAPIC_H
#define PORTOLAN_VMM_PC_LAPIC_H

#include "vmm/base/fields.h"
#include "vmm/base/status.h"
#include "vmm/base/types.h"
#include "vmm/pc/apic_bus.h"

#define LAPIC_BASE 0xfee00000U
#define LAPIC_SIZE 0x1000U

#define LAPIC_MSR_BASE         0x1bU
#define LAPIC_MSR_TSC_DEADLINE 0x6e0U
#define LAPIC_MSR_X2APIC       0x800U
#define LAPIC_MSR_X2APIC_LAST  0x8ffU

/* Register offsets in the page; an x2APIC MSR is 800h + offset / 16. */
#define LAPIC_ID       0x020U
#define LAPIC_VERSION  0x030U
#define LAPIC_TPR      0x080U
#define LAPIC_APR      0x090U
#define LAPIC_PPR      0x0a0U
#define LAPIC_EOI      0x0b0U
#define LAPIC_LDR      0x0d0U
#define LAPIC_DFR      0x0e0U
#define LAPIC_SVR      0x0f0U
#define LAPIC_ISR      0x100U
#define LAPIC_TMR      0x180U
#define LAPIC_IRR      0x200U
#define LAPIC_ESR      0x280U
#define LAPIC_ICR      0x300U
#define LAPIC_ICR_HIGH 0x310U
#define LAPIC_LVT      0x320U
#define LAPIC_INITIAL  0x380U
#define LAPIC_CURRENT  0x390U
#define LAPIC_DIVIDE   0x3e0U
#define LAPIC_SELF_IPI 0x3f0U

#define LAPIC_SVR_ENABLED      0x100U
#define LAPIC_SVR_NO_BROADCAST 0x1000U
#define LAPIC_LVT_MASKED       0x10000U

enum lapic_mode { LAPIC_DISABLED, LAPIC_XAPIC, LAPIC_X2APIC };

enum lapic_lvt {
    LAPIC_LVT_TIMER,
    LAPIC_LVT_THERMAL,
    LAPIC_LVT_PERFORMANCE,
    LAPIC_LVT_LINT0,
    LAPIC_LVT_LINT1,
    LAPIC_LVT_ERROR,
    LAPIC_LVT_COUNT
};

#define LAPIC_VECTOR_MIN 16U /* those below are the CPU's own */

/* Bits of the error status register. */
#define LAPIC_ERROR_SEND_VECTOR    0x20U
#define LAPIC_ERROR_RECEIVE_VECTOR 0x40U
#define LAPIC_ERROR_REGISTER       0x80U

struct lapic_state {
    uint32_t irr[8];
    uint32_t tmr[8];
    uint32_t pending_errors;
    uint32_t mode; /* enum lapic_mode */
    uint32_t ldr;
    uint32_t dfr;
    uint32_t svr;
    uint32_t lvt[LAPIC_LVT_COUNT];

    uint32_t isr[8];
    uint32_t tpr;
    uint32_t esr;
    uint64_t icr; /* destination in bits 63..32, as the mode places it */
    uint32_t initial_count;
    bool ran_out;          /* a one-shot is over; nothing counts until a new count */
    uint32_t divide;       /* divide configuration register */
    uint64_t last_now;     /* virtual ns of the last access; time never goes back */
    uint64_t count_start;  /* virtual ns at which the count began */
    uint64_t tsc_deadline; /* guest TSC; 0: not armed */
    uint64_t tsc_offset;   /* guest TSC at virtual time 0, modulo 2^64 */
};

struct lapic {
    struct lapic_state state;
    uint64_t timer_next;        /* derived: virtual ns at which the timer expires; CLOCK_NEVER */
    uint64_t tsc_hz;            /* configuration, as the next */
    uint32_t id;                /* the vCPU's number */
} __attribute__((aligned(64))); /* CPUs must not fight over each other's cache lines */

enum lapic_effect_kind {
    LAPIC_EFFECT_NONE,
    LAPIC_EFFECT_IPI,    /* send .message */
    LAPIC_EFFECT_EOI,    /* tell the I/O APIC that .message.vector ended */
    LAPIC_EFFECT_ROUTING /* what this APIC accepts has changed */
};

struct lapic_effect {
    enum lapic_effect_kind kind;
    struct apic_message message;
};

extern const struct section lapic_section; /* struct lapic_state */

/* Power-on: xAPIC mode, software-disabled, TSC 0 at virtual time 0. TSC_HZ > 0. */
void lapic_power_on(struct lapic *l, uint32_t id, uint64_t tsc_hz);

/* INIT: as power-on, but mode and TSC stay. */
void lapic_init(struct lapic *l);

/* Find again what follows from the state. No vCPU runs. */
void lapic_derive(struct lapic *l);

/* 32-bit access in xAPIC mode at OFFSET (a multiple of 16) of the page. */
uint32_t lapic_mmio_read(struct lapic *l, uint32_t offset, uint64_t now);
void lapic_mmio_write(struct lapic *l, uint32_t offset, uint32_t value, uint64_t now,
                      struct lapic_effect *effect);

/*
 * IA32_APIC_BASE, IA32_TSC_DEADLINE (but for writes: lapic_timer_write_deadline()) and the x2APIC
 * MSRs. INVALID: the guest gets #GP. Moving the APIC away from LAPIC_BASE is refused.
 */
enum status lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t now, uint64_t *value);
enum status lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value, uint64_t now,
                            struct lapic_effect *effect);

/* Make VECTOR pending; any CPU. False when the APIC is off or VECTOR is below 16. */
bool lapic_accept(struct lapic *l, uint8_t vector, bool level);

/* Note an error (LAPIC_ERROR_*) and raise the error interrupt; any CPU. */
void lapic_raise_error(struct lapic *l, uint32_t error);

/* The vector to deliver now, or -1: nothing above the processor priority. Owner. */
int lapic_pending(const struct lapic *l);

/* Is a vector pending that only the task priority (not one in service) holds back? Owner. */
bool lapic_blocked_by_tpr(const struct lapic *l);

/*
 * VECTOR, which lapic_pending() returned, is offered to the CPU, which may deliver it from now on;
 * and what came of that: it is in service, or requested as before. Between the two it is neither,
 * so that who requests it once it is in service requests it anew, though nobody knows that it is;
 * until then one request is like two. Owner.
 */
void lapic_offer(struct lapic *l, uint8_t vector);
void lapic_settle(struct lapic *l, uint8_t vector, bool taken);

/* Move VECTOR, which lapic_pending() returned, into service. Owner. */
static inline void lapic_take(struct lapic *l, uint8_t vector)
{
    lapic_offer(l, vector);
    lapic_settle(l, vector, true);
}

/* End the highest interrupt in service; EFFECT says whether the I/O APIC waits for it. Owner. */
void lapic_end_of_interrupt(struct lapic *l, struct lapic_effect *effect);

/* The CPU has ended VECTOR by itself, which it has put into service as a level. Owner. */
void lapic_has_ended(const struct lapic *l, uint8_t vector, struct lapic_effect *effect);

/*
 * lapic_page.c: while the guest runs, a CPU that delivers interrupts itself has the requests, what
 * is in service, the priority and the command in PAGE (1024 words), where it also reads the other
 * registers: lapic_fill_page() puts these there after they have changed. Interrupts that come
 * meanwhile are requested in the state, as ever, and lent at the next entry, besides what is there.
 * Owner, in xAPIC mode. In this order: lapic_lend(), but for requests, gives the highest vector in
 * service; lapic_lend_requests() the highest that is newly requested; lapic_levels(), 64 bits at an
 * INDEX, whose ends the I/O APIC wants to know, and lapic_lend_levels() where that is not what is
 * there. lapic_take_back() gives the highest that waits. 0: none. lapic_read_back() leaves the
 * requests in PAGE, and with them that it is lent.
 */

/* Two words of a register, which are read at once. */
typedef uint64_t lapic_pair_t __attribute__((may_alias, aligned(4)));

/* Has anything been requested that is not lent or offered? */
static inline bool lapic_has_requests(const struct lapic *l)
{
    const volatile lapic_pair_t *irr = (const volatile lapic_pair_t *)l->state.irr;
    uint64_t any = irr[0] | irr[1] | irr[2] | irr[3];

    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return any != 0;
}

static inline uint64_t lapic_levels(const struct lapic *l, unsigned index)
{
    return ((const volatile lapic_pair_t *)l->state.tmr)[index];
}

void lapic_fill_page(struct lapic *l, uint32_t *page);
uint8_t lapic_lend(const struct lapic *l, uint32_t *page);
uint8_t lapic_lend_requests(struct lapic *l, uint32_t *page);
void lapic_lend_levels(uint32_t *page, unsigned index, uint64_t word);
void lapic_read_back(struct lapic *l, const uint32_t *page);
uint8_t lapic_take_back(struct lapic *l, const uint32_t *page);

static inline void lapic_write_tpr(struct lapic *l, uint32_t value)
{
    l->state.tpr = value & 0xffU;
}

uint8_t lapic_ppr(const struct lapic *l);

/* Will LINT0 in its present state let the 8259's INTR through? Any CPU. */
bool lapic_accepts_extint(const struct lapic *l);

/* lapic_timer.c; owner only. */
void lapic_timer_reset(struct lapic *l);
void lapic_timer_derive(struct lapic *l);
void lapic_timer_write_lvt(struct lapic *l, uint32_t value, uint64_t now);
void lapic_timer_write_initial(struct lapic *l, uint32_t value, uint64_t now);
void lapic_timer_write_divide(struct lapic *l, uint32_t value, uint64_t now);
uint32_t lapic_timer_current(const struct lapic *l, uint64_t now);
void lapic_timer_write_deadline(struct lapic *l, uint64_t deadline, uint64_t now);
uint64_t lapic_timer_deadline(const struct lapic *l);
void lapic_timer_set_tsc_offset(struct lapic *l, uint64_t offset, uint64_t now);

/* Expire what is due at NOW: one interrupt, however many periods have passed. */
void lapic_timer_run(struct lapic *l, uint64_t now);

/* When lapic_timer_run() has to be called next; CLOCK_NEVER when the timer cannot interrupt. */
uint64_t lapic_timer_next_event(const struct lapic *l);

static inline uint32_t lapic_load(const uint32_t *field)
{
    return __atomic_load_n(field, __ATOMIC_RELAXED);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the builtin writes through it */
static inline void lapic_store(uint32_t *field, uint32_t value)
{
    __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

#endif
