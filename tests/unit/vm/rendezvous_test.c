/* SPDX-License-Identifier: BSD-2-Clause */
/* vCPUs on threads that are stopped, reset, paused and saved from all sides at once. */
#include "tests/unit/vm/life.h"

#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLOCK_S 100U
#define ROUNDS     150U
#define TROUBLERS  2U

static int make_vms(void **state)
{
    fake_pages_reset(2000);
    make_all_well();
    add_vm("three", 3);
    vm_create_all(&life.config);
    return vm_count() == 1 ? 0 : -1;
}

static void wait_until_stopped(const struct vm *vm)
{
    while (load(&vm->state) != VM_STOPPED) {
        rest();
    }
    check(load(&vm->active) == 0);
    check(load(&life.in_guest) == 0);
}

static void await_state(const struct vm *vm, enum vm_state state)
{
    while (vm_state(vm) != state) {
        rest();
    }
}

/* Nobody is in the guest of a VM that is paused, and a reset or a stop is carried out there too. */
static void pause_it(struct vm *vm)
{
    check(vm_request(vm, VM_REQUEST_PAUSE) == STATUS_OK);
    await_state(vm, VM_PAUSED);
    check(load(&life.in_guest) == 0 && life.held[vm->index]);
    check(vm_request(vm, VM_REQUEST_PAUSE) == STATUS_STATE);
}

/* Resets and stops, all the time, without looking. */
static void *trouble(void *argument)
{
    struct vm *vm = argument;

    for (unsigned i = 0; !load(&life.quit); i++) {
        if (i % 7 == 0) {
            (void)vm_stop(vm, NULL);
        } else if (i % 7 == 1) {
            (void)vm_request(vm, VM_REQUEST_PAUSE);
        } else if (i % 7 == 2) {
            (void)vm_request(vm, VM_REQUEST_RESUME);
        } else if (i % 7 < 5) {
            (void)vm_reset(vm, NULL);
        } else {
            vm_flush(vm);
        }
        for (unsigned n = 0; n < i % 50; n++) {
            rest();
        }
    }
    return NULL;
}

static void start_threads(pthread_t *threads)
{
    life.quit = life.failures = 0;
    (void)alarm(DEADLOCK_S);
    for (unsigned i = 0; i < CPUS; i++) {
        life.cpus[i].index = i;
        life.cpus[i].call = NULL;
        assert_int_equal(pthread_create(&threads[i], NULL, life_run_cpu, &life.cpus[i]), 0);
    }
}

static void end_threads(const pthread_t *threads, unsigned count)
{
    __atomic_store_n(&life.quit, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < count; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)alarm(0);
    assert_int_equal(life.failures, 0);
}

/* What the last life was asked for is forgotten; what the new one is asked for is not, though it
 * comes before all vCPUs are awake. */
static void check_requests(struct vm *vm)
{
    while (load(&life.in_guest) != 3) {
        rest();
    }
    check(load(&vm->vcpu[2]->requests) == VCPU_REQUEST_STARTUP);
    check(load(&vm->vcpu[1]->requests) == 0);
    vm->vcpu[1]->requests = vm->vcpu[2]->requests = VCPU_REQUEST_INIT | VCPU_REQUEST_NMI;
}

/* One after the other: every reset is carried out, every stop ends all. */
static void test_in_turn(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS];

    make_all_well();
    life.own_resets = 0;
    start_threads(threads);
    for (unsigned round = 0; round < ROUNDS / 10; round++) {
        uint32_t resets = load(&vm->resets);

        check(vm_start(vm) == STATUS_OK);
        await_state(vm, VM_RUNNING);
        for (unsigned i = 1; i <= 3; i++) {
            check_requests(vm);
            check(vm_reset(vm, NULL) == STATUS_OK);
            while (load(&vm->resets) != resets + i) {
                rest();
            }
        }
        check(vm_stop(vm, NULL) == STATUS_OK);
        wait_until_stopped(vm);
        check(vm_stop(vm, NULL) == STATUS_STATE);
        check(vm_reset(vm, NULL) == STATUS_STATE);
        check(load(&vm->resets) == resets + 3);
    }
    end_threads(threads, CPUS);
}

static void test_all_at_once(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS + TROUBLERS];
    uint32_t resets = vm->resets;

    make_all_well();
    start_threads(threads);
    for (unsigned i = 0; i < TROUBLERS; i++) {
        assert_int_equal(pthread_create(&threads[CPUS + i], NULL, trouble, vm), 0);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        enum status status = vm_start(vm);

        check(status == STATUS_OK);
        wait_until_stopped(vm); /* a trouble maker sees to it */
    }
    end_threads(threads, CPUS + TROUBLERS);
    assert_true(vm->resets > resets);
}

/* Paused, reset while paused, resumed; and stopped while paused. */
static void test_pause(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS];

    make_all_well();
    life.own_resets = 0;
    start_threads(threads);
    for (unsigned round = 0; round < ROUNDS / 10; round++) {
        uint32_t resets = load(&vm->resets), before = load(&life.resumes);

        check(vm_start(vm) == STATUS_OK);
        await_state(vm, VM_RUNNING);
        pause_it(vm);
        check(vm_reset(vm, NULL) == STATUS_OK);
        while (load(&vm->resets) != resets + 1) {
            rest();
        }
        check(vm_state(vm) == VM_PAUSED);
        check(vm_request(vm, VM_REQUEST_RESUME) == STATUS_OK);
        await_state(vm, VM_RUNNING);
        check(!life.held[vm->index]);
        while (load(&life.in_guest) != 3) {
            rest();
        }
        check(load(&life.resumes) >= before + 3);
        pause_it(vm);
        check(vm_stop(vm, NULL) == STATUS_OK);
        wait_until_stopped(vm);
    }
    end_threads(threads, CPUS);
}

/* The service VM may pause a VM as often as it likes; the operator's orders are always told. */
static void test_many_pauses(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS];

    make_all_well();
    life.own_resets = 0;
    start_threads(threads);
    guest_log_refill(&vm->orders_log);
    vm->by_service = true;
    check(vm_start(vm) == STATUS_OK);
    await_state(vm, VM_RUNNING);
    for (unsigned round = 0; round < VM_ORDERS_TIMES * GUEST_LOG_BURST; round++) {
        pause_it(vm);
        check(vm_request(vm, VM_REQUEST_RESUME) == STATUS_OK);
        await_state(vm, VM_RUNNING);
    }
    check(fake_log_lines() == VM_ORDERS_TIMES * GUEST_LOG_BURST);
    __atomic_store_n(&vm->by_service, false, __ATOMIC_RELAXED);
    pause_it(vm);
    check(vm_stop(vm, "test") == STATUS_OK);
    wait_until_stopped(vm);
    check(fake_log_lines() == VM_ORDERS_TIMES * GUEST_LOG_BURST + 3); /* paused, stop, stopped */
    end_threads(threads, CPUS);
}

/* Each vCPU loads what it has saved, whether the VM runs or is paused; a failure ends the VM. */
static void test_checkpoint(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS];

    make_all_well();
    life.own_resets = 0;
    start_threads(threads);
    check(vm_request(vm, VM_REQUEST_CHECKPOINT) == STATUS_STATE);
    check(vm_start(vm) == STATUS_OK);
    await_state(vm, VM_RUNNING);
    for (unsigned i = 0; i < 3; i++) {
        vm->vcpu[i]->rip = 100 + i; /* nobody else writes it */
    }
    vm->checkpoints.taken = life.consoles = life.moves = life.holds = life.presses = 0;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        if (round == ROUNDS / 2) {
            pause_it(vm);
        }
        check(vm_request(vm, VM_REQUEST_CHECKPOINT) == STATUS_OK);
        while (__atomic_load_n(&vm->checkpoints.taken, __ATOMIC_SEQ_CST) != round) {
            rest();
        }
        check(vm_request(vm, VM_REQUEST_MIGRATE) == STATUS_OK);
        while (load(&life.moves) != round) {
            rest();
        }
    }
    check(vm_request(vm, VM_REQUEST_RESUME) == STATUS_OK);
    await_state(vm, VM_RUNNING);
    while (load(&life.in_guest) != 3) {
        rest();
    }
    for (unsigned i = 0; i < 3; i++) {
        check(vm->vcpu[i]->rip == 100 + i);
    }
    check(life.consoles >= ROUNDS / 2); /* the other half was paused */
    check(life.holds >= ROUNDS / 2 - 1 && load(&life.presses) == life.holds);
    life.checkpoint_status = STATUS_DEVICE;
    check(vm_request(vm, VM_REQUEST_CHECKPOINT) == STATUS_OK);
    wait_until_stopped(vm);
    life.checkpoint_status = STATUS_OK;
    end_threads(threads, CPUS);
}

/* The guests reset their machine themselves, from every vCPU. */
static void test_from_within(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS];
    uint32_t resets = vm->resets;

    make_all_well();
    life.own_resets = 3;
    start_threads(threads);
    check(vm_start(vm) == STATUS_OK);
    await_state(vm, VM_RUNNING);
    while (load(&vm->resets) < resets + ROUNDS / 5) {
        vm_flush(vm); /* or all may wait in their guests for something to happen */
        rest();
    }
    check(vm_stop(vm, NULL) == STATUS_OK);
    wait_until_stopped(vm);
    end_threads(threads, CPUS);
}

/* One vCPU's CPU has no virtualisation: it ends the VM without having been in any state. */
static void test_unable(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS];

    make_all_well();
    life.own_resets = 0;
    start_threads(threads);
    for (unsigned i = 0; i < 3 * (ROUNDS / 10); i++) {
        life.unable = vm->vcpu[i % 3];
        check(vm_start(vm) == STATUS_OK);
        wait_until_stopped(vm);
    }
    life.unable = NULL;
    end_threads(threads, CPUS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_turn),     cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_from_within), cmocka_unit_test(test_pause),
        cmocka_unit_test(test_many_pauses), cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_unable),
    };

    return cmocka_run_group_tests(tests, make_vms, NULL);
}
