/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the simulated PF have in common: simulated.c is its registers, sim_commands.c
 * its queue. */
#ifndef PORTOLAN_TESTS_UNIT_VIRTIO_SIMULATED_INTERNAL_H
#define PORTOLAN_TESTS_UNIT_VIRTIO_SIMULATED_INTERNAL_H

#include "tests/unit/virtio/simulated.h"

/* The driver has broken a rule unless CONDITION holds. */
void sim_require(bool condition);

/* The SIZE bytes at IOVA of DMA memory; an address outside it is the driver's fault. */
uint8_t *sim_dma_at(uint64_t iova, uint64_t size);
uint16_t sim_get16(const uint8_t *from);

/* Only the used ring's index and entries are the device's. */
uint8_t *sim_used_ring(void);

/* The command at sim.head has come. */
void sim_command_begin(void);

/* How long the command at HEAD takes. */
uint32_t sim_command_duration(uint16_t head);

/* The command at HEAD is done, in the way of sim.answer. */
void sim_command_finish(uint16_t head);

#endif
