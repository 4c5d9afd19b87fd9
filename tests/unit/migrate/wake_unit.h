/* SPDX-License-Identifier: BSD-2-Clause */
/* Two VMs with a VF each, and what CPU 0 sees of them. */
#ifndef PORTOLAN_TESTS_UNIT_MIGRATE_WAKE_UNIT_H
#define PORTOLAN_TESTS_UNIT_MIGRATE_WAKE_UNIT_H

#include "drivers/pci/pci_config.h"
#include "tests/unit/fakes/cpu.h"
#include "tests/unit/fakes/log.h"
#include "vmm/host/percpu.h"
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

#define VMS     2U
#define STANDBY 7U  /* the VF of that number */
#define LOOKS   20U /* at the device until it runs */

static struct config_pf config_pf;
static struct pf pf;
static struct config_vm configs[VMS];
static struct vf_set sets[VMS];
static struct guest_log logs[VMS];
static struct vf vfs[VMS];
static struct vf_state_facts facts = {.name = "fake", .can_migrate = true};
static bool owed[VMS + 1]; /* by member */
static bool taken;         /* the standby, by another VM */
static const struct pci_vf pci;
static unsigned looks, services, pokes;
static unsigned late;       /* orders to run that are not answered in time */
static enum status refusal; /* of those after them; OK: they are carried out */
static uint64_t now_ns;

struct vf_set *vf_set_at(unsigned index)
{
    return index < VMS ? &sets[index] : NULL;
}

struct vf *vf_lookup(bdf_t bdf, uint32_t index)
{
    return index < VMS ? &vfs[index] : taken && index == STANDBY ? &vfs[1] : NULL;
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
    *status = late > 0 ? STATUS_TIMEOUT : refusal;
    vf->level = *status == STATUS_OK ? VF_STATE_RUNNING : VF_STATE_UNKNOWN;
    owed[vf->member] = late > 0;
    late -= late > 0;
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

/* ---- A standby ---- */

static unsigned followed, tries, busy;
static bool silent, forsaken, reset_fails;
static unsigned opened, moved, closed;
static struct vf standby;

bool migrate_is_gone(const struct vf *vf)
{
    return silent;
}

void legacy_forsake(struct legacy_function *function)
{
    assert_ptr_equal(function, &vfs[0].function);
    function->standby = false;
    forsaken = true;
}

struct vf *vf_spare_open(uint32_t n, const struct vf *old, bdf_t bdf, uint32_t index)
{
    assert_int_equal(n, 0);
    assert_ptr_equal(old, &vfs[0]);
    assert_int_equal(index, STANDBY);
    opened++;
    return &standby;
}

struct vf *vf_spare(uint32_t n)
{
    return &standby;
}

bool vf_spare_is_reset(uint32_t n, enum status *status)
{
    *status = reset_fails ? STATUS_DEVICE : STATUS_OK;
    return true;
}

void vf_spare_close(uint32_t n)
{
    closed++;
}

void migrate_move(struct vf *const *vf, uint32_t count)
{
    assert_int_equal(count, 1);
    assert_ptr_equal(vf[0], &vfs[0]);
    vf[0]->function.standby = false; /* the VM's VF is the standby itself */
    moved++;
}

bool legacy_try_give_up(struct legacy_function *function, const char *why)
{
    assert_ptr_equal(function, &vfs[0].function);
    tries++;
    function->state.lost = tries > busy;
    return function->state.lost;
}

void legacy_inflight_poll(struct legacy_function *function)
{
    assert_ptr_equal(function, &vfs[0].function);
    followed++;
}

/* ---- What is not called ---- */

#define NEVER(type, name, ...)        \
    type name(__VA_ARGS__)            \
    {                                 \
        fail_msg("%s called", #name); \
        return (type)0;               \
    }

NEVER(enum status, migrate_text, struct vf *vf, const uint32_t *features,
      struct legacy_description *d, char *text)
NEVER(enum status, migrate_save, struct device *device, struct vf *vf, const char *text,
      uint32_t *size, struct record *record)
NEVER(enum status, vf_state_next, enum vf_state_kind kind, const void *state, uint32_t size,
      uint32_t *at, struct vf_state_part *part)

enum status vf_spare_create(void)
{
    return STATUS_OK;
}

void legacy_give_up(struct legacy_function *function, const char *why)
{
    fail_msg("nothing is given up");
}

/* ---- The tests ---- */

/* Lines within the limit of VM 0, and those of nobody. */
static unsigned limited, unlimited;

static inline bool note_limit(void)
{
    const struct guest_log *guest = cpu_current()->guest_log;

    assert_true(guest == NULL || guest == sets[0].owner.log);
    *(guest == NULL ? &unlimited : &limited) += 1;
    return true;
}

static inline int setup(void **state)
{
    const struct config config = {.pf_count = 1};

    pf.config = &config_pf;
    for (unsigned i = 0; i < VMS; i++) {
        vfs[i] = (struct vf){.set = &sets[i],
                             .pf = &pf,
                             .pci = &pci,
                             .place = {.index = i},
                             .device_state = DEVICE_RUNNING,
                             .control = {.member = (uint16_t)(i + 1)}};
        sets[i] = (struct vf_set){
            .owner = {.config = &configs[i], .index = i, .log = &logs[i]},
            .bound = true,
            .count = 1,
            .vf = {&vfs[i]     }
        };
    }
    tries = busy = followed = pokes = opened = moved = closed = late = 0;
    refusal = STATUS_OK;
    memset(owed, 0, sizeof(owed));
    silent = forsaken = reset_fails = taken = false;
    configs[0].standby = (struct config_vf){0};
    fake_log_clear();
    fake_log_passes = note_limit;
    limited = unlimited = 0;
    fake_cpu_acts_for(NULL);
    return (int)migrate_create(&config);
}

static inline void order(enum migrate_action action, unsigned vm)
{
    const struct migrate_order wanted = {.action = action, .count = 1, .vf = {{.index = vm}}};

    assert_int_equal(migrate_begin(&wanted), STATUS_OK);
    assert_int_equal(migrate_poll(), vm);
    fake_cpu_acts_for(&logs[vm]); /* the CPU of the VM's vCPU 0 */
    limited = 0;
    migrate_act(&sets[vm], false);
    assert_int_equal(limited, 0); /* what the operator has ordered is always said */
    assert_ptr_equal(cpu_current()->guest_log, &logs[vm]);
    fake_cpu_acts_for(NULL);
}

#endif
