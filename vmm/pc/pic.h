/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pair of 8259A interrupt controllers, cascaded on IRQ 2, with the PIIX edge/level registers.
 * Intel 8259A data sheet (231468); 82371SB data sheet, section 2.5 (ELCR1/2).
 *
 * As in the PIIX, the chip's own level mode (ICW1 LTIM) is ignored; the ELCR decides for each line.
 * A request goes away with its line, an edge's too.
 * Every function needs the pc lock.
 */
#ifndef PORTOLAN_VMM_PC_PIC_H
#define PORTOLAN_VMM_PC_PIC_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define PIC_PORT_MASTER 0x20U
#define PIC_PORT_SLAVE  0xa0U
#define PIC_PORT_ELCR   0x4d0U

struct pic_chip {
    uint8_t irr;     /* requests */
    uint8_t isr;     /* in service */
    uint8_t imr;     /* masked */
    uint8_t lines;   /* derived: input levels, as the board drives them */
    uint8_t elcr;    /* 1: level-triggered */
    uint8_t highest; /* the line of highest priority; rotates */
    uint8_t vector_base;
    uint8_t expects; /* the next ICW, 2 to 4; 0: initialised */
    bool needs_icw4;
    bool single; /* ICW1 SNGL: no ICW3 follows */
    bool auto_eoi;
    bool auto_rotate;
    bool special_mask;
    bool fully_nested; /* special fully nested mode */
    bool poll;
    bool read_isr;
};

struct pic {
    struct pic_chip chip[2]; /* master, slave */
};

extern const struct section pic_section; /* struct pic_chip */

/* Power-on and reset state; the lines' levels are kept, being outside the chips. */
void pic_reset(struct pic *pic);

/* Set the level of input IRQ, 0..15 but not 2. False: it is masked, so INTR stays as it is. */
bool pic_set_irq(struct pic *pic, unsigned irq, bool level);

/* Find again what follows from the state, bit n of LINES being the level of input n. */
void pic_derive(struct pic *pic, uint16_t lines);

/* Is INTR asserted? */
bool pic_output(const struct pic *pic);

/*
 * The CPU's interrupt acknowledge cycle. Returns the vector; when the request has gone meanwhile,
 * the spurious vector (IRQ 7), which enters no in-service bit.
 */
uint8_t pic_acknowledge(struct pic *pic);

/* Byte access to 20h, 21h, A0h, A1h and to 4D0h, 4D1h. */
uint8_t pic_read(struct pic *pic, uint16_t port);
void pic_write(struct pic *pic, uint16_t port, uint8_t value);

#endif
