/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MC146818 clock: its RAM, the formats of the date, the update in progress, and its three
 * interrupts on IRQ 8, whose rates are measured with the PM timer.
 */
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define SECONDS       0x00
#define SECONDS_ALARM 0x01
#define MINUTES       0x02
#define MINUTES_ALARM 0x03
#define HOURS         0x04
#define HOURS_ALARM   0x05
#define DAY           0x07
#define MONTH         0x08
#define YEAR          0x09
#define REG_A         0x0a
#define REG_B         0x0b
#define REG_C         0x0c
#define REG_D         0x0d
#define RAM_FIRST     0x60
#define RAM_LAST      0x6f

#define A_UIP      0x80
#define A_32768HZ  0x20
#define B_24H      0x02
#define B_BINARY   0x04
#define B_UPDATE   0x10
#define B_ALARM    0x20
#define B_PERIODIC 0x40
#define B_SET      0x80
#define C_UPDATE   0x10
#define C_ALARM    0x20
#define C_PERIODIC 0x40
#define C_IRQ      0x80
#define ANY        0xc0

#define PIC_VECTORS 0x20
#define RTC_IRQ     8
#define PM_TIMER    0x608
#define PM_HZ       3579545UL
#define PM_MASK     0xffffffU
#define PATIENCE    (3 * PM_HZ)
#define WINDOWS_MAX 16

static volatile unsigned taken;
static volatile uint8_t causes;
static bool lenient; /* under QEMU on a busy host, which loses ticks */

static uint8_t rtc_read(uint8_t index)
{
    outb(0x70, index);
    return inb(0x71);
}

static void rtc_write(uint8_t index, uint8_t value)
{
    outb(0x70, index);
    outb(0x71, value);
}

static void handle(struct guest_frame *frame)
{
    taken++;
    causes |= rtc_read(REG_C);
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
}

static uint32_t pm_now(void)
{
    return inl(PM_TIMER) & PM_MASK;
}

static uint32_t pm_since(uint32_t start)
{
    return (pm_now() - start) & PM_MASK;
}

/* Wait, asleep, until COUNT interrupts were taken; false after PATIENCE. */
static bool wait_for(unsigned count)
{
    uint32_t start = pm_now();

    while (taken < count && pm_since(start) < PATIENCE) {
        irq_wait();
    }
    return taken >= count;
}

static void sleep_until(uint32_t start, uint32_t ticks)
{
    while (pm_since(start) < ticks) {
        irq_wait();
    }
}

static void interrupts_begin(uint8_t enabled)
{
    rtc_write(REG_B, B_24H);
    (void)rtc_read(REG_C);
    taken = 0;
    causes = 0;
    rtc_write(REG_B, (uint8_t)(B_24H | enabled));
}

static void interrupts_end(void)
{
    rtc_write(REG_B, B_24H);
    (void)rtc_read(REG_C);
}

static void test_ram(void)
{
    test_group("RAM");
    for (uint8_t index = RAM_FIRST; index <= RAM_LAST; index++) {
        rtc_write(index, (uint8_t)(index * 7));
    }
    for (uint8_t index = RAM_FIRST; index <= RAM_LAST; index++) {
        CHECK_EQUAL(rtc_read(index), (uint8_t)(index * 7));
        CHECK_EQUAL(rtc_read(index | 0x80), (uint8_t)(index * 7)); /* bit 7 is the NMI mask */
    }
    outw(0x70, 0x5a00 | RAM_FIRST); /* index and data at once */
    CHECK_EQUAL(rtc_read(RAM_FIRST), 0x5a);
    CHECK_EQUAL(rtc_read(REG_D) & 0x80, 0x80);
    rtc_write(REG_D, 0);
    CHECK_EQUAL(rtc_read(REG_D) & 0x80, 0x80);
}

/* Stop the clock, set a time, and read it back in each format. */
static void test_formats(void)
{
    static const struct {
        uint8_t format, hour[4]; /* of 0, 9, 12 and 23 o'clock */
        uint8_t second;          /* 45 */
    } formats[] = {
        {B_24H | B_BINARY, {0, 9, 12, 23},           45  },
        {B_24H,            {0, 0x09, 0x12, 0x23},    0x45},
        {B_BINARY,         {12, 9, 0x8c, 0x8b},      45  },
        {0,                {0x12, 0x09, 0x92, 0x91}, 0x45},
    };

    test_group("formats of the time: it runs on in each");
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 4; j++) {
            rtc_write(REG_B, (uint8_t)(B_SET | formats[i].format));
            rtc_write(SECONDS, formats[i].second);
            rtc_write(MINUTES, 0);
            rtc_write(HOURS, formats[i].hour[j]);
            rtc_write(DAY, 9); /* a change of the format spoils the date */
            rtc_write(MONTH, 9);
            rtc_write(YEAR, 9);
            CHECK_EQUAL(rtc_read(HOURS), formats[i].hour[j]);
            CHECK_EQUAL(rtc_read(SECONDS), formats[i].second);
            rtc_write(REG_B, formats[i].format);
            if (j > 0 || !lenient) { /* QEMU's hour may be another one after a change of format */
                CHECK_EQUAL(rtc_read(HOURS), formats[i].hour[j]);
            }
            CHECK_EQUAL(rtc_read(REG_B), formats[i].format);
        }
    }
}

static bool until_second(uint8_t wanted)
{
    uint32_t start = pm_now();

    while (rtc_read(SECONDS) != wanted) {
        if (pm_since(start) > PATIENCE) {
            return false;
        }
        irq_wait();
    }
    return true;
}

static void test_carry(void)
{
    test_group("the end of a year, and 29 February");
    rtc_write(REG_B, B_SET | B_24H);
    rtc_write(SECONDS, 0x59);
    rtc_write(MINUTES, 0x59);
    rtc_write(HOURS, 0x23);
    rtc_write(DAY, 0x31);
    rtc_write(MONTH, 0x12);
    rtc_write(YEAR, 0x23);
    rtc_write(REG_B, B_24H);
    CHECK(until_second(0x00));
    CHECK_EQUAL(rtc_read(MINUTES), 0);
    CHECK_EQUAL(rtc_read(HOURS), 0);
    CHECK_EQUAL(rtc_read(DAY), 1);
    CHECK_EQUAL(rtc_read(MONTH), 1);
    CHECK_EQUAL(rtc_read(YEAR), 0x24);
    rtc_write(REG_B, B_SET | B_24H);
    rtc_write(SECONDS, 0x59);
    rtc_write(MINUTES, 0x59);
    rtc_write(HOURS, 0x23);
    rtc_write(DAY, 0x28);
    rtc_write(MONTH, 0x02);
    rtc_write(REG_B, B_24H);
    CHECK(until_second(0x00));
    CHECK_EQUAL(rtc_read(DAY), 0x29);
    CHECK_EQUAL(rtc_read(MONTH), 0x02);
}

/*
 * Wait for an update, the last having been at most 10 ms ago: asleep until the next is near. How
 * often UIP was read as set before the time changed.
 */
static unsigned update_seen(void)
{
    uint8_t before = rtc_read(SECONDS);
    uint32_t start = pm_now();
    unsigned seen = 0;

    sleep_until(start, PM_HZ * 8 / 10);

    while (pm_since(start) < PATIENCE) {
        unsigned set = 0;

        outb(0x70, REG_A);
        for (unsigned i = 0; i < 16; i++) {
            set += inb(0x71) >> 7;
        }
        seen += set;
        if (set == 0 && rtc_read(SECONDS) != before) {
            return seen;
        }
    }
    CHECK(!"the time goes on");
    return 0;
}

static void test_update_in_progress(void)
{
    unsigned seen = 0;

    test_group("UIP goes up once a second, and the time changes when it falls");
    for (unsigned tries = 0; tries < 3 && !seen; tries++) { /* a busy host may hide it once */
        seen = update_seen();
    }
    if (seen == 0 && lenient) {
        printf("skipped: UIP: QEMU's is 244 us long, and the host was busy then\n");
    } else {
        CHECK(seen > 0);
    }
    rtc_write(REG_B, B_SET | B_24H);
    uint32_t start = pm_now();

    sleep_until(start, PM_HZ * 8 / 10);
    for (seen = 0; pm_since(start) < PM_HZ * 11 / 10;) {
        seen += (rtc_read(REG_A) & A_UIP) != 0;
    }
    CHECK_EQUAL(seen, 0); /* never with the clock stopped */
    rtc_write(REG_B, B_24H);
}

/*
 * Measure windows of a sixteenth of a second, or of one interrupt, until one is as long as it has
 * to be: a busy host lengthens some, and loses interrupts in them. All together are never too
 * short.
 */
static void check_rate(unsigned hz)
{
    unsigned window = hz > 16 ? hz / 16 : 1, count = 0;
    uint64_t expected = PM_HZ * window / hz, took = 0, total = 0;
    bool right = false;

    for (unsigned tries = 0; tries < WINDOWS_MAX && !right; tries++) {
        uint32_t start = pm_now();

        count += window;
        if (!wait_for(1 + count)) {
            CHECK(!"the interrupts go on");
            return;
        }
        took = pm_since(start);
        total += took;
        right = took >= expected * 8 / 10 && took <= expected * (lenient ? 50 : 13) / 10;
    }
    if (!right || total < PM_HZ * count / hz * 8 / 10) {
        printf("rtc: %u Hz: %u interrupts in %lu PM ticks, %u in the last %lu of them\n", hz, count,
               total, window, took);
        CHECK(!"the rate is right");
    }
}

static void test_periodic(void)
{
    static const struct {
        uint8_t code;
        unsigned hz;
    } rates[] = {
        {0x0f, 2  },
        {0x0c, 16 },
        {0x0a, 64 },
        {0x09, 128},
        {0x01, 256},
    };

    test_group("periodic interrupt at its rates");
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        rtc_write(REG_A, (uint8_t)(A_32768HZ | rates[i].code));
        CHECK_EQUAL(rtc_read(REG_A) & 0x7f, A_32768HZ | rates[i].code);
        interrupts_begin(B_PERIODIC);
        CHECK(wait_for(1));
        check_rate(rates[i].hz);
        interrupts_end();
        CHECK_EQUAL(causes & (C_IRQ | C_PERIODIC | C_UPDATE),
                    C_IRQ | C_PERIODIC | (causes & C_UPDATE));
    }
    rtc_write(REG_A, A_32768HZ | 0x06);
}

static void test_flags(void)
{
    test_group("register C: flags without interrupts, and cleared by the read");
    rtc_write(REG_A, A_32768HZ | 0x06);
    rtc_write(REG_B, B_24H);
    (void)rtc_read(REG_C);
    uint32_t start = pm_now();

    sleep_until(start, PM_HZ * 5 / 4);
    outb(0x70, REG_C);
    uint8_t flags = inb(0x71), again = inb(0x71);

    CHECK_EQUAL(flags & C_UPDATE, C_UPDATE);
    CHECK_EQUAL(flags & C_IRQ, 0);
    CHECK_EQUAL(again & (C_IRQ | C_UPDATE), 0);
}

static void test_update_interrupt(void)
{
    test_group("update-ended interrupt, once a second");
    interrupts_begin(B_UPDATE);
    CHECK(wait_for(1));
    uint32_t start = pm_now();

    CHECK(wait_for(2));
    CHECK(wait_for(3));
    uint32_t took = pm_since(start);

    interrupts_end();
    CHECK(causes & C_UPDATE);
    CHECK(took > PM_HZ * (lenient ? 10 : 19) / 10 && took < PM_HZ * (lenient ? 30 : 21) / 10);
}

static void alarm_set(uint8_t seconds)
{
    rtc_write(REG_B, B_SET | B_24H);
    rtc_write(SECONDS, 0x10);
    rtc_write(MINUTES, 0x20);
    rtc_write(HOURS, 0x05);
    rtc_write(SECONDS_ALARM, seconds);
    rtc_write(MINUTES_ALARM, seconds == ANY ? ANY : 0x20);
    rtc_write(HOURS_ALARM, seconds == ANY ? ANY : 0x05);
}

static void test_alarm(void)
{
    test_group("alarm at its second");
    alarm_set(0x12);
    interrupts_begin(B_ALARM);
    CHECK(wait_for(1));
    if (lenient) {
        printf("skipped: the second of the alarm: QEMU's comes one early at times\n");
    } else {
        CHECK_EQUAL(rtc_read(SECONDS), 0x12);
    }
    CHECK_EQUAL(causes & (C_ALARM | C_IRQ), C_ALARM | C_IRQ);
    interrupts_end();

    test_group("alarm each second");
    alarm_set(ANY);
    interrupts_begin(B_ALARM);
    CHECK(wait_for(1));
    uint32_t start = pm_now();

    CHECK(wait_for(2));
    uint32_t took = pm_since(start);

    CHECK(took > PM_HZ * (lenient ? 5 : 9) / 10 && took < PM_HZ * (lenient ? 20 : 11) / 10);
    interrupts_end();
}

int main(void)
{
    lenient = strstr(guest_command_line(), "lenient") != NULL;
    outb(0x20, 0x11);
    outb(0x21, PIC_VECTORS);
    outb(0x21, 0x04);
    outb(0x21, 0x01);
    outb(0xa0, 0x11);
    outb(0xa1, PIC_VECTORS + 8);
    outb(0xa1, 0x02);
    outb(0xa1, 0x01);
    outb(0x21, 0xfb);
    outb(0xa1, 0xfe);
    interrupt_set_handler(PIC_VECTORS + RTC_IRQ, handle);
    tick_start(PIC_VECTORS);
    rtc_write(REG_A, A_32768HZ | 0x06);
    interrupts_end();
    test_ram();
    test_formats();
    test_carry();
    test_update_in_progress();
    test_periodic();
    test_flags();
    test_update_interrupt();
    test_alarm();
    test_end();
}
