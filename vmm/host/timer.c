/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/timer.h"

#include "vmm/base/types.h"
#include "vmm/host/apic.h"
#include "vmm/host/irq.h"
#include "vmm/host/time.h"

#define CALIBRATE_US 10000U
#define TRIES        3U
#define NS_PER_S     1000000000ULL
#define HZ_MIN       1000000U
#define WAIT_MAX_NS  (1ULL << 50) /* more ticks than fit, at any rate */

static uint64_t rate; /* ticks a second */

/*
 * The most of three tries: an emulator's host may take the CPU away in between, and what it takes
 * there counts for the time, not for the timer.
 */
enum status timer_init(void)
{
    rate = 0;
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t from = time_now_ns();

        apic_timer_start(UINT32_MAX);
        time_delay_us(CALIBRATE_US);
        uint32_t gone = UINT32_MAX - apic_timer_left();
        uint64_t took = time_now_ns() - from;
        uint64_t hz = took ? time_scale(gone, NS_PER_S, took) : 0;

        apic_timer_start(0);
        rate = hz > rate ? hz : rate;
    }
    return rate < HZ_MIN ? STATUS_NOTE(STATUS_UNSUPPORTED) : STATUS_OK;
}

uint32_t timer_ticks(uint64_t now, uint64_t deadline, uint64_t hz)
{
    if (deadline <= now) {
        return 1;
    }
    uint64_t wait = deadline - now < WAIT_MAX_NS ? deadline - now : WAIT_MAX_NS;
    uint64_t ticks = time_scale(wait, hz, NS_PER_S) + 1;

    return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX; /* timer_fired() sets it again then */
}

void timer_set(enum timer_user user, uint64_t deadline)
{
    uint64_t flags = irq_save();
    struct cpu *cpu = cpu_current();
    uint64_t first = deadline;

    cpu->timer[user] = deadline;
    for (unsigned i = 0; i < TIMER_USERS; i++) {
        first = cpu->timer[i] < first ? cpu->timer[i] : first;
    }
    apic_timer_start(first == TIMER_NEVER ? 0 : timer_ticks(time_now_ns(), first, rate));
    irq_restore(flags);
}

void timer_fired(void)
{
    const struct cpu *cpu = cpu_current();
    uint64_t now = time_now_ns(), first = TIMER_NEVER;

    for (unsigned i = 0; i < TIMER_USERS; i++) {
        if (cpu->timer[i] > now && cpu->timer[i] < first) {
            first = cpu->timer[i];
        }
    }
    if (first != TIMER_NEVER) {
        apic_timer_start(timer_ticks(now, first, rate));
    }
}

void timer_set_service(timer_service_function service)
{
    cpu_current()->service = service;
    timer_set(TIMER_SERVICE, 0);
}

bool timer_service_is_due(void)
{
    const struct cpu *cpu = cpu_current();

    return cpu->service && !cpu->in_service && time_now_ns() >= cpu->timer[TIMER_SERVICE];
}

void timer_service(void)
{
    struct cpu *cpu = cpu_current();

    if (timer_service_is_due()) {
        struct guest_log *guest = cpu->guest_log;

        cpu->in_service = true;
        cpu->guest_log = NULL; /* the service is no guest's doing */
        timer_set(TIMER_SERVICE, cpu->service(time_now_ns()));
        cpu->guest_log = guest;
        cpu->in_service = false;
    }
}
