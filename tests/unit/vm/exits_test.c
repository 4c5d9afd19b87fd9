/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of each kind of exit that needs no other device than ports and memory. */
#include "vmm/vm/exit_table.h"

#include "tests/unit/vm/fake_vm.h"
#include "vmm/vm/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct vcpu *const vcpu = &fake_vcpu;

static int setup(void **state)
{
    fake_vm_reset();
    return 0;
}

/* What the simple exits do. */
static void test_simple_exits(void **state)
{
    static const struct exit hlt = {.reason = EXIT_HLT, .length = 1};
    static const struct exit pause = {.reason = EXIT_PAUSE, .length = 2};
    static const struct exit cache = {.reason = EXIT_CACHE, .length = 2};
    static const struct exit refused = {.reason = EXIT_REFUSED};
    static const struct exit forbidden = {.reason = EXIT_FORBIDDEN};
    static const struct exit shutdown = {.reason = EXIT_SHUTDOWN};
    static const struct exit unknown = {.reason = EXIT_UNKNOWN};
    static const struct exit interrupt = {.reason = EXIT_INTERRUPT};

    handlers_run(vcpu, &interrupt);
    assert_int_equal(vcpu->rip, 0x1000);
    handlers_run(vcpu, &pause);
    handlers_run(vcpu, &cache);
    assert_int_equal(vcpu->rip, 0x1004);
    assert_int_equal(vcpu->activity, VCPU_RUNNING);
    vcpu->shadow = true;
    handlers_run(vcpu, &hlt);
    assert_int_equal(vcpu->rip, 0x1005);
    assert_int_equal(vcpu->activity, VCPU_HALTED);
    assert_false(vcpu->shadow); /* STI; HLT */
    fake_expect_nothing();
    handlers_run(vcpu, &refused);
    fake_expect_exception(6, false, 0);
    vcpu->event.kind = VCPU_EVENT_NONE;
    handlers_run(vcpu, &forbidden);
    fake_expect_exception(13, true, 0);
    handlers_run(vcpu, &shutdown);
    assert_int_equal(fake_resets, 1);
    handlers_run(vcpu, &unknown);
    assert_int_equal(fake_stops, 1);
}

static void test_watched_exceptions(void **state)
{
    for (unsigned vector = 0; vector < 32; vector++) {
        struct exit exit = {.reason = EXIT_EXCEPTION};

        if (vector == 18) { /* see below */
            continue;
        }
        fake_vm_reset();
        exit.exception = (struct exit_exception){.vector = (uint8_t)vector, .error = 0};
        handlers_run(vcpu, &exit);
        if (vector == 1 || vector == 17) {
            fake_expect_exception(vector, vector == 17, 0);
        } else {
            fake_expect_nothing();
        }
    }
}

/* The exit is all that there is of it: no handler of the host's has run. */
static void test_machine_check(void **state)
{
    static const struct exit check = {.reason = EXIT_EXCEPTION, .exception = {.vector = 18}};

    if (!setjmp(fake_panicked)) {
        handlers_run(vcpu, &check);
        fail_msg("the guest goes on after a machine check");
    }
    fake_expect_nothing();
}

/* What the CPU refuses becomes #GP; again and again, it ends the machine. */
static void test_invalid_state(void **state)
{
    static const struct exit invalid = {.reason = EXIT_INVALID};

    handlers_run(vcpu, &invalid);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_EXCEPTION);
    assert_int_equal(vcpu->event.vector, 13);
    /* Not entered even with that: a double fault, and then the machine's end. */
    handlers_run(vcpu, &invalid);
    assert_int_equal(vcpu->event.vector, 8);
    handlers_run(vcpu, &invalid);
    assert_int_equal(vcpu->event.kind, VCPU_EVENT_NONE);
}

static void test_ports(void **state)
{
    static const uint8_t sizes[] = {1, 2, 4};
    static const uint64_t read[] = {0x11111111111111ddULL, 0x111111111111ccddULL, 0xaabbccddULL};

    for (unsigned i = 0; i < 3; i++) {
        struct exit exit = {.reason = EXIT_IO, .length = 2};

        exit.io = (struct exit_io){.port = 0xffff, .size = sizes[i], .in = true};
        vcpu->gpr[INSN_RAX] = 0x1111111111111111ULL;
        fake_platform.port_value = 0xaabbccdd;
        handlers_run(vcpu, &exit);
        assert_int_equal(vcpu->gpr[INSN_RAX], read[i]);
        assert_int_equal(fake_platform.port_size, sizes[i]);
        exit.io.in = false;
        vcpu->gpr[INSN_RAX] = 0x99999999aabbccddULL;
        handlers_run(vcpu, &exit);
        assert_int_equal(fake_platform.port_value, 0xaabbccddULL & ((1ULL << 8 * sizes[i]) - 1));
        assert_int_equal(fake_platform.port, 0xffff);
    }
    assert_int_equal(vcpu->rip, 0x100c);
    for (unsigned size = 0; size < 8; size++) {
        struct exit exit = {.reason = EXIT_IO, .length = 2};

        exit.io = (struct exit_io){.port = 0x80, .size = (uint8_t)size};
        fake_vm_reset();
        handlers_run(vcpu, &exit);
        bool valid = size == 1 || size == 2 || size == 4;

        assert_int_equal(vcpu->event.kind, valid ? VCPU_EVENT_NONE : VCPU_EVENT_EXCEPTION);
        assert_int_equal(fake_platform.accesses, valid);
    }
}

/* What moves the A20 gate or PCI's registers shows in the nested tables before the guest goes on,
 * and so is not done in the world switch. */
static void test_settling_ports(void **state)
{
    static const struct {
        struct exit_io io;
        bool settles, quick;
    } writes[] = {
        {{.port = 0x60, .size = 1},  true,  false},
        {{.port = 0x64, .size = 1},  true,  false},
        {{.port = 0x5f, .size = 2},  true,  false},
        {{.port = 0x92, .size = 1},  true,  false},
        {{.port = 0x91, .size = 2},  true,  false},
        {{.port = 0x8f, .size = 4},  true,  false},
        {{.port = 0xcfc, .size = 4}, true,  false},
        {{.port = 0xcfe, .size = 1}, true,  false},
        {{.port = 0x20, .size = 1},  false, true },
        {{.port = 0x66, .size = 1},  false, true },
        {{.port = 0x93, .size = 1},  false, true },
        {{.port = 0x3f9, .size = 1}, false, false},
    };

    for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        struct exit exit = {.reason = EXIT_IO, .length = 2, .io = writes[i].io};
        uint64_t rax = 0;

        fake_vm_reset();
        memset(fake_vm.pc.port_pages, 0xff, sizeof(fake_vm.pc.port_pages)); /* devices everywhere */
        assert_int_equal(vcpu_io_quick(vcpu, &exit.io, &rax), writes[i].quick);
        assert_int_equal(fake_platform.settles, 0);
        handlers_run(vcpu, &exit);
        assert_int_equal(fake_platform.settles, writes[i].settles);
    }
}

static void test_memory(void **state)
{
    struct exit exit = {.reason = EXIT_MEMORY};

    exit.memory.address = gpa(0xfee00300);
    fake_platform.mmio_value = 0x12345678;
    FAKE_CODE(0xa1, 0x00, 0x03, 0xe0, 0xfe); /* MOV EAX, [FEE00300h] */
    handlers_run(vcpu, &exit);
    assert_int_equal(vcpu->gpr[INSN_RAX], 0x12345678);
    assert_int_equal(fake_platform.mmio, 0xfee00300);
    assert_int_equal(vcpu->rip, 0x1005);
    exit.memory.walk = true; /* page tables in a device */
    handlers_run(vcpu, &exit);
    assert_int_equal(fake_resets, 1);
    exit.memory.walk = false;
    vcpu->event.kind = VCPU_EVENT_INTERRUPT; /* its stack or IDT in a device */
    handlers_run(vcpu, &exit);
    assert_int_equal(fake_resets, 2);
    fake_expect_nothing();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_simple_exits, setup),
        cmocka_unit_test_setup(test_watched_exceptions, setup),
        cmocka_unit_test_setup(test_machine_check, setup),
        cmocka_unit_test_setup(test_invalid_state, setup),
        cmocka_unit_test_setup(test_ports, setup),
        cmocka_unit_test_setup(test_settling_ports, setup),
        cmocka_unit_test_setup(test_memory, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
