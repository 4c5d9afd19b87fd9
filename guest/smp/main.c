/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several CPUs: INIT and SIPI, interrupts between them by every destination form, NMI, TSCs that
 * agree, atomic operations, and a CPU that is started again.
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/lib/smp.h"

#include <stdio.h>
#include <string.h>

#define VECTOR_IPI 0x55
#define VECTOR_NMI 2
#define ROUNDS     1000
#define INCREMENTS 20000
#define FLAT_MODEL 0xffffffffU

static volatile unsigned received[SMP_CPUS_MAX], nmis[SMP_CPUS_MAX], counter, ready;
static volatile bool stop, with_interrupts;
static volatile uint64_t tsc_shared;
static unsigned cpus;

static void handle_ipi(struct guest_frame *frame)
{
    received[smp_index()]++;
    apic_write(APIC_EOI, 0);
}

static void handle_nmi(struct guest_frame *frame)
{
    nmis[smp_index()]++;
}

static void listen(unsigned index)
{
    apic_write(APIC_DFR, FLAT_MODEL);
    apic_write(APIC_LDR, 1U << (24 + index));
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    while (!stop) {
        irq_wait();
    }
}

static void wait_for(const volatile unsigned *value, unsigned wanted)
{
    while (*value < wanted) {
        cpu_relax();
    }
}

static void start_all(void (*function)(unsigned index))
{
    stop = false;
    ready = 0;
    for (unsigned i = 1; i < cpus; i++) {
        CHECK(smp_start(i, function));
    }
    wait_for(&ready, cpus - 1);
}

static void stop_all(void)
{
    stop = true;
    apic_send(0, ICR_ALL_OTHER | ICR_ASSERT | VECTOR_IPI);
    for (unsigned i = 1; i < cpus; i++) {
        while (!smp_finished(i)) {
            cpu_relax();
        }
    }
}

static void test_ipis(void)
{
    test_group("interrupts to one, to all others, to a logical set");
    start_all(listen);
    for (unsigned i = 1; i < cpus; i++) {
        unsigned before = received[i];

        apic_send(i, ICR_ASSERT | VECTOR_IPI);
        wait_for(&received[i], before + 1);
        CHECK_EQUAL(received[i], before + 1);
    }
    unsigned others[SMP_CPUS_MAX] = {0};

    for (unsigned i = 1; i < cpus; i++) {
        others[i] = received[i];
    }
    apic_send(0, ICR_ALL_OTHER | ICR_ASSERT | VECTOR_IPI);
    for (unsigned i = 1; i < cpus; i++) { /* also so that none is still on its way below */
        wait_for(&received[i], others[i] + 1);
    }
    CHECK_EQUAL(received[0], 0);
    unsigned logical = received[1];

    apic_send(1U << 1, ICR_LOGICAL | ICR_ASSERT | VECTOR_IPI);
    wait_for(&received[1], logical + 1);
    CHECK_EQUAL(received[1], logical + 1);

    test_group("NMI");
    unsigned nmis_before = nmis[1];

    apic_send(1, ICR_NMI | ICR_ASSERT);
    wait_for(&nmis[1], nmis_before + 1);
    CHECK_EQUAL(nmis[1], nmis_before + 1);

    test_group("a thousand interrupts, none lost when each is waited for");
    unsigned first = received[1];

    for (unsigned round = 1; round <= ROUNDS; round++) {
        apic_send(1, ICR_ASSERT | VECTOR_IPI);
        wait_for(&received[1], first + round);
    }
    CHECK_EQUAL(received[1], first + ROUNDS);
    stop_all();
}

/* ---- what INIT lets stay: SDM 3, table 9-1 ---- */

static const struct {
    uint32_t msr;
    uint64_t value;
} lasting[] = {
    {0x174,      0x10              }, /* SYSENTER_CS, ESP, EIP */
    {0x175,      0xffff800000001000},
    {0x176,      0xffff800000002000},
    {0xc0000081, 0x0023001000000000}, /* STAR, LSTAR, CSTAR, SFMASK */
    {0xc0000082, 0xffff800012345678},
    {0xc0000083, 0xffff800012340000},
    {0xc0000084, 0x47700           },
    {0xc0000102, 0xffff900000000000}, /* KERNEL_GS_BASE */
    {0x277,      0x0007010600070106}, /* PAT */
};
#define LASTING (sizeof(lasting) / sizeof(lasting[0]))

static volatile uint64_t found[LASTING];

static void write_lasting(unsigned index)
{
    for (unsigned i = 0; i < LASTING; i++) {
        wrmsr(lasting[i].msr, lasting[i].value);
    }
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
}

static void read_lasting(unsigned index)
{
    for (unsigned i = 0; i < LASTING; i++) {
        found[i] = rdmsr(lasting[i].msr);
    }
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
}

static void test_init(void)
{
    if (strstr(guest_command_line(), "lenient")) {
        printf("skipped: what INIT lets stay: QEMU clears it\n");
        return;
    }
    test_group("model registers stay when a CPU is started again");
    start_all(write_lasting);
    start_all(read_lasting);
    for (unsigned i = 0; i < LASTING; i++) {
        CHECK_EQUAL(found[i], lasting[i].value);
    }
}

static void count_up(unsigned index)
{
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < INCREMENTS; i++) {
        __atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
    }
}

static void test_atomics(void)
{
    test_group("locked additions of all CPUs add up");
    counter = 0;
    start_all(count_up);
    for (unsigned i = 1; i < cpus; i++) {
        while (!smp_finished(i)) {
            cpu_relax();
        }
    }
    CHECK_EQUAL(counter, (cpus - 1) * INCREMENTS);
}

/* Each CPU in turn takes the shared time stamp forward; it must never see one from the future. */
static volatile unsigned backwards;

static void compare_tsc(unsigned index)
{
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    if (with_interrupts) {
        __asm__ volatile("sti");
    }
    while (!stop) {
        uint64_t seen = tsc_shared;

        __asm__ volatile("lfence" ::: "memory");
        uint64_t now = rdtsc();

        if (now < seen) {
            backwards++;
        }
        tsc_shared = now;
    }
    __asm__ volatile("cli");
}

static void test_tsc(void)
{
    test_group("time stamps of different CPUs do not run backwards");
    tsc_shared = 0;
    start_all(compare_tsc);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t seen = tsc_shared;

        __asm__ volatile("lfence" ::: "memory");
        if (rdtsc() < seen) {
            backwards++;
        }
    }
    stop = true;
    for (unsigned i = 1; i < cpus; i++) {
        while (!smp_finished(i)) {
            cpu_relax();
        }
    }
    CHECK_EQUAL(backwards, 0);
}

int main(void)
{
    cpus = smp_cpu_count();
    if (cpus < 2) {
        printf("skipped: this machine has one CPU\n");
        test_end();
    }
    with_interrupts = strstr(guest_command_line(), "no-deaf");
    if (with_interrupts) {
        printf(
            "skipped: a CPU that spins with interrupts off: this one's VMM cannot interrupt it\n");
    }
    pic_mask_all();
    apic_enable();
    interrupt_set_handler(VECTOR_IPI, handle_ipi);
    interrupt_set_handler(VECTOR_NMI, handle_nmi);
    test_ipis();
    test_init();
    test_atomics();
    test_tsc();
    test_ipis(); /* CPUs can be started again */
    test_end();
}
