/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM and its VFs are saved as here: a header, bytes that mean nothing, a sum. */
#include "tests/portal/sim.h"
#include "vmm/base/little_endian.h"

#include <string.h>

#define STREAM_MAGIC 0x4d495350U /* "PSIM" */
#define RECORD_MAGIC 0x46565350U /* "PSVF" */
#define RECORD_SIZE  900U

enum { MAGIC, MEMORY, CPUS, VFS, TICKS, RANDOM, PAUSED, RAM_SUM, STREAM_WORDS };

static uint64_t sum_of(const uint8_t *bytes, uint32_t size)
{
    uint64_t sum = 0xcbf29ce484222325ULL;

    for (uint32_t i = 0; i < size; i++) {
        sum = (sum ^ bytes[i]) * 0x100000001b3ULL;
    }
    return sum;
}

/* COUNT words, then filler that WORD[0] decides, and the sum: SIZE bytes in all. */
static void seal(uint8_t *to, const uint64_t *word, unsigned count, uint32_t size)
{
    uint64_t random = word[count - 1] | 1;

    for (uint32_t i = 0; i < size; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        to[i] = (uint8_t)(random >> 56);
    }
    for (unsigned i = 0; i < count; i++) {
        bytes_put(to + 8UL * i, 8, word[i]);
    }
    bytes_put(to + size - 8, 8, sum_of(to, size - 8));
}

static bool is_sealed(const uint8_t *from, uint32_t size)
{
    return size >= 8UL * STREAM_WORDS + 8 &&
           bytes_get(from + size - 8, 8) == sum_of(from, size - 8);
}

void stream_save(struct vm *vm)
{
    const uint64_t word[STREAM_WORDS] = {STREAM_MAGIC, vm->memory, vm->cpus,   vm->vfs,
                                         vm->ticks,    vm->random, vm->paused, machine_sum(vm)};

    seal(vm->data, word, STREAM_WORDS, vm->stream);
    vm->size = vm->stream;
}

/* The RAM must be what it was: a page that was forgotten is found here. */
enum status stream_load(struct vm *vm)
{
    uint64_t word[STREAM_WORDS];

    if (!is_sealed(vm->data, vm->size)) {
        return STATUS_INVALID;
    }
    for (unsigned i = 0; i < STREAM_WORDS; i++) {
        word[i] = bytes_get(vm->data + 8UL * i, 8);
    }
    if (word[MAGIC] != STREAM_MAGIC || word[RAM_SUM] != machine_sum(vm)) {
        return STATUS_INVALID;
    }
    if (word[MEMORY] != vm->memory || word[CPUS] != vm->cpus || word[VFS] != vm->vfs) {
        return STATUS_CONFLICT;
    }
    if (vm->loaded != (1U << vm->vfs) - 1) {
        return STATUS_STATE;
    }
    vm->ticks = word[TICKS];
    vm->random = word[RANDOM];
    vm->paused = word[PAUSED] != 0;
    return STATUS_OK;
}

void record_save(struct vm *vm, uint32_t vf)
{
    const uint64_t word[3] = {RECORD_MAGIC, vf, vm->ticks};

    vm->record_vf = vf;
    vm->record_size = RECORD_SIZE + vf * 613;
    seal(vm->record, word, 3, vm->record_size);
}

enum status record_load(struct vm *vm, uint32_t vf)
{
    if (vm->record_vf != vf || !is_sealed(vm->record, vm->record_size) ||
        bytes_get(vm->record, 8) != RECORD_MAGIC || bytes_get(vm->record + 8, 8) != vf) {
        return STATUS_INVALID;
    }
    vm->loaded |= 1U << vf;
    return STATUS_OK;
}
