/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the way to a virtio VF costs, in ticks of the TSC; docs/performance.md. Where the TSC
 * counts instructions (QEMU's -icount) each line 'bench NAME MIN MEDIAN' is instructions of the
 * hypervisor: an instruction that exits is not counted itself, and what the guest executes is taken
 * off.
 *
 *   wait      before each row of work, and after the last, wait for a key: the test reads the
 *             hypervisor's counters then
 *   peer      only what can be measured under another hypervisor, with another device
 *   accesses  only registers and notifications: the device need not answer at once
 *   busy      only the throughput, which runs under plain QEMU too
 *   count=N   how many blocks a row of work reads, or pings it sends
 *   loop=NAME do what NAME measures for ever, for profile.py; the last option
 */
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/vbench/vbench.h"

#include <stdio.h>
#include <string.h>

#define UART          0x3f8
#define UART_IER      1
#define UART_IIR      2
#define UART_MCR      4
#define UART_IER_DATA 1
#define UART_MCR_OUT2 8
#define UART_PIN      4
#define DEPTH         32U

static volatile unsigned keys;
static bool may_wait;

static void handle_key(struct guest_frame *frame)
{
    (void)inb(UART + UART_IIR);
    (void)inb(UART);
    keys++;
    apic_write(APIC_EOI, 0);
}

/* The name has a fixed length, so that each wait costs the same. */
static void wait_for_key(const char *name)
{
    unsigned before = keys;

    if (!may_wait) {
        return;
    }
    printf("waits %s\n", name);
    irq_disable();
    while (keys == before) {
        irq_wait();
    }
}

static void prepare_keys(void)
{
    interrupt_set_handler(VECTOR_KEY, handle_key);
    ioapic_route(UART_PIN, VECTOR_KEY, 0);
    outb(UART + UART_MCR, UART_MCR_OUT2);
    outb(UART + UART_IER, UART_IER_DATA);
}

/* Each row once, and again with twice the work: their difference is the work's alone. */
static void count_exits(unsigned count)
{
    test_group("busy");
    net_start();
    block_start();
    wait_for_key("depth_1a");
    block_read(count, 1, NULL);
    wait_for_key("depth_1b");
    block_read(2 * count, 1, NULL);
    wait_for_key("depth32a");
    block_read(count, DEPTH, NULL);
    wait_for_key("depth32b");
    block_read(2 * count, DEPTH, NULL);
    wait_for_key("ping___a");
    net_ping(count);
    wait_for_key("ping___b");
    net_ping(2 * count);
    wait_for_key("the_end_");
}

/* The first time is not measured: afterwards all memory is mapped. */
static void measure_busy(const char *name, unsigned count, unsigned depth)
{
    uint64_t busy = 0;

    block_read(count, depth, NULL);
    block_read(count, depth, &busy);
    printf("bench %s %lu %lu\n", name, busy / count, busy / count);
}

static void measure_throughput(unsigned count)
{
    test_group("throughput");
    block_start();
    measure_busy("busy_depth1", count, 1);
    measure_busy("busy_depth32", count, DEPTH);
}

static bool is_asked(const char *word)
{
    return strstr(guest_command_line(), word) != NULL;
}

int main(void)
{
    unsigned count = (unsigned)guest_option("count", 256);

    pic_mask_all();
    apic_enable();
    if (is_asked("peer")) {
        measure_peer();
        test_end();
    }
    may_wait = is_asked("wait");
    if (may_wait) {
        prepare_keys();
    }
    if (is_asked("accesses")) {
        measure_accesses(false);
        test_end();
    }
    if (!is_asked("busy")) {
        measure_accesses(true);
        count_exits(count);
    }
    measure_throughput(count);
    test_end();
}
