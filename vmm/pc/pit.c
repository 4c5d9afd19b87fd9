/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/pit.h"

#include "vmm/pc/clock.h"

#define PIT_HZ         CLOCK_PM_HZ
#define PIT_HZ_DIVISOR 3U
#define REFRESH_NS     15085U
#define PORT_CONTROL   3U /* offset of the control word register */

#define ACCESS_LATCH 0U
#define ACCESS_LOW   1U
#define ACCESS_HIGH  2U

#define CONTROL_BCD        0x01U
#define READ_BACK          3U
#define READ_BACK_NO_COUNT 0x20U
#define READ_BACK_NO_STATE 0x10U
#define STATUS_OUT         0x80U
#define STATUS_NULL        0x40U

#define COUNT_MAX 0x10000U

#define PORT61_GATE    0x01U
#define PORT61_WRITE   0x03U
#define PORT61_REFRESH 0x10U
#define PORT61_OUT2    0x20U

/* Ticks within which the periodic modes make at most one interrupt. */
#define PERIOD_MIN_TICKS (CLOCK_PERIOD_MIN_NS * PIT_HZ / PIT_HZ_DIVISOR / CLOCK_NS_PER_S)

static const struct field pit_fields[] = {
    FIELD_EACH(struct pit_state, channel, start, CLOCK_LAST),
    FIELD_EACH(struct pit_state, channel, held, CLOCK_LAST),
    FIELD_EACH(struct pit_state, channel, reload_at, CLOCK_LAST),
    FIELD_EACH(struct pit_state, channel, count, COUNT_MAX),
    FIELD_EACH(struct pit_state, channel, next_count, COUNT_MAX),
    FIELD_EACH(struct pit_state, channel, phase, PIT_PAUSED),
    FIELD_EACH(struct pit_state, channel, mode, 5),
    FIELD_EACH(struct pit_state, channel, bcd, 1),
    FIELD_EACH(struct pit_state, channel, gate, 1),
    FIELD_EACH(struct pit_state, channel, reload, 1),
    FIELD_EACH(struct pit_state, channel, control, 0x3f),
    FIELD_EACH(struct pit_state, channel, write_high, 1),
    FIELD_EACH(struct pit_state, channel, read_high, 1),
    FIELD_EACH(struct pit_state, channel, low_byte, 0xff),
    FIELD_EACH(struct pit_state, channel, latched_bytes, 2),
    FIELD_EACH(struct pit_state, channel, latch, 0xffff),
    FIELD_EACH(struct pit_state, channel, status_latched, 1),
    FIELD_EACH(struct pit_state, channel, status, 0xff),
    FIELD(struct pit_state, last, CLOCK_LAST),
    FIELD(struct pit_state, edge, 1),
    FIELD(struct pit_state, speaker, PORT61_WRITE),
};

static bool check_state(const void *state)
{
    const struct pit_state *pit = state;
    bool good = true;

    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        good = good && pit->channel[i].count != 0 && pit->channel[i].next_count != 0;
    }
    return good;
}

const struct section pit_section = SECTION(struct pit_state, "pit", 1, pit_fields, check_state);

static uint64_t tick_at(uint64_t now)
{
    return clock_ticks(now, PIT_HZ, PIT_HZ_DIVISOR);
}

static bool is_periodic(const struct pit_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* Modes 1 and 5 start, and the periodic ones restart, when the gate rises. */
static bool gate_triggers(const struct pit_channel *c)
{
    return c->mode == 1 || c->mode == 5;
}

/* Ticks since the count was loaded; 0 before. */
static uint64_t elapsed(const struct pit_channel *c, uint64_t tick)
{
    if (c->phase == PIT_PAUSED) {
        return c->held;
    }
    return c->phase == PIT_COUNTING && tick > c->start ? tick - c->start : 0;
}

static bool output(const struct pit_channel *c, uint64_t tick)
{
    uint64_t e = elapsed(c, tick);

    if (c->phase == PIT_IDLE || c->phase == PIT_ARMED) {
        return c->mode != 0;
    }
    switch (c->mode) {
    case 0:
    case 1:
        return e >= c->count;
    case 2: /* a count of 1 is forbidden: it gives no pulse */
        return c->count < 2 || e % c->count != c->count - 1;
    case 3:
        return e % c->count < (c->count + 1) / 2;
    default:
        return e != c->count;
    }
}

/*
 * The first tick after TICK at which OUT rises; CLOCK_NEVER when it will not. In the periodic modes
 * of every NTH rise only.
 */
static uint64_t next_rise(const struct pit_channel *c, uint64_t tick, uint32_t nth)
{
    uint64_t at;

    if (c->phase != PIT_COUNTING) {
        return CLOCK_NEVER;
    }
    if (is_periodic(c)) {
        uint64_t step = (uint64_t)c->count * nth;
        uint64_t steps = tick >= c->start ? (tick - c->start) / step : 0;

        return c->count < 2 ? CLOCK_NEVER : c->start + (steps + 1) * step;
    }
    at = c->start + c->count + (c->mode >= 4 ? 1 : 0);
    return at > tick ? at : CLOCK_NEVER;
}

/* Let a count written during a period take over when the period is over. */
static void reload(struct pit_channel *c, uint64_t tick)
{
    if (c->reload && tick >= c->reload_at) {
        c->reload = false;
        c->start = c->reload_at;
        c->count = c->next_count;
    }
}

static void see_edges(struct pit *pit, uint64_t tick)
{
    struct pit_channel *c = &pit->state.channel[0];

    if (tick > pit->state.last) {
        pit->state.edge = pit->state.edge || next_rise(c, pit->state.last, 1) <= tick;
        pit->state.last = tick;
    }
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        reload(&pit->state.channel[i], tick);
    }
}

/* Of short periods each rise that lies a bearable time after another. */
void pit_derive(struct pit *pit)
{
    const struct pit_channel *c = &pit->state.channel[0];
    uint32_t nth = ((uint32_t)PERIOD_MIN_TICKS + c->count - 1) / c->count;
    uint64_t rise = next_rise(c, pit->state.last, nth);

    pit->next_event =
        rise == CLOCK_NEVER ? CLOCK_NEVER : clock_time_of_tick(rise, PIT_HZ, PIT_HZ_DIVISOR);
}

void pit_run(struct pit *pit, uint64_t now)
{
    see_edges(pit, tick_at(now));
    pit_derive(pit);
}

bool pit_take_edge(struct pit *pit)
{
    bool edge = pit->state.edge;

    pit->state.edge = false;
    return edge;
}

bool pit_output(const struct pit *pit, unsigned channel, uint64_t now)
{
    return output(&pit->state.channel[channel], tick_at(now));
}

void pit_reset(struct pit *pit, uint64_t now)
{
    *pit = (struct pit){.state.last = tick_at(now), .next_event = CLOCK_NEVER};
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        pit->state.channel[i].gate = i != 2;
        pit->state.channel[i].count = COUNT_MAX;
        pit->state.channel[i].next_count = COUNT_MAX;
        pit->state.channel[i].control = ACCESS_LOW << 4;
    }
}

/* The counting element, as two bytes in the number base of the control word. */
static uint16_t counting_element(const struct pit_channel *c, uint64_t tick)
{
    uint32_t modulus = c->bcd ? 10000 : 0x10000;
    uint64_t e = elapsed(c, tick);
    uint32_t value;

    if (c->mode == 3) {
        uint32_t half = (c->count + 1) / 2;
        uint32_t x = (uint32_t)(e % c->count);

        value = (c->count & ~1U) - 2 * (x >= half ? x - half : x);
    } else if (c->mode == 2) {
        value = c->count - (uint32_t)(e % c->count);
    } else { /* counts on below zero */
        value = c->count + modulus - (uint32_t)(e % modulus);
    }
    value %= modulus;
    if (!c->bcd) {
        return (uint16_t)value;
    }
    return (uint16_t)(value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 |
                      value % 10);
}

/* The number of ticks that a programmed count means; 0 stands for the largest. */
static uint32_t count_from(const struct pit_channel *c, uint16_t value)
{
    uint32_t count = value;

    if (c->bcd) { /* digits above 9 have no defined meaning: they count what they weigh */
        count = (value >> 12) * 1000U + (value >> 8 & 15U) * 100U + (value >> 4 & 15U) * 10U +
                (value & 15U);
    }
    if (count == 0) {
        return c->bcd ? 10000 : COUNT_MAX;
    }
    return count;
}

static void start(struct pit_channel *c, uint64_t tick)
{
    c->phase = PIT_COUNTING;
    c->start = tick + 1; /* the next clock pulse loads the count */
    c->held = 0;
    c->reload = false;
}

static void load_count(struct pit_channel *c, uint16_t value, uint64_t tick)
{
    uint32_t count = count_from(c, value);

    if (is_periodic(c) && c->phase == PIT_COUNTING) {
        c->next_count = count;
        c->reload = true;
        uint64_t period_end = next_rise(c, tick, 1);
        c->reload_at = period_end == CLOCK_NEVER ? tick + 1 : period_end;
    } else if (gate_triggers(c)) { /* the shot under way is not affected */
        c->next_count = count;
        c->phase = c->phase == PIT_IDLE ? PIT_ARMED : c->phase;
    } else {
        c->count = count;
        start(c, tick);
        if (!c->gate) {
            c->phase = is_periodic(c) ? PIT_ARMED : PIT_PAUSED;
        }
    }
}

static void set_gate(struct pit_channel *c, bool gate, uint64_t tick)
{
    bool rises = gate && !c->gate;
    bool falls = !gate && c->gate;

    c->gate = gate;
    if (rises && gate_triggers(c) && c->phase != PIT_IDLE) {
        c->count = c->next_count;
        start(c, tick);
    } else if (rises && c->phase == PIT_ARMED) {
        start(c, tick);
    } else if (rises && c->phase == PIT_PAUSED) {
        c->phase = PIT_COUNTING;
        c->start = tick - c->held;
    } else if (falls && c->phase == PIT_COUNTING && is_periodic(c)) {
        c->phase = PIT_ARMED;
        c->count = c->reload ? c->next_count : c->count;
        c->reload = false;
    } else if (falls && c->phase == PIT_COUNTING && !gate_triggers(c)) {
        c->held = elapsed(c, tick);
        c->phase = PIT_PAUSED;
    }
}

static bool count_not_loaded(const struct pit_channel *c, uint64_t tick)
{
    return c->phase == PIT_IDLE || c->phase == PIT_ARMED || c->reload ||
           (c->phase == PIT_COUNTING && tick < c->start) ||
           (gate_triggers(c) && c->next_count != c->count);
}

static void latch_count(struct pit_channel *c, uint64_t tick)
{
    if (c->latched_bytes == 0) { /* a second latch before the first is read does nothing */
        c->latch = counting_element(c, tick);
        c->latched_bytes = c->control >> 4 == (ACCESS_LOW | ACCESS_HIGH) ? 2 : 1;
    }
}

static void latch_status(struct pit_channel *c, uint64_t tick)
{
    if (!c->status_latched) {
        c->status_latched = true;
        c->status = (uint8_t)(c->control | (output(c, tick) ? STATUS_OUT : 0) |
                              (count_not_loaded(c, tick) ? STATUS_NULL : 0));
    }
}

static void read_back(struct pit *pit, uint8_t value, uint64_t tick)
{
    for (unsigned i = 0; i < PIT_CHANNELS; i++) {
        struct pit_channel *c = &pit->state.channel[i];

        if ((value >> (i + 1) & 1U) == 0) {
            continue;
        }
        if ((value & READ_BACK_NO_COUNT) == 0) {
            latch_count(c, tick);
        }
        if ((value & READ_BACK_NO_STATE) == 0) {
            latch_status(c, tick);
        }
    }
}

static void write_control(struct pit *pit, uint8_t value, uint64_t tick)
{
    unsigned select = value >> 6;

    if (select == READ_BACK) {
        read_back(pit, value, tick);
        return;
    }
    struct pit_channel *c = &pit->state.channel[select];
    if ((value >> 4 & 3U) == ACCESS_LATCH) {
        latch_count(c, tick);
        return;
    }
    unsigned mode = value >> 1 & 7U;
    *c = (struct pit_channel){
        .count = c->count,
        .next_count = c->count,
        .phase = PIT_IDLE,
        .mode = (uint8_t)(mode > 5 ? mode - 4 : mode),
        .bcd = (value & CONTROL_BCD) != 0,
        .gate = c->gate,
        .control = value & 0x3fU,
    };
}

static void write_count(struct pit_channel *c, uint8_t value, uint64_t tick)
{
    unsigned access = c->control >> 4;

    if (access == ACCESS_LOW) {
        load_count(c, value, tick);
    } else if (access == ACCESS_HIGH) {
        load_count(c, (uint16_t)(value << 8), tick);
    } else if (!c->write_high) {
        c->low_byte = value;
        c->write_high = true;
        if (c->mode == 0) {
            c->phase = PIT_IDLE; /* the first byte stops the count and lowers OUT */
        }
    } else {
        c->write_high = false;
        load_count(c, (uint16_t)(value << 8 | c->low_byte), tick);
    }
}

void pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now)
{
    uint64_t tick = tick_at(now);
    unsigned offset = port & 3U;

    see_edges(pit, tick);
    bool before = output(&pit->state.channel[0], tick);
    if (offset == PORT_CONTROL) {
        write_control(pit, value, tick);
    } else {
        write_count(&pit->state.channel[offset], value, tick);
    }
    pit->state.edge = pit->state.edge || (!before && output(&pit->state.channel[0], tick));
    pit_derive(pit);
}

uint8_t pit_read(struct pit *pit, uint16_t port, uint64_t now)
{
    uint64_t tick = tick_at(now);
    struct pit_channel *c = &pit->state.channel[port & 3U];

    if ((port & 3U) == PORT_CONTROL) {
        return 0xff; /* write only */
    }
    see_edges(pit, tick);
    pit_derive(pit);
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    uint16_t value = c->latched_bytes != 0 ? c->latch : counting_element(c, tick);
    unsigned access = c->control >> 4;
    bool high = access == ACCESS_HIGH || (access != ACCESS_LOW && c->read_high);

    if (access == (ACCESS_LOW | ACCESS_HIGH)) {
        c->read_high = !c->read_high;
    }
    if (c->latched_bytes != 0) {
        c->latched_bytes--;
    }
    return (uint8_t)(high ? value >> 8 : value);
}

uint8_t pit_control_read(const struct pit *pit, uint64_t now)
{
    bool refresh = (now / REFRESH_NS & 1U) != 0;

    return (uint8_t)(pit->state.speaker | (refresh ? PORT61_REFRESH : 0) |
                     (pit_output(pit, 2, now) ? PORT61_OUT2 : 0));
}

void pit_control_write(struct pit *pit, uint8_t value, uint64_t now)
{
    uint64_t tick = tick_at(now);

    see_edges(pit, tick);
    pit->state.speaker = value & PORT61_WRITE;
    set_gate(&pit->state.channel[2], (value & PORT61_GATE) != 0, tick);
    pit_derive(pit);
}
