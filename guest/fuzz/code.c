/* SPDX-License-Identifier: BSD-2-Clause */
/* Random code: templates of instructions, as they are, mutated, or plain noise. */
#include "guest/fuzz/fuzz.h"

#include <string.h>

#define CODE64 0
#define MODES  7

#define T(bytes)                 \
    {                            \
        sizeof(bytes) - 1, bytes \
    }

/* What a VMM has to do with: everything privileged, everything that touches memory oddly. */
static const struct template
{
    uint8_t length;
    char bytes[12];
}
templates[] = {
    /* plain arithmetic, so that registers and flags live */
    T("\x48\x01\xc3"),
    T("\x48\x29\xd1"),
    T("\x31\xc0"),
    T("\x48\xff\xc1"),
    T("\x48\x0f\xaf\xc3"),
    T("\x48\xd3\xe0"),
    T("\x48\xf7\xf1"),
    T("\x90"),
    T("\x50"),
    T("\x58"),
    T("\x9c"),
    T("\x9d"),
    T("\x75\xf0"),
    T("\xeb\x04"),
    T("\xe2\xfa"),
    T("\xe8\x10\x00\x00\x00"),
    T("\xc3"),
    T("\xff\xe0"),
    T("\xc8\x10\x00\x03"),
    T("\xc9"),
    /* memory through each register, of each width */
    T("\x8b\x03"),
    T("\x8b\x06"),
    T("\x89\x07"),
    T("\x88\x0e"),
    T("\x66\x89\x17"),
    T("\x48\x8b\x45\x10"),
    T("\x48\x89\x5f\xfc"),
    T("\x0f\xb6\x03"),
    T("\x0f\xbf\x07"),
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
    T("\xf0\x48\x0f\xc7\x0f"),
    T("\x0f\xab\x07"),
    T("\x48\x0f\xba\x2f\x21"),
    T("\xff\x36"),
    T("\x8f\x07"),
    T("\xff\x13"),
    T("\xff\x2b"),
    T("\x48\xff\x2b"),
    T("\xff\x1e"),
    T("\xa1\x00\x00\x00\x42\x00\x00\x00\x00"),
    T("\xa3\x00\x40\x00\x43\x00\x00\x00\x00"),
    T("\x0f\xc3\x07"),
    T("\x0f\x28\x03"),
    T("\x0f\x11\x07"),
    T("\xf3\x0f\x6f\x06"),
    T("\xdd\x07"),
    T("\xdd\x1e"),
    T("\xd9\x36"),
    T("\x0f\xae\x07"),
    T("\x0f\xae\x0f"),
    T("\x0f\xae\x27"),
    T("\xc5\xfc\x28\x06"),
    T("\x0f\xae\x3f"),
    /* strings */
    T("\xa4"),
    T("\xf3\xa4"),
    T("\xf3\x48\xa5"),
    T("\xab"),
    T("\xf3\xaa"),
    T("\xac"),
    T("\xf3\xa6"),
    T("\xf2\xae"),
    T("\xfd"),
    T("\xfc"),
    T("\x65\xa5"),
    T("\x67\xf3\xa4"),
    /* ports */
    T("\xe4\x61"),
    T("\xe5\x40"),
    T("\xe6\x80"),
    T("\xe7\x80"),
    T("\xec"),
    T("\xed"),
    T("\x66\xed"),
    T("\xee"),
    T("\xef"),
    T("\x6c"),
    T("\xf3\x6c"),
    T("\xf3\x6d"),
    T("\x6e"),
    T("\xf3\x6f"),
    T("\x66\xba\xf8\x03"),
    T("\x66\xba\x08\x06"),
    /* system instructions */
    T("\x0f\xa2"),
    T("\x0f\x31"),
    T("\x0f\x01\xf9"),
    T("\x0f\x33"),
    T("\x0f\x32"),
    T("\x0f\x30"),
    T("\xb9\x1b\x00\x00\x00\x0f\x32"),
    T("\xb9\x80\x00\x00\xc0\x0f\x32"),
    T("\x0f\x20\xc0"),
    T("\x0f\x20\xd0"),
    T("\x0f\x20\xd8"),
    T("\x0f\x20\xe0"),
    T("\x44\x0f\x20\xc0"),
    T("\x44\x0f\x22\xc0"),
    T("\x0f\x22\xd0"),
    T("\x0f\x22\xc0"),
    T("\x0f\x22\xd8"),
    T("\x0f\x22\xe0"),
    T("\x0f\x21\xc0"),
    T("\x0f\x23\xc8"),
    T("\x0f\x21\xf8"),
    T("\x0f\x23\xf8"),
    T("\x0f\x23\xf0"),
    T("\x0f\x01\x03"),
    T("\x0f\x01\x0f"),
    T("\x0f\x01\x16"),
    T("\x0f\x01\x1e"),
    T("\x0f\x01\x26"),
    T("\x0f\x01\xe0"),
    T("\x0f\x01\xf0"),
    T("\x0f\x01\x37"),
    T("\x0f\x01\x3b"),
    T("\x0f\x01\xd0"),
    T("\x0f\x01\xd1"),
    T("\x0f\x01\xc1"),
    T("\x0f\x01\xd8"),
    T("\x0f\x01\xd9"),
    T("\x0f\x01\xda"),
    T("\x0f\x01\xdb"),
    T("\x0f\x01\xdc"),
    T("\x0f\x01\xdd"),
    T("\x0f\x01\xde"),
    T("\x0f\x01\xdf"),
    T("\x0f\x01\xc2"),
    T("\x0f\x01\xc3"),
    T("\x0f\x01\xc4"),
    T("\x0f\x01\xc8"),
    T("\x0f\x01\xc9"),
    T("\x0f\x01\xf8"),
    T("\x0f\x78\x07"),
    T("\x0f\xc7\x37"),
    T("\x66\x0f\x38\x80\x07"),
    T("\x0f\x06"),
    T("\x0f\x08"),
    T("\x0f\x09"),
    T("\x0f\x0b"),
    T("\x0f\xaa"),
    T("\x0f\x37"),
    T("\xf4"),
    T("\xfa"),
    T("\xfb"),
    T("\xfb\xf4"),
    T("\xf3\x90"),
    T("\xf3\x48\x0f\xae\xc0"),
    T("\xf3\x48\x0f\xae\xd8"),
    T("\x0f\xc7\xf0"),
    T("\x0f\x18\x07"),
    /* segments, transfers of control, interrupts */
    T("\x8e\xd8"),
    T("\x8e\xe0"),
    T("\x8e\xe8"),
    T("\x8e\xd0\x90"),
    T("\x8e\xd0\xcd\x80"),
    T("\x8c\xd0\x8e\xd0\x8b\x03"),
    T("\x0f\xa1"),
    T("\x0f\xa9"),
    T("\x0f\xb4\x03"),
    T("\x0f\x00\xd0"),
    T("\x0f\x00\xd8"),
    T("\x0f\x00\xc0"),
    T("\x0f\x00\xc8"),
    T("\x0f\x00\xe0"),
    T("\x0f\x02\xc3"),
    T("\x0f\x03\xc3"),
    T("\xb8\x5b\x00\x00\x00\x8e\xd8"),
    T("\xb8\x60\x00\x00\x00\x0f\x00\xd0"),
    T("\xb8\x30\x00\x00\x00\x0f\x00\xd8"),
    T("\xcb"),
    T("\xcf"),
    T("\x48\xcf"),
    T("\x6a\x10\x6a\x00\x9c\x6a\x08"),
    T("\x6a\x4b\x54\x9c\x6a\x53\x57\x48\xcf"),
    T("\xcc"),
    T("\xcd\x80"),
    T("\xcd\x02"),
    T("\xcd\x0e"),
    T("\xcd\x08"),
    T("\xce"),
    T("\xf1"),
    T("\x0f\x05"),
    T("\x0f\x07"),
    T("\x48\x0f\x07"),
    T("\x0f\x34"),
    T("\x0f\x35"),
    T("\x48\x0f\x35"),
    T("\xea\x00\x80\x00\x00\x18\x00"),
    T("\x9a\x00\x00\x00\x40\x70\x00"),
};
#define TEMPLATES (sizeof(templates) / sizeof(templates[0]))

static unsigned write_noise(uint8_t *at)
{
    uint64_t noise = fuzz_random();

    memcpy(at, &noise, sizeof(noise));
    return 1 + fuzz_below(8);
}

static unsigned write_template(uint8_t *at)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x65, 0x48, 0x4f};
    const struct template *chosen = &templates[fuzz_below(TEMPLATES)];
    unsigned length = 0;

    if (fuzz_one_in(8)) {
        at[length++] = prefixes[fuzz_below(sizeof(prefixes))];
    }
    memcpy(at + length, chosen->bytes, sizeof(chosen->bytes));
    if (fuzz_one_in(6)) {
        at[length + fuzz_below(chosen->length)] ^= (uint8_t)(1 << fuzz_below(8));
    }
    return length + chosen->length;
}

/* Nothing is left from other batches, so that one can be seen again by itself. */
static void prepare(void)
{
    unsigned at = 0;

    while (at < CAGE_CODE_LEN) {
        at += fuzz_one_in(8) ? write_noise(fuzz_code + at) : write_template(fuzz_code + at);
    }
    memset(fuzz_data, (int)fuzz_value(), CAGE_LOW_LEN);
    for (unsigned i = 0; i < REGISTERS; i++) {
        fuzz_state->regs[i] = fuzz_value();
    }
}

void fuzz_run_code(bool kernel)
{
    fuzz_watchdog_arm();
    prepare();
    fuzz_state->mode = kernel ? CODE64 : 1 + fuzz_below(MODES - 1);
    fuzz_state->budget = FUZZ_BATCH;
    while (fuzz_state->budget) {
        fuzz_state->vector = 1;
        fuzz_reseat();
        fuzz_enter();
        if (fuzz_state->debug_dirty) {
            fuzz_debug_restore();
            fuzz_state->debug_dirty = false;
        }
    }
    fuzz_msrs_restore();
}
