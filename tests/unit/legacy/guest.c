/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/legacy/guest.h"

#include "tests/unit/fakes/log.h"

struct legacy_set guest;
struct legacy_function guest_function[FAKE_VFS];
enum legacy_transport guest_transport = LEGACY_TRANSPORT_MMR;

void guest_start(uint16_t type, unsigned count)
{
    fake_clear(type);
    fake_log_clear();
    legacy_init(&guest, "test");
    for (unsigned n = 0; n < count; n++) {
        struct legacy_setup setup = fake_setup(n, guest_transport);

        assert_int_equal(legacy_add(&guest, &guest_function[n], &setup), STATUS_OK);
        fake_forget(n);
    }
}

void guest_check(void)
{
    assert_int_equal(fake.bad_locking, 0);
    assert_int_equal(fake.same_lines, 0);
    for (unsigned n = 0; n < guest.count; n++) {
        const struct legacy_function *f = &guest_function[n];
        bool line = f->state.isr != 0 && !f->irq.msix && !f->irq.intx_disable;

        assert_int_equal(fake.vf[n].bad, 0);
        assert_int_equal(fake.line[n], line);
    }
}

/* As a guest's exits are served: at once where that needs no waiting. */
uint32_t in(unsigned port, unsigned width)
{
    uint32_t value = 0;

    if (!legacy_port_read_now(&guest, (uint16_t)port, width, &value) &&
        !legacy_port_read(&guest, (uint16_t)port, width, &value)) {
        return width == 4 ? 0xffffffffU : (1U << 8 * width) - 1;
    }
    assert_true(width == 4 || value >> 8 * width == 0);
    return value;
}

void out(unsigned port, unsigned width, uint32_t value)
{
    if (width == 2 && legacy_notify(&guest, (uint16_t)port, (uint16_t)value)) {
        return;
    }
    if (!legacy_port_write_now(&guest, (uint16_t)port, width, value)) {
        (void)legacy_port_write(&guest, (uint16_t)port, width, value);
    }
}

uint32_t config_in(unsigned n, unsigned offset, unsigned width)
{
    return legacy_config_read(&guest, (uint8_t)((2 + n) << 3), (uint8_t)offset, width);
}

void config_out(unsigned n, unsigned offset, unsigned width, uint32_t value)
{
    legacy_config_write(&guest, (uint8_t)((2 + n) << 3), (uint8_t)offset, width, value);
    legacy_settle(&guest);
}

uint32_t mmio_in(unsigned n, unsigned offset)
{
    uint64_t value = 0;

    assert_true(legacy_mmio_read(&guest, gpa(MMIO(n) + offset), 4, &value));
    return (uint32_t)value;
}

void mmio_out(unsigned n, unsigned offset, uint32_t value)
{
    assert_true(legacy_mmio_write(&guest, gpa(MMIO(n) + offset), 4, value));
}

void guest_msix_entry(unsigned n, unsigned entry, uint8_t vector)
{
    mmio_out(n, entry * 16, 0xfee00000);
    mmio_out(n, entry * 16 + 4, 0);
    mmio_out(n, entry * 16 + 8, vector);
    mmio_out(n, entry * 16 + 12, 0);
}

void guest_msix(unsigned n, uint32_t control)
{
    config_out(n, 0x42, 2, control);
}

void guest_queue(unsigned n, unsigned queue, uint32_t pfn)
{
    out(IO(n) + LEGACY_QUEUE_SELECT, 2, queue);
    out(IO(n) + LEGACY_QUEUE_PFN, 4, pfn);
}

unsigned guest_messages(uint8_t vector)
{
    unsigned count = 0;

    for (unsigned i = 0; i < fake.messages && i < FAKE_LOG; i++) {
        count += fake.message[i].data == vector;
    }
    return count;
}
