/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program goes into guest memory in steps, between which CPU 0's console goes on. Includes
 * program.c, whose lock another VM may have.
 */
#include "vmm/vm/program.c" /* NOLINT(bugprone-suspicious-include): see above */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB  (1ULL << 20)
#define MOST (16 * MIB) /* between two looks at the service */
#define BASE (16 * MIB)

static struct vm vm;
static struct config_vm config = {.name = "vm"};
static struct load_piece pieces[2];
static uint64_t next, since_service; /* guest address; bytes */
static uint64_t copied, cleared;
static unsigned services, held_for; /* another VM has the plan for so many services */
static enum status outcome;         /* of the last MiB */

/* ---- what program.c asks ---- */

void timer_service(void)
{
    services++;
    since_service = 0;
    if (held_for > 0 && --held_for == 0) {
        spinlock_release(&plan_lock);
    }
}

static enum status put_bytes(gpa_t to, uint64_t size)
{
    if (to.raw < BASE) { /* tables and ROMs */
        return STATUS_OK;
    }
    assert_int_equal(held_for, 0);
    assert_int_equal(to.raw, next);
    assert_true(size > 0);
    next += size;
    since_service += size;
    assert_true(since_service <= MOST);
    return STATUS_OK;
}

enum status ram_write(const struct ram *ram, gpa_t to, const void *from, uint64_t size)
{
    if (to.raw >= BASE) {
        assert_ptr_equal(from, pieces[0].from + copied);
        copied += size;
    }
    return put_bytes(to, size);
}

enum status ram_zero(const struct ram *ram, gpa_t to, uint64_t size)
{
    cleared += size;
    return cleared == pieces[0].zero + pieces[1].zero && outcome != STATUS_OK ? outcome
                                                                              : put_bytes(to, size);
}

static uint8_t area[TABLES_SIZE_MAX];

void *ram_pointer(const struct ram *ram, gpa_t at, uint64_t size)
{
    assert_int_equal(size, sizeof(area));
    return area;
}

void ram_mark(const struct ram *ram, gpa_t at, uint64_t size) {}

enum status tables_build(const struct pc_config *of, uint8_t *image, uint32_t size,
                         struct tables *tables)
{
    *tables = (struct tables){.rsdp = gpa(0xe0000)};
    return STATUS_OK;
}

const struct rom_piece rom_pieces[ROM_PIECES];

enum status firmware_load(struct vm *of)
{
    fail();
    return STATUS_OK;
}

enum status input_gather(const struct config_vm *of, struct load_input *input,
                         struct load_file *modules)
{
    *input = (struct load_input){.kind = LOAD_LINUX};
    return STATUS_OK;
}

enum status load_plan_build(const struct load_input *input, struct load_plan *made)
{
    assert_int_equal(input->acpi_rsdp.raw, 0xe0000);
    assert_int_equal(held_for, 0);
    made->piece_count = 2;
    memcpy(made->piece, pieces, sizeof(pieces));
    made->entry = (struct load_entry){.rip = 0x1234};
    return STATUS_OK;
}

/* ---- Tests ---- */

/* An initrd of 100 MiB and a bit, whose bytes nobody looks at, and room behind it and elsewhere. */
static int setup(void **state)
{
    memset(&vm, 0, sizeof(vm));
    vm.config = &config;
    pieces[0] = (struct load_piece){
        .to = gpa(BASE), .from = area, .size = 100 * MIB + 123, .zero = 40 * MIB + 1};
    pieces[1] = (struct load_piece){.to = gpa(BASE + 140 * MIB + 124), .zero = 1};
    next = BASE;
    since_service = copied = cleared = services = held_for = 0;
    outcome = STATUS_OK;
    return 0;
}

static void test_in_steps(void **state)
{
    assert_int_equal(program_load(&vm), STATUS_OK);
    assert_int_equal(copied, pieces[0].size);
    assert_int_equal(cleared, pieces[0].zero + 1);
    assert_int_equal(next, BASE + 140 * MIB + 125);
    assert_true(services > 0);
    assert_int_equal(vm.entry.rip, 0x1234);
    assert_true(spinlock_try(&plan_lock));
    spinlock_release(&plan_lock);
}

/* It takes its time while another VM's program is copied on another CPU. */
static void test_another_has_the_plan(void **state)
{
    held_for = 1000;
    spinlock_acquire(&plan_lock);
    assert_int_equal(program_load(&vm), STATUS_OK);
    assert_true(services > 1000);
    assert_int_equal(copied, pieces[0].size);
}

static void test_failure(void **state)
{
    outcome = STATUS_RANGE;
    assert_int_equal(program_load(&vm), STATUS_RANGE);
    assert_true(spinlock_try(&plan_lock));
    spinlock_release(&plan_lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_in_steps, setup),
        cmocka_unit_test_setup(test_another_has_the_plan, setup),
        cmocka_unit_test_setup(test_failure, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
