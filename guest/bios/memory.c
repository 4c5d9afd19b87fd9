/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory map in all its versions: INT 12h, INT 15h with E820h, E801h and 88h. */
#include "guest/bios/bios.h"

#define SMAP      0x534d4150U
#define TYPE_RAM  1U
#define MIB       0x100000U
#define HIGH_BASE 0xe0000000U
#define FOUR_GIB  0x100000000U

struct range {
    uint64_t base, size;
    uint32_t type;
};

static struct range range;
static uint32_t kib_above; /* RAM from 1 MiB on */

static unsigned walk_e820(void)
{
    struct registers r = {.ebx = 0};
    uint64_t last = 0;
    unsigned count = 0;
    bool rom = false;

    do {
        r.eax = 0xe820;
        r.ecx = sizeof(range);
        r.edx = SMAP;
        r.edi = (uint32_t)(uintptr_t)&range;
        bios_call(0x15, &r);
        check((r.flags & FLAG_CARRY) == 0 && r.eax == SMAP && r.ecx == 20, "E820h answers");
        check(range.base >= last && range.size != 0, "ranges ascend and do not overlap");
        check(range.type != TYPE_RAM || range.base != 0 || range.size == 639 * 1024ULL,
              "639 KiB are RAM");
        check(range.type != TYPE_RAM || range.base + range.size <= HIGH_BASE,
              "RAM is where it can be");
        if (range.type == TYPE_RAM && range.base == MIB) {
            kib_above = (uint32_t)(range.size >> 10);
        }
        last = range.base + range.size;
        rom = rom || (range.type != TYPE_RAM && last == FOUR_GIB);
        count++;
    } while (r.ebx != 0);
    check(rom, "the ROM ends at 4 GiB");
    return count;
}

void memory_check(void)
{
    struct registers r = {.eax = 0};

    check(walk_e820() >= 4, "four ranges at least");
    bios_call(0x12, &r);
    check((r.eax & 0xffff) == 639, "INT 12h says 639 KiB");
    r = (struct registers){.eax = 0xe801};
    bios_call(0x15, &r);
    check((r.flags & FLAG_CARRY) == 0, "E801h answers");
    uint32_t sum = (r.ecx & 0xffff) + 64 * (r.edx & 0xffff);
    check((sum >> 10) == kib_above >> 10 || sum == kib_above, "E801h says the same");
    r = (struct registers){.eax = 0x8800};
    bios_call(0x15, &r);
    check((r.eax & 0xffff) <= kib_above && (r.eax & 0xffff) >= 0x3c00,
          "88h says no more than there is");
    say("memory: 639 KiB, %u MiB", (kib_above >> 10) + 1);
}
