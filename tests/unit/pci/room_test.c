/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding and making room for BARs behind bridges. */
#include "drivers/pci/bridge.h"
#include "drivers/pci/room.h"
#include "drivers/pci/scan.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pci_model.h"
#include "tests/unit/fakes/pci_space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB  (1ULL << 20)
#define HIGH (1ULL << 38)
#define SLOT ((uint32_t)PCI_ROOM_VF_BAR)

static const bdf_t port_bdf = {.bus = 0, .devfn = 0x10};
static const bdf_t other_bdf = {.bus = 0, .devfn = 0x18};
static const bdf_t pf_bdf = {.bus = 1, .devfn = 0};
static const struct pci_function *pf;
static const struct pci_bar wanted = {
    .size = 64 << 10, .kind = PCI_BAR_MEMORY_64, .prefetchable = true};

/* Two root ports, with a PF behind the first. Its window has MIBS; the next port's is after GAP. */
static void add(uint64_t mibs, uint64_t gap)
{
    fake_pci_add_bridge(port_bdf, 1, 2, PCI_PORT_ROOT);
    fake_model_windows(port_bdf, 0xc0000000, 2 * MIB, HIGH, mibs * MIB, true);
    fake_pci_add_bridge(other_bdf, 3, 3, PCI_PORT_ROOT);
    fake_model_windows(other_bdf, 0, 0, HIGH + (mibs + gap) * MIB, MIB, true);
    fake_pci_add(pf_bdf, 0x1af4, 0x1041);
    memset(fake_pci_mask(pf_bdf) + PCI_BAR0, 0, 24);
    memset(fake_pci_mask(pf_bdf) + PCI_ROM, 0, 4);
    fake_model_bar(pf_bdf, PCI_BAR0, 0xc, 64 << 10, HIGH);
    fake_model_bar(pf_bdf, PCI_BAR0 + 8, 0, 4096, 0xc0000000);
}

static void init(void)
{
    assert_int_equal(pci_scan(), STATUS_OK);
    pf = pci_find(pf_bdf);
    assert_int_equal(pci_room_init(), STATUS_OK);
    fake_pci_forget_accesses();
}

static int set_up(void **state)
{
    fake_model_reset();
    fake_log_clear();
    return 0;
}

static int tear_down(void **state)
{
    assert_int_equal(fake_model_violations(), 0);
    fake_pci_reset();
    return 0;
}

static struct pci_window window(bdf_t bdf, enum pci_window_kind kind)
{
    return pci_window_read(pci_find(bdf), kind);
}

static void test_inventory(void **state)
{
    hpa_t base;
    uint64_t size;

    add(4, 4);
    init();
    assert_int_equal(pci_room_find(pf, PCI_ROOM_BAR, &base, &size), STATUS_OK);
    assert_true(base.raw == HIGH && size == 64 << 10);
    assert_int_equal(pci_room_find(pf, PCI_ROOM_BAR + 2, &base, &size), STATUS_OK);
    assert_int_equal(pci_room_find(pf, PCI_ROOM_BAR + 1, &base, &size), STATUS_NOT_FOUND);
    assert_int_equal(
        pci_room_find(pci_find(port_bdf), PCI_ROOM_WINDOW + PCI_WINDOW_PREFETCHABLE, &base, &size),
        STATUS_OK);
    assert_true(base.raw == HIGH && size == 4 * MIB);
}

/* In what is free inside the window, on its alignment; nothing is written then. */
static void test_inside(void **state)
{
    hpa_t base;

    add(4, 4);
    init();
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, 16 * wanted.size, &base), STATUS_OK);
    assert_true(base.raw == HIGH + (64 << 10));
    assert_int_equal(pci_room_assign(pf, SLOT + 2, &wanted, wanted.size, &base), STATUS_OK);
    assert_true(base.raw == HIGH + 17 * (64 << 10));
    pci_room_release(pf, SLOT);
    assert_int_equal(pci_room_assign(pf, SLOT + 4, &wanted, wanted.size, &base), STATUS_OK);
    assert_true(base.raw == HIGH + (64 << 10));
    assert_int_equal(fake_pci_writes(), 0);
}

/* What firmware chose is kept if it is sound, else replaced. */
static void test_keep(void **state)
{
    struct pci_bar bar = wanted;
    hpa_t base;

    add(4, 4);
    init();
    bar.base = HIGH + 2 * MIB;
    assert_int_equal(pci_room_assign(pf, SLOT, &bar, 16 * bar.size, &base), STATUS_OK);
    assert_true(base.raw == bar.base);
    bar.base = HIGH + 3 * MIB - bar.size; /* the end of the first is its own place */
    assert_int_equal(pci_room_assign(pf, SLOT + 2, &bar, bar.size, &base), STATUS_OK);
    assert_true(base.raw != bar.base);
    bar.base = HIGH + 4 * MIB - bar.size; /* half of it outside */
    assert_int_equal(pci_room_assign(pf, SLOT + 4, &bar, 2 * bar.size, &base), STATUS_OK);
    assert_true(base.raw != bar.base);
    bar.base = HIGH; /* on a BAR of the PF */
    assert_int_equal(pci_room_assign(pf, SLOT + 4, &bar, bar.size, &base), STATUS_OK);
    assert_true(base.raw != bar.base);
    assert_int_equal(fake_pci_writes(), 0);
}

/* Upwards into the gap before the next port's window, as little as is needed. */
static void test_grow_up(void **state)
{
    hpa_t base;

    add(1, 4);
    init();
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, 32 * wanted.size, &base), STATUS_OK);
    assert_true(base.raw == HIGH + (64 << 10));
    assert_int_equal(fake_pci_writes(), 0); /* it is only planned */
    assert_int_equal(pci_room_apply(pf), STATUS_OK);
    assert_true(window(port_bdf, PCI_WINDOW_PREFETCHABLE).base == HIGH);
    assert_true(window(port_bdf, PCI_WINDOW_PREFETCHABLE).size == 3 * MIB);
    assert_true(fake_log_contains("prefetchable window is now 0x4000000000-0x40002fffff"));
    assert_true(fake_pci_written(port_bdf));
    assert_false(fake_pci_written(other_bdf) || fake_pci_written(pf_bdf));
}

/* Growth that is only planned counts for the next BAR, and is free again when it is forgotten. */
static void test_forget(void **state)
{
    hpa_t base;

    add(1, 4);
    init();
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, 32 * wanted.size, &base), STATUS_OK);
    assert_int_equal(pci_room_assign(pf, SLOT + 2, &wanted, 32 * wanted.size, &base), STATUS_OK);
    assert_true(base.raw == HIGH + 33 * (64 << 10));
    pci_room_release(pf, SLOT);
    pci_room_release(pf, SLOT + 2);
    pci_room_forget(pf);
    assert_int_equal(pci_room_apply(pf), STATUS_OK); /* nothing is to be done */
    assert_int_equal(fake_pci_writes(), 0);
    assert_int_equal(pci_room_assign(pci_find(other_bdf), PCI_ROOM_BAR, &wanted, MIB, &base),
                     STATUS_OK);
    assert_true(base.raw == HIGH + MIB);
}

/* Down, when the next window is in the way above: another root port opens the span below. */
static void test_grow_down(void **state)
{
    hpa_t base;

    add(1, 0);
    fake_pci_add_bridge(fake_bdf(0, 4, 0), 4, 4, PCI_PORT_ROOT);
    fake_model_windows(fake_bdf(0, 4, 0), 0, 0, HIGH - 8 * MIB, MIB, true);
    init();
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, 32 * wanted.size, &base), STATUS_OK);
    assert_true(base.raw == HIGH - 2 * MIB);
    assert_int_equal(pci_room_apply(pf), STATUS_OK);
    assert_true(window(port_bdf, PCI_WINDOW_PREFETCHABLE).base == HIGH - 2 * MIB);
    assert_true(window(port_bdf, PCI_WINDOW_PREFETCHABLE).size == 3 * MIB);
}

/* Firmware lists what is behind the window below 4 GiB; before it is the ECAM. */
static void list_behind(void)
{
    assert_int_equal(pci_room_reserve(hpa(0xc0200000), MIB, true), STATUS_OK);
}

static void test_full(void **state)
{
    hpa_t base;

    add(1, 0);
    init();
    list_behind();
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, 64 * wanted.size, &base), STATUS_NO_ROOM);
    assert_false(fake_log_contains("no room"));
    pci_room_explain(pf, &wanted, 64 * wanted.size, LOG_WARN, false);
    assert_true(
        fake_log_contains("0000:01:00.0: no room for 4 MiB of VF BAR in the prefetchable "
                          "window of bridge 0000:00:02.0 (1 MiB, about 512 KiB in one piece "
                          "free), and it cannot grow"));
    assert_true(fake_log_contains("switch on SR-IOV support and 'above 4G decoding'"));
    assert_true(fake_log_contains("'num_vfs = fit' takes as many as there is room for"));
    assert_int_equal(fake_pci_writes(), 0);
    /* A prefetchable BAR may be in the other window, if it is small. */
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, 16 * wanted.size, &base), STATUS_OK);
    assert_true(base.raw == 0xc0010000);
}

/* The third port of the root bus, whose use says that the host bridge forwards what lies between.
 */
static void add_third(uint64_t memory, uint64_t prefetchable)
{
    fake_pci_add_bridge(fake_bdf(0, 4, 0), 4, 4, PCI_PORT_ROOT);
    fake_model_windows(fake_bdf(0, 4, 0), memory, memory != 0 ? MIB : 0, prefetchable,
                       prefetchable != 0 ? MIB : 0, true);
}

/* A function on a root bus of its own, with a BAR of 64 KiB at BASE. */
static void add_other_root(uint64_t base)
{
    bdf_t bdf = fake_bdf(0x80, 0, 0);

    fake_pci_add(bdf, 0x1234, 1);
    memset(fake_pci_mask(bdf) + PCI_BAR0, 0, 24);
    memset(fake_pci_mask(bdf) + PCI_ROM, 0, 4);
    fake_model_bar(bdf, PCI_BAR0, 4, 64 << 10, base);
}

/* Above 4 GiB: between what the root bus uses, unless something else is known to be there. */
static void test_apertures(void **state)
{
    static const struct {
        uint64_t reserved;
        uint64_t listed;
        uint64_t other_root;
        enum status status;
    } cases[] = {
        {0,          0,              0,              STATUS_OK     },
        {HIGH - MIB, 0,              0,              STATUS_NO_ROOM}, /* where it would be */
        {0,          HIGH - MIB,     0,              STATUS_NO_ROOM},
        {0,          HIGH - 6 * MIB, 0,              STATUS_NO_ROOM}, /* below, but not the span's */
        {0,          0,              HIGH - 6 * MIB, STATUS_NO_ROOM},
        {0,          0,              HIGH - 9 * MIB, STATUS_OK     }, /* outside of the span */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        hpa_t base;

        fake_pci_reset();
        fake_model_reset();
        add(1, 0);
        add_third(0, HIGH - 8 * MIB);
        if (cases[i].other_root != 0) {
            add_other_root(cases[i].other_root);
        }
        init();
        assert_int_equal(pci_room_reserve(hpa(1ULL << 52), MIB, false), STATUS_RANGE);
        assert_int_equal(pci_room_reserve(hpa(HIGH), 0, false), STATUS_RANGE);
        list_behind(); /* what does not fit would grow there */
        if (cases[i].reserved != 0) {
            assert_int_equal(pci_room_reserve(hpa(cases[i].reserved), MIB, false), STATUS_OK);
        }
        if (cases[i].listed != 0) {
            assert_int_equal(pci_room_reserve(hpa(cases[i].listed), MIB, true), STATUS_OK);
        }
        assert_int_equal(pci_room_assign(pf, SLOT, &wanted, 64 * wanted.size, &base),
                         cases[i].status);
        assert_true(cases[i].status != STATUS_OK || base.raw == HIGH - 4 * MIB);
    }
}

/* A closed window opens somewhere in the host bridge's. */
static void test_open(void **state)
{
    hpa_t base;

    add(1, 0);
    add_third(0, HIGH + 64 * MIB);
    fake_model_windows(port_bdf, 0xc0000000, 2 * MIB, 0, 0, true);
    fake_model_bar(pf_bdf, PCI_BAR0, 0xc, 64 << 10, 0);
    init();
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, 17 * wanted.size, &base), STATUS_OK);
    assert_true(base.raw == HIGH + 2 * MIB); /* after the other port's */
    assert_int_equal(pci_room_apply(pf), STATUS_OK);
    assert_true(window(port_bdf, PCI_WINDOW_PREFETCHABLE).base == HIGH + 2 * MIB);
    assert_true(window(port_bdf, PCI_WINDOW_PREFETCHABLE).size == 2 * MIB);
}

/* Non-prefetchable BARs stay below 4 GiB. */
static void test_memory(void **state)
{
    struct pci_bar bar = {.size = 4096, .kind = PCI_BAR_MEMORY_32};
    hpa_t base;

    add(4, 4);
    init();
    assert_int_equal(pci_room_assign(pf, SLOT, &bar, 64 * bar.size, &base), STATUS_OK);
    assert_true(base.raw == 0xc0001000);
    assert_int_equal(pci_room_assign(pf, SLOT + 1, &bar, 1024 * bar.size, &base), STATUS_OK);
    assert_true(base.raw == 0xc0041000);
    assert_int_equal(pci_room_apply(pf), STATUS_OK);
    assert_true(window(port_bdf, PCI_WINDOW_MEMORY).size == 5 * MIB);
    bar = (struct pci_bar){.size = 4096, .kind = PCI_BAR_MEMORY_64};
    assert_int_equal(pci_room_assign(pf, SLOT + 2, &bar, 4 * bar.size, &base), STATUS_OK);
    assert_true(base.raw < 1ULL << 32);
}

/*
 * Where there is one root bus, its host bridge forwards what is around, up to what firmware's map
 * lists, and half the way down; never into the chipset's area. Else only what lies between.
 */
static void test_below_4g(void **state)
{
    static const struct {
        uint64_t listed[2]; /* 3 MiB each */
        uint64_t other_root;
        uint64_t third; /* a window of the same root bus */
        uint64_t mibs;  /* wanted, where 2 are open and one of them is taken */
        uint64_t base;  /* 0: no room */
    } cases[] = {
        {{0, 0},                   0,          0,          16,  0xd0100000},
        {{0xd0400000, 0},          0,          0,          3,   0xd0100000},
        {{0xd0400000, 0},          0,          0,          4,   0xcfc00000},
        {{0xd0400000, 0xcf000000}, 0,          0,          4,   0xcfc00000},
        {{0xd0400000, 0xcf000000}, 0,          0,          6,   0xcfa00000}, /* from cf980000 on */
        {{0xd0400000, 0xcf000000}, 0,          0,          7,   0         },
        {{0xcff00000, 0xd0100000}, 0,          0,          4,   0         }, /* the window, too: it stays */
        {{0xcff00000, 0xd0100000}, 0,          0,          1,   0xd0100000}, /* and is used */
        {{0, 0},                   0xe0000000, 0,          4,   0         },
        {{0, 0},                   0xe0000000, 0xd8000000, 4,   0xd0100000},
        {{0, 0},                   0xd4000000, 0xd8000000, 4,   0         },
        {{0, 0},                   0,          0,          703, 0xd0100000}, /* to fbffffff */
        {{0, 0},                   0,          0,          704, 0         },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct pci_bar bar = {.size = MIB, .kind = PCI_BAR_MEMORY_32};
        hpa_t base = hpa(0);

        fake_pci_reset();
        fake_model_reset();
        add(1, 0);
        fake_model_windows(port_bdf, 0xd0000000, 2 * MIB, HIGH, MIB, true);
        fake_model_bar(pf_bdf, PCI_BAR0 + 8, 0, 4096, 0xd0000000);
        if (cases[i].third != 0) {
            add_third(cases[i].third, 0);
        }
        if (cases[i].other_root != 0) {
            add_other_root(cases[i].other_root);
        }
        init();
        for (unsigned j = 0; j < 2 && cases[i].listed[j] != 0; j++) {
            assert_int_equal(pci_room_reserve(hpa(cases[i].listed[j]), 3 * MIB, true), STATUS_OK);
        }
        enum status status = pci_room_assign(pf, SLOT, &bar, cases[i].mibs * MIB, &base);
        if (status != (cases[i].base != 0 ? STATUS_OK : STATUS_NO_ROOM) ||
            base.raw != cases[i].base) {
            fail_msg("case %u: %s, %#lx", i, status_name(status), (unsigned long)base.raw);
        }
    }
}

static void add_switch(unsigned levels, uint64_t top)
{
    uint8_t last = (uint8_t)levels;

    for (unsigned bus = 0; bus < levels; bus++) {
        bdf_t bdf = fake_bdf((uint8_t)bus, 0, 0);

        fake_pci_add_bridge(bdf, (uint8_t)(bus + 1), last, PCI_PORT_ROOT);
        fake_model_windows(bdf, 0, 0, bus == 0 ? HIGH : 0, bus == 0 ? top : 0, true);
    }
    fake_pci_add(fake_bdf(last, 0, 0), 0x1af4, 0x1041);
    memset(fake_pci_mask(fake_bdf(last, 0, 0)) + PCI_BAR0, 0, 0x24);
}

/* 255 bridges, of which only the first has a window: all others open, in linear cost. */
static void test_deep(void **state)
{
    hpa_t base;

    add_switch(255, 64 * MIB);
    assert_int_equal(pci_scan(), STATUS_OK);
    pf = pci_find(fake_bdf(255, 0, 0));
    fake_pci_forget_accesses();
    assert_int_equal(pci_room_init(), STATUS_OK);
    assert_true(fake_pci_reads() + fake_pci_writes() < 256UL * 60);
    fake_pci_forget_accesses();
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, 17 * wanted.size, &base), STATUS_OK);
    assert_true(base.raw == HIGH);
    assert_int_equal(pci_room_apply(pf), STATUS_OK);
    assert_true(fake_pci_reads() + fake_pci_writes() < 256UL * 40);
    for (unsigned bus = 1; bus < 255; bus++) {
        struct pci_window opened = window(fake_bdf((uint8_t)bus, 0, 0), PCI_WINDOW_PREFETCHABLE);

        assert_true(opened.base == HIGH && opened.size == 2 * MIB);
    }
    assert_false(fake_pci_written(fake_bdf(0, 0, 0)));
}

/* A bridge in the middle that has no such window: nothing changes at all. */
static void test_stuck_level(void **state)
{
    hpa_t base;

    add_switch(8, 64 * MIB);
    fake_model_windows(fake_bdf(4, 0, 0), 0, 0, 1ULL << 60, MIB, true);
    assert_int_equal(pci_scan(), STATUS_OK);
    pf = pci_find(fake_bdf(8, 0, 0));
    assert_int_equal(pci_room_init(), STATUS_OK);
    fake_pci_forget_accesses();
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, wanted.size, &base), STATUS_NO_ROOM);
    assert_int_equal(fake_pci_writes(), 0);
}

/* A BAR whose size cannot be told is kept clear of. */
static void test_unknown_extent(void **state)
{
    hpa_t base;

    add(4, 0);
    fake_put32(fake_pci_mask(pf_bdf), PCI_BAR0, 0xf0f00000);
    init();
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, wanted.size, &base), STATUS_OK);
    assert_true(base.raw == HIGH + MIB);
}

static void test_too_many(void **state)
{
    hpa_t base;

    add(4, 4);
    for (unsigned i = 0; i < 800; i++) {
        bdf_t bdf = {.bus = (uint8_t)(0x80 + i / 256), .devfn = (uint8_t)i};

        fake_pci_add(bdf, 0x1234, 1)[PCI_HEADER_TYPE] = 0x80;
        memset(fake_pci_mask(bdf) + PCI_ROM, 0, 4);
        for (uint32_t bar = 0; bar < 6; bar++) {
            fake_model_bar(bdf, PCI_BAR0 + 4 * bar, 0, 4096, 0x90000000 + i * 0x8000 + bar * 4096);
        }
    }
    assert_int_equal(pci_scan(), STATUS_OK);
    pf = pci_find(pf_bdf);
    assert_int_equal(pci_room_init(), STATUS_NO_MEMORY);
    assert_true(fake_log_contains("more than 4096 memory BARs and windows"));
    assert_int_equal(pci_room_assign(pf, SLOT, &wanted, wanted.size, &base), STATUS_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inventory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grow_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grow_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_apertures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_below_4g, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stuck_level, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_extent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
