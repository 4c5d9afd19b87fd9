/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vm/tracked_vm.h"

#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/nested_bits.h"
#include "vmm/host/address_space.h"
#include "vmm/host/frame.h"
#include "vmm/host/paging.h"
#include "vmm/host/pool.h"
#include "vmm/host/time.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/dirty.h"
#include "vmm/vm/vm_edge.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define K4 PAGE_SIZE
#define M2 PAGE_SIZE_2M

struct vm tracked_vm;
struct vcpu tracked_vcpus[TRACKED_VCPUS];
uint8_t tracked_ram[TRACKED_RAM_SIZE] __attribute__((aligned(2 << 20)));
uint8_t tracked_rom[TRACKED_ROM_SIZE] __attribute__((aligned(4096)));
uint8_t tracked_rom_file[TRACKED_ROM_SIZE];
unsigned tracked_stops, tracked_flushes, tracked_forgets;
bool tracked_gate_shut;
void (*tracked_before_flush)(void);
uint64_t tracked_tick_ns;

bool i8042_a20(const struct i8042 *kbc)
{
    return !tracked_gate_shut;
}

static uint64_t map[PAGE_SIZE] __attribute__((aligned(4096)));
static bool map_taken;

/* ---- what dirty.c, direct.c and low_memory.c need ---- */

static hpa_t frame_of(const void *memory)
{
    return hpa((uint64_t)memory - DIRECT_BASE);
}

enum status frame_allocate(uint64_t size, uint64_t align, uint64_t limit, hpa_t *base)
{
    if (size == sizeof(tracked_rom)) {
        *base = frame_of(tracked_rom);
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

enum status vm_edge_find_file(const char *name, struct load_file *found)
{
    *found = (struct load_file){
        .name = name, .data = tracked_rom_file, .size = sizeof(tracked_rom_file)};
    return STATUS_OK;
}

enum status load_firmware_check(const struct load_file *file)
{
    return STATUS_OK;
}

enum status vm_stop(struct vm *stopped, const char *why)
{
    tracked_stops++;
    return STATUS_OK;
}

void vm_flush(struct vm *flushed)
{
    if (tracked_before_flush) {
        tracked_before_flush();
    }
    __atomic_fetch_add(&flushed->nested_generation, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&tracked_flushes, 1, __ATOMIC_RELAXED);
}

/* As in vcpu.c; the threads of a test go from place to place as the loop there does. */
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

uint64_t time_now_ns(void)
{
    static uint64_t now;

    return now += tracked_tick_ns;
}

static void forget(struct vcpu *vcpu)
{
    __atomic_fetch_add(&tracked_forgets, 1, __ATOMIC_RELAXED);
}

static const struct backend functions = {.flush = forget};
const struct backend *backend = &functions;
struct backend_offers backend_offers;

/* ---- the VM ---- */

uint64_t *tracked_entry(uint64_t at)
{
    uint64_t *table = pool_pointer(tracked_vm.nested.root);

    for (unsigned level = tracked_vm.nested.levels;; level--) {
        uint64_t *entry = &table[at >> (3 + 9 * level) & 511];
        uint64_t value = __atomic_load_n(entry, __ATOMIC_SEQ_CST);

        assert_true(value & nested_bits.present);
        if (level == 1 || (value & nested_bits.large)) {
            return entry;
        }
        table = pool_pointer(hpa(value & 0x000ffffffffff000));
    }
}

int tracked_set_up(void **state)
{
    backend_offers.logs_writes = false;
    tracked_before_flush = NULL;
    tracked_tick_ns = 0;
    fake_pages_reset(64);
    fake_log_clear();
    memset(&tracked_vm, 0, sizeof(tracked_vm));
    memset(tracked_ram, 0, sizeof(tracked_ram));
    memset(tracked_vcpus, 0, sizeof(tracked_vcpus));
    map_taken = false;
    tracked_flushes = tracked_forgets = 0;
    tracked_vm.ram = (struct ram){.below_4g = TRACKED_LOW_SIZE, .above_4g = M2, .run_count = 2};
    tracked_vm.ram.run[0] = (struct ram_run){gpa(0), frame_of(tracked_ram), TRACKED_LOW_SIZE};
    tracked_vm.ram.run[1] =
        (struct ram_run){gpa(TRACKED_HIGH), frame_of(tracked_ram + TRACKED_LOW_SIZE), M2};
    tracked_vm.vcpu_count = TRACKED_VCPUS;
    for (unsigned i = 0; i < TRACKED_VCPUS; i++) {
        tracked_vm.vcpu[i] = &tracked_vcpus[i];
        tracked_vcpus[i].vm = &tracked_vm;
    }
    tracked_vm.nested = (struct radix){.format = &nested_bits, .page_sizes = K4 | M2, .levels = 4};
    assert_int_equal(radix_init(&tracked_vm.nested), STATUS_OK);
    for (unsigned i = 0; i < tracked_vm.ram.run_count; i++) {
        const struct ram_run *run = &tracked_vm.ram.run[i];

        assert_int_equal(
            radix_map(&tracked_vm.nested, run->at.raw, run->frames, run->size, TRACKED_RWX, NULL),
            STATUS_OK);
    }
    return dirty_create(&tracked_vm);
}

int tracked_tear_down(void **state)
{
    dirty_destroy(&tracked_vm);
    radix_destroy(&tracked_vm.nested);
    assert_false(map_taken);
    return (int)fake_pages_used();
}

void tracked_expect_page(uint64_t at, uint64_t size, bool writable)
{
    struct radix_page page;

    assert_int_equal(radix_lookup(&tracked_vm.nested, at, &page), STATUS_OK);
    assert_int_equal(page.size, size);
    assert_int_equal(page.rights, writable ? TRACKED_RWX : TRACKED_RWX & ~RADIX_WRITE);
}

void tracked_expect_dirty(const uint64_t *at, unsigned count)
{
    static const uint64_t areas[][2] = {
        {0,            TRACKED_LOW_SIZE},
        {3ULL << 30,   M2              }, /* no RAM there */
        {TRACKED_HIGH, M2              }
    };
    uint64_t bitmap[TRACKED_LOW_SIZE / K4 / RAM_MARKS_WORD];
    unsigned found = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(areas); i++) {
        uint64_t pages = areas[i][1] / K4;
        bool any = dirty_collect(&tracked_vm, areas[i][0] / K4, pages, bitmap);
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
