/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vmx/fake_vmcs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

uint64_t fake_vmcs[0x8000];
uint64_t fake_cr2, fake_dr6, fake_invept_pointer;
unsigned fake_invepts, fake_nmis, fake_clears, fake_verws, fake_vmcs_writes;
bool fake_vmxon_refuses;

/* SDM 3, 25.11.2: bits 14:13 of an encoding are the width, bits 11:10 the type. */
static uint64_t fit(unsigned field, uint64_t value)
{
    static const uint64_t masks[] = {UINT16_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX};

    assert_true(field < 0x8000 && field % 2 == 0);
    return value & masks[field >> 13 & 3];
}

uint64_t vmcs_read(enum vmcs_field field)
{
    return fit(field, fake_vmcs[field]);
}

void vmcs_write(enum vmcs_field field, uint64_t value)
{
    assert_int_not_equal(field >> 10 & 3, 1);
    fake_vmcs_writes++;
    fake_vmcs[field] = fit(field, value);
}

void fake_vmcs_fill(uint64_t value)
{
    for (unsigned field = 0; field < 0x8000; field += 2) {
        fake_vmcs[field] = fit(field, value);
    }
}

bool vmx_on(uint64_t region)
{
    return !fake_vmxon_refuses;
}

bool vmcs_clear(uint64_t vmcs)
{
    fake_clears++;
    return true;
}

bool vmcs_load(uint64_t vmcs)
{
    return true;
}

void vmx_invept(uint64_t type, uint64_t pointer)
{
    fake_invepts++;
    fake_invept_pointer = pointer;
}

uint64_t vmx_read_cr2(void)
{
    return fake_cr2;
}

void vmx_write_cr2(uint64_t value)
{
    fake_cr2 = value;
}

uint64_t vmx_read_dr6(void)
{
    return fake_dr6;
}

void vmx_write_dr6(uint64_t value)
{
    fake_dr6 = value;
}

void vmx_clear_buffers(void)
{
    fake_verws++;
}

void vmx_serve_nmi(void)
{
    fake_nmis++;
}
