/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bursts: straight lines of random instructions that run at the CPU's own speed, without a trap
 * after each. They reach what single steps cannot: code that was just written, translated and
 * cached, and interrupts at any place in it. Nothing in them branches, so that a burst ends at its
 * fault, or at the INT3s behind it.
 */
#include "guest/fuzz/fuzz.h"

#include <string.h>

#define T(bytes)                 \
    {                            \
        sizeof(bytes) - 1, bytes \
    }
#define PADDING 32

/*
 * The registers with pointers (RSI, RDI, RBX, RBP) are written by the string instructions alone, so
 * that most accesses hit; the others hold anything.
 */
static const struct {
    uint8_t length;
    char bytes[10];
} templates[] = {
    T("\x48\x01\xc2"),
    T("\x4c\x29\xc1"),
    T("\x31\xc0"),
    T("\x48\xff\xc1"),
    T("\x48\x0f\xaf\xca"),
    T("\x48\xd3\xe0"),
    T("\x41\xd3\xc8"),
    T("\x31\xd2\x48\x83\xc9\x01\x48\xf7\xf1"),
    T("\x48\xf7\xe2"),
    T("\x48\x0f\xc8"),
    T("\x0f\xba\xe0\x05"),
    T("\x48\x0f\xa4\xd0\x07"),
    T("\x48\x0f\x44\xc1"),
    T("\x0f\x92\xc0"),
    T("\x50"),
    T("\x58"),
    T("\x9c\x58"),
    T("\xfc"),
    T("\x8b\x03"),
    T("\x8b\x46\x10"),
    T("\x89\x07"),
    T("\x88\x4e\x01"),
    T("\x66\x89\x57\xfe"),
    T("\x48\x8b\x45\x10"),
    T("\x48\x89\x43\xfc"),
    T("\x0f\xb6\x03"),
    T("\x0f\xbf\x4f\x03"),
    T("\x48\x63\x06"),
    T("\x01\x03"),
    T("\x80\x0f\x40"),
    T("\xf6\x13"),
    T("\xf7\x1f"),
    T("\xfe\x06"),
    T("\x87\x03"),
    T("\xf0\x0f\xb1\x0f"),
    T("\xf0\x0f\xc1\x0e"),
    T("\xf0\x0f\xc7\x0f"),
    T("\x48\x0f\xba\x2f\x21"),
    T("\xa4"),
    T("\x48\xa5"),
    T("\xab"),
    T("\xac"),
    T("\xa6"),
    T("\xae"),
    T("\x0f\x10\x03"),
    T("\x0f\x11\x07"),
    T("\x66\x0f\xef\xc1"),
    T("\xf2\x0f\x58\xc1"),
    T("\xd9\xe8"),
    T("\xdd\xd8"),
    T("\x0f\xae\xe8"),
    T("\x0f\x31"),
    T("\x90"),
    T("\x0f\x1f\x44\x00\x00"),
    T("\x0f\xa2\x48\x89\xfb"), /* CPUID takes RBX: give it a pointer again */
    T("\xfb"),
    T("\xfa"),
};
#define TEMPLATES (sizeof(templates) / sizeof(templates[0]))

uint16_t fuzz_burst_rank[CAGE_CODE_LEN + 1];

static void prepare(void)
{
    unsigned at = 0, rank = 0;

    memset(fuzz_code, 0xcc, CAGE_CODE_LEN);
    while (at < CAGE_CODE_LEN - PADDING) {
        unsigned chosen = fuzz_below(TEMPLATES * 32) / 32;

        /* What exits costs more than all the others together. */
        chosen = templates[chosen].bytes[1] == '\xa2' && !fuzz_one_in(16) ? 0 : chosen;
        memcpy(fuzz_code + at, templates[chosen].bytes, templates[chosen].length);
        for (unsigned i = 0; i < templates[chosen].length; i++) {
            fuzz_burst_rank[at++] = (uint16_t)rank;
        }
        rank++;
    }
    for (; at <= CAGE_CODE_LEN; at++) {
        fuzz_burst_rank[at] = (uint16_t)rank;
    }
}

void fuzz_run_bursts(void)
{
    fuzz_watchdog_arm();
    prepare();
    fuzz_state->mode = 0;
    fuzz_state->bursts = true;
    fuzz_state->budget = FUZZ_BATCH;
    fuzz_state->vector = 1;
    fuzz_burst_begin();
    fuzz_enter();
    fuzz_state->bursts = false;
}
