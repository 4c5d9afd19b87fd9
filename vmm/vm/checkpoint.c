/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/checkpoint.h"

#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/host/direct.h"
#include "vmm/host/instructions.h"
#include "vmm/host/pool.h"
#include "vmm/pc/clock.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/nvram.h"
#include "vmm/vm/service.h"
#include "vmm/vm/video.h"

#include <string.h>

/* So much more may come from a newer VMM: sections that one can do without. */
#define INCOMING_MORE 16384U

#define FILL      0xa5
#define FILL_WORD 0xa5a5a5a5a5a5a5a5ULL

/* 2^64 by the golden ratio: in a product with it all bits of the other factor stir the highest. */
#define GOLDEN    0x9e3779b97f4a7c15ULL
#define GAP_SHIFT 40U /* from 0 to 2^24 ns, 17 ms, lie between two that are asked for */

/* Means of the times between the checkpoints of a configuration: each is longer by an eighth than
 * the one before, so that there are some in a life of 300 us, and some late in one of hours.
 */
#define GAP_FIRST_NS 2000U
#define GAP_LAST_NS  100000000U

/* What a vCPU is filled with: a CPU takes it, and no guest is in such a state. */
static struct cpu_state junk;

/* ---- All of a VM, in the order of the stream ---- */

/* What others have written since its vCPUs parked. VFs still do: once for each stream. */
static void collect(struct vm *vm)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        const struct vcpu *vcpu = vm->vcpu[i];
        struct cpu_state *saved = &vm->vcpu[i]->saved;

        saved->startup_vector = (uint8_t)__atomic_load_n(&vcpu->startup_vector, __ATOMIC_RELAXED);
        saved->requests = (uint8_t)(__atomic_load_n(&vcpu->requests, __ATOMIC_SEQ_CST) &
                                    (VCPU_REQUEST_PORTAL - 1));
    }
    for (uint32_t i = 0; i < vm->vfs.legacy.count; i++) {
        (void)legacy_save(vm->vfs.legacy.function[i]);
    }
}

/* Its flash, if it has one: with what is in it, block by block. */
static void put_flash(const struct vm *vm, struct state_writer *writer)
{
    if (vm->nvram_size == 0) {
        return;
    }
    state_put_section(writer, &flash_section, 0, &vm->pc.flash.state);
    for (uint32_t at = 0; at < vm->nvram_size; at += FLASH_BLOCK) {
        state_put_section(writer, &flash_block_section, at / FLASH_BLOCK,
                          direct_view(vm->nvram) + at);
    }
}

static void put_all(const struct vm *vm, struct state_writer *writer)
{
    state_put_section(writer, &clock_section, 0, &vm->clock);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        state_put_section(writer, &cpu_section, i, &vm->vcpu[i]->saved);
    }
    state_put_all(writer, pc_sections, pc_section_count, vm->vcpu_count, &vm->pc);
    put_flash(vm, writer);
    for (uint32_t i = 0; i < vm->vfs.legacy.count; i++) {
        state_put_section(writer, &legacy_section, i, &vm->vfs.legacy.function[i]->state);
    }
}

/* Save all of VM; its vCPUs are parked, it is paused. */
void vm_save(struct vm *vm, struct state_writer *writer)
{
    collect(vm);
    put_all(vm, writer);
}

static enum status load_flash(struct vm *vm, struct state_reader *reader)
{
    enum status status = STATUS_OK;

    if (vm->nvram_size != 0) {
        status = state_find_section(reader, &flash_section, 0, &vm->pc.flash.state);
    }
    for (uint32_t at = 0; at < vm->nvram_size && status == STATUS_OK; at += FLASH_BLOCK) {
        status = state_find_section(reader, &flash_block_section, at / FLASH_BLOCK,
                                    direct_view(vm->nvram) + at);
    }
    return status;
}

static enum status load_functions(struct vm *vm, struct state_reader *reader)
{
    struct legacy_state *scratch = vm->checkpoints.scratch;
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < vm->vfs.legacy.count && status == STATUS_OK; i++) {
        status = state_find_section(reader, &legacy_section, i, scratch);
        if (status == STATUS_OK) {
            status = legacy_load(vm->vfs.legacy.function[i], scratch);
        }
    }
    return status;
}

/*
 * Load all of VM, which is configured alike, parked and paused. INVALID: the reader says why; some
 * of VM may be loaded, and it must not run.
 */
enum status vm_load(struct vm *vm, struct state_reader *reader)
{
    enum status status = state_find_section(reader, &clock_section, 0, &vm->clock);

    if (status == STATUS_OK) {
        status = vm_set_tsc_rate(vm, &vm->clock.tsc_hz);
    }
    for (unsigned i = 0; i < vm->vcpu_count && status == STATUS_OK; i++) {
        struct vcpu *vcpu = vm->vcpu[i];

        status = state_find_section(reader, &cpu_section, i, &vcpu->saved);
        if (status == STATUS_OK && !model_level_allows(&vm->level, &vcpu->saved)) {
            (void)format(reader->problem, sizeof(reader->problem),
                         "vCPU %u uses what the VM's CPU has not", i);
            status = STATUS_NOTE(STATUS_INVALID);
        }
        /* Here and not on its own CPU, which may be slower than others that ask for something. */
        __atomic_store_n(&vcpu->startup_vector, vcpu->saved.startup_vector, __ATOMIC_RELAXED);
        /* What is no state may be lost: the portal is looked at in any case. */
        __atomic_store_n(&vcpu->requests,
                         vcpu->saved.requests | (i == 0 && vm->rings ? VCPU_REQUEST_PORTAL : 0),
                         __ATOMIC_SEQ_CST);
    }
    if (status == STATUS_OK) {
        status = state_get_all(reader, pc_sections, pc_section_count, vm->vcpu_count, &vm->pc);
    }
    if (status == STATUS_OK) {
        status = load_flash(vm, reader);
    }
    if (status != STATUS_OK) {
        return status;
    }
    pc_set_tsc_rate(&vm->pc, vm->clock.tsc_hz);
    pc_derive(&vm->pc);
    low_memory_settle(vm, false);
    nvram_settle(vm);
    video_settle(vm);
    service_settle(vm);
    status = load_functions(vm, reader);
    return status == STATUS_OK ? state_end(reader) : status;
}

/* ---- Memory ---- */

static void fill_junk(void)
{
    memset(&junk, FILL, sizeof(junk));
    fpu_set_reset(&junk.fpu);
    for (unsigned i = 0; i < ARRAY_SIZE(junk.fpu.dr); i++) {
        junk.fpu.dr[i] = FILL_WORD & INT32_MAX;
    }
    junk.efer = 0;
    junk.dr6 = junk.sfmask = FILL_WORD & INT32_MAX;
    junk.lstar = junk.cstar = junk.kernel_gs_base = FILL_WORD | 0xffffULL << 48;
}

/* Of a VM that has not been started no function is known to vm_save(): they are added. */
static size_t stream_size(struct vm *vm)
{
    struct state_writer writer;

    state_writer_init(&writer, NULL, 0);
    vm_save(vm, &writer);
    for (uint32_t i = 0; i < vm->vfs.count; i++) {
        state_put_section(&writer, &legacy_section, i, vm->checkpoints.scratch);
    }
    return writer.used;
}

enum status checkpoint_create(struct vm *vm)
{
    struct vm_checkpoints *own = &vm->checkpoints;

    fill_junk();
    own->scratch = pool_allocate(sizeof(*own->scratch), PAGE_SIZE);
    if (!own->scratch) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    own->size = stream_size(vm) + (vm->config->incoming ? INCOMING_MORE : 0);
    for (unsigned i = 0; i < ARRAY_SIZE(own->stream); i++) {
        own->stream[i] = pool_allocate(own->size, PAGE_SIZE);
        if (!own->stream[i]) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        }
    }
    return STATUS_OK;
}

void checkpoint_destroy(struct vm *vm)
{
    struct vm_checkpoints *own = &vm->checkpoints;

    for (unsigned i = 0; i < ARRAY_SIZE(own->stream); i++) {
        if (own->stream[i]) {
            pool_free(own->stream[i], own->size);
        }
    }
    if (own->scratch) {
        pool_free(own->scratch, sizeof(*own->scratch));
    }
}

/* ---- A checkpoint ---- */

static void scramble(struct vm *vm)
{
    memset(&vm->clock, FILL, sizeof(vm->clock));
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        memset(&vm->vcpu[i]->saved, FILL, sizeof(vm->vcpu[i]->saved));
        vm->vcpu[i]->startup_vector = FILL;
        __atomic_store_n(&vm->vcpu[i]->requests, FILL, __ATOMIC_SEQ_CST);
    }
    pc_fill(&vm->pc, FILL);
    for (uint32_t i = 0; i < vm->vfs.legacy.count; i++) {
        legacy_fill(vm->vfs.legacy.function[i], FILL);
    }
}

static void log_line(void *context, const char *line)
{
    log_error("  %s", line);
}

/* What its vCPUs are in by now goes with the message: nothing else will tell. */
static enum status fail(const struct vm *vm, const char *why)
{
    log_error("VM '%s': checkpoint: %s", vm->config->name, why);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        log_error("vCPU %u", i);
        state_print(&cpu_section, &vm->vcpu[i]->saved, log_line, NULL);
    }
    return STATUS_NOTE(STATUS_DEVICE);
}

/* *SIZE: bytes that were saved. */
static enum status save_and_load(struct vm *vm, size_t *size)
{
    struct vm_checkpoints *own = &vm->checkpoints;
    struct state_writer writer, again;
    struct state_reader reader;

    state_writer_init(&writer, own->stream[0], own->size);
    state_writer_init(&again, own->stream[1], own->size);
    vm_save(vm, &writer);
    if (state_overflowed(&writer)) {
        return fail(vm, "its state has grown");
    }
    scramble(vm);
    state_reader_init(&reader, writer.buffer, writer.used);
    if (vm_load(vm, &reader) != STATUS_OK) {
        return fail(vm, reader.problem);
    }
    put_all(vm, &again);
    if (again.used != writer.used || memcmp(writer.buffer, again.buffer, writer.used) != 0) {
        return fail(vm, "what was loaded is not what was saved");
    }
    *size = writer.used;
    return STATUS_OK;
}

static void mark_functions(struct vm *vm, bool begun)
{
    for (uint32_t i = 0; i < vm->vfs.legacy.count; i++) {
        legacy_rebuild(vm->vfs.legacy.function[i], begun);
    }
}

enum status checkpoint_take(struct vm *vm)
{
    struct vm_checkpoints *own = &vm->checkpoints;
    bool due = own->due;
    size_t size = 0;

    own->due = false;
    /* One more may have been asked for while the last one was taken. */
    if (!due && __atomic_load_n(&own->wanted, __ATOMIC_SEQ_CST) == 0) {
        return STATUS_OK;
    }
    mark_functions(vm, true);
    enum status status = save_and_load(vm, &size);

    mark_functions(vm, false);
    if (status != STATUS_OK) {
        return status;
    }
    if (due) {
        own->done++;
        return STATUS_OK;
    }
    own->taken++;
    if (__atomic_sub_fetch(&own->wanted, 1, __ATOMIC_SEQ_CST) == 0) {
        log_write_always(LOG_INFO, "VM '%s': %u checkpoints taken, of %lu bytes each",
                         vm->config->name, own->taken, size);
    }
    return STATUS_OK;
}

void checkpoint_scramble_vcpu(struct vcpu *vcpu)
{
    memset(vcpu->gpr, FILL, sizeof(vcpu->gpr));
    vcpu->rip = vcpu->rflags = vcpu->tsc_offset = FILL_WORD;
    memset(&vcpu->model, FILL, sizeof(vcpu->model));
    memset(&vcpu->event, FILL, sizeof(vcpu->event));
    vcpu->held = vcpu->nmi_pending = vcpu->nmi_blocked = vcpu->shadow = true;
    backend->set_state(vcpu, &junk);
    fpu_load(&junk.fpu, true);
}

/* ---- Asking for them ---- */

enum status checkpoint_request(struct vm *vm, uint32_t count)
{
    if (vm_state(vm) == VM_STOPPED || vm_is_stopping(vm)) {
        return STATUS_STATE;
    }
    __atomic_fetch_add(&vm->checkpoints.wanted, count, __ATOMIC_SEQ_CST);
    return STATUS_OK;
}

/*
 * Guests must not find a rhythm in it: the TSC's lowest bits say when the next one comes. They get
 * that time for themselves, for it is the VM's; in one that is paused none passes.
 */
static bool is_due(struct vm *vm)
{
    struct vm_checkpoints *own = &vm->checkpoints;

    if (!vm_touch(vm)) {
        return vm_state(vm) == VM_PAUSED;
    }
    uint64_t now = vm_now(vm);
    bool due = now >= own->next_ns;

    if (due) {
        own->next_ns = now + (cpu_read_tsc() * GOLDEN >> GAP_SHIFT);
    }
    vm_touched(vm);
    return due;
}

void checkpoint_poll(void)
{
    for (unsigned i = 0; i < vm_count(); i++) {
        struct vm *vm = vm_by_index(i);

        if (__atomic_load_n(&vm->checkpoints.wanted, __ATOMIC_SEQ_CST) != 0 && is_due(vm)) {
            (void)vm_request(vm, VM_REQUEST_CHECKPOINT);
        }
    }
}

/* The TSC is the chance here, too. */
static void plan(struct vm *vm, uint64_t now)
{
    struct vm_checkpoints *own = &vm->checkpoints;

    if (own->done >= vm->config->checkpoints) {
        own->at_ns = CLOCK_NEVER;
        return;
    }
    own->at_ns = now + (own->gap_ns * (cpu_read_tsc() * GOLDEN >> 32) >> 31);
    own->gap_ns += own->gap_ns / 8;
    own->gap_ns = own->gap_ns < GAP_LAST_NS ? own->gap_ns : GAP_LAST_NS;
}

void checkpoint_begin(struct vm *vm)
{
    struct vm_checkpoints *own = &vm->checkpoints;

    own->due = false;
    own->done = 0;
    own->gap_ns = GAP_FIRST_NS;
    plan(vm, vm_now(vm));
}

void checkpoint_run(struct vm *vm, uint64_t now)
{
    struct vm_checkpoints *own = &vm->checkpoints;

    if (now < own->at_ns) {
        return;
    }
    plan(vm, now);
    if (own->at_ns != CLOCK_NEVER) {
        own->due = true;
        (void)vm_request(vm, VM_REQUEST_CHECKPOINT);
        vcpu_kick_self(vm->vcpu[0]); /* which may be about to enter its guest */
    }
}

/* ---- Showing ---- */

struct place {
    const struct section *section;
    const void *state;
};

/* Section INDEX of VM, in the order of vm_save(). False: there are not so many. */
static bool find_place(struct vm *vm, unsigned index, struct place *place, unsigned *instance)
{
    *instance = 0;
    if (index-- == 0) {
        *place = (struct place){&clock_section, &vm->clock};
        return true;
    }
    if (index < vm->vcpu_count) {
        *place = (struct place){&cpu_section, &vm->vcpu[index]->saved};
        *instance = index;
        return true;
    }
    index -= vm->vcpu_count;
    for (unsigned i = 0; i < pc_section_count; i++) {
        const struct section_place *at = &pc_sections[i];
        unsigned instances = at->instances ? at->instances : vm->vcpu_count;

        if (index < instances) {
            *place = (struct place){at->section, (const uint8_t *)&vm->pc + at->offset +
                                                     (size_t)index * at->stride};
            *instance = index;
            return true;
        }
        index -= instances;
    }
    if (vm->nvram_size != 0 && index-- == 0) { /* its contents are too much to be shown */
        *place = (struct place){&flash_section, &vm->pc.flash.state};
        *instance = 0;
        return true;
    }
    if (index >= vm->vfs.legacy.count) {
        return false;
    }
    *place = (struct place){&legacy_section, legacy_save(vm->vfs.legacy.function[index])};
    *instance = index;
    return true;
}

enum status vm_print_state(struct vm *vm, const char *name, state_print_line print, void *context)
{
    enum status status = STATUS_NOT_FOUND;
    struct place place;
    unsigned instance;

    if (vm_state(vm) != VM_PAUSED) {
        return STATUS_STATE;
    }
    char line[STATE_SECTION_NAME_SIZE + 48];

    for (unsigned i = 0; find_place(vm, i, &place, &instance); i++) {
        if (name[0] == '\0' || strcmp(name, place.section->name) == 0) {
            status = STATUS_OK;
            (void)format(line, sizeof(line), "%s %u: version %u, %u fields", place.section->name,
                         instance, place.section->version, place.section->fields);
            print(context, line);
        }
        if (strcmp(name, place.section->name) == 0) {
            state_print(place.section, place.state, print, context);
        }
    }
    return status;
}
