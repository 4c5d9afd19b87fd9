/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/ports.h"

#include "vmm/host/port_io.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"

#include <stdlib.h>
#include <string.h>

#define WRITES_MAX 4096U

static uint32_t values[65536];
static struct fake_port_write writes[WRITES_MAX];
static unsigned write_count;
static uint64_t now_us;

void fake_ports_reset(void)
{
    memset(values, 0xff, sizeof(values));
    write_count = 0;
    now_us = 0;
}

void fake_port_set(uint16_t port, uint32_t value)
{
    values[port] = value;
}

unsigned fake_port_write_count(void)
{
    return write_count;
}

struct fake_port_write fake_port_write_at(unsigned index)
{
    return writes[index];
}

uint64_t fake_time_us(void)
{
    return now_us;
}

uint32_t port_read(uint16_t port, unsigned width)
{
    return width < 4 ? values[port] & ((1U << 8 * width) - 1) : values[port];
}

void port_write(uint16_t port, unsigned width, uint32_t value)
{
    if (write_count == WRITES_MAX) {
        abort();
    }
    writes[write_count++] = (struct fake_port_write){port, (uint8_t)width, value};
    values[port] = value;
}

void time_delay_us(uint64_t us)
{
    now_us += us;
}

void wait_us(uint64_t us)
{
    now_us += us;
}

uint64_t time_now_ns(void)
{
    return now_us * 1000;
}
