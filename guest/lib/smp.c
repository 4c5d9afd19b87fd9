/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/smp.h"

#include "guest/lib/apic.h"

#include <string.h>

#define SMP_TRAMPOLINE   0x8000UL
#define SMP_STACK        16384
#define FW_CFG_SELECTOR  0x510
#define FW_CFG_DATA      0x511
#define FW_CFG_SIGNATURE 0x00
#define FW_CFG_NB_CPUS   0x05

extern const char smp_trampoline[], smp_trampoline_end[];
extern void *smp_stack;

void smp_main(void);

void *smp_stack;
static uint8_t stacks[SMP_CPUS_MAX][SMP_STACK] __attribute__((aligned(16)));
static void (*volatile start_function)(unsigned index);
static volatile unsigned start_index;
static volatile bool started[SMP_CPUS_MAX], finished[SMP_CPUS_MAX];

unsigned smp_cpu_count(void)
{
    char signature[4];

    outw(FW_CFG_SELECTOR, FW_CFG_SIGNATURE);
    for (unsigned i = 0; i < sizeof(signature); i++) {
        signature[i] = (char)inb(FW_CFG_DATA);
    }
    if (memcmp(signature, "QEMU", sizeof(signature)) != 0) {
        return 1;
    }
    outw(FW_CFG_SELECTOR, FW_CFG_NB_CPUS);
    unsigned low = inb(FW_CFG_DATA);

    return low | (unsigned)inb(FW_CFG_DATA) << 8;
}

unsigned smp_index(void)
{
    return apic_id();
}

void smp_main(void)
{
    unsigned index = start_index;
    void (*function)(unsigned index) = start_function;

    guest_setup_cpu(index);
    apic_enable();
    started[index] = true;
    function(index);
    finished[index] = true;
}

/* Wait by the PIT's channel 2, which every machine has; at most 50 ms. */
static void delay_ms(unsigned ms)
{
    uint16_t ticks = (uint16_t)(1193182 / 1000 * ms);

    outb(0x61, (uint8_t)(inb(0x61) & ~3));
    outb(0x43, 0xb0);
    outb(0x42, (uint8_t)ticks);
    outb(0x42, (uint8_t)(ticks >> 8));
    outb(0x61, (uint8_t)(inb(0x61) | 1));
    while (!(inb(0x61) & 0x20)) {
        cpu_relax();
    }
}

bool smp_start(unsigned index, void (*function)(unsigned index))
{
    memcpy((void *)SMP_TRAMPOLINE, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
    smp_stack = stacks[index] + SMP_STACK;
    start_function = function;
    start_index = index;
    started[index] = finished[index] = false;
    apic_send(index, ICR_INIT | ICR_ASSERT);
    delay_ms(10);
    apic_send(index, ICR_STARTUP | ICR_ASSERT | SMP_TRAMPOLINE >> 12);
    for (unsigned waited = 0; waited < 50 && !started[index]; waited++) {
        delay_ms(20);
    }
    return started[index];
}

bool smp_finished(unsigned index)
{
    return finished[index];
}
