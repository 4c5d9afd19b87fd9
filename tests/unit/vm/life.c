/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vm/life.h"

#include "vmm/pc/rom.h"

#include "tests/unit/fakes/log.h"
#include "vmm/host/smp.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/migrate/migrate.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/vm_edge.h"

#include "drivers/rtc/cmos.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/vf/vf.h"
#include "vmm/vm/service.h"
#include "vmm/vm/video.h"
#include <cmocka.h>

#define RUNS   3U /* of 2 MiB: a VM's RAM */
#define FRAMES 0x40000000ULL

struct life life = {.clock_ns = 1000};

static uint32_t loads;      /* how often a program was loaded; atomic */
static uint32_t sees[CPUS]; /* the load that each vCPU was reset after */
static uint64_t mapped;     /* bytes of the nested tables' RAM */

enum { SOUNDS, SILENT, RENEWED };
static bool hidden[CONFIG_VMS_MAX]; /* between vm_edge_hide() and vf_unbind() */

static unsigned vfs[CONFIG_VMS_MAX]; /* of the VM of that index */

void life_check(bool good, const char *what, const char *file, int line)
{
    if (!good) {
        (void)fprintf(stderr, "%s:%d: not %s\n", file, line, what);
        __atomic_fetch_add(&life.failures, 1, __ATOMIC_RELAXED);
    }
}

void rest(void)
{
    (void)usleep(20);
}

/* ---- what vm*.c and rendezvous.c need of the rest ---- */

uint64_t time_now_ns(void)
{
    return life.clock_ns;
}

uint64_t time_tsc_to_ns(uint64_t tsc)
{
    return life.tsc_per_ns ? tsc / life.tsc_per_ns : life.clock_ns;
}

/* A vCPU that is parked sleeps; a kick must come after what it waits for. */
void wait_for_interrupt(void)
{
    check(load(&life.in_guest) <= CPUS);
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
    return &life.cpus[index];
}

static const struct backend functions = {.name = "fake", .vcpu_size = PAGE_SIZE};

const struct backend *backend = &functions;
struct backend_offers backend_offers = {.giant_pages = true, .serves_apic = true};

void radix_destroy(struct radix *radix)
{
    life.destroyed += radix->root.raw != 0;
}

enum status radix_init(struct radix *radix)
{
    radix->root = hpa(life.nested_status == STATUS_OK ? PAGE_SIZE : 0);
    return life.nested_status;
}

void vcpu_go(struct vcpu *vcpu, enum vcpu_place place)
{
    check(place == VCPU_AWAY);
}

enum status ram_allocate(struct ram *ram, uint64_t size)
{
    ram->below_4g = life.ram_status == STATUS_OK ? size : 0;
    ram->run_count = life.ram_status == STATUS_OK ? RUNS : 0;
    for (unsigned i = 0; i < ram->run_count; i++) {
        ram->run[i] = (struct ram_run){gpa(i * PAGE_SIZE_2M), hpa(FRAMES + 2 * i * PAGE_SIZE_2M),
                                       PAGE_SIZE_2M};
    }
    mapped = 0;
    return life.ram_status;
}

void ram_free(struct ram *ram)
{
    life.ram_frees += ram->run_count > 0;
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
    if (at == LAPIC_BASE) {
        check(rights == (RADIX_READ | RADIX_WRITE) && size == LAPIC_SIZE);
        return STATUS_OK;
    }
    check(rights == (RADIX_READ | RADIX_WRITE | RADIX_EXECUTE));
    check(at == mapped && to.raw == FRAMES + 2 * mapped);
    mapped += size;
    return mapped < 2 * PAGE_SIZE_2M ? STATUS_OK : life.map_status;
}

enum status ram_zero(const struct ram *ram, gpa_t at, uint64_t size)
{
    check(load(&life.in_guest) == 0);
    return STATUS_OK;
}

enum status pc_init(struct pc *pc, const struct pc_config *wanted)
{
    unsigned index = ((struct vm *)((uintptr_t)pc - offsetof(struct vm, pc)))->index;

    check(load(&life.in_guest) == 0);
    pc->config = *wanted;
    vfs[index] = vfs[index] == SILENT ? RENEWED : vfs[index];
    return life.init_status;
}

/* The console was told "not now" while the VM's time stood still: this makes up for it. */
void pc_console_ready(struct pc *pc, uint64_t now)
{
    struct vm *vm = (struct vm *)((uintptr_t)pc - offsetof(struct vm, pc));

    check(load(&life.in_guest) == 0);
    check(!vm->frozen);
    life.consoles++;
}

/* Its last words come before "stopped". */
void vm_edge_portal_ended(unsigned vm) {}

/* The portal may look at a VM until here, but finds that it stops: its VFs are there still. */
void vm_edge_hide(unsigned vm)
{
    const struct vm *stopping = vm_by_index(vm);

    check(!vm_is_up(stopping) && !stopping->exposed && !hidden[vm]);
    hidden[vm] = true;
}

void vm_edge_flush(unsigned vm)
{
    check(load(&vm_by_index(vm)->state) < VM_ENDED);
    __atomic_fetch_add(&life.flushes, 1, __ATOMIC_RELAXED);
}

static unsigned owner_of(struct legacy_set *set)
{
    return ((struct vf_set *)((uintptr_t)set - offsetof(struct vf_set, legacy)))->owner.index;
}

void legacy_silence(struct legacy_set *set)
{
    check(load(&life.in_guest) == 0);
    check(vfs[owner_of(set)] == SOUNDS);
    vfs[owner_of(set)] = SILENT;
}

/* An interrupt of a VF between this and its reset would be one of the VM's last life. */
void pc_reset(struct pc *pc, uint64_t now)
{
    check(load(&life.in_guest) == 0);
    unsigned index = ((struct vm *)((uintptr_t)pc - offsetof(struct vm, pc)))->index;

    check(vfs[index] == SILENT);
    vfs[index] = RENEWED;
}

void legacy_reset(struct legacy_set *set)
{
    check(vfs[owner_of(set)] == RENEWED);
    vfs[owner_of(set)] = SOUNDS;
}

void legacy_pause(struct legacy_set *set)
{
    check(load(&life.in_guest) == 0 && !life.held[owner_of(set)]);
    life.held[owner_of(set)] = true;
}

void legacy_resume(struct legacy_set *set)
{
    check(load(&life.in_guest) == 0 && life.held[owner_of(set)]);
    life.held[owner_of(set)] = false;
}

enum status program_load(struct vm *vm)
{
    check(load(&life.in_guest) == 0);
    __atomic_fetch_add(&loads, 1, __ATOMIC_SEQ_CST);
    check(load(&life.in_guest) == 0);
    return life.load_status;
}

void vcpu_kick(struct vcpu *vcpu)
{
    (void)__atomic_exchange_n(&vcpu->kicked, 1, __ATOMIC_SEQ_CST);
}

void vcpu_resume(struct vcpu *vcpu)
{
    __atomic_fetch_add(&life.resumes, 1, __ATOMIC_SEQ_CST);
}

/* vCPU 0 has the last one started as soon as it goes on, and that is perhaps still asleep. */
void vcpu_reset(struct vcpu *vcpu)
{
    struct vcpu *last = vcpu->vm->vcpu[vcpu->vm->vcpu_count - 1];

    vcpu->interrupts++; /* a sign of life */
    sees[vcpu->cpu->index] = load(&loads);
    if (vcpu->index == 0) {
        __atomic_fetch_or(&last->requests, VCPU_REQUEST_STARTUP, __ATOMIC_SEQ_CST);
    }
}

void checkpoint_begin(struct vm *vm)
{
    check(load(&life.in_guest) == 0 && !vm->frozen);
}

/* Nobody runs, and time stands still. */
enum status checkpoint_take(struct vm *vm)
{
    check(load(&life.in_guest) == 0);
    check(vm->frozen);
    check(!vm_touch(vm));
    enum status held = vm_press(vm, VM_PRESS_POWER);

    check((held == STATUS_OK) == (vm_state(vm) == VM_RUNNING));
    life.holds += held == STATUS_OK;
    vm->checkpoints.taken++;
    return life.checkpoint_status;
}

/* Nobody runs. */
void migrate_act(struct vf_set *set, bool stays)
{
    check(load(&life.in_guest) == 0);
    __atomic_fetch_add(&life.moves, 1, __ATOMIC_SEQ_CST);
}

void migrate_resume(struct vf_set *set)
{
    check(load(&life.in_guest) == 0);
}

void checkpoint_scramble_vcpu(struct vcpu *vcpu)
{
    vcpu->rip = 0xa5;
}

void vcpu_save(struct vcpu *vcpu, struct cpu_state *state)
{
    check(vcpu != life.unable);
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

void *life_run_cpu(void *argument)
{
    struct cpu *cpu = argument;

    (void)life_be(cpu);
    while (!load(&life.quit)) {
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
    __atomic_fetch_add(&life.in_guest, 1, __ATOMIC_SEQ_CST);
    check(load(&vcpu->vm->state) == VM_RUNNING);
    while (!load(&vcpu->kicked)) {
        check(sees[vcpu->cpu->index] == load(&loads));
        rest();
    }
    __atomic_fetch_sub(&life.in_guest, 1, __ATOMIC_SEQ_CST);
}

void vcpu_main(void *argument)
{
    struct vcpu *vcpu = argument;
    unsigned entries = 0;

    vcpu->cpu->guest_log = &vcpu->vm->log;
    if (vcpu == life.unable) {
        check(vm_stop(vcpu->vm, "one of its CPUs cannot run guests") == STATUS_OK);
    } else {
        vcpu_reset(vcpu);
    }
    while (vm_rendezvous(vcpu)) {
        if (life.own_resets && ++entries % life.own_resets == vcpu->index) {
            /* A stop that was asked for meanwhile goes first. */
            check(vm_reset(vcpu->vm, NULL) == STATUS_OK || vm_is_stopping(vcpu->vm));
        } else {
            enter_guest(vcpu);
        }
    }
    vm_vcpu_ended(vcpu);
    check(vcpu->cpu->guest_log == NULL);
}

struct config_vm *add_vm(const char *name, unsigned vcpus)
{
    struct config_vm *vm = &life.config.vms[life.config.vm_count++];

    *vm = (struct config_vm){.memory = 64 << 20};
    strncpy(vm->name, name, sizeof(vm->name) - 1);
    vm->cpus.count = vcpus;
    for (unsigned i = 0; i < vcpus; i++) {
        vm->cpus.cpu[i] = (uint16_t)i;
    }
    return vm;
}

struct vm *named(const char *name)
{
    for (unsigned i = 0; i < vm_count(); i++) {
        if (strcmp(vm_by_index(i)->config->name, name) == 0) {
            return vm_by_index(i);
        }
    }
    fail_msg("no VM '%s'", name);
    return NULL;
}

void make_all_well(void)
{
    life.load_status = life.nested_status = life.ram_status = life.map_status = life.last_status =
        life.init_status = STATUS_OK;
    fake_log_clear();
    fake_log_passes = life_log_passes;
}

/* What the CPU's idle loop does with its mailbox. */
void do_call(struct cpu *cpu)
{
    cpu_function function = cpu->call;

    assert_non_null(function);
    cpu->call = NULL;
    struct cpu *before = life_be(cpu);

    function(cpu->call_argument);
    (void)life_be(before);
}

/* ---- VFs: there are none ---- */

enum status vf_create(struct vf_set *set, const struct vf_owner *owner)
{
    set->owner = *owner;
    life.vf_sets++;
    return STATUS_OK;
}

void vf_destroy(struct vf_set *set)
{
    life.vf_sets -= set->owner.config != NULL;
}

enum status vf_bind(struct vf_set *set)
{
    life.held[set->owner.index] = false; /* they come anew */
    vfs[set->owner.index] = SOUNDS;
    return STATUS_OK;
}

/* The VFs' resets take their time. */
void vf_unbind(struct vf_set *set)
{
    struct vm *vm = vm_by_index(set->owner.index);

    if (vm == life.ask_while_it_ends) {
        check(vm_is_stopping(vm));
        check(vm_reset(vm, "test") == STATUS_STATE);
        check(vm_stop(vm, "test") == STATUS_STATE);
        check(vm_start(vm) == STATUS_STATE);
        life.ask_while_it_ends = NULL;
    }
    check(hidden[vm->index] || vm_state(vm) == VM_STARTING);
    hidden[vm->index] = false;
}
