/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest for the emulator's tests: 384 KiB of RAM at 0, two pages of device registers, ports, and
 * a record of every access to the latter. It implements vmm/emulate/emulate_edge.h.
 */
#ifndef PORTOLAN_TESTS_UNIT_EMULATE_GUEST_H
#define PORTOLAN_TESTS_UNIT_EMULATE_GUEST_H

#include "vmm/emulate/emulate.h"

#define GUEST_RAM_SIZE    0x60000U
#define GUEST_DEVICE      0xfe000000U
#define GUEST_DEVICE_SIZE 0x2000U

/* Where things lie once guest_reset() has run; linear equals physical but for the device. */
#define GUEST_TABLES 0x1000U
#define GUEST_CODE   0x10000U
#define GUEST_STACK  0x20000U /* grows down */
#define GUEST_DATA   0x30000U
#define GUEST_WINDOW 0x180000U /* linear; the device, while paging is on */

enum guest_paging { GUEST_FLAT, GUEST_PAGED_32, GUEST_PAGED_PAE, GUEST_PAGED_LONG };

enum guest_access_kind {
    GUEST_DEVICE_READ,
    GUEST_DEVICE_WRITE,
    GUEST_PORT_READ,
    GUEST_PORT_WRITE,
    GUEST_SWAP
};

struct guest_access {
    enum guest_access_kind kind;
    uint64_t address;
    unsigned size;
    uint64_t value;
};

#define GUEST_ACCESSES_MAX 8192U

struct guest {
    struct emulate_cpu cpu;
    uint64_t gpr[16];
    struct emulate_result result;
    uint8_t ram[GUEST_RAM_SIZE];
    uint8_t device[GUEST_DEVICE_SIZE];
    unsigned access_count;
    unsigned long edge_calls;
    unsigned swaps_to_disturb; /* so many swaps find that another CPU was faster */
    unsigned pause_after;      /* accesses after which there is news; 0: never */
    bool nothing_lasts;        /* RAM may become something else */
    bool port_full;            /* writes to ports are to be tried again */
    struct guest_access access[GUEST_ACCESSES_MAX]; /* the first access_count accesses */
};

extern struct guest guest;

/*
 * Empty RAM, flat segments, and the whole RAM mapped for CPL 0 and 3 with 4 KiB pages. GUEST_FLAT
 * with INSN_MODE_16 is real mode; with INSN_MODE_64 it is no state of a CPU, but handy.
 */
void guest_reset(enum insn_mode mode, enum guest_paging paging);

/* The page-table entry of a linear address below 2 MiB (4 MiB without PAE). */
uint64_t guest_entry(uint32_t linear);
void guest_set_entry(uint32_t linear, uint64_t entry);

/* Put code at rip and run emulate_memory() once. */
enum emulate_outcome guest_run(const uint8_t *code, unsigned size);
#define GUEST_RUN(...) \
    guest_run((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

uint64_t guest_read(uint32_t address, unsigned size);
void guest_write(uint32_t address, unsigned size, uint64_t value);

#endif
