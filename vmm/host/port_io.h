/* SPDX-License-Identifier: BSD-2-Clause */
/* I/O ports. On the host, tests link a fake of these two functions. */
#ifndef PORTOLAN_VMM_HOST_PORT_IO_H
#define PORTOLAN_VMM_HOST_PORT_IO_H

#include <stdint.h>

/* Read WIDTH = 1, 2 or 4 bytes from PORT; the upper bits of the result are zero. Any CPU. */
uint32_t port_read(uint16_t port, unsigned width);

/* Write the low WIDTH = 1, 2 or 4 bytes of VALUE to PORT. Any CPU. */
void port_write(uint16_t port, unsigned width, uint32_t value);

#endif
