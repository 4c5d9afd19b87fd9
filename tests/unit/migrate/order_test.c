/* SPDX-License-Identifier: BSD-2-Clause */
/* Orders to move VFs: which are taken, and what becomes of their spares. */
#include "tests/unit/fakes/cpu.h"
#include "tests/unit/fakes/log.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/legacy/inflight.h"
#include "vmm/migrate/migrate_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS                                                                            \
    CONFIG_VM_VFS_MAX      /* of VM 0: VFs 0 and so on of the PF; free are those from FREE \
                            */
#define OTHER  MEMBERS     /* the VF of VM 1 */
#define SINGLE (OTHER + 1) /* one of VM 0's whose PF has no commands */
#define FREE   (SINGLE + 1)
#define NOBODY 1000U
#define LOOKS  3U /* at a spare until its FLR is over */

static struct config_pf config_pf;
static struct pf pf = {.config = &config_pf, .control.kind = VF_STATE_2021};
static struct pf plain = {.config = &config_pf, .control.kind = VF_STATE_NONE};
static struct config_vm configs[2];
static struct vf_set sets[2];
static struct vf vfs[FREE];
static struct spare {
    struct vf vf;
    bool open;
    unsigned looks;
} spares[MEMBERS];
static uint32_t cannot_be_had, fails; /* bit n: spare n; its FLR */
static uint32_t moved;                /* VFs, by the last order */

struct vf *vf_lookup(bdf_t bdf, uint32_t index)
{
    return index < FREE ? &vfs[index] : NULL;
}

const struct vf_state_facts *vf_state_facts(enum vf_state_kind kind)
{
    static const struct vf_state_facts facts[] = {
        [VF_STATE_NONE] = {.name = "none"      },
        [VF_STATE_2021] = { .name = "fake", .can_migrate = true}
    };

    return &facts[kind];
}

enum status vf_spare_create(void)
{
    return STATUS_OK;
}

struct vf *vf_spare_open(uint32_t n, const struct vf *old, bdf_t bdf, uint32_t index)
{
    assert_in_range(n, 0, MEMBERS - 1);
    assert_false(spares[n].open);
    assert_ptr_equal(old->set, &sets[0]);
    assert_in_range(index, FREE, FREE + MEMBERS - 1);
    if (cannot_be_had >> n & 1) {
        return NULL;
    }
    spares[n] = (struct spare){.open = true, .vf.place.index = index};
    return &spares[n].vf;
}

struct vf *vf_spare(uint32_t n)
{
    return &spares[n].vf;
}

bool vf_spare_is_reset(uint32_t n, enum status *status)
{
    assert_true(spares[n].open);
    *status = fails >> n & 1 ? STATUS_DEVICE : STATUS_OK;
    spares[n].looks += spares[n].looks < LOOKS;
    return spares[n].looks == LOOKS;
}

void vf_spare_close(uint32_t n)
{
    assert_true(spares[n].open);
    assert_int_equal(spares[n].looks, LOOKS); /* not in the middle of its reset */
    spares[n].open = false;
}

void migrate_move(struct vf *const *vf, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_ptr_equal(vf[i], &vfs[i]);
        assert_true(spares[i].open);
        spares[i].looks = 0; /* the one that is left over is reset */
    }
    moved = count;
}

struct vf_set *vf_set_at(unsigned index)
{
    return index < 2 ? &sets[index] : NULL;
}

struct pf *pf_at(uint32_t index)
{
    return NULL;
}

void *pool_allocate(uint64_t size, uint64_t align)
{
    static uint8_t memory[WORKSPACE_RECORD];

    return memory;
}

const char *device_state_name(unsigned state)
{
    return "running";
}

void timer_service(void) {}

void time_delay_us(uint64_t us) {}

uint64_t time_now_ns(void)
{
    return 0;
}

void migrate_open(struct device *device, struct vf *vf) {}

void legacy_give_up(struct legacy_function *function, const char *why)
{
    fail_msg("nothing is given up");
}

/* ---- What is not called ---- */

void legacy_forsake(struct legacy_function *function)
{
    fail_msg("legacy_forsake called");
}

void legacy_inflight_poll(struct legacy_function *function)
{
    fail_msg("legacy_inflight_poll called");
}

void migrate_poke(struct vf *vf, bool config)
{
    fail_msg("migrate_poke called");
}

#define NEVER(type, name, ...)        \
    type name(__VA_ARGS__)            \
    {                                 \
        fail_msg("%s called", #name); \
        return (type)0;               \
    }

NEVER(bool, virtio_admin_takes, struct virtio_admin *admin, enum virtio_admin_group group,
      uint64_t member)
NEVER(enum status, migrate_to, struct device *device, unsigned wanted)
NEVER(enum status, vf_state_begin, struct vf_state *vf, enum vf_state_level target)
NEVER(bool, vf_state_done, struct vf_state *vf, uint32_t passed_us, enum status *status)
NEVER(bool, migrate_is_gone, const struct vf *vf)
NEVER(bool, legacy_try_give_up, struct legacy_function *function, const char *why)
NEVER(bool, migrate_is_tracked, const struct vf *vf)
NEVER(enum status, migrate_dirty_begin, struct vf *vf)
NEVER(enum status, migrate_dirty_report, struct vf *vf)
NEVER(enum status, migrate_dirty_end, struct vf *vf)
NEVER(enum status, migrate_text, struct vf *vf, const uint32_t *features,
      struct legacy_description *d, char *text)
NEVER(enum status, migrate_save, struct device *device, struct vf *vf, const char *text,
      uint32_t *size, struct record *record)
NEVER(enum status, vf_state_next, enum vf_state_kind kind, const void *state, uint32_t size,
      uint32_t *at, struct vf_state_part *part)

/* ---- The tests ---- */

static int setup(void **state)
{
    const struct config config = {.pf_count = 1};

    for (unsigned i = 0; i < 2; i++) {
        sets[i] = (struct vf_set){
            .owner = {.config = &configs[i], .index = i},
              .bound = true
        };
    }
    for (unsigned i = 0; i < FREE; i++) {
        vfs[i] = (struct vf){.set = &sets[i == OTHER], .pf = i == SINGLE ? &plain : &pf};
    }
    memset(spares, 0, sizeof(spares));
    cannot_be_had = fails = moved = 0;
    fake_log_clear();
    fake_cpu_acts_for(NULL);
    return (int)migrate_create(&config);
}

/* The first COUNT VFs to as many that are free. */
static struct migrate_order order(uint32_t count)
{
    struct migrate_order order = {.action = MIGRATE_MOVE, .count = count};

    for (uint32_t i = 0; i < count; i++) {
        order.vf[i].index = i;
        order.to[i].index = FREE + i;
    }
    return order;
}

static void check_closed(void)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_false(spares[i].open);
    }
}

/* It is taken, and goes its way to the end. */
static void move(uint32_t count)
{
    const struct migrate_order wanted = order(count);
    unsigned polls = 0;

    assert_int_equal(migrate_begin(&wanted), STATUS_OK);
    assert_int_equal(migrate_begin(&wanted), STATUS_STATE);
    while (migrate_poll() < 0) {
        assert_in_range(polls++, 0, LOOKS * MEMBERS);
    }
    assert_int_equal(moved, 0);
    migrate_act(&sets[1], false);
    assert_int_equal(moved, 0);
    migrate_act(&sets[0], false);
    assert_int_equal(moved, count);
    moved = 0;
    for (polls = 0; polls < LOOKS * MEMBERS; polls++) {
        assert_int_equal(migrate_poll(), -1);
    }
    check_closed();
}

static void test_sets_of_all_sizes(void **state)
{
    for (uint32_t n = 1; n <= MEMBERS; n++) {
        move(n);
    }
}

/* Refused before anything is touched; row by row one place of three VFs is another. */
static void test_refused(void **state)
{
    static const struct {
        uint32_t member, vf, to; /* NOBODY: as it is */
        enum status status;
    } rows[] = {
        {2, NOBODY + 1, NOBODY, STATUS_NOT_FOUND  },
        {2, OTHER,      NOBODY, STATUS_INVALID    }, /* two VMs */
        {0, OTHER,      NOBODY, STATUS_INVALID    },
        {2, 0,          NOBODY, STATUS_INVALID    }, /* twice */
        {2, NOBODY,     FREE,   STATUS_INVALID    },
        {2, NOBODY,     2,      STATUS_CONFLICT   }, /* to itself */
        {1, NOBODY,     OTHER,  STATUS_CONFLICT   },
        {1, SINGLE,     NOBODY, STATUS_UNSUPPORTED},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct migrate_order wanted = order(3);

        if (rows[i].vf != NOBODY) {
            wanted.vf[rows[i].member].index = rows[i].vf;
        }
        if (rows[i].to != NOBODY) {
            wanted.to[rows[i].member].index = rows[i].to;
        }
        assert_int_equal(migrate_begin(&wanted), rows[i].status);
        check_closed();
        assert_int_equal(migrate_poll(), -1);
    }
    vfs[1].asleep = true;
    const struct migrate_order wanted = order(3);

    assert_int_equal(migrate_begin(&wanted), STATUS_STATE);
    check_closed();
    vfs[1].asleep = false;
    move(3);
}

/* Those before it are not let go in the middle of their resets, and nothing is moved. */
static void test_one_cannot_be_had(void **state)
{
    for (uint32_t n = 0; n < 3; n++) {
        const struct migrate_order wanted = order(3);

        cannot_be_had = 1U << n;
        assert_int_equal(migrate_begin(&wanted), STATUS_DEVICE);
        for (unsigned polls = 0; polls < 3 * LOOKS; polls++) {
            assert_int_equal(migrate_poll(), -1);
        }
        check_closed();
        cannot_be_had = 0;
        move(3);
    }
}

static void test_one_is_not_reset(void **state)
{
    for (uint32_t n = 0; n < 3; n++) {
        const struct migrate_order wanted = order(3);

        fails = 1U << n;
        assert_int_equal(migrate_begin(&wanted), STATUS_OK);
        for (unsigned polls = 0; polls < 3 * LOOKS; polls++) {
            assert_int_equal(migrate_poll(), -1);
        }
        check_closed();
        assert_true(fake_log_contains("cannot be reset; its VM is not moved"));
        fails = 0;
        move(3);
    }
}

/* The VF that is left over is: that one is not used again, and the VM has its new one. */
static void test_old_one_is_not_reset(void **state)
{
    const struct migrate_order wanted = order(3);

    assert_int_equal(migrate_begin(&wanted), STATUS_OK);
    while (migrate_poll() < 0) {
    }
    migrate_act(&sets[0], false);
    assert_int_equal(moved, 3);
    fails = 2;
    for (unsigned polls = 0; polls < 3 * LOOKS; polls++) {
        assert_int_equal(migrate_poll(), -1);
    }
    check_closed();
    assert_true(fake_log_contains("cannot be reset; it is not used any more"));
    fails = moved = 0;
    move(3);
}

static void test_vm_stops(void **state)
{
    const struct migrate_order wanted = order(3);

    assert_int_equal(migrate_begin(&wanted), STATUS_OK);
    while (migrate_poll() < 0) {
    }
    migrate_cancel();
    check_closed();
    migrate_act(&sets[0], false);
    assert_int_equal(moved, 0);
    move(3);
}

/* Of a VF that nobody has, or whose VM is off, nobody knows what it is to write to. */
static void test_no_tracking_of_a_device_not_configured(void **state)
{
    struct migrate_order wanted = {.action = MIGRATE_TRACK, .count = 1, .vf = {{.index = FREE}}};

    assert_int_equal(migrate_begin(&wanted), STATUS_NOT_FOUND);
    wanted.vf[0].index = 0;
    sets[0].bound = false;
    assert_int_equal(migrate_begin(&wanted), STATUS_STATE);
    assert_int_equal(migrate_poll(), -1);
    sets[0].bound = true;
    assert_int_equal(migrate_begin(&wanted), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_sets_of_all_sizes, setup),
        cmocka_unit_test_setup(test_refused, setup),
        cmocka_unit_test_setup(test_one_cannot_be_had, setup),
        cmocka_unit_test_setup(test_one_is_not_reset, setup),
        cmocka_unit_test_setup(test_old_one_is_not_reset, setup),
        cmocka_unit_test_setup(test_vm_stops, setup),
        cmocka_unit_test_setup(test_no_tracking_of_a_device_not_configured, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
