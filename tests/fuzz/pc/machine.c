/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that touches everything in every way, while time passes and wires move. After each step
 * what must always hold is checked.
 */
#include "tests/fuzz/pc/guest.h"
#include "tests/unit/pc/fake_edge.h"
#include "vmm/pc/clock.h"

#define VCPUS         GUEST_VCPUS
#define require(what) guest_require(what, __LINE__)
#define LEVEL         0x8000U

static struct pc machine;
static uint64_t now;

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
    uint64_t entry = machine.ioapic.state.entry[pin];
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

        require(!apic_bus_matches(&machine, &message, vcpu) || l->state.mode == LAPIC_DISABLED ||
                (l->state.svr & LAPIC_SVR_ENABLED) == 0);
    }
}

static void check_wires(void)
{
    for (unsigned gsi = 1; gsi < IOAPIC_PINS; gsi++) {
        bool up = machine.board.line_sources[gsi] != 0;
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

    require(l->state.irr[0] << 16 == 0 && l->state.isr[0] << 16 == 0); /* vectors 0 to 15 */
    require(pending < 0 || pending >> 4 > lapic_ppr(l) >> 4);
    require(pending < 0 || !lapic_blocked_by_tpr(l));
    require(l->state.mode != LAPIC_DISABLED || (pending < 0 && l->timer_next == CLOCK_NEVER));
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
    require(machine.pit.state.channel[0].count >= 1 &&
            machine.pit.state.channel[0].count <= 0x10000);
    require(machine.config.firmware ? (pc_low_kinds(&machine) & ~(PC_LOW_RAM - 3U)) == 0
                                    : pc_low_kinds(&machine) == PC_LOW_RAM);
    require(machine.uart.count <= UART_FIFO_SIZE && machine.kbc.state.count <= I8042_QUEUE);
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
    struct guest guest;

    guest_begin(&guest, &machine, data, size);
    while (guest.left != 0) {
        uint8_t op = (uint8_t)guest_take(&guest, 1);

        guest_count();
        remember();
        guest_step(&guest, op);
        now = guest.now;
        check_kicks(op % VCPUS);
        run();
        check();
    }
    return 0;
}
