/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the way to a virtio VF costs, in ticks of the TSC; docs/performance.md. Where the TSC
 * counts instructions (QEMU's -icount) each line 'bench NAME MIN MEDIAN' is instructions of the
 * hypervisor: an instruction that exits is not counted itself, and what the guest executes is taken
 * off.
 *
 *   wait      before each row of work, and after the last, wait for a key: the test reads the
 *             hypervisor's counters then
 *   work      only what runs under plain QEMU too: no accesses, no network
 *   blocks=N  how many blocks a row of work reads
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
static void count_exits(unsigned blocks)
{
    test_group("work");
    block_start();
    wait_for_key("depth_1a");
    block_read(blocks, 1, NULL);
    wait_for_key("depth_1b");
    block_read(2 * blocks, 1, NULL);
    wait_for_key("depth32a");
    block_read(blocks, DEPTH, NULL);
    wait_for_key("depth32b");
    block_read(2 * blocks, DEPTH, NULL);
    net_start();
    wait_for_key("ping___a");
    net_ping(blocks);
    wait_for_key("ping___b");
    net_ping(2 * blocks);
    wait_for_key("the_end_");
}

static void measure_throughput(unsigned blocks)
{
    uint64_t busy = 0;

    test_group("throughput");
    block_start();
    block_read(blocks, DEPTH, NULL); /* from now on all is in caches and mapped */
    block_read(blocks, DEPTH, &busy);
    printf("bench block_busy %lu %lu\n", busy / blocks, busy / blocks);
}

int main(void)
{
    unsigned blocks = (unsigned)guest_option("blocks", 256);

    pic_mask_all();
    apic_enable();
    may_wait = strstr(guest_command_line(), "wait") != NULL;
    if (may_wait) {
        prepare_keys();
    }
    if (!strstr(guest_command_line(), "work")) {
        measure_accesses();
        count_exits(blocks);
    }
    measure_throughput(blocks);
    test_end();
}
