/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables that a BIOS leaves for systems: MP, ACPI, SMBIOS; and that its segment is read-only. */
#include "guest/bios/bios.h"

#define SEGMENT       0xf0000U
#define SEGMENT_END   0x100000U
#define ROW           16U
#define COPY_ADDRESS  0x30000U
#define COPY_MAX      4096U
#define MP_CPU        0U
#define MP_CPU_SIZE   20U
#define MP_OTHER_SIZE 8U

static bool has_text(uint32_t address, const char *text)
{
    for (unsigned i = 0; text[i] != '\0'; i++) {
        if (low_get(address + i, 1) != (uint8_t)text[i]) {
            return false;
        }
    }
    return true;
}

static uint8_t sum_of(uint32_t address, uint32_t length)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + low_get(address + i, 1));
    }
    return sum;
}

static uint32_t find(const char *text)
{
    uint32_t at = SEGMENT;

    while (at < SEGMENT_END && !has_text(at, text)) {
        at += ROW;
    }
    check(at < SEGMENT_END, text);
    return at;
}

/* INT 15h 87h: the BIOS goes to protected mode to copy from anywhere. */
static void copy_high(uint32_t from, uint32_t size)
{
    static uint8_t gdt[6][8];
    const uint32_t places[2] = {from, COPY_ADDRESS};

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *d = gdt[2 + i];

        d[0] = d[1] = 0xff;
        for (unsigned byte = 0; byte < 3; byte++) {
            d[2 + byte] = (uint8_t)(places[i] >> 8 * byte);
        }
        d[5] = 0x93;
        d[7] = (uint8_t)(places[i] >> 24);
    }
    struct registers r = {.eax = 0x8700, .ecx = size / 2, .esi = (uint32_t)(uintptr_t)gdt};
    bios_call(0x15, &r);
    check((r.flags & FLAG_CARRY) == 0, "87h copies");
}

/* The table at ADDRESS, whole, at COPY_ADDRESS. */
static uint32_t copy_table(uint32_t address)
{
    copy_high(address, 36);
    uint32_t length = low_get(COPY_ADDRESS + 4, 4);

    check(length >= 36 && length <= COPY_MAX, "a table's length");
    copy_high(address, (length + 1) & ~1U);
    check(sum_of(COPY_ADDRESS, length) == 0, "a table adds up");
    return length;
}

/* CPUs by the MADT, that the RSDT names. */
static unsigned acpi_cpus(void)
{
    uint32_t root = find("RSD PTR ");
    unsigned cpus = 0;

    check(sum_of(root, 20) == 0, "the RSDP adds up");
    uint32_t rsdt = low_get(root + 16, 4), length = copy_table(rsdt);

    check(has_text(COPY_ADDRESS, "RSDT"), "the RSDT");
    for (uint32_t entry = 36; entry < length; entry += 4) {
        copy_high(rsdt, (length + 1) & ~1U);
        uint32_t size = copy_table(low_get(COPY_ADDRESS + entry, 4));

        if (!has_text(COPY_ADDRESS, "APIC")) {
            continue;
        }
        for (uint32_t at = 44; at < size; at += low_get(COPY_ADDRESS + at + 1, 1)) {
            bool cpu = low_get(COPY_ADDRESS + at, 1) == 0;

            cpus += cpu && (low_get(COPY_ADDRESS + at + 4, 1) & 1) != 0;
        }
    }
    return cpus;
}

static unsigned mp_cpus(void)
{
    uint32_t floating = find("_MP_"), table = low_get(floating + 4, 4);
    unsigned cpus = 0, entries = low_get(table + 34, 2);

    check(sum_of(floating, ROW) == 0, "the MP pointer adds up");
    check(has_text(table, "PCMP") && sum_of(table, low_get(table + 4, 2)) == 0,
          "the MP table adds up");
    for (uint32_t at = table + 44; entries > 0; entries--) {
        bool cpu = low_get(at, 1) == MP_CPU;

        cpus += cpu && (low_get(at + 3, 1) & 1) != 0;
        at += cpu ? MP_CPU_SIZE : MP_OTHER_SIZE;
    }
    return cpus;
}

void tables_check(void)
{
    uint32_t smbios = find("_SM_");
    uint8_t before = far_get(0xf000, 0xfff0);

    check(sum_of(smbios, low_get(smbios + 5, 1)) == 0, "the SMBIOS entry adds up");
    far_put(0xf000, 0xfff0, (uint8_t)~before);
    check(far_get(0xf000, 0xfff0) == before, "the BIOS's segment is read-only");
    say("tables: %u CPUs by ACPI, %u packages by MP", acpi_cpus(), mp_cpus());
}
