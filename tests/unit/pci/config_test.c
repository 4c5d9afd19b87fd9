/* SPDX-License-Identifier: BSD-2-Clause */
/* The access methods themselves: ECAM windows over fake memory, and the ports. */
#define _GNU_SOURCE /* REG_RIP */
#include "drivers/pci/pci_config.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/physical.h"
#include "tests/unit/fakes/ports.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#define BASE 0xb0000000ULL
#define MIB  (1UL << 20)

static const bdf_t device = {.bus = 1, .devfn = 0x18};
static struct acpi_mcfg mcfg;
static uint8_t *memory; /* buses 0 to 2 of segment 0 */

static int set_up(void **state)
{
    memory = calloc(3, MIB);
    assert_non_null(memory);
    fake_physical_reset();
    fake_physical_add(BASE, memory, 3 * MIB);
    fake_ports_reset();
    fake_log_clear();
    mcfg = (struct acpi_mcfg){.present = true, .ecam_count = 2};
    mcfg.ecams[0] = (struct acpi_ecam){.base = hpa(BASE), .bus_last = 2};
    /* its memory is not there */
    mcfg.ecams[1] =
        (struct acpi_ecam){.base = hpa(0xe0000000), .segment = 1, .bus_first = 4, .bus_last = 5};
    pci_config_init(&mcfg);
    return 0;
}

static int tear_down(void **state)
{
    for (unsigned bus = 0; bus < 256; bus++) {
        pci_config_close(0, (uint8_t)bus);
    }
    assert_int_equal(fake_physical_windows(), 0);
    free(memory);
    return 0;
}

static void test_open(void **state)
{
    assert_int_equal(pci_config_ranges(), 2);
    assert_int_equal(pci_config_range(1).segment, 1);
    assert_int_equal(pci_config_size(0, 1), 0);
    assert_int_equal(pci_config_open(0, 1), STATUS_OK);
    assert_int_equal(pci_config_open(0, 1), STATUS_OK);
    assert_int_equal(fake_physical_windows(), 1);
    assert_int_equal(pci_config_size(0, 1), 4096);
    assert_int_equal(pci_config_open(0, 3), STATUS_NOT_FOUND);
    assert_int_equal(pci_config_open(2, 1), STATUS_NOT_FOUND);
    assert_int_equal(pci_config_open(1, 3), STATUS_NOT_FOUND);
    assert_int_equal(pci_config_open(1, 4), STATUS_NO_MEMORY);
    pci_config_close(0, 1);
    pci_config_close(0, 1);
    pci_config_close(9, 9);
    assert_int_equal(fake_physical_windows(), 0);
    assert_int_equal(pci_config_read(device, 0, 4), 0xffffffff);
}

static void test_ecam(void **state)
{
    uint8_t *config = memory + MIB + ((size_t)device.devfn << 12);

    assert_int_equal(pci_config_open(0, 1), STATUS_OK);
    config[0] = 0xf4;
    config[1] = 0x1a;
    config[2] = 0x41;
    config[3] = 0x10;
    assert_int_equal(pci_config_read(device, 0, 4), 0x10411af4);
    assert_int_equal(pci_config_read(device, 2, 2), 0x1041);
    assert_int_equal(pci_config_read(device, 3, 1), 0x10);
    pci_config_write(device, 0xffc, 4, 0x12345678);
    assert_int_equal(config[0xffc], 0x78);
    pci_config_write(device, 0x104, 2, 0xabcd);
    assert_int_equal(config[0x105], 0xab);
    pci_config_write(device, 0x3c, 1, 0x5a);
    assert_int_equal(config[0x3c], 0x5a);
    assert_int_equal(fake_port_write_count(), 0);
}

/* ---- By which instruction: the window's memory is not there until an access was looked at ---- */

static uint8_t *watched; /* 3 MiB, closed */
static unsigned accesses, bad_forms;

/* MOV between memory and AL, AX or EAX: 8A, 8B, 88, 89 with register 0; no MOVZX, no R8. */
static bool form_allowed(const uint8_t *code)
{
    bool extended = false;

    code += *code == 0x66;
    if ((*code & 0xf0) == 0x40) {
        extended = (*code++ & 0xc) != 0; /* REX.W or REX.R */
    }
    return !extended && *code >= 0x88 && *code <= 0x8b && (code[1] >> 3 & 7) == 0;
}

static void look(int signal, siginfo_t *info, void *context)
{
    const ucontext_t *state = context;

    if ((uint8_t *)info->si_addr < watched || (uint8_t *)info->si_addr >= watched + 3 * MIB) {
        abort();
    }
    accesses++;
    bad_forms += !form_allowed((const uint8_t *)state->uc_mcontext.gregs[REG_RIP]);
    (void)mprotect(watched, 3 * MIB, PROT_READ | PROT_WRITE);
}

static void close_watched(void)
{
    assert_int_equal(mprotect(watched, 3 * MIB, PROT_NONE), 0);
}

static void test_instructions(void **state)
{
    struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO}, before;

    watched = mmap(NULL, 3 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(watched, MAP_FAILED);
    fake_physical_reset();
    fake_physical_add(BASE, watched, 3 * MIB);
    assert_int_equal(pci_config_open(0, 1), STATUS_OK);
    assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
    accesses = bad_forms = 0;
    for (unsigned width = 1; width <= 4; width *= 2) {
        uint32_t value = 0xa1b2c3d4U >> (32 - 8 * width);

        close_watched();
        pci_config_write(device, 0x104, width, value);
        close_watched();
        assert_int_equal(pci_config_read(device, 0x104, width), value);
    }
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
    pci_config_close(0, 1);
    assert_int_equal(munmap(watched, 3 * MIB), 0);
    assert_int_equal(accesses, 6);
    assert_int_equal(bad_forms, 0);
}

/* Wrong widths, unaligned or beyond the space: reads give ones, writes are dropped. */
static void test_bad_accesses(void **state)
{
    static const struct {
        uint32_t offset;
        unsigned width;
        uint32_t wanted;
    } bad[] = {
        {1,          2, 0xffff    },
        {2,          4, 0xffffffff},
        {4096,       1, 0xff      },
        {0xfffffffc, 4, 0xffffffff}
    };

    assert_int_equal(pci_config_open(0, 1), STATUS_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        fake_log_clear();
        assert_int_equal(pci_config_read(device, bad[i].offset, bad[i].width), bad[i].wanted);
        pci_config_write(device, bad[i].offset, bad[i].width, 0);
        assert_true(fake_log_contains("dropped: out of reach"));
    }
}

static void test_ports(void **state)
{
    mcfg.ecam_count = 0;
    pci_config_init(&mcfg);
    assert_true(fake_log_contains("PCI: no ECAM"));
    assert_int_equal(pci_config_ranges(), 1);
    assert_int_equal(pci_config_range(0).bus_last, 255);
    assert_int_equal(pci_config_open(1, 0), STATUS_NOT_FOUND);
    assert_int_equal(pci_config_size(1, 0), 0);
    assert_int_equal(pci_config_open(0, 1), STATUS_OK);
    assert_int_equal(pci_config_size(0, 1), 256);
    fake_port_set(0xcfe, 0x1041);
    assert_int_equal(pci_config_read(device, 2, 2), 0x1041);
    assert_int_equal(fake_port_write_at(0).port, 0xcf8);
    assert_int_equal(fake_port_write_at(0).value, 0x80011800);
    pci_config_write(device, 0x3d, 1, 7);
    assert_int_equal(fake_port_write_at(1).value, 0x8001183c);
    assert_int_equal(fake_port_write_at(2).port, 0xcfd);
    assert_int_equal(fake_port_write_at(2).width, 1);
    assert_int_equal(pci_config_read(device, 256, 4), 0xffffffff); /* out of the ports' reach */
    assert_int_equal(fake_port_write_count(), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ecam, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_instructions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_accesses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ports, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
