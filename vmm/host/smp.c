/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/smp.h"

#include "vmm/base/log.h"
#include "vmm/host/apic.h"
#include "vmm/host/frame.h"
#include "vmm/host/instructions.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/paging.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/host/trap.h"

#include <string.h>

/* Intel SDM 3, 9.4.4.1: INIT, 10 ms, STARTUP, 200 us, STARTUP. */
#define INIT_WAIT_US    10000U
#define STARTUP_WAIT_US 200U
#define ANSWER_WAIT_US  500000U
#define POLL_US         100U

struct trampoline_data {
    uint64_t cr3;
    uint64_t stack;
    uint64_t cpu;
    uint64_t entry;
};

extern const uint8_t trampoline[], trampoline_data[], trampoline_end[];

static struct skew skew; /* of the CPU that is being started */

static void smp_entry(struct cpu *cpu) __attribute__((noreturn));

static void smp_entry(struct cpu *cpu)
{
    cpu_load(cpu);
    apic_enable_cpu();
    __atomic_store_n(&cpu->started, true, __ATOMIC_RELEASE);
    skew_answer(&skew);
    smp_idle();
}

static bool smp_wait(const struct cpu *cpu, uint64_t us)
{
    for (uint64_t waited = 0; waited < us; waited += POLL_US) {
        if (__atomic_load_n(&cpu->started, __ATOMIC_ACQUIRE)) {
            return true;
        }
        time_delay_us(POLL_US);
    }
    return false;
}

/* VMs are given time by the TSC of whatever CPU asks. */
static void smp_compare_time(const struct cpu *cpu)
{
    int64_t ticks;

    if (skew_measure(&skew, &ticks) != STATUS_OK) {
        log_warn("CPU %u started, but does not answer: its TSC is not compared with the boot CPU's",
                 cpu->index);
    } else if (ticks != 0) {
        log_warn(
            "CPU %u: its TSC is %ld ticks or more %s the boot CPU's: time will jump in VMs with "
            "CPUs of both; look for newer firmware",
            cpu->index, ticks < 0 ? -ticks : ticks, ticks < 0 ? "behind" : "ahead of");
    }
}

static void smp_start_one(struct cpu *cpu, hpa_t page, volatile struct trampoline_data *data)
{
    data->cr3 = paging_root().raw;
    data->stack = cpu_stack_top(cpu->index, STACK_MAIN);
    data->cpu = (uint64_t)cpu;
    data->entry = (uint64_t)smp_entry;
    skew = (struct skew){0};
    apic_send_init(cpu->apic_id);
    time_delay_us(INIT_WAIT_US);
    apic_send_startup(cpu->apic_id, page);
    bool answered = smp_wait(cpu, STARTUP_WAIT_US);

    if (!answered) {
        apic_send_startup(cpu->apic_id, page);
        answered = smp_wait(cpu, ANSWER_WAIT_US);
    }
    if (answered) {
        smp_compare_time(cpu);
    } else {
        /* It may still be on its way: INIT stops it before the page below it is gone. */
        apic_send_init(cpu->apic_id);
        time_delay_us(INIT_WAIT_US);
        log_warn(
            "CPU %u (APIC id %u) does not start: it is left out; remove it from the VMs' 'cpus', "
            "or disable the core in the firmware set-up",
            cpu->index, cpu->apic_id);
    }
}

static void smp_start_all(const uint32_t *apic_ids, size_t count, uint32_t max, hpa_t page,
                          void *code)
{
    uint64_t data_at = (uint64_t)code + (uint64_t)(trampoline_data - trampoline);
    volatile struct trampoline_data *data = (volatile struct trampoline_data *)data_at;

    for (size_t i = 0; i < count; i++) {
        struct cpu *cpu;

        if (apic_ids[i] == cpu_current()->apic_id) {
            continue;
        }
        if (max && cpu_count() >= max) {
            log_info("CPUs: %zu more are not used (cpus_max = %u)", count - i, max);
            return;
        }
        if (apic_ids[i] > UINT8_MAX && !apic_is_x2apic()) {
            log_warn("CPU with APIC id %u cannot be reached without x2APIC: enable it in the "
                     "firmware set-up",
                     apic_ids[i]);
            continue;
        }
        if (cpu_create(apic_ids[i], &cpu) != STATUS_OK) {
            log_warn(
                "CPUs: APIC id %u and all behind it are not used: more than %u CPUs, or no memory",
                apic_ids[i], CPUS_MAX);
            return;
        }
        smp_start_one(cpu, page, data);
    }
}

enum status smp_start(const uint32_t *apic_ids, size_t count, uint32_t max)
{
    hpa_t page;

    cpu_current()->apic_id = apic_id();
    if (count == 0 || (count == 1 && apic_ids[0] == cpu_current()->apic_id)) {
        return STATUS_OK;
    }
    enum status status = frame_allocate(PAGE_SIZE, PAGE_SIZE, FRAME_BELOW_1M, &page);

    if (status != STATUS_OK) {
        log_warn(
            "CPUs: only the boot CPU is used: no free page below 1 MiB to start the others from");
        return status;
    }
    /* Mapped one to one and executable only while CPUs are started; written through another window.
     */
    void *code = map_physical(page, PAGE_SIZE, MAP_READ_WRITE);

    status = code ? paging_map(page.raw, page, PAGE_SIZE, PAGING_EXECUTE) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        memcpy(code, trampoline, (size_t)(trampoline_end - trampoline));
        smp_start_all(apic_ids, count, max, page, code);
        paging_unmap(page.raw, PAGE_SIZE);
    }
    if (code) {
        map_release(code, PAGE_SIZE);
    }
    (void)frame_free(page, PAGE_SIZE);
    return status;
}

enum status smp_call(struct cpu *cpu, cpu_function function, void *argument)
{
    if (__atomic_load_n(&cpu->call, __ATOMIC_ACQUIRE)) {
        return STATUS_NOTE(STATUS_STATE);
    }
    cpu->call_argument = argument;
    __atomic_store_n(&cpu->call, function, __ATOMIC_RELEASE);
    if (cpu != cpu_current()) {
        apic_send(cpu->apic_id, VECTOR_CALL);
    }
    return STATUS_OK;
}

void smp_idle(void)
{
    struct cpu *cpu = cpu_current();

    for (;;) {
        timer_service();
        cpu_irq_disable();
        cpu_function function = __atomic_load_n(&cpu->call, __ATOMIC_ACQUIRE);

        if (function) {
            void *argument = cpu->call_argument;

            __atomic_store_n(&cpu->call, NULL, __ATOMIC_RELEASE);
            cpu_irq_enable();
            function(argument);
        } else if (timer_service_is_due()) {
            cpu_irq_enable();
        } else {
            cpu_sleep(); /* STI's shadow: an interrupt that brings work cannot slip in before HLT */
        }
    }
}

void wait_us(uint64_t us)
{
    uint64_t deadline = time_now_ns() + us * 1000;

    timer_set(TIMER_WAIT, deadline);
    for (;;) {
        cpu_irq_disable(); /* or the timer could fire between the look and HLT */
        if (time_now_ns() >= deadline) {
            break;
        }
        if (timer_service_is_due()) {
            cpu_irq_enable();
            timer_service();
        } else {
            wait_for_interrupt();
        }
    }
    cpu_irq_enable();
    timer_set(TIMER_WAIT, TIMER_NEVER);
}

void wait_for_interrupt(void)
{
    cpu_sleep(); /* STI's shadow: an interrupt cannot slip in before HLT */
}
