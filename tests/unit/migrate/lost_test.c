/* SPDX-License-Identifier: BSD-2-Clause */
/* A VF that is lost is cut off before anything of its is done again by another: or there is no
 * move. */
#include "drivers/pci/flr.h"
#include "drivers/pci/pci_config.h"
#include "tests/unit/fakes/log.h"
#include "vmm/legacy/inflight.h"
#include "vmm/migrate/migrate_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct vf_set set;
static const struct pci_vf pci;
static struct vf vf;
static struct legacy_inflight inflight;
static struct member m;
static char
    order[8]; /* C cut off, R reset, O what it had is offered again, J joined, W all count */
static enum status on_cut, on_reset, on_offer, on_join;
static bool answers, tracked;
struct workspace workspace;

static void note(char what)
{
    order[strlen(order)] = what;
}

enum status vf_cut(struct vf *of)
{
    assert_ptr_equal(of, &vf);
    note('C');
    vf.attached = false;
    return on_cut;
}

enum status vf_join(struct vf *of)
{
    assert_ptr_equal(of, &vf);
    note('J');
    vf.attached = on_join == STATUS_OK;
    return on_join;
}

void vf_reset_each(struct vf *const *of, uint32_t count, enum status *status)
{
    assert_int_equal(count, 1);
    assert_ptr_equal(of[0], &vf);
    note('R');
    *status = on_reset;
}

bool pci_vf_answers(bdf_t bdf)
{
    return answers;
}

uint32_t pci_config_read(bdf_t bdf, uint32_t offset, uint32_t width)
{
    return answers ? 0 : UINT32_MAX;
}

bool migrate_is_tracked(const struct vf *of)
{
    return tracked;
}

enum status migrate_dirty_report(struct vf *of)
{
    assert_true(of->all_written != of->watched);
    note('W');
    return STATUS_OK;
}

const struct legacy_state *legacy_save(struct legacy_function *f)
{
    return &f->state;
}

enum status legacy_offer_again(struct legacy_function *f, unsigned *queue)
{
    note('O');
    *queue = 3;
    return on_offer;
}

#define NEVER(type, name, ...)        \
    type name(__VA_ARGS__)            \
    {                                 \
        fail_msg("%s called", #name); \
        return (type)0;               \
    }

NEVER(enum status, legacy_describe, struct legacy_function *f, const uint32_t *features,
      struct legacy_description *d)
NEVER(enum status, compatibility_text, const struct legacy_description *d, const char *abi,
      char *text)
NEVER(const struct vf_state_facts *, vf_state_facts, enum vf_state_kind kind)
NEVER(enum status, migrate_to, struct device *device, unsigned wanted)
NEVER(enum status, migrate_save, struct device *device, struct vf *of, const char *text,
      uint32_t *size, struct record *record)

void legacy_replay(struct legacy_function *f)
{
    fail_msg("nothing is replayed here");
}

void vf_state_rewind(enum vf_state_kind kind, uint8_t *state, uint32_t size, const uint16_t *used,
                     unsigned queues)
{
    fail_msg("nothing is rewound here");
}

static int setup(void **state)
{
    set = (struct vf_set){.count = 1, .vf = {&vf}};
    vf = (struct vf){.set = &set, .pci = &pci, .attached = true};
    vf.function.state.lost = 1;
    vf.function.lost_master = true;
    vf.function.setup.inflight = &inflight;
    m = (struct member){.from = &vf, .lost = true};
    memset(order, 0, sizeof(order));
    workspace.why[0] = '\0';
    on_cut = on_reset = on_offer = on_join = STATUS_OK;
    answers = tracked = false;
    return 0;
}

/* Its function is taken as it was before the loss. */
static void test_fenced_before_it_is_replaced(void **state)
{
    for (unsigned there = 0; there < 2; there++) {
        (void)setup(NULL);
        answers = there;
        tracked = there;
        assert_int_equal(migrate_lost_take(&m), STATUS_OK);
        assert_string_equal(order, there ? "CWRO" : "CRO");
        assert_int_equal(m.function.lost, 0);
        assert_int_equal(m.function.bus_master, 1);
        assert_int_equal(vf.function.state.lost, 1);
    }
}

/* What the IOMMU has marked is still there; what the PF had is not. */
static void test_its_last_report(void **state)
{
    for (unsigned watched = 0; watched < 2; watched++) {
        (void)setup(NULL);
        tracked = true;
        vf.watched = watched;
        assert_int_equal(migrate_lost_take(&m), STATUS_OK);
        assert_string_equal(order, "CWRO");
        assert_int_equal(vf.all_written, !watched);
    }
}

/* It answers and cannot be reset: who knows what it still does. */
static void test_answers_and_cannot_be_reset(void **state)
{
    answers = true;
    on_reset = STATUS_TIMEOUT;
    assert_int_equal(migrate_lost_take(&m), STATUS_TIMEOUT);
    assert_string_equal(order, "CR"); /* nothing is offered */
    migrate_lost_go_back(&m);
    assert_true(vf.attached);
    assert_false(set.tainted);
    order[0] = order[1] = order[2] = '\0';
    on_reset = STATUS_OK; /* the second attempt */
    assert_int_equal(migrate_lost_take(&m), STATUS_OK);
    assert_string_equal(order, "CRO");
}

/* It is not there: that it cannot be reset is no wonder. */
static void test_gone_and_cannot_be_reset(void **state)
{
    on_reset = STATUS_DEVICE;
    assert_int_equal(migrate_lost_take(&m), STATUS_OK);
    assert_string_equal(order, "CRO");
}

/* The IOMMU does not confirm that it has cut it off. */
static void test_not_cut_off(void **state)
{
    on_cut = STATUS_TIMEOUT;
    assert_int_equal(migrate_lost_take(&m), STATUS_TIMEOUT);
    assert_string_equal(order, "CR");
    on_join = STATUS_DEVICE; /* nor can it be given back */
    migrate_lost_go_back(&m);
    assert_true(set.tainted);
}

static void test_not_known_what_it_had(void **state)
{
    on_offer = STATUS_CONFLICT;
    assert_int_equal(migrate_lost_take(&m), STATUS_CONFLICT);
    assert_string_equal(workspace.why,
                        "which requests of queue 3 the lost VF still had is not known");
    vf.function.setup.inflight = NULL;
    assert_int_equal(migrate_lost_take(&m), STATUS_CONFLICT);
    assert_non_null(strstr(workspace.why, "only those of a VM with a standby are followed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_fenced_before_it_is_replaced, setup),
        cmocka_unit_test_setup(test_its_last_report, setup),
        cmocka_unit_test_setup(test_answers_and_cannot_be_reset, setup),
        cmocka_unit_test_setup(test_gone_and_cannot_be_reset, setup),
        cmocka_unit_test_setup(test_not_cut_off, setup),
        cmocka_unit_test_setup(test_not_known_what_it_had, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
