/* SPDX-License-Identifier: BSD-2-Clause */
/* Dirty pages, on real nested tables; at the end with vCPUs on threads. */
#include "vmm/vm/dirty.h"

#include "tests/unit/emulate/random.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"
#include "vmm/host/address_space.h"
#include "vmm/host/frame.h"
#include "vmm/host/paging.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/vm.h"
#include "vmm/vm/vm_edge.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K4       PAGE_SIZE
#define M2       PAGE_SIZE_2M
#define HIGH     (1ULL << 32)
#define LOW_SIZE (4 * M2)
#define PAGES    ((unsigned)((LOW_SIZE + M2) / K4))
#define RWX      (RADIX_READ | RADIX_WRITE | RADIX_EXECUTE)
#define VCPUS    2U
#define ROUNDS   100U

static const struct radix_format bits = {.present = 1,
                                         .table = 0x27,
                                         .leaf = 0x05,
                                         .write = 2,
                                         .no_execute = 1ULL << 63,
                                         .large = 0x80,
                                         .accessed = 0x20,
                                         .dirty = 0x40};

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static uint8_t ram[LOW_SIZE + M2] __attribute__((aligned(2 << 20)));
static uint64_t map[PAGE_SIZE] __attribute__((aligned(4096)));
static bool map_taken;
static uint8_t rom[0x40000] __attribute__((aligned(4096)));
static uint8_t rom_file[sizeof(rom)];
static unsigned stops;
static unsigned flushes;

/* ---- what dirty.c and ram.c need ---- */

static hpa_t frame_of(const void *memory)
{
    return hpa((uint64_t)memory - DIRECT_BASE);
}

enum status frame_allocate(uint64_t size, uint64_t align, uint64_t limit, hpa_t *base)
{
    if (size == sizeof(rom)) {
        *base = frame_of(rom);
        return STATUS_OK;
    }
    assert_int_equal(size, K4); /* a bit for each page of 10 MiB */
    assert_false(map_taken);
    map_taken = true;
    memset(map, 0xff, sizeof(map));
    *base = frame_of(map);
    return STATUS_OK;
}

enum status frame_free(hpa_t base, uint64_t size)
{
    if (size == K4) {
        assert_true(map_taken);
        map_taken = false;
    }
    return STATUS_OK;
}

enum status paging_map(uint64_t va, hpa_t base, uint64_t size, unsigned rights)
{
    return STATUS_OK;
}

void paging_unmap(uint64_t va, uint64_t size) {}

enum status vm_edge_find_file(const char *name, const uint8_t **data, uint64_t *size)
{
    *data = rom_file;
    *size = sizeof(rom_file);
    return STATUS_OK;
}

enum status load_firmware_check(const struct load_file *file)
{
    return STATUS_OK;
}

enum status vm_stop(struct vm *stopped, const char *why)
{
    stops++;
    return STATUS_OK;
}

void vm_flush(struct vm *flushed)
{
    __atomic_fetch_add(&flushed->nested_generation, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&flushes, 1, __ATOMIC_RELAXED);
}

/* As in vcpu.c; the threads below go from place to place as the loop there does. */
static bool is_at(const struct vcpu *vcpu, enum vcpu_place place)
{
    return __atomic_load_n(&vcpu->place, __ATOMIC_SEQ_CST) == (uint32_t)place;
}

static bool has_seen(bool away, const struct vcpu *vcpu, uint32_t generation)
{
    bool seen =
        away || (int32_t)(__atomic_load_n(&vcpu->flushed, __ATOMIC_ACQUIRE) - generation) >= 0;

    if (!seen) {
        (void)sched_yield(); /* there may be fewer CPUs than threads */
    }
    return seen;
}

bool vcpu_has_flushed(const struct vcpu *vcpu, uint32_t generation)
{
    return has_seen(!is_at(vcpu, VCPU_INSIDE), vcpu, generation);
}

bool vcpu_has_passed(const struct vcpu *vcpu, uint32_t generation)
{
    return has_seen(is_at(vcpu, VCPU_AWAY), vcpu, generation);
}

static void go(struct vcpu *vcpu, enum vcpu_place place)
{
    __atomic_store_n(&vcpu->place, place, __ATOMIC_RELEASE);
}

static unsigned forgets;

static void forget(struct vcpu *vcpu)
{
    __atomic_fetch_add(&forgets, 1, __ATOMIC_RELAXED);
}

static const struct backend functions = {.flush = forget};
const struct backend *backend = &functions;

/* ---- the VM ---- */

static int setup(void **state)
{
    fake_pages_reset(64);
    fake_log_clear();
    memset(&vm, 0, sizeof(vm));
    memset(ram, 0, sizeof(ram));
    memset(vcpus, 0, sizeof(vcpus));
    map_taken = false;
    flushes = forgets = 0;
    vm.ram = (struct ram){.below_4g = LOW_SIZE, .above_4g = M2, .run_count = 2};
    vm.ram.run[0] = (struct ram_run){gpa(0), frame_of(ram), LOW_SIZE};
    vm.ram.run[1] = (struct ram_run){gpa(HIGH), frame_of(ram + LOW_SIZE), M2};
    vm.vcpu_count = VCPUS;
    for (unsigned i = 0; i < VCPUS; i++) {
        vm.vcpu[i] = &vcpus[i];
        vcpus[i].vm = &vm;
    }
    vm.nested = (struct radix){.format = &bits, .page_sizes = K4 | M2, .levels = 4};
    assert_int_equal(radix_init(&vm.nested), STATUS_OK);
    for (unsigned i = 0; i < vm.ram.run_count; i++) {
        const struct ram_run *run = &vm.ram.run[i];

        assert_int_equal(radix_map(&vm.nested, run->at.raw, run->frames, run->size, RWX, NULL),
                         STATUS_OK);
    }
    return dirty_create(&vm);
}

static int teardown(void **state)
{
    dirty_destroy(&vm);
    radix_destroy(&vm.nested);
    assert_false(map_taken);
    return (int)fake_pages_used();
}

static void expect_page(uint64_t at, uint64_t size, bool writable)
{
    struct radix_page page;

    assert_int_equal(radix_lookup(&vm.nested, at, &page), STATUS_OK);
    assert_int_equal(page.size, size);
    assert_int_equal(page.rights, writable ? RWX : RWX & ~RADIX_WRITE);
}

/* The pages that are dirty now are those COUNT, in ascending order. */
static void expect_dirty(const uint64_t *at, unsigned count)
{
    static const uint64_t areas[][2] = {
        {0,          LOW_SIZE},
        {3ULL << 30, M2      }, /* no RAM there */
        {HIGH,       M2      }
    };
    uint64_t bitmap[LOW_SIZE / K4 / RAM_MARKS_WORD];
    unsigned found = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(areas); i++) {
        uint64_t pages = areas[i][1] / K4;
        bool any = dirty_collect(&vm, areas[i][0] / K4, pages, bitmap);
        unsigned before = found;

        for (uint64_t page = 0; page < pages; page++) {
            if (bitmap[page / 64] >> page % 64 & 1) {
                assert_true(found < count);
                assert_int_equal(areas[i][0] + page * K4, at[found]);
                found++;
            }
        }
        assert_true(any == (found > before));
    }
    assert_int_equal(found, count);
}

static void test_faults(void **state)
{
    uint64_t tables = vm.nested.table_pages;

    assert_int_equal(dirty_start(&vm), STATUS_OK);
    assert_int_equal(dirty_start(&vm), STATUS_STATE);
    assert_int_equal(vm.nested.table_pages, tables); /* nothing is split before it is written */
    expect_page(0, M2, false);
    expect_page(HIGH, M2, false);
    expect_dirty(NULL, 0);
    assert_true(dirty_fault(&vcpus[0], gpa(5 * K4 + 123)));
    assert_int_equal(forgets, 0);
    assert_true(dirty_fault(&vcpus[0], gpa(5 * K4))); /* another CPU was first */
    assert_int_equal(forgets, 1);
    assert_true(dirty_fault(&vcpus[0], gpa(HIGH + M2 - 1)));
    assert_false(dirty_fault(&vcpus[0], gpa(LOW_SIZE)));
    assert_false(dirty_fault(&vcpus[0], gpa(0xfee00000)));
    assert_false(dirty_fault(&vcpus[0], gpa(HIGH + M2)));
    expect_page(5 * K4, K4, true);
    expect_page(4 * K4, K4, false);
    expect_page(M2, M2, false);
    unsigned before = flushes;

    expect_dirty((uint64_t[]){5 * K4, HIGH + M2 - K4}, 2);
    assert_int_equal(flushes, before + 2); /* one for each range with news */
    expect_page(5 * K4, K4, false);
    expect_dirty(NULL, 0);
    assert_int_equal(flushes, before + 2);
    assert_true(dirty_fault(&vcpus[0], gpa(6 * K4)));
    dirty_stop(&vm);
    expect_page(0, M2, true);
    expect_page(HIGH, M2, true);
    assert_int_equal(vm.nested.table_pages, tables);
    assert_true(dirty_fault(&vcpus[0], gpa(0))); /* seen before the end, handled behind it */
    expect_page(0, M2, true);
    dirty_stop(&vm);
    assert_int_equal(dirty_start(&vm), STATUS_OK);
    expect_dirty(NULL, 0); /* what was marked before counts no more */
}

static void test_own_writes(void **state)
{
    uint8_t bytes[2 * K4];

    memset(bytes, 0x5a, sizeof(bytes));
    assert_int_equal(ram_write(&vm.ram, gpa(K4), bytes, 8), STATUS_OK);
    assert_int_equal(dirty_start(&vm), STATUS_OK);
    expect_dirty(NULL, 0);
    assert_int_equal(ram_write(&vm.ram, gpa(3 * K4 - 1), bytes, K4 + 2), STATUS_OK);
    assert_int_equal(ram_zero(&vm.ram, gpa(LOW_SIZE - 1), 1), STATUS_OK);
    assert_int_equal(ram_zero(&vm.ram, gpa(HIGH), 0), STATUS_OK);
    assert_int_equal(ram_zero(&vm.ram, gpa(LOW_SIZE - 1), 2), STATUS_RANGE);
    expect_dirty((uint64_t[]){2 * K4, 3 * K4, 4 * K4, LOW_SIZE - K4}, 4);
    expect_page(2 * K4, M2, false); /* nothing of it concerns the guest's own rights */
    ram_mark(&vm.ram, gpa(LOW_SIZE - 1), 3 * K4); /* what is no RAM is left out */
    ram_mark(&vm.ram, gpa(0xfee00000), 8);
    ram_mark(&vm.ram, gpa(HIGH - 1), 2);
    expect_dirty((uint64_t[]){LOW_SIZE - K4, HIGH}, 2);
    dirty_stop(&vm);
    assert_int_equal(ram_write(&vm.ram, gpa(K4), bytes, 8), STATUS_OK);
    expect_dirty(NULL, 0);
}

/* Without memory for tables a large page is dirty as a whole, and protected again as a whole. */
static void test_no_memory(void **state)
{
    uint64_t all[M2 / K4];

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        all[i] = M2 + i * K4;
    }
    assert_int_equal(dirty_start(&vm), STATUS_OK);
    fake_pages_limit((unsigned)vm.nested.table_pages);
    assert_true(dirty_fault(&vcpus[0], gpa(M2 + 7 * K4)));
    expect_page(M2, M2, true);
    expect_page(0, M2, false);
    expect_dirty(all, ARRAY_SIZE(all));
    expect_page(M2, M2, false);
    fake_pages_limit(64);
    assert_true(dirty_fault(&vcpus[0], gpa(M2))); /* it is not tried again */
    expect_page(M2, M2, true);
    dirty_stop(&vm);
    assert_int_equal(dirty_start(&vm), STATUS_OK);
    assert_true(dirty_fault(&vcpus[0], gpa(M2)));
    expect_page(M2, K4, true);
}

/* ---- With firmware: what the PAM registers say goes before what tracking wants ---- */

#define ROM_AT   (HIGH - sizeof(rom))
#define PAM(n)   vm.pc.pci.config[PCI_HOST_BRIDGE][PCI_HOST_PAM + (n)]
#define SEGMENT  0xf0000U
#define RAM_PAGE 0xc8000U /* of the area that the lower half of PAM2 is for */

static void expect_target(uint64_t at, const uint8_t *target, unsigned rights)
{
    struct radix_page page;

    assert_int_equal(radix_lookup(&vm.nested, at, &page), STATUS_OK);
    assert_ptr_equal((uint8_t *)(DIRECT_BASE + page.address.raw) + at % page.size, target);
    assert_int_equal(page.rights, rights);
}

static void expect_nothing(uint64_t at)
{
    struct radix_page page;

    assert_int_equal(radix_lookup(&vm.nested, at, &page), STATUS_NOT_FOUND);
    assert_null(low_memory_pointer(&vm, gpa(at), 8, false));
    assert_null(low_memory_pointer(&vm, gpa(at), 8, true));
}

static void start_firmware(void)
{
    static const struct config_vm config = {.firmware = {"bios"}};

    for (unsigned i = 0; i < sizeof(rom_file); i++) {
        rom_file[i] = (uint8_t)(i * 7 + i / 4096);
    }
    stops = 0;
    vm.config = &config;
    vm.pc.config.firmware = true;
    assert_int_equal(rom_create(&vm), STATUS_OK);
    assert_memory_equal(rom, rom_file, sizeof(rom));
    low_memory_settle(&vm, true);
}

/* What a vCPU and the emulator find, area by area, for each of the four values of its two bits. */
static void test_shadow(void **state)
{
    const unsigned rx = RADIX_READ | RADIX_EXECUTE;

    start_firmware();
    expect_target(ROM_AT, rom, rx);
    expect_nothing(0xa0000);
    expect_nothing(0xbf000);
    expect_nothing(0xdf000);
    expect_target(0xe0000, rom + 0x20000, rx);
    expect_target(0xff000, rom + 0x3f000, rx);
    assert_ptr_equal(low_memory_pointer(&vm, gpa(0xffff0), 16, false), rom + 0x3fff0);
    assert_ptr_equal(low_memory_pointer(&vm, gpa(HIGH - 16), 16, false), rom + 0x3fff0);
    assert_null(low_memory_pointer(&vm, gpa(HIGH - 16), 16, true));
    assert_null(low_memory_pointer(&vm, gpa(0xffff0), 16, true));
    assert_false(low_memory_is_lasting(&vm, gpa(0xa0000)));
    assert_false(low_memory_is_lasting(&vm, gpa(0xfffff)));
    assert_true(low_memory_is_lasting(&vm, gpa(0x9f000)));
    assert_true(low_memory_is_lasting(&vm, gpa(0x100000)));
    expect_target(0x9f000, ram + 0x9f000, RWX);
    expect_target(0x100000, ram + 0x100000, RWX);
    for (unsigned area = 1; area < PC_LOW_AREAS; area++) {
        uint64_t at = pc_low_start(area), last = pc_low_start(area + 1) - K4;
        unsigned shift = area % 2 == 1 && area != 13 ? 0 : 4;

        memset(&PAM(0), 0, 7);
        PAM(area == 13 ? 0 : (area + 1) / 2) = (uint8_t)(3U << shift);
        low_memory_settle(&vm, false);
        expect_target(at, ram + at, RWX);
        expect_target(last, ram + last, RWX);
        assert_int_equal(pc_low_area((uint32_t)at), area);
        assert_int_equal(pc_low_area((uint32_t)last), area);
        PAM(area == 13 ? 0 : (area + 1) / 2) = (uint8_t)(1U << shift);
        low_memory_settle(&vm, false);
        expect_target(last, ram + last, rx);
        assert_ptr_equal(low_memory_pointer(&vm, gpa(at), 8, false), ram + at);
        assert_null(low_memory_pointer(&vm, gpa(at), 8, true));
        assert_false(dirty_fault(&vcpus[0], gpa(at)));
        PAM(area == 13 ? 0 : (area + 1) / 2) = (uint8_t)(2U << shift);
        low_memory_settle(&vm, false);
        assert_ptr_equal(low_memory_pointer(&vm, gpa(at), 8, true), ram + at);
        assert_false(dirty_fault(&vcpus[0], gpa(at)));
        if (at < 0xe0000) {
            assert_null(low_memory_pointer(&vm, gpa(at), 8, false));
        } else {
            expect_target(at, rom + 0x20000 + (at - 0xe0000), rx);
        }
    }
    unsigned before = flushes;

    low_memory_settle(&vm, false);
    assert_int_equal(flushes, before); /* nothing has changed */
    assert_int_equal(stops, 0);
    rom_destroy(&vm);
}

/* The ROM, read-only RAM and what is nothing stay so while pages are noted, and behind that. */
static void test_tracked_shadow(void **state)
{
    const unsigned rx = RADIX_READ | RADIX_EXECUTE;

    start_firmware();
    PAM(0) = 0x10;
    PAM(2) = 0x03;
    low_memory_settle(&vm, false);
    assert_int_equal(dirty_start(&vm), STATUS_OK);
    expect_target(RAM_PAGE, ram + RAM_PAGE, rx);
    expect_target(0x9f000, ram + 0x9f000, rx);
    assert_true(dirty_fault(&vcpus[0], gpa(RAM_PAGE)));
    assert_false(dirty_fault(&vcpus[0], gpa(SEGMENT)));
    assert_false(dirty_fault(&vcpus[0], gpa(0xe0000)));
    expect_target(RAM_PAGE, ram + RAM_PAGE, RWX);
    expect_dirty((uint64_t[]){RAM_PAGE}, 1);
    expect_target(RAM_PAGE, ram + RAM_PAGE, rx);
    PAM(0) = 0x30;
    low_memory_settle(&vm, false);
    expect_target(SEGMENT, ram + SEGMENT, rx);
    assert_true(dirty_fault(&vcpus[0], gpa(SEGMENT)));
    expect_dirty((uint64_t[]){SEGMENT}, 1);
    PAM(0) = 0;
    low_memory_settle(&vm, false);
    dirty_stop(&vm);
    expect_target(SEGMENT, rom + 0x30000, rx);
    expect_target(0xe0000, rom + 0x20000, rx);
    expect_target(RAM_PAGE, ram + RAM_PAGE, RWX);
    expect_target(0x9f000, ram + 0x9f000, RWX);
    expect_target(0x100000, ram + 0x100000, RWX);
    expect_nothing(0xa0000);
    expect_target(ROM_AT, rom, rx);
    assert_int_equal(stops, 0);
    rom_destroy(&vm);
}

/*
 * vCPUs that write to all pages, each with a TLB that keeps what it saw until it is flushed, and a
 * collector that copies what is reported. At the end the copy is right: no write was missed.
 */
static uint8_t copy[sizeof(ram)];
static bool over;
static unsigned runs; /* of guests */

static uint64_t address_of(unsigned page)
{
    return page < LOW_SIZE / K4 ? page * K4 : HIGH + (page * K4 - LOW_SIZE);
}

static bool is_writable(unsigned page)
{
    struct radix_page found;

    /* The tables may change under the walk, as under a CPU's; they are not freed here. */
    return radix_lookup(&vm.nested, address_of(page), &found) == STATUS_OK &&
           (found.rights & RADIX_WRITE);
}

static void guest_runs(struct vcpu *vcpu, bool *tlb, struct random *random)
{
    for (unsigned i = 0; i < 32; i++) {
        unsigned page = random_below(random, 32) * 77; /* few, but in all large pages */

        if (!tlb[page] && !is_writable(page)) {
            go(vcpu, VCPU_AT_EXIT);
            if (random_below(random, 4) == 0) { /* the VMM writes for it instead */
                __atomic_fetch_add(&ram[page * K4 + 8 * vcpu->index], 1, __ATOMIC_RELAXED);
                ram_written(&vm.ram, gpa(address_of(page)), 1);
            } else {
                assert_true(dirty_fault(vcpu, gpa(address_of(page))));
            }
            return;
        }
        tlb[page] = true;
        __atomic_fetch_add(&ram[page * K4 + 8 * vcpu->index], 1, __ATOMIC_RELAXED);
    }
}

static void *run_vcpu(void *argument)
{
    struct vcpu *vcpu = argument;
    static bool tlbs[VCPUS][PAGES];
    bool *tlb = tlbs[vcpu->index];
    struct random random = {vcpu->index + 1};

    memset(tlb, 0, PAGES);
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        go(vcpu, VCPU_INSIDE);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        uint32_t generation = __atomic_load_n(&vm.nested_generation, __ATOMIC_ACQUIRE);

        if (generation != vcpu->flushed) {
            memset(tlb, 0, PAGES);
            __atomic_store_n(&vcpu->flushed, generation, __ATOMIC_RELEASE);
        }
        guest_runs(vcpu, tlb, &random);
        __atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
        go(vcpu, VCPU_AT_EXIT);
        (void)sched_yield();
    }
    go(vcpu, VCPU_AWAY);
    return NULL;
}

/* Returns how many pages were reported. */
static unsigned collect_and_copy(void)
{
    uint64_t bitmap[PAGES / RAM_MARKS_WORD];
    unsigned reported = 0, low = LOW_SIZE / K4;

    (void)dirty_collect(&vm, 0, low, bitmap);
    (void)dirty_collect(&vm, HIGH / K4, M2 / K4, &bitmap[low / RAM_MARKS_WORD]);
    for (unsigned page = 0; page < PAGES; page++) {
        if (bitmap[page / RAM_MARKS_WORD] >> page % RAM_MARKS_WORD & 1) {
            for (unsigned i = 0; i < VCPUS; i++) {
                copy[page * K4 + 8 * i] =
                    __atomic_load_n(&ram[page * K4 + 8 * i], __ATOMIC_RELAXED);
            }
            reported++;
        }
    }
    return reported;
}

static void test_concurrent(void **state)
{
    pthread_t threads[VCPUS];
    uint64_t reported = 0;

    over = false;
    for (unsigned i = 0; i < VCPUS; i++) {
        vcpus[i].index = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run_vcpu, &vcpus[i]), 0);
    }
    assert_int_equal(dirty_start(&vm), STATUS_OK);
    for (unsigned i = 0; i < sizeof(ram); i++) {
        copy[i] = __atomic_load_n(&ram[i], __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned before = __atomic_load_n(&runs, __ATOMIC_RELAXED);

        while (__atomic_load_n(&runs, __ATOMIC_RELAXED) - before < 20) {
            (void)sched_yield();
        }
        reported += collect_and_copy();
    }
    __atomic_store_n(&over, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < VCPUS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    reported += collect_and_copy();
    assert_in_range(reported, 1, (uint64_t)PAGES * (ROUNDS + 1));
    assert_memory_equal(copy, ram, sizeof(ram));
    expect_dirty(NULL, 0);
    dirty_stop(&vm);
    expect_page(0, M2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shadow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tracked_shadow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_concurrent, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
