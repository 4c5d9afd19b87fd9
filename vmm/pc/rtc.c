/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/rtc.h"

#include "vmm/base/rtc_date.h"
#include "vmm/pc/clock.h"
#include "vmm/pc/pc.h"

#define REGISTER_A 0x0aU
#define REGISTER_B 0x0bU
#define REGISTER_C 0x0cU
#define REGISTER_D 0x0dU

#define A_UIP          0x80U
#define A_DIVIDER_HELD 0x60U /* 110 and 111 hold the divider chain in reset */
#define A_RATE         0x0fU
#define B_SET          0x80U
#define B_UPDATE       0x10U
#define B_INTERRUPTS   0x70U
#define C_PERIODIC     0x40U
#define C_ALARM        0x20U
#define C_UPDATE       0x10U
#define C_ANY          0x80U
#define D_VALID        0x80U

#define CRYSTAL_HZ     32768U
#define UIP_NS         (1984000U + 244000U)
#define HALF_SECOND_NS 500000000
#define FIRST_SECOND   (-62167219200) /* of the year 0 */
#define LAST_SECOND    253402300799   /* of the year 9999 */

/* How far back a run looks for an alarm: past a day every alarm has matched anyhow. */
#define ALARM_LOOK_BACK 60

static const struct field rtc_fields[] = {
    FIELD(struct rtc_state, base_seconds, UINT64_MAX), /* signed, as is the next */
    FIELD(struct rtc_state, base_ns, UINT64_MAX),
    FIELD(struct rtc_state, last, CLOCK_LAST),
    FIELD(struct rtc_state, index, RTC_RAM_SIZE - 1),
    FIELD(struct rtc_state, index_extended, RTC_RAM_SIZE - 1),
    FIELD(struct rtc_state, nmi_masked, 1),
    FIELD_ARRAY(struct rtc_state, ram, 0xff),
};

static bool check_state(const void *state)
{
    const struct rtc_state *rtc = state;

    return rtc->base_seconds >= FIRST_SECOND && rtc->base_seconds <= LAST_SECOND &&
           rtc->base_ns >= -(int64_t)CLOCK_NS_PER_S && rtc->base_ns <= (int64_t)rtc->last &&
           (rtc->ram[REGISTER_A] & A_UIP) == 0 &&
           (rtc->ram[REGISTER_C] & ~(C_PERIODIC | C_ALARM | C_UPDATE)) == 0;
}

const struct section rtc_section = SECTION(struct rtc_state, "rtc", 1, rtc_fields, check_state);

/* Battery-backed bytes with a fixed value at power-on. */
static const struct {
    uint8_t index;
    uint8_t value;
    const char *name;
} cmos_defaults[] = {
    {REGISTER_A, 0x26,           "32768 Hz, 1024 Hz periodic rate"            },
    {REGISTER_B, RTC_FORMAT_24H, "BCD, 24 hours, no interrupts"               },
    {REGISTER_D, D_VALID,        "battery good"                               },
    {0x14,       0x06,           "equipment: FPU, PS/2 pointer, no diskette"  },
    {0x15,       0x80,           "base memory, KiB, low"                      },
    {0x16,       0x02,           "base memory, KiB, high"                     },
    {0x38,       0x10,           "boot order, third"                          },
    {0x3d,       0x32,           "boot order, first and second: disk, then CD"},
};

static bool is_held(const struct rtc_state *rtc)
{
    return (rtc->ram[REGISTER_A] & A_DIVIDER_HELD) == A_DIVIDER_HELD;
}

/* Does the date stand still because the guest holds it? */
static bool is_stopped(const struct rtc_state *rtc)
{
    return (rtc->ram[REGISTER_B] & B_SET) != 0 || is_held(rtc);
}

static uint64_t since_base(const struct rtc_state *rtc, uint64_t now)
{
    return (uint64_t)((int64_t)now - rtc->base_ns);
}

static int64_t seconds_at(const struct rtc_state *rtc, uint64_t now)
{
    if (is_stopped(rtc)) {
        return rtc_date_load(rtc->ram, rtc->ram[REGISTER_B]);
    }
    return rtc->base_seconds + (int64_t)(since_base(rtc, now) / CLOCK_NS_PER_S);
}

/* Crystal cycles from one periodic interrupt to the next; 0: none. */
static uint64_t periodic_cycles(const struct rtc_state *rtc)
{
    unsigned rate = rtc->ram[REGISTER_A] & A_RATE;

    if (rate == 0 || is_held(rtc)) {
        return 0;
    }
    return 1ULL << ((rate < 3 ? rate + 7 : rate) - 1);
}

static uint64_t crystal_cycles(const struct rtc_state *rtc, uint64_t now)
{
    return clock_ticks(since_base(rtc, now), CRYSTAL_HZ, 1);
}

/* Has an alarm fallen into the seconds after FROM, up to TO? */
static bool alarm_between(const struct rtc_state *rtc, int64_t from, int64_t to)
{
    int64_t first = to - from > ALARM_LOOK_BACK ? to - ALARM_LOOK_BACK : from;

    for (int64_t s = first + 1; s <= to; s++) {
        if (rtc_date_alarm(rtc->ram, rtc->ram[REGISTER_B], s)) {
            return true;
        }
    }
    return false;
}

static void see_periodic(struct rtc_state *rtc, uint64_t now)
{
    uint64_t cycles = periodic_cycles(rtc);

    if (cycles != 0 &&
        crystal_cycles(rtc, now) / cycles != crystal_cycles(rtc, rtc->last) / cycles) {
        rtc->ram[REGISTER_C] |= C_PERIODIC;
    }
}

static void see_update(struct rtc_state *rtc, uint64_t now)
{
    if (is_stopped(rtc)) {
        return;
    }
    int64_t before = seconds_at(rtc, rtc->last);
    int64_t after = seconds_at(rtc, now);

    if (after != before) {
        rtc->ram[REGISTER_C] |= C_UPDATE;
        if (alarm_between(rtc, before, after)) {
            rtc->ram[REGISTER_C] |= C_ALARM;
        }
    }
}

/* A flag that is already set needs no event: its interrupt is asserted until register C is read. */
static bool waits_for(const struct rtc_state *rtc, uint8_t flags)
{
    return (rtc->ram[REGISTER_B] & ~rtc->ram[REGISTER_C] & flags) != 0;
}

static uint64_t next_event(const struct rtc_state *rtc)
{
    uint64_t cycles = periodic_cycles(rtc);
    uint64_t next = CLOCK_NEVER;

    if (cycles != 0 && waits_for(rtc, C_PERIODIC)) {
        uint64_t tick = (crystal_cycles(rtc, rtc->last) / cycles + 1) * cycles;

        next = (uint64_t)((int64_t)clock_time_of_tick(tick, CRYSTAL_HZ, 1) + rtc->base_ns);
    }
    if (!is_stopped(rtc) && waits_for(rtc, C_UPDATE | C_ALARM)) {
        uint64_t second = since_base(rtc, rtc->last) / CLOCK_NS_PER_S + 1;

        next = clock_earliest(next, (uint64_t)((int64_t)(second * CLOCK_NS_PER_S) + rtc->base_ns));
    }
    return next;
}

static void see_events(struct rtc_state *rtc, uint64_t now)
{
    if (now > rtc->last) {
        see_periodic(rtc, now);
        see_update(rtc, now);
        rtc->last = now;
    }
}

void rtc_derive(struct rtc *rtc)
{
    rtc->next_event = next_event(&rtc->state);
}

void rtc_run(struct rtc *rtc, uint64_t now)
{
    see_events(&rtc->state, now);
    rtc_derive(rtc);
}

static bool is_asserted(const struct rtc_state *rtc)
{
    return (rtc->ram[REGISTER_B] & rtc->ram[REGISTER_C] & B_INTERRUPTS) != 0;
}

bool rtc_irq(const struct rtc *rtc)
{
    return is_asserted(&rtc->state);
}

/* Memory sizes in the units and limits of the BIOS's CMOS map. */
static void store_memory_sizes(uint8_t *ram, const struct pc_config *config)
{
    uint64_t low = config->memory_below_4g;
    uint64_t kib = low > 1ULL << 20 ? (low >> 10) - 1024 : 0;
    uint64_t above_16m = low > 16ULL << 20 ? (low - (16ULL << 20)) >> 16 : 0;
    uint64_t above_4g = config->memory_above_4g >> 16;

    kib = clock_earliest(kib, 0xffff);
    above_16m = clock_earliest(above_16m, 0xffff);
    above_4g = clock_earliest(above_4g, 0xffffff);
    ram[0x17] = ram[0x30] = (uint8_t)kib;
    ram[0x18] = ram[0x31] = (uint8_t)(kib >> 8);
    ram[0x34] = (uint8_t)above_16m;
    ram[0x35] = (uint8_t)(above_16m >> 8);
    ram[0x5b] = (uint8_t)above_4g;
    ram[0x5c] = (uint8_t)(above_4g >> 8);
    ram[0x5d] = (uint8_t)(above_4g >> 16);
}

void rtc_power_on(struct rtc *rtc, const struct pc_config *config)
{
    int64_t seconds = config->rtc_seconds < 0 ? 0 : config->rtc_seconds;

    seconds = seconds > LAST_SECOND ? LAST_SECOND : seconds;
    uint8_t *ram = rtc->state.ram;

    *rtc = (struct rtc){.state.base_seconds = seconds, .next_event = CLOCK_NEVER};
    for (unsigned i = 0; i < ARRAY_SIZE(cmos_defaults); i++) {
        ram[cmos_defaults[i].index] = cmos_defaults[i].value;
    }
    store_memory_sizes(ram, config);
    ram[0x5f] = (uint8_t)(config->vcpu_count - 1);
    rtc_date_store(ram, ram[REGISTER_B], seconds);

    unsigned sum = 0;
    for (unsigned i = 0x10; i <= 0x2d; i++) { /* the BIOS checksum, high byte first */
        sum += ram[i];
    }
    ram[0x2e] = (uint8_t)(sum >> 8);
    ram[0x2f] = (uint8_t)sum;
}

void rtc_reset(struct rtc *rtc, uint64_t now)
{
    see_events(&rtc->state, now);
    rtc->state.ram[REGISTER_B] &= (uint8_t)~B_INTERRUPTS;
    rtc->state.ram[REGISTER_C] = 0;
    rtc->state.nmi_masked = false;
    rtc_derive(rtc);
}

static bool is_date_register(uint8_t index)
{
    return index <= RTC_YEAR
               ? index != RTC_SECOND_ALARM && index != RTC_MINUTE_ALARM && index != RTC_HOUR_ALARM
               : index == RTC_CENTURY;
}

/* Put the running date into the registers. */
static void show_date(struct rtc_state *rtc, uint64_t now)
{
    if (!is_stopped(rtc)) {
        rtc_date_store(rtc->ram, rtc->ram[REGISTER_B], seconds_at(rtc, now));
    }
}

/* Go on from the date in the registers; the divider's phase stays. */
static void adopt_date(struct rtc_state *rtc, uint64_t now)
{
    rtc->base_seconds = rtc_date_load(rtc->ram, rtc->ram[REGISTER_B]);
    rtc->base_ns += (int64_t)(since_base(rtc, now) / CLOCK_NS_PER_S * CLOCK_NS_PER_S);
}

static void write_register_a(struct rtc_state *rtc, uint8_t value, uint64_t now)
{
    bool was_stopped = is_stopped(rtc);
    bool was_held = is_held(rtc);

    show_date(rtc, now);
    rtc->ram[REGISTER_A] = value & (uint8_t)~A_UIP;
    if (was_held && !is_held(rtc)) { /* the first update comes half a second later */
        rtc->base_ns = (int64_t)now - HALF_SECOND_NS;
    }
    if (was_stopped && !is_stopped(rtc)) {
        adopt_date(rtc, now);
    }
}

static void write_register_b(struct rtc_state *rtc, uint8_t value, uint64_t now)
{
    bool was_stopped = is_stopped(rtc);

    show_date(rtc, now);
    if ((value & B_SET) != 0) {
        value &= (uint8_t)~B_UPDATE;
    }
    rtc->ram[REGISTER_B] = value;
    if (was_stopped && !is_stopped(rtc)) {
        adopt_date(rtc, now);
    }
}

static void write_ram(struct rtc_state *rtc, uint8_t index, uint8_t value, uint64_t now)
{
    see_events(rtc, now);
    if (index == REGISTER_A) {
        write_register_a(rtc, value, now);
    } else if (index == REGISTER_B) {
        write_register_b(rtc, value, now);
    } else if (is_date_register(index)) {
        show_date(rtc, now);
        rtc->ram[index] = value;
        if (!is_stopped(rtc)) {
            adopt_date(rtc, now);
        }
    } else if (index != REGISTER_C && index != REGISTER_D) {
        rtc->ram[index] = value;
    }
}

static uint8_t read_ram(struct rtc_state *rtc, uint8_t index, uint64_t now)
{
    see_events(rtc, now);
    if (index == REGISTER_A) {
        uint64_t in_second = since_base(rtc, now) % CLOCK_NS_PER_S;
        bool updating = !is_stopped(rtc) && in_second >= CLOCK_NS_PER_S - UIP_NS;

        return (uint8_t)(rtc->ram[REGISTER_A] | (updating ? A_UIP : 0));
    }
    if (index == REGISTER_C) {
        uint8_t flags = (uint8_t)(rtc->ram[REGISTER_C] | (is_asserted(rtc) ? C_ANY : 0));

        rtc->ram[REGISTER_C] = 0;
        return flags;
    }
    if (is_date_register(index)) {
        show_date(rtc, now);
    }
    return rtc->ram[index];
}

uint8_t rtc_read(struct rtc *rtc, uint16_t port, uint64_t now)
{
    uint8_t value = 0xff; /* port 70h is write only */

    if (port == RTC_PORT_EXTENDED) {
        return rtc->state.index_extended;
    }
    if (port != RTC_PORT) {
        value = read_ram(&rtc->state,
                         port == RTC_PORT + 1 ? rtc->state.index : rtc->state.index_extended, now);
        rtc_derive(rtc);
    }
    return value;
}

void rtc_write(struct rtc *rtc, uint16_t port, uint8_t value, uint64_t now)
{
    struct rtc_state *state = &rtc->state;

    if (port == RTC_PORT) {
        state->index = value & (RTC_RAM_SIZE - 1);
        state->nmi_masked = (value & 0x80U) != 0;
    } else if (port == RTC_PORT_EXTENDED) {
        state->index_extended = value & (RTC_RAM_SIZE - 1);
    } else {
        write_ram(state, port == RTC_PORT + 1 ? state->index : state->index_extended, value, now);
        rtc_derive(rtc);
    }
}
