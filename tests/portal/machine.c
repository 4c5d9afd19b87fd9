/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM: RAM, and a guest that writes to it as long as it runs. */
#define _GNU_SOURCE
#include "tests/portal/sim.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* One page; the disk's block, too, now and then: it has what its VM did last. */
static void write_page(struct vm *vm)
{
    uint64_t page = next_random(&vm->random) % (vm->memory / PAGE_SIZE);
    uint64_t word = next_random(&vm->random) % (PAGE_SIZE / 8);

    vm->ticks++;
    memcpy(vm->ram + page * PAGE_SIZE + word * 8, &vm->ticks, 8);
    if (vm->tracked) {
        vm->marks[page / 64] |= 1ULL << page % 64;
    }
}

/* A millisecond at a time. */
static void *guest_main(void *argument)
{
    struct vm *vm = argument;
    const struct timespec step = {.tv_nsec = 1000000};
    uint64_t credit = 0;

    for (;;) {
        (void)nanosleep(&step, NULL);
        pthread_mutex_lock(&vm->lock);
        if (vm->running) {
            credit += vm->rate;
            for (; credit >= 1000; credit -= 1000) {
                write_page(vm);
            }
            vm->ticks++;
            memcpy(vm->ram, &vm->ticks, 8);
            if (vm->tracked) {
                vm->marks[0] |= 1;
            }
        }
        pthread_mutex_unlock(&vm->lock);
    }
    return NULL;
}

bool machine_create(struct vm *vm)
{
    vm->ram = mmap(NULL, vm->memory, PROT_READ | PROT_WRITE, MAP_SHARED, sim.ram, (off_t)vm->at);
    vm->marks = calloc(vm->memory / PAGE_SIZE / 64, 8);
    vm->data = malloc(STREAM_MAX);
    vm->record = malloc(STREAM_MAX);
    vm->record_vf = PORTAL_WHOLE;
    pthread_mutex_init(&vm->lock, NULL);
    return vm->ram != MAP_FAILED && vm->marks != NULL && vm->data != NULL && vm->record != NULL &&
           pthread_create(&vm->guest, NULL, guest_main, vm) == 0;
}

/* Only one VM may run with a disk: a second is the defect that all of this is to find. */
static void hold_disk(struct vm *vm, bool hold)
{
    if (!hold) {
        if (vm->disk_fd >= 0) {
            (void)close(vm->disk_fd);
        }
        vm->disk_fd = -1;
        return;
    }
    if (vm->disk[0] == '\0' || vm->disk_fd >= 0) {
        return;
    }
    vm->disk_fd = open(vm->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (vm->disk_fd < 0 || flock(vm->disk_fd, LOCK_EX | LOCK_NB) != 0) {
        (void)fprintf(stderr, "portal-sim: VM '%s' RUNS TWICE: its disk is held\n", vm->name);
        abort();
    }
}

static void set_running(struct vm *vm, bool running)
{
    hold_disk(vm, running);
    pthread_mutex_lock(&vm->lock);
    vm->running = running;
    pthread_mutex_unlock(&vm->lock);
}

/* A third is zeroes, a third one page many times, a third like nothing else. */
enum status machine_start(struct vm *vm)
{
    uint64_t pages = vm->memory / PAGE_SIZE;

    if (vm->on) {
        return STATUS_STATE;
    }
    vm->on = true;
    vm->paused = false;
    vm->move = MOVE_IDLE;
    vm->random = 0x9e3779b97f4a7c15ULL ^ vm->at;
    for (uint64_t page = 0; page < pages; page++) {
        uint8_t *at = vm->ram + page * PAGE_SIZE;

        memset(at, page < pages / 3 ? 0 : 0x5a, PAGE_SIZE);
        for (unsigned i = 0; page >= pages / 3 * 2 && i < PAGE_SIZE; i += 8) {
            uint64_t word = next_random(&vm->random);

            memcpy(at + i, &word, 8);
        }
    }
    set_running(vm, true);
    return STATUS_OK;
}

void machine_stop(struct vm *vm)
{
    set_running(vm, false);
    vm->on = vm->tracked = false;
    vm->move = MOVE_IDLE;
    if (vm->busy) {
        vm->due = 0;
        vm->result = STATUS_STATE;
    }
}

void machine_pause(struct vm *vm, bool pause)
{
    vm->paused = pause;
    set_running(vm, !pause);
}

void machine_hold(struct vm *vm, bool hold)
{
    set_running(vm, !hold && !vm->paused);
}

const char *machine_state(const struct vm *vm)
{
    static const char *const names[] = {
        [MOVE_STOPPED] = "moving",
        [MOVE_HANDED_OVER] = "handed-over",
        [MOVE_INCOMING] = "incoming",
        [MOVE_READY] = "ready",
    };

    return !vm->on                 ? "off"
           : vm->move != MOVE_IDLE ? names[vm->move]
           : vm->running           ? "running"
                                   : "paused";
}

/* FNV-1a, by words. */
uint64_t machine_sum(const struct vm *vm)
{
    uint64_t sum = 0xcbf29ce484222325ULL, word;

    for (uint64_t at = 0; at < vm->memory; at += 8) {
        memcpy(&word, vm->ram + at, 8);
        sum = (sum ^ word) * 0x100000001b3ULL;
    }
    return sum;
}
