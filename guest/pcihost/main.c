/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration by CF8h and CFCh: the chipset's functions, widths and alignments, what is not
 * there, what cannot be written, and what is kept.
 */
#include "guest/lib/guest.h"

#include <stdio.h>
#include <string.h>

#define ADDRESS     0xcf8
#define DATA        0xcfc
#define ENABLE      0x80000000U
#define HOST        0x0000U /* bus 0, device 0, function 0 */
#define ISA         0x0800U
#define PM          0x0b00U
#define ABSENT      0xf800U
#define HOST_ID     0x12378086U
#define ISA_ID      0x70008086U
#define PM_ID       0x71138086U
#define COMMAND     0x04
#define CLASS       0x08
#define HEADER      0x0c
#define PAM         0x59
#define PIRQ_ROUTES 0x60
#define PM_BASE     0x40

static bool lenient;

static uint32_t config(uint32_t function, uint32_t reg)
{
    outl(ADDRESS, ENABLE | function | (reg & ~3U));
    return inl(DATA);
}

static uint16_t config16(uint32_t function, uint32_t reg)
{
    outl(ADDRESS, ENABLE | function | (reg & ~3U));
    return inw((uint16_t)(DATA + (reg & 2)));
}

static uint8_t config8(uint32_t function, uint32_t reg)
{
    outl(ADDRESS, ENABLE | function | (reg & ~3U));
    return inb((uint16_t)(DATA + (reg & 3)));
}

static void config_write(uint32_t function, uint32_t reg, uint32_t value)
{
    outl(ADDRESS, ENABLE | function | (reg & ~3U));
    outl(DATA, value);
}

static void config8_write(uint32_t function, uint32_t reg, uint8_t value)
{
    outl(ADDRESS, ENABLE | function | (reg & ~3U));
    outb((uint16_t)(DATA + (reg & 3)), value);
}

static void test_identity(void)
{
    test_group("host bridge, ISA bridge, power management");
    CHECK_EQUAL(config(HOST, 0), HOST_ID);
    CHECK_EQUAL(config(ISA, 0), ISA_ID);
    CHECK_EQUAL(config(PM, 0), PM_ID);
    CHECK_EQUAL(config(HOST, CLASS) >> 16, 0x0600);
    CHECK_EQUAL(config(ISA, CLASS) >> 16, 0x0601);
    CHECK_EQUAL(config(PM, CLASS) >> 16, 0x0680);
    CHECK_EQUAL(config8(HOST, HEADER + 2) & 0x7f, 0);
    CHECK_EQUAL(config8(ISA, HEADER + 2), 0x80); /* several functions */
}

static void test_widths(void)
{
    test_group("widths: bytes and words are parts of the double word");
    for (uint32_t reg = 0; reg < 64; reg += 4) {
        uint32_t whole = config(ISA, reg);

        CHECK_EQUAL(config16(ISA, reg), whole & 0xffff);
        CHECK_EQUAL(config16(ISA, reg + 2), whole >> 16);
        for (unsigned i = 0; i < 4; i++) {
            CHECK_EQUAL(config8(ISA, reg + i), whole >> 8 * i & 0xff);
        }
    }
    outl(ADDRESS, ENABLE | HOST);
    if (lenient) {
        printf("skipped: an odd word within the double word: QEMU has no such access\n");
    } else {
        CHECK_EQUAL(inw(DATA + 1), HOST_ID >> 8 & 0xffff);
    }
}

static void test_address(void)
{
    test_group("CF8h reads back, whole only");
    outl(ADDRESS, ENABLE | 0x00ffff00 | 0x3c);
    CHECK_EQUAL(inl(ADDRESS), ENABLE | 0x00ffff00 | 0x3c);
    outl(ADDRESS, 0);
    CHECK_EQUAL(inl(ADDRESS), 0);
    outl(ADDRESS, HOST); /* without the enable bit: an ordinary port access, and nobody there */
    CHECK_EQUAL(inl(DATA), 0xffffffff);
    outl(ADDRESS, ENABLE | ISA);
    outb(ADDRESS, 0x08); /* no double word: not for the address register */
    outw(ADDRESS + 2, 0);
    CHECK_EQUAL(inl(ADDRESS), ENABLE | ISA);
    CHECK_EQUAL(inl(DATA), ISA_ID);
}

static void test_absent(void)
{
    test_group("what is not there reads as all ones, and swallows writes");
    CHECK_EQUAL(config(ABSENT, 0), 0xffffffff);
    CHECK_EQUAL(config16(ABSENT, 2), 0xffff);
    CHECK_EQUAL(config8(ABSENT, 0x3d), 0xff);
    CHECK_EQUAL(config(HOST | 0x100, 0), 0xffffffff);
    CHECK_EQUAL(config(HOST | 0x10000, 0), 0xffffffff);  /* bus 1 */
    CHECK_EQUAL(config(HOST | 0xff0000, 0), 0xffffffff); /* bus 255 */
    config_write(ABSENT, COMMAND, 7);
    config_write(HOST | 0x10000, COMMAND, 7);
    CHECK_EQUAL(config(ABSENT, COMMAND), 0xffffffff);
}

static void test_read_only(void)
{
    static const uint32_t functions[] = {HOST, ISA, PM};

    test_group("read-only registers");
    for (unsigned i = 0; i < 3; i++) {
        uint32_t id = config(functions[i], 0), class = config(functions[i], CLASS);
        uint8_t header = config8(functions[i], HEADER + 2);

        config_write(functions[i], 0, 0);
        config_write(functions[i], CLASS, 0x12345678);
        config8_write(functions[i], HEADER + 2, 0x55);
        CHECK_EQUAL(config(functions[i], 0), id);
        CHECK_EQUAL(config(functions[i], CLASS), class);
        CHECK_EQUAL(config8(functions[i], HEADER + 2), header);
        /* They have no BARs: sizing one finds nothing. */
        config_write(functions[i], 0x10, 0xffffffff);
        CHECK_EQUAL(config(functions[i], 0x10), 0);
    }
}

static void test_pam(void)
{
    uint8_t before[7];

    test_group("PAM registers keep their bits, each by itself");
    for (unsigned i = 0; i < 7; i++) {
        before[i] = config8(HOST, PAM + i);
    }
    for (unsigned i = 0; i < 7; i++) {
        uint8_t mask = i == 0 ? 0x30 : 0x33, neighbour = config8(HOST, PAM + (i ? i - 1 : 1));

        config8_write(HOST, PAM + i, 0x11 & mask);
        CHECK_EQUAL(config8(HOST, PAM + i) & mask, 0x11 & mask);
        config8_write(HOST, PAM + i, mask);
        CHECK_EQUAL(config8(HOST, PAM + i) & mask, mask);
        CHECK_EQUAL(config8(HOST, PAM + (i ? i - 1 : 1)), neighbour);
        config8_write(HOST, PAM + i, before[i]);
        CHECK_EQUAL(config8(HOST, PAM + i), before[i]);
    }
}

static void test_routes(void)
{
    uint32_t before = config(ISA, PIRQ_ROUTES);

    test_group("PIRQ routes");
    config_write(ISA, PIRQ_ROUTES, 0x80808080);
    CHECK_EQUAL(config(ISA, PIRQ_ROUTES), 0x80808080);
    config8_write(ISA, PIRQ_ROUTES + 2, 0x0b);
    CHECK_EQUAL(config(ISA, PIRQ_ROUTES), 0x800b8080);
    CHECK_EQUAL(config16(ISA, PIRQ_ROUTES + 2), 0x800b);
    config_write(ISA, PIRQ_ROUTES, 0xffffffff);
    if (lenient) {
        printf("skipped: reserved bits of the routes: QEMU keeps them\n");
    } else {
        CHECK_EQUAL(config(ISA, PIRQ_ROUTES), 0x8f8f8f8f);
    }
    config_write(ISA, PIRQ_ROUTES, before);
    CHECK_EQUAL(config(ISA, PIRQ_ROUTES), before);
}

/* Move the power management block and see its timer there. */
static void test_pm_base(void)
{
    uint32_t before = config(PM, PM_BASE);

    test_group("the PM block follows its base register");
    CHECK_EQUAL(before & 1, 1);
    uint16_t old = (uint16_t)(before & 0xffc0);

    CHECK(inl((uint16_t)(old + 8)) != 0xffffffff);
    config_write(PM, PM_BASE, 0xb000);
    CHECK_EQUAL(config(PM, PM_BASE) & 0xffc0, 0xb000);
    CHECK(inl(0xb008) != 0xffffffff);
    CHECK_EQUAL(inl((uint16_t)(old + 8)), 0xffffffff);
    config_write(PM, PM_BASE, before);
    CHECK_EQUAL(config(PM, PM_BASE), before);
    CHECK(inl((uint16_t)(old + 8)) != 0xffffffff);
}

int main(void)
{
    lenient = strstr(guest_command_line(), "lenient") != NULL;
    test_identity();
    test_widths();
    test_address();
    test_absent();
    test_read_only();
    test_pam();
    test_routes();
    test_pm_base();
    test_end();
}
