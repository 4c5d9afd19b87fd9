/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O ports on the host: every write is kept, reads give what the test has set. */
#ifndef PORTOLAN_TESTS_UNIT_FAKES_PORTS_H
#define PORTOLAN_TESTS_UNIT_FAKES_PORTS_H

#include <stdint.h>

struct fake_port_write {
    uint16_t port;
    uint8_t width;
    uint32_t value;
};

/* Forget all writes; all ports read as ones. */
void fake_ports_reset(void);

/* What reads of PORT give until it is written; a write is then read back. */
void fake_port_set(uint16_t port, uint32_t value);

unsigned fake_port_write_count(void);
struct fake_port_write fake_port_write_at(unsigned index);

/* Microseconds that were spent in time_delay_us(). */
uint64_t fake_time_us(void);

#endif
