/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's portal: who stops a VM waits for the turn that may look at it, and CPU 0 alone
 * starts VMs. The portal itself is fake_portal_run(). */
#include "vmm/portal/portal_vm.h"

#include "tests/unit/fakes/log.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"
#include "vmm/portal/portal_edge.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/service.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LOOKS  100U /* so long a thread that does not wait has time to show it */
#define WAIT_S 60   /* for what takes no time, on a busy host */

enum { SERVICE, OTHER, VMS };

static struct config_vm configs[VMS] = {
    {.name = "svc", .service = 1},
    {.name = "other"            }
};
static struct vcpu vcpu;
static struct vm vms[VMS];
static struct portal memory;
static unsigned rings, starts, awaits, runs;
static uint32_t hidden, gone, stops, services; /* atomic */
static bool more;
static _Thread_local bool in_turn;
static unsigned ends; /* calls of portal_end() in vain */
static pthread_t stopper;

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

/* ---- What the portal is on ---- */

unsigned vm_count(void)
{
    return VMS;
}

struct vm *vm_by_index(unsigned index)
{
    return index < VMS ? &vms[index] : NULL;
}

void *pool_allocate(size_t size, size_t alignment)
{
    assert_int_equal(size, sizeof(memory));
    return &memory;
}

void vcpu_request(struct vcpu *which, uint32_t request)
{
    assert_ptr_equal(which, &vcpu);
    assert_int_equal(request, VCPU_REQUEST_PORTAL);
    rings++;
}

void service_hide(struct vm *vm, uint64_t offset, uint64_t bytes)
{
    __atomic_store_n(&hidden, 1, __ATOMIC_SEQ_CST);
}

enum status vm_start(struct vm *vm)
{
    starts += vm == &vms[OTHER];
    return STATUS_OK;
}

enum status vm_move_await(struct vm *vm)
{
    awaits += vm == &vms[OTHER];
    return STATUS_STATE;
}

static const struct time_facts facts = {.tsc_khz = 1000000};

const struct time_facts *time_facts(void)
{
    return &facts;
}

void timer_service(void)
{
    assert_false(in_turn);
    __atomic_fetch_add(&services, 1, __ATOMIC_SEQ_CST);
}

bool timer_service_is_due(void)
{
    return false;
}

/* ---- The portal ---- */

void portal_init(struct portal *portal, uint8_t *ring) {}

static void *stop_other(void *unused)
{
    vm_edge_hide(OTHER);
    __atomic_store_n(&gone, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* OTHER stops while it is being looked at; its CPU's own work goes on as long as that takes. */
static void look_at_other(void)
{
    in_turn = true;
    if (stops) {
        assert_int_equal(pthread_create(&stopper, NULL, stop_other, NULL), 0);
        while (load(&hidden) == 0) {
            (void)sched_yield();
        }
        uint32_t before = load(&services);
        time_t end = time(NULL) + WAIT_S;

        while (load(&services) - before < LOOKS) {
            assert_int_equal(load(&gone), 0);
            assert_true(time(NULL) < end);
            (void)sched_yield();
        }
        stops = 0;
    }
    in_turn = false;
}

bool portal_run(struct portal *portal)
{
    runs++;
    look_at_other();
    return more;
}

bool portal_end(struct portal *portal)
{
    look_at_other();
    return ends == 0 || --ends == 0;
}

bool portal_has_events(const struct portal *portal)
{
    return false;
}

/* ---- Tests ---- */

static int setup(void **state)
{
    rings = starts = awaits = runs = ends = 0;
    hidden = gone = stops = services = 0;
    more = false;
    for (unsigned i = 0; i < VMS; i++) {
        vms[i].config = &configs[i];
        vms[i].index = i;
        vms[i].vcpu[0] = &vcpu;
    }
    portal_create();
    return 0;
}

static void test_stop_waits_for_the_turn(void **state)
{
    stops = 1;
    vm_edge_portal(SERVICE);
    assert_int_equal(pthread_join(stopper, NULL), 0);
    assert_int_equal(gone, 1);
    /* Between two turns nobody waits. */
    vm_edge_hide(OTHER);
}

/* The service VM stops at the same time, and waits for others; these do not wait for it. */
static void test_stop_of_both(void **state)
{
    stops = 1;
    ends = 5;
    vm_edge_portal_ended(SERVICE);
    assert_int_equal(pthread_join(stopper, NULL), 0);
    assert_int_equal(ends, 0);
    vm_edge_hide(SERVICE);
    vm_edge_hide(OTHER);
}

static void test_bell(void **state)
{
    vm_edge_portal(OTHER);
    vm_edge_portal_ended(OTHER);
    assert_int_equal(runs, 0);
    vm_edge_portal(SERVICE);
    assert_int_equal(rings, 0);
    more = true;
    vm_edge_portal(SERVICE);
    assert_int_equal(rings, 1);
    vm_edge_move_ended(OTHER);
    assert_int_equal(rings, 2);
}

static void test_starts_are_cpu_0s(void **state)
{
    vms[OTHER].state = VM_RUNNING;
    assert_int_equal(portal_edge_command(OTHER, PORTAL_START), STATUS_STATE);
    vms[OTHER].state = VM_STOPPED;
    assert_int_equal(portal_edge_command(OTHER, PORTAL_AWAIT), STATUS_UNSUPPORTED);
    configs[OTHER].incoming = 1;
    assert_int_equal(portal_edge_command(OTHER, PORTAL_AWAIT), STATUS_OK);
    assert_int_equal(portal_edge_command(OTHER, PORTAL_START), STATUS_OK);
    assert_int_equal(starts + awaits, 0);
    portal_poll();
    portal_poll();
    assert_int_equal(starts, 1);
    assert_int_equal(awaits, 1);
}

/* The service VM may want as often as it likes what cannot be done: the lines have a limit. */
static void test_lines_about_starts(void **state)
{
    vms[OTHER].state = VM_STOPPED;
    vms[OTHER].orders_log = (struct guest_log){.vm = "other"};
    configs[OTHER].incoming = 1;
    fake_log_clear();
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(portal_edge_command(OTHER, PORTAL_AWAIT), STATUS_OK);
        portal_poll(); /* vm_move_await() refuses */
    }
    assert_int_equal(fake_log_lines(), GUEST_LOG_BURST);
    assert_true(vms[OTHER].by_service);
    /* What others do when it has ordered it is its doing, too. */
    vms[OTHER].by_service = false;
    assert_int_equal(portal_edge_command(OTHER, PORTAL_START), STATUS_OK);
    assert_true(vms[OTHER].by_service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_stop_waits_for_the_turn, setup),
        cmocka_unit_test_setup(test_stop_of_both, setup),
        cmocka_unit_test_setup(test_bell, setup),
        cmocka_unit_test_setup(test_starts_are_cpu_0s, setup),
        cmocka_unit_test_setup(test_lines_about_starts, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
