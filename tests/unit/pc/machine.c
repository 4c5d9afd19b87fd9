/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as a guest's port accesses see it: dispatch, PCI, fw_cfg, reset. */
#include "tests/unit/pc/machine_unit.h"

static uint32_t pci_read(uint32_t address, unsigned width)
{
    out(0xcf8, 4, 0x80000000 | (address & ~3U));
    return in((uint16_t)(0xcfc + (address & 3)), width);
}

static void pci_write(uint32_t address, unsigned width, uint32_t value)
{
    out(0xcf8, 4, 0x80000000 | (address & ~3U));
    out((uint16_t)(0xcfc + (address & 3)), width, value);
}

static void test_unclaimed(void **state)
{
    assert_int_equal(in(0x5658, 1), 0xff);
    assert_int_equal(in(0x5658, 2), 0xffff);
    assert_int_equal(in(0x5658, 4), 0xffffffff);
    out(0x5658, 4, 1);
    assert_int_equal(machine.unclaimed.port_reads, 3);
    assert_int_equal(machine.unclaimed.port_writes, 1);
}

static void test_wide_accesses_are_split(void **state)
{
    out(0x70, 2, 0x5a40); /* index 40h, data 5ah */
    assert_int_equal(in(0x71, 1), 0x5a);
    assert_int_equal(in(0x70, 2), 0x5aff);
    out(0x3ff, 2, 0x1234); /* the scratch register, and a port beyond */
    assert_int_equal(in(0x3ff, 1), 0x34);
    assert_int_equal(in(0x3ff, 4), 0xffffff34);
    assert_int_equal(in(0xffff, 4) & 0xff, 0xff); /* wraps to port 0 */
    assert_int_equal(in(0xcf9, 2), 0xff00);       /* reset control, and no more */
}

static bool claims_a_byte(unsigned port, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        if (port + i <= UINT16_MAX && ports_claim(&machine, (uint16_t)(port + i), 1)) {
            return true;
        }
    }
    return false;
}

/* Wherever a VF may be: an access is the board's when a byte of it is, or it suits a wide port. */
static void test_claims(void **state)
{
    unsigned bytes = 0;

    for (unsigned port = 0; port <= UINT16_MAX; port++) {
        bytes += ports_claim(&machine, (uint16_t)port, 1);
        assert_int_equal(ports_claim(&machine, (uint16_t)port, 2),
                         claims_a_byte(port, 2) || port == 0x510);
        assert_int_equal(ports_claim(&machine, (uint16_t)port, 4),
                         claims_a_byte(port, 4) || port == 0xcf8 || port == 0x514 || port == 0x518);
    }
    /* The PICs' 6, PIT 5, keyboard 2, RTC 4, POST, A20, APM 2, delay, UART 8, debug output, fw_cfg,
     * reset, PCI 4, PM 64, SMBus 16, debug exit 4. */
    assert_int_equal(bytes, 6 + 5 + 2 + 4 + 1 + 1 + 2 + 1 + 8 + 1 + 1 + 1 + 4 + ACPI_PM_SIZE +
                                CHIPSET_SMB_SIZE + 4);
}

static void test_pirq_routing(void **state)
{
    start_pics();
    assert_int_equal(in(0x4d1, 1), 0x0e);   /* IRQ 9, 10, 11: levels, as firmware leaves them */
    pc_set_intx(&machine, 2 << 3, 1, true); /* slot 2 INTA: PIRQB: IRQ 10 */
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x2a);
    assert_int_equal(machine.ioapic.lines & 1U << 17, 1U << 17);
    pc_set_intx(&machine, (2 << 3) | 1, 1, true); /* another function shares the wire */
    pc_set_intx(&machine, 2 << 3, 1, false);
    out(0xa0, 1, 0x20);
    out(0x20, 1, 0x20);
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x2a);
    out(0xa0, 1, 0x20);
    out(0x20, 1, 0x20);
    pci_write(0x0861, 1, 0x05); /* move PIRQB to IRQ 5 */
    assert_int_equal(machine.board.line_sources[10], 0);
    out(0x4d0, 1, 0x20);
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x25);
    pci_write(0x0861, 1, 0x80);
    assert_int_equal(machine.board.line_sources[5], 0);
    assert_int_equal(machine.ioapic.lines & 1U << 17, 1U << 17);
    pci_write(0x0861, 1, 0x08); /* IRQ 8 cannot be chosen */
    assert_int_equal(machine.pirq_gsi[1], -1);
    pc_set_intx(&machine, 2 << 3, 5, true);
    pc_set_intx(&machine, 2 << 3, 0, true);
}

static void test_pci_chipset(void **state)
{
    assert_int_equal(pci_read(0x0000, 4), 0x12378086);
    assert_int_equal(pci_read(0x0800, 4), 0x70008086);
    assert_int_equal(pci_read(0x0b00, 4), 0x71138086);
    assert_int_equal(pci_read(0x080e, 1), 0x80);
    assert_int_equal(pci_read(0x0900, 4), 0xffffffff);
    assert_int_equal(pci_read(0x10000, 4), 0xffffffff); /* no bus 1 */
    assert_int_equal(pci_read(0x0b40, 4), 0x601);
    pci_write(0x0000, 4, 0);
    assert_int_equal(pci_read(0x0000, 2), 0x8086);
    pci_write(0x0058, 4, 0xffffffff); /* DRAM timing, PAM0..2 */
    assert_int_equal(pci_read(0x0058, 4), 0x333330ff);
    pci_write(0x005a, 2, 0x1111);
    assert_int_equal(pci_read(0x0059, 1), 0x30);
    assert_int_equal(pci_read(0x005a, 2), 0x1111);
    assert_true((pci_read(0x0b58, 4) & 1U << 25) != 0); /* SeaBIOS: no SMM to set up */
    out(0xcf8, 4, 0x00000000);
    assert_int_equal(in(0xcfc, 4), 0xffffffff);
    out(0xcf8, 4, 0xffffffff);
    assert_int_equal(in(0xcf8, 4), 0x80fffffc);
    assert_int_equal(in(0xcf8, 2), 0x00ff); /* not the address register: reset control */
}

static void test_pci_functions_of_the_vm(void **state)
{
    fake_edge.pci_value = 0x10001af4;
    assert_int_equal(pci_read(0x1000, 4), 0x10001af4);
    assert_int_equal(fake_edge.pci_devfn, 0x10);
    assert_int_equal(pci_read(0xff02, 2), 0x1af4);
    assert_int_equal(fake_edge.pci_devfn, 0xff);
    assert_int_equal(fake_edge.pci_offset, 2);
    pci_write(0x1004, 2, 7);
    assert_int_equal(fake_edge.pci_written, 7);
    assert_int_equal(fake_edge.pci_offset, 4);
}

static void test_pm_block_moves(void **state)
{
    now = NS_PER_S;
    assert_int_equal(in(0x608, 4), CLOCK_PM_HZ);
    pci_write(0x0b40, 4, 0xb001);
    assert_int_equal(in(0x608, 4), 0xffffffff);
    assert_int_equal(in(0xb008, 4), CLOCK_PM_HZ);
    pci_write(0x0b80, 1, 0);
    assert_int_equal(in(0xb008, 4), 0xffffffff);
    pci_write(0x0b80, 1, 1);
    pci_write(0x0b40, 4, 0xffffffff);
    assert_int_equal(pci_read(0x0b40, 4), 0xffc1);
    assert_int_equal(in(0xffc8, 4), CLOCK_PM_HZ);
}

static void test_power_off_and_button(void **state)
{
    start_pics();
    out(0x602, 2, 0x100);
    pc_power_button(&machine, now);
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x29);
    assert_int_equal(in(0x600, 2) & 0x100, 0x100);
    out(0x600, 2, 0x100);
    out(0x604, 2, 0x2001);
    assert_int_equal(fake_edge.power_offs, 1);
    assert_int_equal(fake_edge.resets, 0);
}

static void test_ways_to_reset(void **state)
{
    out(0x64, 1, 0xfe);
    assert_int_equal(fake_edge.resets, 1);
    out(0x92, 1, 0x01);
    assert_int_equal(fake_edge.resets, 2);
    assert_int_equal(in(0x92, 1), 0x01);
    out(0x92, 1, 0x02);
    assert_int_equal(in(0x92, 1), 0x02);
    out(0xcf9, 1, 0x02);
    assert_int_equal(fake_edge.resets, 2);
    out(0xcf9, 1, 0x06);
    assert_int_equal(fake_edge.resets, 3);
    out(0xcf8, 4, 0x80000600); /* not a write to CF9h */
    assert_int_equal(fake_edge.resets, 3);
}

static void test_reset_restores(void **state)
{
    pc_set_intx(&machine, 3 << 3, 1, true); /* PIRQC: IRQ 11 */
    out(0x70, 2, 0x7740);
    out(0x21, 1, 0x55);
    pci_write(0x0862, 1, 0x05);
    pci_write(0x0b40, 4, 0xb001);
    out(0x3ff, 1, 0x12);
    now = NS_PER_S;
    pc_reset(&machine, now);
    assert_int_equal(in(0x21, 1), 0xfb); /* masked, as no BIOS serves interrupts */
    assert_int_equal(in(0xa1, 1), 0xff);
    assert_int_equal(in(0x3ff, 1), 0);
    assert_int_equal(pci_read(0x0862, 1), 11);
    assert_int_equal(in(0x608, 4), CLOCK_PM_HZ);
    out(0x70, 1, 0x40);
    assert_int_equal(in(0x71, 1), 0x77);
    start_pics();
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x2b); /* the wire is still up */
}

static void test_console(void **state)
{
    start_pics();
    for (const char *c = "ok"; *c != '\0'; c++) {
        out(0x3f8, 1, (uint8_t)*c);
    }
    assert_string_equal(fake_edge.console, "ok");
    out(0x3fc, 1, 0x08);
    out(0x3f9, 1, 0x01);
    assert_true(pc_console_read(&machine, 'x', now));
    assert_false(pc_console_read(&machine, 'y', now));
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x24);
    assert_int_equal(in(0x3f8, 1), 'x');
    /* A console that is behind holds the driver up by what the UART says, and then lets it go. */
    out(0x20, 1, 0x20);
    out(0x3f9, 1, 0x02);
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x24);
    assert_int_equal(in(0x3fa, 1), 0x02);
    out(0x20, 1, 0x20);
    fake_edge.console_full = true;
    out(0x3f8, 1, '!');
    assert_string_equal(fake_edge.console, "ok!");
    assert_int_equal(in(0x3fd, 1), 0x00);
    assert_false(pc_interrupt_pending(&machine, 0));
    fake_edge.console_full = false;
    pc_console_ready(&machine, now);
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x24);
    assert_int_equal(in(0x3fd, 1), 0x60);
}

/* A driver that never reads IIR gets an interrupt for each byte that it sends, all the same. */
static void test_transmitter_edges(void **state)
{
    start_pics();
    out(0x3fc, 1, 0x08);
    out(0x3f9, 1, 0x02);
    for (const char *c = "ok"; *c != '\0'; c++) {
        assert_int_equal(pc_interrupt_take(&machine, 0), 0x24);
        out(0x3f8, 1, (uint8_t)*c);
        out(0x20, 1, 0x20);
    }
    assert_int_equal(pc_interrupt_take(&machine, 0), 0x24);
    out(0x3f9, 1, 0x00);
    out(0x20, 1, 0x20);
    assert_false(pc_interrupt_pending(&machine, 0));
}

static void test_keyboard_edges(void **state)
{
    start_pics();
    out(0x60, 1, 0xff);
    for (unsigned i = 0; i < 2; i++) { /* FAh, AAh: an interrupt for each byte */
        assert_int_equal(pc_interrupt_take(&machine, 0), 0x21);
        out(0x20, 1, 0x20);
        assert_int_equal(in(0x60, 1), i == 0 ? 0xfa : 0xaa);
    }
    assert_false(pc_interrupt_pending(&machine, 0));
}

static void test_debug_exit_and_delays(void **state)
{
    out(0x80, 1, 0x42);
    assert_int_equal(in(0x80, 1), 0x42);
    out(0xed, 1, 0);
    out(DEBUG_EXIT, 1, 0x10);
    assert_int_equal(fake_edge.debug_exit_value, 0x10);
    out(DEBUG_EXIT, 4, 0x12345678);
    assert_int_equal(fake_edge.debug_exit_value, 0x12345678);
    assert_int_equal(fake_edge.debug_exits, 2);
}

static void select_item(uint16_t item)
{
    out(0x510, 2, item);
}

static uint32_t item_number(unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes; i++) {
        value |= in(0x511, 1) << 8 * i;
    }
    return value;
}

static void test_fw_cfg(void **state)
{
    select_item(0);
    assert_int_equal(item_number(4), 0x554d4551); /* "QEMU" */
    assert_int_equal(in(0x511, 1), 0);
    select_item(1);
    assert_int_equal(item_number(4), 3);
    select_item(5);
    assert_int_equal(item_number(2), 2);
    select_item(0x0f);
    assert_int_equal(item_number(2), 2);
    select_item(3);
    assert_int_equal(item_number(4), 512U << 20);
    select_item(0x19); /* the directory of files: empty */
    assert_int_equal(item_number(4), 0);
    select_item(0x1234);
    assert_int_equal(item_number(4), 0);
}

static void test_smbus_has_no_devices(void **state)
{
    out(0x704, 1, 0xa1);
    out(0x702, 1, 0x48);
    assert_int_equal(in(0x700, 1), 0x04);
    assert_int_equal(in(0x702, 1), 0x08);
    out(0x700, 1, 0x1f);
    assert_int_equal(in(0x700, 1), 0);
}

static void test_debug_exit_at_a_device(void **state)
{
    struct pc_config config = fake_edge_config(1);

    config.debug_exit = 0x3f7; /* its second port is the UART's */
    assert_int_equal(pc_init(&machine, &config), STATUS_CONFLICT);
    assert_true(fake_log_contains("debug_exit = 0x3f7"));
}

static uint32_t video[VGA_MEMORY_SIZE / 4];
static unsigned others;

/* The other vCPU's accesses, between the end of a mode's OUT under the lock and its clearing. */
static void wait_and_write(void)
{
    others++;
    out(0x80, 1, 0);
    (void)pc_mmio_write(&machine, 1, gpa(0xfebf0500), 2, 0, now);
    assert_int_equal(video[0], 0xeeeeeeee);
}

/* The memory for a mode is cleared by who sets the mode, before its access is over: not by another
 * vCPU, which may be slow, so that it would wipe out what is drawn by then. */
static void test_screen_is_cleared_by_its_writer(void **state)
{
    struct pc_config config = fake_edge_config(2);

    config.screen = video;
    assert_int_equal(pc_init(&machine, &config), STATUS_OK);
    out(VGA_VBE_PORTS, 2, VBE_ENABLE);
    memset(video, 0xee, sizeof(video));
    fake_edge.unlocked = wait_and_write;
    out(VGA_VBE_PORTS + 1, 2, VBE_ENABLED);
    assert_int_equal(video[0], 0);
    out(VGA_VBE_PORTS + 1, 2, 0);
    memset(video, 0xee, sizeof(video));
    fake_edge.unlocked = wait_and_write;
    (void)pc_mmio_write(&machine, 0, gpa(0xfebf0508), 2, VBE_ENABLED, now);
    assert_int_equal(video[0], 0);
    assert_int_equal(others, 2);
}

static void test_size(void **state)
{
    assert_true(sizeof(struct pc) <= 22UL * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unclaimed),
        TEST(test_wide_accesses_are_split),
        TEST(test_claims),
        TEST(test_pirq_routing),
        TEST(test_pci_chipset),
        TEST(test_pci_functions_of_the_vm),
        TEST(test_pm_block_moves),
        TEST(test_power_off_and_button),
        TEST(test_ways_to_reset),
        TEST(test_reset_restores),
        TEST(test_console),
        TEST(test_transmitter_edges),
        TEST(test_keyboard_edges),
        TEST(test_debug_exit_and_delays),
        TEST(test_fw_cfg),
        TEST(test_smbus_has_no_devices),
        TEST(test_debug_exit_at_a_device),
        TEST(test_screen_is_cleared_by_its_writer),
        TEST(test_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
