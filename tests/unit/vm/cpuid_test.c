/* SPDX-License-Identifier: BSD-2-Clause */
/* What guests see of four kinds of host, bit by bit. */
#include "tests/unit/vm/fake_cpu.h"
#include "vmm/vm/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BIT(n) (1U << (n))

static void (*const hosts[])(void) = {fake_cpu_milan, fake_cpu_genoa, fake_cpu_intel, fake_cpu_old};
static const struct model_view one = {
    .level = &model_host, .vcpu_count = 1, .apic = true, .tsc_hz = 2100000000};
static const struct model_view third = {.level = &model_host,
                                        .vcpu = 2,
                                        .vcpu_count = 4,
                                        .apic = true,
                                        .osxsave = true,
                                        .tsc_hz = 2100000000};

static void expect(const struct model_view *view, uint32_t leaf, uint32_t subleaf,
                   struct cpuid wanted)
{
    struct cpuid out = model_cpuid(view, leaf, subleaf);

    assert_int_equal(out.eax, wanted.eax);
    assert_int_equal(out.ebx, wanted.ebx);
    assert_int_equal(out.ecx, wanted.ecx);
    assert_int_equal(out.edx, wanted.edx);
}

static void test_milan(void **state)
{
    fake_cpu_milan();
    expect(&third, 0, 0, (struct cpuid){0x10, 0x68747541, 0x444d4163, 0x69746e65});
    expect(&third, 1, 0, (struct cpuid){0x00a00f11, 0x02040800, 0xfff83203, 0x178bfbff});
    expect(&third, 6, 0, (struct cpuid){4, 0, 0, 0});
    expect(&third, 2, 0, (struct cpuid){0});
    expect(&third, 4, 0, (struct cpuid){0});
    expect(&third, 0xb, 0, (struct cpuid){0, 1, 0x100, 2});
    expect(&third, 0xb, 1, (struct cpuid){2, 4, 0x201, 2});
    expect(&third, 0xb, 2, (struct cpuid){0, 0, 2, 2});
    expect(&third, 0x15, 0, (struct cpuid){0});
    expect(&third, 7, 0, (struct cpuid){0, 0x219c03a9, 0x00400604, 0x10});
    expect(&third, 7, 1, (struct cpuid){0});
    expect(&third, 0xd, 0, (struct cpuid){7, 0x340, 0x340, 0});
    expect(&third, 0xd, 1, (struct cpuid){7, 0x340, 0, 0});
    expect(&third, 0xd, 2, (struct cpuid){0x100, 0x240, 0, 0});
    expect(&third, 0xd, 9, (struct cpuid){0});  /* protection keys */
    expect(&third, 0xd, 11, (struct cpuid){0}); /* CET */
    expect(&third, 0x80000000, 0, (struct cpuid){0x8000001f, 0x68747541, 0x444d4163, 0x69746e65});
    expect(&third, 0x80000001, 0, (struct cpuid){0x00a00f11, 0x40000000, 0x000001f3, 0x2fd3fbff});
    expect(&third, 0x80000002, 0, (struct cpuid){0x20444d41, 0x43595045, 0x31373720, 0x34362033});
    expect(&third, 0x80000007, 0, (struct cpuid){0, 0, 0, 0x100});
    expect(&third, 0x80000008, 0, (struct cpuid){0x3030, 0x1005, 0x2003, 0});
    assert_int_equal(model_facts.cr4, 0x350fff); /* up to UMIP; FSGSBASE, OSXSAVE, SMEP, SMAP */
    assert_int_equal(model_facts.efer, 0x4d01);
    assert_int_equal(model_facts.xcr0, 7);
    assert_int_equal(model_facts.physical_bits, 48);
    assert_int_equal(model_facts.signature, 0x00a00f11);
}

static void test_genoa(void **state)
{
    fake_cpu_genoa();
    expect(&one, 7, 0, (struct cpuid){0, 0xf1bf03a9 & ~BIT(22), 0x00405f46, 0x10});
    expect(&one, 0xd, 0, (struct cpuid){0xe7, 0x980, 0x980, 0});
    expect(&one, 0xd, 5, (struct cpuid){0x40, 0x340, 0, 0});
    expect(&one, 0xd, 7, (struct cpuid){0x400, 0x580, 0, 0});
    expect(&one, 0xd, 9, (struct cpuid){0});
    /* It has five levels of page tables, which a guest is not shown: 48 linear bits. */
    assert_int_equal(model_cpuid(&one, 7, 0).ecx & BIT(16), 0);
    assert_int_equal(model_cpuid(&one, 0x80000008, 0).eax, 0x3034);
    assert_int_equal(model_facts.physical_bits, 52);
    assert_int_equal(model_facts.xcr0, 0xe7);
    assert_int_equal(model_facts.cr4 & BIT(12), 0);
}

static void test_intel(void **state)
{
    fake_cpu_intel();
    expect(&one, 0, 0, (struct cpuid){0x15, 0x756e6547, 0x6c65746e, 0x49656e69});
    expect(&one, 0xd, 0, (struct cpuid){0xe7, 0xa80, 0xa80, 0});
    expect(&one, 0xd, 3, (struct cpuid){0}); /* MPX */
    expect(&one, 0x80000000, 0, (struct cpuid){0x80000008, 0, 0, 0});
    expect(&one, 0x80000001, 0, (struct cpuid){0, 0, 0x121, 0x2c100800});
    assert_int_equal(model_cpuid(&one, 1, 0).ecx & BIT(5), 0);  /* VMX */
    assert_int_equal(model_cpuid(&one, 1, 0).ecx & BIT(6), 0);  /* SMX */
    assert_int_equal(model_cpuid(&one, 1, 0).ecx & BIT(15), 0); /* PDCM */
    assert_int_equal(model_cpuid(&one, 7, 0).ebx & BIT(4), 0);  /* HLE */
    assert_int_equal(model_cpuid(&one, 7, 0).ebx & BIT(11), 0); /* RTM */
    expect(&one, 2, 0, (struct cpuid){0x76036301, 0xf0b5ff, 0, 0x00c30000});
    expect(&one, 4, 0, (struct cpuid){0x0121, 0x1c0003f, 0x3f, 0});
    expect(&third, 4, 0, (struct cpuid){0x0c000121, 0x1c0003f, 0x3f, 0});
    fake_cpuid_set(4, 0, (struct cpuid){0xfc1fc163, 0x2c0003f, 0x6fff, 4});
    expect(&third, 4, 0, (struct cpuid){0x0c00c163, 0x2c0003f, 0x6fff, 4}); /* shared by all */
    expect(&one, 0xa, 0, (struct cpuid){0});
    expect(&one, 0xb, 0, (struct cpuid){0, 1, 0x100, 0});
    expect(&one, 0xb, 1, (struct cpuid){0, 1, 0x201, 0});
    expect(&one, 0x15, 0, (struct cpuid){10, 21, 1000000000, 0});
    expect(&one, 0x80000008, 0, (struct cpuid){0x302e, 0, 0, 0});
    assert_int_equal(model_facts.efer, 0xd01);
}

/* Leaf 15h: the local APIC's timer, which counts nanoseconds, and the TSC's rate in terms of it. As
 * Linux has it: a product of 32 bits. */
static void test_rates(void **state)
{
    static const uint32_t told[] = {100000, 700000, 2100000, 2995200, 3000000, 6000000, 10000000};

    fake_cpu_intel();
    for (unsigned i = 0; i < ARRAY_SIZE(told); i++) {
        const struct model_view view = {
            .level = &model_host, .vcpu_count = 1, .tsc_hz = told[i] * 1000ULL};
        struct cpuid out = model_cpuid(&view, 0x15, 0);

        assert_int_equal(out.ecx, 1000000000);
        assert_int_equal(out.ecx / 1000 * out.ebx / out.eax, told[i]);
        assert_int_equal(out.edx, 0);
    }
    /* What is no such product is measured. */
    expect(&(const struct model_view){.level = &model_host, .tsc_hz = 2994375000}, 0x15, 0,
           (struct cpuid){0});
    fake_cpuid_set(0x15, 0, (struct cpuid){0, 0, 25000000, 0}); /* it says nothing */
    expect(&one, 0x15, 0, (struct cpuid){0});
    fake_cpuid_set(0x15, 0, (struct cpuid){2, 0xa8, 25000000, 0});
    expect(&one, 0x15, 0, (struct cpuid){10, 21, 1000000000, 0});
}

static void test_old(void **state)
{
    fake_cpu_old();
    assert_int_equal(model_cpuid(&one, 0, 0).eax, 5);
    expect(&one, 6, 0, (struct cpuid){0}); /* beyond the highest that leaf 0 tells */
    expect(&one, 7, 0, (struct cpuid){0});
    expect(&one, 0xd, 0, (struct cpuid){0});
    assert_int_equal(model_facts.xcr0, 0);
    assert_int_equal(model_facts.cr4, 0x7ff);
    assert_int_equal(model_cpuid(&third, 1, 0).ecx & BIT(27), 0); /* no XSAVE, no OSXSAVE */
}

static void test_names(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
        char name[13] = "";

        hosts[i]();
        struct cpuid out = model_cpuid(&one, 0x40000000, 0);

        memcpy(name, &out.ebx, 4);
        memcpy(name + 4, &out.ecx, 4);
        memcpy(name + 8, &out.edx, 4);
        assert_string_equal(name, "PortolanVMM ");
        assert_int_equal(out.eax, 0x40000000);
        assert_true(model_cpuid(&one, 1, 0).ecx & BIT(31));
        for (uint32_t leaf = 0x40000001; leaf < 0x40000200; leaf++) {
            expect(&one, leaf, 0, (struct cpuid){0});
        }
    }
}

static void test_what_depends_on_the_vcpu(void **state)
{
    fake_cpu_milan();
    for (unsigned count = 1; count <= 64; count++) {
        struct model_view view = {.level = &model_host, .vcpu = count - 1, .vcpu_count = count};
        struct cpuid first = model_cpuid(&view, 1, 0), cores = model_cpuid(&view, 0x80000008, 0);
        unsigned bits = cores.ecx >> 12 & 0xf;

        assert_int_equal(first.ebx >> 24, count - 1);
        assert_int_equal(first.ebx >> 16 & 0xff, count);
        assert_int_equal(cores.ecx & 0xff, count - 1);
        assert_true(1U << bits >= count && (bits == 0 || 1U << (bits - 1) < count));
        assert_int_equal(first.edx >> 28 & 1, count > 1);
        assert_int_equal(model_cpuid(&view, 0x80000001, 0).ecx >> 1 & 1, count > 1);
        assert_int_equal(first.ecx & BIT(27), 0);
        assert_int_equal(first.edx & BIT(9), 0);
        assert_int_equal(model_cpuid(&view, 0x80000001, 0).edx & BIT(9), 0);
        view.osxsave = view.apic = true;
        assert_true(model_cpuid(&view, 1, 0).ecx & BIT(27));
        assert_true(model_cpuid(&view, 1, 0).edx & BIT(9));
        assert_true(model_cpuid(&view, 0x80000001, 0).edx & BIT(9));
        assert_true(model_cpuid(&view, 1, 0).ecx & BIT(21)); /* x2APIC */
        assert_true(model_cpuid(&view, 1, 0).ecx & BIT(24)); /* TSC deadline */
    }
}

/* What the VMM makes up itself; everything else must be the host's. */
static struct cpuid made_up(uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 0:
    case 0x80000000:
        return (struct cpuid){.eax = UINT32_MAX};
    case 1:
        return (struct cpuid){.ebx = 0xffff0000,
                              .ecx = BIT(21) | BIT(24) | BIT(27) | BIT(31),
                              .edx = BIT(9) | BIT(28)};
    case 4: /* the vCPUs */
        return (struct cpuid){.eax = 0xffffc000};
    case 6:
        return (struct cpuid){.eax = 4};
    case 0xb:
        return (struct cpuid){.eax = 7, .ebx = 0xff, .ecx = 0x3ff, .edx = 0xff};
    case 0xd:
        return (struct cpuid){.ecx = subleaf == 0 ? 0xfff : 0};
    case 0x15: /* rates */
        return (struct cpuid){UINT32_MAX, UINT32_MAX, UINT32_MAX, 0};
    case 0x80000001:
        return (struct cpuid){.ecx = BIT(1)};
    case 0x80000008:
        return (struct cpuid){.eax = 0xff00, .ecx = 0xffff};
    default:
        return (struct cpuid){0};
    }
}

static void check_leaf(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid host = cpuid_read(leaf, subleaf), own = made_up(leaf, subleaf);
    struct cpuid out = model_cpuid(&third, leaf, subleaf);

    if (leaf > model_cpuid(&third, leaf & 0x80000000, 0).eax) {
        assert_int_equal(out.eax | out.ebx | out.ecx | out.edx, 0);
    }
    assert_int_equal(out.eax & ~(host.eax | own.eax), 0);
    assert_int_equal(out.ebx & ~(host.ebx | own.ebx), 0);
    assert_int_equal(out.ecx & ~(host.ecx | own.ecx), 0);
    assert_int_equal(out.edx & ~(host.edx | own.edx), 0);
}

static void test_nothing_that_the_host_lacks(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
        hosts[i]();
        for (uint32_t leaf = 0; leaf < 0x100; leaf++) {
            for (uint32_t subleaf = 0; subleaf < 70; subleaf++) {
                check_leaf(leaf, subleaf);
                check_leaf(0x80000000 + leaf, subleaf);
            }
            expect(&third, 0xc0000000 + leaf, 0, (struct cpuid){0});
            expect(&third, 0x20000000 + leaf, 0, (struct cpuid){0});
        }
        expect(&third, UINT32_MAX, UINT32_MAX, (struct cpuid){0});
        expect(&third, 0xd, UINT32_MAX, (struct cpuid){0});
    }
}

/* What would let a guest see or use what is not virtual. */
static void test_no_leaks(void **state)
{
    static const uint32_t hidden[] = {
        3,    5,    9,          0xa,        0xe,        0xf,        0x10,       0x12,
        0x14, 0x1f, 0x8000000a, 0x8000001b, 0x8000001c, 0x8000001d, 0x8000001e, 0x8000001f};

    for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
        hosts[i]();
        for (unsigned n = 0; n < ARRAY_SIZE(hidden); n++) {
            expect(&third, hidden[n], 0, (struct cpuid){0});
            expect(&third, hidden[n], 1, (struct cpuid){0});
        }
        /* MONITOR, VMX, SMX, EIST, PDCM, PCID, DCA */
        assert_int_equal(model_cpuid(&third, 1, 0).ecx & 0x000680e8, 0);
        /* SVM, extended APIC space, OSVW, IBS, SKINIT, WDT, LWP, topology and counter extensions,
         * breakpoint extensions with and without masks, MONITORX */
        assert_int_equal(model_cpuid(&third, 0x80000001, 0).ecx & 0x7dc0b60c, 0);
        assert_int_equal(model_cpuid(&third, 7, 0).eax, 0);
        assert_int_equal(model_cpuid(&third, 7, 0).ebx & 0x0000d816, 0);
        assert_int_equal(model_cpuid(&third, 7, 0).ecx & 0x000100b8, 0);
    }
}

/* A bit of CR4 or EFER may be set just if the feature behind it is shown. */
static void test_masks_follow_features(void **state)
{
    static const struct {
        uint64_t cr4, efer;
        uint32_t leaf, ebx, ecx, edx;
    } rows[] = {
        {.cr4 = 3,       .leaf = 1,          .edx = BIT(1) },
        {.cr4 = 1 << 2,  .leaf = 1,          .edx = BIT(4) },
        {.cr4 = 1 << 3,  .leaf = 1,          .edx = BIT(2) },
        {.cr4 = 1 << 4,  .leaf = 1,          .edx = BIT(3) },
        {.cr4 = 1 << 5,  .leaf = 1,          .edx = BIT(6) },
        {.cr4 = 1 << 6,  .leaf = 1,          .edx = BIT(7) },
        {.cr4 = 1 << 7,  .leaf = 1,          .edx = BIT(13)},
        {.cr4 = 1 << 9,  .leaf = 1,          .edx = BIT(24)},
        {.cr4 = 1 << 10, .leaf = 1,          .edx = BIT(25)},
        {.cr4 = 1 << 11, .leaf = 7,          .ecx = BIT(2) },
        {.cr4 = 1 << 16, .leaf = 7,          .ebx = BIT(0) },
        {.cr4 = 1 << 18, .leaf = 1,          .ecx = BIT(26)},
        {.cr4 = 1 << 20, .leaf = 7,          .ebx = BIT(7) },
        {.cr4 = 1 << 21, .leaf = 7,          .ebx = BIT(20)},
        {.efer = 1,      .leaf = 0x80000001, .edx = BIT(11)},
        {.efer = 0x500,  .leaf = 0x80000001, .edx = BIT(29)},
        {.efer = 0x800,  .leaf = 0x80000001, .edx = BIT(20)},
        {.efer = 0x4000, .leaf = 0x80000001, .edx = BIT(25)},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_cpu_milan();
        uint64_t cr4 = model_facts.cr4, efer = model_facts.efer;
        struct cpuid host = cpuid_read(rows[i].leaf, 0);

        assert_int_equal(cr4 & rows[i].cr4, rows[i].cr4);
        assert_int_equal(efer & rows[i].efer, rows[i].efer);
        host.ebx &= ~rows[i].ebx;
        host.ecx &= ~rows[i].ecx;
        host.edx &= ~rows[i].edx;
        fake_cpuid_set(rows[i].leaf, 0, host);
        assert_int_equal(model_facts.cr4, cr4 & ~rows[i].cr4);
        assert_int_equal(model_facts.efer, efer & ~rows[i].efer);
    }
    assert_int_equal(model_facts.efer & BIT(12), 0); /* SVME */
    assert_int_equal(model_facts.cr4 & CR4_PCIDE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_milan),
        cmocka_unit_test(test_genoa),
        cmocka_unit_test(test_intel),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_old),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_depends_on_the_vcpu),
        cmocka_unit_test(test_nothing_that_the_host_lacks),
        cmocka_unit_test(test_no_leaks),
        cmocka_unit_test(test_masks_follow_features),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
