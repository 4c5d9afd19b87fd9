/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that does anything to its flash: commands, data, accesses of all widths, also across its
 * ends. Nothing outside its contents is touched (the sanitizers see to that); a read changes
 * nothing, a command alone no contents, and all else no more than its bytes or one block; the VM is
 * told whenever it is memory or no more; and what was saved goes on, on another machine, as if
 * nothing had been.
 */
#include "tests/fuzz/pc/guest.h"
#include "tests/unit/pc/fake_edge.h"
#include "vmm/state/state.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS 3U
#define SIZE   (BLOCKS * FLASH_BLOCK)
#define BASE   0xfff00000ULL

#define take          guest_take
#define require(what) guest_require(what, __LINE__)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pc pc;
static uint8_t stream[BLOCKS * (FLASH_BLOCK + 128) + 512];

/* Mostly a word that means something in the step it is in. */
static uint64_t pick_value(struct guest *g, uint8_t op)
{
    static const uint8_t words[] = {0x10, 0x40, 0x20, 0xd0, 0xd0, 0xd0, 0x50, 0x60, 0x01,
                                    0x2f, 0x70, 0x90, 0x98, 0xe8, 0xe8, 0xff, 0x00, 0x03};
    uint64_t value = take(g, 4);

    return (op & 0x40U) != 0 ? value * 0x100000001ULL : words[value % ARRAY_SIZE(words)];
}

/* Near one place for a while, as buffered writes want it; or anywhere, and beyond. */
static uint32_t pick_offset(struct guest *g, uint8_t op)
{
    uint32_t place = (uint32_t)take(g, 2);

    return (op & 0x80U) != 0 ? place % (SIZE + 8)
                             : (uint32_t)pc.flash.state.buffer_at + place % 260;
}

static unsigned count_changes(const uint8_t *before, unsigned *first, unsigned *last)
{
    unsigned count = 0;

    if (memcmp(before, pc.flash.bytes, SIZE) == 0) {
        return 0;
    }
    for (unsigned i = 0; i < SIZE; i++) {
        if (pc.flash.bytes[i] != before[i]) {
            *first = count++ == 0 ? i : *first;
            *last = i;
        }
    }
    return count;
}

static void write_to(struct guest *g, uint8_t op, unsigned width, uint8_t *before)
{
    uint32_t offset = pick_offset(g, op);
    uint64_t value = pick_value(g, op);
    uint8_t step = pc.flash.state.step;
    unsigned told = fake_edge.flash_changes, first = 0, last = 0;
    bool was = flash_is_array(&pc.flash), ours = flash_claims(&pc.flash, BASE + offset);

    memcpy(before, pc.flash.bytes, SIZE);
    require(pc_mmio_write(&pc, 0, gpa(BASE + offset), width, value, g->now) == ours);
    require(fake_edge.flash_changes - told == (was != flash_is_array(&pc.flash)));
    unsigned changed = count_changes(before, &first, &last);

    require(changed == 0 || ours);
    switch (step) {
    case FLASH_PROGRAM:
        require(changed <= width && (changed == 0 || (first >= offset && last < offset + width)));
        break;
    case FLASH_ERASE:
        require(changed == 0 || first / FLASH_BLOCK == last / FLASH_BLOCK);
        break;
    case FLASH_CONFIRM:
        require(changed == 0 || first / FLASH_BUFFER == last / FLASH_BUFFER);
        break;
    default:
        require(changed == 0);
        break;
    }
}

static void read_from(struct guest *g, uint8_t op, unsigned width, uint8_t *before)
{
    struct flash_state s = pc.flash.state;
    uint32_t offset = pick_offset(g, op);
    uint64_t value = 0;
    unsigned first, last;

    memcpy(before, pc.flash.bytes, SIZE);
    (void)pc_mmio_read(&pc, 0, gpa(BASE + offset), width, g->now, &value);
    require(memcmp(&s, &pc.flash.state, sizeof(s)) == 0 &&
            count_changes(before, &first, &last) == 0);
    if (flash_is_array(&pc.flash) && offset + width <= SIZE) {
        require(memcmp(&value, pc.flash.bytes + offset, width) == 0);
    }
}

/* Saved, filled, and loaded: all of it is as it was. */
static void checkpoint(uint8_t *before)
{
    struct flash_state s = pc.flash.state;
    struct state_writer writer;
    struct state_reader reader;
    unsigned first, last;

    state_writer_init(&writer, stream, sizeof(stream));
    state_put_section(&writer, &flash_section, 0, &pc.flash.state);
    for (unsigned i = 0; i < BLOCKS; i++) {
        state_put_section(&writer, &flash_block_section, i, pc.flash.bytes + i * FLASH_BLOCK);
    }
    require(!state_overflowed(&writer));
    memcpy(before, pc.flash.bytes, SIZE);
    memset(&pc.flash.state, 0xa5, sizeof(pc.flash.state));
    memset(pc.flash.bytes, 0xa5, SIZE);
    state_reader_init(&reader, stream, writer.used);
    require(state_find_section(&reader, &flash_section, 0, &pc.flash.state) == STATUS_OK);
    for (unsigned i = 0; i < BLOCKS; i++) {
        require(state_find_section(&reader, &flash_block_section, i,
                                   pc.flash.bytes + i * FLASH_BLOCK) == STATUS_OK);
    }
    require(state_end(&reader) == STATUS_OK);
    require(s.mode == pc.flash.state.mode && s.step == pc.flash.state.step &&
            s.status == pc.flash.state.status && s.left == pc.flash.state.left &&
            s.buffer_at == pc.flash.state.buffer_at &&
            memcmp(s.buffer, pc.flash.state.buffer, sizeof(s.buffer)) == 0);
    require(count_changes(before, &first, &last) == 0);
}

/* State that somebody made up: what is accepted does no harm. */
static void load_made_up(struct guest *g)
{
    struct flash_state made = {.mode = (uint8_t)(take(g, 1) % FLASH_MODES),
                               .step = (uint8_t)(take(g, 1) % FLASH_STEPS),
                               .status = (uint8_t)take(g, 1) % 0xb1,
                               .left = (uint16_t)(take(g, 2) % (FLASH_BUFFER + 1)),
                               .buffer_at = (uint32_t)take(g, 4) % (FLASH_SIZE_MAX - 255)};

    if (flash_section.check(&made)) {
        pc.flash.state = made;
    }
}

static void step(struct guest *g, uint8_t op, uint8_t *before)
{
    unsigned width = 1U << (op >> 4 & 3U);

    switch (op & 0xfU) {
    case 0:
    case 1:
    case 2:
        read_from(g, op, width, before);
        break;
    case 3:
        if (take(g, 1) % 16 == 0) {
            checkpoint(before);
        }
        break;
    case 4:
        if (take(g, 1) % 16 == 0) {
            pc_reset(&pc, g->now);
            require(flash_is_array(&pc.flash));
        } else {
            load_made_up(g);
        }
        break;
    default:
        write_to(g, op, width, before);
        break;
    }
    require(flash_section.check(&pc.flash.state));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pc_config config = fake_edge_config(1);
    struct guest g = {.pc = &pc, .data = data, .left = size};
    uint8_t *bytes = malloc(SIZE), *before = malloc(SIZE);

    require(bytes && before);
    memset(bytes, 0xff, SIZE);
    config.firmware = true;
    config.flash = bytes;
    config.flash_size = SIZE;
    config.flash_at = BASE;
    fake_edge_clear();
    require(pc_init(&pc, &config) == STATUS_OK);
    while (g.left > 0) {
        guest_count();
        step(&g, (uint8_t)take(&g, 1), before);
    }
    require(fake_edge.bad_locking == 0);
    free(bytes);
    free(before);
    return 0;
}
