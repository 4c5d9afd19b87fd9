/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that misuses its disk, told by its first UART what to do: lines of NAME [ADDRESS
 * [VALUE]], numbers hexadecimal. It answers each with a line of what happened, and "ready". The
 * addresses are the test's to choose, so that they can be where something is that must not be
 * reached.
 */
#include "guest/lib/apic.h"
#include "guest/vbad/vbad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE       0x1001
#define MSI_INIT     0x500U
#define SECTOR_ORDER 4095U

static const struct {
    const char *name;
    void (*run)(uint64_t address, uint64_t value);
} cases[] = {
    {"write",  case_dma_write},
    {"read",   case_dma_read },
    {"forge",  case_forge    },
    {"ring",   case_ring     },
    {"chains", case_chains   },
    {"table",  case_table    },
    {"bars",   case_bars     },
    {"decode", case_decode   },
    {"flood",  case_flood    },
    {"resets", case_resets   },
    {"honest", case_honest   },
};

static struct {
    uint64_t number;
    char text[SECTOR - sizeof(uint64_t)];
} order __attribute__((aligned(SECTOR)));

static void fetch_order(void)
{
    bool done = false;

    while (!done) {
        disk_start(false);
        done = disk_try(READ, SECTOR_ORDER, (uint64_t)&order, sizeof(order));
    }
    order.text[sizeof(order.text) - 1] = '\0';
}

/* The next order: one whose number is not that of the one before. */
static const char *await_order(void)
{
    static uint64_t last;
    static bool started;

    if (!started) {
        started = true;
        fetch_order();
        last = order.number;
    }
    printf("ready, %u failed\n", test_failures());
    do {
        for (unsigned i = 0; i < POLLS / 40; i++) {
            cpu_relax();
        }
        fetch_order();
    } while (order.number == last);
    last = order.number;
    return order.text;
}

/* ---- ways to go, each with I/O under way ---- */

static void leave_by_exit(void)
{
    disk_load();
    outb(GUEST_EXIT_PORT, 0);
}

static void leave_by_triple_fault(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) nothing = {0, 0};

    disk_load();
    __asm__ volatile("lidt %0; int3" ::"m"(nothing));
}

/* An INIT to this CPU by the disk's own message, which comes when the disk is ready: this CPU then
 * begins at its reset vector, and what lies there resets the machine. */
static void leave_by_init(void)
{
    disk_start(true);
    virtio_msix_set(&disk, 1, 0, 0);
    mmio_write(disk.memory + 16 + 8, MSI_INIT);
    disk_load();
    for (;;) {
        cpu_relax();
    }
}

/* The operator has to stop this one. */
static void never_leave(void)
{
    printf("storm: until stopped\n");
    for (;;) {
        disk_start(false);
        disk_load();
        for (unsigned i = 0; i < POLLS / 20; i++) {
            cpu_relax();
        }
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} ends[] = {
    {"exit",   leave_by_exit        },
    {"triple", leave_by_triple_fault},
    {"init",   leave_by_init        },
    {"storm",  never_leave          },
};

static bool is(const char *line, const char *name)
{
    size_t length = strlen(name);

    return strncmp(line, name, length) == 0 && (line[length] == ' ' || line[length] == '\0');
}

static void obey(const char *line)
{
    char *rest;
    const char *arguments = strchr(line, ' ');
    uint64_t address = arguments ? strtoull(arguments, &rest, 16) : 0;
    uint64_t value = arguments ? strtoull(rest, NULL, 16) : 0;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (is(line, cases[i].name)) {
            cases[i].run(address, value);
            return;
        }
    }
    for (unsigned i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        if (is(line, ends[i].name)) {
            printf("leaving by %s\n", ends[i].name);
            disk_start(false);
            ends[i].run();
            return;
        }
    }
    CHECK(is(line, "pass"));
    test_end();
}

int main(void)
{
    pic_mask_all();
    apic_enable();
    if (!CHECK(virtio_find(DEVICE, &disk)) || !CHECK(disk.base != 0) || !CHECK(disk.msix != 0)) {
        test_end();
    }
    for (;;) {
        obey(await_order());
    }
}
