/* SPDX-License-Identifier: BSD-2-Clause */
/* The VGA's planes, against a model of single bits; and where they are in the guest's memory. */
#include "tests/unit/pc/vga_card.h"

#include <string.h>

/* A bit of a plane after a write, from IBM's diagrams: one bit at a time. */
static unsigned model_bit(unsigned plane, unsigned bit, uint8_t value, uint32_t latches)
{
    const uint8_t *g = card.state.graphics;
    unsigned latch = latches >> (8 * plane + bit) & 1, mode = g[5] & 3;
    unsigned rotated = value >> ((bit + (g[3] & 7)) % 8) & 1, data, mask = g[8] >> bit & 1;

    switch (mode) {
    case 0:
        data = (g[1] >> plane & 1) ? g[0] >> plane & 1 : rotated;
        break;
    case 1:
        return latch;
    case 2:
        data = value >> plane & 1;
        break;
    default:
        data = g[0] >> plane & 1;
        mask &= rotated;
        break;
    }
    switch (g[3] >> 3) {
    case 1:
        data &= latch;
        break;
    case 2:
        data |= latch;
        break;
    case 3:
        data ^= latch;
        break;
    default:
        break;
    }
    return mask ? data : latch;
}

static uint32_t model_write(uint8_t value, uint32_t latches, uint32_t before, unsigned planes)
{
    for (unsigned plane = 0; plane < 4; plane++) {
        for (unsigned bit = 0; bit < 8 && (planes >> plane & 1); bit++) {
            uint32_t at = 1U << (8 * plane + bit);

            before = model_bit(plane, bit, value, latches) ? before | at : before & ~at;
        }
    }
    return before;
}

static uint32_t seed = 1;

static uint32_t draw(void)
{
    seed = seed * 1664525 + 1013904223;
    return seed ^ seed >> 15;
}

/* All modes, functions and rotations with all values, and what else there is drawn for each. */
static void test_write_modes(void **state)
{
    card_put(0x3c4, 4, 6);
    card_put(0x3ce, 6, 5);
    for (unsigned i = 0; i < 4 * 4 * 8 * 256 * 16; i++) {
        uint32_t latches = draw(), before = draw(), other = draw();
        uint8_t value = (uint8_t)(i >> 7), planes = (uint8_t)(other & 15);

        card.state.graphics[5] = i & 3;
        card.state.graphics[3] = i >> 2 & 31;
        card.state.graphics[0] = other >> 4 & 15;
        card.state.graphics[1] = other >> 8 & 15;
        card.state.graphics[8] = (uint8_t)(i & 0x8000 ? other >> 12 : 0xff);
        card.state.sequencer[2] = i & 0x10000 ? planes : 15;
        card.memory[0x1234] = latches;
        (void)vga_memory_read(&card, 0xa1234, 1, 0);
        card.memory[0x1234] = before;
        vga_memory_write(&card, 0xa1234, 1, value);
        if (card.memory[0x1234] != model_write(value, latches, before, card.state.sequencer[2])) {
            fail_msg("mode %u, function %u, rotation %u, value %#x: %#x", i & 3, i >> 5 & 3,
                     i >> 2 & 7, value, card.memory[0x1234]);
        }
    }
}

static void test_read_modes(void **state)
{
    card_put(0x3c4, 4, 6);
    card_put(0x3ce, 6, 5);
    for (unsigned i = 0; i < 65536; i++) {
        uint32_t cell = draw();
        uint8_t wanted = 0, compare = i & 15, care = i >> 4 & 15;

        card.memory[7] = cell;
        card.state.graphics[4] = i & 3;
        card.state.graphics[5] = 0;
        assert_int_equal(vga_memory_read(&card, 0xa0007, 1, 0), cell >> 8 * (i & 3) & 0xff);
        assert_int_equal(card.state.latch, cell);
        card.state.graphics[5] = 8;
        card.state.graphics[2] = compare;
        card.state.graphics[7] = care;
        for (unsigned bit = 0; bit < 8; bit++) {
            bool same = true;

            for (unsigned plane = 0; plane < 4; plane++) {
                same = same && (!(care >> plane & 1) ||
                                (cell >> (8 * plane + bit) & 1) == (compare >> plane & 1U));
            }
            wanted |= (uint8_t)(same << bit);
        }
        assert_int_equal(vga_memory_read(&card, 0xa0007, 1, 0), wanted);
    }
}

/* What is where in which map; elsewhere there is nothing. */
static void test_window(void **state)
{
    static const struct {
        uint8_t map;
        uint32_t first, last;
    } maps[] = {
        {0x01, 0xa0000, 0xbffff},
        {0x05, 0xa0000, 0xaffff},
        {0x09, 0xb0000, 0xb7fff},
        {0x0d, 0xb8000, 0xbffff},
    };

    card_put(0x3c4, 2, 15);
    card_put(0x3c4, 4, 6);
    card_put(0x3ce, 8, 0xff);
    for (unsigned i = 0; i < ARRAY_SIZE(maps); i++) {
        card_put(0x3ce, 6, maps[i].map);
        memset(card.memory, 0x5a, 0x80000);
        vga_memory_write(&card, maps[i].first, 1, 0x11);
        vga_memory_write(&card, maps[i].last, 1, 0x22);
        assert_int_equal(card.memory[0], 0x11111111);
        assert_int_equal(card.memory[maps[i].last - maps[i].first], 0x22222222);
        assert_int_equal(vga_memory_read(&card, maps[i].last, 1, 0), 0x22);
        for (uint32_t at = 0xa0000; at < 0xc0000; at += 0x1000) {
            bool there = at >= maps[i].first && at <= maps[i].last;

            if (!there) {
                assert_int_equal(vga_memory_read(&card, at, 1, 0), 0xff);
            }
        }
    }
    card_out(0x3c2, 0x65); /* the memory is off */
    assert_int_equal(vga_memory_read(&card, 0xb8000, 1, 0), 0xff);
    vga_memory_write(&card, 0xb8000, 1, 0x33);
    assert_int_equal(card.memory[0], 0x11111111);
    assert_false(vga_claims(&card, 0x9ffff));
    assert_true(vga_claims(&card, 0xa0000));
    assert_true(vga_claims(&card, 0xbffff));
    assert_false(vga_claims(&card, 0xc0000));
}

static void test_text_and_chain_4(void **state)
{
    card_put(0x3c4, 2, 3);
    card_put(0x3c4, 4, 2); /* odd/even */
    card_put(0x3ce, 5, 0x10);
    card_put(0x3ce, 6, 0x0e);
    card_put(0x3ce, 8, 0xff);
    memset(card.memory, 0x77, 64);
    vga_memory_write(&card, 0xb8000, 8, 0x1f421e411f41074eULL);
    assert_int_equal(card.memory[0], 0x7777074e);
    assert_int_equal(card.memory[3], 0x77771f42);
    assert_int_equal(vga_memory_read(&card, 0xb8002, 4, 0), 0x1e411f41);
    card_put(0x3ce, 4, 2); /* planes 2 and 3 */
    assert_int_equal(vga_memory_read(&card, 0xb8000, 1, 0), 0x77);
    card_put(0x3c4, 2, 15);
    card_put(0x3c4, 4, 0x0e); /* chain 4 */
    card_put(0x3ce, 5, 0x40);
    card_put(0x3ce, 6, 0x05);
    vga_memory_write(&card, 0xa0003, 4, 0x04030201);
    assert_memory_equal((uint8_t *)card.memory + 3, "\1\2\3\4", 4);
    assert_int_equal(vga_memory_read(&card, 0xa0004, 2, 0), 0x0302);
    card_put(0x3c4, 2, 0x0e);
    vga_memory_write(&card, 0xa0004, 4, 0); /* plane 0 is masked */
    assert_memory_equal((uint8_t *)card.memory + 3, "\1\2\0\0\0", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_write_modes, card_set_up),
        cmocka_unit_test_setup(test_read_modes, card_set_up),
        cmocka_unit_test_setup(test_window, card_set_up),
        cmocka_unit_test_setup(test_text_and_chain_4, card_set_up),
    };

    return cmocka_run_group_tests(tests, NULL, card_tear_down);
}
