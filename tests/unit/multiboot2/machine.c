/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader finds in the machine: RSDP, screen, and devices that may do DMA. */
#include "boot/multiboot2/mb2_machine.h"
#include "vmm/base/types.h"
#include "vmm/host/port_io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- RSDP ---- */

static void rsdp_put(uint8_t *at)
{
    uint8_t sum = 0;

    memcpy(at, "RSD PTR \0PORTOL\0", 16);
    memset(at + 16, 0x11, 4);
    for (unsigned i = 0; i < RSDP_SIZE_MIN; i++) {
        sum = (uint8_t)(sum + at[i]);
    }
    at[8] = (uint8_t)(0x100 - sum);
}

static void test_rsdp(void **state)
{
    uint8_t *bytes = calloc(1, 1024);

    assert_non_null(bytes);
    assert_int_equal(rsdp_search(bytes, 1024), 1024);
    rsdp_put(bytes + 1000); /* no multiple of 16 */
    assert_int_equal(rsdp_search(bytes, 1024), 1024);
    rsdp_put(bytes + 512);
    rsdp_put(bytes + 256);
    assert_int_equal(rsdp_search(bytes, 1024), 256);
    bytes[256 + 19] ^= 1;
    assert_int_equal(rsdp_search(bytes, 1024), 512);
    assert_int_equal(rsdp_search(bytes, 512 + 19), 512 + 19);
    assert_int_equal(rsdp_search(bytes, 512 + 20), 512);
    assert_false(rsdp_is_sound(bytes + 512, 19));
    free(bytes);
}

/* ---- screen ---- */

static const struct information_framebuffer good = {
    0xe0000000, 4096, 1024, 768, 32, INFORMATION_RGB, {0}, 16, 8, 8, 8, 0, 8, {0}};

static uint32_t pixel(struct information_framebuffer screen)
{
    return framebuffer_convert(&screen).pixel;
}

static void test_framebuffer(void **state)
{
    struct information_framebuffer screen = good;
    struct handoff_framebuffer framebuffer = framebuffer_convert(&screen);

    assert_int_equal(framebuffer.base, 0xe0000000);
    assert_int_equal(framebuffer.width, 1024);
    assert_int_equal(framebuffer.height, 768);
    assert_int_equal(framebuffer.pitch, 4096);
    assert_int_equal(framebuffer.pixel, HANDOFF_PIXEL_BGRX);
    screen.red = 0;
    assert_int_equal(pixel(screen), HANDOFF_PIXEL_NONE);
    screen.blue = 16;
    assert_int_equal(pixel(screen), HANDOFF_PIXEL_RGBX);
    screen.green = 0;
    assert_int_equal(pixel(screen), HANDOFF_PIXEL_NONE);
}

static void test_framebuffer_unusable(void **state)
{
    struct information_framebuffer bad[10];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        bad[i] = good;
    }
    bad[0].type = 2; /* text */
    bad[1].bits = 24;
    bad[2].base = 0;
    bad[3].width = 0;
    bad[4].height = 0;
    bad[5].width = 1025;
    bad[6].red_bits = 10;
    bad[7].pitch = 0;
    bad[8].base = UINT64_MAX - 4096;
    bad[9].type = 0; /* colours by index */
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(pixel(bad[i]), HANDOFF_PIXEL_NONE);
    }
}

/* ---- PCI: functions behind ports CF8h and CFCh ---- */

struct function {
    uint32_t bus, device, number;
    uint32_t class;
    uint32_t header;
    uint32_t command; /* and status */
};

static struct function functions[] = {
    {0,   0,  0, 0x06000002, 0,        0x22800107}, /* host bridge: always master */
    {0,   1,  0, 0x06010000, 1U << 23, 0x02000107}, /* ISA bridge, with */
    {0,   1,  1, 0x01018000, 0,        0x02800005}, /* an IDE controller */
    {0,   2,  0, 0x03000000, 0,        0x00000007}, /* screen */
    {0,   3,  0, 0x06040000, 1U << 16, 0x00100006}, /* bridge to PCI */
    {0,   4,  0, 0x07000002, 0,        0x00000005}, /* serial port */
    {0,   5,  0, 0x02000000, 0,        0x00000003}, /* a network card that is no master */
    {0,   6,  0, 0x02000000, 0,        0x00000007}, /* one function: what answers at 1 is a ghost */
    {0,   6,  1, 0x02000000, 0,        0x00000007},
    {255, 31, 7, 0x0c033000, 1U << 23, 0x00000006}, /* not found without function 0 */
    {254, 31, 0, 0x0c033000, 1U << 23, 0x00000006},
    {254, 31, 7, 0x0c033000, 1U << 23, 0x00000006},
};

static bool no_ports;
static uint32_t address;
static unsigned writes;

static struct function *selected(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        struct function *function = &functions[i];
        if (address >> 8 ==
            (1U << 23 | function->bus << 8 | function->device << 3 | function->number)) {
            return function;
        }
    }
    return NULL;
}

uint32_t port_read(uint16_t port, unsigned width)
{
    const struct function *function = selected();

    assert_int_equal(width, 4);
    if (no_ports) {
        return UINT32_MAX;
    }
    if (port == 0xcf8) {
        return address;
    }
    assert_int_equal(port, 0xcfc);
    if (function == NULL) {
        return UINT32_MAX;
    }
    switch (address & 0xff) {
    case 0x00:
        return 0x12348086;
    case 0x04:
        return function->command;
    case 0x08:
        return function->class;
    case 0x0c:
        return function->header;
    default:
        fail();
        return 0;
    }
}

void port_write(uint16_t port, unsigned width, uint32_t value)
{
    if (port == 0xcf8) {
        assert_int_equal(width, 4);
        address = value;
        return;
    }
    assert_int_equal(port, 0xcfc);
    assert_int_equal(width, 2); /* the status half must not be written */
    assert_int_equal(address & 0xff, 4);
    struct function *function = selected();
    assert_non_null(function);
    function->command = (function->command & 0xffff0000) | value;
    writes++;
}

static void test_pci(void **state)
{
    static const uint32_t wanted[ARRAY_SIZE(functions)] = {
        0x22800107, 0x02000107, 0x02800001, 0x00000007, 0x00100002, 0x00000005,
        0x00000003, 0x00000003, 0x00000007, 0x00000006, 0x00000002, 0x00000002,
    };

    no_ports = true;
    pci_quiesce();
    assert_int_equal(writes, 0);
    no_ports = false;
    pci_quiesce();
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        assert_int_equal(functions[i].command, wanted[i]);
    }
    assert_int_equal(writes, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rsdp),
        cmocka_unit_test(test_framebuffer),
        cmocka_unit_test(test_framebuffer_unusable),
        cmocka_unit_test(test_pci),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
