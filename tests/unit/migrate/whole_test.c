/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFs go with their whole VM: each step fails for each of them, and all others go back; the memory
 * for records is one VF's at a time, and no 'vf' order's.
 */
#include "vmm/migrate/migrate_whole.h"

#include "tests/unit/fakes/log.h"
#include "vmm/migrate/migrate_internal.h"
#include "vmm/state/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define VFS  3U
#define NONE UINT32_MAX

static uint8_t record[4096], store[64];
static struct member members[1];
static char texts[VFS][COMPATIBILITY_MAX];
struct workspace workspace = {.record = record, .store = store, .member = members, .texts = texts};

static const struct field fields[] = {FIELD(struct legacy_state, features, UINT32_MAX)};
const struct section legacy_section = SECTION(struct legacy_state, "legacy", 1, fields, NULL);

static struct config_vm config = {.name = "vm"};
static struct pf pf = {.control = {.kind = VF_STATE_2021}};
static struct vf_state_pf control = {.kind = VF_STATE_2021};
static struct vf vf[VFS];
static struct vf_set set;

/* What fails: a change to state FAIL_STATE, or a part, of VF FAIL_OF. */
static enum { CHANGE, TEXT, SAVE, COMPARE, WRITE, REBIND, TRACK } fail;
static uint32_t fail_of, fail_state;
static bool reserved, gone[VFS], tracked[VFS];
static unsigned run[VFS], rebound[VFS], marked_all, reports;

static uint32_t number_of(const struct vf *one)
{
    return (uint32_t)(one - vf);
}

static bool fails(unsigned part, uint32_t number)
{
    return fail == part && fail_of == number;
}

bool migrate_reserve(enum phase wanted)
{
    bool free = !reserved;

    assert_int_equal(wanted, PHASE_WHOLE);
    reserved = true;
    return free;
}

void migrate_end_reserve(void)
{
    assert_true(reserved);
    reserved = false;
}

const struct vf_state_facts *vf_state_facts(enum vf_state_kind kind)
{
    static const struct vf_state_facts facts[] = {
        {.name = "none"      },
        { .name = "1.4", .can_migrate = true},
        { .name = "2021", .can_migrate = true}
    };

    return &facts[kind];
}

void device_open(struct device *device, struct vf_state *of, uint8_t *state, void *to,
                 uint32_t room)
{
    *device = (struct device){.vf = of, .state = state};
}

void migrate_open(struct device *device, struct vf *one)
{
    device_open(device, &one->control, &one->device_state, NULL, 0);
}

static enum status change(struct device *device, unsigned wanted)
{
    uint32_t number = device->vf->member;

    if (fails(CHANGE, number) && fail_state == wanted) {
        return STATUS_DEVICE;
    }
    *device->state = (uint8_t)wanted;
    return STATUS_OK;
}

/* All are quiesced before any is frozen. */
void migrate_all_to(struct device *const *device, uint32_t count, unsigned wanted,
                    enum status *status)
{
    for (uint32_t i = 0; i < count; i++) {
        if (wanted == DEVICE_STOP) {
            for (uint32_t n = 0; n < count; n++) {
                assert_true(*device[n]->state != DEVICE_RUNNING);
            }
        }
        status[i] = change(device[i], wanted);
    }
}

enum status migrate_to(struct device *device, unsigned wanted)
{
    return change(device, wanted);
}

enum status migrate_text(struct vf *one, const uint32_t *features, struct legacy_description *d,
                         char *text)
{
    assert_true(one->device_state == DEVICE_RUNNING || one->device_state == DEVICE_STOP);
    (void)strcpy(text, features && *features == 0x77 ? "as its driver finds it" : "text");
    return fails(TEXT, number_of(one)) ? STATUS_DEVICE : STATUS_OK;
}

void migrate_keep_address(const struct vf *one, const struct legacy_description *d,
                          struct legacy_state *state)
{
}

static void put(struct record_writer *w, enum record_type type, const void *data, uint32_t size)
{
    uint32_t room;

    memcpy(record_open(w, type, &room), data, size);
    record_close(w, size);
}

enum status migrate_save(struct device *device, struct vf *one, const char *text, uint32_t *size,
                         struct record *parsed)
{
    uint8_t function[256];
    struct legacy_state state = {.features = 0x77};
    struct state_writer stream;
    struct record_writer w;
    uint32_t kind = VF_STATE_2021;

    assert_int_equal(one->device_state, DEVICE_STOP);
    assert_string_equal(text, "text");
    assert_null(parsed);
    if (change(device, DEVICE_SAVING) != STATUS_OK) {
        return STATUS_DEVICE;
    }
    state_writer_init(&stream, function, sizeof(function));
    state_put_section(&stream, &legacy_section, 0, &state);
    record_begin(&w, record, sizeof(record));
    put(&w, RECORD_COMPATIBILITY, text, (uint32_t)strlen(text));
    put(&w, RECORD_FUNCTION, function, (uint32_t)stream.used);
    put(&w, RECORD_KIND, &kind, sizeof(kind));
    put(&w, RECORD_DEVICE, &(uint32_t){number_of(one)}, 4);
    *size = record_end(&w);
    return fails(SAVE, number_of(one)) ? STATUS_DEVICE : STATUS_OK;
}

enum status compare_texts(const char *source, const char *target, char *why)
{
    assert_string_equal(source, "text");
    assert_string_equal(target, "as its driver finds it");
    return fail == COMPARE ? STATUS_CONFLICT : STATUS_OK;
}

enum status device_write(struct device *device, const void *data, uint32_t size)
{
    uint32_t number;

    assert_int_equal(*device->state, DEVICE_RESUMING);
    assert_int_equal(size, sizeof(number));
    memcpy(&number, data, size);
    assert_int_equal(number, device->vf->member);
    return fails(WRITE, number) ? STATUS_INVALID : STATUS_OK;
}

const char *device_state_name(unsigned state)
{
    return "as it was told";
}

static struct vf *with(struct legacy_function *function)
{
    return vf_of(function);
}

void legacy_rebind(struct legacy_function *function)
{
    assert_int_equal(with(function)->device_state, DEVICE_RUNNING | DEVICE_NDMA);
    rebound[number_of(with(function))]++;
    function->state.lost = fails(REBIND, number_of(with(function)));
}

void legacy_give_up(struct legacy_function *function, const char *why)
{
    function->state.lost = true;
}

bool migrate_is_gone(const struct vf *one)
{
    return gone[number_of(one)];
}

void migrate_go_on(struct vf *one, enum status status, bool news)
{
    run[number_of(one)] += status == STATUS_OK;
}

bool migrate_is_tracked(const struct vf *one)
{
    return tracked[number_of(one)];
}

enum status migrate_dirty_begin(struct vf *one)
{
    assert_false(tracked[number_of(one)]);
    tracked[number_of(one)] = !fails(TRACK, number_of(one));
    return tracked[number_of(one)] ? STATUS_OK : STATUS_DEVICE;
}

enum status migrate_dirty_report(struct vf *one)
{
    reports++;
    return STATUS_OK;
}

enum status migrate_dirty_end(struct vf *one)
{
    tracked[number_of(one)] = false;
    return STATUS_OK;
}

uint64_t migrate_dirty_mark_all(const struct vf *one)
{
    return ++marked_all;
}

static int setup(void **state)
{
    memset(vf, 0, sizeof(vf));
    memset(gone, 0, sizeof(gone));
    memset(run, 0, sizeof(run));
    memset(rebound, 0, sizeof(rebound));
    memset(tracked, 0, sizeof(tracked));
    set = (struct vf_set){.owner.config = &config, .count = VFS};
    for (uint32_t i = 0; i < VFS; i++) {
        vf[i] = (struct vf){
            .set = &set,
            .pf = &pf,
            .device_state = DEVICE_RUNNING,
            .control = {.control = &control, .member = (uint16_t)i}
        };
        set.vf[i] = &vf[i];
    }
    fail_of = NONE;
    marked_all = reports = 0;
    pf.control.kind = VF_STATE_2021;
    return 0;
}

static void expect_all_run(void)
{
    for (uint32_t i = 0; i < VFS; i++) {
        assert_int_equal(vf[i].device_state, DEVICE_RUNNING);
    }
    assert_false(set.held || reserved);
}

/* Stopped, saved one by one, and on again: as often as wanted. */
static void test_source(void **state)
{
    char text[COMPATIBILITY_MAX];
    uint32_t size;

    for (unsigned round = 1; round <= 3; round++) {
        assert_int_equal(migrate_whole_save(&set, 0), STATUS_STATE);
        assert_int_equal(migrate_whole_stop(&set), STATUS_OK);
        assert_true(set.held);
        assert_int_equal(migrate_whole_text(&set, 1, NULL, text), STATUS_OK);
        assert_string_equal(text, "text"); /* as it was when its registers worked */
        for (uint32_t i = 0; i < VFS; i++) {
            assert_null(migrate_whole_record(&set, i, &size));
            assert_int_equal(migrate_whole_save(&set, i), STATUS_OK);
            assert_int_equal(vf[i].device_state, DEVICE_STOP);
            assert_non_null(migrate_whole_record(&set, i, &size));
            assert_true(size > 0 && reserved);
            assert_int_equal(migrate_whole_save(&set, (i + 1) % VFS), STATUS_STATE);
            migrate_whole_record_free(&set, (i + 1) % VFS);
            assert_true(reserved);
            migrate_whole_record_free(&set, i);
            assert_false(reserved);
        }
        reserved = true; /* by an order of the operator */
        assert_int_equal(migrate_whole_save(&set, 0), STATUS_STATE);
        reserved = false;
        assert_int_equal(migrate_whole_save(&set, 1), STATUS_OK);
        migrate_whole_go_on(&set, false);
        expect_all_run();
        assert_int_equal(run[2], round);
    }
}

/* Each step for each VF: all run again, and the next attempt succeeds. */
static void test_stop_failures(void **state)
{
    static const struct {
        unsigned part;
        uint32_t state;
    } rows[] = {
        {TEXT,   0                           },
        {CHANGE, DEVICE_RUNNING | DEVICE_NDMA},
        {CHANGE, DEVICE_STOP                 }
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (uint32_t n = 0; n < VFS; n++) {
            (void)setup(NULL);
            fail = rows[i].part;
            fail_of = n;
            fail_state = rows[i].state;
            assert_int_equal(migrate_whole_stop(&set), STATUS_DEVICE);
            expect_all_run();
            fail_of = NONE;
            assert_int_equal(migrate_whole_stop(&set), STATUS_OK);
            migrate_whole_go_on(&set, false);
            expect_all_run();
        }
    }
}

static void test_save_failures(void **state)
{
    for (unsigned part = 0; part < 2; part++) {
        (void)setup(NULL);
        assert_int_equal(migrate_whole_stop(&set), STATUS_OK);
        fail = part == 0 ? SAVE : CHANGE;
        fail_of = 1;
        fail_state = DEVICE_SAVING;
        assert_int_equal(migrate_whole_save(&set, 1), STATUS_DEVICE);
        assert_false(reserved);
        assert_int_equal(vf[1].device_state, DEVICE_STOP);
        fail_of = NONE;
        assert_int_equal(migrate_whole_save(&set, 1), STATUS_OK);
        migrate_whole_go_on(&set, false);
        expect_all_run();
    }
}

/* VFs that cannot be saved: nothing is touched. */
static void test_checks(void **state)
{
    char text[COMPATIBILITY_MAX];

    pf.control.kind = VF_STATE_NONE;
    assert_int_equal(migrate_whole_stop(&set), STATUS_UNSUPPORTED);
    pf.control.kind = VF_STATE_2021;
    vf[2].asleep = true;
    assert_int_equal(migrate_whole_stop(&set), STATUS_STATE);
    vf[2].asleep = false;
    vf[0].device_state = DEVICE_STOP; /* the operator's, of a VM that is paused */
    assert_int_equal(migrate_whole_stop(&set), STATUS_STATE);
    assert_int_equal(migrate_whole_text(&set, 0, NULL, text), STATUS_STATE);
    vf[0].device_state = DEVICE_RUNNING;
    assert_int_equal(migrate_whole_text(&set, 0, NULL, text), STATUS_OK);
    gone[1] = true;
    assert_int_equal(migrate_whole_stop(&set), STATUS_DEVICE);
    assert_true(vf[1].function.state.lost);
    expect_all_run();
}

static void save_one(uint32_t number, uint8_t *copy, uint32_t *size)
{
    assert_int_equal(migrate_whole_stop(&set), STATUS_OK);
    assert_int_equal(migrate_whole_save(&set, number), STATUS_OK);
    memcpy(copy, migrate_whole_record(&set, number, size), sizeof(record));
    migrate_whole_go_on(&set, false);
    migrate_whole_await(&set);
}

/* Each byte of a record cut off, each failure; and then all goes well. */
static void test_target(void **state)
{
    static uint8_t copy[sizeof(record)];
    uint32_t size;

    for (unsigned part = CHANGE; part <= REBIND; part++) {
        if (part == TEXT || part == SAVE) {
            continue;
        }
        (void)setup(NULL);
        save_one(1, copy, &size);
        fail = part;
        fail_of = 1;
        fail_state = DEVICE_RESUMING;
        assert_int_equal(migrate_whole_load(&set, 1), STATUS_STATE); /* it has no record */
        assert_int_equal(migrate_whole_record_add(&set, 1, copy, size), STATUS_OK);
        assert_int_equal(migrate_whole_record_add(&set, 2, copy, size), STATUS_STATE);
        assert_int_equal(migrate_whole_load(&set, 1) == STATUS_OK, part == REBIND);
        assert_false(reserved);
        assert_int_equal(migrate_whole_settle(&set), part == REBIND ? STATUS_DEVICE : STATUS_OK);
    }
    (void)setup(NULL);
    save_one(1, copy, &size);
    for (uint32_t length = 0; length < size; length++) {
        assert_int_equal(migrate_whole_record_add(&set, 1, copy, length), STATUS_OK);
        assert_int_equal(migrate_whole_load(&set, 1), STATUS_INVALID);
        assert_false(reserved);
    }
    assert_int_equal(migrate_whole_record_add(&set, 1, copy, size), STATUS_OK);
    assert_int_equal(migrate_whole_load(&set, 1), STATUS_OK);
    assert_int_equal(migrate_whole_settle(&set), STATUS_OK);
    assert_int_equal(rebound[0] + rebound[1] + rebound[2], VFS);
    migrate_whole_go_on(&set, true);
    expect_all_run();
    migrate_whole_await(&set);
    migrate_whole_forget(&set);
    expect_all_run();
}

/* One that was reset since is tracked anew, and all counts. */
static void test_tracking(void **state)
{
    assert_int_equal(migrate_whole_track(&set), STATUS_OK);
    assert_int_equal(migrate_whole_report(&set), STATUS_OK);
    assert_int_equal(reports, VFS);
    tracked[1] = false;
    assert_int_equal(migrate_whole_report(&set), STATUS_OK);
    assert_int_equal(reports, 2 * VFS - 1);
    assert_int_equal(marked_all, 1);
    assert_true(tracked[1]);
    migrate_whole_untrack(&set);
    assert_false(tracked[0] || tracked[1] || tracked[2]);
    fail = TRACK;
    fail_of = 2;
    assert_int_equal(migrate_whole_track(&set), STATUS_DEVICE);
    assert_int_equal(migrate_whole_report(&set), STATUS_DEVICE);
    assert_int_equal(marked_all, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_source, setup),
        cmocka_unit_test_setup(test_stop_failures, setup),
        cmocka_unit_test_setup(test_save_failures, setup),
        cmocka_unit_test_setup(test_checks, setup),
        cmocka_unit_test_setup(test_target, setup),
        cmocka_unit_test_setup(test_tracking, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
