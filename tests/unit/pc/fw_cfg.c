/* SPDX-License-Identifier: BSD-2-Clause */
/* fw_cfg's files and its DMA, as a guest's port accesses see them. */
#include "tests/unit/pc/machine_unit.h"

#define SELECTOR   0x510
#define DATA       0x511
#define DMA_HIGH   0x514
#define DMA_LOW    0x518
#define DIRECTORY  0x19
#define FIRST_FILE 0x20

#define ERROR      1U
#define READ       2U
#define SKIP       4U
#define SELECT(n)  (8U | (n) << 16)
#define WRITE      16U
#define DESCRIPTOR 0x100U
#define LONG_SIZE  10000U
#define UNTOUCHED  0xeeU

static uint8_t long_file[LONG_SIZE];

static int setup_files(void **state)
{
    (void)setup(state);
    for (unsigned i = 0; i < LONG_SIZE; i++) {
        long_file[i] = (uint8_t)(i * 3 + i / 256);
    }
    fw_cfg_add_file(&machine.fw_cfg, "etc/long", long_file, LONG_SIZE);
    fw_cfg_add_file(&machine.fw_cfg, "etc/none", long_file, 0);
    fw_cfg_add_file(&machine.fw_cfg, "opt/short", "short", 5);
    memset(fake_edge.ram, UNTOUCHED, FAKE_RAM_SIZE);
    return 0;
}

static uint64_t big(uint64_t at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | fake_edge.ram[at + i];
    }
    return value;
}

static void put_big(uint64_t at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++) {
        fake_edge.ram[at + i] = (uint8_t)(value >> 8 * (size - 1 - i));
    }
}

static void ask(uint32_t control, uint32_t length, uint64_t address)
{
    put_big(DESCRIPTOR, 4, control);
    put_big(DESCRIPTOR + 4, 4, length);
    put_big(DESCRIPTOR + 8, 8, address);
    out(DMA_LOW, 4, __builtin_bswap32(DESCRIPTOR));
}

/* Carry it out; returns in how many pieces. */
static unsigned transfer(uint32_t control, uint32_t length, uint64_t address)
{
    unsigned pieces = 1;

    ask(control, length, address);
    while (!pc_dma_run(&machine)) {
        pieces++;
    }
    return pieces;
}

static void test_directory(void **state)
{
    uint8_t bytes[4 + 3 * FW_CFG_ENTRY_SIZE];

    out(SELECTOR, 2, DIRECTORY);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)in(DATA, 1);
    }
    assert_memory_equal(bytes, "\0\0\0\2", 4);
    assert_memory_equal(bytes + 4, "\0\0\x27\x10\0\x20\0\0etc/long\0", 17);
    assert_memory_equal(bytes + 68, "\0\0\0\5\0\x21\0\0opt/short\0", 18);
    for (unsigned i = 132; i < sizeof(bytes); i++) {
        assert_int_equal(bytes[i], 0);
    }
    for (unsigned i = 2; i < FW_CFG_FILES_MAX + 2; i++) { /* two too many */
        fw_cfg_add_file(&machine.fw_cfg, "more", "x", 1);
    }
    assert_int_equal(machine.fw_cfg.file_count, FW_CFG_FILES_MAX);
    out(SELECTOR, 2, FIRST_FILE + FW_CFG_FILES_MAX);
    assert_int_equal(in(DATA, 1), 0);
    out(SELECTOR, 2, FIRST_FILE + 1);
    assert_int_equal(in(DATA, 1), 's');
}

static uint64_t read_number(unsigned selector)
{
    uint64_t value = 0;

    out(SELECTOR, 2, selector);
    for (unsigned i = 0; i < 4; i++) {
        value |= (uint64_t)in(DATA, 1) << 8 * i;
    }
    return value;
}

/* What a kernel's option ROM asks for: addresses, sizes, bytes; all zero where there is none. */
static void test_kernel(void **state)
{
    static const struct {
        unsigned part, address, size, data;
    } parts[FW_CFG_PARTS] = {
        {FW_CFG_KERNEL,  0x07, 0x08, 0x11},
        {FW_CFG_INITRD,  0x0a, 0x0b, 0x12},
        {FW_CFG_CMDLINE, 0x13, 0x14, 0x15},
        {FW_CFG_SETUP,   0x16, 0x17, 0x18},
    };

    for (unsigned i = 0; i < FW_CFG_PARTS; i++) {
        assert_int_equal(read_number(parts[i].address), 0);
        assert_int_equal(read_number(parts[i].size), 0);
        assert_int_equal(read_number(parts[i].data), 0);
        machine.fw_cfg.part[parts[i].part] =
            (struct fw_cfg_part){long_file + 16ULL * i, 5000 + i, 0x10000 * (i + 1)};
    }
    for (unsigned i = 0; i < FW_CFG_PARTS; i++) {
        assert_int_equal(read_number(parts[i].address), 0x10000 * (i + 1));
        assert_int_equal(read_number(parts[i].size), 5000 + i);
        memset(fake_edge.ram + 0x2000, UNTOUCHED, 0x2000);
        assert_int_equal(transfer(SELECT(parts[i].data) | READ, 5000 + i, 0x2000), 2);
        assert_memory_equal(fake_edge.ram + 0x2000, long_file + 16ULL * i, 5000 + i);
        assert_int_equal(fake_edge.ram[0x2000 + 5000 + i], UNTOUCHED);
    }
}

static void test_signature(void **state)
{
    assert_int_equal(in(DMA_HIGH, 4), 0x554d4551);
    assert_int_equal(in(DMA_LOW, 4), 0x47464320);
    assert_int_equal(in(DMA_LOW, 1), 0xff);
    assert_true(pc_dma_run(&machine)); /* nothing is asked for */
    assert_int_equal(fake_edge.ram_accesses, 0);
}

static void test_reads(void **state)
{
    /* To pages' ends: 1000h - 10h, twice 1000h, and what is left of the file. */
    assert_int_equal(transfer(SELECT(FIRST_FILE) | READ, LONG_SIZE, 0x1010), 3);
    assert_int_equal(big(DESCRIPTOR, 4), 0);
    assert_memory_equal(fake_edge.ram + 0x1010, long_file, LONG_SIZE);
    assert_int_equal(fake_edge.ram[0x100f], UNTOUCHED);
    assert_int_equal(fake_edge.ram[0x1010 + LONG_SIZE], UNTOUCHED);
    /* On from there: behind the end are zeros. */
    (void)transfer(READ, 3, 0x1010);
    assert_int_equal(big(0x1010, 4), long_file[3]);
    (void)transfer(SELECT(FIRST_FILE), 100, 0x1010);
    (void)transfer(SKIP, 7, 0);
    (void)transfer(READ, 2, 0x1010);
    assert_memory_equal(fake_edge.ram + 0x1010, long_file + 7, 2);
    assert_int_equal(in(DATA, 1), long_file[9]); /* one offset for both interfaces */
    (void)transfer(SKIP, UINT32_MAX, 0);
    (void)transfer(SKIP, UINT32_MAX, 0);
    assert_int_equal(in(DATA, 1), 0);
    (void)transfer(SELECT(1) | READ, 4, 0x2000); /* a number */
    assert_int_equal(big(0x2000, 4), 0x03000000);
}

static void test_refusals(void **state)
{
    (void)transfer(SELECT(FIRST_FILE) | WRITE, 4, 0x1000);
    assert_int_equal(big(DESCRIPTOR, 4), ERROR);
    assert_int_equal(big(0x1000, 1), UNTOUCHED);
    /* Where RAM ends in the middle of it, nobody can say how much came. */
    (void)transfer(SELECT(FIRST_FILE) | READ, 0x2000, FAKE_RAM_SIZE - 0x1000);
    assert_int_equal(big(DESCRIPTOR, 4), ERROR);
    assert_memory_equal(fake_edge.ram + FAKE_RAM_SIZE - 0x1000, long_file, 0x1000);
    (void)transfer(SELECT(FIRST_FILE) | READ, 16, UINT64_MAX - 7);
    assert_int_equal(big(DESCRIPTOR, 4), ERROR);
    /* A descriptor that is nowhere. */
    out(DMA_HIGH, 4, 0x01000000);
    out(DMA_LOW, 4, __builtin_bswap32(DESCRIPTOR));
    assert_true(pc_dma_run(&machine));
    (void)transfer(SELECT(FIRST_FILE) | READ, 1, 0x1000); /* the high half is 0 again */
    assert_int_equal(big(DESCRIPTOR, 4), 0);
    assert_int_equal(big(0x1000, 1), long_file[0]);
    /* Over itself: it was read once. */
    (void)transfer(SELECT(FIRST_FILE) | READ, 16, DESCRIPTOR);
    assert_int_equal(big(DESCRIPTOR, 4), 0);
    assert_memory_equal(fake_edge.ram + DESCRIPTOR + 4, long_file + 4, 12);
}

/* One at a time; what a guest writes meanwhile, and a reset. */
static void test_under_way(void **state)
{
    struct fw_cfg_state copy;

    ask(SELECT(FIRST_FILE) | READ, 0x2000, 0x1000);
    assert_false(pc_dma_run(&machine));
    put_big(DESCRIPTOR + 8, 8, 0x6000); /* too late */
    out(DMA_HIGH, 4, 0xffffffff);
    out(DMA_LOW, 4, 0xffffffff);
    copy = machine.fw_cfg.state;
    memset(&machine.fw_cfg.state, 0xa5, sizeof(copy));
    machine.fw_cfg.state = copy;
    assert_true(pc_dma_run(&machine));
    assert_memory_equal(fake_edge.ram + 0x1000, long_file, 0x2000);
    assert_int_equal(big(0x6000, 1), UNTOUCHED);
    ask(SELECT(FIRST_FILE) | READ, 0x2000, 0x6000);
    pc_reset(&machine, now);
    assert_true(pc_dma_run(&machine));
    assert_int_equal(big(0x6000, 1), UNTOUCHED);
}

static void test_debug_output(void **state)
{
    assert_int_equal(in(0x402, 1), 0xff);
    out(0x402, 1, 'n');
    machine.config.debug_output = true;
    assert_int_equal(in(0x402, 1), 0xe9);
    out(0x402, 1, 'y');
    assert_string_equal(fake_edge.console, "y");
}

#define FILES_TEST(name) cmocka_unit_test_setup_teardown(name, setup_files, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES_TEST(test_directory), FILES_TEST(test_signature), FILES_TEST(test_reads),
        FILES_TEST(test_refusals),  FILES_TEST(test_under_way), FILES_TEST(test_debug_output),
        FILES_TEST(test_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
