/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC on one CPU, first by MMIO, then (where CPUID has it) by the MSRs of x2APIC:
 * priorities, self interrupts, EOI, the timer's modes, errors, and the state changes of
 * IA32_APIC_BASE.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define TICKS_LONG     2000000 /* long against what an exit costs, also where a TSC is slow */
#define VECTOR_LOW     0x41
#define VECTOR_HIGH    0x81
#define VECTOR_TIMER   0x61
#define VECTOR_GP      13
#define MSR_DEADLINE   0x6e0
#define DIVIDE_BY_1    0x0b
#define DIVIDE_BY_16   0x03
#define CPUID_X2APIC   (1U << 21)
#define CPUID_DEADLINE (1U << 24)

static volatile unsigned count[256], order[8], taken;

static void handle(struct guest_frame *frame)
{
    if (taken < 8) {
        order[taken++] = (unsigned)frame->vector;
    }
    count[frame->vector]++;
    apic_write(APIC_EOI, 0);
}

static void handle_without_eoi(struct guest_frame *frame)
{
    count[frame->vector]++;
}

static volatile unsigned depth, deepest;

/* Interrupts are off here for longer than the VMM leaves its CPU alone, and nothing exits by
 * itself. */
static void handle_slowly(struct guest_frame *frame)
{
    uint64_t began = rdtsc();

    if (++depth > deepest) {
        deepest = depth;
    }
    while (rdtsc() - began < TICKS_LONG) {
    }
    depth--;
    handle(frame);
}

static void open_window(void)
{
    irq_enable();
    for (unsigned i = 0; i < 100; i++) {
        cpu_relax();
    }
    irq_disable();
}

static void send_self(unsigned vector)
{
    apic_send(0, ICR_SELF | ICR_ASSERT | vector);
}

static void test_priorities(void)
{
    test_group("the higher vector first");
    taken = 0;
    count[VECTOR_LOW] = count[VECTOR_HIGH] = 0;
    send_self(VECTOR_LOW);
    send_self(VECTOR_HIGH);
    CHECK(apic_bit(APIC_IRR, VECTOR_LOW));
    CHECK(apic_bit(APIC_IRR, VECTOR_HIGH));
    CHECK(!apic_bit(APIC_ISR, VECTOR_HIGH));
    open_window();
    CHECK_EQUAL(taken, 2);
    CHECK_EQUAL(order[0], VECTOR_HIGH);
    CHECK_EQUAL(order[1], VECTOR_LOW);
    CHECK(!apic_bit(APIC_IRR, VECTOR_LOW));

    test_group("the task priority holds its class and lower ones back");
    apic_write(APIC_TPR, VECTOR_LOW & 0xf0);
    CHECK_EQUAL(apic_read(APIC_TPR), VECTOR_LOW & 0xf0);
    CHECK_EQUAL(apic_read(APIC_PPR), VECTOR_LOW & 0xf0);
    send_self(VECTOR_LOW);
    open_window();
    CHECK_EQUAL(count[VECTOR_LOW], 1);
    CHECK(apic_bit(APIC_IRR, VECTOR_LOW));
    apic_write(APIC_TPR, 0);
    open_window();
    CHECK_EQUAL(count[VECTOR_LOW], 2);

    test_group("CR8 is the task priority");
    __asm__ volatile("mov %0, %%cr8" ::"r"(4UL));
    CHECK_EQUAL(apic_read(APIC_TPR), 0x40);
    apic_write(APIC_TPR, 0x70);
    uint64_t cr8;

    __asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
    CHECK_EQUAL(cr8, 7);
    __asm__ volatile("mov %0, %%cr8" ::"r"(0UL));
    CHECK_EQUAL(apic_read(APIC_TPR), 0);

    test_group("in service blocks until EOI");
    interrupt_set_handler(VECTOR_HIGH, handle_without_eoi);
    send_self(VECTOR_HIGH);
    open_window();
    CHECK(apic_bit(APIC_ISR, VECTOR_HIGH));
    CHECK_EQUAL(apic_read(APIC_PPR), VECTOR_HIGH & 0xf0);
    send_self(VECTOR_LOW);
    send_self(VECTOR_HIGH);
    open_window();
    CHECK_EQUAL(count[VECTOR_LOW], 2);
    CHECK_EQUAL(count[VECTOR_HIGH], 2);
    apic_write(APIC_EOI, 0);
    CHECK(!apic_bit(APIC_ISR, VECTOR_HIGH));
    interrupt_set_handler(VECTOR_HIGH, handle);
    open_window();
    CHECK_EQUAL(count[VECTOR_LOW], 3);
    CHECK_EQUAL(count[VECTOR_HIGH], 3);
}

static void test_delivered_once(void)
{
    test_group("an interrupt comes once, whatever interrupts the VMM meanwhile");
    interrupt_set_handler(VECTOR_HIGH, handle_slowly);
    count[VECTOR_HIGH] = 0;
    for (unsigned i = 1; i <= 10; i++) {
        send_self(VECTOR_HIGH);
        open_window();
        CHECK_EQUAL(count[VECTOR_HIGH], i);
    }
    CHECK_EQUAL(deepest, 1);
    interrupt_set_handler(VECTOR_HIGH, handle);
}

/* How long TICKS of the timer take, in ticks of the TSC. */
static uint64_t time_timer(uint32_t ticks)
{
    uint64_t start = rdtsc();

    apic_write(APIC_TIMER_INITIAL, ticks);
    irq_wait();
    return rdtsc() - start;
}

static void test_one_shot(void)
{
    test_group("timer: one shot, once");
    count[VECTOR_TIMER] = 0;
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, 1000000);
    CHECK(apic_read(APIC_TIMER_CURRENT) <= 1000000);
    irq_wait();
    CHECK_EQUAL(count[VECTOR_TIMER], 1);
    CHECK_EQUAL(apic_read(APIC_TIMER_CURRENT), 0);

    apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR_TIMER);
    if (strstr(guest_command_line(), "lenient")) {
        printf(
            "skipped: a one-shot that is over stays so in periodic mode: QEMU starts it again\n");
    } else {
        test_group("timer: a one-shot that is over stays so in periodic mode");
        uint64_t began = rdtsc();

        while (rdtsc() - began < 10UL * TICKS_LONG) {
            open_window();
        }
        CHECK_EQUAL(count[VECTOR_TIMER], 1);
        CHECK_EQUAL(apic_read(APIC_TIMER_CURRENT), 0);
    }
}

static void test_periodic(void)
{
    test_group("timer: periodic, again and again");
    apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_PERIODIC | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, 500000);
    while (count[VECTOR_TIMER] < 5) {
        irq_wait();
    }
    CHECK(apic_read(APIC_TIMER_CURRENT) <= 500000);
    apic_write(APIC_TIMER_INITIAL, 0);
    CHECK_EQUAL(apic_read(APIC_TIMER_CURRENT), 0);
    open_window();
    unsigned stopped = count[VECTOR_TIMER];

    for (unsigned i = 0; i < 100; i++) {
        open_window();
    }
    CHECK_EQUAL(count[VECTOR_TIMER], stopped);

    test_group("timer: masked, it counts but does not interrupt");
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, 100000);
    while (apic_read(APIC_TIMER_CURRENT)) {
        cpu_relax();
    }
    open_window();
    CHECK_EQUAL(count[VECTOR_TIMER], stopped);
}

static void test_divider(void)
{
    test_group("timer: the divider divides");
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
    CHECK_EQUAL(apic_read(APIC_TIMER_DIVIDE), DIVIDE_BY_16);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    uint64_t slow = time_timer(TICKS_LONG);

    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    uint64_t fast = slow;

    /* The machine may stand still at any time, which only makes it longer: the shortest counts. */
    for (unsigned i = 0; i < 1000 && slow <= 4 * fast; i++) {
        uint64_t again = time_timer(TICKS_LONG);

        fast = again < fast ? again : fast;
    }
    CHECK(slow > 4 * fast);
}

static void test_timer_modes(void)
{
    test_one_shot();
    test_periodic();
    test_divider();
}

static void test_deadline(void)
{
    uint32_t id[4];

    cpuid(1, 0, id);
    if (!(id[2] & CPUID_DEADLINE)) {
        printf("skipped: TSC deadline: this CPU has none\n");
        return;
    }
    test_group("timer: TSC deadline");
    count[VECTOR_TIMER] = 0;
    apic_write(APIC_LVT_TIMER, APIC_LVT_TIMER_DEADLINE | VECTOR_TIMER);
    uint64_t deadline = rdtsc() + 10000000;

    wrmsr(MSR_DEADLINE, deadline);
    uint64_t left = rdmsr(MSR_DEADLINE);

    CHECK(left == deadline || (left == 0 && rdtsc() >= deadline));
    irq_wait();
    CHECK(rdtsc() >= deadline);
    CHECK_EQUAL(count[VECTOR_TIMER], 1);
    CHECK_EQUAL(rdmsr(MSR_DEADLINE), 0);
    wrmsr(MSR_DEADLINE, rdtsc() + 1000000000000);
    wrmsr(MSR_DEADLINE, 0); /* disarms */
    open_window();
    CHECK_EQUAL(count[VECTOR_TIMER], 1);
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
}

static void test_registers(void)
{
    test_group("identity and reserved bits");
    CHECK_EQUAL(apic_id(), 0);
    CHECK_EQUAL(apic_read(APIC_VERSION) & 0xf0, 0x10);
    CHECK((apic_read(APIC_VERSION) >> 16 & 0xff) >= 3);
    CHECK(rdmsr(MSR_APIC) & MSR_APIC_BSP);
    CHECK(rdmsr(MSR_APIC) & MSR_APIC_ENABLE);
    CHECK_EQUAL(rdmsr(MSR_APIC) >> 12 << 12, APIC_BASE);
}

static void write_msr_apic_base(void *value)
{
    wrmsr(MSR_APIC, *(uint64_t *)value);
}

static void read_x2apic_id(void *unused)
{
    rdmsr(MSR_X2APIC + APIC_ID / 16);
}

static void write_x2apic_id(void *unused)
{
    wrmsr(MSR_X2APIC + APIC_ID / 16, 0);
}

static void write_x2apic_eoi(void *value)
{
    wrmsr(MSR_X2APIC + APIC_EOI / 16, *(uint64_t *)value);
}

static void test_x2apic(void)
{
    uint32_t id[4];
    uint64_t base = rdmsr(MSR_APIC), wrong = 1;

    cpuid(1, 0, id);
    if (!(id[2] & CPUID_X2APIC)) {
        printf("skipped: x2APIC: this CPU has none\n");
        return;
    }
    test_group("x2APIC: its registers exist only in that mode");
    CHECK_EQUAL(fault_catch(read_x2apic_id, NULL), VECTOR_GP);
    wrmsr(MSR_APIC, base | MSR_APIC_EXTD);
    CHECK(apic_is_x2apic());
    CHECK_EQUAL(fault_catch(read_x2apic_id, NULL), -1);
    CHECK_EQUAL(fault_catch(write_x2apic_id, NULL), VECTOR_GP);
    CHECK_EQUAL(fault_catch(write_x2apic_eoi, &wrong), VECTOR_GP);
    CHECK_EQUAL(fault_catch(write_msr_apic_base, &base), VECTOR_GP);
    apic_enable();
    test_priorities();
    test_delivered_once();
    test_timer_modes();
    test_deadline();

    test_group("x2APIC: off and back to xAPIC");
    wrmsr(MSR_APIC, base & ~(uint64_t)MSR_APIC_ENABLE);
    wrmsr(MSR_APIC, base);
    CHECK(!apic_is_x2apic());
    apic_enable();
    CHECK_EQUAL(apic_read(APIC_VERSION) & 0xf0, 0x10);
}

int main(void)
{
    pic_mask_all();
    apic_enable();
    for (unsigned vector = 0x40; vector < 0xf0; vector++) {
        interrupt_set_handler(vector, handle);
    }
    test_registers();
    test_priorities();
    test_delivered_once();
    test_timer_modes();
    test_deadline();
    test_x2apic();
    test_end();
}
