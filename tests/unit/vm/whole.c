/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vm/whole.h"

#include "tests/unit/fakes/pages.h"
#include "tests/unit/vm/fake_cpu.h"
#include "tests/unit/vm/fake_vm.h"
#include "vmm/host/msr.h"
#include "vmm/host/pool.h"
#include "vmm/vm/msr_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct vcpu *const vcpu = &fake_vcpu;
static struct fpu_registers fpu;
static bool fpu_wide;

void fpu_save(struct fpu_registers *to, bool wide)
{
    *to = fpu;
    fpu_wide = wide;
}

void fpu_load(const struct fpu_registers *from, bool wide)
{
    fpu = *from;
    fpu_wide = wide;
}

void fpu_set_reset(struct fpu_registers *registers)
{
    *registers = (struct fpu_registers){.xcr0 = 1};
}

uint64_t fpu_components(void)
{
    return 7;
}

uint32_t fpu_mxcsr_mask(void)
{
    return 0xffff;
}

void whole_setup(const struct backend *chosen)
{
    fake_msr_set(MSR_TSC_AUX, 0);
    fake_pages_reset(8);
    fake_vm_reset();
    fake_vm.base_tsc = 12345;
    fake_vm.nested.root = hpa(0x777000);
    backend = chosen;
    vcpu->backend = pool_allocate(backend->vcpu_size, PAGE_SIZE);
    assert_non_null(vcpu->backend);
    srandom(1);
}

/* Any bytes, where the fields' ranges allow them. */
static void make_up(struct cpu_state *state)
{
    memset(state, 0, sizeof(*state));
    for (unsigned i = 0; i < cpu_section.fields; i++) {
        const struct field *field = &cpu_section.field[i];

        for (unsigned n = 0; n < field->count; n++) {
            uint64_t value =
                (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();

            value = field->max == UINT64_MAX ? value : value % (field->max + 1);
            memcpy((char *)state + field->offset + (size_t)n * field->stride, &value, field->width);
        }
    }
    if (state->event_kind == VCPU_EVENT_NONE) {
        state->event_vector = state->event_has_error = 0;
        state->event_error = 0;
    }
    own_settle(state);
    state->requests = state->startup_vector = 0; /* other CPUs' */
    fake_platform.cr8 = 0;                       /* as if the local APIC's state came later */
}

static void fill_with_garbage(void)
{
    own_fill_with_garbage();
    backend->write(vcpu, BACKEND_TSC_RATIO, GARBAGE_WORD);
    memset(vcpu, GARBAGE, offsetof(struct vcpu, event));
    memset(&vcpu->model, GARBAGE, sizeof(vcpu->model));
    memset(&fpu, GARBAGE, sizeof(fpu));
    vcpu->event = (struct vcpu_event){VCPU_EVENT_NMI, GARBAGE, true, (uint32_t)GARBAGE_WORD};
    vcpu->activity = VCPU_HALTED;
    vcpu->requests = vcpu->startup_vector = (uint32_t)GARBAGE_WORD;
    vcpu->tsc_offset = GARBAGE_WORD;
    vcpu->held = vcpu->shadow = vcpu->nmi_blocked = vcpu->nmi_pending = true;
    vcpu->window = vcpu->cr8_watched = vcpu->look_soon = true;
    vcpu->held_vector = vcpu->cr8 = GARBAGE;
    fake_platform.cr8 = 5;
    fake_msr_set(MSR_TSC_AUX, GARBAGE);
}

/* The VM's own rate, whatever another one has left in the CPU. */
static void check_tsc(const struct cpu_state *loaded)
{
    uint64_t one = 1ULL << backend_offers.tsc_ratio.fraction;

    assert_int_equal(backend->read(vcpu, BACKEND_TSC_RATIO),
                     fake_vm.tsc_ratio ? fake_vm.tsc_ratio : one);
    assert_int_equal(backend->read(vcpu, BACKEND_TSC_OFFSET), loaded->tsc_offset - 12345);
}

static void check_round(void)
{
    static struct cpu_state first, second;

    make_up(&first);
    fake_vm.tsc_ratio = (uint64_t)random() % 3;
    vcpu_load(vcpu, &first);
    if (vcpu->event.kind == VCPU_EVENT_NONE) { /* backends leave what was delivered */
        vcpu->event = (struct vcpu_event){VCPU_EVENT_NONE, GARBAGE, true, GARBAGE};
    }
    memset(&second, GARBAGE, sizeof(second));
    vcpu_save(vcpu, &second);
    assert_memory_equal(&first, &second, sizeof(first));
    fill_with_garbage();
    vcpu_load(vcpu, &second);
    own_check_loaded(&first);
    check_tsc(&first);
    assert_false(vcpu->window || vcpu->cr8_watched || vcpu->look_soon);
    assert_true(vcpu->timer_due);
    assert_int_equal(fake_msr(MSR_TSC_AUX), first.model.tsc_aux);
    assert_int_equal(fake_platform.tsc_offset, first.tsc_offset);
    assert_int_equal(fpu_wide, (first.efer & EFER_LMA) != 0);
    memset(&second, GARBAGE, sizeof(second));
    vcpu_save(vcpu, &second);
    assert_memory_equal(&first, &second, sizeof(first));
}

void whole_check_rounds(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        check_round();
    }
}

void whole_test_passed(void **state)
{
    static struct cpu_state made, saved;
    unsigned passed = 0;

    state_set_reset(&made);
    for (unsigned i = 0; i < msr_row_count; i++) {
        if (msr_rows[i].kind == MSR_KIND_PASSED) {
            ((uint64_t *)&made)[msr_rows[i].kept] = 0x1000 + i;
        }
    }
    backend->set_state(vcpu, &made);
    backend->get_state(vcpu, &saved);
    for (unsigned i = 0; i < msr_row_count; i++) {
        if (msr_rows[i].kind == MSR_KIND_PASSED) {
            assert_int_equal(msr_rows[i].first, msr_rows[i].last);
            assert_int_equal(((uint64_t *)&saved)[msr_rows[i].kept], 0x1000 + i);
            passed++;
        }
    }
    assert_true(passed > 0);
}

void whole_test_requests(void **state)
{
    static struct cpu_state made;

    make_up(&made);
    vcpu_load(vcpu, &made);
    vcpu->requests = VCPU_REQUEST_NMI;
    vcpu->startup_vector = 0x99;
    vcpu_save(vcpu, &made);
    assert_int_equal(made.requests | made.startup_vector, 0);
    made.requests = VCPU_REQUEST_INIT;
    vcpu_load(vcpu, &made);
    assert_int_equal(vcpu->requests, VCPU_REQUEST_NMI);
    assert_int_equal(vcpu->startup_vector, 0x99);
}
