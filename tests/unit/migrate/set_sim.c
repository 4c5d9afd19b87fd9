/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/migrate/set_sim.h"

#include "tests/unit/fakes/log.h"
#include "vmm/legacy/inflight.h"
#include "vmm/state/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define QUEUE_SIZE 8U

struct set_sim set_sim;
struct vf_state_pf set_control = {.kind = VF_STATE_2021};
static struct config_vm config = {.name = "vm"};
static struct pf pf;
static struct member work[MEMBERS];
static uint8_t record[4096], store[4096];

_Static_assert(2 * MEMBERS <= 32, "a bit of 'fails_of' for each VF");

struct workspace workspace = {.record = record, .store = store, .member = work};

static const struct field fields[] = {
    FIELD(struct legacy_state, status, UINT8_MAX),
    FIELD_ARRAY(struct legacy_state, device_config, UINT8_MAX),
    FIELD_ARRAY(struct legacy_state, device_written, 1),
};
const struct section legacy_section = SECTION(struct legacy_state, "legacy", 1, fields, NULL);

/* ---- VFs ---- */

struct vf *vf_spare(uint32_t n)
{
    return set_sim.spares[n];
}

enum status vf_spare_add(uint32_t n, const struct vf *old)
{
    assert_ptr_equal(old, set_sim.sources[n]);
    return hit(ADD, set_sim.spares[n]) ? STATUS_DEVICE : STATUS_OK;
}

struct vf *vf_spare_exchange(uint32_t n, struct vf *old)
{
    struct vf *now = set_sim.spares[n];

    assert_ptr_equal(set_sim.set.vf[n], old);
    set_sim.set.vf[n] = now;
    set_sim.spares[n] = old;
    return now;
}

void vf_spare_retire(uint32_t n)
{
    assert_false(set_sim.retired[number(set_sim.spares[n])]);
    set_sim.retired[number(set_sim.spares[n])] = true;
}

static struct vf *vf_with(const struct legacy_function *function)
{
    return vf_of((struct legacy_function *)(uintptr_t)function);
}

enum status legacy_describe(struct legacy_function *f, const uint32_t *features,
                            struct legacy_description *d)
{
    assert_int_equal(features != NULL, is_target(vf_with(f)));
    d->vectors = hit(DIFFER, vf_with(f));
    d->type = set_sim.type;
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

enum status compare_texts(const char *source, const char *target, char *why)
{
    (void)format(why, COMPARE_WHY_MAX, "%s", strcmp(source, target) == 0 ? "" : "type");
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
    set_sim.kept[from->status - 1] = from->device_written[5] ? from->device_config[5] : 0;
    f->state = set_sim.shown[number(vf_with(f)) - MEMBERS];
    return STATUS_OK;
}

enum status legacy_open_vectors(struct legacy_function *f, const struct legacy_function *like)
{
    return hit(VECTORS, vf_with(f)) ? STATUS_NO_MEMORY : STATUS_OK;
}

void legacy_lend_master(struct legacy_function *f, bool lend)
{
    set_sim.lent[number(vf_with(f)) - MEMBERS] = lend;
}

void legacy_take_messages(struct legacy_function *to, struct legacy_function *from)
{
    assert_false(set_sim.lent[number(vf_with(to)) - MEMBERS]);
    assert_ptr_equal(vf_with(to), vf_with(from) + MEMBERS);
    assert_false(set_sim.retired[number(vf_with(from))]);
    set_sim.told[number(vf_with(to))] = true;
}

void legacy_rebind(struct legacy_function *f)
{
    set_sim.rebound[number(vf_with(f))] = true;
}

void legacy_poke(struct legacy_function *f, bool news, const uint64_t idle[LEGACY_QUEUE_WORDS])
{
    set_sim.pokes[number(vf_with(f))]++;
}

void legacy_give_up(struct legacy_function *f, const char *why)
{
    set_sim.given_up[number(vf_with(f))] = true;
}

void migrate_wake_later(struct vf *vf)
{
    set_sim.asleep[number(vf)] = true;
}

void migrate_dirty_leave(struct vf *vf)
{
    assert_int_equal(vf->control.level, VF_STATE_FROZEN);
    assert_false(set_sim.left[number(vf)] || set_sim.retired[number(vf)]);
    set_sim.left[number(vf)] = true;
}

void legacy_indexes(const struct legacy_function *f, unsigned queue, uint16_t *avail,
                    uint16_t *used)
{
    unsigned ring = f->state.queue[queue].pfn / 2 - 1;

    assert_in_range(ring, 0, set_sim.count - 1); /* no queue without a ring is looked at */
    memcpy(avail, &set_sim.rings[ring][16 * QUEUE_SIZE + 2], sizeof(*avail));
    memcpy(used, &set_sim.rings[ring][sizeof(set_sim.rings[0]) / 2 + 2], sizeof(*used));
}

/* ---- No VF is lost, nor has one a standby ---- */

bool migrate_is_gone(const struct vf *vf)
{
    return false;
}

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

void set_begin(unsigned members)
{
    memset(&set_sim, 0, sizeof(set_sim));
    set_sim.count = members;
    set_sim.set = (struct vf_set){.owner = {.config = &config}, .count = set_sim.count};
    for (unsigned i = 0; i < 2 * MEMBERS; i++) {
        set_sim.vfs[i] =
            (struct vf){.set = &set_sim.set, .pf = &pf, .place.index = i, .device_state = 1};
        set_sim.vfs[i].control =
            (struct vf_state){.control = &set_control, .member = (uint16_t)(i + 1)};
        set_sim.state_of[i] = i < MEMBERS ? (uint8_t)(i + 1) : 0;
    }
    for (unsigned i = 0; i < set_sim.count; i++) {
        struct legacy_state *state = &set_sim.vfs[i].function.state;

        state->status = (uint8_t)(i + 1);
        /* Two pages in the guest's memory: queue 0's. */
        state->queue[0].pfn = 2 * (i + 1);
        state->queue[0].size = QUEUE_SIZE;
        set_sim.shown[i] = *state;
        set_sim.set.vf[i] = set_sim.sources[i] = &set_sim.vfs[i];
        set_sim.spares[i] = &set_sim.vfs[i + MEMBERS];
    }
    pf.control.kind = set_control.kind = VF_STATE_2021;
    fake_log_clear();
}
