/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's RAM in the runs that a fragmented machine has left. */
#include "vmm/host/guest_ram.h"

#include "tests/unit/emulate/random.h"
#include "tests/unit/fakes/log.h"
#include "vmm/base/guest_map.h"
#include "vmm/host/address_space.h"
#include "vmm/host/frame.h"
#include "vmm/host/paging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define M2     PAGE_SIZE_2M
#define G4     (1ULL << 32)
#define PIECES 4096U /* of 2 MiB: 8 GiB of address space, of which little is touched */
#define HOST   (PIECES * M2)

static uint8_t *host;        /* reserved, 2 MiB-aligned */
static uint8_t used[PIECES]; /* 0: free, 1: taken, 2: never there */
static uint64_t mapped;      /* bytes in the direct view */
static unsigned paging_budget;

/* As if HOST were the direct view: direct.c adds DIRECT_BASE. */
static uint64_t frame_of(unsigned piece)
{
    return (uint64_t)host + piece * M2 - DIRECT_BASE;
}

static unsigned piece_of(uint64_t frame)
{
    uint64_t offset = frame + DIRECT_BASE - (uint64_t)host;

    assert_true(offset < HOST && offset % M2 == 0);
    return (unsigned)(offset / M2);
}

static void take(unsigned first, uint64_t size, uint8_t from, uint8_t to)
{
    for (unsigned i = 0; i < size / M2; i++) {
        assert_int_equal(used[first + i], from);
        used[first + i] = to;
    }
}

static bool is_free(unsigned first, uint64_t size)
{
    for (unsigned i = 0; i < size / M2; i++) {
        if (first + i >= PIECES || used[first + i]) {
            return false;
        }
    }
    return true;
}

enum status frame_allocate(uint64_t size, uint64_t align, uint64_t limit, hpa_t *base)
{
    assert_true(size > 0 && size % M2 == 0 && align == M2 && limit == FRAME_ANYWHERE);
    for (unsigned i = 0; i < PIECES; i++) {
        if (is_free(i, size)) {
            take(i, size, 0, 1);
            *base = hpa(frame_of(i));
            return STATUS_OK;
        }
    }
    return STATUS_NO_MEMORY;
}

enum status frame_free(hpa_t base, uint64_t size)
{
    take(piece_of(base.raw), size, 1, 0);
    return STATUS_OK;
}

/* What fails has mapped a part, as the real one may. */
enum status paging_map(uint64_t va, hpa_t base, uint64_t size, unsigned rights)
{
    assert_int_equal(va, DIRECT_BASE + base.raw);
    assert_int_equal(rights, PAGING_WRITE);
    mapped += size;
    if (paging_budget == 0) {
        return STATUS_NO_MEMORY;
    }
    paging_budget--;
    return STATUS_OK;
}

void paging_unmap(uint64_t va, uint64_t size)
{
    assert_true(piece_of(va - DIRECT_BASE) < PIECES);
    mapped -= size;
}

static int setup(void **state)
{
    if (!host) {
        uint8_t *area = mmap(NULL, HOST + M2, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        assert_true(area != MAP_FAILED);
        host = (uint8_t *)align_up((uint64_t)area, M2);
    }
    memset(used, 0, sizeof(used));
    mapped = 0;
    paging_budget = UINT32_MAX;
    fake_log_clear();
    return 0;
}

static unsigned count_taken(void)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < PIECES; i++) {
        taken += used[i] == 1;
    }
    return taken;
}

/* Runs follow each other without a gap, cover all of it, and their frames are theirs alone. */
static void check_runs(const struct ram *ram, uint64_t size)
{
    uint64_t at = 0;

    assert_int_equal(ram->below_4g + ram->above_4g, size);
    for (unsigned i = 0; i < ram->run_count; i++) {
        if (at == ram->below_4g && at < G4) {
            at = G4;
        }
        assert_int_equal(ram->run[i].at.raw, at);
        assert_int_equal(ram->run[i].size % M2, 0);
        at += ram->run[i].size;
        assert_true(at <= ram->below_4g || at > G4);
    }
    assert_int_equal(at, ram->above_4g ? G4 + ram->above_4g : ram->below_4g);
    assert_int_equal(count_taken(), size / M2);
    assert_int_equal(mapped, size);
}

static void expect_nothing_taken(void)
{
    assert_int_equal(count_taken(), 0);
    assert_int_equal(mapped, 0);
}

static void test_one_run(void **state)
{
    struct ram ram;

    assert_int_equal(ram_allocate(&ram, 64 * M2), STATUS_OK);
    check_runs(&ram, 64 * M2);
    assert_int_equal(ram.run_count, 1);
    ram_free(&ram);
    expect_nothing_taken();
    assert_int_equal(ram.run_count, 0);
}

static void test_pci_hole(void **state)
{
    static const struct {
        uint64_t size, below, above;
    } rows[] = {
        {PCI_HOLE_BASE - M2,           PCI_HOLE_BASE - M2, 0         },
        {PCI_HOLE_BASE,                PCI_HOLE_BASE,      0         },
        {PCI_HOLE_BASE + M2,           PCI_HOLE_BASE,      M2        },
        {PCI_HOLE_BASE + (1ULL << 30), PCI_HOLE_BASE,      1ULL << 30},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ram ram;

        assert_int_equal(ram_allocate(&ram, rows[i].size), STATUS_OK);
        assert_int_equal(ram.below_4g, rows[i].below);
        assert_int_equal(ram.above_4g, rows[i].above);
        assert_int_equal(ram.run_count, rows[i].above ? 2 : 1);
        check_runs(&ram, rows[i].size);
        ram_free(&ram);
        expect_nothing_taken();
    }
}

/* Every other piece is missing: one run each. */
static void fragment(unsigned pieces)
{
    memset(used, 2, sizeof(used));
    for (unsigned i = 0; i < pieces; i++) {
        used[2 * i] = 0;
    }
}

static void test_fragments(void **state)
{
    struct ram ram;

    fragment(RAM_RUNS_MAX);
    assert_int_equal(ram_allocate(&ram, RAM_RUNS_MAX * M2), STATUS_OK);
    assert_int_equal(ram.run_count, RAM_RUNS_MAX);
    check_runs(&ram, RAM_RUNS_MAX * M2);
    ram_free(&ram);
    fragment(RAM_RUNS_MAX + 1); /* enough memory, too many runs */
    assert_int_equal(ram_allocate(&ram, (RAM_RUNS_MAX + 1) * M2), STATUS_NO_MEMORY);
    expect_nothing_taken();
    fragment(10); /* not enough memory */
    assert_int_equal(ram_allocate(&ram, 11 * M2), STATUS_NO_MEMORY);
    expect_nothing_taken();
    assert_int_equal(ram.run_count, 0);
}

/* Odd sizes and random holes: it is found where it is there. */
static void test_random_fragments(void **state)
{
    struct random random = {7};

    for (unsigned round = 0; round < 300; round++) {
        unsigned pieces = 0, wanted = 1 + random_below(&random, 150);
        struct ram ram;

        memset(used, 2, sizeof(used));
        for (unsigned i = 0, at = 0; i < 12; i++) {
            unsigned length = 1 + random_below(&random, 40);

            memset(&used[at], 0, length);
            at += length + 1 + random_below(&random, 5);
            pieces += length;
        }
        enum status status = ram_allocate(&ram, wanted * M2);

        if (status == STATUS_OK) {
            check_runs(&ram, wanted * M2);
            ram_free(&ram);
        } else {
            assert_true(wanted > pieces / 2); /* only too many small runs can be in the way */
        }
        assert_true(status == STATUS_OK || wanted > pieces || pieces > RAM_RUNS_MAX);
        expect_nothing_taken();
    }
}

static void test_paging_fails(void **state)
{
    for (unsigned budget = 0; budget < 3; budget++) {
        struct ram ram;

        setup(NULL);
        fragment(3);
        paging_budget = budget;
        assert_int_equal(ram_allocate(&ram, 3 * M2), STATUS_NO_MEMORY);
        expect_nothing_taken();
    }
}

/* Words of marks: where RAM is, and at the place that a page's own mark has. */
static void test_mark_words(void **state)
{
    static uint64_t marks[(PCI_HOLE_BASE + M2) / PAGE_SIZE / RAM_MARKS_WORD];
    const uint64_t hole = PCI_HOLE_BASE / PAGE_SIZE, high = (4ULL << 30) / PAGE_SIZE;
    struct ram ram;

    assert_int_equal(ram_allocate(&ram, PCI_HOLE_BASE + M2), STATUS_OK);
    ram.marks = marks;
    assert_int_equal(ram_end(&ram), (4ULL << 30) + M2);
    assert_int_equal(ram_mark_word(&ram, 0, 0), 0);
    assert_int_equal(ram_mark_word(&ram, hole, UINT64_MAX), 0);
    assert_int_equal(ram_mark_word(&ram, high - RAM_MARKS_WORD, UINT64_MAX), 0);
    assert_int_equal(ram_mark_word(&ram, high + M2 / PAGE_SIZE, UINT64_MAX), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(marks); i++) {
        assert_int_equal(marks[i], 0);
    }
    assert_int_equal(ram_mark_word(&ram, hole - RAM_MARKS_WORD, 5), 2);
    ram_mark(&ram, gpa((hole - 1) * PAGE_SIZE), PAGE_SIZE); /* what is there stays */
    assert_int_equal(marks[hole / RAM_MARKS_WORD - 1], 5 | 1ULL << 63);
    assert_int_equal(ram_mark_word(&ram, high, UINT64_MAX), 64);
    assert_int_equal(marks[hole / RAM_MARKS_WORD], UINT64_MAX);
    ram_free(&ram);
    assert_int_equal(ram_allocate(&ram, M2), STATUS_OK);
    assert_int_equal(ram_end(&ram), M2);
    ram_free(&ram);
}

/* Ranges that begin and end within words, or behind the RAM: each page of them, and no other. */
static void test_mark_ranges(void **state)
{
    static uint64_t marks[M2 / PAGE_SIZE / RAM_MARKS_WORD];
    static const uint64_t firsts[] = {0, 1, 63, 64, 130, 400};
    static const uint64_t counts[] = {1, 2, 63, 64, 65, 128, 200};
    struct ram ram;

    assert_int_equal(ram_allocate(&ram, M2), STATUS_OK);
    ram.marks = marks;
    for (unsigned i = 0; i < ARRAY_SIZE(firsts) * ARRAY_SIZE(counts); i++) {
        uint64_t first = firsts[i / ARRAY_SIZE(counts)], count = counts[i % ARRAY_SIZE(counts)];

        memset(marks, 0, sizeof(marks));
        /* Its first page and its last in part. */
        ram_mark(&ram, gpa(first * PAGE_SIZE + 5), count * PAGE_SIZE - 6);
        for (uint64_t page = 0; page < M2 / PAGE_SIZE; page++) {
            assert_int_equal(marks[page / RAM_MARKS_WORD] >> page % RAM_MARKS_WORD & 1,
                             page >= first && page < first + count);
        }
    }
    ram_free(&ram);
}

static void test_pointers(void **state)
{
    struct ram ram;

    fragment(3);
    assert_int_equal(ram_allocate(&ram, 3 * M2), STATUS_OK);
    assert_ptr_equal(ram_pointer(&ram, gpa(0), 1), host);
    assert_ptr_equal(ram_pointer(&ram, gpa(0), M2), host);
    assert_ptr_equal(ram_pointer(&ram, gpa(M2 - 1), 1), host + M2 - 1);
    assert_ptr_equal(ram_pointer(&ram, gpa(M2), 8), host + 2 * M2);
    assert_ptr_equal(ram_pointer(&ram, gpa(3 * M2 - 8), 8), host + 5 * M2 - 8);
    assert_null(ram_pointer(&ram, gpa(0), M2 + 1));
    assert_null(ram_pointer(&ram, gpa(M2 - 1), 2)); /* both RAM, in two runs */
    assert_null(ram_pointer(&ram, gpa(3 * M2 - 7), 8));
    assert_null(ram_pointer(&ram, gpa(3 * M2), 1));
    assert_null(ram_pointer(&ram, gpa(5), UINT64_MAX));
    assert_null(ram_pointer(&ram, gpa(5), UINT64_MAX - 4));
    assert_null(ram_pointer(&ram, gpa(UINT64_MAX), 1));
    assert_null(ram_pointer(&ram, gpa(UINT64_MAX - 7), 8));
    assert_null(ram_pointer(&ram, gpa(G4), 1));
    ram_free(&ram);
    assert_null(ram_pointer(&ram, gpa(0), 1));
}

static void test_copies(void **state)
{
    static uint8_t bytes[2 * M2 + 20];
    struct ram ram;

    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    fragment(3);
    assert_int_equal(ram_allocate(&ram, 3 * M2), STATUS_OK);
    assert_int_equal(ram_zero(&ram, gpa(0), 3 * M2), STATUS_OK);
    host[M2] = 0x5a; /* of somebody else */
    assert_int_equal(ram_write(&ram, gpa(M2 - 10), bytes, M2 + 20), STATUS_OK);
    assert_memory_equal(host + M2 - 10, bytes, 10);
    assert_memory_equal(host + 2 * M2, bytes + 10, M2);
    assert_memory_equal(host + 4 * M2, bytes + 10 + M2, 10);
    assert_int_equal(host[4 * M2 + 10], 0);
    assert_int_equal(ram_zero(&ram, gpa(M2 - 5), M2 + 10), STATUS_OK);
    assert_memory_equal(host + M2 - 10, bytes, 5);
    assert_int_equal(host[M2 - 5] | host[2 * M2] | host[3 * M2 - 1] | host[4 * M2 + 4], 0);
    assert_int_equal(host[4 * M2 + 5], bytes[M2 + 15]);
    assert_int_equal(host[M2], 0x5a);
    assert_int_equal(ram_zero(&ram, gpa(0), 3 * M2), STATUS_OK);
    assert_int_equal(host[4 * M2 + 5] | host[M2 - 10], 0);
    assert_int_equal(host[M2], 0x5a);
    ram_free(&ram);
}

static void expect_range(const struct ram *ram, uint64_t at, uint64_t size)
{
    static const uint8_t byte = 0xff;

    assert_int_equal(ram_write(ram, gpa(at), &byte, size), STATUS_RANGE);
    assert_int_equal(ram_zero(ram, gpa(at), size), STATUS_RANGE);
}

static void test_refusals(void **state)
{
    static const uint8_t byte = 0xff;
    struct ram ram;

    assert_int_equal(ram_allocate(&ram, PCI_HOLE_BASE + 2 * M2), STATUS_OK);
    expect_range(&ram, PCI_HOLE_BASE, 1);
    expect_range(&ram, PCI_HOLE_BASE - 1, 2);
    expect_range(&ram, PCI_HOLE_BASE - 1, G4); /* from RAM over the hole to RAM */
    expect_range(&ram, G4 - 1, 1);
    expect_range(&ram, G4 - 1, 2);
    expect_range(&ram, G4 + 2 * M2, 1);
    expect_range(&ram, G4 + 2 * M2 - 1, 2);
    expect_range(&ram, G4, UINT64_MAX);
    expect_range(&ram, 5, UINT64_MAX - 4);
    expect_range(&ram, UINT64_MAX, 1);
    expect_range(&ram, UINT64_MAX, UINT64_MAX);
    assert_int_equal(ram_write(&ram, gpa(PCI_HOLE_BASE - 1), &byte, 1), STATUS_OK);
    assert_int_equal(ram_write(&ram, gpa(G4), &byte, 1), STATUS_OK);
    assert_int_equal(ram_write(&ram, gpa(G4 + 2 * M2 - 1), &byte, 1), STATUS_OK);
    assert_int_equal(ram_write(&ram, gpa(PCI_HOLE_BASE), &byte, 0), STATUS_OK);
    assert_int_equal(ram_zero(&ram, gpa(G4 + 2 * M2), 0), STATUS_OK);
    assert_int_equal(*(uint8_t *)ram_pointer(&ram, gpa(G4), 1), 0xff);
    ram_free(&ram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_run, setup),
        cmocka_unit_test_setup(test_pci_hole, setup),
        cmocka_unit_test_setup(test_fragments, setup),
        cmocka_unit_test_setup(test_random_fragments, setup),
        cmocka_unit_test_setup(test_paging_fails, setup),
        cmocka_unit_test_setup(test_mark_words, setup),
        cmocka_unit_test_setup(test_mark_ranges, setup),
        cmocka_unit_test_setup(test_pointers, setup),
        cmocka_unit_test_setup(test_copies, setup),
        cmocka_unit_test_setup(test_refusals, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
