/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that touches everything in every way, while time passes and wires move. */
#ifndef PORTOLAN_TESTS_FUZZ_PC_GUEST_H
#define PORTOLAN_TESTS_FUZZ_PC_GUEST_H

#include "vmm/pc/pc.h"

#define GUEST_VCPUS 3U

struct guest {
    struct pc *pc;
    const uint8_t *data; /* what it does */
    size_t left;
    uint64_t now;
    uint64_t seen; /* a digest of all that it was told */
};

/* A machine just switched on, for a guest that does what SIZE bytes at DATA say. */
void guest_begin(struct guest *g, struct pc *pc, const uint8_t *data, size_t size);

/* Do the next thing, OP. */
void guest_step(struct guest *g, uint8_t op);

/* Video memory number N, 0 or 1, of zeros. */
void *guest_screen(unsigned n);

/* One more thing is done; the process says at its end how many there were. */
void guest_count(void);

/* The next SIZE bytes, little-endian; zeros after the end. */
uint64_t guest_take(struct guest *g, unsigned size);

/* End the process, naming LINE, unless HOLDS. */
void guest_require(bool holds, int line);

#endif
