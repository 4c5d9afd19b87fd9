/* SPDX-License-Identifier: BSD-2-Clause */
/* VMs are made, started, and refuse; one thread does all. */
#include "tests/unit/vm/life.h"

#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"
#include "vmm/host/instructions.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

/* Those that cannot be made are left out; the others keep their order. Runs first: VMs are for
 * ever. */
static void test_creation(void **state)
{
    enum status *const parts[] = {&life.nested_status, &life.ram_status, &life.map_status,
                                  &life.last_status};
    const unsigned vm_pages = (sizeof(struct vm) + PAGE_SIZE - 1) / PAGE_SIZE;
    const unsigned vcpu_pages = (sizeof(struct vcpu) + PAGE_SIZE - 1) / PAGE_SIZE + 1;

    fake_pages_reset(2000);
    make_all_well();
    add_vm("bad", 2);
    for (unsigned limit = 0; limit < vm_pages + 1 + 2 * vcpu_pages; limit++) { /* 1: the APIC's */
        make_all_well();
        fake_pages_limit(limit);
        vm_create_all(&life.config);
        assert_int_equal(vm_count(), 0);
        assert_true(fake_log_contains("VM 'bad' is left out"));
        assert_int_equal(fake_pages_used(), 0);
    }
    assert_int_equal(life.destroyed, 1 + 2 * vcpu_pages);
    fake_pages_limit(2000);
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        make_all_well();
        life.ram_frees = 0;
        *parts[i] = STATUS_NO_MEMORY;
        vm_create_all(&life.config);
        assert_int_equal(vm_count(), 0);
        assert_true(fake_log_contains("VM 'bad' is left out"));
        /* Others may want it. */
        assert_int_equal(life.ram_frees,
                         parts[i] == &life.map_status || parts[i] == &life.last_status);
        assert_int_equal(life.vf_sets, 0);
        assert_int_equal(fake_pages_used(), 0);
    }
    assert_int_equal(life.destroyed, 1 + 2 * vcpu_pages + 3);
    make_all_well();
    life.config.vm_count = 0;
    add_vm("one", 1);
    add_vm("three", 3);
    vm_create_all(&life.config);
    assert_int_equal(vm_count(), 2);
    assert_int_equal(life.vf_sets, 2);
    assert_string_equal(vm_by_index(1)->config->name, "three");
    assert_ptr_not_equal(vm_by_index(1)->apic_page, vm_by_index(0)->apic_page);
    assert_null(vm_by_index(2));
    assert_int_equal(vm_by_index(1)->vcpu[2]->index, 2);
    assert_ptr_equal(vm_by_index(1)->vcpu[2]->cpu, &life.cpus[2]);
    assert_int_equal(vm_running(), 0);
}

static void start_in_vain(struct vm *vm, const char *message)
{
    assert_int_equal(vm_start(vm), STATUS_OK);
    do_call(&life.cpus[0]);
    assert_true(fake_log_contains(message));
    assert_null(life.cpus[0].call);
    assert_int_equal(vm_running(), 0);
}

static void test_start_refusals(void **state)
{
    struct vm *vm = named("one");

    make_all_well();
    assert_int_equal(vm_stop(vm, "test"), STATUS_STATE);
    assert_int_equal(vm_reset(vm, "test"), STATUS_STATE);
    life.init_status = STATUS_CONFLICT;
    start_in_vain(vm, "not started: conflict");
    life.init_status = STATUS_OK;
    life.load_status = STATUS_INVALID;
    start_in_vain(vm, "not started: invalid");
    life.load_status = STATUS_OK;
    assert_int_equal(vm_start(vm), STATUS_OK);
    assert_int_equal(vm_state(vm), VM_STARTING);
    assert_int_equal(vm_running(), 1);
    assert_int_equal(vm_start(vm), STATUS_STATE);
    assert_int_equal(vm_reset(vm, "test"), STATUS_STATE);
    assert_int_equal(vm_request(vm, VM_REQUEST_PAUSE), STATUS_STATE);
    do_call(&life.cpus[0]);
    assert_int_equal(vm_state(vm), VM_RUNNING);
    assert_int_equal(vm_request(vm, VM_REQUEST_RESUME), STATUS_STATE);
    assert_int_equal(vm->pc.config.tsc_hz, 3000000000);
    assert_int_equal(vm->pc.config.memory_below_4g, 64 << 20);
    assert_int_equal(vm_start(vm), STATUS_STATE);
    /* A stop wins over a reset, whichever comes first. */
    assert_int_equal(vm_reset(vm, "test"), STATUS_OK);
    assert_false(vm_is_stopping(vm));
    assert_int_equal(vm_stop(vm, "test"), STATUS_OK);
    assert_true(vm_is_stopping(vm));
    assert_int_equal(vm_reset(vm, "test"), STATUS_STATE);
    assert_int_equal(vm_stop(vm, "test"), STATUS_OK);
    life.ask_while_it_ends = vm;
    do_call(&life.cpus[0]);
    assert_null(life.ask_while_it_ends);
    assert_int_equal(life.flushes, 1);
    assert_int_equal(vm_running(), 0);
    assert_false(vm_is_stopping(vm));
    assert_int_equal(vm->resets, 0);
    assert_int_equal(life.failures, 0);
}

/* A reset whose program cannot be loaded any more stops the VM. */
static void test_reset_that_fails(void **state)
{
    struct vm *vm = named("one");

    make_all_well();
    assert_int_equal(vm_start(vm), STATUS_OK);
    do_call(&life.cpus[0]);
    fake_log_clear();
    for (unsigned i = 0; i < 1000; i++) { /* as one REP OUTSB to port 64h does */
        assert_int_equal(vm_reset(vm, "test"), STATUS_OK);
    }
    assert_int_equal(fake_log_lines(), 1);
    life.load_status = STATUS_NOT_FOUND;
    do_call(&life.cpus[0]);
    assert_int_equal(vm_running(), 0);
    assert_int_equal(life.failures, 0);
}

/* A stop that comes before the VM is ready: its vCPUs end at once. */
static void test_stop_while_starting(void **state)
{
    struct vm *vm = named("one");

    make_all_well();
    assert_int_equal(vm_start(vm), STATUS_OK);
    assert_int_equal(vm_stop(vm, "test"), STATUS_OK);
    assert_true(vm_is_stopping(vm));
    do_call(&life.cpus[0]);
    do_call(&life.cpus[0]);
    assert_int_equal(vm_state(vm), VM_STOPPED);
    assert_int_equal(life.failures, 0);
}

/* A CPU whose TSC lags reads a time before the VM's beginning. */
static void test_time(void **state)
{
    struct vm *vm = named("one");

    life.clock_ns = 5000;
    vm_reset_time(vm);
    assert_int_equal(vm_now(vm), 0);
    life.clock_ns = 4000;
    assert_int_equal(vm_now(vm), 0);
    life.clock_ns = 5700;
    assert_int_equal(vm_now(vm), 700);
    vm_freeze_time(vm);
    life.clock_ns = 99000;
    assert_int_equal(vm_now(vm), 700);
    vm_freeze_time(vm); /* stands still already */
    vm_thaw_time(vm);
    assert_int_equal(vm_now(vm), 700);
    life.clock_ns = 99001;
    assert_int_equal(vm_now(vm), 701);
    vm_thaw_time(vm);
    assert_int_equal(vm_now(vm), 701);
    life.clock_ns = 1000;
}

/* However often and however long time stands still, TSC and clock go on in step; also a TSC that
 * runs at another rate than the host's 3 GHz. */
static void test_clocks_keep_step(void **state)
{
    static const uint64_t rates[] = {3000000000, 7500000000, 1500000000};
    struct vm *vm = named("one");

    life.tsc_per_ns = 3;
    backend_offers.tsc_ratio = (struct backend_ratio){.whole = 16, .fraction = 48};
    for (unsigned rate = 0; rate < ARRAY_SIZE(rates); rate++) {
        uint64_t hz = rates[rate], now = cpu_read_tsc();

        assert_int_equal(vm_set_tsc_rate(vm, &hz), STATUS_OK);
        assert_int_equal(hz, rates[rate]);
        vm->base_tsc = vm_scale_tsc(vm, now);
        vm->base_ns = now / life.tsc_per_ns;
        for (uint64_t i = 1; i <= 10000; i++) {
            vm_freeze_time(vm);
            uint64_t ticks = vm->clock.tsc * 2, wanted = hz / 500000000 * vm->clock.ns;

            assert_in_range(ticks - wanted + 16 * i, 0, 32 * i);
            vm_thaw_time(vm);
        }
    }
    life.tsc_per_ns = 0;
    backend_offers.tsc_ratio = (struct backend_ratio){0};
    vm->tsc_ratio = 0;
}

/* What a CPU can do, and what it need not; a rate that cannot be had changes nothing. */
static void test_tsc_rates(void **state)
{
    static const struct backend_ratio none = {0}, amd = {8, 32}, intel = {16, 48};
    static const struct {
        struct backend_ratio bits;
        uint64_t hz, runs, ratio; /* runs: 0: refused */
    } rows[] = {
        {intel, 0,             3000000000,    0                 }, /* whatever the host's is */
        {intel, 3000000000,    3000000000,    0                 },
        {none,  3000000000,    3000000000,    0                 },
        {intel, 1500000000,    1500000000,    1ULL << 47        },
        {amd,   1500000000,    1500000000,    1ULL << 31        },
        {amd,   7500000000,    7500000000,    5ULL << 31        },
        {amd,   3000000000000, 0,             0                 }, /* 1000 times */
        {intel, 3000000000000, 3000000000000, 1000ULL << 48     },
        {none,  1500000000,    0,             0                 },
        {none,  3001500000,    3000000000,    0                 }, /* near enough */
        {none,  2998500000,    3000000000,    0                 },
        {none,  3001501000,    0,             0                 },
        {intel, 3000001000,    3000001000,    0x100000597a7e0ULL},
    };
    struct vm *vm = named("one");

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t hz = rows[i].hz;

        backend_offers.tsc_ratio = rows[i].bits;
        vm->tsc_ratio = 77;
        assert_int_equal(vm_set_tsc_rate(vm, &hz), rows[i].runs ? STATUS_OK : STATUS_UNSUPPORTED);
        assert_int_equal(hz, rows[i].runs ? rows[i].runs : rows[i].hz);
        assert_int_equal(vm->tsc_ratio, rows[i].runs ? rows[i].ratio : 77);
    }
    backend_offers.tsc_ratio = none;
    vm->tsc_ratio = 0;
}

static void test_complaints(void **state)
{
    struct vm *vm = named("one");

    fake_log_clear();
    guest_log_refill(&vm->log);
    vm->log.lines = vm->log.left_out = 0;
    for (unsigned i = 1; i <= 1000; i++) {
        vm_complain(vm, "number %u", i);
    }
    assert_int_equal(vm->log.lines, 1000);
    assert_int_equal(vm->log.left_out, 1000 - GUEST_LOG_BURST);
    assert_int_equal(fake_log_lines(), GUEST_LOG_BURST);
    assert_true(fake_log_contains("VM 'one': number 1\n"));
    assert_false(fake_log_contains("number 33"));
}

/* The VM is started and stopped by whom BY_SERVICE says; CPU is his. */
static void start_and_stop(struct vm *vm, bool by_service, struct cpu *cpu)
{
    vm->by_service = by_service;
    assert_int_equal(vm_start(vm), STATUS_OK);
    do_call(&life.cpus[0]); /* it is made ready */
    (void)life_be(cpu);
    assert_int_equal(vm_stop(vm, "somebody wants it"), STATUS_OK);
    (void)life_be(NULL);
    do_call(&life.cpus[0]); /* its vCPU */
    assert_int_equal(vm_state(vm), VM_STOPPED);
}

/* However often the service VM starts and stops a VM, or in vain: there is a limit, which is not
 * the guest's: its last words are said however much it had to say. What the operator does is said
 * always. */
static void test_service_orders(void **state)
{
    struct vm *vm = named("one");
    struct guest_log log = {.vm = "svc"};
    struct cpu cpu = {.guest_log = &log};

    make_all_well();
    vm->log = (struct guest_log){.vm = "one"};
    vm->orders_log = (struct guest_log){.vm = "one", .times = VM_ORDERS_TIMES};
    for (unsigned i = 0; i < 1000; i++) {
        vm_complain(vm, "number %u", i);
    }
    fake_log_clear();
    start_and_stop(vm, true, &cpu);
    assert_true(fake_log_contains("VM 'one': started"));
    assert_true(fake_log_contains("VM 'one': stop: somebody wants it"));
    assert_true(fake_log_contains("VM 'one': stopped"));
    for (unsigned i = 0; i < 1000; i++) {
        start_and_stop(vm, true, &cpu);
        life.init_status = STATUS_CONFLICT;
        assert_int_equal(vm_start(vm), STATUS_OK);
        do_call(&life.cpus[0]);
        life.init_status = STATUS_OK;
    }
    assert_int_equal(fake_log_lines(), VM_ORDERS_TIMES * GUEST_LOG_BURST);
    assert_int_equal(log.lines, 0);
    fake_log_clear();
    start_and_stop(vm, false, NULL);
    assert_true(fake_log_contains("VM 'one': started"));
    assert_true(fake_log_contains("VM 'one': stop: somebody wants it"));
    assert_true(fake_log_contains("VM 'one': stopped"));
    assert_int_equal(life.failures, 0);
}

static void test_flush(void **state)
{
    struct vm *vm = named("three");

    vm->vcpu[0]->kicked = vm->vcpu[1]->kicked = vm->vcpu[2]->kicked = 0;
    vm_flush(vm);
    assert_int_equal(vm->nested_generation, 1);
    assert_int_equal(vm->vcpu[0]->kicked & vm->vcpu[1]->kicked & vm->vcpu[2]->kicked, 1);
}

static void *say_last_words(void *argument)
{
    struct vm *vm = argument;

    for (unsigned i = 0; i < 1000; i++) {
        check(vm_is_stopping(vm));
        check(vm_running() == 1);
        rest();
    }
    __atomic_store_n(&vm->state, VM_STOPPED, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Who reads "stopped" can start it, even before the CPU that says so has come back from it. */
static void test_start_upon_last_words(void **state)
{
    struct vm *vm = named("one");
    pthread_t thread;

    make_all_well();
    life.failures = 0;
    __atomic_store_n(&vm->state, VM_ENDED, __ATOMIC_SEQ_CST);
    assert_int_equal(pthread_create(&thread, NULL, say_last_words, vm), 0);
    assert_int_equal(vm_start(vm), STATUS_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(vm_is_stopping(vm));
    assert_int_equal(vm_stop(vm, NULL), STATUS_OK);
    do_call(&life.cpus[0]);
    do_call(&life.cpus[0]);
    assert_int_equal(vm->state, VM_STOPPED);
    assert_int_equal(life.failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_creation),
        cmocka_unit_test(test_start_refusals),
        cmocka_unit_test(test_reset_that_fails),
        cmocka_unit_test(test_stop_while_starting),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_clocks_keep_step),
        cmocka_unit_test(test_tsc_rates),
        cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_service_orders),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_start_upon_last_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
