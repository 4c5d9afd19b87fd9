/* SPDX-License-Identifier: BSD-2-Clause */
/* NMIs may come while this CPU holds the log's lock. */
#include "vmm/host/trap.h"

#include "tests/unit/fakes/log.h"
#include "vmm/base/x86.h"
#include "vmm/host/apic.h"
#include "vmm/host/gdt.h"
#include "vmm/host/panic.h"
#include "vmm/host/timer.h"
#include "vmm/host/vector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* trap_entry.S and the linker script. */
const uint8_t trap_entries[256 * 16];
const uint64_t expected_faults[1], expected_faults_end[1];

static unsigned eois, fired;

void apic_eoi(void)
{
    eois++;
}

void timer_fired(void)
{
    fired++;
}

bool vector_handle(uint64_t vector)
{
    return true;
}

bool panic_stop_requested(void)
{
    return false;
}

void panic_exception(const struct trap_frame *frame)
{
    fail_msg("vector %u", (unsigned)frame->vector);
    __builtin_unreachable();
}

void gdt_build(struct gdt *gdt, const struct tss *tss) {}

struct gate gate_build(uint64_t handler, unsigned ist)
{
    return (struct gate){0};
}

void gdt_load(const struct gdt *gdt) {}

static void come(uint64_t vector)
{
    struct trap_frame frame = {.vector = vector};

    trap_handle(&frame);
}

/* Nothing is said, and no interrupt ended, before an ordinary interrupt comes; then it is said
 * once.
 */
static void test_nmi(void **state)
{
    fake_log_clear();
    eois = 0;
    come(VECTOR_NMI);
    come(VECTOR_NMI);
    assert_string_equal(fake_log_text(), "");
    assert_int_equal(eois, 0);
    come(VECTOR_TIMER);
    assert_true(fake_log_contains("2 NMIs that nobody asked for"));
    assert_int_equal(eois, 1);
    assert_int_equal(fired, 1);
    fake_log_clear();
    come(VECTOR_KICK);
    come(0x40);
    assert_string_equal(fake_log_text(), "");
    assert_int_equal(eois, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nmi),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
