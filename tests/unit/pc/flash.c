/* SPDX-License-Identifier: BSD-2-Clause */
/* The flash for a firmware's variables: by itself, and in a machine. */
#include "vmm/pc/flash.h"
#include "tests/unit/pc/fake_edge.h"
#include "tests/unit/pc/unit.h"

#include <string.h>

#define BLOCKS 32U /* of OVMF_VARS.fd */
#define SIZE   (BLOCKS * FLASH_BLOCK)
#define BASE   0xffe00000ULL

static uint8_t bytes[SIZE];
static struct flash flash;

static void power_on(void)
{
    flash = (struct flash){.bytes = bytes, .size = SIZE, .base = BASE};
    flash_reset(&flash);
}

static int setup(void **state)
{
    for (unsigned i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    power_on();
    return 0;
}

static uint8_t get(uint32_t offset)
{
    return (uint8_t)flash_read(&flash, offset, 1);
}

static void put(uint32_t offset, uint8_t value)
{
    flash_write(&flash, offset, 1, value);
}

static void test_array(void **state)
{
    assert_true(flash_is_array(&flash));
    assert_int_equal(get(5), bytes[5]);
    assert_int_equal(flash_read(&flash, SIZE - 2, 4),
                     0xffff0000U | bytes[SIZE - 1] << 8 | bytes[SIZE - 2]);
    assert_true(flash_claims(&flash, BASE) && flash_claims(&flash, BASE + SIZE - 1));
    assert_false(flash_claims(&flash, BASE - 1) || flash_claims(&flash, BASE + SIZE));
    assert_false(flash_claims(&(struct flash){.size = 0}, 0));
}

/* As OVMF finds out that it is one, and not RAM or a ROM. */
static void test_detected(void **state)
{
    uint8_t before = get(0x10);

    put(0x10, 0x50);
    assert_int_equal(get(0x10), before);
    put(0x10, 0x70);
    assert_int_equal(get(0x10), 0);
    put(0x10, 0x10);
    put(0x10, before);
    put(0x10, 0x70);
    assert_int_equal(get(0x10) & 0x10, 0);
    put(0x10, 0xff);
    assert_int_equal(get(0x10), before);
}

static void test_program(void **state)
{
    for (uint8_t word = 0x10; word <= 0x40; word += 0x30) {
        put(0x123, word);
        assert_false(flash_is_array(&flash));
        put(0x124, 0xa7); /* where the data is written counts */
        assert_int_equal(get(0x124), 0x80);
        assert_int_equal(bytes[0x124], 0xa7);
        put(0x200, word);
        put(0x200, 0x58); /* bits that were 0 too */
        put(0, 0xff);
        assert_int_equal(get(0x124), 0xa7);
        assert_int_equal(get(0x200), 0x58);
    }
    put(0, 0x40);
    flash_write(&flash, SIZE - 2, 8, 0x1122334455667788ULL);
    assert_int_equal(bytes[SIZE - 2], 0x88);
    assert_int_equal(bytes[SIZE - 1], 0x77);
}

static void test_erase(void **state)
{
    uint8_t before = bytes[2 * FLASH_BLOCK - 1], behind = bytes[3 * FLASH_BLOCK];

    put(2 * FLASH_BLOCK + 77, 0x20);
    assert_int_equal(bytes[2 * FLASH_BLOCK + 77],
                     (uint8_t)((2 * FLASH_BLOCK + 77) * 7 + (2 * FLASH_BLOCK + 77) / 256));
    put(2 * FLASH_BLOCK + 77, 0xd0);
    assert_int_equal(get(0), 0x80);
    for (unsigned i = 0; i < FLASH_BLOCK; i++) {
        assert_int_equal(bytes[2 * FLASH_BLOCK + i], 0xff);
    }
    assert_int_equal(bytes[2 * FLASH_BLOCK - 1], before);
    assert_int_equal(bytes[3 * FLASH_BLOCK], behind);
}

/* A second word that is none: an error until it is cleared; one that reads the array: nothing. */
static void test_wrong_words(void **state)
{
    static const uint8_t words[] = {0x20, 0x60};
    uint8_t before = bytes[0];

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        put(0, words[i]);
        put(0, 0x12);
        assert_int_equal(get(0), 0xb0);
        put(0, 0x70);
        assert_int_equal(get(0), 0xb0);
        put(0, 0x50);
        assert_true(flash_is_array(&flash));
        put(0, words[i]);
        put(0, 0xff);
        assert_true(flash_is_array(&flash));
        put(0, 0x70);
        assert_int_equal(get(0), 0);
        put(0, 0xff);
    }
    assert_int_equal(get(0), before);
    put(0, 0x90);
    put(0, 0xf0); /* no command at all */
    assert_true(flash_is_array(&flash));
}

static void test_locks(void **state)
{
    static const uint8_t words[] = {0x01, 0xd0, 0x2f};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        put(0, 0x50);
        put(FLASH_BLOCK, 0x60);
        put(FLASH_BLOCK, words[i]);
        assert_int_equal(get(0), 0x80);
        put(0, 0x90);
        assert_int_equal(get(FLASH_BLOCK + 2), 0); /* it says that nothing is locked, */
        put(0, 0x10);
        put(FLASH_BLOCK, (uint8_t)(0x33 + i)); /* and nothing is */
        assert_int_equal(bytes[FLASH_BLOCK], 0x33 + i);
    }
}

static void test_query(void **state)
{
    put(0x55, 0x98);
    assert_int_equal(flash_read(&flash, 0x10, 4), 0x01595251); /* "QRY", command set 1 */
    assert_int_equal(flash_read(&flash, 0x15, 2), 0x31);
    assert_int_equal(flash_read(&flash, 0x31, 4), 0x31495250); /* "PRI1" */
    assert_int_equal(1U << get(0x27), SIZE);
    assert_int_equal(1U << get(0x2a), FLASH_BUFFER);
    assert_int_equal(get(0x2c), 1);
    assert_int_equal(flash_read(&flash, 0x2d, 2) + 1, BLOCKS);
    assert_int_equal(flash_read(&flash, 0x2f, 2) * 256, FLASH_BLOCK);
    assert_int_equal(flash_read(&flash, 0x310, 4), 0x01595251); /* it repeats */
    assert_int_equal(get(0x0f) | get(0x60) | get(0xff), 0);
    flash.size = 0x84000; /* OVMF_VARS_4M.fd */
    assert_int_equal(get(0x27), 20);
    assert_int_equal(flash_read(&flash, 0x2d, 2) + 1, 0x84);
    put(0, 0x90); /* another command ends it */
    assert_int_equal(get(0x10), 0);
}

static void test_buffered(void **state)
{
    uint8_t before = bytes[0x304];

    put(0, 0x50);
    put(0x300, 0xe8);
    assert_int_equal(get(0x300), 0x80); /* there is a buffer */
    put(0x300, 3);
    put(0x300, 1);
    flash_write(&flash, 0x301, 2, 0x0302);
    assert_int_equal(bytes[0x300], (uint8_t)(0x300 * 7 + 3)); /* not yet */
    put(0x303, 4);
    put(0x300, 0xd0);
    assert_int_equal(get(0x300), 0x80);
    assert_int_equal(bytes[0x300] | bytes[0x301] << 8 | bytes[0x302] << 16 | bytes[0x303] << 24,
                     0x04030201);
    assert_int_equal(bytes[0x304], before);
}

static void begin_buffer(uint32_t at, uint8_t count)
{
    put(0, 0x50);
    put(at, 0xe8);
    put(at, count);
}

static void test_wrong_buffers(void **state)
{
    uint8_t kept[SIZE];

    memcpy(kept, bytes, SIZE);
    begin_buffer(0x300, 0);
    put(0x300, 0x11);
    put(0x300, 0x12); /* not confirmed */
    assert_int_equal(get(0), 0xb0);
    begin_buffer(0x300, 7);
    put(0x400, 0x11); /* in the next one */
    assert_int_equal(get(0), 0xb0);
    begin_buffer(0x3fe, 7);
    flash_write(&flash, 0x3fe, 4, 0); /* half of it */
    assert_int_equal(get(0), 0xb0);
    begin_buffer(0x300, 1);
    flash_write(&flash, 0x300, 8, 0); /* more than was said: the rest is nothing */
    put(0x300, 0xff);                 /* and it is given up */
    assert_true(flash_is_array(&flash));
    assert_memory_equal(bytes, kept, SIZE);
    begin_buffer(SIZE - 1, 255);
    for (unsigned i = 0; i < FLASH_BUFFER; i++) {
        put(SIZE - FLASH_BUFFER + i, (uint8_t)~i);
    }
    put(0, 0xd0);
    assert_int_equal(bytes[SIZE - 1], 0);
    assert_int_equal(bytes[SIZE - FLASH_BUFFER], 0xff);
    assert_memory_equal(bytes, kept, SIZE - FLASH_BUFFER);
}

static void test_reset(void **state)
{
    put(0, 0x10);
    flash_reset(&flash);
    assert_true(flash_is_array(&flash));
    put(0, 0x70);
    assert_int_equal(get(0), 0x80);
}

static void test_state(void **state)
{
    struct flash_state s = flash.state;

    assert_true(flash_section.check(&s));
    s.status = 0x81; /* a bit that no register has would stay, and not be taken again */
    assert_false(flash_section.check(&s));
    s.status = 0x90;
    assert_true(flash_section.check(&s));
    s.step = FLASH_ERASE;
    assert_false(flash_section.check(&s)); /* in the array's mode */
    s.mode = FLASH_STATUS;
    assert_true(flash_section.check(&s));
    s.step = FLASH_DATA;
    assert_false(flash_section.check(&s)); /* none is left */
    s.left = 1;
    assert_true(flash_section.check(&s));
    s.buffer_at = 0x101;
    assert_false(flash_section.check(&s));
    /* Of a larger one: nothing is written behind this one's end. */
    flash.state = (struct flash_state){
        .mode = FLASH_STATUS, .step = FLASH_CONFIRM, .buffer_at = FLASH_SIZE_MAX - FLASH_BUFFER};
    put(0, 0xd0);
    assert_int_equal(get(0), 0x80);
}

/* ---- In a machine ---- */

static struct pc machine;

static uint64_t load(uint64_t at, unsigned width)
{
    uint64_t value;

    assert_true(pc_mmio_read(&machine, 0, gpa(at), width, 0, &value));
    return value;
}

static void store(uint64_t at, uint64_t value)
{
    assert_true(pc_mmio_write(&machine, 0, gpa(at), 1, value, 0));
}

static void test_machine(void **state)
{
    struct pc_config config = fake_edge_config(1);
    uint64_t value;

    config.firmware = true;
    config.flash = bytes;
    config.flash_size = SIZE;
    config.flash_at = BASE;
    fake_edge_clear();
    assert_int_equal(pc_init(&machine, &config), STATUS_OK);
    assert_int_equal(load(BASE + 5, 1), bytes[5]);
    assert_int_equal(fake_edge.flash_changes, 0);
    store(BASE + SIZE - 1, 0x10);
    assert_int_equal(fake_edge.flash_changes, 1); /* not memory any more */
    store(BASE + SIZE - 1, 0x5a);
    store(BASE, 0x70);
    assert_int_equal(load(BASE + SIZE - 1, 1), 0x80);
    assert_int_equal(fake_edge.flash_changes, 1);
    store(BASE, 0xff);
    assert_int_equal(fake_edge.flash_changes, 2); /* memory again */
    assert_int_equal(load(BASE + SIZE - 1, 1), 0x5a);
    assert_false(pc_mmio_read(&machine, 0, gpa(BASE + SIZE), 1, 0, &value));
    assert_false(pc_mmio_write(&machine, 0, gpa(BASE - 1), 1, 0x10, 0));
    store(BASE, 0x98);
    pc_reset(&machine, 0);
    assert_true(flash_is_array(&machine.flash));
    assert_int_equal(bytes[SIZE - 1], 0x5a);
    pc_fill(&machine, 0xa5);
    assert_int_equal(bytes[0], 0xa5);
    assert_int_equal(bytes[SIZE - 1], 0xa5);
    assert_int_equal(machine.flash.state.status, 0xa5);
    assert_int_equal(fake_edge.bad_locking, 0);
}

static void test_machine_without(void **state)
{
    struct pc_config config = fake_edge_config(1);
    uint64_t value;

    assert_int_equal(pc_init(&machine, &config), STATUS_OK);
    assert_false(pc_mmio_read(&machine, 0, gpa(BASE), 1, 0, &value));
    assert_false(pc_mmio_read(&machine, 0, gpa(0), 1, 0, &value));
    pc_fill(&machine, 0xa5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_array, setup),
        cmocka_unit_test_setup(test_detected, setup),
        cmocka_unit_test_setup(test_program, setup),
        cmocka_unit_test_setup(test_erase, setup),
        cmocka_unit_test_setup(test_wrong_words, setup),
        cmocka_unit_test_setup(test_locks, setup),
        cmocka_unit_test_setup(test_query, setup),
        cmocka_unit_test_setup(test_buffered, setup),
        cmocka_unit_test_setup(test_wrong_buffers, setup),
        cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test_setup(test_state, setup),
        cmocka_unit_test_setup(test_machine, setup),
        cmocka_unit_test_setup(test_machine_without, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
