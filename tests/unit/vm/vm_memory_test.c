/* SPDX-License-Identifier: BSD-2-Clause */
/* What memory goes with a VM: its RAM at the sides of the hole, and its screen's within. */
#include "vmm/vm/vm_memory.h"

#include "vmm/host/address_space.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define FRAMES 0x40000000UL
#define G4     (1UL << 32)
#define M2     PAGE_SIZE_2M
#define WORD   (RAM_MARKS_BYTES / PAGE_SIZE)
#define MARKS  0x8000000000000001UL

static struct vm vm;

bool ram_holds(const struct ram *ram, uint64_t at, uint64_t size)
{
    for (unsigned i = 0; i < ram->run_count; i++) {
        if (at - ram->run[i].at.raw < ram->run[i].size && size <= ram->run[i].size) {
            return true;
        }
    }
    return false;
}

void *ram_pointer(const struct ram *ram, gpa_t at, uint64_t size)
{
    return ram_holds(ram, at.raw, size) ? (void *)(DIRECT_BASE + at.raw) : NULL;
}

bool dirty_collect(struct vm *asked, uint64_t first, uint64_t pages, uint64_t *bitmap)
{
    assert_ptr_equal(asked, &vm);
    for (uint64_t i = 0; i < pages / WORD; i++) {
        bitmap[i] = ram_holds(&vm.ram, (first + i * WORD) * PAGE_SIZE, RAM_MARKS_BYTES) ? MARKS : 0;
    }
    return true;
}

/* Two runs below the hole, and one above it if ABOVE. */
static void make(bool above, bool screen)
{
    memset(&vm, 0, sizeof(vm));
    vm.ram.run_count = above ? 3 : 2;
    vm.ram.run[0] = (struct ram_run){gpa(0), hpa(FRAMES), M2};
    vm.ram.run[1] = (struct ram_run){gpa(M2), hpa(4 * FRAMES), M2};
    vm.ram.run[2] = (struct ram_run){gpa(G4), hpa(2 * FRAMES), M2};
    vm.video = hpa(screen ? 3 * FRAMES : 0);
}

static void check_runs(const struct ram_run *wanted, unsigned count)
{
    struct ram_run run;

    for (unsigned i = 0; i < count; i++) {
        assert_true(vm_memory_run(&vm, i, &run));
        assert_memory_equal(&run, &wanted[i], sizeof(run));
    }
    assert_false(vm_memory_run(&vm, count, &run));
    assert_false(vm_memory_run(&vm, count + 1, &run));
    assert_false(vm_memory_run(&vm, UINT32_MAX, &run));
}

static void test_runs(void **state)
{
    const struct ram_run low[] = {
        {gpa(0),  hpa(FRAMES),     M2},
        {gpa(M2), hpa(4 * FRAMES), M2}
    };
    const struct ram_run screen = {gpa(VM_MEMORY_SCREEN), hpa(3 * FRAMES), VGA_MEMORY_SIZE};
    const struct ram_run high = {gpa(G4), hpa(2 * FRAMES), M2};

    make(false, false);
    check_runs(low, 2);
    make(true, false);
    check_runs((const struct ram_run[]){low[0], low[1], high}, 3);
    make(false, true);
    check_runs((const struct ram_run[]){low[0], low[1], screen}, 3);
    make(true, true);
    check_runs((const struct ram_run[]){low[0], low[1], screen, high}, 4);
}

static void test_pointer(void **state)
{
    uint8_t *frames = (uint8_t *)DIRECT_BASE + 3 * FRAMES;

    make(true, true);
    assert_ptr_equal(vm_memory_pointer(&vm, gpa(VM_MEMORY_SCREEN), 1), frames);
    assert_ptr_equal(vm_memory_pointer(&vm, gpa(VM_MEMORY_SCREEN), VGA_MEMORY_SIZE), frames);
    assert_ptr_equal(vm_memory_pointer(&vm, gpa(VM_MEMORY_SCREEN + VGA_MEMORY_SIZE - 8), 8),
                     frames + VGA_MEMORY_SIZE - 8);
    assert_null(vm_memory_pointer(&vm, gpa(VM_MEMORY_SCREEN + VGA_MEMORY_SIZE - 8), 9));
    assert_null(vm_memory_pointer(&vm, gpa(VM_MEMORY_SCREEN + 8), UINT64_MAX));
    assert_null(vm_memory_pointer(&vm, gpa(VM_MEMORY_SCREEN - 1), 2));
    assert_ptr_equal(vm_memory_pointer(&vm, gpa(G4), 8), (void *)(DIRECT_BASE + G4));
    make(true, false);
    assert_null(vm_memory_pointer(&vm, gpa(VM_MEMORY_SCREEN), 1));
}

/* Nobody marks what is written to a screen: all of it counts, and nothing beside it. */
static void test_collect(void **state)
{
    enum { WORDS = VGA_MEMORY_SIZE / RAM_MARKS_BYTES + 2 };
    uint64_t bitmap[WORDS];

    for (int screen = 0; screen < 2; screen++) {
        make(true, screen != 0);
        vm_memory_collect(&vm, VM_MEMORY_SCREEN / PAGE_SIZE - WORD, WORDS, bitmap);
        assert_true(bitmap[0] == 0 && bitmap[WORDS - 1] == 0);
        for (unsigned i = 1; i < WORDS - 1; i++) {
            assert_true(bitmap[i] == (screen != 0 ? UINT64_MAX : 0));
        }
        vm_memory_collect(&vm, 0, 1, bitmap);
        assert_true(bitmap[0] == MARKS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_pointer),
        cmocka_unit_test(test_collect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
