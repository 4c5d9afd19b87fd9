/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that touches everything in every way, while time passes and wires move. After each step
 * what must always hold is checked.
 */
#include "tests/unit/pc/fake_edge.h"

#include "vmm/pc/clock.h"

#include <stdlib.h>
#include <string.h>

#define VCPUS 3U
#define LEVEL 0x8000U

static struct pc machine;
static uint64_t now;

struct input {
    const uint8_t *data;
    size_t left;
};

static uint64_t take(struct input *in, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size && in->left != 0; i++) {
        value |= (uint64_t)*in->data++ << 8 * i;
        in->left--;
    }
    return value;
}

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static const uint16_t ports[] = {
    0x20,  0x21,  0x40,  0x41,  0x42,  0x43,  0x60,  0x61,  0x64,  0x70,  0x71,
    0x72,  0x73,  0x80,  0x92,  0xa0,  0xa1,  0xb2,  0xf4,  0x3f8, 0x3f9, 0x3fa,
    0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x4d0, 0x4d1, 0x510, 0x511, 0x600, 0x604, 0x608,
    0x700, 0xcf8, 0xcf9, 0xcfc, 0xcfd, 0xcfe, 0xcff, 0xed,  0x602, 0x628, 0x702,
};

static uint16_t pick_port(struct input *in)
{
    uint8_t choice = (uint8_t)take(in, 1);

    return choice < 2 * sizeof(ports) / sizeof(ports[0]) ? ports[choice / 2]
                                                         : (uint16_t)take(in, 2);
}

static gpa_t pick_address(struct input *in)
{
    uint16_t choice = (uint16_t)take(in, 2);
    uint32_t offset = (choice & 0x8000U) != 0 ? choice & 0xfffU : choice & 0xff0U;

    return gpa(((choice & 0x1000U) != 0 ? IOAPIC_BASE : LAPIC_BASE) + offset);
}

/* Whom an interrupt goes to is drawn from the same vectors and CPUs all the time: they meet. */
static void route_pin(struct input *in)
{
    unsigned pin = (unsigned)take(in, 1) % IOAPIC_PINS;
    uint32_t low = (uint32_t)take(in, 3);
    uint32_t high = (uint32_t)(take(in, 1) % (VCPUS + 1)) << 24;
    const uint32_t writes[4][2] = {
        {0,    0x11 + 2 * pin},
        {0x10, high          },
        {0,    0x10 + 2 * pin},
        {0x10, low           }
    };

    for (unsigned i = 0; i < 4; i++) {
        require(pc_mmio_write(&machine, 0, gpa(IOAPIC_BASE + writes[i][0]), 4, writes[i][1], now));
    }
}

static void write_msr(struct input *in, unsigned vcpu)
{
    static const uint32_t msrs[] = {LAPIC_MSR_BASE, LAPIC_MSR_TSC_DEADLINE};
    uint8_t choice = (uint8_t)take(in, 1);
    uint32_t msr = choice < 0xc0 ? LAPIC_MSR_X2APIC + (choice & 0x3fU) : msrs[choice & 1U];
    uint64_t value = take(in, 1 + choice % 8);

    if (msr == LAPIC_MSR_BASE) {
        value = LAPIC_BASE | (value & 0xd00U);
    }
    (void)pc_msr_write(&machine, vcpu, msr, value, now);
    (void)pc_msr_read(&machine, vcpu, msr, now, &value);
}

static void serve(unsigned vcpu)
{
    bool pending = pc_interrupt_pending(&machine, vcpu);
    int vector = pc_interrupt_take(&machine, vcpu);

    require(pending == (vector >= 0));
    require(vector < 256);
}

static void access(struct input *in, uint8_t op)
{
    unsigned vcpu = op % VCPUS;
    unsigned width = 1U << (op >> 4 & 3U);
    uint64_t value;

    switch (op & 15U) {
    case 0:
    case 1:
        pc_port_write(&machine, pick_port(in), width > 4 ? 4 : width, (uint32_t)take(in, 4), now);
        break;
    case 2:
        (void)pc_port_read(&machine, pick_port(in), width > 4 ? 4 : width, now);
        break;
    case 3:
        pc_port_write(&machine, pick_port(in), 1, (uint32_t)take(in, 1), now);
        break;
    case 4:
        (void)pc_mmio_write(&machine, vcpu, pick_address(in), width, take(in, 4), now);
        break;
    case 5:
        (void)pc_mmio_read(&machine, vcpu, pick_address(in), width, now, &value);
        break;
    case 6:
        (void)pc_mmio_write(&machine, vcpu, gpa(LAPIC_BASE + 0xf0), 4, 0x1ff, now);
        break;
    case 7:
        route_pin(in);
        break;
    case 8:
        write_msr(in, vcpu);
        break;
    case 9:
        now += take(in, 1 + op % 5);
        break;
    default:
        serve(vcpu);
        break;
    }
}

static void event(struct input *in, uint8_t op)
{
    unsigned vcpu = op % VCPUS;
    uint8_t value = (uint8_t)take(in, 1);

    switch (op & 7U) {
    case 0:
        pc_set_irq(&machine, value & 31U, value >> 3, (op & 0x40U) != 0);
        break;
    case 1:
        pc_set_intx(&machine, value, op >> 3 & 7U, (op & 0x40U) != 0);
        break;
    case 2:
        (void)pc_msi(&machine, 0xfee00000U | (uint32_t)take(in, 2) << 2, (uint32_t)take(in, 2));
        break;
    case 3:
        (void)pc_console_read(&machine, value, now);
        break;
    case 4:
        pc_power_button(&machine, now);
        pc_nmi(&machine);
        break;
    case 5:
        pc_cr8_write(&machine, vcpu, value);
        require(pc_cr8_read(&machine, vcpu) == (value & 15U));
        break;
    case 6:
        (void)pc_mmio_write(&machine, vcpu, gpa(LAPIC_BASE + LAPIC_EOI), 4, 0, now);
        break;
    default:
        if (value < 4) {
            pc_reset(&machine, now);
        } else if (value < 16) {
            pc_vcpu_init(&machine, vcpu);
        } else {
            pc_vcpu_set_tsc_offset(&machine, vcpu, take(in, 8), now);
        }
        break;
    }
}

/* Time moves on: nothing that is due stays due. */
static void run(void)
{
    pc_run(&machine, now);
    require(pc_next_event(&machine) > now);
    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        pc_vcpu_run(&machine, vcpu, now);
        require(pc_vcpu_next_event(&machine, vcpu) > now);
    }
}

/* A level that is up and let through is on its way, or nobody would take it. */
static void check_pin(unsigned pin)
{
    uint64_t entry = machine.ioapic.entry[pin];
    const struct apic_message message = {
        .destination = (uint32_t)(entry >> 56),
        .vector = (uint8_t)entry,
        .delivery = entry >> 8 & 7U,
        .logical = (entry >> 11 & 1U) != 0,
    };
    bool level = (entry & LEVEL) != 0 && message.delivery <= APIC_DELIVERY_LOWEST;

    require(level || (entry & IOAPIC_ENTRY_REMOTE_IRR) == 0);
    if (!level || (machine.ioapic.lines >> pin & 1U) == 0 || message.vector < 16 ||
        (entry & (IOAPIC_ENTRY_MASKED | IOAPIC_ENTRY_REMOTE_IRR)) != 0) {
        return;
    }
    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        const struct lapic *l = &machine.lapic[vcpu];

        require(!apic_bus_matches(&machine, &message, vcpu) || l->mode == LAPIC_DISABLED ||
                (l->svr & LAPIC_SVR_ENABLED) == 0);
    }
}

static void check_wires(void)
{
    for (unsigned gsi = 1; gsi < IOAPIC_PINS; gsi++) {
        bool up = machine.line_sources[gsi] != 0;
        unsigned irq = gsi == 2 ? 0 : gsi;

        require(up == ((machine.ioapic.lines >> gsi & 1U) != 0));
        if (gsi < 16) {
            const struct pic_chip *chip = &machine.pic.chip[irq >> 3];
            uint8_t bit = (uint8_t)(1U << (irq & 7U));

            require(up == ((chip->lines & bit) != 0));
            require((chip->elcr & bit) == 0 || up == ((chip->irr & bit) != 0));
        }
    }
    require((machine.pic_output != 0) == pic_output(&machine.pic));
}

static void check_lapic(unsigned vcpu)
{
    const struct lapic *l = &machine.lapic[vcpu];
    int pending = lapic_pending(l);

    require(l->irr[0] << 16 == 0 && l->isr[0] << 16 == 0); /* vectors 0 to 15 */
    require(pending < 0 || pending >> 4 > lapic_ppr(l) >> 4);
    require(pending < 0 || !lapic_blocked_by_tpr(l));
    require(l->mode != LAPIC_DISABLED || (pending < 0 && l->timer_next == CLOCK_NEVER));
}

static void check(void)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        check_pin(pin);
    }
    check_wires();
    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        check_lapic(vcpu);
    }
    require(machine.pit.channel[0].count >= 1 && machine.pit.channel[0].count <= 0x10000);
    require(machine.uart.count <= UART_FIFO_SIZE && machine.kbc.count <= I8042_QUEUE);
    require(fake_edge.locked == 0 && fake_edge.bad_locking == 0);
}

/* What each vCPU knew before a step. */
static bool was_pending[VCPUS];
static unsigned kicks_before[VCPUS];

static void remember(void)
{
    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        was_pending[vcpu] = pc_interrupt_pending(&machine, vcpu);
        kicks_before[vcpu] = fake_edge.kicks[vcpu];
    }
}

/* A vCPU that did nothing itself hears of an interrupt that has become deliverable to it. */
static void check_kicks(unsigned actor)
{
    for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
        require(vcpu == actor || was_pending[vcpu] || fake_edge.kicks[vcpu] != kicks_before[vcpu] ||
                !pc_interrupt_pending(&machine, vcpu));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.data = data, .left = size};
    struct pc_config config = fake_edge_config(VCPUS);

    config.debug_exit = 0xf4;
    config.wide_pm_timer = (size & 1U) != 0;
    config.keyboard = (size & 2U) != 0;
    now = 0;
    fake_edge_clear();
    require(pc_init(&machine, &config) == STATUS_OK);
    while (in.left != 0) {
        uint8_t op = (uint8_t)take(&in, 1);

        remember();
        if ((op & 0x80U) != 0) {
            event(&in, op);
        } else {
            access(&in, op);
        }
        pc_run(&machine, now);
        check_kicks(op % VCPUS);
        run();
        check();
    }
    return 0;
}
