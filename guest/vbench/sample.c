/* SPDX-License-Identifier: BSD-2-Clause */
/* Samples, and what the guest's own instructions take of them. */
#include "guest/lib/guest.h"
#include "guest/vbench/vbench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 255U
#define ROUNDS  1000U

struct interrupt interrupt;

static uint64_t samples[SAMPLES];
static uint64_t median;
static uint64_t (*current_ask)(void);

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

uint64_t sample(uint64_t (*time)(void))
{
    for (unsigned i = 0; i < SAMPLES; i++) {
        samples[i] = time();
    }
    qsort(samples, SAMPLES, sizeof(samples[0]), compare);
    median = samples[SAMPLES / 2];
    return samples[0];
}

static bool is_to_loop(const char *name)
{
    const char *option = strstr(guest_command_line(), "loop=");

    return option && strcmp(option + strlen("loop="), name) == 0;
}

void report(const char *name, uint64_t (*time)(void), uint64_t base)
{
    if (is_to_loop(name)) {
        printf("bench loops %s\n", name);
        for (;;) {
            (void)time();
        }
    }
    uint64_t smallest = sample(time);

    CHECK(smallest >= base);
    printf("bench %s %lu %lu\n", name, smallest - base, median - base);
}

uint64_t measure_notify(uint16_t port)
{
    uint64_t begin = rdtsc();

    for (unsigned i = 0; i < ROUNDS; i++) {
        __asm__ volatile("nop" ::"a"(0), "d"(port) : "memory");
    }
    uint64_t middle = rdtsc();

    for (unsigned i = 0; i < ROUNDS; i++) {
        __asm__ volatile("outw %w0, %w1" ::"a"(0), "d"(port) : "memory");
    }
    uint64_t above = rdtsc() - middle - (middle - begin);
    uint64_t cost = above / ROUNDS + 1; /* the NOP counts, an OUT that exits does not */

    printf("bench notify %lu %lu\n", cost, cost);
    return cost;
}

static void handle_base(struct guest_frame *frame)
{
    interrupt.arrived = rdtsc();
    interrupt.ended = rdtsc();
}

/* INT n goes the same way inside of the guest as an interrupt does. */
static uint64_t ask_cpu(void)
{
    uint64_t start = rdtsc();

    __asm__ volatile("int %0" ::"i"(VECTOR_BASE) : "memory");
    return start;
}

static uint64_t time_entry(void)
{
    uint64_t start = current_ask();

    return interrupt.arrived - start;
}

static uint64_t time_whole(void)
{
    uint64_t start = current_ask();

    return interrupt.ended - start;
}

void measure_interrupt(const char *entry, const char *whole, uint64_t (*ask)(void),
                       uint64_t ask_cost)
{
    interrupt_set_handler(VECTOR_BASE, handle_base);
    current_ask = ask_cpu;
    uint64_t base = sample(time_entry), base_whole = sample(time_whole);

    current_ask = ask;
    irq_enable();
    report(entry, time_entry, base + ask_cost);
    report(whole, time_whole, base_whole + ask_cost);
    irq_disable();
}
