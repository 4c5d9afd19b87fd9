/* SPDX-License-Identifier: BSD-2-Clause */
/* String instructions: REP across pages in both directions, faults in the middle, ports. */
#include "tests/unit/emulate/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint64_t *const gpr = guest.gpr;

static void fill(uint32_t address, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        guest.ram[address + i] = (uint8_t)(i * 7 + 1);
    }
}

/* REP MOVSW over an odd page border into the device, forwards. */
static void test_up(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    fill(0x30f01, 0x400);
    gpr[INSN_RSI] = 0x30f01;
    gpr[INSN_RDI] = GUEST_WINDOW + 0xe00;
    gpr[INSN_RCX] = 0x200;
    assert_int_equal(GUEST_RUN(0xf3, 0x66, 0xa5), EMULATE_DONE);
    assert_memory_equal(guest.device + 0xe00, guest.ram + 0x30f01, 0x400);
    assert_int_equal(gpr[INSN_RCX], 0);
    assert_int_equal(gpr[INSN_RSI], 0x31301);
    assert_int_equal(gpr[INSN_RDI], GUEST_WINDOW + 0x1200);
    assert_int_equal(guest.cpu.rip, GUEST_CODE + 3);
}

static void test_down(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_PAGED_PAE);
    fill(0x30f01, 0x400);
    guest.cpu.rflags |= RFLAGS_DF;
    gpr[INSN_RSI] = 0x30f01 + 0x400 - 4;
    gpr[INSN_RDI] = GUEST_WINDOW + 0xe00 + 0x400 - 4;
    gpr[INSN_RCX] = 0x100;
    assert_int_equal(GUEST_RUN(0xf3, 0xa5), EMULATE_DONE);
    assert_memory_equal(guest.device + 0xe00, guest.ram + 0x30f01, 0x400);
    assert_int_equal(gpr[INSN_RSI], 0x30f01 - 4);
    assert_int_equal(gpr[INSN_RDI], GUEST_WINDOW + 0xe00 - 4);
}

/* A page is missing: what was before it is done, and the rest after the guest has mapped it. */
static void fault_in_the_middle(bool down)
{
    uint64_t first = down ? 0x31000 + 0x20 - 8 : 0x31000 - 0x20;

    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    fill(0x30fe0, 0x40);
    guest_set_entry(down ? 0x30000 : 0x31000, 0);
    guest.cpu.rflags |= down ? RFLAGS_DF : 0;
    gpr[INSN_RSI] = first;
    gpr[INSN_RDI] = GUEST_WINDOW + (down ? 0x38 : 0);
    gpr[INSN_RCX] = 8;
    assert_int_equal(GUEST_RUN(0xf3, 0x48, 0xa5), EMULATE_FAULT);
    assert_int_equal(guest.result.vector, VECTOR_PF);
    assert_int_equal(guest.result.error, 0);
    assert_int_equal(guest.result.address, down ? 0x30ff8 : 0x31000);
    assert_int_equal(guest.cpu.rip, GUEST_CODE);
    assert_int_equal(gpr[INSN_RCX], 4);
    assert_int_equal(gpr[INSN_RSI], guest.result.address);
    assert_int_equal(gpr[INSN_RDI], GUEST_WINDOW + (down ? 0x18 : 0x20));
    guest_set_entry(down ? 0x30000 : 0x31000, (down ? 0x30000 : 0x31000) | 7);
    emulate_memory(&guest.cpu, &guest.result);
    assert_int_equal(guest.result.outcome, EMULATE_DONE);
    assert_memory_equal(guest.device, guest.ram + 0x30fe0, 0x40);
}

static void test_fault_in_the_middle(void **unused)
{
    fault_in_the_middle(false);
    fault_in_the_middle(true);
}

/* One element across two pages of which the second is missing: not one byte of it is stored. */
static void test_fault_within_element(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    guest_set_entry(0x31000, 0);
    guest_write(0x30ff8, 8, 0x5555555555555555);
    gpr[INSN_RAX] = ~0ULL;
    gpr[INSN_RDI] = 0x30ffc - 8;
    gpr[INSN_RCX] = 10;
    guest_write(0x30ff4, 4, 0);
    assert_int_equal(GUEST_RUN(0xf3, 0x48, 0xab), EMULATE_FAULT);
    assert_int_equal(guest.result.error, 2);
    assert_int_equal(gpr[INSN_RCX], 9);
    assert_int_equal(guest_read(0x30ff4, 8), ~0ULL);
    assert_int_equal(guest_read(0x30ffc, 4), 0x55555555);
}

/* No more than EMULATE_REP_BYTES at a time. */
static void test_bounded(void **unused)
{
    unsigned calls = 1;

    guest_reset(INSN_MODE_64, GUEST_FLAT);
    gpr[INSN_RAX] = 0x1234;
    gpr[INSN_RDI] = GUEST_DATA;
    gpr[INSN_RCX] = 5000;
    GUEST_RUN(0xf3, 0x66, 0xab);
    while (guest.result.outcome == EMULATE_RETRY && calls < 100) {
        assert_int_equal(guest.cpu.rip, GUEST_CODE);
        assert_int_equal(gpr[INSN_RCX], 5000 - calls * EMULATE_REP_BYTES / 2);
        emulate_memory(&guest.cpu, &guest.result);
        calls++;
    }
    assert_int_equal(guest.result.outcome, EMULATE_DONE);
    assert_int_equal(calls, 3);
    assert_int_equal(guest_read(GUEST_DATA + 9998, 4), 0x1234);
    /* Count 0 touches nothing, not even a page that is not there. */
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    gpr[INSN_RDI] = 0x170000;
    assert_int_equal(GUEST_RUN(0xf3, 0xaa), EMULATE_DONE);
}

/* The address size says how wide the registers are; the other bits stay, or become 0 with 32. */
static void test_register_widths(void **unused)
{
    guest_reset(INSN_MODE_16, GUEST_FLAT);
    guest.cpu.segment[INSN_SEGMENT_ES].base = GUEST_DATA;
    gpr[INSN_RDI] = 0x7777fffe; /* DI wraps between elements */
    gpr[INSN_RCX] = 0x99990003;
    gpr[INSN_RAX] = 0xabcd;
    assert_int_equal(GUEST_RUN(0xf3, 0xab), EMULATE_DONE);
    assert_int_equal(gpr[INSN_RDI], 0x77770004);
    assert_int_equal(gpr[INSN_RCX], 0x99990000);
    assert_int_equal(guest_read(GUEST_DATA + 0xfffe, 4), 0xabcd);
    assert_int_equal(guest_read(GUEST_DATA, 4), 0xabcdabcd);
    guest_reset(INSN_MODE_64, GUEST_FLAT);
    gpr[INSN_RSI] = 0xffffffff00000000 | GUEST_DATA;
    gpr[INSN_RCX] = 0xffffffff00000002;
    assert_int_equal(GUEST_RUN(0xf3, 0x67, 0xac), EMULATE_DONE);
    assert_int_equal(gpr[INSN_RSI], GUEST_DATA + 2);
    assert_int_equal(gpr[INSN_RCX], 0);
}

static void test_segments(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_FLAT);
    guest.cpu.segment[INSN_SEGMENT_FS].base = 0x40000;
    guest.cpu.segment[INSN_SEGMENT_ES].base = 0x50000;
    fill(0x40010, 4);
    gpr[INSN_RSI] = 0x10;
    gpr[INSN_RDI] = 0x20;
    assert_int_equal(GUEST_RUN(0x64, 0xa5), EMULATE_DONE);
    assert_memory_equal(guest.ram + 0x50020, guest.ram + 0x40010, 4);
}

static void test_compare_and_scan(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    fill(GUEST_DATA, 64);
    memcpy(guest.device, guest.ram + GUEST_DATA, 64);
    guest.device[40] ^= 1;
    gpr[INSN_RSI] = GUEST_DATA;
    gpr[INSN_RDI] = GUEST_WINDOW;
    gpr[INSN_RCX] = 64;
    assert_int_equal(GUEST_RUN(0xf3, 0xa6), EMULATE_DONE);
    assert_int_equal(gpr[INSN_RCX], 64 - 41);
    assert_false(guest.cpu.rflags & RFLAGS_ZF);
    guest.cpu.rip = GUEST_CODE;
    gpr[INSN_RDI] = GUEST_WINDOW;
    gpr[INSN_RCX] = 64;
    gpr[INSN_RAX] = guest.device[9];
    assert_int_equal(GUEST_RUN(0xf2, 0xae), EMULATE_DONE);
    assert_int_equal(gpr[INSN_RDI], GUEST_WINDOW + 10);
    assert_true(guest.cpu.rflags & RFLAGS_ZF);
}

static void test_single_step(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_FLAT);
    guest.cpu.rflags |= RFLAGS_TF;
    gpr[INSN_RDI] = GUEST_DATA;
    gpr[INSN_RCX] = 2;
    assert_int_equal(GUEST_RUN(0xf3, 0xaa), EMULATE_RETRY);
    assert_true(guest.result.single_step);
    assert_int_equal(gpr[INSN_RCX], 1);
    emulate_memory(&guest.cpu, &guest.result);
    assert_int_equal(guest.result.outcome, EMULATE_DONE);
    assert_true(guest.result.single_step);
}

static enum emulate_outcome run_io(bool in, uint8_t size, const uint8_t *code, unsigned length)
{
    const struct emulate_string_io io = {in, size};

    memcpy(guest.ram + GUEST_CODE, code, length);
    guest.cpu.rip = GUEST_CODE;
    emulate_string(&guest.cpu, &io, &guest.result);
    return guest.result.outcome;
}

static void test_ports(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    gpr[INSN_RDX] = 0xffff01f0;
    gpr[INSN_RDI] = 0x30ffe; /* the second double word lies in two pages */
    gpr[INSN_RCX] = 2;
    assert_int_equal(run_io(true, 4, (const uint8_t[]){0xf3, 0x6d}, 2), EMULATE_DONE);
    unsigned reads = 0;
    for (unsigned i = 0; i < guest.access_count; i++) {
        if (guest.access[i].kind == GUEST_PORT_READ) {
            assert_int_equal(guest.access[i].address, 0x1f0);
            assert_int_equal(guest.access[i].size, 4);
            assert_int_equal(guest_read(0x30ffe + 4 * reads++, 4), guest.access[i].value);
        }
    }
    assert_int_equal(reads, 2);
    gpr[INSN_RSI] = 0x30ffe;
    assert_int_equal(run_io(false, 2, (const uint8_t[]){0x66, 0x6f}, 2), EMULATE_DONE);
    const struct guest_access *last = &guest.access[guest.access_count - 1];
    assert_int_equal(last->kind, GUEST_PORT_WRITE);
    assert_int_equal(last->size, 2);
    assert_int_equal(last->value, guest_read(0x30ffe, 2));
    assert_int_equal(gpr[INSN_RSI], 0x31000);
}

/* There is news after each element: the rest comes when it was seen to, the registers say which. */
static void test_pause(void **unused)
{
    unsigned calls = 1;

    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    fill(GUEST_DATA, 8);
    guest.pause_after = 1;
    gpr[INSN_RDX] = 0x64;
    gpr[INSN_RSI] = GUEST_DATA;
    gpr[INSN_RCX] = 8;
    enum emulate_outcome outcome = run_io(false, 1, (const uint8_t[]){0xf3, 0x6e}, 2);
    for (; outcome == EMULATE_RETRY && calls < 100; calls++) {
        assert_int_equal(gpr[INSN_RCX], 8 - calls);
        assert_int_equal(gpr[INSN_RSI], GUEST_DATA + calls);
        assert_int_equal(guest.cpu.rip, GUEST_CODE);
        outcome = run_io(false, 1, (const uint8_t[]){0xf3, 0x6e}, 2);
    }
    assert_int_equal(outcome, EMULATE_DONE);
    assert_int_equal(calls, 8);
    unsigned writes = 0;
    for (unsigned i = 0; i < guest.access_count; i++) {
        if (guest.access[i].kind == GUEST_PORT_WRITE) {
            assert_int_equal(guest.access[i].value, guest.ram[GUEST_DATA + writes++]);
        }
    }
    assert_int_equal(writes, 8);
}

/* A port that is full: nothing has happened, with or without REP. */
static void test_port_full(void **unused)
{
    guest_reset(INSN_MODE_64, GUEST_PAGED_LONG);
    guest.port_full = true;
    gpr[INSN_RSI] = GUEST_DATA;
    gpr[INSN_RCX] = 8;
    assert_int_equal(run_io(false, 1, (const uint8_t[]){0xf3, 0x6e}, 2), EMULATE_RETRY);
    assert_int_equal(run_io(false, 1, (const uint8_t[]){0x6e}, 1), EMULATE_RETRY);
    assert_int_equal(gpr[INSN_RCX], 8);
    assert_int_equal(gpr[INSN_RSI], GUEST_DATA);
    assert_int_equal(guest.cpu.rip, GUEST_CODE);
    guest.port_full = false;
    assert_int_equal(run_io(false, 1, (const uint8_t[]){0xf3, 0x6e}, 2), EMULATE_DONE);
    assert_int_equal(gpr[INSN_RSI], GUEST_DATA + 8);
}

/* INS with a page that is not there must not read the port: the data would be lost. */
static void test_port_fault(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_PAGED_32);
    guest_set_entry(0x31000, 0);
    gpr[INSN_RDI] = 0x30fff;
    gpr[INSN_RCX] = 3;
    assert_int_equal(run_io(true, 1, (const uint8_t[]){0xf3, 0x6c}, 2), EMULATE_FAULT);
    assert_int_equal(guest.result.address, 0x31000);
    assert_int_equal(gpr[INSN_RCX], 2);
    unsigned reads = 0;
    for (unsigned i = 0; i < guest.access_count; i++) {
        reads += guest.access[i].kind == GUEST_PORT_READ;
    }
    assert_int_equal(reads, 1);
}

/* The code changed since the exit: only what the hardware has checked is done. */
static void test_port_changed(void **unused)
{
    guest_reset(INSN_MODE_32, GUEST_PAGED_32);
    gpr[INSN_RDI] = GUEST_DATA;
    gpr[INSN_RSI] = GUEST_DATA;
    assert_int_equal(run_io(true, 1, (const uint8_t[]){0x6d}, 1), EMULATE_RETRY);
    assert_int_equal(run_io(true, 1, (const uint8_t[]){0x6e}, 1), EMULATE_RETRY);
    assert_int_equal(run_io(true, 1, (const uint8_t[]){0x88, 0x07}, 2), EMULATE_RETRY);
    assert_int_equal(guest.cpu.rip, GUEST_CODE);
    /* And a fault on memory gives no right to a port. */
    guest.cpu.rip = GUEST_CODE;
    guest.cpu.cpl = 3;
    assert_int_equal(GUEST_RUN(0x6c), EMULATE_UNSUPPORTED);
    guest.cpu.rflags |= RFLAGS_IOPL;
    assert_int_equal(GUEST_RUN(0x6c), EMULATE_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up),
        cmocka_unit_test(test_down),
        cmocka_unit_test(test_fault_in_the_middle),
        cmocka_unit_test(test_fault_within_element),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_register_widths),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_compare_and_scan),
        cmocka_unit_test(test_single_step),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_port_fault),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_port_full),
        cmocka_unit_test(test_port_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
