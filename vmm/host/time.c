/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host/time.h"

#include "vmm/base/log.h"
#include "vmm/host/cpuid.h"
#include "vmm/host/instructions.h"
#include "vmm/host/port_io.h"

#define PM_TIMER_HZ 3579545U
#define PIT_HZ      1193182U

#define PIT_CHANNEL2   0x42U
#define PIT_COMMAND    0x43U
#define PIT_ONE_SHOT   0xb0U /* channel 2, both bytes, mode 0 */
#define PORT61         0x61U
#define PORT61_GATE2   0x01U
#define PORT61_SPEAKER 0x02U
#define PORT61_OUT2    0x20U

#define CALIBRATION_MS 20U
#define TRIES          8U
#define LOOKS          16U
#define READS_MAX      50000000U

#define RATE_MIN_KHZ  100000ULL
#define RATE_MAX_KHZ  100000000ULL
#define SPIN_TURNS    256U
#define RATE_FALLBACK 1000000ULL

static struct time_facts facts = {.tsc_khz = 0, .source = "not calibrated"};
static uint64_t start;

/* Nanoseconds in a tick of the TSC: SCALE / 2^SHIFT, with all 64 bits of SCALE used. */
static uint64_t scale;
static unsigned shift;

/* Bits 0 to 63 of VALUE * MULTIPLIER / DIVISOR. */
uint64_t time_scale(uint64_t value, uint64_t multiplier, uint64_t divisor)
{
    /* In two parts, so that no 128-bit division is needed: the parts of VALUE by DIVISOR. */
    uint64_t whole = value / divisor, rest = value % divisor;

    return whole * multiplier + rest * multiplier / divisor;
}

uint64_t time_rate_khz(uint64_t tsc_delta, uint64_t ticks, uint64_t hz)
{
    if (ticks == 0 || tsc_delta > UINT64_MAX / hz) {
        return 0;
    }
    uint64_t khz = tsc_delta * hz / ticks / 1000;

    return khz >= RATE_MIN_KHZ && khz <= RATE_MAX_KHZ ? khz : 0;
}

/* CPUID 15h gives crystal frequency and ratio, on Intel since Skylake (Intel SDM 3, 19.7.3). */
static uint64_t rate_from_cpuid(void)
{
    if (cpuid_read(0, 0).eax < 0x15) {
        return 0;
    }
    struct cpuid ratio = cpuid_read(0x15, 0);

    if (ratio.eax == 0 || ratio.ebx == 0 || ratio.ecx == 0) {
        return 0;
    }
    return time_rate_khz((uint64_t)ratio.ecx * ratio.ebx / ratio.eax, 1, 1);
}

/* A read of a port, and when it was: at TSC, more or less half of DOUBT. */
struct look {
    uint64_t tsc, doubt;
};

static uint32_t look(uint16_t port, unsigned width, struct look *at)
{
    uint64_t before = cpu_read_tsc();
    uint32_t value = port_read(port, width);

    at->doubt = cpu_read_tsc() - before;
    at->tsc = before + at->doubt / 2;
    return value;
}

/* What the surest of LOOKS reads of a timer gave, and when that was. */
static uint32_t look_surely(uint16_t port, struct look *at)
{
    uint32_t value = look(port, 4, at);

    for (unsigned i = 1; i < LOOKS; i++) {
        struct look other;
        uint32_t read = look(port, 4, &other);

        if (other.doubt < at->doubt) {
            value = read;
            *at = other;
        }
    }
    return value;
}

/* The timer has 24 bits or 32; the low 24 are enough for CALIBRATION_MS. */
static uint64_t rate_from_pm_timer(uint16_t port, uint64_t *doubt)
{
    const uint32_t wanted = PM_TIMER_HZ / 1000 * CALIBRATION_MS;
    struct look from, to;
    uint32_t first = look_surely(port, &from), passed = 0;

    for (unsigned reads = 0; passed < wanted; reads++) {
        if (reads == READS_MAX) {
            return 0; /* it does not count */
        }
        passed = (port_read(port, 4) - first) & 0xffffffU;
    }
    passed = (look_surely(port, &to) - first) & 0xffffffU;
    *doubt = from.doubt + to.doubt;
    return time_rate_khz(to.tsc - from.tsc, passed, PM_TIMER_HZ);
}

/* OUT rises at some time after the last read that did not see it yet. */
static uint64_t rate_from_pit(uint64_t *doubt)
{
    const uint32_t count = PIT_HZ / 1000 * CALIBRATION_MS;
    uint32_t gate = port_read(PORT61, 1) & ~(PORT61_SPEAKER | PORT61_GATE2);
    struct look last, to;

    port_write(PORT61, 1, gate);
    port_write(PIT_COMMAND, 1, PIT_ONE_SHOT);
    port_write(PIT_CHANNEL2, 1, count & 0xff);
    port_write(PIT_CHANNEL2, 1, count >> 8);
    uint64_t before = cpu_read_tsc();

    port_write(PORT61, 1, gate | PORT61_GATE2);
    uint64_t tsc = cpu_read_tsc();

    to.tsc = tsc;
    for (unsigned reads = 0;; reads++) {
        last = to;
        if (look(PORT61, 1, &to) & PORT61_OUT2) {
            break;
        }
        if (reads == READS_MAX) {
            return 0;
        }
    }
    *doubt = tsc - before + to.tsc - last.tsc + to.doubt;
    return time_rate_khz(to.tsc - tsc, count, PIT_HZ);
}

/*
 * The surest of some tries: a system management interrupt, or an emulator's host, may take the CPU
 * away between the read of the timer and that of the TSC. A doubt of a thousandth is good enough.
 */
static uint64_t rate_measured(uint16_t pm_timer)
{
    uint64_t best = 0, least = UINT64_MAX;

    for (unsigned i = 0; i < TRIES && least > best * CALIBRATION_MS / 1000; i++) {
        uint64_t doubt = 0;
        uint64_t rate = pm_timer ? rate_from_pm_timer(pm_timer, &doubt) : rate_from_pit(&doubt);

        if (rate == 0) {
            return 0;
        }
        if (doubt < least) {
            best = rate;
            least = doubt;
        }
    }
    return best;
}

/* 10^6 / KHZ, a bit at a time. */
static void find_scale(uint64_t khz)
{
    uint64_t rest = 1000000 % khz;

    scale = 1000000 / khz;
    for (shift = 0; !(scale >> 63); shift++) {
        rest *= 2;
        scale = scale * 2 + (rest >= khz);
        rest -= rest >= khz ? khz : 0;
    }
}

static bool try_source(const char *source, uint64_t khz)
{
    if (khz == 0) {
        return false;
    }
    facts.tsc_khz = khz;
    facts.source = source;
    find_scale(khz);
    return true;
}

enum status time_init(uint16_t pm_timer, uint64_t tsc_start)
{
    facts.invariant =
        cpuid_read(0x80000000, 0).eax >= 0x80000007 && (cpuid_read(0x80000007, 0).edx & (1U << 8));
    start = tsc_start;
    if (try_source("CPUID leaf 15h", rate_from_cpuid()) ||
        (pm_timer && try_source("ACPI PM timer", rate_measured(pm_timer))) ||
        try_source("PIT", rate_measured(0))) {
        log_info("time: TSC runs at %lu.%03lu MHz, by the %s", facts.tsc_khz / 1000,
                 facts.tsc_khz % 1000, facts.source);
        return STATUS_OK;
    }
    try_source("nothing: assumed", RATE_FALLBACK);
    log_warn("time: neither CPUID, PM timer nor PIT gives the TSC's rate; 1000 MHz is assumed");
    return STATUS_NOTE(STATUS_UNSUPPORTED);
}

const struct time_facts *time_facts(void)
{
    return &facts;
}

/*
 * By a multiplication, as each exit may ask; a division takes ten times as long. SCALE is cut off
 * behind its 64th bit: the result is at most a nanosecond less than exact. Before time_init() both
 * are 0.
 */
uint64_t time_tsc_to_ns(uint64_t tsc)
{
    return (uint64_t)((unsigned __int128)(tsc - start) * scale >> shift);
}

uint64_t time_now_ns(void)
{
    return time_tsc_to_ns(cpu_read_tsc());
}

uint64_t time_ns_to_tsc(uint64_t ns)
{
    return start + time_scale(ns, facts.tsc_khz, 1000000);
}

/*
 * Well below a microsecond. An emulator that counts instructions leaves its translated code at each
 * PAUSE and RDTSC; without these turns a tenth of a second would take it a minute.
 */
static void spin_briefly(void)
{
    for (unsigned i = 0; i < SPIN_TURNS; i++) {
        __asm__ volatile("");
    }
}

void time_delay_us(uint64_t us)
{
    uint64_t khz = facts.tsc_khz ? facts.tsc_khz : RATE_FALLBACK * 4;
    uint64_t ticks = time_scale(us, khz, 1000) + 1, from = cpu_read_tsc();

    while (cpu_read_tsc() - from < ticks) {
        spin_briefly();
        cpu_relax();
    }
}
