/* SPDX-License-Identifier: BSD-2-Clause */
/* Levels of the guests' CPU: unlike machines look alike, and nothing that is hidden can be set. */
#include "tests/unit/vm/fake_cpu.h"
#include "vmm/host/fpu.h"
#include "vmm/vm/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BIT(n) (1ULL << (n))
#define SMALL  (4ULL << 30)

static void (*const hosts[])(void) = {fake_cpu_milan, fake_cpu_genoa, fake_cpu_intel, fake_cpu_old};
static const struct config_cpu base = {.level = CONFIG_CPU_BASE}, v2 = {.level = CONFIG_CPU_V2};

static struct cpuid ask(const struct model_level *level, uint32_t leaf, uint32_t subleaf)
{
    const struct model_view view = {.level = level, .vcpu = 1, .vcpu_count = 2, .apic = true};

    return model_cpuid(&view, leaf, subleaf);
}

/* All that a guest can ask, but the vendor's name. */
static void expect_alike(const struct config_cpu *wanted, void (*one)(void), void (*other)(void))
{
    static const uint32_t firsts[] = {0, 0x40000000, 0x80000000};
    struct model_level here, there;

    for (unsigned i = 0; i < ARRAY_SIZE(firsts); i++) {
        for (uint32_t leaf = firsts[i]; leaf < firsts[i] + 0x30; leaf++) {
            for (uint32_t sub = 0; sub < 16; sub++) {
                one();
                model_level_set(&here, wanted, SMALL);
                struct cpuid a = ask(&here, leaf, sub);

                other();
                model_level_set(&there, wanted, SMALL);
                struct cpuid b = ask(&there, leaf, sub);

                if (leaf != 0xd || sub != 0) { /* EBX: the fake CPU's, whatever XCR0 says */
                    assert_memory_equal(&a, &b, sizeof(a));
                }
            }
        }
    }
    assert_int_equal(model_signature(&there), 0xf61);
    one();
    model_level_set(&here, wanted, SMALL);
    assert_int_equal(model_facts.cr4 & ~here.cr4, model_cr4(&here));
}

static void test_unlike_machines(void **state)
{
    const struct config_cpu mask = {
        .level = CONFIG_CPU_MASK,
        .mask = {0x7efa320b, UINT32_MAX, 0x219c97a9, 0x0040069c, 0x10, UINT32_MAX, UINT32_MAX,
                 UINT32_MAX, UINT32_MAX}
    };

    expect_alike(&base, fake_cpu_milan, fake_cpu_genoa);
    expect_alike(&base, fake_cpu_genoa, fake_cpu_old); /* which has no XSAVE, and low leaves */
    expect_alike(&v2, fake_cpu_milan, fake_cpu_genoa);
    expect_alike(&mask, fake_cpu_milan, fake_cpu_genoa);
}

static void test_words(void **state)
{
    struct model_level level;

    fake_cpu_genoa();
    model_level_set(&level, &base, SMALL);
    assert_int_equal(ask(&level, 0, 0).eax, 0xd);
    assert_int_equal(ask(&level, 0, 0).ebx, 0x68747541); /* AMD's drivers know what it is */
    assert_int_equal(ask(&level, 1, 0).ecx, 0x81200000); /* x2APIC, TSC deadline, hypervisor */
    assert_int_equal(ask(&level, 0x80000001, 0).edx, 0x2193fbff);
    assert_int_equal(ask(&level, 7, 0).ebx | ask(&level, 7, 0).ecx | ask(&level, 7, 0).edx, 0);
    assert_int_equal(ask(&level, 0xd, 0).eax | ask(&level, 0xd, 2).eax, 0);
    assert_int_equal(ask(&level, 0x80000008, 0).eax, 0x3028);
    assert_int_equal(ask(&level, 0x80000007, 0).edx, 0x100);
    model_level_set(&level, &v2, SMALL);
    assert_int_equal(ask(&level, 1, 0).ecx, 0x81b82201);
    assert_int_equal(ask(&level, 0x80000001, 0).ecx, 3); /* LAHF, and two cores */
    model_level_set(&level, &base, 2ULL << 40);
    assert_int_equal(ask(&level, 0x80000008, 0).eax, 0x3034); /* the host's: RAM needs them */
    model_level_set(&level, &(struct config_cpu){0}, SMALL);
    assert_memory_equal(&level, &model_host, sizeof(level));
}

/* What CPUID does not show cannot be set, nor loaded. */
static void test_control_registers(void **state)
{
    static const struct {
        uint8_t word, bit;
        uint64_t cr4, efer, xcr0;
    } rows[] = {
        {CPU_C1C, 26, BIT(18), 0,       0xe4},
        {CPU_C1C, 28, 0,       0,       0xe4},
        {CPU_C7B, 16, 0,       0,       0xe0},
        {CPU_C7B, 0,  BIT(16), 0,       0   },
        {CPU_C7B, 7,  BIT(20), 0,       0   },
        {CPU_C7B, 20, BIT(21), 0,       0   },
        {CPU_C7C, 2,  BIT(11), 0,       0   },
        {CPU_X1D, 25, 0,       BIT(14), 0   },
        {CPU_X1D, 20, 0,       BIT(11), 0   },
    };

    fake_cpu_genoa();
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config_cpu wanted = {.level = CONFIG_CPU_MASK};
        struct cpu_state guest = {.fpu.xcr0 = 3};
        struct model_level level;

        memset(wanted.mask, 0xff, sizeof(wanted.mask));
        wanted.mask[rows[i].word] &= ~(uint32_t)BIT(rows[i].bit);
        model_level_set(&level, &wanted, SMALL);
        assert_int_equal(level.cr4, rows[i].cr4);
        assert_int_equal(level.efer, rows[i].efer);
        assert_int_equal(level.xcr0, rows[i].xcr0);
        assert_true(model_level_allows(&level, &guest));
        guest.cr4 = rows[i].cr4;
        guest.efer = rows[i].efer;
        guest.fpu.xcr0 |= rows[i].xcr0;
        assert_false(model_level_allows(&level, &guest));
        assert_true(model_level_allows(&(struct model_level){0}, &guest));
        guest = (struct cpu_state){.fpu.area[FPU_AREA_BV] = rows[i].xcr0};
        assert_int_equal(model_level_allows(&level, &guest), rows[i].xcr0 == 0);
    }
}

/* AVX without AVX-512 has the sizes of AVX. */
static void test_sizes(void **state)
{
    struct config_cpu wanted = {.level = CONFIG_CPU_MASK};
    struct model_level level;

    memset(wanted.mask, 0xff, sizeof(wanted.mask));
    fake_cpu_genoa();
    model_level_set(&level, &wanted, SMALL);
    assert_int_equal(ask(&level, 0xd, 0).eax, 0xe7);
    assert_int_equal(ask(&level, 0xd, 0).ecx, 0x980);
    wanted.mask[CPU_C7B] &= ~(uint32_t)BIT(16);
    model_level_set(&level, &wanted, SMALL);
    assert_int_equal(ask(&level, 0xd, 0).eax, 7);
    assert_int_equal(ask(&level, 0xd, 0).ecx, 0x340);
    assert_int_equal(ask(&level, 0xd, 2).eax, 0x100);
    assert_int_equal(ask(&level, 0xd, 5).eax, 0);
    wanted.mask[CPU_C1C] &= ~(uint32_t)BIT(28);
    model_level_set(&level, &wanted, SMALL);
    assert_int_equal(ask(&level, 0xd, 0).eax, 3);
    assert_int_equal(ask(&level, 0xd, 0).ecx, 576);
}

/* A VM that is shown all sees the host. */
static void test_hosts_are_shown(void **state)
{
    const struct config_cpu all = {.level = CONFIG_CPU_HOST};
    struct model_level level;

    for (unsigned i = 0; i < ARRAY_SIZE(hosts); i++) {
        hosts[i]();
        model_level_set(&level, &all, SMALL);
        assert_int_equal(model_cr4(&level), model_facts.cr4);
        assert_int_equal(model_efer(&level), model_facts.efer);
        assert_int_equal(level.cr4 | level.efer | level.xcr0, 0);
        assert_int_equal(model_signature(&level), model_facts.signature);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unlike_machines),   cmocka_unit_test(test_words),
        cmocka_unit_test(test_control_registers), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_hosts_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
