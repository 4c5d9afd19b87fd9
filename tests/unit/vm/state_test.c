/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a vCPU: what reset, INIT and SIPI make of it, and which states are refused. */
#include "tests/unit/vm/fake_cpu.h"
#include "vmm/vm/cpu_state.h"
#include "vmm/vm/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct cpu_state now;

static int setup(void **state)
{
    fake_cpu_genoa();
    state_set_reset(&now);
    model_reset(&now);
    return 0;
}

/* A 64-bit guest in the middle of its life. */
static int setup_long(void **state)
{
    setup(state);
    now.cr0 = CR0_PG | CR0_PE | CR0_ET | CR0_NE | CR0_WP;
    now.cr4 = CR4_PAE;
    now.efer = EFER_LME | EFER_LMA | EFER_SCE;
    now.cr3 = 0x123000;
    now.segment[STATE_CS].attributes = 0xa9b;
    now.segment[STATE_CS].base = 0;
    now.rip = 0xffffffff81000000;
    now.lstar = 0xffffffff81000100;
    return 0;
}

/* ---- SDM 3, table 9-1 ---- */

static void test_init(void **state)
{
    static struct cpu_state before, after, reset;

    memset(&before, 0xa5, sizeof(before));
    after = before;
    state_set_reset(&reset);
    state_set_init(&after);
#define STAYS(member) assert_memory_equal(&after.member, &before.member, sizeof(after.member))
    STAYS(star);
    STAYS(lstar);
    STAYS(cstar);
    STAYS(sfmask);
    STAYS(kernel_gs_base);
    STAYS(sysenter_cs);
    STAYS(sysenter_esp);
    STAYS(sysenter_eip);
    STAYS(pat);
    STAYS(tsc_offset);
    STAYS(model);
    STAYS(fpu.area);
    STAYS(fpu.xcr0);
#undef STAYS
    assert_int_equal(after.cr0, (before.cr0 & 0x60000000) | 0x10); /* CD and NW stay */
    assert_int_equal(after.fpu.dr[0] | after.fpu.dr[1] | after.fpu.dr[2] | after.fpu.dr[3], 0);
#define GOES(member) assert_memory_equal(&after.member, &reset.member, sizeof(after.member))
    GOES(gpr);
    GOES(rip);
    GOES(rflags);
    GOES(segment);
    GOES(cr2);
    GOES(cr3);
    GOES(cr4);
    GOES(efer);
    GOES(dr6);
    GOES(dr7);
    GOES(nmi_blocked);
    GOES(nmi_pending);
    GOES(event_kind);
    GOES(held);
    GOES(shadow);
#undef GOES
    state_set_startup(&after, 0x9a);
    assert_int_equal(after.rip, 0);
    assert_int_equal(after.segment[STATE_CS].selector, 0x9a00);
    assert_int_equal(after.segment[STATE_CS].base, 0x9a000);
    assert_int_equal(after.activity, VCPU_RUNNING);
    assert_int_equal(after.lstar, before.lstar);
}

static void test_reset(void **state)
{
    memset(&now, 0xa5, sizeof(now));
    setup(NULL);
    assert_true(state_check(&now));
    assert_int_equal(now.rip, 0xfff0);
    assert_int_equal(now.segment[STATE_CS].base, 0xffff0000);
    assert_int_equal(now.cr0, 0x60000010);
    assert_int_equal(now.fpu.area[0], 0x40); /* the control word */
    assert_int_equal(now.fpu.area[3], 0x1f80);
    assert_int_equal(now.fpu.xcr0, 1);
    assert_int_equal(now.star | now.kernel_gs_base | now.requests | now.held, 0);
}

/* ---- the table of fields ---- */

/* Each byte of the structure that is no padding belongs to one field. */
static void test_fields_cover_all(void **state)
{
    static uint8_t seen[sizeof(struct cpu_state)];
    unsigned bytes = 0;

    for (unsigned i = 0; i < cpu_section.fields; i++) {
        const struct field *field = &cpu_section.field[i];

        for (unsigned n = 0; n < field->count; n++) {
            for (unsigned byte = 0; byte < field->width; byte++) {
                size_t at = field->offset + (size_t)n * field->stride + byte;

                assert_true(at < sizeof(seen));
                assert_int_equal(seen[at]++, 0);
                bytes++;
            }
        }
        for (unsigned n = 0; n < i; n++) {
            assert_string_not_equal(field->name, cpu_section.field[n].name);
        }
    }
    assert_int_equal(cpu_section.size, sizeof(struct cpu_state));
    assert_in_range(sizeof(struct cpu_state) - bytes, 0, 64); /* padding */
}

/* ---- what is refused ---- */

static void expect_refused(void)
{
    assert_false(state_check(&now));
}

#define REFUSED(change)                 \
    do {                                \
        setup_long(NULL);               \
        assert_true(state_check(&now)); \
        change;                         \
        expect_refused();               \
    } while (0)

static void test_modes(void **state)
{
    REFUSED(now.efer &= ~EFER_LMA);
    REFUSED(now.cr0 &= ~CR0_PG);
    REFUSED(now.cr0 &= ~CR0_PE);
    REFUSED(now.cr0 &= ~CR0_ET);
    REFUSED(now.cr0 |= CR0_NW);
    REFUSED(now.cr0 |= 1ULL << 40);
    REFUSED(now.cr4 &= ~CR4_PAE);
    REFUSED(now.cr4 |= CR4_PCIDE);
    REFUSED(now.efer |= EFER_SVME);
    REFUSED(now.efer &= ~EFER_LME);
    REFUSED(now.cr3 |= 1ULL << 53);
    REFUSED(now.segment[STATE_CS].attributes |= 0x400);
    REFUSED(now.rflags |= RFLAGS_VM);
    REFUSED(now.rflags &= ~RFLAGS_FIXED);
    REFUSED(now.rflags |= 1ULL << 32);
    setup(NULL);
    now.cpl = 3; /* in real mode */
    expect_refused();
    setup(NULL);
    now.rip = 1ULL << 32;
    expect_refused();
}

static void test_addresses(void **state)
{
    static const unsigned canonical[] = {STATE_FS,   STATE_GS,   STATE_GDTR,
                                         STATE_IDTR, STATE_LDTR, STATE_TR};

    for (unsigned i = 0; i < ARRAY_SIZE(canonical); i++) {
        REFUSED(now.segment[canonical[i]].base = 1ULL << 47);
        setup_long(NULL);
        now.segment[canonical[i]].base = 0xffff800000000000;
        assert_true(state_check(&now));
    }
    for (unsigned i = STATE_ES; i <= STATE_DS; i++) {
        REFUSED(now.segment[i].base = 1ULL << 32);
    }
    REFUSED(now.lstar = 1ULL << 63);
    REFUSED(now.kernel_gs_base = 1ULL << 63);
    REFUSED(now.sysenter_eip = 1ULL << 63);
    REFUSED(now.segment[STATE_GDTR].limit = 0x10000);
    REFUSED(now.segment[STATE_TR].attributes = 0x82); /* an LDT */
}

static void test_events(void **state)
{
    REFUSED(now.event_has_error = true);
    REFUSED(now.event_kind = VCPU_EVENT_NMI);
    REFUSED(now.event_kind = VCPU_EVENT_KINDS);
    REFUSED(now.event_kind = VCPU_EVENT_EXCEPTION; now.event_vector = 32);
    REFUSED(now.event_kind = VCPU_EVENT_EXCEPTION; now.event_vector = 2);
    REFUSED(now.event_kind = VCPU_EVENT_EXCEPTION; now.event_vector = 6;
            now.event_has_error = true);
    setup_long(NULL);
    now.event_kind = VCPU_EVENT_EXCEPTION;
    now.event_vector = 13;
    now.event_has_error = true;
    assert_true(state_check(&now));
    now.event_has_error = false; /* VMX would refuse to enter */
    expect_refused();
    now.event_vector = 21; /* no guest has what raises it */
    assert_true(state_check(&now));
    now.event_has_error = true;
    expect_refused();
    setup(NULL); /* real mode has no error codes */
    now.event_kind = VCPU_EVENT_EXCEPTION;
    now.event_vector = 13;
    assert_true(state_check(&now));
    now.event_has_error = true;
    expect_refused();
}

static void test_model_registers(void **state)
{
    REFUSED(now.pat = 2);
    REFUSED(now.model.mtrr_default = 0x1000);
    REFUSED(now.model.mtrr_variable[14] = 3);
    REFUSED(now.model.mtrr_variable[15] = 1);
    REFUSED(now.model.mtrr_fixed[10] = 0x0700000000000000);
    REFUSED(now.model.debugctl = 0x40);
    REFUSED(now.model.tsc_aux = 1ULL << 32);
}

static void test_fpu(void **state)
{
    REFUSED(now.fpu.xcr0 = 0);
    REFUSED(now.fpu.xcr0 = 5);
    REFUSED(now.fpu.xcr0 = 0x207);
    REFUSED(now.fpu.area[64] = 0x200);
    REFUSED(now.fpu.area[65] = 1ULL << 63);
    REFUSED(now.fpu.area[66] = 1);
    REFUSED(now.fpu.area[71] = 1);
    REFUSED(now.fpu.area[3] |= 1U << 31);
    setup_long(NULL);
    now.fpu.xcr0 = 0xe7;
    now.fpu.area[64] = 0xe7;
    now.fpu.area[72] = 1;
    assert_true(state_check(&now));
    fake_cpu_old(); /* no XSAVE, no AVX: no components beyond SSE */
    now.fpu.xcr0 = 7;
    expect_refused();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_init, setup), cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test(test_fields_cover_all),  cmocka_unit_test(test_modes),
        cmocka_unit_test(test_addresses),         cmocka_unit_test(test_events),
        cmocka_unit_test(test_model_registers),   cmocka_unit_test(test_fpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
