/* SPDX-License-Identifier: BSD-2-Clause */
/* A portal's memory: rings and window in real nested tables, where the BARs say. */
#include "vmm/vm/service.h"

#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/nested_bits.h"
#include "vmm/host/pool.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RINGS  0xfebc0000U
#define WINDOW 0xf8000000U
#define FRAMES 0x40000000ULL

static struct config_vm config;
static struct vm vm, other;
static struct vcpu vcpu;
static unsigned flushes, asked;

/* Its vCPU is in the guest for a while. */
void vm_flush(struct vm *flushed)
{
    assert_ptr_equal(flushed, &vm);
    flushes++;
    vm.nested_generation++;
    asked = 3;
}

bool vcpu_has_flushed(const struct vcpu *which, uint32_t generation)
{
    assert_ptr_equal(which, &vcpu);
    assert_int_equal(generation, vm.nested_generation);
    asked -= asked != 0 ? 1 : 0;
    return asked == 0;
}

/* Of what goes to another host no more than the runs matters here. */
bool dirty_collect(struct vm *which, uint64_t first, uint64_t pages, uint64_t *bitmap)
{
    abort();
}

void *ram_pointer(const struct ram *ram, gpa_t at, uint64_t size)
{
    abort();
}

static int setup(void **state)
{
    config = (struct config_vm){.name = "carrier", .service = 1};
    memset(&vm, 0, sizeof(vm));
    memset(&other, 0, sizeof(other));
    vm.config = &config;
    vm.vcpu_count = 1;
    vm.vcpu[0] = &vcpu;
    vm.nested = (struct radix){
        .format = &nested_bits, .page_sizes = PAGE_SIZE | PAGE_SIZE_2M, .levels = VM_NESTED_LEVELS};
    other.exposed = true;
    other.ram.run_count = 2; /* not next to each other in the machine's memory */
    other.ram.run[0] = (struct ram_run){gpa(0), hpa(FRAMES), PAGE_SIZE_2M};
    other.ram.run[1] = (struct ram_run){gpa(PAGE_SIZE_2M), hpa(3 * FRAMES), PAGE_SIZE_2M};
    fake_pages_reset(200);
    assert_int_equal(radix_init(&vm.nested), STATUS_OK);
    assert_int_equal(service_create(&vm), STATUS_OK);
    portal_function_reset(&vm.pc.portal);
    service_settle(&vm);
    flushes = 0;
    return 0;
}

static int teardown(void **state)
{
    service_destroy(&vm);
    radix_destroy(&vm.nested);
    assert_int_equal(fake_pages_used(), 0);
    return 0;
}

/* Where AT leads to, 0: nowhere; in pages of 4 KiB. */
static uint64_t leads_to(uint64_t at, bool writable)
{
    struct radix_page page;

    if (radix_lookup(&vm.nested, at, &page) != STATUS_OK) {
        return 0;
    }
    assert_int_equal((page.rights & RADIX_WRITE) != 0, writable);
    assert_int_equal(page.rights & RADIX_EXECUTE, 0);
    return page.address.raw + (page.size == PAGE_SIZE ? 0 : at % page.size);
}

static void set_command(uint8_t command)
{
    vm.pc.portal.state.config[4] = command;
    service_settle(&vm);
}

static void test_rings_follow_their_bar(void **state)
{
    struct pc_config pc = {0};

    assert_int_equal(leads_to(RINGS, true), pool_hpa(vm.rings).raw);
    assert_int_equal(leads_to(RINGS + 2 * PORTAL_RING - 1, true) / PAGE_SIZE,
                     (pool_hpa(vm.rings).raw + 2 * PORTAL_RING - 1) / PAGE_SIZE);
    set_command(2);
    assert_int_equal(flushes, 0);
    vm.pc.portal.state.config[0x17] = 0xe0;
    service_settle(&vm);
    assert_int_equal(flushes, 1);
    assert_int_equal(leads_to(RINGS, true), 0);
    assert_int_equal(leads_to(RINGS - 0x1e000000, true), pool_hpa(vm.rings).raw);
    set_command(0);
    assert_int_equal(leads_to(RINGS - 0x1e000000, true), 0);
    vm.rings[5] = 7;
    service_begin(&vm, &pc);
    assert_true(pc.portal);
    assert_int_equal(vm.rings[5], 0);
}

static void test_window(void **state)
{
    assert_int_equal(
        service_show(&vm, &other, gpa(PAGE_SIZE_2M - PAGE_SIZE), 2 * PAGE_SIZE, PAGE_SIZE, false),
        STATUS_OK);
    assert_int_equal(leads_to(WINDOW, false), 0);
    assert_int_equal(leads_to(WINDOW + PAGE_SIZE, false), FRAMES + PAGE_SIZE_2M - PAGE_SIZE);
    assert_int_equal(leads_to(WINDOW + 2 * PAGE_SIZE, false), 3 * FRAMES);
    assert_int_equal(leads_to(WINDOW + 3 * PAGE_SIZE, false), 0);
    /* Its screen's memory, too. */
    other.video = hpa(5 * FRAMES);
    assert_int_equal(
        service_show(&vm, &other, gpa(VM_MEMORY_SCREEN + PAGE_SIZE), PAGE_SIZE, 0, false),
        STATUS_OK);
    assert_int_equal(leads_to(WINDOW, false), 5 * FRAMES + PAGE_SIZE);
    /* Another VM's pages take their place; who had the old ones has none of them any more. */
    flushes = 0;
    assert_int_equal(service_show(&vm, &other, gpa(0), PAGE_SIZE_2M, 0, true), STATUS_OK);
    assert_true(flushes != 0 && asked == 0);
    assert_int_equal(leads_to(WINDOW + PAGE_SIZE, true), FRAMES + PAGE_SIZE);
    flushes = 0;
    service_hide(&vm, PAGE_SIZE, PAGE_SIZE);
    assert_true(flushes != 0 && asked == 0);
    assert_int_equal(leads_to(WINDOW + PAGE_SIZE, true), 0);
    assert_int_equal(leads_to(WINDOW, true), FRAMES);
    assert_int_equal(vm.nested.page_sizes, PAGE_SIZE | PAGE_SIZE_2M);
    /* A guest that moves it finds nothing there. */
    vm.pc.portal.state.config[0x1b] = 0xe4;
    service_settle(&vm);
    assert_int_equal(leads_to(WINDOW, true), 0);
    assert_false(radix_maps_any(&vm.nested, 0xe4000000, PORTAL_WINDOW));
    assert_int_equal(service_show(&vm, &other, gpa(0), PAGE_SIZE, 0, true), STATUS_OK);
    assert_int_equal(leads_to(0xe4000000, true), FRAMES);
    other.exposed = false;
    assert_int_equal(service_show(&vm, &other, gpa(0), PAGE_SIZE, 0, true), STATUS_STATE);
    assert_int_equal(leads_to(0xe4000000, true), 0);
    other.exposed = true;
    set_command(0);
    assert_int_equal(service_show(&vm, &other, gpa(0), PAGE_SIZE, 0, true), STATUS_STATE);
}

static void test_without_memory(void **state)
{
    fake_pages_limit(fake_pages_used() + 1); /* of two tables that it takes */
    assert_int_equal(service_show(&vm, &other, gpa(0), 2 * PAGE_SIZE_2M, 0, true),
                     STATUS_NO_MEMORY);
    assert_false(radix_maps_any(&vm.nested, WINDOW, PORTAL_WINDOW));
    fake_pages_limit(200);
}

/* The guest has laid a screen over its window: where that cannot be split it stays, and nothing of
 * another VM does. */
static void test_hides_all_without_memory(void **state)
{
    assert_int_equal(service_show(&vm, &other, gpa(0), PAGE_SIZE_2M, PAGE_SIZE_2M, true),
                     STATUS_OK);
    assert_int_equal(radix_map(&vm.nested, WINDOW, hpa(5 * FRAMES), PAGE_SIZE_2M, RADIX_READ, NULL),
                     STATUS_OK);
    fake_pages_limit(fake_pages_used());
    service_hide(&vm, PAGE_SIZE, PORTAL_WINDOW - PAGE_SIZE);
    assert_false(radix_maps_any(&vm.nested, WINDOW + PAGE_SIZE_2M, PORTAL_WINDOW - PAGE_SIZE_2M));
    assert_int_equal(leads_to(WINDOW, false), 5 * FRAMES);
    fake_pages_limit(200);
}

static void test_of_others(void **state)
{
    static struct vm plain;
    struct pc_config pc = {0};

    config.service = 0;
    plain.config = &config;
    assert_int_equal(service_create(&plain), STATUS_OK);
    assert_null(plain.rings);
    service_begin(&plain, &pc);
    service_settle(&plain);
    service_destroy(&plain);
    assert_false(pc.portal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rings_follow_their_bar, setup, teardown),
        cmocka_unit_test_setup_teardown(test_window, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hides_all_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_others, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
