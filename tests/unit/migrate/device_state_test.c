/* SPDX-License-Identifier: BSD-2-Clause */
/* Every state from every other, and each step failing in each way. */
#include "vmm/migrate/device_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SIZE  70000U /* of the device's state: several segments */
#define STEPS 8U     /* more than any way has */

static const unsigned valid[] = {0x0, 0x1, 0x2, 0x3, 0x4, 0x8, 0x9, 0xa, 0xb, 0xc};

static uint8_t device_bytes[SIZE], store[SIZE + 100], written[SIZE];
static uint32_t written_size;
static bool object_open;
static unsigned steps, fails_at, fails_for; /* the step that fails first, and how many from there */
static enum status failure;
static bool failure_is_blind; /* nobody knows where it has left the device */
static enum vf_state_level level_before;
static struct vf_state_pf control = {.kind = VF_STATE_2021};
static struct vf_state vf;
static uint8_t state;
static struct device device;

static bool fails(void)
{
    unsigned step = steps++;

    return step >= fails_at && step - fails_at < fails_for;
}

enum status vf_state_begin(struct vf_state *of, enum vf_state_level target)
{
    assert_false(of->busy);
    assert_true(target <= VF_STATE_FROZEN);
    assert_false(object_open && target != VF_STATE_FROZEN);
    of->busy = true;
    of->target = target;
    return STATUS_OK;
}

/* One level at a time, as the protocol has it. */
bool vf_state_done(struct vf_state *of, uint32_t passed_us, enum status *status)
{
    assert_true(of->busy);
    if (of->level == VF_STATE_UNKNOWN && !fails()) { /* asked */
        of->level = level_before;
        return false;
    }
    if (of->level == of->target) {
        of->busy = false;
        *status = STATUS_OK;
        return true;
    }
    if (fails()) {
        of->busy = false;
        level_before = of->level != VF_STATE_UNKNOWN ? of->level : level_before;
        of->level = failure_is_blind ? VF_STATE_UNKNOWN : of->level;
        *status = failure;
        return true;
    }
    of->level = of->target > of->level ? of->level + 1 : of->level - 1;
    return false;
}

enum status vf_state_open_save(struct vf_state *of, uint32_t *size)
{
    assert_int_equal(of->level, VF_STATE_FROZEN);
    assert_false(object_open);
    if (fails()) {
        return failure;
    }
    object_open = true;
    *size = SIZE + 8; /* at most */
    return STATUS_OK;
}

void vf_state_close(struct vf_state *of)
{
    object_open = false;
}

enum status vf_state_read(struct vf_state *of, uint32_t offset, void *buffer, uint32_t length,
                          uint32_t *got)
{
    assert_true(object_open);
    *got = length < SIZE - offset ? length : SIZE - offset;
    memcpy(buffer, device_bytes + offset, *got);
    return STATUS_OK;
}

enum status vf_state_check(enum vf_state_kind kind, const void *bytes, uint32_t size)
{
    return size == SIZE ? STATUS_OK : STATUS_INVALID;
}

enum status vf_state_write(struct vf_state *of, const void *bytes, uint32_t size)
{
    assert_int_equal(of->level, VF_STATE_FROZEN);
    if (fails()) {
        return failure;
    }
    memcpy(written, bytes, size);
    written_size = size;
    return STATUS_OK;
}

static enum status go(unsigned to)
{
    enum status status = device_begin(&device, to);

    for (unsigned i = 0; status == STATUS_OK && !device_done(&device, 1, &status);) {
        assert_true(i++ < 4 * STEPS);
    }
    return status;
}

static int set_up(void **unused)
{
    vf = (struct vf_state){.control = &control, .level = VF_STATE_RUNNING};
    state = DEVICE_RUNNING;
    object_open = false;
    steps = fails_at = fails_for = 0;
    failure_is_blind = false;
    written_size = 0;
    device_open(&device, &vf, &state, store, sizeof(store));
    for (unsigned i = 0; i < SIZE; i++) {
        device_bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
    return 0;
}

static enum vf_state_level level_of(unsigned of)
{
    if (!(of & DEVICE_RUNNING)) {
        return VF_STATE_FROZEN;
    }
    return of & DEVICE_NDMA ? VF_STATE_STOPPED : VF_STATE_RUNNING;
}

/* The device is where its state says; a state to read is open where one may be. */
static void check_place(unsigned of)
{
    bool reads = (of & DEVICE_SAVING) && !(of & DEVICE_RUNNING);

    assert_int_equal(state, of);
    assert_int_equal(vf.level, level_of(of));
    assert_int_equal(object_open, reads);
    assert_int_equal(device_pending(&device) > 0, reads);
}

static void start_from(unsigned from)
{
    (void)set_up(NULL);
    assert_int_equal(go(from), STATUS_OK);
    check_place(from);
    steps = 0;
}

static void test_all_pairs(void **unused)
{
    for (unsigned i = 0; i < ARRAY_SIZE(valid); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(valid); k++) {
            start_from(valid[i]);
            assert_int_equal(go(valid[k]), STATUS_OK);
            check_place(valid[k]);
            assert_int_equal(go(DEVICE_RUNNING), STATUS_OK);
            check_place(DEVICE_RUNNING);
        }
    }
}

static void test_invalid(void **unused)
{
    static const unsigned bad[] = {0x5, 0x6, 0x7, 0xd, 0xe, 0xf, 16, 255};

    for (unsigned i = 0; i < ARRAY_SIZE(valid); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(bad); k++) {
            start_from(valid[i]);
            assert_false(device_state_is_valid(bad[k]));
            assert_int_equal(go(bad[k]), STATUS_INVALID);
            check_place(valid[i]);
        }
    }
}

/*
 * Step AT of the way from FROM to TO fails: 0 alone, 1 with all that follow; 2 and 3 are the same,
 * and nobody knows where the device is.
 */
static void fail_on_the_way(unsigned from, unsigned to, unsigned at, unsigned way, unsigned *ends)
{
    start_from(from);
    failure = STATUS_DEVICE;
    fails_at = at;
    fails_for = way % 2 == 0 ? 1 : UINT32_MAX;
    failure_is_blind = way >= 2;
    enum status status = go(to);

    if (steps <= at) { /* there are not so many */
        assert_int_equal(status, STATUS_OK);
        check_place(to);
        return;
    }
    assert_int_equal(status, STATUS_DEVICE);
    ends[state == DEVICE_ERROR]++;
    if (state == DEVICE_ERROR) {
        assert_true(way % 2 != 0);
        assert_int_equal(go(DEVICE_RUNNING), STATUS_STATE);
        assert_int_equal(state, DEVICE_ERROR);
    } else {
        check_place(from);
    }
}

/* The old state, if there is a way back, or ERROR, for good. */
static void test_failures(void **unused)
{
    unsigned ends[2] = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(valid); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(valid); k++) {
            for (unsigned n = 0; n < 4 * STEPS; n++) {
                fail_on_the_way(valid[i], valid[k], n / 4, n % 4, ends);
            }
        }
    }
    assert_true(ends[0] > 50);
    assert_true(ends[1] > 50);
}

static void test_stream(void **unused)
{
    static uint8_t seen[SIZE];
    uint32_t at = 0, size = 1, segments = 0;
    const uint8_t *data;

    assert_int_equal(device_read(&device, &data, &size), STATUS_STATE);
    assert_int_equal(go(DEVICE_SAVING | DEVICE_RUNNING), STATUS_OK);
    assert_int_equal(device_pending(&device), 0);
    assert_int_equal(go(DEVICE_SAVING), STATUS_OK);
    for (; device_pending(&device) > 0; segments++) {
        assert_int_equal(device_read(&device, &data, &size), STATUS_OK);
        assert_true(at + size <= SIZE);
        memcpy(seen + at, data, size);
        at += size;
    }
    assert_int_equal(at, SIZE);
    assert_true(segments > 1);
    assert_memory_equal(seen, device_bytes, SIZE);
    assert_int_equal(device_write(&device, seen, 1), STATUS_STATE);
    /* The same into a device, which takes it when it leaves RESUMING. */
    assert_int_equal(go(DEVICE_RESUMING), STATUS_OK);
    assert_int_equal(device_write(&device, seen, SIZE / 2), STATUS_OK);
    assert_int_equal(go(DEVICE_RUNNING), STATUS_INVALID);
    check_place(DEVICE_RESUMING);
    assert_int_equal(device_write(&device, seen + SIZE / 2, SIZE - SIZE / 2), STATUS_OK);
    assert_int_equal(device_write(&device, seen, SIZE), STATUS_RANGE);
    assert_int_equal(written_size, 0);
    assert_int_equal(go(DEVICE_RUNNING), STATUS_OK);
    assert_int_equal(written_size, SIZE);
    assert_memory_equal(written, device_bytes, SIZE);
    check_place(DEVICE_RUNNING);
}

/* Once the device has taken what was written there is no old state to go back to. */
static void test_committed(void **unused)
{
    assert_int_equal(go(DEVICE_RESUMING), STATUS_OK);
    assert_int_equal(device_write(&device, device_bytes, SIZE), STATUS_OK);
    failure = STATUS_INVALID; /* it takes nothing */
    steps = 0;
    fails_at = 0;
    fails_for = 1;
    assert_int_equal(go(DEVICE_RUNNING), STATUS_INVALID);
    check_place(DEVICE_RESUMING);
    fails_at = 2; /* it takes it, and does not run */
    assert_int_equal(go(DEVICE_RUNNING), STATUS_INVALID);
    assert_int_equal(written_size, SIZE);
    assert_int_equal(state, DEVICE_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_all_pairs, set_up),
        cmocka_unit_test_setup(test_invalid, set_up),
        cmocka_unit_test_setup(test_failures, set_up),
        cmocka_unit_test_setup(test_stream, set_up),
        cmocka_unit_test_setup(test_committed, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
