/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every way in which a program resets its machine: the keyboard controller, port 92h, port CF9h, a
 * jump to the reset vector in real mode, an INIT to the boot CPU, a triple fault. The count of
 * boots is in CMOS RAM, which a reset keeps; registers must be as after power-on each time, and
 * what was on before must be off.
 *
 * Options:
 *   die=N    a triple fault at once, for N boots: like a kernel that is no good
 *   work     take an interrupt before: this kernel is good for something
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define CMOS_MAGIC   0x78
#define CMOS_BOOT    0x79
#define CMOS_FAILED  0x7a
#define MAGIC        0x6d
#define PATIENCE     400000000UL
#define MSR_LSTAR    0xc0000082
#define PIC_MASK_ODD 0x5a
#define SCRATCH_ODD  0x77
#define PCI_ADDRESS  0xcf8
#define RESET_CODE   0x9000 /* as in vector.S */
#define WORK_VECTOR  0x40
#define PCI_ROUTE_A  0x80000860 /* the ISA bridge's PIRQ routing register */

extern const uint8_t reset_code[], reset_code_end[];

void reset_by_vector(void) __attribute__((noreturn));

static uint8_t cmos_read(uint8_t index)
{
    outb(0x70, index);
    return inb(0x71);
}

static void cmos_write(uint8_t index, uint8_t value)
{
    outb(0x70, index);
    outb(0x71, value);
}

static void by_keyboard(void)
{
    while (inb(0x64) & 2) {
        cpu_relax();
    }
    outb(0x64, 0xfe);
}

static void by_port_92(void)
{
    outb(0x92, (uint8_t)(inb(0x92) & ~1));
    outb(0x92, (uint8_t)(inb(0x92) | 1));
}

static void by_port_cf9(void)
{
    outb(0xcf9, 0x02);
    outb(0xcf9, 0x06);
}

static void by_vector(void)
{
    memcpy((void *)RESET_CODE, reset_code, (size_t)(reset_code_end - reset_code));
    reset_by_vector();
}

/* The boot CPU goes to FFFFFFF0h, where firmware takes it for a reset. */
static void by_init(void)
{
    apic_send(0, ICR_INIT | ICR_ASSERT);
}

static void by_triple_fault(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) nothing = {0, 0};

    __asm__ volatile("lidt %0; ud2" ::"m"(nothing));
}

static const struct {
    const char *name;
    void (*reset)(void);
} ways[] = {
    {"the keyboard controller", by_keyboard    },
    {"port 92h",                by_port_92     },
    {"port CF9h",               by_port_cf9    },
    {"the reset vector",        by_vector      },
    {"INIT",                    by_init        },
    {"a triple fault",          by_triple_fault},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* What the program before the reset left in devices and registers. */
static void disturb(void)
{
    outb(0x21, PIC_MASK_ODD);
    outb(0x3ff, SCRATCH_ODD);
    outb(0x3f9, 0x0f);
    outl(PCI_ADDRESS, PCI_ROUTE_A);
    outl(0xcfc, 0x05050505);
    wrmsr(MSR_LSTAR, 0xffff800000001000);
    apic_enable();
    apic_write(APIC_TPR, 0x30);
    ioapic_route(9, APIC_LVT_MASKED | 0x99, 7);
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr7" ::"r"(0x12345678UL), "r"(0x401UL));
}

static void check_after(void)
{
    uint64_t dr0, dr7;

    test_group("the machine is as after power-on");
    CHECK_EQUAL(rdmsr(MSR_LSTAR), 0);
    __asm__ volatile("mov %%dr0, %0; mov %%dr7, %1" : "=r"(dr0), "=r"(dr7));
    CHECK_EQUAL(dr0, 0);
    CHECK_EQUAL(dr7, 0x400);
    CHECK_EQUAL(apic_read(APIC_TPR), 0);
    CHECK(apic_read(APIC_LVT_TIMER) & APIC_LVT_MASKED);
    CHECK_EQUAL(ioapic_read(0x10 + 2 * 9) & 0xff, 0);
    CHECK_EQUAL(inb(0x3f9), 0);
    CHECK(inb(0x21) != PIC_MASK_ODD);
    outl(PCI_ADDRESS, PCI_ROUTE_A);
    CHECK(inl(0xcfc) != 0x05050505);
}

static volatile unsigned worked;

static void handle_work(struct guest_frame *frame)
{
    worked++;
    apic_write(APIC_EOI, 0);
}

/* Die DEATHS times, having done a bit of WORK or not, and then end well. */
static void die(uint8_t boot, uint64_t deaths, bool work)
{
    cmos_write(CMOS_MAGIC, MAGIC);
    cmos_write(CMOS_BOOT, (uint8_t)(boot + 1));
    if (work) {
        interrupt_set_handler(WORK_VECTOR, handle_work);
        pic_mask_all();
        apic_enable();
        apic_send(0, ICR_SELF | ICR_ASSERT | WORK_VECTOR);
        irq_poll();
        CHECK_EQUAL(worked, 1);
    }
    if (boot < deaths) {
        by_triple_fault();
    }
    cmos_write(CMOS_MAGIC, 0);
    test_end();
}

int main(void)
{
    uint8_t boot = cmos_read(CMOS_MAGIC) == MAGIC ? cmos_read(CMOS_BOOT) : 0;
    unsigned last = WAYS;
    uint64_t deaths = guest_option("die", 0);

    if (deaths) {
        die(boot, deaths, strstr(guest_command_line(), "work") != NULL);
    }
    if (strstr(guest_command_line(), "no-triple-fault")) {
        printf("skipped: a triple fault: it ends the emulator\n");
        last--;
    }
    if (boot == 0) {
        cmos_write(CMOS_FAILED, 0);
        cmos_write(CMOS_MAGIC, MAGIC);
    } else {
        printf("reset: back from %s\n", ways[(boot - 1U) % WAYS].name);
        check_after();
        cmos_write(CMOS_FAILED, (uint8_t)(cmos_read(CMOS_FAILED) + test_failures()));
    }
    if (boot >= last) {
        CHECK_EQUAL(boot, last);
        CHECK_EQUAL(cmos_read(CMOS_FAILED), 0);
        cmos_write(CMOS_MAGIC, 0);
        test_end();
    }
    printf("reset: now by %s\n", ways[boot].name);
    cmos_write(CMOS_BOOT, (uint8_t)(boot + 1));
    disturb();
    ways[boot].reset();
    for (uint64_t i = 0; i < PATIENCE; i++) {
        cpu_relax();
    }
    test_group(ways[boot].name);
    CHECK(!"the machine is still running");
    cmos_write(CMOS_MAGIC, 0);
    test_end();
}
