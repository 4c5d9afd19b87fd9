/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of VMs: creation, start, and vCPUs on threads that are stopped and reset from all sides
 * at once. A vCPU's guest here is left for nothing but a kick, so a lost one hangs the test.
 */
#include "vmm/pc/rom.h"
#include "vmm/vm/vm.h"

#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"
#include "vmm/host/instructions.h"
#include "vmm/host/smp.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/program.h"
#include "vmm/vm/vm_edge.h"

#include "drivers/rtc/cmos.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/vf/vf.h"
#include <cmocka.h>

#define CPUS       4U
#define DEADLOCK_S 100U
#define ROUNDS     150U
#define TROUBLERS  2U
#define RUNS       3U /* of 2 MiB: a VM's RAM */
#define FRAMES     0x40000000ULL

static struct config config;
static struct cpu cpus[CPUS];
static uint32_t in_guest;   /* vCPUs that run guest code; atomic */
static uint32_t loads;      /* how often a program was loaded; atomic */
static uint32_t sees[CPUS]; /* the load that each vCPU was reset after */
static uint64_t mapped;     /* bytes of the nested tables' RAM */
static uint32_t ram_frees, quit, failures, resumes, flushes, consoles;
static bool held[CONFIG_VMS_MAX]; /* the VFs of the VM of that index are paused */
static enum status load_status, vcpu_status, nested_status, ram_status, map_status, init_status;
static enum status checkpoint_status;
static struct vm *ask_while_it_ends; /* NULL: nobody asks */
static unsigned own_resets;          /* every so many entries a guest resets its machine itself */

/* A thread cannot fail a cmocka test: it counts, and the test looks. */
#define check(good) check_line((good), #good, __LINE__)
static void check_line(bool good, const char *what, int line)
{
    if (!good) {
        (void)fprintf(stderr, "line %d: not %s\n", line, what);
        __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
    }
}

/* Between two looks: all threads need the host's CPUs. */
static void rest(void)
{
    (void)usleep(20);
}

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

/* ---- what vm*.c and rendezvous.c need of the rest ---- */

static uint64_t clock_ns = 1000;

uint64_t time_now_ns(void)
{
    return clock_ns;
}

static uint64_t tsc_per_ns; /* 0: the clock is CLOCK_NS, whatever the TSC */

uint64_t time_tsc_to_ns(uint64_t tsc)
{
    return tsc_per_ns ? tsc / tsc_per_ns : clock_ns;
}

/* A vCPU that is parked sleeps; a kick must come after what it waits for. */
void wait_for_interrupt(void)
{
    check(load(&in_guest) <= CPUS);
    rest();
}

void timer_set(enum timer_user user, uint64_t deadline) {}

void timer_service(void) {}

bool timer_service_is_due(void)
{
    return false;
}

uint64_t time_ns_to_tsc(uint64_t ns)
{
    return 3 * ns;
}

const struct time_facts *time_facts(void)
{
    static const struct time_facts facts = {.tsc_khz = 3000000};

    return &facts;
}

int64_t cmos_read_seconds(void)
{
    return 1700000000;
}

struct cpu *cpu_by_index(uint32_t index)
{
    return &cpus[index];
}

static enum status create_backend(struct vcpu *vcpu)
{
    return vcpu_status;
}

static unsigned destroyed; /* vCPUs, tables */

static void destroy_backend(struct vcpu *vcpu)
{
    destroyed++;
}

static bool has_giant_pages(void)
{
    return true;
}

static const struct backend functions = {.name = "fake",
                                         .giant_pages = has_giant_pages,
                                         .create = create_backend,
                                         .destroy = destroy_backend};

const struct backend *backend = &functions;

void radix_destroy(struct radix *radix)
{
    destroyed += radix->root.raw != 0;
}

enum status radix_init(struct radix *radix)
{
    radix->root = hpa(nested_status == STATUS_OK ? PAGE_SIZE : 0);
    return nested_status;
}

void vcpu_go(struct vcpu *vcpu, enum vcpu_place place)
{
    check(place == VCPU_AWAY);
}

enum status dirty_create(struct vm *vm)
{
    return STATUS_OK;
}

void dirty_destroy(struct vm *vm) {}

enum status ram_allocate(struct ram *ram, uint64_t size)
{
    ram->below_4g = ram_status == STATUS_OK ? size : 0;
    ram->run_count = ram_status == STATUS_OK ? RUNS : 0;
    for (unsigned i = 0; i < ram->run_count; i++) {
        ram->run[i] = (struct ram_run){gpa(i * PAGE_SIZE_2M), hpa(FRAMES + 2 * i * PAGE_SIZE_2M),
                                       PAGE_SIZE_2M};
    }
    mapped = 0;
    return ram_status;
}

void ram_free(struct ram *ram)
{
    ram_frees += ram->run_count > 0;
    *ram = (struct ram){0};
}

/* All of it, as it lies; all pieces of a run in a row. */
enum status radix_map(struct radix *radix, uint64_t at, hpa_t to, uint64_t size, unsigned rights,
                      uint64_t *done)
{
    if (at == ROM_HIGH) { /* the BIOS's segment a second time, before all else */
        check(rights == (RADIX_READ | RADIX_EXECUTE) && size == ROM_SIZE && mapped == 0);
        check(to.raw == FRAMES + ROM_BASE);
        return STATUS_OK;
    }
    check(rights == (RADIX_READ | RADIX_WRITE | RADIX_EXECUTE));
    check(at == mapped && to.raw == FRAMES + 2 * mapped);
    mapped += size;
    return mapped < 2 * PAGE_SIZE_2M ? STATUS_OK : map_status;
}

enum status ram_zero(const struct ram *ram, gpa_t at, uint64_t size)
{
    check(load(&in_guest) == 0);
    return STATUS_OK;
}

enum status pc_init(struct pc *pc, const struct pc_config *wanted)
{
    check(load(&in_guest) == 0);
    pc->config = *wanted;
    return init_status;
}

/* The console was told "not now" while the VM's time stood still: this makes up for it. */
void pc_console_ready(struct pc *pc, uint64_t now)
{
    struct vm *vm = (struct vm *)((uintptr_t)pc - offsetof(struct vm, pc));

    check(load(&in_guest) == 0);
    check(!vm->frozen);
    consoles++;
}

/* Its last words come before "stopped". */
void vm_edge_flush(unsigned vm)
{
    check(load(&vm_by_index(vm)->state) < VM_ENDED);
    __atomic_fetch_add(&flushes, 1, __ATOMIC_RELAXED);
}

enum { SOUNDS, SILENT, RENEWED };

static unsigned vfs[CONFIG_VMS_MAX]; /* of the VM of that index */

void vf_silence(struct vf_set *set)
{
    check(load(&in_guest) == 0);
    check(vfs[set->owner.index] == SOUNDS);
    vfs[set->owner.index] = SILENT;
}

/* An interrupt of a VF between this and its reset would be one of the VM's last life. */
void pc_reset(struct pc *pc, uint64_t now)
{
    check(load(&in_guest) == 0);
    unsigned index = ((struct vm *)((uintptr_t)pc - offsetof(struct vm, pc)))->index;

    check(vfs[index] == SILENT);
    vfs[index] = RENEWED;
}

void vf_reset(struct vf_set *set)
{
    check(vfs[set->owner.index] == RENEWED);
    vfs[set->owner.index] = SOUNDS;
}

static bool *held_of(struct legacy_set *set)
{
    return &held[((struct vf_set *)((uintptr_t)set - offsetof(struct vf_set, legacy)))
                     ->owner.index];
}

void legacy_pause(struct legacy_set *set)
{
    check(load(&in_guest) == 0 && !*held_of(set));
    *held_of(set) = true;
}

void legacy_resume(struct legacy_set *set)
{
    check(load(&in_guest) == 0 && *held_of(set));
    *held_of(set) = false;
}

enum status program_load(struct vm *vm)
{
    check(load(&in_guest) == 0);
    __atomic_fetch_add(&loads, 1, __ATOMIC_SEQ_CST);
    check(load(&in_guest) == 0);
    return load_status;
}

void vcpu_kick(struct vcpu *vcpu)
{
    (void)__atomic_exchange_n(&vcpu->kicked, 1, __ATOMIC_SEQ_CST);
}

void vcpu_resume(struct vcpu *vcpu)
{
    __atomic_fetch_add(&resumes, 1, __ATOMIC_SEQ_CST);
}

/* INIT, SIPI and NMI that were sent since the VM's new life began must be there still. */
void vcpu_reset(struct vcpu *vcpu)
{
    vcpu->interrupts++; /* a sign of life */
    sees[vcpu->cpu->index] = load(&loads);
}

enum status checkpoint_create(struct vm *vm)
{
    return STATUS_OK;
}

void checkpoint_destroy(struct vm *vm) {}

/* Nobody runs, and time stands still. */
enum status checkpoint_take(struct vm *vm)
{
    check(load(&in_guest) == 0);
    check(vm->frozen);
    check(!vm_touch(vm));
    vm->checkpoints.taken++;
    return checkpoint_status;
}

void checkpoint_scramble_vcpu(struct vcpu *vcpu)
{
    vcpu->rip = 0xa5;
}

void vcpu_save(struct vcpu *vcpu, struct cpu_state *state)
{
    state->rip = vcpu->rip;
}

void vcpu_load(struct vcpu *vcpu, const struct cpu_state *state)
{
    vcpu->rip = state->rip;
}

/* ---- CPUs ---- */

enum status smp_call(struct cpu *cpu, cpu_function function, void *argument)
{
    if (__atomic_load_n(&cpu->call, __ATOMIC_ACQUIRE)) {
        check(false);
        return STATUS_STATE;
    }
    cpu->call_argument = argument;
    __atomic_store_n(&cpu->call, function, __ATOMIC_RELEASE);
    return STATUS_OK;
}

static void *run_cpu(void *argument)
{
    struct cpu *cpu = argument;

    while (!load(&quit)) {
        cpu_function function = __atomic_load_n(&cpu->call, __ATOMIC_ACQUIRE);

        if (function) {
            __atomic_store_n(&cpu->call, NULL, __ATOMIC_RELEASE);
            function(cpu->call_argument);
        }
        rest();
    }
    return NULL;
}

/* As vcpu_run() does it: KICKED is taken back first, then news are looked for. */
static void enter_guest(struct vcpu *vcpu)
{
    __atomic_store_n(&vcpu->kicked, 0, __ATOMIC_SEQ_CST);
    if (load(&vcpu->vm->request) != 0) {
        return;
    }
    __atomic_fetch_add(&in_guest, 1, __ATOMIC_SEQ_CST);
    check(load(&vcpu->vm->state) == VM_RUNNING);
    while (!load(&vcpu->kicked)) {
        check(sees[vcpu->cpu->index] == load(&loads));
        rest();
    }
    __atomic_fetch_sub(&in_guest, 1, __ATOMIC_SEQ_CST);
}

void vcpu_main(void *argument)
{
    struct vcpu *vcpu = argument;
    unsigned entries = 0;

    vcpu_reset(vcpu);
    while (vm_rendezvous(vcpu)) {
        if (own_resets && ++entries % own_resets == vcpu->index) {
            /* A stop that was asked for meanwhile goes first. */
            check(vm_reset(vcpu->vm, NULL) == STATUS_OK || vm_is_stopping(vcpu->vm));
        } else {
            enter_guest(vcpu);
        }
    }
    vm_vcpu_ended(vcpu);
}

/* ---- tests ---- */

static struct config_vm *add_vm(const char *name, unsigned vcpus)
{
    struct config_vm *vm = &config.vms[config.vm_count++];

    *vm = (struct config_vm){.memory = 64 << 20};
    strncpy(vm->name, name, sizeof(vm->name) - 1);
    vm->cpus.count = vcpus;
    for (unsigned i = 0; i < vcpus; i++) {
        vm->cpus.cpu[i] = (uint16_t)i;
    }
    return vm;
}

static struct vm *named(const char *name)
{
    for (unsigned i = 0; i < vm_count(); i++) {
        if (strcmp(vm_by_index(i)->config->name, name) == 0) {
            return vm_by_index(i);
        }
    }
    fail_msg("no VM '%s'", name);
    return NULL;
}

static void make_all_well(void)
{
    load_status = vcpu_status = nested_status = ram_status = map_status = init_status = STATUS_OK;
    fake_log_clear();
}

/* Those that cannot be made are left out; the others keep their order. Runs first: VMs are for
 * ever. */
static void test_creation(void **state)
{
    enum status *const parts[] = {&vcpu_status, &nested_status, &ram_status, &map_status};

    fake_pages_reset(2000);
    make_all_well();
    add_vm("bad", 2);
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        make_all_well();
        ram_frees = 0;
        *parts[i] = STATUS_NO_MEMORY;
        vm_create_all(&config);
        assert_int_equal(vm_count(), 0);
        assert_true(fake_log_contains("VM 'bad' is left out"));
        assert_int_equal(ram_frees, parts[i] == &map_status); /* others may want it */
        assert_int_equal(fake_pages_used(), 0);
    }
    assert_int_equal(destroyed, 2 + 0 + 3 + 3); /* a table, and the vCPUs that there were */
    make_all_well();
    config.vm_count = 0;
    add_vm("one", 1);
    add_vm("three", 3);
    add_vm("firmware", 1)->firmware.text[0] = 'f';
    vm_create_all(&config);
    assert_int_equal(vm_count(), 3);
    assert_string_equal(vm_by_index(1)->config->name, "three");
    assert_null(vm_by_index(3));
    assert_int_equal(vm_by_index(1)->vcpu[2]->index, 2);
    assert_ptr_equal(vm_by_index(1)->vcpu[2]->cpu, &cpus[2]);
    assert_int_equal(vm_running(), 0);
}

/* What the CPU's idle loop does with its mailbox. */
static void do_call(struct cpu *cpu)
{
    cpu_function function = cpu->call;

    assert_non_null(function);
    cpu->call = NULL;
    function(cpu->call_argument);
}

static void start_in_vain(struct vm *vm, const char *message)
{
    assert_int_equal(vm_start(vm), STATUS_OK);
    do_call(&cpus[0]);
    assert_true(fake_log_contains(message));
    assert_null(cpus[0].call);
    assert_int_equal(vm_running(), 0);
}

static void test_start_refusals(void **state)
{
    struct vm *vm = named("one");

    make_all_well();
    assert_int_equal(vm_start(named("firmware")), STATUS_UNSUPPORTED);
    assert_int_equal(vm_stop(vm, "test"), STATUS_STATE);
    assert_int_equal(vm_reset(vm, "test"), STATUS_STATE);
    init_status = STATUS_CONFLICT;
    start_in_vain(vm, "not started: conflict");
    init_status = STATUS_OK;
    load_status = STATUS_INVALID;
    start_in_vain(vm, "not started: invalid");
    load_status = STATUS_OK;
    assert_int_equal(vm_start(vm), STATUS_OK);
    assert_int_equal(vm_state(vm), VM_STARTING);
    assert_int_equal(vm_running(), 1);
    assert_int_equal(vm_start(vm), STATUS_STATE);
    assert_int_equal(vm_reset(vm, "test"), STATUS_STATE);
    assert_int_equal(vm_pause(vm), STATUS_STATE);
    do_call(&cpus[0]);
    assert_int_equal(vm_state(vm), VM_RUNNING);
    assert_int_equal(vm_resume(vm), STATUS_STATE);
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
    ask_while_it_ends = vm;
    do_call(&cpus[0]);
    assert_null(ask_while_it_ends);
    assert_int_equal(flushes, 1);
    assert_int_equal(vm_running(), 0);
    assert_false(vm_is_stopping(vm));
    assert_int_equal(vm->resets, 0);
    assert_int_equal(failures, 0);
}

/* A reset whose program cannot be loaded any more stops the VM. */
static void test_reset_that_fails(void **state)
{
    struct vm *vm = named("one");

    make_all_well();
    assert_int_equal(vm_start(vm), STATUS_OK);
    do_call(&cpus[0]);
    fake_log_clear();
    for (unsigned i = 0; i < 1000; i++) { /* as one REP OUTSB to port 64h does */
        assert_int_equal(vm_reset(vm, "test"), STATUS_OK);
    }
    assert_int_equal(fake_log_lines(), 1);
    load_status = STATUS_NOT_FOUND;
    do_call(&cpus[0]);
    assert_int_equal(vm_running(), 0);
    assert_int_equal(failures, 0);
}

/* A stop that comes before the VM is ready: its vCPUs end at once. */
static void test_stop_while_starting(void **state)
{
    struct vm *vm = named("one");

    make_all_well();
    assert_int_equal(vm_start(vm), STATUS_OK);
    assert_int_equal(vm_stop(vm, "test"), STATUS_OK);
    assert_true(vm_is_stopping(vm));
    do_call(&cpus[0]);
    do_call(&cpus[0]);
    assert_int_equal(vm_state(vm), VM_STOPPED);
    assert_int_equal(failures, 0);
}

/* A CPU whose TSC lags reads a time before the VM's beginning. */
static void test_time(void **state)
{
    struct vm *vm = named("one");

    clock_ns = 5000;
    vm_reset_time(vm);
    assert_int_equal(vm_now(vm), 0);
    clock_ns = 4000;
    assert_int_equal(vm_now(vm), 0);
    clock_ns = 5700;
    assert_int_equal(vm_now(vm), 700);
    vm_freeze_time(vm);
    clock_ns = 99000;
    assert_int_equal(vm_now(vm), 700);
    vm_freeze_time(vm); /* stands still already */
    vm_thaw_time(vm);
    assert_int_equal(vm_now(vm), 700);
    clock_ns = 99001;
    assert_int_equal(vm_now(vm), 701);
    vm_thaw_time(vm);
    assert_int_equal(vm_now(vm), 701);
    clock_ns = 1000;
}

/* However often and however long time stands still, TSC and clock go on in step. */
static void test_clocks_keep_step(void **state)
{
    struct vm *vm = named("one");

    tsc_per_ns = 3;
    vm->base_tsc = cpu_read_tsc();
    vm->base_ns = time_tsc_to_ns(vm->base_tsc);
    for (unsigned i = 0; i < 10000; i++) {
        vm_freeze_time(vm);
        assert_in_range(vm->clock.tsc - 3 * vm->clock.ns + 3 * i, 0, 6 * i + 3);
        vm_thaw_time(vm);
    }
    tsc_per_ns = 0;
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

static void test_flush(void **state)
{
    struct vm *vm = named("three");

    vm->vcpu[0]->kicked = vm->vcpu[1]->kicked = vm->vcpu[2]->kicked = 0;
    vm_flush(vm);
    assert_int_equal(vm->nested_generation, 1);
    assert_int_equal(vm->vcpu[0]->kicked & vm->vcpu[1]->kicked & vm->vcpu[2]->kicked, 1);
}

/* ---- threads ---- */

static void wait_until_stopped(const struct vm *vm)
{
    while (load(&vm->state) != VM_STOPPED) {
        rest();
    }
    check(load(&vm->active) == 0);
    check(load(&in_guest) == 0);
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
    check(vm_pause(vm) == STATUS_OK);
    await_state(vm, VM_PAUSED);
    check(load(&in_guest) == 0 && held[vm->index]);
    check(vm_pause(vm) == STATUS_STATE);
}

/* Resets and stops, all the time, without looking. */
static void *trouble(void *argument)
{
    struct vm *vm = argument;

    for (unsigned i = 0; !load(&quit); i++) {
        if (i % 7 == 0) {
            (void)vm_stop(vm, NULL);
        } else if (i % 7 == 1) {
            (void)vm_pause(vm);
        } else if (i % 7 == 2) {
            (void)vm_resume(vm);
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
    quit = failures = 0;
    (void)alarm(DEADLOCK_S);
    for (unsigned i = 0; i < CPUS; i++) {
        cpus[i].index = i;
        cpus[i].call = NULL;
        assert_int_equal(pthread_create(&threads[i], NULL, run_cpu, &cpus[i]), 0);
    }
}

static void end_threads(const pthread_t *threads, unsigned count)
{
    __atomic_store_n(&quit, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < count; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)alarm(0);
    assert_int_equal(failures, 0);
}

/* One after the other: every reset is carried out, every stop ends all. */
static void test_in_turn(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS];

    make_all_well();
    own_resets = 0;
    start_threads(threads);
    for (unsigned round = 0; round < ROUNDS / 10; round++) {
        uint32_t resets = load(&vm->resets);

        check(vm_start(vm) == STATUS_OK);
        await_state(vm, VM_RUNNING);
        for (unsigned i = 1; i <= 3; i++) {
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
    own_resets = 0;
    start_threads(threads);
    for (unsigned round = 0; round < ROUNDS / 10; round++) {
        uint32_t resets = load(&vm->resets), before = load(&resumes);

        check(vm_start(vm) == STATUS_OK);
        await_state(vm, VM_RUNNING);
        pause_it(vm);
        check(vm_reset(vm, NULL) == STATUS_OK);
        while (load(&vm->resets) != resets + 1) {
            rest();
        }
        check(vm_state(vm) == VM_PAUSED);
        check(vm_resume(vm) == STATUS_OK);
        await_state(vm, VM_RUNNING);
        check(!held[vm->index]);
        while (load(&in_guest) != 3) {
            rest();
        }
        check(load(&resumes) >= before + 3);
        pause_it(vm);
        check(vm_stop(vm, NULL) == STATUS_OK);
        wait_until_stopped(vm);
    }
    end_threads(threads, CPUS);
}

/* Each vCPU loads what it has saved, whether the VM runs or is paused; a failure ends the VM. */
static void test_checkpoint(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS];

    make_all_well();
    own_resets = 0;
    start_threads(threads);
    check(vm_request(vm, VM_REQUEST_CHECKPOINT) == STATUS_STATE);
    check(vm_start(vm) == STATUS_OK);
    await_state(vm, VM_RUNNING);
    for (unsigned i = 0; i < 3; i++) {
        vm->vcpu[i]->rip = 100 + i; /* nobody else writes it */
    }
    vm->checkpoints.taken = consoles = 0;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        if (round == ROUNDS / 2) {
            pause_it(vm);
        }
        check(vm_request(vm, VM_REQUEST_CHECKPOINT) == STATUS_OK);
        while (__atomic_load_n(&vm->checkpoints.taken, __ATOMIC_SEQ_CST) != round) {
            rest();
        }
    }
    check(vm_resume(vm) == STATUS_OK);
    await_state(vm, VM_RUNNING);
    while (load(&in_guest) != 3) {
        rest();
    }
    for (unsigned i = 0; i < 3; i++) {
        check(vm->vcpu[i]->rip == 100 + i);
    }
    check(consoles >= ROUNDS / 2); /* the other half was paused */
    checkpoint_status = STATUS_DEVICE;
    check(vm_request(vm, VM_REQUEST_CHECKPOINT) == STATUS_OK);
    wait_until_stopped(vm);
    checkpoint_status = STATUS_OK;
    end_threads(threads, CPUS);
}

/* The guests reset their machine themselves, from every vCPU. */
static void test_from_within(void **state)
{
    struct vm *vm = named("three");
    pthread_t threads[CPUS];
    uint32_t resets = vm->resets;

    make_all_well();
    own_resets = 3;
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
    failures = 0;
    __atomic_store_n(&vm->state, VM_ENDED, __ATOMIC_SEQ_CST);
    assert_int_equal(pthread_create(&thread, NULL, say_last_words, vm), 0);
    assert_int_equal(vm_start(vm), STATUS_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(vm_is_stopping(vm));
    assert_int_equal(vm_stop(vm, NULL), STATUS_OK);
    do_call(&cpus[0]);
    do_call(&cpus[0]);
    assert_int_equal(vm->state, VM_STOPPED);
    assert_int_equal(failures, 0);
}

/* ---- VFs: there are none ---- */

enum status vf_create(struct vf_set *set, const struct vf_owner *owner)
{
    set->owner = *owner;
    return STATUS_OK;
}

enum status vf_bind(struct vf_set *set)
{
    held[set->owner.index] = false; /* they come anew */
    return STATUS_OK;
}

/* The VFs' resets take their time. */
void vf_unbind(struct vf_set *set)
{
    struct vm *vm = vm_by_index(set->owner.index);

    if (vm == ask_while_it_ends) {
        check(vm_is_stopping(vm));
        check(vm_reset(vm, "test") == STATUS_STATE);
        check(vm_stop(vm, "test") == STATUS_STATE);
        check(vm_start(vm) == STATUS_STATE);
        ask_while_it_ends = NULL;
    }
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
        cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_start_upon_last_words),
        cmocka_unit_test(test_in_turn),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_from_within),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_checkpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
