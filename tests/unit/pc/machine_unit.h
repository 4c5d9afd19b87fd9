/* SPDX-License-Identifier: BSD-2-Clause */
/* A whole machine of two vCPUs, and a guest's port accesses to it. */
#ifndef PORTOLAN_TESTS_UNIT_PC_MACHINE_UNIT_H
#define PORTOLAN_TESTS_UNIT_PC_MACHINE_UNIT_H

#include "tests/unit/fakes/log.h"
#include "tests/unit/pc/fake_edge.h"
#include "tests/unit/pc/unit.h"

#include "vmm/pc/clock.h"
#include "vmm/pc/ports.h"

#include <string.h>

#define DEBUG_EXIT 0xf4

static struct pc machine;
static uint64_t now;

static inline uint32_t in(uint16_t port, unsigned width)
{
    return pc_port_read(&machine, port, width, now);
}

static inline void out(uint16_t port, unsigned width, uint32_t value)
{
    pc_port_write(&machine, port, width, value, now);
}

static inline int setup(void **state)
{
    struct pc_config config = fake_edge_config(2);

    config.debug_exit = DEBUG_EXIT;
    now = 0;
    fake_edge_clear();
    fake_log_clear();
    assert_int_equal(pc_init(&machine, &config), STATUS_OK);
    fake_edge_clear();
    return 0;
}

static inline int teardown(void **state)
{
    assert_int_equal(fake_edge.locked, 0);
    assert_int_equal(fake_edge.bad_locking, 0);
    return 0;
}

static inline void start_pics(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } words[] = {
        {0x20, 0x11},
        {0x21, 0x20},
        {0x21, 0x04},
        {0x21, 0x01},
        {0xa0, 0x11},
        {0xa1, 0x28},
        {0xa1, 0x02},
        {0xa1, 0x01},
        {0x21, 0x00},
        {0xa1, 0x00}
    };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        out(words[i].port, 1, words[i].value);
    }
}

/* Run the shared devices until NOW, event by event, as a VM does. */
static inline void run_until(uint64_t end)
{
    while (pc_next_event(&machine) <= end) {
        now = pc_next_event(&machine);
        pc_run(&machine, now);
    }
    now = end;
    pc_run(&machine, now);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
