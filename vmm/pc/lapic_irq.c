/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests, priorities and ends of interrupts: SDM volume 3, 11.8. */
#include "vmm/pc/lapic.h"

#define WORDS         8U
#define CLASS(vector) ((unsigned)(vector) >> 4)
#define LVT_MODE(lvt) ((lvt) >> 8 & 7U)

static uint32_t bit(uint8_t vector)
{
    return 1U << (vector & 31U);
}

/* The highest bit set in a 256-bit register, or -1. Each entry to a guest asks. */
static int highest(const uint32_t *words)
{
#pragma GCC unroll 4
    for (int i = (int)WORDS - 2; i >= 0; i -= 2) {
        uint64_t pair = *(const volatile lapic_pair_t *)&words[i];

        if (pair != 0) {
            return 32 * i + 63 - __builtin_clzll(pair);
        }
    }
    return -1;
}

static bool is_software_enabled(const struct lapic *l)
{
    return lapic_load(&l->state.mode) != LAPIC_DISABLED &&
           (lapic_load(&l->state.svr) & LAPIC_SVR_ENABLED) != 0;
}

static void request(struct lapic *l, uint8_t vector, bool level)
{
    if (level) {
        __atomic_fetch_or(&l->state.tmr[vector >> 5], bit(vector), __ATOMIC_RELAXED);
    } else {
        __atomic_fetch_and(&l->state.tmr[vector >> 5], ~bit(vector), __ATOMIC_RELAXED);
    }
    __atomic_fetch_or(&l->state.irr[vector >> 5], bit(vector), __ATOMIC_RELEASE);
}

bool lapic_accept(struct lapic *l, uint8_t vector, bool level)
{
    if (!is_software_enabled(l)) {
        return false;
    }
    if (vector < LAPIC_VECTOR_MIN) {
        lapic_raise_error(l, LAPIC_ERROR_RECEIVE_VECTOR);
        return false;
    }
    request(l, vector, level);
    return true;
}

void lapic_raise_error(struct lapic *l, uint32_t error)
{
    uint32_t lvt = lapic_load(&l->state.lvt[LAPIC_LVT_ERROR]);

    __atomic_fetch_or(&l->state.pending_errors, error, __ATOMIC_RELAXED);
    /* A bad vector in the error entry itself is only noted: it must not raise errors for ever. */
    if ((lvt & LAPIC_LVT_MASKED) == 0 && (lvt & 0xffU) >= LAPIC_VECTOR_MIN &&
        is_software_enabled(l)) {
        request(l, (uint8_t)lvt, false);
    }
}

uint8_t lapic_ppr(const struct lapic *l)
{
    int serving = highest(l->state.isr);
    uint32_t in_service = serving < 0 ? 0 : (uint32_t)serving & 0xf0U;

    return (uint8_t)(CLASS(l->state.tpr) >= CLASS(in_service) ? l->state.tpr : in_service);
}

int lapic_pending(const struct lapic *l)
{
    if (l->state.mode == LAPIC_DISABLED) {
        return -1;
    }
    int vector = highest(l->state.irr);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return vector >= 0 && CLASS(vector) > CLASS(lapic_ppr(l)) ? vector : -1;
}

bool lapic_blocked_by_tpr(const struct lapic *l)
{
    /* No vector's class is 0, which nearly every TPR's is. */
    if (l->state.mode == LAPIC_DISABLED || CLASS(l->state.tpr) == 0) {
        return false;
    }
    int vector = highest(l->state.irr);
    int serving = highest(l->state.isr);

    return vector >= 0 && CLASS(vector) <= CLASS(l->state.tpr) &&
           (serving < 0 || CLASS(vector) > CLASS(serving));
}

void lapic_offer(struct lapic *l, uint8_t vector)
{
    __atomic_fetch_and(&l->state.irr[vector >> 5], ~bit(vector), __ATOMIC_ACQUIRE);
}

void lapic_settle(struct lapic *l, uint8_t vector, bool taken)
{
    if (taken) {
        l->state.isr[vector >> 5] |= bit(vector);
    } else {
        __atomic_fetch_or(&l->state.irr[vector >> 5], bit(vector), __ATOMIC_RELEASE);
    }
}

void lapic_end_of_interrupt(struct lapic *l, struct lapic_effect *effect)
{
    int serving = highest(l->state.isr);

    if (serving < 0) {
        return;
    }
    l->state.isr[serving >> 5] &= ~bit((uint8_t)serving);
    lapic_has_ended(l, (uint8_t)serving, effect);
}

void lapic_has_ended(const struct lapic *l, uint8_t vector, struct lapic_effect *effect)
{
    if ((lapic_load(&l->state.tmr[vector >> 5]) & bit(vector)) != 0 &&
        (l->state.svr & LAPIC_SVR_NO_BROADCAST) == 0) {
        effect->kind = LAPIC_EFFECT_EOI;
        effect->message.vector = vector;
    }
}

bool lapic_accepts_extint(const struct lapic *l)
{
    uint32_t lvt = lapic_load(&l->state.lvt[LAPIC_LVT_LINT0]);

    if (lapic_load(&l->state.mode) == LAPIC_DISABLED) {
        return l->id == 0; /* LINT0 is then the INTR pin, which is wired to the boot CPU */
    }
    return (lvt & LAPIC_LVT_MASKED) == 0 && LVT_MODE(lvt) == APIC_DELIVERY_EXTINT;
}
