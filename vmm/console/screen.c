/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads from a frame buffer are very slow, so what stands on the screen is kept here, and scrolling
 * draws only the cells that change.
 */
#include "vmm/console/screen.h"

#include "vmm/host/map_physical.h"

#include <stdbool.h>
#include <string.h>

#define CELL_WIDTH  8U
#define CELL_HEIGHT 16U
#define PSF1_HEADER 4U
#define PIXELS_MAX  16384U
#define WHITE       0x00d0d0d0U /* the same in BGRX and RGBX */
#define BLACK       0x00000000U

/* A PSF 1 font with glyphs of 8 x 16, from font.S; the build has checked its header. */
extern const uint8_t screen_font[];

static struct {
    volatile uint32_t *pixels;
    uint32_t pitch; /* pixels from one line to the next */
    uint32_t width, height;
    bool red_first; /* of a pixel's bytes */
    bool lent;      /* atomic */
    uint32_t columns, lines;
    uint32_t column, line;
    char text[SCREEN_LINES_MAX][SCREEN_COLUMNS_MAX];
} screen;

static bool is_usable(const struct handoff_framebuffer *fb)
{
    return !(fb->pixel == HANDOFF_PIXEL_NONE || fb->base == 0 || fb->width < CELL_WIDTH ||
             fb->height < CELL_HEIGHT || fb->width > PIXELS_MAX || fb->height > PIXELS_MAX ||
             fb->pitch < fb->width * 4 || fb->pitch > PIXELS_MAX * 4 || fb->pitch % 4 ||
             fb->base % 4);
}

static void draw_cell(uint32_t line, uint32_t column)
{
    const uint8_t *glyph =
        screen_font + PSF1_HEADER + (size_t)(uint8_t)screen.text[line][column] * CELL_HEIGHT;

    for (uint32_t y = 0; y < CELL_HEIGHT; y++) {
        volatile uint32_t *row = screen.pixels + (uint64_t)(line * CELL_HEIGHT + y) * screen.pitch +
                                 (uint64_t)column * CELL_WIDTH;

        for (uint32_t x = 0; x < CELL_WIDTH; x++) {
            row[x] = glyph[y] & (0x80U >> x) ? WHITE : BLACK;
        }
    }
}

enum status screen_init(const struct handoff_framebuffer *fb)
{
    uint64_t size = (uint64_t)fb->pitch * fb->height;

    if (!is_usable(fb)) {
        return STATUS_NOTE(STATUS_NOT_FOUND);
    }
    screen.pixels = map_physical(hpa(fb->base), size, MAP_FRAMEBUFFER);
    if (!screen.pixels) {
        return STATUS_NOTE(STATUS_NO_MEMORY);
    }
    screen.pitch = fb->pitch / 4;
    screen.width = fb->width;
    screen.height = fb->height;
    screen.red_first = fb->pixel == HANDOFF_PIXEL_RGBX;
    screen.columns = fb->width / CELL_WIDTH;
    screen.lines = fb->height / CELL_HEIGHT;
    screen.columns = screen.columns < SCREEN_COLUMNS_MAX ? screen.columns : SCREEN_COLUMNS_MAX;
    screen.lines = screen.lines < SCREEN_LINES_MAX ? screen.lines : SCREEN_LINES_MAX;
    memset(screen.text, ' ', sizeof(screen.text));
    screen_clear();
    return STATUS_OK;
}

static void set_cell(uint32_t line, uint32_t column, char c)
{
    if (screen.text[line][column] != c) {
        screen.text[line][column] = c;
        if (!__atomic_load_n(&screen.lent, __ATOMIC_RELAXED)) {
            draw_cell(line, column);
        }
    }
}

static void scroll(void)
{
    for (uint32_t line = 0; line < screen.lines; line++) {
        for (uint32_t column = 0; column < screen.columns; column++) {
            char below = ' ';

            if (line + 1 < screen.lines) {
                below = screen.text[line + 1][column];
            }
            set_cell(line, column, below);
        }
    }
}

static void new_line(void)
{
    screen.column = 0;
    if (screen.line + 1 < screen.lines) {
        screen.line++;
    } else {
        scroll();
    }
}

void screen_put(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n') {
            new_line();
            continue;
        }
        if (text[i] == '\r') {
            continue;
        }
        if (screen.column == screen.columns) {
            new_line();
        }
        bool printable = text[i] >= ' ' && text[i] <= '~';

        set_cell(screen.line, screen.column++, (char)(printable ? text[i] : '?'));
    }
}

/* ---- A VM's picture ---- */

bool screen_lend(bool lent)
{
    return __atomic_exchange_n(&screen.lent, lent, __ATOMIC_RELAXED);
}

bool screen_redraw(uint32_t line)
{
    for (uint32_t column = 0; line < screen.lines && column < screen.columns; column++) {
        draw_cell(line, column);
    }
    return line < screen.lines;
}

bool screen_is_there(void)
{
    return screen.pixels;
}

void screen_clear(void)
{
    for (uint64_t i = 0; i < (uint64_t)screen.pitch * screen.height; i++) {
        screen.pixels[i] = BLACK;
    }
}

/* How many pixels are left of (or above) SIZE * TIMES of the ALL there are; none if it is more. */
static uint32_t margin(uint32_t all, uint32_t size, uint32_t times)
{
    return all > size * times ? (all - size * times) / 2 : 0;
}

void screen_draw(uint32_t row, const uint32_t *pixels, uint32_t width, uint32_t height)
{
    uint32_t times = screen.width / width < screen.height / height ? screen.width / width
                                                                   : screen.height / height;

    times = times > 0 ? times : 1;
    uint32_t left = margin(screen.width, width, times), top = margin(screen.height, height, times);

    for (uint32_t y = top + row * times; y < top + (row + 1) * times && y < screen.height; y++) {
        volatile uint32_t *to = screen.pixels + (uint64_t)y * screen.pitch;

        for (uint32_t x = 0; x < width * times && left + x < screen.width; x++) {
            uint32_t pixel = pixels[x / times];

            to[left + x] =
                screen.red_first ? (pixel & 0xff00U) | pixel >> 16 | (pixel & 0xffU) << 16 : pixel;
        }
    }
}
