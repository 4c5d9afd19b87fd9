/* SPDX-License-Identifier: BSD-2-Clause */
/* INT 1Ah: ticks by the timer's interrupt, the RTC's date; INT 16h: nobody types. */
#include "guest/bios/bios.h"

#define TICKS 3U

static uint32_t ticks(void)
{
    struct registers r = {.eax = 0};

    bios_call(0x1a, &r);
    return (r.ecx & 0xffff) << 16 | (r.edx & 0xffff);
}

static bool is_bcd(uint8_t value, uint8_t most)
{
    return (value & 15) <= 9 && value <= most;
}

void clock_check(void)
{
    struct registers r = {.eax = 0x0200};
    uint32_t first = ticks();

    while (ticks() - first < TICKS) {
        __asm__ volatile("hlt");
    }
    bios_call(0x1a, &r);
    check((r.flags & FLAG_CARRY) == 0 && is_bcd((uint8_t)(r.ecx >> 8), 0x23) &&
              is_bcd((uint8_t)r.ecx, 0x59),
          "the time of day");
    r = (struct registers){.eax = 0x0400};
    bios_call(0x1a, &r);
    check((r.flags & FLAG_CARRY) == 0 && (r.ecx >> 8 & 0xff) == 0x20 &&
              is_bcd((uint8_t)r.edx, 0x31),
          "the date");
    r = (struct registers){.eax = 0x0100};
    bios_call(0x16, &r);
    check((r.flags & FLAG_ZERO) != 0, "no key is pressed");
    say("clock: it ticks");
}
