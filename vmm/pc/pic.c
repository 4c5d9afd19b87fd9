/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/pic.h"

#define CASCADE     2U
#define NONE        8U
#define SPURIOUS    7U
#define ICW1_INIT   0x10U
#define ICW1_SINGLE 0x02U
#define ICW1_ICW4   0x01U
#define ICW4_NESTED 0x10U
#define ICW4_AEOI   0x02U
#define OCW3        0x08U
#define OCW3_SMM_ON 0x60U
#define OCW3_SMM    0x40U
#define OCW3_POLL   0x04U
#define OCW3_READ   0x02U
#define POLL_FOUND  0x80U

enum { MASTER, SLAVE };

/* OCW2 bits 7..5: rotate, specific, end of interrupt. */
enum {
    OCW2_AUTO_ROTATE_OFF = 0,
    OCW2_EOI = 1,
    OCW2_SPECIFIC_EOI = 3,
    OCW2_AUTO_ROTATE_ON = 4,
    OCW2_ROTATE_EOI = 5,
    OCW2_SET_PRIORITY = 6,
    OCW2_ROTATE_SPECIFIC_EOI = 7
};

/* The lines that can be level-triggered: not IRQ 0, 1, 2, 8 and 13. */
static const uint8_t elcr_writable[2] = {0xf8, 0xde};

static const struct field pic_fields[] = {
    FIELD(struct pic_chip, irr, 0xff),       FIELD(struct pic_chip, isr, 0xff),
    FIELD(struct pic_chip, imr, 0xff),       FIELD(struct pic_chip, elcr, 0xff),
    FIELD(struct pic_chip, highest, 7),      FIELD(struct pic_chip, vector_base, 0xf8),
    FIELD(struct pic_chip, expects, 4),      FIELD(struct pic_chip, needs_icw4, 1),
    FIELD(struct pic_chip, single, 1),       FIELD(struct pic_chip, auto_eoi, 1),
    FIELD(struct pic_chip, auto_rotate, 1),  FIELD(struct pic_chip, special_mask, 1),
    FIELD(struct pic_chip, fully_nested, 1), FIELD(struct pic_chip, poll, 1),
    FIELD(struct pic_chip, read_isr, 1),
};

static bool check_state(const void *state)
{
    const struct pic_chip *chip = state;

    return (chip->vector_base & 7U) == 0 && chip->expects != 1;
}

const struct section pic_section = SECTION(struct pic_chip, "pic", 1, pic_fields, check_state);

static uint8_t bit(unsigned line)
{
    return (uint8_t)(1U << line);
}

/* The rank of the most urgent line of MASK, 0 (highest) to 7; NONE when MASK is empty. */
static unsigned rank_of(const struct pic_chip *chip, uint8_t mask)
{
    unsigned twice = mask | (unsigned)mask << 8;

    return mask == 0 ? NONE : (unsigned)__builtin_ctz(twice >> (chip->highest & 7U));
}

static unsigned line_of_rank(const struct pic_chip *chip, unsigned rank)
{
    return (rank + chip->highest) & 7U;
}

/* The line that the chip asks to be served, or NONE. */
static unsigned chip_request(const struct pic *pic, unsigned which)
{
    const struct pic_chip *chip = &pic->chip[which];
    uint8_t blocking = chip->isr;
    unsigned rank = rank_of(chip, (uint8_t)(chip->irr & ~chip->imr));

    if (rank == NONE) {
        return NONE;
    }
    if (chip->special_mask) {
        blocking &= (uint8_t)~chip->imr;
    }
    unsigned line = line_of_rank(chip, rank);
    unsigned limit = rank_of(chip, blocking);
    /* Then the slave may interrupt itself; the lines below it still wait. */
    bool nested = chip->fully_nested && which == MASTER && line == CASCADE;
    return rank < limit || (nested && rank == limit) ? line : NONE;
}

/* The slave's INT is the master's IR 2: a request that goes away takes the master's with it. */
static void cascade(struct pic *pic)
{
    uint8_t *irr = &pic->chip[MASTER].irr;

    *irr = (uint8_t)(chip_request(pic, SLAVE) != NONE ? *irr | bit(CASCADE) : *irr & ~bit(CASCADE));
}

static void chip_reset(struct pic_chip *chip)
{
    *chip = (struct pic_chip){.lines = chip->lines};
}

void pic_reset(struct pic *pic)
{
    chip_reset(&pic->chip[MASTER]);
    chip_reset(&pic->chip[SLAVE]);
}

void pic_derive(struct pic *pic, uint16_t lines)
{
    for (unsigned i = MASTER; i <= SLAVE; i++) {
        struct pic_chip *chip = &pic->chip[i];

        chip->elcr &= elcr_writable[i];
        chip->lines = (uint8_t)(lines >> 8 * i);
        chip->irr = (uint8_t)((chip->irr & ~chip->elcr) | (chip->lines & chip->elcr));
    }
    cascade(pic);
}

/*
 * A request goes away with its line, an edge's too: the 8259A wants an input up until it is
 * acknowledged. So INTR falls and rises with the timer when nobody acknowledges, which is what
 * makes an NMI at LINT0 of each tick (kernels' NMI watchdog).
 */
static void chip_set_line(struct pic_chip *chip, unsigned line, bool level)
{
    uint8_t mask = bit(line);

    if (!level) {
        chip->irr &= (uint8_t)~mask;
    } else if ((chip->lines & mask) == 0) {
        chip->irr |= mask;
    }
    chip->lines = (uint8_t)(level ? chip->lines | mask : chip->lines & ~mask);
}

bool pic_set_irq(struct pic *pic, unsigned irq, bool level)
{
    struct pic_chip *chip = &pic->chip[irq >> 3 & 1U];

    chip_set_line(chip, irq & 7U, level);
    if ((chip->imr & bit(irq & 7U)) != 0) {
        return false;
    }
    cascade(pic);
    return true;
}

bool pic_output(const struct pic *pic)
{
    return chip_request(pic, MASTER) != NONE;
}

/* Take LINE into service. */
static void chip_serve(struct pic_chip *chip, unsigned line)
{
    if ((chip->elcr & bit(line)) == 0) {
        chip->irr &= (uint8_t)~bit(line);
    }
    if (!chip->auto_eoi) {
        chip->isr |= bit(line);
    } else if (chip->auto_rotate) {
        chip->highest = (line + 1) & 7U;
    }
}

uint8_t pic_acknowledge(struct pic *pic)
{
    struct pic_chip *master = &pic->chip[MASTER];
    struct pic_chip *slave = &pic->chip[SLAVE];
    unsigned line = chip_request(pic, MASTER);

    if (line == NONE) {
        return (uint8_t)(master->vector_base + SPURIOUS);
    }
    chip_serve(master, line);
    if (line != CASCADE) {
        return (uint8_t)(master->vector_base + line);
    }
    line = chip_request(pic, SLAVE);
    if (line == NONE) {
        return (uint8_t)(slave->vector_base + SPURIOUS);
    }
    chip_serve(slave, line);
    cascade(pic);
    return (uint8_t)(slave->vector_base + line);
}

static void chip_end(struct pic_chip *chip, unsigned line, bool rotate)
{
    chip->isr &= (uint8_t)~bit(line);
    if (rotate) {
        chip->highest = (line + 1) & 7U;
    }
}

/* A non-specific EOI passes over masked lines in special mask mode. */
static void chip_end_highest(struct pic_chip *chip, bool rotate)
{
    uint8_t serving = chip->isr;

    if (chip->special_mask) {
        serving &= (uint8_t)~chip->imr;
    }
    unsigned rank = rank_of(chip, serving);
    if (rank != NONE) {
        chip_end(chip, line_of_rank(chip, rank), rotate);
    }
}

static void write_ocw2(struct pic_chip *chip, uint8_t value)
{
    unsigned line = value & 7U;
    unsigned command = value >> 5;

    switch (command) {
    case OCW2_AUTO_ROTATE_OFF:
    case OCW2_AUTO_ROTATE_ON:
        chip->auto_rotate = command == OCW2_AUTO_ROTATE_ON;
        break;
    case OCW2_EOI:
    case OCW2_ROTATE_EOI:
        chip_end_highest(chip, command == OCW2_ROTATE_EOI);
        break;
    case OCW2_SPECIFIC_EOI:
    case OCW2_ROTATE_SPECIFIC_EOI:
        chip_end(chip, line, command == OCW2_ROTATE_SPECIFIC_EOI);
        break;
    case OCW2_SET_PRIORITY:
        chip->highest = (line + 1) & 7U;
        break;
    default: /* 2: nothing */
        break;
    }
}

static void write_ocw3(struct pic_chip *chip, uint8_t value)
{
    chip->poll = (value & OCW3_POLL) != 0;
    if ((value & OCW3_READ) != 0) {
        chip->read_isr = (value & 1U) != 0;
    }
    if ((value & OCW3_SMM) != 0) {
        chip->special_mask = (value & OCW3_SMM_ON) == OCW3_SMM_ON;
    }
}

/* ICW1 forgets edges, masks, modes and what is in service; level inputs keep asking. */
static void write_icw1(struct pic_chip *chip, uint8_t value)
{
    *chip = (struct pic_chip){
        .irr = chip->lines & chip->elcr,
        .lines = chip->lines,
        .elcr = chip->elcr,
        .vector_base = chip->vector_base,
        .expects = 2,
        .needs_icw4 = (value & ICW1_ICW4) != 0,
        .single = (value & ICW1_SINGLE) != 0,
    };
}

static void write_icw(struct pic_chip *chip, uint8_t value)
{
    switch (chip->expects) {
    case 2:
        chip->vector_base = value & 0xf8U;
        chip->expects = chip->single ? (chip->needs_icw4 ? 4 : 0) : 3;
        break;
    case 3: /* the cascade is wired: what ICW3 says of it changes nothing */
        chip->expects = chip->needs_icw4 ? 4 : 0;
        break;
    default:
        chip->auto_eoi = (value & ICW4_AEOI) != 0;
        chip->fully_nested = (value & ICW4_NESTED) != 0;
        chip->expects = 0;
        break;
    }
}

static void write_elcr(struct pic_chip *chip, uint8_t value, uint8_t writable)
{
    uint8_t elcr = value & writable;
    uint8_t to_edge = chip->elcr & (uint8_t)~elcr;

    chip->elcr = elcr;
    chip->irr &= (uint8_t)~to_edge; /* a level that was never acknowledged leaves no edge behind */
    chip->irr = (uint8_t)((chip->irr & ~elcr) | (chip->lines & elcr));
}

/* Poll command: the read is the acknowledge cycle. */
static uint8_t poll(struct pic *pic, unsigned which)
{
    struct pic_chip *chip = &pic->chip[which];
    unsigned line = chip_request(pic, which);

    chip->poll = false;
    if (line == NONE) {
        return 0;
    }
    chip_serve(chip, line);
    cascade(pic);
    return (uint8_t)(POLL_FOUND | line);
}

uint8_t pic_read(struct pic *pic, uint16_t port)
{
    if (port == PIC_PORT_ELCR || port == PIC_PORT_ELCR + 1) {
        return pic->chip[port & 1U].elcr;
    }
    unsigned which = port < PIC_PORT_SLAVE ? MASTER : SLAVE;
    struct pic_chip *chip = &pic->chip[which];

    if (chip->poll) {
        return poll(pic, which);
    }
    if ((port & 1U) != 0) {
        return chip->imr;
    }
    return chip->read_isr ? chip->isr : chip->irr;
}

void pic_write(struct pic *pic, uint16_t port, uint8_t value)
{
    if (port == PIC_PORT_ELCR || port == PIC_PORT_ELCR + 1) {
        write_elcr(&pic->chip[port & 1U], value, elcr_writable[port & 1U]);
    } else {
        struct pic_chip *chip = &pic->chip[port < PIC_PORT_SLAVE ? MASTER : SLAVE];

        if ((port & 1U) != 0) {
            if (chip->expects != 0) {
                write_icw(chip, value);
            } else {
                chip->imr = value;
            }
        } else if ((value & ICW1_INIT) != 0) {
            write_icw1(chip, value);
        } else if ((value & OCW3) != 0) {
            write_ocw3(chip, value);
        } else {
            write_ocw2(chip, value);
        }
    }
    cascade(pic);
}
