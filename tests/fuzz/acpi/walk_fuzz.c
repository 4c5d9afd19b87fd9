/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acpi_init() over a small physical memory of fuzzed bytes. Checksums and signatures are made right
 * where the walk will look, or the fuzzer would hardly get past them; byte 0 says for how many of
 * the tables.
 */
#include "drivers/acpi/acpi.h"
#include "tests/unit/fakes/physical.h"

#include <stdlib.h>
#include <string.h>

#define BASE        0x1000U
#define MEMORY_SIZE 4096U
#define XSDT        64U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t memory[MEMORY_SIZE];

static void sum(uint32_t at, uint32_t size, uint32_t field)
{
    uint8_t total = 0;

    memory[at + field] = 0;
    for (uint32_t i = 0; i < size; i++) {
        total = (uint8_t)(total + memory[at + i]);
    }
    memory[at + field] = (uint8_t)-total;
}

static uint32_t number(uint32_t at)
{
    uint32_t value;

    memcpy(&value, memory + at, 4);
    return value;
}

static void mend_table(uint64_t offset)
{
    static const char signatures[][5] = {"APIC", "MCFG", "DMAR", "IVRS",
                                         "FACP", "SPCR", "SSDT", "XXXX"};

    if (offset > MEMORY_SIZE - 36) {
        return;
    }
    uint32_t at = (uint32_t)offset;
    memcpy(memory + at, signatures[memory[at] % 8], 4);
    uint32_t length = number(at + 4);
    if (length >= 36 && length <= MEMORY_SIZE - at) {
        sum(at, length, 9);
    }
}

static void mend_root(unsigned tables)
{
    uint32_t length = 36 + 8 * tables;

    memcpy(memory + XSDT, "XSDT", 4);
    memcpy(memory + XSDT + 4, &length, 4);
    for (unsigned i = 0; i < tables; i++) {
        uint32_t entry = XSDT + 36 + 8 * i;
        uint64_t address = number(entry) % (MEMORY_SIZE + 64) + BASE;

        memcpy(memory + entry, &address, 8);
        mend_table(address - BASE);
    }
    sum(XSDT, length, 9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t xsdt = BASE + XSDT;
    uint32_t rsdp_length = 36;

    if (size < 1 || size > MEMORY_SIZE) {
        return 0;
    }
    memset(memory, 0, sizeof(memory));
    memcpy(memory, data, size);
    unsigned tables = memory[0] % 32;
    memcpy(memory, "RSD PTR ", 8);
    memory[15] = 2;
    memcpy(memory + 20, &rsdp_length, 4);
    memcpy(memory + 24, &xsdt, 8);
    mend_root(tables);
    sum(0, 20, 8);
    sum(0, 36, 32);
    fake_physical_reset();
    fake_physical_add(BASE, memory, sizeof(memory));
    (void)acpi_init(hpa(BASE));
    if (fake_physical_windows() != 0) {
        abort();
    }
    return 0;
}
