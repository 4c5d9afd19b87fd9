/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware tables: structure and checksums here; 'unit-pc-tables WRITE DIRECTORY' writes
 * each table to a file for check-tables.sh, which has ACPICA read them.
 */
#include "tests/unit/pc/fake_edge.h"
#include "tests/unit/pc/unit.h"

#include "vmm/pc/guest_tables.h"

#include <stdio.h>
#include <string.h>

#define BASE TABLES_AREA_BASE

static uint8_t image[TABLES_SIZE_MAX];
static struct tables tables;

static uint32_t get(uint64_t address, unsigned size)
{
    uint32_t value = 0;

    assert_true(range_fits(address - BASE, size, tables.size));
    for (unsigned i = 0; i < size; i++) {
        value |= (uint32_t)image[address - BASE + i] << 8 * i;
    }
    return value;
}

static void check_sum(uint64_t address, uint32_t length)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + get(address + i, 1));
    }
    assert_int_equal(sum, 0);
}

static void check_signature(uint64_t address, const char *signature)
{
    for (unsigned i = 0; signature[i] != '\0'; i++) {
        assert_int_equal(get(address + i, 1), (uint8_t)signature[i]);
    }
}

static void build(unsigned vcpus)
{
    struct pc_config config = fake_edge_config(vcpus);

    memset(image, 0xcc, sizeof(image));
    assert_int_equal(tables_build(&config, image, sizeof(image), &tables), STATUS_OK);
}

/* The table that entry INDEX of the RSDT points to; the XSDT must agree. */
static uint64_t table(unsigned index)
{
    uint64_t rsdt = get(tables.rsdp.raw + 16, 4);
    uint64_t xsdt = get(tables.rsdp.raw + 24, 4);

    assert_int_equal(get(xsdt + 36 + 8ULL * index + 4, 4), 0);
    assert_int_equal(get(xsdt + 36 + 8ULL * index, 4), get(rsdt + 36 + 4ULL * index, 4));
    return get(rsdt + 36 + 4ULL * index, 4);
}

static void check_acpi(void)
{
    check_signature(tables.rsdp.raw, "RSD PTR ");
    check_sum(tables.rsdp.raw, 20);
    check_sum(tables.rsdp.raw, 36);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t root = get(tables.rsdp.raw + 16 + 8 * i, 4);

        check_signature(root, i == 0 ? "RSDT" : "XSDT");
        check_sum(root, get(root + 4, 4));
    }
    check_signature(table(0), "FACP");
    check_signature(table(1), "APIC");
    for (unsigned i = 0; i < 2; i++) {
        check_sum(table(i), get(table(i) + 4, 4));
    }
    uint64_t facs = get(table(0) + 36, 4);
    assert_int_equal(facs % 64, 0);
    check_signature(facs, "FACS");
    uint64_t dsdt = get(table(0) + 40, 4);
    assert_int_equal(get(table(0) + 140, 4), dsdt);
    check_signature(dsdt, "DSDT");
    check_sum(dsdt, get(dsdt + 4, 4));
}

static void test_acpi(void **state)
{
    for (unsigned vcpus = 1; vcpus <= PC_VCPUS_MAX; vcpus++) {
        build(vcpus);
        check_acpi();
    }
}

/* ---- As firmware places them: a table loader like SeaBIOS's ---- */

static struct pc machine;
static struct firmware_files files;
static struct placed {
    char name[56];
    uint32_t at; /* in the image */
    uint32_t size;
} placed[2];
static unsigned placed_count;

static const struct fw_cfg_file *find_file(const char *name)
{
    for (unsigned i = 0; i < machine.fw_cfg.file_count; i++) {
        if (strcmp(machine.fw_cfg.file[i].name, name) == 0) {
            return &machine.fw_cfg.file[i];
        }
    }
    fail_msg("no file %s", name);
    return NULL;
}

static const struct placed *find_placed(const uint8_t *name)
{
    for (unsigned i = 0; i < placed_count; i++) {
        if (strcmp(placed[i].name, (const char *)name) == 0) {
            return &placed[i];
        }
    }
    fail_msg("%s is not placed", (const char *)name);
    return NULL;
}

static uint32_t little(const uint8_t *bytes)
{
    return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The root lies low, at the image's end; all else where it is aligned. */
static void place(const uint8_t *command)
{
    const struct fw_cfg_file *file = find_file((const char *)command + 4);
    bool low = command[64] == 2;
    struct placed *p = &placed[placed_count++];

    assert_int_equal(little(command + 60), low ? 16 : 64);
    (void)snprintf(p->name, sizeof(p->name), "%s", file->name);
    p->size = file->size;
    p->at = low ? TABLES_SIZE_MAX - 128 : 64 * 3;
    assert_true(range_fits(p->at, p->size, low ? TABLES_SIZE_MAX : TABLES_SIZE_MAX - 128));
    memcpy(image + p->at, file->data, file->size);
    tables.rsdp = low ? gpa(BASE + p->at) : tables.rsdp;
}

static void patch(const uint8_t *command)
{
    const struct placed *to = find_placed(command + 4), *from = find_placed(command + 60);
    uint32_t offset = little(command + 116), size = command[120];
    uint64_t value = 0;

    assert_true(size == 4 || size == 8);
    assert_true(range_fits(offset, size, to->size));
    memcpy(&value, image + to->at + offset, size);
    value += BASE + from->at;
    memcpy(image + to->at + offset, &value, size);
}

static void add_up(const uint8_t *command)
{
    const struct placed *p = find_placed(command + 4);
    uint32_t byte = little(command + 60), start = little(command + 64);
    uint32_t length = little(command + 68);
    uint8_t sum = 0;

    assert_true(byte < p->size && range_fits(start, length, p->size));
    assert_int_equal(image[p->at + byte], 0); /* OVMF counts what stands there, SeaBIOS does not */
    for (uint32_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + image[p->at + start + i]);
    }
    image[p->at + byte] = (uint8_t)(image[p->at + byte] - sum);
}

static void run_loader(void)
{
    static void (*const commands[])(const uint8_t *) = {NULL, place, patch, add_up};
    const struct fw_cfg_file *loader = find_file("etc/table-loader");

    placed_count = 0;
    memset(image, 0xcc, sizeof(image));
    tables.size = sizeof(image);
    assert_int_equal(loader->size % 128, 0);
    for (uint32_t at = 0; at < loader->size; at += 128) {
        assert_in_range(little(loader->data + at), 1, 3);
        commands[little(loader->data + at)](loader->data + at);
    }
}

static void test_files(void **state)
{
    for (unsigned vcpus = 1; vcpus <= PC_VCPUS_MAX; vcpus += 21) {
        struct pc_config config = fake_edge_config(vcpus);

        config.memory_above_4g = vcpus == 1 ? 0 : 3ULL << 30;
        assert_int_equal(pc_init(&machine, &config), STATUS_OK);
        assert_int_equal(firmware_files_add(&machine, &files), STATUS_OK);
        run_loader();
        check_acpi();
        const struct fw_cfg_file *memory = find_file("etc/e820");

        assert_int_equal(memory->size, vcpus == 1 ? 20 : 40);
        assert_memory_equal(memory->data, "\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0\0\1\0\0\0", 20);
        assert_memory_equal(
            memory->data + 20,
            vcpus == 1 ? (const char[20]){0} : "\0\0\0\0\1\0\0\0\0\0\0\xc0\0\0\0\0\1\0\0\0", 20);
    }
}

static void test_madt(void **state)
{
    unsigned seen[5] = {0};

    build(5);
    uint64_t madt = table(1);
    uint32_t length = get(madt + 4, 4);
    for (uint32_t at = 44; at < length; at += get(madt + at + 1, 1)) {
        uint32_t type = get(madt + at, 1);

        assert_true(type < 5 && get(madt + at + 1, 1) >= 6);
        if (type == 0) {
            assert_int_equal(get(madt + at + 3, 1), seen[0]);
            assert_int_equal(get(madt + at + 4, 4), 1);
        }
        seen[type]++;
    }
    assert_int_equal(seen[0], 5);
    assert_int_equal(seen[1], 1);
    assert_int_equal(seen[2], 5);
    assert_int_equal(seen[4], 1);
}

static void test_fadt(void **state)
{
    build(1);
    uint64_t fadt = table(0);

    assert_int_equal(get(fadt + 46, 2), 9);
    assert_int_equal(get(fadt + 56, 4), 0x600);
    assert_int_equal(get(fadt + 64, 4), 0x604);
    assert_int_equal(get(fadt + 76, 4), 0x608);
    assert_int_equal(get(fadt + 112, 4) & 0x100, 0);
    assert_int_equal(get(fadt + 116, 4), 0x01000801); /* reset register: I/O, a byte */
    assert_int_equal(get(fadt + 120, 4), 0xcf9);
    assert_int_equal(get(fadt + 128, 1), 0x06);
    assert_int_equal(get(fadt + 208, 4), 0x03002001);
    assert_int_equal(get(fadt + 212, 4), 0x608);
}

static void test_mp(void **state)
{
    static const unsigned sizes[5] = {20, 8, 8, 8, 8};

    for (unsigned vcpus = 1; vcpus <= PC_VCPUS_MAX; vcpus++) {
        unsigned seen[5] = {0};
        uint64_t config;
        uint32_t at = 44;

        build(vcpus);
        assert_in_range(tables.mp.raw, 0xf0000, 0xffff0); /* no kernel looks elsewhere */
        check_signature(tables.mp.raw, "_MP_");
        assert_int_equal(tables.mp.raw % 16, 0);
        check_sum(tables.mp.raw, 16);
        config = get(tables.mp.raw + 4, 4);
        check_signature(config, "PCMP");
        check_sum(config, get(config + 4, 2));
        for (uint32_t i = 0; i < get(config + 34, 2); i++) {
            uint32_t type = get(config + at, 1);

            assert_true(type < 5);
            seen[type]++;
            at += sizes[type];
        }
        assert_int_equal(at, get(config + 4, 2));
        assert_int_equal(seen[0], vcpus);
        assert_int_equal(seen[1], 2);
        assert_int_equal(seen[2], 1);
        assert_int_equal(seen[3], 12 + 30 * 4);
        assert_int_equal(seen[4], 2);
    }
}

static void test_places(void **state)
{
    struct pc_config config = fake_edge_config(PC_VCPUS_MAX);

    build(PC_VCPUS_MAX);
    assert_int_equal(tables_build(&config, image, tables.size, &tables), STATUS_OK);
    assert_int_equal(tables_build(&config, image, tables.size - 1, &tables), STATUS_RANGE);
    assert_int_equal(tables_build(&config, image, 0, &tables), STATUS_RANGE);
}

static int write_table(const char *directory, const char *name, uint64_t address)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t length = get(address + 4, 4);
    int failed = fwrite(image + (address - BASE), 1, length, file) != length;
    return fclose(file) != 0 || failed;
}

static int write_tables(const char *directory)
{
    build(4);
    return write_table(directory, "facp.dat", table(0)) ||
           write_table(directory, "apic.dat", table(1)) ||
           write_table(directory, "rsdt.dat", get(tables.rsdp.raw + 16, 4)) ||
           write_table(directory, "xsdt.dat", get(tables.rsdp.raw + 24, 4)) ||
           write_table(directory, "facs.dat", get(table(0) + 36, 4)) ||
           write_table(directory, "dsdt.aml", get(table(0) + 40, 4));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acpi), cmocka_unit_test(test_madt),   cmocka_unit_test(test_fadt),
        cmocka_unit_test(test_mp),   cmocka_unit_test(test_places), cmocka_unit_test(test_files),
    };

    if (argc == 3 && strcmp(argv[1], "write") == 0) {
        return write_tables(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
