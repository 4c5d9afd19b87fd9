/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/migrate/set_sim.h"

#include "tests/unit/fakes/log.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/legacy/inflight.h"
#include "vmm/state/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LOOKS      3U /* at a device until a command of its own has ended */
#define SIZE       100U
#define QUEUE_SIZE 8U
#define USED_AT    (SIM_RING_PAGE + 2)

struct sim sim;
struct vf_state_pf sim_control = {.kind = VF_STATE_2021};
static struct config_vm config = {.name = "vm"};
static struct pf pf;
static struct member work[MEMBERS];
static uint8_t record[4096], store[4096];

_Static_assert(2 * MEMBERS <= 32, "a bit of 'fails_of' for each VF");

struct workspace workspace = {.record = record, .store = store, .member = work};

static const struct field fields[] = {FIELD(struct legacy_state, status, UINT8_MAX)};
const struct section legacy_section = SECTION(struct legacy_state, "legacy", 1, fields, NULL);

static unsigned number(const struct vf *vf)
{
    return (unsigned)(vf - sim.vfs);
}

static bool is_target(const struct vf *vf)
{
    return number(vf) >= MEMBERS;
}

static bool hit(enum sim_what what, const struct vf *vf)
{
    return sim.fails == what && (sim.fails_of >> number(vf) & 1) != 0;
}

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
    for (unsigned i = 0; i < sim.count; i++) {
        const struct vf *source = &sim.vfs[i], *target = &sim.vfs[i + MEMBERS];

        assert_true((is_target(vf) ? target : source)->control.target == to);
        if (to == VF_STATE_FROZEN && !is_target(vf)) {
            assert_in_range(source->control.level, VF_STATE_STOPPED, VF_STATE_FROZEN);
        }
        if (is_target(vf)) {
            assert_int_equal(source->control.level, VF_STATE_FROZEN);
        }
        if (is_target(vf) && to == VF_STATE_RUNNING) {
            assert_in_range(target->control.level, VF_STATE_RUNNING, VF_STATE_STOPPED);
            assert_int_equal(sim.state_of[i + MEMBERS], i + 1);
            assert_ptr_equal(sim.set.vf[i], target);
        }
    }
}

enum status vf_state_begin(struct vf_state *of, enum vf_state_level target)
{
    struct vf *vf = vf_at(of);

    assert_false(of->busy);
    assert_false(sim.retired[number(vf)]);
    of->busy = true;
    of->target = target;
    sim.looks[number(vf)] = 0;
    return STATUS_OK;
}

/* The step from one level to the next. */
static enum status change(struct vf *vf)
{
    struct vf_state *of = &vf->control;
    enum vf_state_level next = of->target > of->level ? of->level + 1 : of->level - 1;
    bool failed = hit(LEVEL, vf) && sim.fails_change == sim.changes[number(vf)]++;

    if (failed && !sim.fails_late) {
        of->level = sim.fails_blindly ? VF_STATE_UNKNOWN : of->level;
        return sim.fails_blindly ? STATUS_TIMEOUT : STATUS_DEVICE;
    }
    of->level = next;
    if (failed) { /* it ran, and did something */
        sim.rings[number(vf) - MEMBERS][USED_AT]++;
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
        if (sim.looks[number(vf)]++ < LOOKS) {
            return false;
        }
        if (sim.fails == NOTHING) {
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
    for (unsigned i = 0; i < sim.count; i++) {
        assert_int_equal(sim.vfs[i].control.size, 0); /* a PF may have but one object */
    }
    *size = of->size = SIZE;
    return hit(OPEN, vf_at(of)) ? (of->size = 0, STATUS_NO_MEMORY) : STATUS_OK;
}

enum status vf_state_read(struct vf_state *of, uint32_t offset, void *buffer, uint32_t length,
                          uint32_t *got)
{
    assert_int_equal(offset, 0);
    *got = SIZE;
    memset(buffer, sim.state_of[number(vf_at(of))], SIZE);
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
    sim.state_of[number(vf_at(of))] = *(const uint8_t *)state;
    return STATUS_OK;
}

enum status vf_state_check(enum vf_state_kind kind, const void *state, uint32_t size)
{
    return STATUS_OK;
}

const struct vf_state_facts *vf_state_facts(enum vf_state_kind kind)
{
    static const struct vf_state_facts parts = {.name = "parts", .can_migrate = true};
    static const struct vf_state_facts old = {
        .name = "2021", .can_migrate = true, .has_config = true};

    return kind == VF_STATE_PARTS ? &parts : &old;
}

/* ---- VFs ---- */

struct vf *vf_spare(uint32_t n)
{
    return sim.spares[n];
}

enum status vf_spare_add(uint32_t n, const struct vf *old)
{
    assert_ptr_equal(old, sim.sources[n]);
    return hit(ADD, sim.spares[n]) ? STATUS_DEVICE : STATUS_OK;
}

struct vf *vf_spare_exchange(uint32_t n, struct vf *old)
{
    struct vf *now = sim.spares[n];

    assert_ptr_equal(sim.set.vf[n], old);
    sim.set.vf[n] = now;
    sim.spares[n] = old;
    return now;
}

void vf_spare_retire(uint32_t n)
{
    assert_false(sim.retired[number(sim.spares[n])]);
    sim.retired[number(sim.spares[n])] = true;
}

static struct vf *vf_with(const struct legacy_function *function)
{
    return vf_of((struct legacy_function *)(uintptr_t)function);
}

enum status legacy_describe(struct legacy_function *f, bool free, struct legacy_description *d)
{
    assert_int_equal(free, is_target(vf_with(f)));
    d->vectors = hit(DIFFER, vf_with(f));
    d->type = sim.type;
    d->features = 1U << 5;
    d->config[5] = (uint8_t)(number(vf_with(f)) + 1);
    return hit(DESCRIBE, vf_with(f)) ? STATUS_DEVICE : STATUS_OK;
}

enum status compatibility_text(const struct legacy_description *d, const char *abi, char *text)
{
    text[0] = d->vectors ? 'b' : 'a';
    text[1] = '\0';
    return STATUS_OK;
}

bool compatibility_has_news(const struct legacy_description *one,
                            const struct legacy_description *other)
{
    return false;
}

enum status compatibility_compare(const char *source, const char *target, char *why)
{
    (void)format(why, COMPATIBILITY_WHY_MAX, "%s", strcmp(source, target) == 0 ? "" : "type");
    return strcmp(source, target) == 0 ? STATUS_OK : STATUS_CONFLICT;
}

const struct legacy_state *legacy_save(struct legacy_function *f)
{
    return &f->state;
}

enum status legacy_load(struct legacy_function *f, const struct legacy_state *from)
{
    assert_int_equal(from->status, number(vf_with(f)) - MEMBERS + 1); /* its source's */
    if (hit(LOAD, vf_with(f))) {
        return STATUS_INVALID;
    }
    sim.kept[from->status - 1] = from->device_written[5] ? from->device_config[5] : 0;
    f->state = sim.shown[number(vf_with(f)) - MEMBERS];
    return STATUS_OK;
}

enum status legacy_open_vectors(struct legacy_function *f, const struct legacy_function *like)
{
    return hit(VECTORS, vf_with(f)) ? STATUS_NO_MEMORY : STATUS_OK;
}

void legacy_take_messages(struct legacy_function *to, struct legacy_function *from)
{
    assert_ptr_equal(vf_with(to), vf_with(from) + MEMBERS);
    assert_false(sim.retired[number(vf_with(from))]);
    sim.told[number(vf_with(to))] = true;
}

void legacy_rebind(struct legacy_function *f)
{
    sim.rebound[number(vf_with(f))] = true;
}

void legacy_poke(struct legacy_function *f, bool news, const uint64_t idle[LEGACY_QUEUE_WORDS])
{
    sim.pokes[number(vf_with(f))]++;
}

void legacy_give_up(struct legacy_function *f, const char *why)
{
    sim.given_up[number(vf_with(f))] = true;
}

void migrate_wake_later(struct vf *vf)
{
    sim.asleep[number(vf)] = true;
}

void migrate_dirty_leave(struct vf *vf)
{
    assert_int_equal(vf->control.level, VF_STATE_FROZEN);
    assert_false(sim.left[number(vf)] || sim.retired[number(vf)]);
    sim.left[number(vf)] = true;
}

void legacy_indexes(const struct legacy_function *f, unsigned queue, uint16_t *avail,
                    uint16_t *used)
{
    unsigned ring = f->state.queue[queue].pfn / 2 - 1;

    assert_in_range(ring, 0, sim.count - 1); /* no queue without a ring is looked at */
    memcpy(avail, &sim.rings[ring][16 * QUEUE_SIZE + 2], sizeof(*avail));
    memcpy(used, &sim.rings[ring][sizeof(sim.rings[0]) / 2 + 2], sizeof(*used));
}

/* ---- No VF is lost, nor has one a standby ---- */

bool migrate_is_gone(const struct vf *vf)
{
    return false;
}

bool legacy_is_lost(const struct legacy_function *f)
{
    return false;
}

void legacy_inflight_forget(struct legacy_function *f) {}

void legacy_forsake(struct legacy_function *f)
{
    fail_msg("no VF has a standby");
}

enum status migrate_lost_text(const struct member *m, char *text)
{
    fail_msg("no VF is lost");
    return STATUS_INVALID;
}

enum status migrate_lost_take(struct member *m)
{
    fail_msg("no VF is lost");
    return STATUS_INVALID;
}

enum status migrate_lost_rebuild(struct member *m, struct record *of)
{
    fail_msg("no VF is lost");
    return STATUS_INVALID;
}

void migrate_lost_go_back(struct member *m)
{
    fail_msg("no VF is lost");
}

void timer_service(void) {}

void time_delay_us(uint64_t us)
{
    sim.now_ns += us * 1000;
}

uint64_t time_now_ns(void)
{
    return ++sim.now_ns;
}

void sim_begin(unsigned members)
{
    memset(&sim, 0, sizeof(sim));
    sim.count = members;
    sim.set = (struct vf_set){.owner = {.config = &config}, .count = sim.count};
    for (unsigned i = 0; i < 2 * MEMBERS; i++) {
        sim.vfs[i] = (struct vf){.set = &sim.set, .pf = &pf, .place.index = i, .device_state = 1};
        sim.vfs[i].control =
            (struct vf_state){.control = &sim_control, .member = (uint16_t)(i + 1)};
        sim.state_of[i] = i < MEMBERS ? (uint8_t)(i + 1) : 0;
    }
    for (unsigned i = 0; i < sim.count; i++) {
        struct legacy_state *state = &sim.vfs[i].function.state;

        state->status = (uint8_t)(i + 1);
        /* Two pages in the guest's memory: queue 0's. */
        state->queue[0].pfn = 2 * (i + 1);
        state->queue[0].size = QUEUE_SIZE;
        sim.shown[i] = *state;
        sim.set.vf[i] = sim.sources[i] = &sim.vfs[i];
        sim.spares[i] = &sim.vfs[i + MEMBERS];
    }
    pf.control.kind = sim_control.kind = VF_STATE_2021;
    fake_log_clear();
}
