/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The A20 gate, by each of the three ways to move it: shut, the addresses above 1 MiB are those
 * from 0 on, for data and for code, as programs for the 8086 want it.
 */
#include "guest/bios/bios.h"

#define PORT_A       0x92
#define PORT_DATA    0x60
#define PORT_STATUS  0x64
#define INPUT_FULL   2
#define WRITE_OUTPUT 0xd1
#define GATE         2
#define OUTPUT_IDLE  0xdd /* and the gate shut */

/* The same place, if the gate is shut; a function of three bytes, and what it returns. */
#define LOW         0x600
#define HIGH        0xffff
#define OFFSET      (LOW + 0x10)
#define LOW_RESULT  0x5a
#define HIGH_RESULT 0xa5

static void by_bios(bool open)
{
    struct registers r = {.eax = open ? 0x2401 : 0x2400};

    bios_call(0x15, &r);
    check((r.flags & FLAG_CARRY) == 0, "INT 15h moves the gate");
    r = (struct registers){.eax = 0x2402};
    bios_call(0x15, &r);
    check((r.flags & FLAG_CARRY) == 0 && (r.eax & 0xff) == open, "INT 15h says how the gate is");
}

static void by_port(bool open)
{
    outb(PORT_A, (uint8_t)((inb(PORT_A) & ~(GATE | 1)) | (open ? GATE : 0)));
}

static void wait_controller(void)
{
    while (inb(PORT_STATUS) & INPUT_FULL) {
    }
}

static void by_controller(bool open)
{
    wait_controller();
    outb(PORT_STATUS, WRITE_OUTPUT);
    wait_controller();
    outb(PORT_DATA, OUTPUT_IDLE | (open ? GATE : 0));
    wait_controller();
}

static void put_function(uint16_t segment, uint16_t offset, uint8_t result)
{
    far_put(segment, offset, 0xb0); /* MOV AL, result */
    far_put(segment, (uint16_t)(offset + 1), result);
    far_put(segment, (uint16_t)(offset + 2), 0xcb); /* RETF */
}

static uint8_t call_high(void)
{
    uint32_t result = 0;

    __asm__ volatile("lcall %1, %2" : "+a"(result) : "i"(HIGH), "i"(OFFSET) : "memory", "cc");
    return (uint8_t)result;
}

static void check_open(void)
{
    check(far_get(HIGH, OFFSET + 1) == HIGH_RESULT, "open: above 1 MiB is what was there");
    check(far_get(0, LOW + 1) == LOW_RESULT, "open: below is what was there");
    check(call_high() == HIGH_RESULT, "open: a function above 1 MiB");
}

static void check_shut(void)
{
    check(far_get(HIGH, OFFSET + 1) == LOW_RESULT, "shut: above 1 MiB is what is below");
    check(call_high() == LOW_RESULT, "shut: a function from below");
    far_put(HIGH, OFFSET + 3, 0x33);
    check(far_get(0, LOW + 3) == 0x33, "shut: what is written above is below");
    far_put(0, LOW + 3, 0x44);
    check(far_get(HIGH, OFFSET + 3) == 0x44, "shut: what is written below is above");
}

static const struct {
    void (*move)(bool open);
    const char *how;
} ways[] = {
    {by_bios,       "INT 15h"  },
    {by_port,       "port 92h" },
    {by_controller, "the i8042"},
};

void gate_check(void)
{
    by_port(true);
    put_function(0, LOW, LOW_RESULT);
    put_function(HIGH, OFFSET, HIGH_RESULT);
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        check_open();
        ways[i].move(false);
        check_shut();
        ways[i].move(true);
        check_open();
        say("gate: moved by %s", ways[i].how);
    }
}
