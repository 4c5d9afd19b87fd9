/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts that are offered to the CPU, against a model of a PC that has no VMM: every order of
 * requests, exits, and what the guest does, up to some length. What the guest's handlers see, and
 * what the local APIC holds at each exit, must be the same.
 */
#include "tests/unit/pc/unit.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/interrupts.h"

#include <string.h>

#define STEPS_MAX 6U
#define LOG_MAX   (2 * STEPS_MAX)
#define VECTORS   3U

/* Two of one priority class, and one of a class above. */
static const uint8_t vectors[VECTORS] = {0x31, 0x32, 0x41};

enum step {
    REQUEST_0, /* somebody else requests a vector: the guest is left some time later */
    REQUEST_1,
    REQUEST_2,
    LEAVE,         /* an exit that has nothing to do with interrupts */
    ENABLE,        /* the guest sets RFLAGS.IF */
    ENABLE_MEMORY, /* ... and what comes then meets an exit on its way to the handler */
    DISABLE,
    END,   /* it writes the EOI register, */
    RAISE, /* and the task priority */
    LOWER,
    STEPS
};

/* What the guest has seen: the order of its handlers. */
struct seen {
    uint8_t count;
    uint8_t vector[LOG_MAX];
};

/* The model: requests that are under way arrive when the guest is left. */
struct model {
    bool arriving[VECTORS], requested[VECTORS], serving[VECTORS];
    bool enabled;
    uint8_t tpr;
    struct seen seen;
};

/* What is tested, with a CPU around it. */
static struct vm vm;
static struct vcpu vcpu;

void trace_add(struct vcpu *traced, uint32_t kind, const struct trace_entry *what)
{
    fail_msg("a VM that is not traced is traced");
}

struct machine {
    struct lapic lapic;
    struct vcpu_event event;
    uint64_t rflags, interrupts;
    uint8_t offer;
    struct seen seen;
};

static const struct backend functions = {.name = "model", .takes_offers = true};
const struct backend *backend = &functions;

void vcpu_kick_self(struct vcpu *kicked)
{
    fail();
}

static void see(struct seen *seen, uint8_t vector)
{
    assert_true(seen->count < LOG_MAX);
    seen->vector[seen->count++] = vector;
}

/* ---- the model ---- */

static unsigned model_priority(const struct model *m)
{
    unsigned priority = m->tpr >> 4;

    for (unsigned i = 0; i < VECTORS; i++) {
        if (m->serving[i] && vectors[i] >> 4U > priority) {
            priority = vectors[i] >> 4U;
        }
    }
    return priority;
}

/* Wherever interrupts are let in, the highest that is above the priority comes, at once. */
static void model_deliver(struct model *m)
{
    for (unsigned i = VECTORS; m->enabled && i-- > 0;) {
        if (m->requested[i] && vectors[i] >> 4U > model_priority(m)) {
            m->requested[i] = false;
            m->serving[i] = true;
            m->enabled = false;
            see(&m->seen, vectors[i]);
        }
    }
}

static void model_end(struct model *m)
{
    for (unsigned i = VECTORS; i-- > 0;) {
        if (m->serving[i]) {
            m->serving[i] = false;
            return;
        }
    }
}

static void model_arrive(struct model *m)
{
    for (unsigned i = 0; i < VECTORS; i++) {
        m->requested[i] |= m->arriving[i];
        m->arriving[i] = false;
    }
}

static void model_step(struct model *m, enum step step)
{
    if (step <= REQUEST_2) {
        m->arriving[step] = true;
        return;
    }
    if (step == ENABLE || step == DISABLE || step == ENABLE_MEMORY) {
        m->enabled = step != DISABLE;
    }
    if (step == ENABLE || step == ENABLE_MEMORY) {
        uint8_t before = m->seen.count;

        model_deliver(m);
        if (step == ENABLE || m->seen.count == before) {
            return;
        }
    }
    if (step == DISABLE) {
        return;
    }
    model_arrive(m);
    if (step == END) {
        model_end(m);
    } else if (step == RAISE || step == LOWER) {
        m->tpr = step == RAISE ? 0x30 : 0;
    }
    model_deliver(m);
}

/* ---- the CPU ---- */

static void cpu_take(uint8_t vector)
{
    vcpu.rflags &= ~RFLAGS_IF;
    see(&((struct machine *)vcpu.backend)->seen, vector);
}

static void cpu_run(void)
{
    if (vcpu.offer && (vcpu.rflags & RFLAGS_IF)) {
        cpu_take(vcpu.offer);
        vcpu.offer = 0;
    }
}

static uint8_t offered;

static void enter(void)
{
    interrupts_prepare(&vcpu);
    assert_false(vcpu.window); /* whatever waits can be offered */
    offered = vcpu.offer;
    if (vcpu.event.kind == VCPU_EVENT_INTERRUPT) {
        assert_true(vcpu.rflags & RFLAGS_IF);
        cpu_take(vcpu.event.vector);
        vcpu.event.kind = VCPU_EVENT_NONE;
    }
    cpu_run();
}

static void leave(void)
{
    if (offered) {
        interrupts_settle(&vcpu, offered);
    }
    assert_int_equal(vcpu.offer, 0);
}

static void cpu_step(enum step step)
{
    if (step <= REQUEST_2) {
        assert_true(lapic_accept(&vm.pc.lapic[0], vectors[step], false));
        return;
    }
    if (step == DISABLE) {
        vcpu.rflags &= ~RFLAGS_IF;
        return;
    }
    if (step == ENABLE || (step == ENABLE_MEMORY && !vcpu.offer)) {
        vcpu.rflags |= RFLAGS_IF;
        cpu_run();
        return;
    }
    if (step == ENABLE_MEMORY) { /* taken, but not delivered: EXITINTINFO */
        vcpu.rflags |= RFLAGS_IF;
        vcpu.event = (struct vcpu_event){.kind = VCPU_EVENT_INTERRUPT, .vector = vcpu.offer};
        vcpu.offer = 0;
    }
    leave();
    if (step == END) {
        pc_lapic_written(&vm.pc, 0, LAPIC_EOI, 0, 0);
    } else if (step == RAISE || step == LOWER) {
        pc_lapic_written(&vm.pc, 0, LAPIC_TPR, step == RAISE ? 0x30 : 0, 0);
    }
    enter();
}

/* ---- both ---- */

static bool bit(const uint32_t *words, uint8_t vector)
{
    return words[vector / 32] >> vector % 32 & 1;
}

static void compare(const struct model *m, const struct machine *machine)
{
    const struct lapic_state *l = &vm.pc.lapic[0].state;

    assert_int_equal(m->seen.count, machine->seen.count);
    assert_memory_equal(m->seen.vector, machine->seen.vector, m->seen.count);
    for (unsigned i = 0; i < VECTORS; i++) {
        assert_int_equal(bit(l->irr, vectors[i]), m->requested[i]);
        assert_int_equal(bit(l->isr, vectors[i]), m->serving[i]);
    }
    assert_int_equal((vcpu.rflags & RFLAGS_IF) != 0, m->enabled);
    assert_int_equal(vcpu.interrupts, m->seen.count);
}

static void save(struct machine *machine)
{
    machine->lapic = vm.pc.lapic[0];
    machine->event = vcpu.event;
    machine->rflags = vcpu.rflags;
    machine->interrupts = vcpu.interrupts;
    machine->offer = vcpu.offer;
}

static void load(struct machine *machine)
{
    vm.pc.lapic[0] = machine->lapic;
    vcpu.event = machine->event;
    vcpu.rflags = machine->rflags;
    vcpu.interrupts = machine->interrupts;
    vcpu.offer = machine->offer;
    vcpu.backend = machine;
}

static unsigned long sequences;

/* All ends of what has come to M and MACHINE; OFFERED_BEFORE is the offer of the last entry. */
static void explore(const struct model *m, const struct machine *machine, uint8_t offered_before,
                    unsigned left)
{
    for (unsigned step = 0; step < STEPS; step++) {
        struct model model = *m, seen_at_exit;
        struct machine next = *machine, at_exit;

        load(&next);
        offered = offered_before;
        model_step(&model, (enum step)step);
        cpu_step((enum step)step);
        save(&next);
        uint8_t now_offered = offered;

        /* At any moment the guest may be left, and all is compared; then it goes on as it was. */
        seen_at_exit = model;
        at_exit = next;
        load(&at_exit);
        model_arrive(&seen_at_exit);
        leave();
        compare(&seen_at_exit, &at_exit);
        sequences++;
        if (left > 1) {
            explore(&model, &next, now_offered, left - 1);
        }
    }
}

static void test_every_order(void **state)
{
    struct model model = {0};
    struct machine machine = {0};

    lapic_power_on(&vm.pc.lapic[0], 0, NS_PER_S);
    vm.pc.lapic[0].state.svr |= LAPIC_SVR_ENABLED;
    vm.pc.config.vcpu_count = 1;
    vcpu.vm = &vm;
    vcpu.rflags = RFLAGS_FIXED;
    save(&machine);
    explore(&model, &machine, 0, STEPS_MAX);
    print_message("%lu sequences\n", sequences);
}

/* What cannot be offered: an exception's vector, one that is under way, what goes before it. */
static void test_no_offer(void **state)
{
    struct lapic *l = &vm.pc.lapic[0];

    lapic_power_on(l, 0, NS_PER_S);
    l->state.svr |= LAPIC_SVR_ENABLED;
    assert_int_equal(pc_interrupt_offer(&vm.pc, 0, 0), 0);
    assert_true(lapic_accept(l, 0x1f, false));
    assert_int_equal(pc_interrupt_offer(&vm.pc, 0, 0), 0);
    assert_true(lapic_accept(l, 0x20, false));
    assert_int_equal(pc_interrupt_offer(&vm.pc, 0, 0x20), 0);
    vm.pc.pic_output = 1;
    vm.pc.pic_targets = 1;
    assert_int_equal(pc_interrupt_offer(&vm.pc, 0, 0), 0);
    vm.pc.pic_output = 0;
    assert_int_equal(pc_interrupt_offer(&vm.pc, 0, 0), 0x20);
    assert_int_equal(lapic_pending(l), 0x1f);
    pc_interrupt_settle(&vm.pc, 0, 0x20, false);
    assert_int_equal(lapic_pending(l), 0x20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_offer),
        cmocka_unit_test(test_every_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
