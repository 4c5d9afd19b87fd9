/* SPDX-License-Identifier: BSD-2-Clause */
/* The log, its ring and its sinks, with a UART and a screen of the test's. */
#include "tests/unit/fakes/cpu.h"
#include "vmm/base/guest_log.h"
#include "vmm/console/screen.h"
#include "vmm/console/sinks.h"
#include "vmm/host/map_physical.h"
#include "vmm/host/time.h"

#include "drivers/uart/ns16550.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WIDTH  64U /* 8 columns */
#define HEIGHT 48U /* 3 lines */
#define WHITE  0x00d0d0d0U

/* A font in which each glyph's lines are the character's own bits. */
uint8_t screen_font[4 + 256 * 16];

#define RING_SIZE 65536U /* of the log */

static uint32_t frame[HEIGHT][WIDTH];
static char serial_text[RING_SIZE * 2];
static size_t serial_used;
static uint64_t now_ns;

uint64_t time_now_ns(void)
{
    return now_ns;
}

void *map_physical(hpa_t base, uint64_t size, enum map_kind kind)
{
    assert_int_equal(kind, MAP_FRAMEBUFFER);
    assert_int_equal(size, sizeof(frame));
    return frame;
}

enum status ns16550_init(struct ns16550 *uart, uint16_t port, uint32_t baud)
{
    *uart = (struct ns16550){.port = port};
    return STATUS_OK;
}

size_t ns16550_send(struct ns16550 *uart, const char *text, size_t length)
{
    if (uart->dead || length == 0 || serial_used == sizeof(serial_text) - 1) {
        return 0;
    }
    serial_text[serial_used++] = *text;
    serial_text[serial_used] = '\0';
    return 1;
}

bool ns16550_get(struct ns16550 *uart, char *c)
{
    return false;
}

void ns16550_flush(struct ns16550 *uart) {}

static void test_ring(void **state)
{
    static char text[RING_SIZE];
    struct ring ring = {text, sizeof(text), 0};
    char out[16];
    uint64_t from = 0;

    ring_put(&ring, "hello", 5);
    assert_int_equal(ring_read(&ring, &from, out, 3), 3);
    assert_memory_equal(out, "hel", 3);
    assert_int_equal(ring_read(&ring, &from, out, sizeof(out)), 2);
    assert_int_equal(ring_read(&ring, &from, out, sizeof(out)), 0);
    for (unsigned i = 0; i < RING_SIZE / 4 + 10; i++) {
        ring_put(&ring, "abcd", 4);
    }
    /* What was overwritten is skipped: the oldest byte that is left comes first. */
    assert_int_equal(ring_read(&ring, &from, out, 4), 4);
    assert_int_equal(from, ring.written - RING_SIZE + 4);
    assert_memory_equal(out, "abcd", 4);
}

static void test_lines(void **state)
{
    char longest[600];

    log_raw("from the loader\n", 16);
    now_ns = 1234567000;
    log_info("before any sink");
    assert_int_equal(serial_used, 0);
    assert_int_equal(log_start_serial(0x3f8, 115200), STATUS_OK);
    assert_string_equal(serial_text, "from the loader\r\n[   1.234567] before any sink\r\n");
    serial_used = 0;
    assert_int_equal(log_start_serial(0x3f8, 9600), STATUS_OK); /* the same line: not said again */
    assert_int_equal(serial_used, 0);
    log_warn("careful");
    assert_string_equal(serial_text, "[   1.234567] warning: careful\r\n");
    serial_used = 0;
    log_debug("not at this level");
    assert_int_equal(serial_used, 0);
    log_set_level(LOG_DEBUG);
    log_debug("now it is");
    assert_string_equal(serial_text, "[   1.234567] debug: now it is\r\n");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    serial_used = 0;
    log_info("%s", longest);
    assert_int_equal(serial_used, LOG_LINE_MAX); /* with the '\r', without the NUL */
    assert_string_equal(serial_text + serial_used - 6, "x...\r\n");
    uint64_t from = 0;
    char first[16];

    assert_int_equal(log_read(&from, first, 15), 15);
    assert_memory_equal(first, "from the loader", 15);
}

static unsigned count_lines(void)
{
    unsigned lines = 0;

    for (size_t i = 0; i < serial_used; i++) {
        lines += serial_text[i] == '\n' ? 1 : 0;
    }
    return lines;
}

/* Whatever is logged on a CPU that acts for a guest, whoever logs it. */
static void test_guest_lines(void **state)
{
    struct guest_log web = {.vm = "web"}, db = {.vm = "db"};

    now_ns = 1000;
    serial_used = 0;
    fake_cpu_acts_for(&web);
    for (unsigned i = 1; i <= 10000; i++) {
        log_warn("line %u", i);
    }
    assert_int_equal(count_lines(), GUEST_LOG_BURST);
    guest_log(&web, LOG_INFO, "with its name"); /* the same limit */
    log_error("our own fault");
    log_write_always(LOG_INFO, "once");
    guest_log(&db, LOG_INFO, "another VM");
    assert_int_equal(count_lines(), GUEST_LOG_BURST + 3);
    /* A minute later there is room for one, which says what was left out, and not for a second. */
    serial_used = 0;
    now_ns += GUEST_LOG_EACH_NS - 1;
    log_warn("too early");
    now_ns += 1;
    guest_log(&web, LOG_INFO, "now");
    log_warn("too late");
    assert_string_equal(serial_text, "[  60.000001] VM 'web': 9970 lines about it were left out\r\n"
                                     "[  60.000001] VM 'web': now\r\n");
    assert_int_equal(web.lines, 10004);
    assert_int_equal(web.left_out, 10004 - GUEST_LOG_BURST - 1);
    fake_cpu_acts_for(NULL);
    log_warn("nobody's");
    assert_int_equal(count_lines(), 3);
}

static void expect_cell(unsigned line, unsigned column, char wanted)
{
    for (unsigned x = 0; x < 8; x++) {
        bool lit = wanted != ' ' && ((unsigned char)wanted & (0x80U >> x));

        assert_int_equal(frame[line * 16][column * 8 + x], lit ? WHITE : 0);
        assert_int_equal(frame[line * 16 + 15][column * 8 + x], lit ? WHITE : 0);
    }
}

static void test_screen(void **state)
{
    const struct handoff_framebuffer fb = {0xc0000000, WIDTH, HEIGHT, WIDTH * 4,
                                           HANDOFF_PIXEL_BGRX};

    for (unsigned c = 0; c < 256; c++) {
        memset(&screen_font[4 + c * 16], c == ' ' ? 0 : (int)c, 16);
    }
    memset(frame, 0xee, sizeof(frame));
    assert_int_equal(screen_init(&fb), STATUS_OK);
    assert_int_equal(frame[HEIGHT - 1][WIDTH - 1], 0);
    screen_put("ab\ncdefghijk", 12); /* the second is longer than a line */
    expect_cell(0, 0, 'a');
    expect_cell(0, 1, 'b');
    expect_cell(1, 7, 'j');
    expect_cell(2, 0, 'k');
    screen_put("\n\x1b\xc3z", 4); /* scrolled up by one; what is not ASCII is a question mark */
    expect_cell(0, 0, 'c');
    expect_cell(1, 0, 'k');
    expect_cell(1, 1, ' ');
    expect_cell(2, 0, '?');
    expect_cell(2, 1, '?');
    expect_cell(2, 2, 'z');
}

/* Is it COLOUR from LEFT to RIGHT and TOP to BOTTOM, and black around that? */
static void expect_picture(unsigned left, unsigned right, unsigned top, unsigned bottom,
                           uint32_t colour)
{
    for (unsigned y = 0; y < HEIGHT; y++) {
        for (unsigned x = 0; x < WIDTH; x++) {
            bool within = x >= left && x < right && y >= top && y < bottom;

            assert_int_equal(frame[y][x], within ? colour : 0);
        }
    }
}

static void draw_picture(uint32_t width, uint32_t height)
{
    uint32_t row[WIDTH + 10];

    screen_clear();
    for (unsigned x = 0; x < WIDTH + 10; x++) {
        row[x] = x < width ? 0x123456 : 0xffffff;
    }
    for (uint32_t y = 0; y < height; y++) {
        screen_draw(y, row, width, height);
    }
}

static void test_lent_screen(void **state)
{
    struct handoff_framebuffer fb = {0xc0000000, WIDTH, HEIGHT, WIDTH * 4, HANDOFF_PIXEL_BGRX};

    assert_int_equal(screen_init(&fb), STATUS_OK);
    screen_put("\nold", 4);
    assert_false(screen_lend(true));
    assert_true(screen_is_there());
    draw_picture(WIDTH, HEIGHT);
    expect_picture(0, WIDTH, 0, HEIGHT, 0x123456);
    draw_picture(WIDTH - 20, HEIGHT - 10); /* too big for twice: in the middle */
    expect_picture(10, WIDTH - 10, 5, HEIGHT - 5, 0x123456);
    draw_picture(WIDTH / 3, HEIGHT / 3); /* three times */
    expect_picture((WIDTH - WIDTH / 3 * 3) / 2, (WIDTH - WIDTH / 3 * 3) / 2 + WIDTH / 3 * 3,
                   (HEIGHT - HEIGHT / 3 * 3) / 2, (HEIGHT - HEIGHT / 3 * 3) / 2 + HEIGHT / 3 * 3,
                   0x123456);
    draw_picture(WIDTH + 10, HEIGHT + 10); /* what fits of it */
    expect_picture(0, WIDTH, 0, HEIGHT, 0x123456);
    fb.pixel = HANDOFF_PIXEL_RGBX;
    screen_put("\nnew", 4);
    expect_picture(0, WIDTH, 0, HEIGHT, 0x123456); /* kept, not drawn */
    assert_true(screen_lend(false));
    screen_clear();
    for (uint32_t line = 0; screen_redraw(line); line++) {
    }
    expect_cell(1, 0, 'o');
    expect_cell(2, 0, 'n');
    assert_int_equal(screen_init(&fb), STATUS_OK);
    draw_picture(WIDTH, HEIGHT);
    expect_picture(0, WIDTH, 0, HEIGHT, 0x563412);
}

static void test_screens_refused(void **state)
{
    static const struct handoff_framebuffer bad[] = {
        {0xc0000000, WIDTH,      HEIGHT,     WIDTH * 4,     HANDOFF_PIXEL_NONE},
        {0,          WIDTH,      HEIGHT,     WIDTH * 4,     HANDOFF_PIXEL_BGRX},
        {0xc0000001, WIDTH,      HEIGHT,     WIDTH * 4,     HANDOFF_PIXEL_BGRX},
        {0xc0000000, 7,          HEIGHT,     WIDTH * 4,     HANDOFF_PIXEL_BGRX},
        {0xc0000000, WIDTH,      15,         WIDTH * 4,     HANDOFF_PIXEL_BGRX},
        {0xc0000000, WIDTH,      HEIGHT,     WIDTH * 4 - 4, HANDOFF_PIXEL_BGRX},
        {0xc0000000, WIDTH,      HEIGHT,     WIDTH * 4 + 1, HANDOFF_PIXEL_BGRX},
        {0xc0000000, UINT32_MAX, HEIGHT,     UINT32_MAX,    HANDOFF_PIXEL_RGBX},
        {0xc0000000, WIDTH,      UINT32_MAX, WIDTH * 4,     HANDOFF_PIXEL_RGBX},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(screen_init(&bad[i]), STATUS_NOT_FOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_guest_lines), cmocka_unit_test(test_screen),
        cmocka_unit_test(test_lent_screen), cmocka_unit_test(test_screens_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
