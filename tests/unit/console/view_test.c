/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's screen on the line and on the frame buffer, with a terminal that is made by hand. */
#include "tests/unit/fakes/console.h"
#include "vmm/base/log.h"
#include "vmm/console/console.h"
#include "vmm/console/line.h"
#include "vmm/console/view.h"
#include "vmm/vm/vm_edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COLUMNS 80U
#define LINES   25U
#define MS      1000000ULL

static struct vga_state state;
static uint32_t *memory;

/* ---- A terminal ---- */

static struct {
    char text[LINES][COLUMNS + 1];
    uint8_t attribute[LINES][COLUMNS]; /* as the PC has it */
    uint8_t now;
    unsigned line, column;
    bool hidden;
} terminal;

static void terminal_clear(void)
{
    memset(&terminal, 0, sizeof(terminal));
    for (unsigned i = 0; i < LINES; i++) {
        memset(terminal.text[i], ' ', COLUMNS);
        memset(terminal.attribute[i], 7, COLUMNS);
    }
    terminal.now = 7;
}

static void select_graphics(unsigned number)
{
    static const uint8_t colours[] = {0, 4, 2, 6, 1, 5, 3, 7};

    if (number == 0) {
        terminal.now = 7;
    } else if (number == 1) {
        terminal.now |= 8;
    } else if (number >= 40) {
        terminal.now = (uint8_t)((terminal.now & 0x0f) | colours[number - 40] << 4);
    } else {
        terminal.now = (uint8_t)((terminal.now & 0xf8) | colours[number - 30]);
    }
}

/* One sequence behind ESC; returns its length. Others than those of the view are a failure. */
static size_t take_sequence(const char *text)
{
    unsigned number[4] = {0}, count = 0;
    size_t i = 1;

    assert_int_equal(text[0], '[');
    bool private = text[1] == '?';

    i += private;
    for (; (text[i] >= '0' && text[i] <= '9') || text[i] == ';'; i++) {
        if (text[i] == ';') {
            assert_in_range(++count, 1, 3);
        } else {
            number[count] = number[count] * 10 + (unsigned)(text[i] - '0');
        }
    }
    switch (text[i]) {
    case 'H':
        terminal.line = number[0] ? number[0] - 1 : 0;
        terminal.column = number[1] ? number[1] - 1 : 0;
        break;
    case 'J':
        assert_int_equal(number[0], 2);
        terminal_clear();
        break;
    case 'm':
        for (unsigned n = 0; n <= count; n++) {
            select_graphics(number[n]);
        }
        break;
    case 'h':
    case 'l':
        assert_true(private && number[0] == 25);
        terminal.hidden = text[i] == 'l';
        break;
    default:
        fail_msg("sequence %.10s", text);
    }
    return i + 1;
}

static void terminal_take(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\x1b') {
            i += take_sequence(text + i + 1);
            continue;
        }
        assert_in_range(text[i], ' ', '~');
        assert_in_range(terminal.line, 0, LINES - 1);
        assert_in_range(terminal.column, 0, COLUMNS - 1);
        terminal.text[terminal.line][terminal.column] = text[i];
        terminal.attribute[terminal.line][terminal.column++] = terminal.now;
    }
}

/* ---- A screen ---- */

static void put_cell(unsigned line, unsigned column, uint8_t character, uint8_t attribute)
{
    memory[line * COLUMNS + column] = (unsigned)attribute << 8 | character;
}

static void put_text(unsigned line, unsigned column, const char *text, uint8_t attribute)
{
    for (; *text; text++) {
        put_cell(line, column++, (uint8_t)*text, attribute);
    }
}

static int setup(void **context)
{
    memory = calloc(1, VGA_MEMORY_SIZE);
    state = (struct vga_state){.dac_mask = 0xff, .attribute_index = 0x20, .misc = 0x67};
    state.crtc[CRTC_H_DISPLAY] = COLUMNS - 1;
    state.crtc[CRTC_V_DISPLAY] = 0x8f;
    state.crtc[CRTC_OVERFLOW] = 0x1f;
    state.crtc[CRTC_MAX_SCAN] = 0x4f;
    state.crtc[CRTC_OFFSET] = COLUMNS / 2;
    state.crtc[CRTC_LINE_COMPARE] = 0xff;
    state.attribute[ATTR_PAN] = 8;
    for (unsigned i = 0; i < 768; i++) {
        state.dac[i] = (uint8_t)i / 3;
    }
    for (uint8_t i = 0; i < 16; i++) {
        state.attribute[i] = i;
    }
    for (unsigned i = 0; i < LINES * COLUMNS; i++) {
        memory[i] = 0x0720;
    }
    terminal_clear();
    fake_frame_width = 0;
    fake_console_reset();
    fake_vms[1].screen = &state;
    fake_vms[1].memory = memory;
    return 0;
}

static int teardown(void **context)
{
    free(memory);
    return 0;
}

static void expect_terminal(unsigned line, unsigned column)
{
    struct vga_picture picture;
    uint16_t cells[VGA_TEXT_COLUMNS];

    vga_look(&picture, &state, memory, 0);
    for (unsigned i = 0; i < LINES; i++) {
        vga_text_line(&picture, i, cells);
        for (unsigned k = 0; k < COLUMNS; k++) {
            assert_int_equal(terminal.text[i][k], vga_ascii((uint8_t)cells[k]));
            assert_int_equal(terminal.attribute[i][k], cells[k] >> 8 & 0x7f);
        }
    }
    if (!terminal.hidden) {
        assert_int_equal(terminal.line, line);
        assert_int_equal(terminal.column, column);
    }
}

/* ---- The pure part ---- */

static void test_updates_are_exact_and_bounded(void **context)
{
    static struct view view;
    struct vga_picture picture;
    char buffer[256];
    unsigned seed = 7, left = 0, rounds = 0;

    memset(&view, 0, sizeof(view));
    for (unsigned change = 0; change < 300; change++) {
        unsigned count = change % 50 == 0 ? 2000 : 3;

        for (unsigned i = 0; i < count; i++) {
            seed = seed * 1103515245 + 12345;
            memory[seed >> 8 & 0x7ff] = (seed >> 4 & 0xffff) | 0x20;
        }
        state.crtc[CRTC_CURSOR_LOW] = (uint8_t)seed;
        state.crtc[CRTC_CURSOR_HIGH] = seed >> 8 & 7;
        state.crtc[CRTC_CURSOR_START] = change % 5 == 0 ? 0x20 : 0;
        vga_look(&picture, &state, memory, 0);
        do {
            left = (unsigned)view_update(&view, &picture, "db", buffer, sizeof(buffer));
            assert_in_range(left, 0, sizeof(buffer));
            terminal_take(buffer, left);
            assert_in_range(++rounds, 1, 10000);
        } while (left > 0);
        unsigned at = seed >> 8 & 7;

        at = at << 8 | (uint8_t)seed;
        expect_terminal(at / COLUMNS, at % COLUMNS);
        assert_true(terminal.hidden == (change % 5 == 0 || at >= LINES * COLUMNS));
    }
    put_text(3, 10, "x", 0x07);
    vga_look(&picture, &state, memory, 0);
    assert_in_range(view_update(&view, &picture, "db", buffer, sizeof(buffer)), 1, 40);
    vga_text_line(&picture, 3, (uint16_t[VGA_TEXT_COLUMNS]){0});
}

static void test_graphics_are_told(void **context)
{
    static struct view view;
    struct vga_picture picture;
    char buffer[VIEW_LEAST];

    memset(&view, 0, sizeof(view));
    state.graphics[GFX_MISC] = 5;
    vga_look(&picture, &state, memory, 0);
    size_t length = view_update(&view, &picture, "db", buffer, sizeof(buffer));

    buffer[length] = '\0';
    assert_non_null(
        strstr(buffer, "[db: a picture of 640 x 400 points; Ctrl-A s: the serial port]"));
    assert_int_equal(view_update(&view, &picture, "db", buffer, sizeof(buffer)), 0);
    state.attribute_index = 0;
    vga_look(&picture, &state, memory, 0);
    assert_int_equal(view_update(&view, &picture, "db", buffer, sizeof(buffer)), 0); /* a moment */
    view.known = false;
    length = view_update(&view, &picture, "db", buffer, sizeof(buffer));
    buffer[length] = '\0';
    assert_non_null(strstr(buffer, "[db: the screen is dark]"));
}

/* ---- On the line ---- */

static void run(unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        fake_now_ns += MS;
        (void)console_poll(fake_now_ns);
    }
    while (line_poll()) {
    }
}

static void type_keys(const char *keys)
{
    fake_type(keys, strlen(keys));
    run(1);
}

static void take_line(void)
{
    terminal_take(fake_line_text(), fake_line_length());
    fake_line_clear();
}

/* A second of a screen that changes all over, all the time; returns how much is written for it. */
static size_t draw_busily(void)
{
    size_t most = 0;

    for (unsigned i = 0; i < 20; i++) {
        for (unsigned cell = 0; cell < LINES * COLUMNS; cell++) {
            memory[cell] = (cell * 0x101 + i * 0x123) & 0x7f7f;
        }
        run(50);
        most += fake_line_length();
        take_line();
    }
    return most;
}

static void test_foreground(void **context)
{
    put_text(1, 0, "GNU GRUB", 0x70);
    state.crtc[CRTC_CURSOR_LOW] = 90;
    type_keys("\x01"
              "2");
    assert_non_null(
        strstr(fake_line_text(), "[VM 2, db: running, its screen; Ctrl-A s: its serial port; "));
    fake_line_clear();
    run(900);
    assert_int_equal(fake_line_length(), 0); /* the header may be read */
    run(200);
    take_line();
    expect_terminal(1, 10);
    run(500);
    assert_int_equal(fake_line_length(), 0); /* nothing has changed */
    put_text(2, 4, "Debian", 0x1e);
    run(60);
    assert_in_range(fake_line_length(), 6, 40);
    take_line();
    expect_terminal(1, 10);
    /* A line of the log may be read for a second; then all is drawn anew. Others say nothing. */
    (void)vm_edge_output(0, 'x');
    (void)vm_edge_output(0, '\n');
    (void)vm_edge_output(1, 'y');
    run(2500);
    assert_int_equal(fake_line_length(), 0);
    log_warn("watch out");
    run(100);
    assert_non_null(strstr(fake_line_text(), "warning: watch out\r\n"));
    fake_line_clear();
    terminal_clear();
    put_text(0, 0, "new", 0x07);
    run(1200);
    take_line();
    expect_terminal(1, 10);
    /* No more than 10 KiB a second, whatever the guest does. */
    assert_in_range(draw_busily(), 1000, 10 * 1024 + 1024);
    /* The serial port instead, and back. */
    type_keys("\x01s");
    run(100);
    assert_non_null(strstr(fake_line_text(), "[VM 2, db: running; Ctrl-A s: its screen; "));
    fake_line_clear();
    (void)vm_edge_output(1, 'z');
    run(10);
    assert_string_equal(fake_line_text(), "z");
    type_keys("\x01"
              "0");
    run(2000);
    assert_null(strstr(fake_line_text(), "\x1b[2J"));
}

static void test_typing(void **context)
{
    static const uint16_t wanted[] = {0x1e, 0xc8, 0x01, 0x1c, 0x6d3};

    type_keys("\x01"
              "2a\x1b[A");
    run(50);
    assert_int_equal(fake_vms[1].strokes, 2);
    type_keys("\x1b");
    run(90);
    assert_int_equal(fake_vms[1].strokes, 2); /* it may become a sequence */
    run(20);
    assert_int_equal(fake_vms[1].strokes, 3);
    type_keys("\r\x01"
              "d");
    run(50);
    assert_int_equal(fake_vms[1].strokes, 5);
    assert_memory_equal(fake_vms[1].stroke, wanted, sizeof(wanted));
    assert_int_equal(fake_vms[1].got, 0);
    type_keys("\x01s");
    type_keys("b");
    assert_int_equal(fake_vms[1].got, 1);
    assert_int_equal(fake_vms[1].strokes, 5);
    fake_line_clear();
    type_keys("\x01"
              "1\x01s");
    assert_non_null(strstr(fake_line_text(), "[there is no VM with a screen in the foreground]"));
}

static void test_command(void **context)
{
    put_text(0, 3, "Loading Linux  ", 0x07);
    put_cell(24, 79, 0xb3, 0x07);
    type_keys("vm screen db\r");
    run(100);
    assert_non_null(strstr(fake_line_text(), "|   Loading Linux\r\n|\r\n"));
    fake_line_clear();
    type_keys("vm screen web\r");
    run(10);
    assert_non_null(strstr(fake_line_text(), "vm screen web: "));
    state.graphics[GFX_MISC] = 5;
    type_keys("vm screen db\r");
    run(10);
    assert_non_null(strstr(fake_line_text(), "db: a picture of 640 x 400 points"));
}

/* ---- On the frame buffer ---- */

static void test_frame_buffer(void **context)
{
    fake_frame_width = 1;
    state.attribute[7] = 0x3f;
    ((uint8_t *)memory)[4 * ('A' * 32 + 5) + 2] = 0x80;
    put_cell(0, 1, 'A', 0x07);
    type_keys("\x01"
              "2");
    run(60);
    assert_int_equal(fake_frame_width, 720);
    assert_int_equal(fake_frame_height, 400);
    assert_int_equal(fake_frame_rows, 400);
    assert_int_equal(fake_frame[5][9], 0xffffff);
    assert_int_equal(fake_frame[5][10], 0);
    fake_frame_rows = 0;
    state.crtc[CRTC_CURSOR_START] = 0x20;
    run(60);
    fake_frame_rows = 0;
    run(200);
    assert_int_equal(fake_frame_rows, 0); /* nothing has changed */
    ((uint8_t *)memory)[4 * ('A' * 32 + 6) + 2] = 0x80;
    run(100);
    assert_int_equal(fake_frame_rows, 1);
    assert_int_equal(fake_frame[6][9], 0xffffff);
    unsigned clears = fake_frame_clears;

    state.sequencer[SEQ_CLOCKING] = 1;
    run(100);
    assert_int_equal(fake_frame_clears, clears + 1);
    assert_int_equal(fake_frame_width, 640);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_updates_are_exact_and_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_graphics_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreground, setup, teardown),
        cmocka_unit_test_setup_teardown(test_typing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frame_buffer, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
