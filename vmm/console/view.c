/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/console/view.h"

#include "vmm/base/format.h"
#include "vmm/console/console_edge.h"
#include "vmm/console/line.h"
#include "vmm/console/parts.h"
#include "vmm/console/screen.h"
#include "vmm/console/sinks.h"

#include <string.h>

#define STEP_NS    50000000ULL   /* between two updates of the terminal, */
#define STEP_MAX   512U          /* each of so many bytes: 10 KiB a second */
#define SETTLE_NS  1000000000ULL /* other lines may be read before they are drawn over */
#define SWEEP_NS   40000000ULL /* from the beginning of one sweep of the frame buffer to the next */
#define SWEEP_ROWS 16U         /* drawn at once */
#define PIECE_MAX  40U         /* of a cell with a movement and a colour before it */
#define PRIME      0x100000001b3ULL

static unsigned shown_vm = CONSOLE_VMM;

static struct {
    struct view terminal;
    uint64_t next_ns; /* of the terminal, */
    uint64_t wholes;  /* which other lines have been written to */
    uint64_t sweep_ns;
    unsigned row; /* of the frame buffer's sweep; none under way: its height */
    uint16_t width, height;
    uint64_t hash[VGA_HEIGHT_MAX]; /* of what each row shows */
    struct vga_state state;
    struct vga_picture picture;
} shown;

/* ---- Text for a terminal ---- */

static uint16_t cell_of(uint16_t cell)
{
    return (uint16_t)((uint8_t)vga_ascii((uint8_t)cell) | (cell & 0x7f00U));
}

/* One line of text as ASCII, without blanks at its end, NUL-terminated. */
static void text_of_line(const struct vga_picture *picture, unsigned line,
                         char text[VGA_TEXT_COLUMNS + 1])
{
    uint16_t cells[VGA_TEXT_COLUMNS];
    unsigned length = 0;

    vga_text_line(picture, line, cells);
    for (unsigned i = 0; i < picture->columns; i++) {
        text[i] = vga_ascii((uint8_t)cells[i]);
        length = text[i] != ' ' ? i + 1 : length;
    }
    text[length] = '\0';
}

static size_t move_to(struct view *view, unsigned line, unsigned column, char *buffer, size_t used)
{
    if (view->at_line == line && view->at_column == column) {
        return used;
    }
    view->at_line = (uint16_t)line;
    view->at_column = (uint16_t)column;
    return used + (size_t)format(buffer + used, PIECE_MAX, "\x1b[%u;%uH", line + 1, column + 1);
}

/* The PC's colours in the order of ECMA-48, 8.3.117. */
static unsigned colour(unsigned bits)
{
    return (bits & 1U) << 2 | (bits & 2U) | (bits >> 2 & 1U);
}

static size_t put_cell(struct view *view, uint16_t cell, char *buffer, size_t used)
{
    uint8_t attribute = (uint8_t)(cell >> 8);

    if (view->attribute != attribute) {
        view->attribute = attribute;
        used += (size_t)format(buffer + used, PIECE_MAX, "\x1b[0;%s3%u;4%um",
                               (attribute & 8U) != 0 ? "1;" : "", colour(attribute),
                               colour(attribute >> 4));
    }
    buffer[used++] = (char)cell;
    view->at_column++;
    return used;
}

/* A terminal that may show anything; NAME's picture if it cannot be shown as text. */
static size_t start(struct view *view, const struct vga_picture *picture, const char *name,
                    char *buffer)
{
    bool text = picture->kind == VGA_TEXT;

    memset(view, 0, sizeof(*view));
    view->known = true;
    view->kind = picture->kind;
    view->columns = text ? picture->columns : picture->width;
    view->lines = text ? picture->lines : picture->height;
    view->attribute = 0x07;
    for (unsigned i = 0; i < VGA_TEXT_LINES * VGA_TEXT_COLUMNS; i++) {
        view->cell[i / VGA_TEXT_COLUMNS][i % VGA_TEXT_COLUMNS] = 0x0720;
    }
    int length = format(buffer, VIEW_LEAST, "\x1b[0;37;40m\x1b[2J\x1b[H\x1b[?25h");

    if (picture->kind == VGA_BLANK) {
        length += format(buffer + length, VIEW_LEAST - (size_t)length,
                         "[%.15s: the screen is dark]", name);
    } else if (!text) {
        length += format(buffer + length, VIEW_LEAST - (size_t)length,
                         "[%.15s: a picture of %u x %u points; Ctrl-A s: the serial port]", name,
                         view->columns, view->lines);
    }
    return (size_t)length;
}

static bool fits(const struct view *view, const struct vga_picture *picture)
{
    bool text = picture->kind == VGA_TEXT;

    return view->known && view->kind == picture->kind &&
           view->columns == (text ? picture->columns : picture->width) &&
           view->lines == (text ? picture->lines : picture->height);
}

static size_t put_cursor(struct view *view, const struct vga_picture *picture, char *buffer,
                         size_t used)
{
    unsigned line, column;
    bool hidden = !vga_text_cursor(picture, &line, &column);

    used = hidden ? used : move_to(view, line, column, buffer, used);
    if (hidden != view->hidden) {
        view->hidden = hidden;
        used += (size_t)format(buffer + used, PIECE_MAX, "\x1b[?25%c", hidden ? 'l' : 'h');
    }
    return used;
}

size_t view_update(struct view *view, const struct vga_picture *picture, const char *name,
                   char *buffer, size_t size)
{
    uint16_t cells[VGA_TEXT_COLUMNS];

    if (picture->kind == VGA_BLANK && view->known) {
        return 0; /* between two modes, mostly */
    }
    size_t used = fits(view, picture) ? 0 : start(view, picture, name, buffer);

    if (picture->kind != VGA_TEXT) {
        return used;
    }
    for (unsigned line = 0; line < picture->lines; line++) {
        vga_text_line(picture, line, cells);
        for (unsigned i = 0; i < picture->columns; i++) {
            uint16_t cell = cell_of(cells[i]);

            if (view->cell[line][i] == cell) {
                continue;
            }
            if (used + 2 * (size_t)PIECE_MAX > size) {
                return used;
            }
            used = move_to(view, line, i, buffer, used);
            used = put_cell(view, cell, buffer, used);
            view->cell[line][i] = cell;
        }
    }
    return used + 2 * (size_t)PIECE_MAX > size ? used : put_cursor(view, picture, buffer, used);
}

/* ---- The foreground VM's ---- */

static bool look(unsigned vm)
{
    uint64_t now;
    const uint32_t *memory = console_edge_vm_screen(vm, &shown.state, &now);

    if (memory) {
        vga_look(&shown.picture, &shown.state, memory, now);
    }
    return memory;
}

bool view_print(unsigned vm)
{
    char text[VGA_TEXT_COLUMNS + 1];

    if (!look(vm)) {
        return false;
    }
    if (shown.picture.kind == VGA_BLANK) {
        console_print("%s: the screen is dark", console_edge_vm_name(vm));
    } else if (shown.picture.kind != VGA_TEXT) {
        console_print("%s: a picture of %u x %u points", console_edge_vm_name(vm),
                      shown.picture.width, shown.picture.height);
    }
    for (unsigned line = 0; shown.picture.kind == VGA_TEXT && line < shown.picture.lines; line++) {
        text_of_line(&shown.picture, line, text);
        console_print("|%s", text);
    }
    return true;
}

void view_begin(unsigned vm)
{
    bool was = shown_vm != CONSOLE_VMM;

    shown_vm = vm;
    shown.terminal.known = false;
    shown.wholes = UINT64_MAX;
    shown.width = shown.height = 0;
    shown.row = 0;
    shown.sweep_ns = 0;
    if (was || vm != CONSOLE_VMM) {
        log_lend_screen(vm != CONSOLE_VMM);
    }
}

static void update_terminal(uint64_t now_ns)
{
    char buffer[STEP_MAX];
    uint64_t flags = line_enter(0), wholes = line_wholes();

    if (wholes != shown.wholes) { /* somebody's line stands in it: in a moment all of it anew */
        shown.wholes = wholes;
        shown.terminal.known = false;
        shown.next_ns = now_ns + SETTLE_NS;
    } else if (now_ns >= shown.next_ns && line_has_room(LINE_RING / 2)) {
        size_t length = view_update(&shown.terminal, &shown.picture, console_edge_vm_name(shown_vm),
                                    buffer, sizeof(buffer));

        line_raw(buffer, length, false);
        shown.next_ns = now_ns + STEP_NS;
    }
    line_leave(flags);
}

static uint64_t hash(const uint32_t *pixels, unsigned count)
{
    uint64_t value = count;

    for (unsigned i = 0; i < count; i++) {
        value = (value ^ pixels[i]) * PRIME;
        value ^= value >> 32;
    }
    return value;
}

static void draw_row(unsigned row)
{
    static uint32_t pixels[VGA_WIDTH_MAX];

    vga_draw_line(&shown.picture, row, pixels);
    uint64_t value = hash(pixels, shown.picture.width);

    if (value != shown.hash[row]) {
        shown.hash[row] = value;
        screen_draw(row, pixels, shown.width, shown.height);
    }
}

static void update_frame_buffer(uint64_t now_ns)
{
    if (shown.picture.width != shown.width || shown.picture.height != shown.height) {
        shown.width = shown.picture.width;
        shown.height = shown.picture.height;
        shown.row = 0;
        memset(shown.hash, 0, sizeof(shown.hash));
        screen_clear();
    }
    if (shown.row == shown.height && now_ns >= shown.sweep_ns) {
        shown.row = 0;
    }
    shown.sweep_ns = shown.row == 0 ? now_ns + SWEEP_NS : shown.sweep_ns;
    for (unsigned i = 0; i < SWEEP_ROWS && shown.row < shown.height; i++) {
        draw_row(shown.row++);
    }
}

void view_poll(uint64_t now_ns)
{
    if (shown_vm == CONSOLE_VMM || !look(shown_vm)) {
        return;
    }
    update_terminal(now_ns);
    if (screen_is_there()) {
        update_frame_buffer(now_ns);
    }
}
