/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices of set_sim.h. */
#include "tests/unit/migrate/set_sim.h"

#include "vmm/host/time.h"
#include "vmm/host/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LOOKS   3U /* at a device until a command of its own has ended */
#define SIZE    100U
#define USED_AT (SET_RING_PAGE + 2)

/* ---- Devices ---- */

static struct vf *vf_at(struct vf_state *control_of)
{
    return (struct vf *)((uintptr_t)control_of - offsetof(struct vf, control));
}

/* All are on their way at once, or at the end of it already. No VF is frozen before all are
 * quiesced, no target stopped before all sources are frozen, none runs before all have the state
 * and the place of their sources. */
static void check_order(const struct vf *vf, enum vf_state_level to)
{
    for (unsigned i = 0; i < set_sim.count; i++) {
        const struct vf *source = &set_sim.vfs[i], *target = &set_sim.vfs[i + MEMBERS];

        assert_true((is_target(vf) ? target : source)->control.target == to);
        if (to == VF_STATE_FROZEN && !is_target(vf)) {
            assert_in_range(source->control.level, VF_STATE_STOPPED, VF_STATE_FROZEN);
        }
        if (is_target(vf)) {
            assert_int_equal(source->control.level, VF_STATE_FROZEN);
        }
        if (is_target(vf) && to == VF_STATE_RUNNING) {
            assert_in_range(target->control.level, VF_STATE_RUNNING, VF_STATE_STOPPED);
            assert_int_equal(set_sim.state_of[i + MEMBERS], i + 1);
            assert_ptr_equal(set_sim.set.vf[i], target);
        }
    }
}

enum status vf_state_begin(struct vf_state *of, enum vf_state_level target)
{
    struct vf *vf = vf_at(of);

    assert_false(of->busy);
    assert_false(set_sim.retired[number(vf)]);
    of->busy = true;
    of->target = target;
    set_sim.looks[number(vf)] = 0;
    return STATUS_OK;
}

/* The step from one level to the next. */
static enum status change(struct vf *vf)
{
    struct vf_state *of = &vf->control;
    enum vf_state_level next = of->target > of->level ? of->level + 1 : of->level - 1;
    bool failed = hit(LEVEL, vf) && set_sim.fails_change == set_sim.changes[number(vf)]++;

    if (failed && !set_sim.fails_late) {
        of->level = set_sim.fails_blindly ? VF_STATE_UNKNOWN : of->level;
        return set_sim.fails_blindly ? STATUS_TIMEOUT : STATUS_DEVICE;
    }
    of->level = next;
    if (failed) { /* it ran, and did something */
        set_sim.rings[number(vf) - MEMBERS][USED_AT]++;
        of->level = VF_STATE_UNKNOWN;
        return STATUS_TIMEOUT;
    }
    return STATUS_OK;
}

bool vf_state_done(struct vf_state *of, uint32_t passed_us, enum status *status)
{
    struct vf *vf = vf_at(of);

    assert_true(of->busy);
    *status = STATUS_OK;
    if (of->level == VF_STATE_UNKNOWN) {
        *status = STATUS_TIMEOUT;
    } else if (of->level != of->target) {
        if (set_sim.looks[number(vf)]++ < LOOKS) {
            return false;
        }
        if (set_sim.fails == NOTHING) {
            check_order(vf, of->target);
        }
        *status = change(vf);
        if (*status == STATUS_OK && of->level != of->target) {
            return false;
        }
    }
    of->busy = false;
    return true;
}

enum status vf_state_open_save(struct vf_state *of, uint32_t *size)
{
    assert_int_equal(of->level, VF_STATE_FROZEN);
    assert_int_equal(of->size, 0);
    for (unsigned i = 0; i < set_sim.count; i++) {
        assert_int_equal(set_sim.vfs[i].control.size, 0); /* a PF may have but one object */
    }
    *size = of->size = SIZE;
    return hit(OPEN, vf_at(of)) ? (of->size = 0, STATUS_NO_MEMORY) : STATUS_OK;
}

enum status vf_state_read(struct vf_state *of, uint32_t offset, void *buffer, uint32_t length,
                          uint32_t *got)
{
    assert_int_equal(offset, 0);
    *got = SIZE;
    memset(buffer, set_sim.state_of[number(vf_at(of))], SIZE);
    return hit(READ, vf_at(of)) ? STATUS_DEVICE : STATUS_OK;
}

void vf_state_close(struct vf_state *of)
{
    of->size = 0;
}

enum status vf_state_write(struct vf_state *of, const void *state, uint32_t size)
{
    assert_int_equal(of->level, VF_STATE_FROZEN);
    assert_int_equal(size, SIZE);
    if (hit(WRITE, vf_at(of))) {
        return STATUS_INVALID;
    }
    set_sim.state_of[number(vf_at(of))] = *(const uint8_t *)state;
    return STATUS_OK;
}

enum status vf_state_check(enum vf_state_kind kind, const void *state, uint32_t size)
{
    return STATUS_OK;
}

/* The state goes on with the indexes in memory, whatever the device's are. */
void vf_state_rewind(enum vf_state_kind kind, uint8_t *state, uint32_t size, const uint16_t *used,
                     unsigned queues)
{
    set_sim.rewound = used[0];
}

const struct vf_state_facts *vf_state_facts(enum vf_state_kind kind)
{
    static const struct vf_state_facts parts = {.name = "parts", .can_migrate = true};
    static const struct vf_state_facts old = {
        .name = "2021", .can_migrate = true, .has_config = true};

    return kind == VF_STATE_PARTS ? &parts : &old;
}

void timer_service(void) {}

void time_delay_us(uint64_t us)
{
    set_sim.now_ns += us * 1000;
}

uint64_t time_now_ns(void)
{
    return ++set_sim.now_ns;
}
