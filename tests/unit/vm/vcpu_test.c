/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU looks at what is new before it enters its guest or sleeps, and else does not look.
 * Includes vcpu.c to take the instructions out of it that only a kernel may execute. Those places,
 * and all calls of others that it makes, are where another CPU may act, or, while interrupts are
 * on, a handler on its own.
 */
#include "vmm/host/instructions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void step(void);
static void set_interrupts(bool on);
static void sleep_until_interrupt(void);

#define cpu_irq_disable() set_interrupts(false)
#define cpu_irq_enable()  set_interrupts(true)
#define cpu_sleep()       sleep_until_interrupt()
#include "vmm/vm/vcpu.c" /* NOLINT(bugprone-suspicious-include): see above */

#include "tests/unit/fakes/cpu.h"

#define STEPS      400000U
#define FAR_AWAY   (1ULL << 62)
#define PLAIN_EXIT EXIT_CPUID

uint32_t model_signature(const struct model_level *level)
{
    return 0;
}

static struct vm vm;
static struct vcpu vcpu;
static struct cpu other;
static struct guest_log own_log;

/* The machine: an interrupt of the vCPU's CPU that has come and was not taken yet. */
static bool interrupts_on, interrupt_waits, calm;

/* What can change: by a handler of the vCPU's own, or by others. Last seen before an entry. */
static uint32_t changed, seen;
static uint32_t generation_flushed;
static unsigned looks, entries, sleeps, timers_set;
static uint64_t next_event = CLOCK_NEVER;
static enum exit_reason next_exit;
static bool waits, woken, offers;
static unsigned settled;

/* ---- what others do, at any moment ---- */

static void act_from_another_cpu(void)
{
    vcpu.cpu = &other;
    switch (rand() % 4) {
    case 0:
        __atomic_fetch_add(&vm.nested_generation, 1, __ATOMIC_SEQ_CST);
        vcpu_kick(&vcpu);
        break;
    case 1:
        vcpu_request(&vcpu, VCPU_REQUEST_NMI);
        break;
    default:
        changed++;
        vcpu_kick(&vcpu);
        break;
    }
    vcpu.cpu = cpu_current();
}

static void act_in_a_handler(void)
{
    changed++;
    vcpu_kick(&vcpu);
}

static void step(void)
{
    if (calm) {
        return;
    }
    if (rand() % 40 == 0) {
        act_from_another_cpu();
    }
    if (interrupts_on) {
        interrupt_waits = false; /* it is taken; a kick's has no effect */
        if (rand() % 40 == 0) {
            act_in_a_handler();
        }
    }
}

static void set_interrupts(bool on)
{
    step();
    interrupts_on = on;
    step();
}

static void expect_all_seen(void)
{
    /* An interrupt that waits ends the run before its first instruction, or the sleep. */
    if (!interrupt_waits) {
        assert_int_equal(seen, changed);
        assert_int_equal(vcpu.requests, 0);
    }
}

static void sleep_until_interrupt(void)
{
    step();
    expect_all_seen();
    sleeps++;
    interrupts_on = true;
    interrupt_waits = false;
    if (rand() % 2 == 0) {
        act_in_a_handler();
    } else {
        act_from_another_cpu();
    }
}

/* ---- what vcpu.c asks ---- */

void apic_send(uint32_t apic_id, uint8_t vector)
{
    interrupt_waits = true;
}

static void enter(struct vcpu *entered, struct exit *exit)
{
    step();
    assert_false(interrupts_on);
    expect_all_seen();
    if (!interrupt_waits) {
        assert_int_equal(vcpu.flushed, vm.nested_generation);
        assert_int_equal(vcpu.flushed, generation_flushed);
    }
    entries++;
    *exit = (struct exit){.reason = interrupt_waits ? EXIT_INTERRUPT : next_exit};
    set_interrupts(true);
}

static void flush(struct vcpu *flushed)
{
    generation_flushed = __atomic_load_n(&vm.nested_generation, __ATOMIC_SEQ_CST);
    step();
}

static void write_register(struct vcpu *written, enum backend_register reg, uint64_t value) {}

static const struct backend functions = {.enter = enter, .flush = flush, .write = write_register};

const struct backend *backend = &functions;

void interrupts_prepare(struct vcpu *prepared)
{
    looks++;
    step();
    seen = changed;
    vcpu.nmi_pending = false;
    vcpu.offer = waits && offers ? 0x41 : 0;
    vcpu.window = waits && !offers;
    step();
}

void interrupts_settle(struct vcpu *left, uint8_t offered)
{
    assert_int_equal(offered, 0x41);
    left->offer = 0;
    left->look = true;
    settled++;
    step();
}

bool interrupts_wake(const struct vcpu *asked)
{
    step();
    bool wake = seen != changed || woken;

    seen = changed;
    step();
    return wake;
}

/* Those that may change something without a kick set the flag: vmm/vm/exit_table.c. */
void handlers_run(struct vcpu *handled, const struct exit *exit)
{
    assert_int_equal(handled->offer, 0); /* settled by now */
    step();
    if (exit->reason != PLAIN_EXIT) {
        vcpu.look = true;
        changed++;
    }
    if (exit->reason == EXIT_HLT) {
        vcpu.activity = VCPU_HALTED;
    }
    if (rand() % 8 == 0) {
        vcpu.activity =
            vcpu.activity == VCPU_RUNNING && rand() % 4 == 0 ? VCPU_HALTED : vcpu.activity;
    }
    step();
}

uint64_t pc_vcpu_next_event(const struct pc *pc, unsigned index)
{
    step();
    return next_event;
}

uint64_t pc_next_event(const struct pc *pc)
{
    return CLOCK_NEVER;
}

void timer_set(enum timer_user user, uint64_t deadline)
{
    timers_set++;
    step();
}

void pc_vcpu_run(struct pc *pc, unsigned index, uint64_t now)
{
    changed++; /* the timer has expired: no kick, for it is looked at behind this */
    step();
}

void pc_run(struct pc *pc, uint64_t now) {}
void checkpoint_run(struct vm *of, uint64_t now) {}
void vm_edge_portal(unsigned which) {}
void timer_service(void) {}
void vm_vcpu_ended(struct vcpu *ended) {}
void fpu_enable_cpu(void) {}
void model_reset(struct cpu_state *state) {}
void program_enter(const struct vm *of, struct cpu_state *state) {}
void pc_vcpu_init(struct pc *pc, unsigned index) {}
void pc_cr8_write(struct pc *pc, unsigned index, uint8_t value) {}
void state_set_reset(struct cpu_state *state) {}
void state_set_init(struct cpu_state *state) {}
void state_set_startup(struct cpu_state *state, uint8_t vector) {}
void vcpu_save(struct vcpu *saved, struct cpu_state *state) {}
void vcpu_load(struct vcpu *loaded, const struct cpu_state *state) {}

bool timer_service_is_due(void)
{
    return false;
}

bool vm_rendezvous(struct vcpu *parked)
{
    return true;
}

enum status vm_stop(struct vm *of, const char *why)
{
    return STATUS_OK;
}

enum status msr_write(uint32_t msr, uint64_t value)
{
    return STATUS_OK;
}

uint64_t vm_now(const struct vm *of)
{
    return 0;
}

uint64_t time_ns_to_tsc(uint64_t ns)
{
    return ns;
}

/* ---- tests ---- */

static int setup(void **state)
{
    fake_cpu_acts_for(&own_log);
    memset(&vm, 0, sizeof(vm));
    vm.vcpu[0] = &vcpu;
    vm.vcpu_count = 1;
    vm.checkpoints.at_ns = CLOCK_NEVER;
    vcpu = (struct vcpu){.vm = &vm,
                         .cpu = cpu_current(),
                         .activity = VCPU_RUNNING,
                         .due_tsc = UINT64_MAX,
                         .deadline = CLOCK_NEVER,
                         .look = true};
    calm = true;
    interrupts_on = true;
    interrupt_waits = waits = woken = offers = false;
    changed = seen = generation_flushed = 0;
    looks = entries = sleeps = timers_set = settled = 0;
    next_event = CLOCK_NEVER;
    next_exit = PLAIN_EXIT;
    return 0;
}

/* vcpu_run() goes on while nothing is new: end it with a request. */
static void run_once(void)
{
    vcpu.cpu->service = (timer_service_function)(uintptr_t)1;
    vcpu_run(&vcpu);
    vcpu.cpu->service = NULL;
}

static void test_no_look_without_news(void **state)
{
    for (unsigned i = 0; i < 5; i++) {
        run_once();
    }
    assert_int_equal(entries, 5);
    assert_int_equal(looks, 1);
    assert_int_equal(timers_set, 0);
    next_event = FAR_AWAY;
    vcpu_kick(&vcpu); /* its own CPU's doing: no IPI */
    assert_false(interrupt_waits);
    run_once();
    run_once();
    assert_int_equal(looks, 2);
    assert_int_equal(timers_set, 1);
}

/* A deadline that the guest has written needs the timer set, and no more. */
static void test_own_deadline(void **state)
{
    run_once();
    next_event = FAR_AWAY;
    vcpu.timer_look = true;
    run_once();
    run_once();
    assert_int_equal(looks, 1);
    assert_int_equal(timers_set, 1);
}

static void test_looks_while_something_waits(void **state)
{
    waits = true;
    run_once();
    run_once();
    run_once();
    assert_int_equal(looks, 3);
    waits = false;
    run_once();
    run_once();
    assert_int_equal(looks, 4);
}

/* What was offered is settled after each exit, and offered anew. */
static void test_offers_are_settled(void **state)
{
    waits = offers = true;
    run_once();
    run_once();
    assert_int_equal(settled, 2);
    assert_int_equal(looks, 2);
    waits = false;
    run_once();
    assert_int_equal(settled, 2);
}

/* The moment has come, whether its interrupt ended a guest's run or was taken behind an exit. */
static void test_deadline(void **state)
{
    run_once();
    vcpu.due_tsc = cpu_read_tsc();
    run_once();
    assert_int_equal(looks, 2);
    assert_int_equal(seen, 1); /* what expired then */
    vcpu.due_tsc = FAR_AWAY;
    run_once();
    assert_int_equal(looks, 2);
}

/* A request ends the run of one that is never outside for long. */
static void test_request_ends_the_run(void **state)
{
    vcpu.requests = VCPU_REQUEST_NMI;
    vcpu_run(&vcpu);
    assert_int_equal(entries, 0);
    vcpu_see_to_requests(&vcpu);
    assert_true(vcpu.nmi_pending);
    run_once();
    assert_int_equal(entries, 1);
    assert_int_equal(looks, 1);
}

/* What it is asked for in the new life of its VM may come before it has begun that itself. */
static void test_reset_keeps_requests(void **state)
{
    const uint32_t sent = VCPU_REQUEST_INIT | VCPU_REQUEST_STARTUP | VCPU_REQUEST_NMI;

    vcpu.requests = sent;
    vcpu_reset(&vcpu);
    assert_int_equal(vcpu.requests, sent);
    vcpu_see_to_requests(&vcpu);
    assert_int_equal(vcpu.requests, 0);
    assert_true(vcpu.nmi_pending);
}

/* One IPI until it has looked, and again one behind that. */
static void test_one_interrupt_for_many_kicks(void **state)
{
    run_once();
    vcpu.cpu = &other;
    vcpu_kick(&vcpu);
    assert_true(interrupt_waits);
    interrupt_waits = false;
    vcpu_kick(&vcpu);
    assert_false(interrupt_waits);
    vcpu.cpu = cpu_current();
    run_once();
    vcpu.cpu = &other;
    vcpu_kick(&vcpu);
    assert_true(interrupt_waits);
    vcpu.cpu = cpu_current();
}

/* Others act between any two of its steps; nothing is entered or slept on without their doing. */
static void test_nothing_is_lost(void **state)
{
    static const enum exit_reason exits[] = {PLAIN_EXIT,  PLAIN_EXIT,     PLAIN_EXIT,
                                             EXIT_MEMORY, EXIT_INTERRUPT, EXIT_HLT};

    srand(1);
    calm = false;
    for (unsigned i = 0; i < STEPS; i++) {
        next_exit = exits[(unsigned)rand() % ARRAY_SIZE(exits)];
        waits = rand() % 16 == 0;
        woken = rand() % 4 == 0;
        offers = rand() % 2 == 0;
        vcpu_see_to_requests(&vcpu);
        if (vcpu.activity == VCPU_RUNNING) {
            run_once();
        } else {
            vcpu_sleep(&vcpu);
        }
    }
    print_message("%u entries, %u looks, %u sleeps\n", entries, looks, sleeps);
    assert_true(entries > STEPS / 16 && sleeps > STEPS / 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_look_without_news, setup),
        cmocka_unit_test_setup(test_own_deadline, setup),
        cmocka_unit_test_setup(test_looks_while_something_waits, setup),
        cmocka_unit_test_setup(test_offers_are_settled, setup),
        cmocka_unit_test_setup(test_deadline, setup),
        cmocka_unit_test_setup(test_request_ends_the_run, setup),
        cmocka_unit_test_setup(test_reset_keeps_requests, setup),
        cmocka_unit_test_setup(test_one_interrupt_for_many_kicks, setup),
        cmocka_unit_test_setup(test_nothing_is_lost, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
