/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vm/life_move.h"

#include "vmm/migrate/migrate_whole.h"
#include "vmm/vm/checkpoint.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/vm_edge.h"

#include "tests/unit/fakes/pages.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLOCK_S 100U

struct life_move life_move;
struct vm *mover;

static pthread_t threads[CPUS];

static uint8_t stream[MOVE_STREAM], record[MOVE_STREAM];
static const struct vf_set *owner; /* of the record */
static uint32_t owned, filled;

void life_move_equip(struct vm *vm)
{
    life_move = (struct life_move){0};
    owner = NULL;
    vm->vfs.count = MOVE_VFS;
    vm->checkpoints.stream[0] = stream;
    vm->checkpoints.size = sizeof(stream);
}

/* All is done with the VM parked. */
static enum status part(enum move_part which)
{
    check(load(&life.in_guest) == 0);
    return life_move.status[which];
}

bool dirty_claim(struct vm *vm)
{
    return life_move.status[PART_CLAIM] == STATUS_OK && !life_move.claimed &&
           (life_move.claimed = true);
}

void dirty_release(struct vm *vm)
{
    check(life_move.claimed);
    life_move.claimed = false;
}

enum status dirty_start(struct vm *vm)
{
    check(life_move.claimed);
    check(!life_move.dirty);
    life_move.dirty = part(PART_DIRTY) == STATUS_OK;
    return life_move.status[PART_DIRTY];
}

void dirty_stop(struct vm *vm)
{
    life_move.dirty = false;
}

enum status migrate_whole_check(const struct vf_set *set)
{
    return life_move.check;
}

enum status migrate_whole_track(struct vf_set *set)
{
    check(life_move.dirty); /* what VFs are told to have written must not be lost */
    life_move.tracked = true;
    return part(PART_TRACK);
}

enum status migrate_whole_report(struct vf_set *set)
{
    check(life_move.dirty && life_move.tracked);
    return part(PART_REPORT);
}

void migrate_whole_untrack(struct vf_set *set)
{
    life_move.tracked = false;
}

enum status migrate_whole_stop(struct vf_set *set)
{
    check(life_move.vfs == VFS_RUN);
    if (part(PART_STOP) == STATUS_OK) {
        life_move.vfs = VFS_STAND;
    }
    return life_move.status[PART_STOP];
}

enum status migrate_whole_save(struct vf_set *set, uint32_t vf)
{
    check(life_move.vfs == VFS_STAND && vf < MOVE_VFS);
    if (owner && (owner != set || owned != vf)) {
        return STATUS_STATE;
    }
    owner = set;
    owned = vf;
    record[0] = (uint8_t)vf;
    filled = 1;
    return part(PART_SAVE_VF);
}

void migrate_whole_free(const struct vf_set *set)
{
    owner = NULL;
}

void migrate_whole_await(struct vf_set *set)
{
    check(load(&life.in_guest) == 0);
    life_move.vfs = VFS_AWAIT;
    owner = NULL;
}

enum status migrate_whole_load(struct vf_set *set, uint32_t vf)
{
    check(life_move.vfs == VFS_AWAIT && owner == set && owned == vf);
    check(filled == 1 && record[0] == vf);
    owner = NULL;
    return part(PART_LOAD_VF);
}

enum status migrate_whole_settle(struct vf_set *set)
{
    check(life_move.vfs == VFS_AWAIT);
    if (part(PART_SETTLE) == STATUS_OK) {
        life_move.vfs = VFS_READY;
    }
    return life_move.status[PART_SETTLE];
}

void migrate_whole_go_on(struct vf_set *set, bool news)
{
    check(load(&life.in_guest) == 0);
    check(life_move.vfs == VFS_READY || life_move.vfs == VFS_STAND);
    life_move.vfs = VFS_RUN;
    life_move.news += news;
    owner = NULL;
}

void migrate_whole_forget(struct vf_set *set)
{
    life_move.vfs = VFS_RUN;
    life_move.tracked = false;
    owner = NULL;
}

enum status migrate_whole_text(struct vf_set *set, uint32_t vf, const uint32_t *driver, char *text)
{
    strcpy(text, driver ? "as a driver finds it" : "as it is");
    return STATUS_OK;
}

const uint8_t *migrate_whole_record(const struct vf_set *set, uint32_t vf, uint32_t *size)
{
    *size = filled;
    return owner == set && owned == vf ? record : NULL;
}

enum status migrate_whole_record_add(struct vf_set *set, uint32_t vf, const uint8_t *bytes,
                                     uint32_t size)
{
    if (owner && (owner != set || owned != vf)) {
        return STATUS_STATE;
    }
    filled = owner ? filled : 0;
    owner = set;
    owned = vf;
    memcpy(record + filled, bytes, size);
    filled += size;
    return STATUS_OK;
}

void migrate_whole_record_free(const struct vf_set *set, uint32_t vf)
{
    owner = owner == set && owned == vf ? NULL : owner;
}

/* The stream: each vCPU's instruction pointer, and the clock. A failure: it does not fit. */
void vm_save(struct vm *vm, struct state_writer *writer)
{
    check(life_move.vfs == VFS_STAND && load(&life.in_guest) == 0 && vm->frozen);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        memcpy(writer->buffer + writer->used, &vm->vcpu[i]->saved.rip, sizeof(uint64_t));
        writer->used += sizeof(uint64_t);
    }
    memcpy(writer->buffer + writer->used, &vm->clock, sizeof(vm->clock));
    writer->used += sizeof(vm->clock);
    writer->used += part(PART_SAVE) == STATUS_OK ? 0 : writer->size;
}

enum status vm_load(struct vm *vm, struct state_reader *reader)
{
    size_t at = 0;

    check(life_move.vfs == VFS_AWAIT && load(&life.in_guest) == 0 && vm->frozen);
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        memcpy(&vm->vcpu[i]->saved.rip, reader->buffer + at, sizeof(uint64_t));
        vm->vcpu[i]->saved.tsc_offset = i;
        at += sizeof(uint64_t);
    }
    memcpy(&vm->clock, reader->buffer + at, sizeof(vm->clock));
    check(reader->size == at + sizeof(vm->clock));
    return part(PART_LOAD);
}

void vm_edge_move_ended(unsigned vm)
{
    __atomic_fetch_add(&life_move.ended, 1, __ATOMIC_SEQ_CST);
}

/* ---- What VMs are made of ---- */

uint64_t ram_end(const struct ram *ram)
{
    return ram->below_4g;
}

void model_level_set(struct model_level *level, const struct config_cpu *wanted, uint64_t end)
{
    check(end != 0);
}

enum status firmware_load(struct vm *vm)
{
    return STATUS_OK;
}

/* ---- Its life ---- */

int begin_life(void **state)
{
    fake_pages_reset(2000);
    make_all_well();
    add_vm("mover", VCPUS)->incoming = 1;
    vm_create_all(&life.config);
    mover = named("mover");
    life.own_resets = 0;
    (void)alarm(DEADLOCK_S);
    for (unsigned i = 0; i < CPUS; i++) {
        life.cpus[i].index = i;
        (void)pthread_create(&threads[i], NULL, life_run_cpu, &life.cpus[i]);
    }
    return 0;
}

int end_life(void **state)
{
    __atomic_store_n(&life.quit, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < CPUS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return (int)life.failures;
}

void await_off(void)
{
    while (load(&mover->state) != VM_STOPPED) {
        rest();
    }
}

/* All vCPUs get into their guests. */
void await_guests(void)
{
    while (load(&life.in_guest) != VCPUS) {
        rest();
    }
    assert_int_equal(vm_state(mover), VM_RUNNING);
    assert_false(life.held[mover->index]);
    assert_int_equal(life_move.vfs, VFS_RUN);
}
