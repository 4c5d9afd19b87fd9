/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the console does to a VM's machine: only while its time goes on, for what it did to a
 * machine that is being saved or loaded would be half there.
 */
#include "vmm/console/console_edge.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_move.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct vm vm;
static bool frozen;
static unsigned touchers, done;

struct vm *vm_by_index(unsigned index)
{
    return &vm;
}

bool vm_touch(struct vm *of)
{
    touchers += !frozen;
    return !frozen;
}

void vm_touched(struct vm *of)
{
    assert_int_equal(touchers--, 1);
}

uint64_t vm_now(const struct vm *of)
{
    return 1;
}

static void act(void)
{
    assert_int_equal(touchers, 1);
    done++;
}

void pc_console_ready(struct pc *pc, uint64_t now)
{
    act();
}

bool pc_console_read(struct pc *pc, uint8_t byte, uint64_t now)
{
    act();
    return true;
}

bool pc_key(struct pc *pc, uint16_t stroke, uint64_t now)
{
    act();
    return true;
}

void pc_mouse(struct pc *pc, const int16_t delta[3], uint8_t buttons, uint64_t now)
{
    act();
}

static uint32_t pressed;

enum status vm_press(struct vm *of, enum vm_press which)
{
    pressed |= which;
    return frozen ? STATUS_STATE : STATUS_OK;
}

static void test_only_while_time_goes_on(void **state)
{
    for (unsigned round = 0; round < 4; round++) {
        frozen = round % 2;
        done = pressed = 0;
        console_edge_vm_ready(0);
        assert_true(console_edge_vm_input(0, 'x') == !frozen);
        assert_int_equal(console_edge_vm_do(0, CONSOLE_NMI), frozen ? STATUS_STATE : STATUS_OK);
        assert_int_equal(console_edge_vm_do(0, CONSOLE_BUTTON), frozen ? STATUS_STATE : STATUS_OK);
        vm.pc.config.mouse = true;
        assert_true(console_edge_vm_key(0, 1) == !frozen);
        assert_int_equal(console_edge_vm_mouse(0, (int16_t[3]){1}, 0),
                         frozen ? STATUS_STATE : STATUS_OK);
        vm.pc.config.mouse = false;
        assert_int_equal(console_edge_vm_mouse(0, (int16_t[3]){1}, 0), STATUS_NOT_FOUND);
        assert_int_equal(done, frozen ? 0 : 4);
        assert_int_equal(pressed, VM_PRESS_POWER | VM_PRESS_NMI);
        assert_int_equal(touchers, 0);
    }
}

/* ---- What the operator may do to the marks of a VM's pages, beside a move ---- */

static bool claimed, moving;
static unsigned starts, stops;

bool dirty_claim(struct vm *of)
{
    return !claimed && (claimed = true);
}

void dirty_release(struct vm *of)
{
    assert_true(claimed);
    claimed = false;
}

/* What it says holds as long as nobody else may begin: one has to have claimed it first. */
bool vm_move_is_under_way(const struct vm *of)
{
    assert_true(claimed);
    return moving;
}

enum status dirty_start(struct vm *of)
{
    assert_true(claimed && !moving);
    starts++;
    return STATUS_OK;
}

void dirty_stop(struct vm *of)
{
    assert_true(claimed && !moving);
    stops++;
}

static void test_marks(void **state)
{
    assert_int_equal(console_edge_vm_do(0, CONSOLE_TRACK), STATUS_OK);
    assert_int_equal(console_edge_vm_do(0, CONSOLE_UNTRACK), STATUS_OK);
    assert_int_equal(starts, 1);
    assert_int_equal(stops, 2);
    moving = true;
    assert_int_equal(console_edge_vm_do(0, CONSOLE_UNTRACK), STATUS_STATE);
    moving = false;
    assert_false(claimed);
    claimed = true; /* a move begins */
    assert_int_equal(console_edge_vm_do(0, CONSOLE_TRACK), STATUS_STATE);
    assert_true(claimed);
    assert_int_equal(starts, 1);
    assert_int_equal(stops, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_while_time_goes_on),
        cmocka_unit_test(test_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
