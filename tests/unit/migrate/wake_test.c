/* SPDX-License-Identifier: BSD-2-Clause */
/* VFs whose PFs owe an answer are told to run when it has come, each of them. */
#include "tests/unit/fakes/log.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/migrate/migrate_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define VMS   2U
#define LOOKS 20U /* at the device until it runs */

static struct config_pf config_pf;
static struct pf pf;
static struct config_vm configs[VMS];
static struct vf_set sets[VMS];
static struct vf vfs[VMS];
static struct vf_state_facts facts = {.name = "fake", .can_migrate = true};
static bool owed[VMS + 1]; /* by member */
static unsigned looks, services, pokes;
static uint64_t now_ns;

struct vf_set *vf_set_at(unsigned index)
{
    return index < VMS ? &sets[index] : NULL;
}

struct vf *vf_lookup(bdf_t bdf, uint32_t index)
{
    return index < VMS ? &vfs[index] : NULL;
}

struct pf *pf_at(uint32_t index)
{
    return NULL;
}

bool virtio_admin_takes(struct virtio_admin *admin, enum virtio_admin_group group, uint64_t member)
{
    assert_in_range(member, 1, VMS);
    return !owed[member];
}

const struct vf_state_facts *vf_state_facts(enum vf_state_kind kind)
{
    return &facts;
}

/* A quiesce that is not answered in time. */
enum status migrate_to(struct device *device, unsigned wanted)
{
    owed[device->vf->member] = true;
    device->vf->level = VF_STATE_UNKNOWN;
    *device->state = DEVICE_ERROR;
    return STATUS_TIMEOUT;
}

void migrate_open(struct device *device, struct vf *vf)
{
    *device = (struct device){.vf = &vf->control, .state = &vf->device_state};
}

enum status vf_state_begin(struct vf_state *vf, enum vf_state_level target)
{
    assert_int_equal(target, VF_STATE_RUNNING);
    looks = services = 0;
    return STATUS_OK;
}

bool vf_state_done(struct vf_state *vf, uint32_t passed_us, enum status *status)
{
    *status = STATUS_STATE; /* it says nothing before the end */
    if (looks++ < LOOKS) {
        return false;
    }
    vf->level = VF_STATE_RUNNING;
    *status = STATUS_OK;
    return true;
}

void timer_service(void)
{
    services++;
}

void time_delay_us(uint64_t us)
{
    now_ns += us * 1000;
}

uint64_t time_now_ns(void)
{
    return now_ns;
}

/* Nothing is tracked here. */
bool migrate_is_tracked(const struct vf *vf)
{
    return false;
}

enum status migrate_dirty_begin(struct vf *vf)
{
    return STATUS_OK;
}

enum status migrate_dirty_report(struct vf *vf)
{
    return STATUS_STATE;
}

enum status migrate_dirty_end(struct vf *vf)
{
    return STATUS_OK;
}

void migrate_poke(struct vf *vf, bool config)
{
    pokes++;
}

void *pool_allocate(uint64_t size, uint64_t align)
{
    static uint8_t memory[WORKSPACE_RECORD];

    return memory;
}

bool device_state_is_valid(unsigned state)
{
    return state != DEVICE_ERROR;
}

const char *device_state_name(unsigned state)
{
    return state == DEVICE_RUNNING ? "running" : "in error";
}

/* ---- What is not called ---- */

#define NEVER(type, name, ...)        \
    type name(__VA_ARGS__)            \
    {                                 \
        fail_msg("%s called", #name); \
        return (type)0;               \
    }

NEVER(struct vf *, vf_spare_open, uint32_t n, const struct vf *old, bdf_t bdf, uint32_t index)
NEVER(struct vf *, vf_spare, uint32_t n)
NEVER(bool, vf_spare_is_reset, uint32_t n, enum status *status)
NEVER(enum status, migrate_text, struct vf *vf, bool free, struct legacy_description *d, char *text)
NEVER(enum status, migrate_save, struct device *device, struct vf *vf, const char *text,
      uint32_t *size)
NEVER(enum status, record_parse, const void *bytes, uint32_t size, struct record *record)
NEVER(enum status, vf_state_next, enum vf_state_kind kind, const void *state, uint32_t size,
      uint32_t *at, struct vf_state_part *part)

enum status vf_spare_create(void)
{
    return STATUS_OK;
}

void vf_spare_close(uint32_t n)
{
    fail_msg("there is no spare");
}

void migrate_move(struct vf *const *vf, uint32_t count)
{
    fail_msg("nothing is moved");
}

void legacy_give_up(struct legacy_function *function, const char *why)
{
    fail_msg("nothing is given up");
}

/* ---- The tests ---- */

static int setup(void **state)
{
    const struct config config = {.pf_count = 1};

    pf.config = &config_pf;
    for (unsigned i = 0; i < VMS; i++) {
        vfs[i] = (struct vf){.set = &sets[i],
                             .pf = &pf,
                             .device_state = DEVICE_RUNNING,
                             .control = {.member = (uint16_t)(i + 1)}};
        sets[i] = (struct vf_set){
            .owner = {.config = &configs[i], .index = i},
            .bound = true,
            .count = 1,
            .vf = {&vfs[i]                    }
        };
    }
    pokes = 0;
    fake_log_clear();
    return (int)migrate_create(&config);
}

static void order(enum migrate_action action, unsigned vm)
{
    const struct migrate_order wanted = {.action = action, .count = 1, .vf = {{.index = vm}}};

    assert_int_equal(migrate_begin(&wanted), STATUS_OK);
    assert_int_equal(migrate_poll(), vm);
    migrate_act(&sets[vm], false);
}

static void test_both_wake(void **state)
{
    order(MIGRATE_QUIESCE, 0);
    order(MIGRATE_QUIESCE, 1);
    for (unsigned vm = 0; vm < VMS; vm++) {
        const struct migrate_order again = {
            .action = MIGRATE_QUIESCE, .count = 1, .vf = {{.index = vm}}};

        assert_int_equal(vfs[vm].device_state, DEVICE_ERROR);
        assert_int_equal(migrate_begin(&again), STATUS_STATE); /* not before it is awake */
    }
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), -1);
    for (unsigned vm = 0; vm < VMS; vm++) {
        owed[vm + 1] = false;
        assert_int_equal(migrate_poll(), -1); /* now it is known */
        assert_int_equal(migrate_poll(), vm);
        migrate_act(&sets[vm], false);
        assert_int_equal(vfs[vm].device_state, DEVICE_RUNNING);
        assert_int_equal(services, LOOKS);
        assert_int_equal(pokes, vm + 1);
    }
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), -1);
}

/* One that was reset meanwhile runs already. */
static void test_reset_meanwhile(void **state)
{
    order(MIGRATE_QUIESCE, 1);
    vfs[1].device_state = DEVICE_RUNNING;
    owed[2] = false;
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), -1);
    vfs[1].device_state = DEVICE_ERROR; /* of another order */
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(migrate_poll(), -1);
    assert_int_equal(pokes, 0);
}

/* An order stays for its VM, whoever parks before. */
static void test_other_vm_parks(void **state)
{
    const struct migrate_order wanted = {
        .action = MIGRATE_QUIESCE, .count = 1, .vf = {{.index = 1}}};

    assert_int_equal(migrate_begin(&wanted), STATUS_OK);
    migrate_act(&sets[0], false);
    assert_int_equal(vfs[1].device_state, DEVICE_RUNNING);
    assert_int_equal(migrate_begin(&wanted), STATUS_STATE);
    assert_int_equal(migrate_poll(), 1);
    migrate_act(&sets[1], false);
    assert_int_equal(vfs[1].device_state, DEVICE_ERROR);
    assert_int_equal(migrate_poll(), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_both_wake, setup),
        cmocka_unit_test_setup(test_reset_meanwhile, setup),
        cmocka_unit_test_setup(test_other_vm_parks, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
