/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC's timer: SDM volume 3, 11.5.4. */
#include "vmm/pc/clock.h"
#include "vmm/pc/lapic.h"

#define LVT_TIMER_MODE(lvt) ((lvt) >> 17 & 3U)
#define DIVIDE_WRITABLE     0xbU

enum { ONE_SHOT = 0, PERIODIC = 1, TSC_DEADLINE = 2 };

static unsigned mode(const struct lapic *l)
{
    return LVT_TIMER_MODE(l->state.lvt[LAPIC_LVT_TIMER]);
}

/* Bits 3, 1 and 0 of the register: 0 divides by 2, each step doubles, 7 divides by 1. */
static uint32_t divisor(const struct lapic *l)
{
    uint32_t code = (l->state.divide >> 1 & 4U) | (l->state.divide & 3U);

    return 1U << ((code + 1) & 7U);
}

/* Nanoseconds in which the initial count runs out: below 2^39. */
static uint64_t period(const struct lapic *l)
{
    return (uint64_t)l->state.initial_count * divisor(l);
}

static uint64_t guest_tsc(const struct lapic *l, uint64_t now)
{
    return l->state.tsc_offset + clock_ticks(now, l->tsc_hz, 1);
}

/* The first expiry of a periodic count after NOW; of short periods each that lies a bearable time
 * after another. */
static uint64_t next_boundary(const struct lapic *l, uint64_t now)
{
    uint64_t step = period(l);

    if (step < CLOCK_PERIOD_MIN_NS) {
        step *= (CLOCK_PERIOD_MIN_NS + step - 1) / step;
    }
    return l->state.count_start + ((now - l->state.count_start) / step + 1) * step;
}

static uint64_t tsc_deadline_time(const struct lapic *l, uint64_t now)
{
    uint64_t tsc = guest_tsc(l, now);

    if (l->state.tsc_deadline <= tsc) {
        return now;
    }
    uint64_t ticks = clock_ticks(now, l->tsc_hz, 1);
    uint64_t wait = l->state.tsc_deadline - tsc;

    return wait > UINT64_MAX - ticks ? CLOCK_NEVER : clock_time_of_tick(ticks + wait, l->tsc_hz, 1);
}

/* Find the next expiry after the registers changed. */
static void arm(struct lapic *l, uint64_t now)
{
    l->timer_next = CLOCK_NEVER;
    if (l->state.mode == LAPIC_DISABLED) {
        return;
    }
    if (mode(l) == TSC_DEADLINE) {
        if (l->state.tsc_deadline != 0) {
            l->timer_next = tsc_deadline_time(l, now);
        }
    } else if (l->state.initial_count != 0 && !l->state.ran_out) {
        if (mode(l) == PERIODIC) {
            l->timer_next = next_boundary(l, now);
        } else if (now - l->state.count_start < period(l)) {
            l->timer_next = l->state.count_start + period(l);
        }
    }
}

void lapic_timer_derive(struct lapic *l)
{
    arm(l, l->state.last_now);
}

void lapic_timer_reset(struct lapic *l)
{
    l->state.initial_count = 0;
    l->state.ran_out = false;
    l->state.divide = 0;
    l->state.count_start = 0;
    l->timer_next = CLOCK_NEVER;
    l->state.tsc_deadline = 0;
}

/*
 * Before mode or divisor change. What counts goes on from where it is; a one-shot that has run out
 * stays at its end until a count is written, whatever its mode becomes (SDM 11.5.4; so does KVM).
 */
static void hold_count(struct lapic *l, uint64_t now)
{
    uint64_t gone = now - l->state.count_start;

    if (l->state.initial_count == 0 || gone < period(l)) {
        return;
    }
    if (mode(l) == PERIODIC) {
        l->state.count_start += gone / period(l) * period(l);
    } else {
        l->state.ran_out = true;
    }
}

void lapic_timer_write_lvt(struct lapic *l, uint32_t value, uint64_t now)
{
    uint32_t before = mode(l);

    if (before != LVT_TIMER_MODE(value)) {
        hold_count(l, now);
    }
    lapic_store(&l->state.lvt[LAPIC_LVT_TIMER], value);
    if (before != mode(l) && (before == TSC_DEADLINE || mode(l) == TSC_DEADLINE)) {
        l->state.tsc_deadline = 0; /* a change to or from deadline mode disarms (SDM 11.5.4.1) */
        l->state.initial_count = 0;
    }
    arm(l, now);
}

void lapic_timer_write_initial(struct lapic *l, uint32_t value, uint64_t now)
{
    if (mode(l) == TSC_DEADLINE) {
        return;
    }
    l->state.initial_count = value;
    l->state.ran_out = false;
    l->state.count_start = now;
    arm(l, now);
}

uint32_t lapic_timer_current(const struct lapic *l, uint64_t now)
{
    if (l->state.initial_count == 0 || l->state.ran_out || mode(l) == TSC_DEADLINE) {
        return 0;
    }
    uint64_t gone = now - l->state.count_start;

    if (mode(l) == PERIODIC) {
        gone %= period(l);
    } else if (gone >= period(l)) {
        return 0;
    }
    return l->state.initial_count - (uint32_t)(gone / divisor(l));
}

/* The count goes on from where it is, at the new speed; one that is at its end stays there. */
void lapic_timer_write_divide(struct lapic *l, uint32_t value, uint64_t now)
{
    hold_count(l, now);
    uint32_t current = lapic_timer_current(l, now);

    l->state.divide = value & DIVIDE_WRITABLE;
    uint64_t gone = (uint64_t)(l->state.initial_count - current) * divisor(l);

    /* One that at a slower speed would have begun before the VM did begins anew instead; of one
     * that has run out it does not matter. */
    l->state.count_start = now >= gone ? now - gone : now;
    arm(l, now);
}

void lapic_timer_write_deadline(struct lapic *l, uint64_t deadline, uint64_t now)
{
    if (mode(l) != TSC_DEADLINE) {
        return;
    }
    l->state.tsc_deadline = deadline;
    arm(l, now);
}

uint64_t lapic_timer_deadline(const struct lapic *l)
{
    return mode(l) == TSC_DEADLINE ? l->state.tsc_deadline : 0;
}

void lapic_timer_set_tsc_offset(struct lapic *l, uint64_t offset, uint64_t now)
{
    l->state.tsc_offset = offset;
    if (mode(l) == TSC_DEADLINE) {
        arm(l, now);
    }
}

void lapic_timer_run(struct lapic *l, uint64_t now)
{
    uint32_t lvt = l->state.lvt[LAPIC_LVT_TIMER];

    if (now < l->timer_next) {
        return;
    }
    if (mode(l) == PERIODIC) {
        l->timer_next = next_boundary(l, now);
    } else {
        l->timer_next = CLOCK_NEVER;
        l->state.tsc_deadline = 0;
    }
    if ((lvt & LAPIC_LVT_MASKED) == 0) {
        (void)lapic_accept(l, (uint8_t)lvt, false);
    }
}

uint64_t lapic_timer_next_event(const struct lapic *l)
{
    return (l->state.lvt[LAPIC_LVT_TIMER] & LAPIC_LVT_MASKED) != 0 ? CLOCK_NEVER : l->timer_next;
}
