/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8254 interval timer and what port 61h shows of it. Intel 8254 data sheet (231164).
 *
 * Counter 0 drives IRQ 0; counter 1 runs as any other but drives nothing (memory refresh is long
 * gone); counter 2's gate is port 61h bit 0. One tick is 3 / 3579545 s.
 *
 * A count written while modes 2 and 3 run takes effect at the end of the current period.
 * Expiries that nobody looked at in time make one interrupt, later ones keep their phase.
 * Every function needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_PIT_H
#define PORTOLAN_VMM_PC_PIT_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define PIT_CHANNELS 3U

enum pit_phase {
    PIT_IDLE,     /* a control word, but no count since */
    PIT_ARMED,    /* waits for the gate to rise */
    PIT_COUNTING, /* since tick .start */
    PIT_PAUSED    /* gate low after .held ticks */
};

struct pit_channel {
    uint64_t start;     /* tick at which the counting element was loaded */
    uint64_t held;      /* ticks counted before the pause */
    uint64_t reload_at; /* tick at which next_count becomes count; valid when reload */
    uint32_t count;     /* ticks, 1..65536 */
    uint32_t next_count;
    uint8_t phase; /* enum pit_phase */
    uint8_t mode;  /* 0..5 */
    bool bcd;
    bool gate;
    bool reload;
    uint8_t control; /* the control word's low six bits, for the read-back status */
    bool write_high; /* the next byte written is the high one */
    bool read_high;
    uint8_t low_byte;
    uint8_t latched_bytes; /* of the latched count, still to be read */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
};

struct pit_state {
    struct pit_channel channel[PIT_CHANNELS];
    uint64_t last;   /* tick up to which counter 0's edges were seen */
    bool edge;       /* OUT 0 rose and platform was not told yet */
    uint8_t speaker; /* port 61h bits 1..0 */
};

struct pit {
    struct pit_state state;
    uint64_t next_event; /* derived: virtual ns */
};

extern const struct section pit_section; /* struct pit_state */

/* Power-on: no counter programmed; gates of 0 and 1 high, of 2 low. */
void pit_reset(struct pit *pit, uint64_t now);

/* Byte access to ports 40h..43h. */
uint8_t pit_read(struct pit *pit, uint16_t port, uint64_t now);
void pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now);

/* Port 61h: gate, speaker enable, refresh toggle (every 15.085 us), OUT 2. */
uint8_t pit_control_read(const struct pit *pit, uint64_t now);
void pit_control_write(struct pit *pit, uint8_t value, uint64_t now);

/* Note the edges of OUT 0 up to NOW and find the next one. */
void pit_run(struct pit *pit, uint64_t now);

/* Did OUT 0 rise since the last call? */
bool pit_take_edge(struct pit *pit);

/* Find again what follows from the state. */
void pit_derive(struct pit *pit);

/* The level of OUT of a counter, 0..2. */
bool pit_output(const struct pit *pit, unsigned channel, uint64_t now);

#endif
