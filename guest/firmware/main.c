/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state in which firmware leaves a PC: each register of its board and CPU as a line "state NAME
 * VALUE", at the start and again after a reset of a machine whose registers were all disturbed.
 * tests/machine/firmware.py holds what a VM prints against what SeaBIOS leaves on QEMU's 'pc'.
 *
 * What moves by itself (counters, dates) is left out; what is read does not change what is read
 * later.
 */
#include "guest/firmware/board.h"
#include "guest/lib/apic.h"
#include "guest/lib/guest.h"
#include "guest/lib/smp.h"

#include <stdio.h>

#define CMOS_BOOT 0x7a /* which boot this is: battery-backed, and nobody else's */
#define MAGIC     0x6d

void say(const char *name, uint64_t value)
{
    printf("state %s %lx\n", name, value);
}

void say_numbered(const char *name, unsigned number, uint64_t value)
{
    printf("state %s.%02x %lx\n", name, number, value);
}

static void read_msr(void *argument)
{
    uint64_t *value = argument;

    *value = rdmsr((uint32_t)*value);
}

static void dump_msrs(void)
{
    static const struct {
        const char *name;
        uint32_t first, last;
    } msrs[] = {
        {"cpu.apic_base",     0x1b,       0x1b      },
        {"cpu.feature",       0x3a,       0x3a      },
        {"cpu.mtrr_cap",      0xfe,       0xfe      },
        {"cpu.sysenter",      0x174,      0x176     },
        {"cpu.debugctl",      0x1d9,      0x1d9     },
        {"cpu.mtrr_variable", 0x200,      0x20f     },
        {"cpu.mtrr_fixed",    0x250,      0x250     },
        {"cpu.mtrr_fixed",    0x258,      0x259     },
        {"cpu.mtrr_fixed",    0x268,      0x26f     },
        {"cpu.pat",           0x277,      0x277     },
        {"cpu.mtrr_default",  0x2ff,      0x2ff     },
        {"cpu.star",          0xc0000081, 0xc0000084},
        {"cpu.gs_base",       0xc0000102, 0xc0000102},
        {"cpu.tsc_aux",       0xc0000103, 0xc0000103},
        {"cpu.hwcr",          0xc0010015, 0xc0010015},
        {"cpu.top_mem",       0xc001001a, 0xc001001a},
        {"cpu.smm",           0xc0010111, 0xc0010113},
    };

    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        for (uint32_t msr = msrs[i].first; msr <= msrs[i].last; msr++) {
            uint64_t value = msr;

            if (fault_catch(read_msr, &value) < 0) {
                printf("state %s.%x %lx\n", msrs[i].name, msr, value);
            } else {
                printf("state %s.%x none\n", msrs[i].name, msr);
            }
        }
    }
}

static void dump_debug_registers(void)
{
    uint64_t dr6, dr7;

    __asm__ volatile("mov %%dr6, %0; mov %%dr7, %1" : "=r"(dr6), "=r"(dr7));
    say("cpu.dr6", dr6);
    say("cpu.dr7", dr7);
}

static void dump_local_apic(void)
{
    for (unsigned reg = 0x20; reg < 0x400; reg += 0x10) {
        bool exists = reg <= 0x30 || reg == 0x80 || (reg >= 0xa0 && reg != 0xb0 && reg != 0xc0);

        if (exists && !(reg > 0x280 && reg < 0x300) && reg != 0x390 && reg < 0x3f0) {
            say_numbered("lapic", reg / 0x10, apic_read((enum apic_register)reg));
        }
    }
}

static void dump_io_apic(void)
{
    say("ioapic.id", ioapic_read(0));
    say("ioapic.version", ioapic_read(1));
    for (unsigned pin = 0; pin < 24; pin++) {
        say_numbered("ioapic.low", pin, ioapic_read(0x10 + 2 * pin));
        say_numbered("ioapic.high", pin, ioapic_read(0x11 + 2 * pin));
    }
}

static void dump_second_cpu(unsigned index)
{
    printf("state second.apic_base %lx\n", rdmsr(MSR_APIC));
    dump_msrs();
}

static void dump_memory(void)
{
    static const struct {
        const char *name;
        uint32_t at;
        unsigned size;
    } cells[] = {
        {"bda.com1",       0x400,   2},
        {"bda.ebda",       0x40e,   2},
        {"bda.equipment",  0x410,   2},
        {"bda.memory",     0x413,   2},
        {"bda.reset_flag", 0x472,   2},
        {"bda.disks",      0x475,   1},
        {"rom.vector",     0xffff0, 1},
        {"rom.segment",    0xffff3, 2},
        {"rom.model",      0xffffe, 1},
    };

    for (unsigned i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        const volatile uint8_t *at = (const volatile uint8_t *)(uint64_t)cells[i].at;

        say(cells[i].name, cells[i].size == 2 ? at[0] | (unsigned)at[1] << 8 : at[0]);
    }
    /* The date, as MM/DD/YY: what the day is does not matter. */
    const volatile char *date = (const volatile char *)0xffff5UL;

    say("rom.date", date[2] == '/' && date[5] == '/');
}

int main(void)
{
    bool again = cmos_read(CMOS_BOOT) == MAGIC;

    printf("boot %s\n", again ? "again" : "first");
    board_dump();
    dump_io_apic();
    dump_local_apic();
    dump_debug_registers();
    dump_memory();
    dump_msrs();
    if (smp_cpu_count() > 1) {
        printf("second\n");
        CHECK(smp_start(1, dump_second_cpu));
        while (!smp_finished(1)) {
            cpu_relax();
        }
    }
    board_dump_vectors();
    printf("end\n");
    if (!again) {
        cmos_write(CMOS_BOOT, MAGIC);
        board_disturb();
        outb(0xcf9, 0x02);
        outb(0xcf9, 0x06);
        for (;;) {
            cpu_relax();
        }
    }
    cmos_write(CMOS_BOOT, 0);
    CHECK(again);
    test_end();
}
