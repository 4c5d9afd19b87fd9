/* SPDX-License-Identifier: BSD-2-Clause */
/* The pair of 8259A, as the data sheet describes their initialisation, against pic_silence(). */
#include "vmm/host/apic.h"

#include "vmm/base/x86.h"
#include "vmm/host/port_io.h"
#include "vmm/host/trap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

struct pic {
    unsigned next; /* the ICW that is due, 0: none */
    uint8_t icw[5];
    uint8_t mask;
};

static struct pic pics[2];

void port_write(uint16_t port, unsigned width, uint32_t value)
{
    struct pic *pic = &pics[port >= 0xa0];

    assert_int_equal(width, 1);
    assert_true((port & ~0x81U) == 0x20); /* 20h, 21h, A0h, A1h */
    assert_true(value <= 0xff);
    if (port % 2 == 0) {
        assert_true(value & 0x10); /* ICW1: no other command is wanted here */
        *pic = (struct pic){.next = 2, .icw = {[1] = (uint8_t)value}};
    } else if (pic->next != 0) {
        pic->icw[pic->next] = (uint8_t)value;
        pic->next = pic->next == 4 ? 0 : pic->next + 1;
    } else {
        pic->mask = (uint8_t)value;
    }
}

uint32_t port_read(uint16_t port, unsigned width)
{
    fail();
    return 0;
}

static void test_silence(void **state)
{
    pics[0].mask = pics[1].mask = 0xb8; /* as a BIOS leaves them */
    pic_silence();
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pics[i].next, 0);
        assert_int_equal(pics[i].icw[1], 0x11);
        assert_int_equal(pics[i].icw[2] % 8, 0);
        assert_in_range(pics[i].icw[2], VECTOR_EXCEPTIONS, VECTOR_SPURIOUS - 7);
        assert_int_equal(pics[i].icw[4], 1);
        assert_int_equal(pics[i].mask, 0xff);
    }
    assert_int_equal(pics[0].icw[2] + 7, VECTOR_SPURIOUS);
    assert_int_equal(pics[0].icw[3], 1U << pics[1].icw[3]);
    /* The slave's vectors are nobody else's. */
    assert_in_range(pics[1].icw[2], VECTOR_EXCEPTIONS, VECTOR_CALL - 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
