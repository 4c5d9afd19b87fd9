/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/apic.h"

#include "vmm/host/cpuid.h"
#include "vmm/host/instructions.h"
#include "vmm/host/irq.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/mmio.h"
#include "vmm/host/msr.h"
#include "vmm/host/trap.h"

#define CPUID_1_ECX_X2APIC (1U << 21)
#define CPUID_1_EDX_APIC   (1U << 9)

#define BASE_X2APIC  (1ULL << 10)
#define BASE_ENABLE  (1ULL << 11)
#define BASE_ADDRESS 0x000ffffffffff000ULL

/* Offsets of the registers in the page; divided by 16, of their MSRs. */
enum apic_register {
    APIC_ID = 0x020,
    APIC_TPR = 0x080,
    APIC_EOI = 0x0b0,
    APIC_SVR = 0x0f0,
    APIC_ICR_LOW = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define LVT_MASKED     (1U << 16)
#define DIVIDE_BY_1    0xbU
#define SVR_ENABLE     (1U << 8)
#define ICR_NMI        (4U << 8)
#define ICR_INIT       (5U << 8)
#define ICR_STARTUP    (6U << 8)
#define ICR_PENDING    (1U << 12)
#define ICR_ASSERT     (1U << 14)
#define ICR_ALL_OTHERS (3U << 18)
#define ICR_WAIT_MAX   1000000U

static const enum apic_register masked_at_start[] = {
    APIC_LVT_TIMER,
    APIC_LVT_LINT0,
    APIC_LVT_LINT1,
    APIC_LVT_ERROR,
};

static bool x2apic;
static volatile uint8_t *registers;

enum status apic_init(hpa_t base)
{
    struct cpuid features = cpuid_read(1, 0);

    x2apic = features.ecx & CPUID_1_ECX_X2APIC;
    if (x2apic) {
        return STATUS_OK;
    }
    if (!(features.edx & CPUID_1_EDX_APIC)) {
        return STATUS_NOTE(STATUS_UNSUPPORTED);
    }
    if (base.raw == 0) {
        (void)msr_read(MSR_APIC_BASE, &base.raw);
        base.raw &= BASE_ADDRESS;
    }
    registers = map_physical(base, PAGE_SIZE, MAP_DEVICE);
    return registers ? STATUS_OK : STATUS_NOTE(STATUS_NO_MEMORY);
}

bool apic_is_x2apic(void)
{
    return x2apic;
}

static uint32_t apic_read(enum apic_register reg)
{
    uint64_t value;

    if (!x2apic) {
        return mmio_read32(registers + reg);
    }
    (void)msr_read(MSR_X2APIC_FIRST + reg / 16, &value);
    return (uint32_t)value;
}

/* A VALUE that no CPU refuses. An interrupt of a guest's timer takes several, so it is no call. */
static inline void apic_write(enum apic_register reg, uint32_t value)
{
    if (x2apic) {
        cpu_write_msr(MSR_X2APIC_FIRST + reg / 16, value);
    } else {
        mmio_write32(registers + reg, value);
    }
}

void apic_enable_cpu(void)
{
    uint64_t base;

    (void)msr_read(MSR_APIC_BASE, &base);
    (void)msr_write(MSR_APIC_BASE, base | BASE_ENABLE | (x2apic ? BASE_X2APIC : 0));
    for (unsigned i = 0; i < ARRAY_SIZE(masked_at_start); i++) {
        apic_write(masked_at_start[i], LVT_MASKED);
    }
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    apic_write(APIC_TIMER_INITIAL, 0); /* what the firmware may have left */
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER); /* one shot, not masked */
}

uint32_t apic_id(void)
{
    uint32_t id = apic_read(APIC_ID);

    return x2apic ? id : id >> 24;
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

static void apic_command(uint32_t destination, uint32_t command)
{
    if (x2apic) {
        /* The write is not serialising: what was stored before must be seen by the one that wakes.
         */
        __asm__ volatile("mfence; lfence" ::: "memory");
        (void)msr_write(MSR_X2APIC_FIRST + APIC_ICR_LOW / 16,
                        (uint64_t)destination << 32 | command);
        return;
    }
    uint64_t flags = irq_save();

    mmio_write32(registers + APIC_ICR_HIGH, destination << 24);
    mmio_write32(registers + APIC_ICR_LOW, command);
    for (unsigned i = 0; i < ICR_WAIT_MAX && (mmio_read32(registers + APIC_ICR_LOW) & ICR_PENDING);
         i++) {
        cpu_relax();
    }
    irq_restore(flags);
}

void apic_send(uint32_t destination, uint8_t vector)
{
    apic_command(destination, ICR_ASSERT | vector);
}

void apic_send_init(uint32_t destination)
{
    apic_command(destination, ICR_INIT | ICR_ASSERT);
}

void apic_send_startup(uint32_t destination, hpa_t page)
{
    apic_command(destination, ICR_STARTUP | ICR_ASSERT | (uint32_t)(page.raw >> 12));
}

void apic_send_nmi_to_others(void)
{
    if (x2apic || registers) {
        apic_command(0, ICR_NMI | ICR_ASSERT | ICR_ALL_OTHERS);
    }
}

void apic_timer_start(uint32_t ticks)
{
    apic_write(APIC_TIMER_INITIAL, ticks);
}

uint32_t apic_timer_left(void)
{
    return apic_read(APIC_TIMER_CURRENT);
}
