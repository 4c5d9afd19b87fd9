/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/guest_ram.h"

#include "vmm/base/guest_map.h"
#include "vmm/host/direct.h"

#include <string.h>

#define FOUR_GIB (1ULL << 32)

static enum status take_run(struct ram *ram, uint64_t at, uint64_t size)
{
    struct ram_run *run = &ram->run[ram->run_count];

    if (ram->run_count == RAM_RUNS_MAX) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    enum status status = direct_take(size, PAGE_SIZE_2M, &run->frames);

    if (status != STATUS_OK) {
        return status;
    }
    run->at = gpa(at);
    run->size = size;
    ram->run_count++;
    return STATUS_OK;
}

/* In as few runs as the free memory has: the largest power-of-two part of what is left, first. */
static enum status take_area(struct ram *ram, uint64_t at, uint64_t size)
{
    uint64_t part = size;

    while (size > 0) {
        part = part < size ? part : size;
        if (take_run(ram, at, part) == STATUS_OK) {
            at += part;
            size -= part;
        } else if (part == PAGE_SIZE_2M) {
            return STATUS_NOTE(STATUS_NO_MEMORY);
        } else {
            part = align_up(part / 2, PAGE_SIZE_2M);
        }
    }
    return STATUS_OK;
}

enum status ram_allocate(struct ram *ram, uint64_t size)
{
    *ram = (struct ram){.below_4g = guest_map_below_4g(size)};
    ram->above_4g = size - ram->below_4g;
    enum status status = take_area(ram, 0, ram->below_4g);

    if (status == STATUS_OK) {
        status = take_area(ram, FOUR_GIB, ram->above_4g);
    }
    if (status != STATUS_OK) {
        ram_free(ram);
    }
    return status;
}

void ram_free(struct ram *ram)
{
    for (unsigned i = 0; i < ram->run_count; i++) {
        direct_give(ram->run[i].frames, ram->run[i].size);
    }
    *ram = (struct ram){0};
}

/* The run that holds AT, or NULL. */
static const struct ram_run *find(const struct ram *ram, uint64_t at)
{
    for (unsigned i = 0; i < ram->run_count; i++) {
        if (at - ram->run[i].at.raw < ram->run[i].size) {
            return &ram->run[i];
        }
    }
    return NULL;
}

void *ram_pointer(const struct ram *ram, gpa_t at, uint64_t size)
{
    const struct ram_run *run = find(ram, at.raw);

    if (!run || !range_fits(at.raw - run->at.raw, size, run->size)) {
        return NULL;
    }
    return direct_view(hpa(run->frames.raw + (at.raw - run->at.raw)));
}

bool ram_holds(const struct ram *ram, uint64_t at, uint64_t size)
{
    return range_fits(at, size, ram->below_4g) ||
           (at >= FOUR_GIB && range_fits(at - FOUR_GIB, size, ram->above_4g));
}

uint64_t ram_end(const struct ram *ram)
{
    return ram->above_4g != 0 ? FOUR_GIB + ram->above_4g : ram->below_4g;
}

uint64_t ram_bit(const struct ram *ram, uint64_t at)
{
    return (at < FOUR_GIB ? at : at - FOUR_GIB + ram->below_4g) / PAGE_SIZE;
}

/* Mostly it is a page or two; where a device cannot tell what it writes, all RAM. */
void ram_mark(const struct ram *ram, gpa_t at, uint64_t size)
{
    uint64_t end = at.raw + size, step;

    for (uint64_t page = align_down(at.raw, PAGE_SIZE); page < end; page += step) {
        bool whole = page % RAM_MARKS_BYTES == 0 && end - page >= RAM_MARKS_BYTES;

        step = whole && ram_holds(ram, page, RAM_MARKS_BYTES) ? RAM_MARKS_BYTES : PAGE_SIZE;
        if (ram_holds(ram, page, step)) {
            uint64_t bit = ram_bit(ram, page);
            uint64_t bits = step == RAM_MARKS_BYTES ? UINT64_MAX : 1ULL << bit % RAM_MARKS_WORD;

            __atomic_fetch_or(&ram->marks[bit / RAM_MARKS_WORD], bits, __ATOMIC_SEQ_CST);
        }
    }
}

unsigned ram_mark_word(const struct ram *ram, uint64_t first, uint64_t bits)
{
    if (bits == 0 || !ram_holds(ram, first * PAGE_SIZE, RAM_MARKS_WORD * PAGE_SIZE)) {
        return 0;
    }
    __atomic_fetch_or(&ram->marks[ram_bit(ram, first * PAGE_SIZE) / RAM_MARKS_WORD], bits,
                      __ATOMIC_SEQ_CST);
    return bit_count(bits);
}

/* The part of [AT, AT + SIZE), all RAM, that lies in one run. */
static void *part(const struct ram *ram, uint64_t at, uint64_t size, uint64_t *length)
{
    const struct ram_run *run = find(ram, at);
    uint64_t offset = at - run->at.raw, left = run->size - offset;

    *length = size < left ? size : left;
    return direct_view(hpa(run->frames.raw + offset));
}

/* FROM is NULL: zeros. */
static enum status put(const struct ram *ram, gpa_t at, const uint8_t *from, uint64_t size)
{
    uint64_t length = 0;

    if (!ram_holds(ram, at.raw, size)) {
        return STATUS_NOTE(STATUS_RANGE);
    }
    for (uint64_t done = 0; done < size; done += length) {
        void *to = part(ram, at.raw + done, size - done, &length);

        if (from) {
            memcpy(to, from + done, length);
        } else {
            memset(to, 0, length);
        }
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ram_written(ram, at, size);
    return STATUS_OK;
}

enum status ram_write(const struct ram *ram, gpa_t at, const void *from, uint64_t size)
{
    return put(ram, at, from, size);
}

enum status ram_zero(const struct ram *ram, gpa_t at, uint64_t size)
{
    return put(ram, at, NULL, size);
}
