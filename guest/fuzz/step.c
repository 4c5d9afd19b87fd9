/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens between two instructions of random code. This runs in the trap handler, with the
 * cage's page tables: the image cannot be written, only the state can, and SSE registers are the
 * random code's.
 */
#pragma GCC target("general-regs-only")

#include "guest/fuzz/fuzz.h"

#define VECTOR_DB  1
#define VECTOR_NMI 2
#define VECTOR_BP  3
#define FLAG_TF    0x100UL
#define FLAG_FIXED 0x2UL
#define FLAG_VM    0x20000UL
#define FLAG_NT    0x4000UL
#define FLAG_AC    0x40000UL
#define FLAG_MASK  0x3f7fd7UL
#define TRIES      8
#define PREFIXES   14
#define STARTS     2 /* in the code of a burst: the second time its translation is there already */

/* Where a code segment can run, and with which data selector. */
static const struct mode {
    uint64_t code, data;
    uint16_t selector, stack;
    bool long_mode;
} modes[] = {
    {CAGE_CODE,     CAGE_DATA,     SEL_CODE64,     SEL_DATA,      true },
    {CAGE_CODE,     CAGE_DATA,     SEL_CODE32,     SEL_DATA,      false},
    {CAGE_LOW_CODE, CAGE_LOW_DATA, SEL_CODE16,     SEL_DATA,      false},
    {CAGE_CODE,     CAGE_DATA,     SEL_USER64,     SEL_USER_DATA, true },
    {CAGE_CODE,     CAGE_DATA,     SEL_USER32,     SEL_USER_DATA, false},
    {CAGE_LOW_CODE, CAGE_LOW_DATA, SEL_USER16,     SEL_USER_DATA, false},
    {CAGE_CODE,     CAGE_DATA,     SEL_CONFORMING, SEL_DATA,      true },
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

/* What must not happen by accident: the run would end, or be another one each time. */
struct refusal {
    uint16_t first, last;
    uint8_t bits; /* refused when one of them is set; 0: always */
    bool bare;    /* under plain QEMU only */
};

static const struct refusal refusals[] = {
    {GUEST_EXIT_PORT, GUEST_EXIT_PORT + 3, 0,    false},
    {0x70,            0x71,                0,    false}, /* CMOS: fuzz_run_devices() */
    {0x92,            0x92,                0x01, false}, /* reset */
    {0xb2,            0xb3,                0,    false}, /* SMI */
    {0xcf9,           0xcf9,               0x04, false}, /* reset */
    {0xcfc,           0xcff,               0,    false}, /* PCI: fuzz_run_devices() */
    {0x605,           0x605,               0x20, false}, /* PM1 control: sleep */
    {0x40,            0x40,                0,    true }, /* a period of a microsecond hangs QEMU */
    {0x514,           0x51b,               0,    true }, /* fw_cfg's DMA: writes memory */
    {0xae00,          0xafff,              0,    true }, /* hot-plug: ejects devices and CPUs */
};

static bool byte_allowed(uint16_t port, uint8_t value)
{
    for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *refusal = &refusals[i];

        if (port >= refusal->first && port <= refusal->last &&
            (refusal->bits == 0 || (value & refusal->bits)) &&
            (!refusal->bare || fuzz_state->lenient)) {
            return false;
        }
    }
    if (fuzz_state->vf_pfn != 0 && (uint16_t)(port - fuzz_state->vf_pfn) < 4) {
        return false; /* the VF would write a ring's used part there: vf.c knows where it may */
    }
    if (port == 0x64) { /* not the pulses, nor the output port, which has the reset line */
        return value < 0xf0 && value != 0xd1 && (!fuzz_state->lenient || value != 0xdd);
    }
    if (port == 0x43 && fuzz_state->lenient) {
        return value >= 0x40;
    }
    if (port == 0x92 && fuzz_state->lenient) {
        return value & 2; /* QEMU's A20 gate masks the address line, and so takes memory away */
    }
    if (port == 0x3fc) {
        return value & 0x10; /* the UART stays in loop-back mode: the console prints no noise */
    }
    return true;
}

bool fuzz_port_write_allowed(uint16_t port, unsigned width, uint32_t value)
{
    if (port == 0xcf8 && width == 4) {
        return true; /* the address register, not the reset register in its middle */
    }
    if (width > 1 && fuzz_state->lenient && port < 0xd00) {
        return false; /* QEMU gives all the bytes to the device at the first one's port */
    }
    for (unsigned i = 0; i < width; i++) {
        if (!byte_allowed((uint16_t)(port + i), (uint8_t)(value >> 8 * i))) {
            return false;
        }
    }
    return true;
}

uint64_t fuzz_value(void)
{
    uint64_t random = fuzz_random(), shift = random >> 58;

    switch (random >> 8 & 7) {
    case 0:
        return random >> 16 & 0xff;
    case 1:
        return 1UL << shift;
    case 2:
        return ~0UL << shift;
    case 3:
        return ~0UL >> shift;
    case 4:
        return 0;
    case 5:
        return random >> 16 & 0xffff;
    case 6:
        return random >> 16 & 0xffffffff;
    default:
        return fuzz_random();
    }
}

bool fuzz_port_read_allowed(uint16_t port, unsigned width)
{
    /* QEMU stops with an assertion of its UART's. */
    return !fuzz_state->lenient || width == 1 || (port & 0x2f0) != 0x2f0;
}

static const struct mode *mode_of(uint64_t selector)
{
    for (unsigned i = 0; i < MODES; i++) {
        if (modes[i].selector == selector) {
            return &modes[i];
        }
    }
    return NULL;
}

/* A register's new value: mostly one with which an access of memory can succeed. */
static uint64_t register_value(const struct mode *mode)
{
    switch (fuzz_below(8)) {
    case 0:
        return CAGE_DEVICES + fuzz_below(CAGE_WINDOW);
    case 1:
        return CAGE_HOLES + fuzz_below(CAGE_WINDOW);
    case 2:
        return mode->code + fuzz_below(CAGE_CODE_LEN);
    case 3:
        return fuzz_below(32);
    case 4:
        return fuzz_value();
    default:
        return mode->data + fuzz_below(CAGE_LOW_LEN);
    }
}

/* Begin anew somewhere in the code. */
void fuzz_reseat(void)
{
    const struct mode *mode = &modes[fuzz_state->mode];

    fuzz_state->reseats++;
    fuzz_state->rip = mode->code + fuzz_below(CAGE_CODE_LEN - 16);
    fuzz_state->cs = mode->selector;
    fuzz_state->regs[RSP] = mode->data + CAGE_LOW_LEN / 2 + (fuzz_below(256) & ~7U);
    for (unsigned i = 0; i < 4; i++) {
        unsigned number = fuzz_below(REGISTERS);

        if (number != RSP) {
            fuzz_state->regs[number] = register_value(mode);
        }
    }
    fuzz_state->rflags = fuzz_random() & FLAG_MASK;
}

enum verdict { RUN, REFUSE, RARE, SHADOW };

struct view {
    const uint8_t *at;
    bool long_mode, wide; /* the operand size prefix */
    bool rex_r, lock;
    unsigned length; /* of what is judged SHADOW */
};

static uint8_t skip_prefixes(struct view *view)
{
    for (unsigned i = 0; i < PREFIXES; i++) {
        uint8_t byte = *view->at;

        switch (byte) {
        case 0x66:
            view->wide = true;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0x67:
        case 0xf2:
        case 0xf3:
            break;
        case 0xf0:
            view->lock = true;
            break;
        default:
            if (!view->long_mode || (byte & 0xf0) != 0x40) {
                return byte;
            }
        }
        view->rex_r = view->long_mode && (byte & 0xf4) == 0x44;
        view->at++;
    }
    return *view->at;
}

static enum verdict judge_out(uint16_t port, unsigned width)
{
    return fuzz_port_write_allowed(port, width, (uint32_t)fuzz_state->regs[RAX]) ? RUN : REFUSE;
}

/* Groups 6 and 7, moves to control registers, WRMSR. */
static enum verdict judge_0f(const struct view *view)
{
    uint8_t modrm = view->at[2], reg = modrm >> 3 & 7;
    uint64_t msr = fuzz_state->regs[RCX] & 0xffffffff;

    switch (view->at[1]) {
    case 0x00: /* TCG lets LTR load a null selector, and QEMU ends at the next trap */
        return reg == 3 && fuzz_state->tcg ? REFUSE : RUN;
    case 0xa3:
    case 0xab:
    case 0xb3:
    case 0xba:
    case 0xbb: /* LOCK BT of a register: no fault in TCG, but QEMU's end */
        return view->lock && modrm >= 0xc0 && fuzz_state->tcg ? REFUSE : RUN;
    case 0x01:
        if (modrm < 0xc0) {
            return reg == 2 || reg == 3 ? RARE : RUN; /* LGDT, LIDT */
        }
        return modrm == 0xc8 || modrm == 0xc9 || modrm == 0xfa || modrm == 0xfb ? RARE : RUN;
    case 0x22:
        if (reg == 2 || (reg == 0 && view->rex_r)) {
            return RUN; /* CR2, CR8 */
        }
        return fuzz_state->tcg ? REFUSE : RARE; /* TCG hangs for some values of CR3 and CR4 */
    case 0x23:
        fuzz_state->debug_dirty = true;
        return RUN;
    case 0x30: /* those that steer the CPU have tests of their own: fuzz_run_msrs() */
        return msr == 0x1b || msr == 0x1d9 || (msr >= 0x174 && msr <= 0x176) || msr >> 8 == 8 ||
                       msr >> 16 == 0xc000 || msr >> 16 == 0xc001
                   ? REFUSE
                   : RUN;
    case 0x07: /* SYSRET takes the flags from R11; without TF the code would run away */
        fuzz_state->regs[R11] |= FLAG_TF;
        return RUN;
    default:
        return RUN;
    }
}

static enum verdict shadow(struct view *view, unsigned length)
{
    view->length = length;
    return SHADOW;
}

static enum verdict judge(struct view *view)
{
    uint8_t opcode = skip_prefixes(view);

    view->length = 0;
    unsigned width = view->wide ? 2 : 4;

    switch (opcode) {
    case 0x0f:
        return judge_0f(view);
    case 0x17: /* POP SS */
    case 0x8e:
        if (opcode == 0x17 || (view->at[1] & 0x38) == 0x10) {
            return view->at[1] >= 0xc0 && opcode == 0x8e ? shadow(view, 2) : REFUSE;
        }
        return RUN;
    case 0x6d: /* INS */
    case 0xed:
        return fuzz_port_read_allowed((uint16_t)fuzz_state->regs[RDX], 4) ? RUN : REFUSE;
    case 0x6e: /* OUTS */
    case 0x6f:
        return (uint16_t)fuzz_state->regs[RDX] >= 0x1000 && !fuzz_state->lenient &&
                       fuzz_port_write_allowed((uint16_t)fuzz_state->regs[RDX], 4, 0)
                   ? RUN
                   : REFUSE;
    case 0xe6:
        return judge_out(view->at[1], 1);
    case 0xe7: /* either width: a segment's default turns the prefix around */
        return judge_out(view->at[1], 2) == RUN ? judge_out(view->at[1], 4) : REFUSE;
    case 0xee:
        return judge_out((uint16_t)fuzz_state->regs[RDX], 1);
    case 0xef:
        return judge_out((uint16_t)fuzz_state->regs[RDX], width) == RUN
                   ? judge_out((uint16_t)fuzz_state->regs[RDX], 6 - width)
                   : REFUSE;
    case 0xc4: /* VEX: some encodings that fault elsewhere end QEMU with an assertion */
    case 0xc5:
        return fuzz_state->tcg ? REFUSE : RUN;
    case 0xf4: /* HLT: until the watchdog's NMI */
        return fuzz_one_in(64) ? shadow(view, 1) : REFUSE;
    case 0x90: /* PAUSE: QEMU makes no trap of it; with REX it is an exchange */
        return view->at > (const uint8_t *)fuzz_state->rip && (view->at[-1] & 0xf0) == 0x40
                   ? RUN
                   : shadow(view, 1);
    case 0xfb: /* STI: some CPUs hold the trap back as they do interrupts */
        return shadow(view, 1);
    case 0xcd: /* the NMI's handler returns without a step */
        return view->at[1] == VECTOR_NMI ? shadow(view, 2) : RUN;
    default:
        return RUN;
    }
}

static bool may_run(const struct mode *mode)
{
    struct view view = {(const uint8_t *)fuzz_state->rip, mode->long_mode, false, false, false, 0};
    enum verdict verdict = judge(&view);

    if (verdict == SHADOW) {
        /* No trap comes between this one and what follows: judge that as well. */
        view.at += view.length;
        view.wide = view.lock = false;
        verdict = judge(&view);
    }
    return verdict == RUN || (verdict == RARE && fuzz_one_in(fuzz_state->suicide));
}

/* Is the code there, and is there a whole instruction before its end? */
static bool in_code(const struct mode *mode)
{
    return fuzz_state->rip >= mode->code && fuzz_state->rip < mode->code + CAGE_CODE_LEN - 32;
}

static void end_interrupt(void)
{
    *(volatile uint32_t *)(STATE_APIC + 0xb0) = 0;
    __asm__ volatile("outb %b0, $0xa0; outb %b0, $0x20" ::"a"(0x20));
}

/* Count what brought us here. True if the code may go on where it is. */
static bool account(void)
{
    uint64_t vector = fuzz_state->vector;

    if (vector >= 32) {
        fuzz_state->interrupts++;
        end_interrupt();
        return true;
    }
    fuzz_state->faults[vector]++;
    fuzz_state->hung += vector == VECTOR_NMI;
    return vector == VECTOR_DB || vector == VECTOR_BP;
}

void fuzz_burst_begin(void)
{
    unsigned at = fuzz_below(STARTS) * (CAGE_CODE_LEN / 2 / STARTS);

    while (fuzz_burst_rank[at] == fuzz_burst_rank[at + 1]) {
        at++;
    }
    fuzz_reseat();
    fuzz_state->rip = CAGE_CODE + at + 1;
    fuzz_state->burst_from = fuzz_burst_rank[at + 1];
    fuzz_state->regs[RSI] = CAGE_DATA + 0x1000 + fuzz_below(CAGE_LOW_LEN / 2);
    fuzz_state->regs[RDI] = CAGE_DATA + 0x1000 + fuzz_below(CAGE_LOW_LEN / 2);
    fuzz_state->regs[RBX] = CAGE_DATA + 0x1000 + (fuzz_below(CAGE_LOW_LEN / 2) & ~15U);
    fuzz_state->regs[RBP] = CAGE_DATA + 0x1000 + fuzz_below(CAGE_LOW_LEN / 2);
    fuzz_state->rflags &= ~(FLAG_TF | FLAG_VM | FLAG_NT | FLAG_AC);
    fuzz_state->rflags |= FLAG_FIXED;
    fuzz_state->ss = SEL_DATA;
}

/* A burst has ended, or an interrupt came in its middle. */
static bool burst_step(void)
{
    uint64_t at = fuzz_state->rip - CAGE_CODE;

    if (account() && fuzz_state->vector >= 32) {
        return true;
    }
    uint64_t done = (at <= CAGE_CODE_LEN ? fuzz_burst_rank[at] : fuzz_state->burst_from) -
                    fuzz_state->burst_from + 1;

    fuzz_state->steps += done;
    fuzz_state->budget -= done < fuzz_state->budget ? done : fuzz_state->budget;
    if (fuzz_state->budget == 0) {
        return false;
    }
    fuzz_burst_begin();
    return true;
}

bool fuzz_step(void)
{
    if (fuzz_state->bursts) {
        return burst_step();
    }
    const struct mode *mode = mode_of(fuzz_state->cs);

    if (!account() || mode == NULL || !in_code(mode)) {
        fuzz_reseat();
        mode = &modes[fuzz_state->mode];
    }
    if (fuzz_state->budget == 0) {
        return false;
    }
    for (unsigned tries = 0; !may_run(mode); tries++) {
        if (tries == TRIES) {
            return false;
        }
        fuzz_state->refused++;
        fuzz_reseat();
        mode = &modes[fuzz_state->mode];
    }
    fuzz_state->budget--;
    fuzz_state->steps++;
    fuzz_state->ss = mode->stack;
    fuzz_state->rflags = (fuzz_state->rflags & ~FLAG_VM) | FLAG_TF | FLAG_FIXED;
    return true;
}
