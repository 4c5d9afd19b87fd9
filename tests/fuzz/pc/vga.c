/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that does anything to its VGA: registers, VBE, the window, the BARs, while the picture is
 * drawn. Nothing outside the video memory is touched (the sanitizers see to that), the registers
 * hold only bits that there are, every picture is within its bounds, its pixels have three colours,
 * and state that was saved is state that can be loaded.
 */
#include "tests/fuzz/pc/guest.h"
#include "tests/unit/pc/fake_edge.h"
#include "vmm/pc/vga_draw.h"

#include <stdlib.h>
#include <string.h>

#define take          guest_take
#define require(what) guest_require(what, __LINE__)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pc pc;
static uint32_t pixels[VGA_WIDTH_MAX];

static void draw(struct guest *g)
{
    struct vga_state *copy = malloc(sizeof(*copy));
    struct vga_picture picture;
    uint16_t cells[VGA_TEXT_COLUMNS];
    unsigned line, column;

    require(pc_screen(&pc, copy));
    vga_look(&picture, copy, pc.vga.memory, g->now);
    require(picture.width > 0 && picture.width <= VGA_WIDTH_MAX);
    require(picture.height > 0 && picture.height <= VGA_HEIGHT_MAX);
    for (unsigned i = 0; i < 3; i++) {
        vga_draw_line(&picture, (unsigned)take(g, 2) % picture.height, pixels);
        for (unsigned x = 0; x < picture.width; x++) {
            require(pixels[x] <= 0xffffff);
        }
    }
    if (picture.kind == VGA_TEXT) {
        require(picture.columns <= VGA_TEXT_COLUMNS && picture.lines <= VGA_TEXT_LINES);
        vga_text_line(&picture, picture.lines - 1U, cells);
        require(!vga_text_cursor(&picture, &line, &column) ||
                (line < picture.lines && column < picture.columns));
    }
    free(copy);
}

/* Of VBE: an index, and mostly a value that means something. */
static void touch_vbe(struct guest *g, uint8_t op)
{
    static const uint16_t values[] = {0, 1, 0x61, 0x23, 4, 8, 15, 16, 24, 32, 640, 2560, 1600, 255};
    uint16_t value =
        (op & 0x80U) != 0 ? (uint16_t)take(g, 2) : values[take(g, 1) % ARRAY_SIZE(values)];

    pc_port_write(&pc, VGA_VBE_PORTS, 2, (uint32_t)take(g, 1) % 13, g->now);
    pc_port_write(&pc, VGA_VBE_PORTS + 1 + (op >> 4 & 1U), 2, value, g->now);
    (void)pc_port_read(&pc, VGA_VBE_PORTS + 1, 2, g->now);
}

/* A place in any of the areas, now and then beside one. */
static gpa_t pick_address(struct guest *g)
{
    const uint64_t bases[] = {VGA_WINDOW, VGA_WINDOW, vga_frame_base(&pc.vga),
                              vga_register_base(&pc.vga), vga_rom_base(&pc.vga)};
    unsigned which = (unsigned)take(g, 1) % ARRAY_SIZE(bases);
    uint64_t offset = take(g, 3);

    return gpa(bases[which] + (which == 3  ? offset % 0x1008
                               : which < 2 ? offset % 0x20008
                                           : offset));
}

static void step(struct guest *g, uint8_t op)
{
    unsigned width = 1U << (op >> 4 & 3U);
    uint16_t port = (uint16_t)(VGA_PORTS + (op & 0x80U ? take(g, 1) % VGA_PORTS_SIZE
                                                       : 0x10 + take(g, 1) % 0x10));
    uint64_t value = 0;

    switch (op & 7U) {
    case 0:
    case 1:
        pc_port_write(&pc, port, width == 8 ? 2 : width, (uint32_t)take(g, 2), g->now);
        break;
    case 2:
        (void)pc_port_read(&pc, port, width == 8 ? 4 : width, g->now);
        break;
    case 3:
        touch_vbe(g, op);
        break;
    case 4:
        (void)pc_mmio_write(&pc, 0, pick_address(g), width, take(g, 8), g->now);
        break;
    case 5:
        (void)pc_mmio_read(&pc, 0, pick_address(g), width, g->now, &value);
        break;
    case 6:
        if ((op & 0x80U) != 0) {
            pc_port_write(&pc, 0xcf8, 4, 0x80001000U | (uint32_t)take(g, 1), g->now);
            pc_port_write(&pc, 0xcfc, width == 8 ? 4 : width, (uint32_t)take(g, 4), g->now);
        } else {
            g->now += take(g, 4);
        }
        break;
    default:
        draw(g);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t rom[0x1234];
    struct pc_config config = fake_edge_config(1);
    struct guest g = {.pc = &pc, .data = data, .left = size};

    config.screen = guest_screen(0);
    config.screen_rom = (size & 1U) != 0 ? rom : NULL;
    config.screen_rom_size = sizeof(rom);
    fake_edge_clear();
    require(pc_init(&pc, &config) == STATUS_OK);
    pc_port_write(&pc, 0x3c2, 1, 0x67, 0);
    pc_port_write(&pc, 0x3c0, 1, 0x20, 0);
    while (g.left > 0) {
        guest_count();
        step(&g, (uint8_t)take(&g, 1));
    }
    draw(&g);
    require(vga_section.check(&pc.vga.state));
    for (uint32_t i = 0; i < vga_section.fields; i++) {
        const struct field *field = &vga_section.field[i];
        const uint8_t *at = (const uint8_t *)&pc.vga.state + field->offset;

        for (uint32_t n = 0; n < field->count && field->width == 1; n++) {
            require(at[n * field->stride] <= field->max);
        }
    }
    pc_reset(&pc, g.now);
    require(fake_edge.bad_locking == 0);
    return 0;
}
