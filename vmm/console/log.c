/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/log.h"

#include "vmm/base/format.h"
#include "vmm/base/guest_log.h"
#include "vmm/console/line.h"
#include "vmm/console/screen.h"
#include "vmm/console/sinks.h"
#include "vmm/host/percpu.h"
#include "vmm/host/time.h"

#include <stdbool.h>
#include <string.h>

#define RING_SIZE 65536U

static const char *const level_marks[] = {
    [LOG_ERROR] = "ERROR ",
    [LOG_WARN] = "warning: ",
    [LOG_INFO] = "",
    [LOG_DEBUG] = "debug: ",
};

static struct spinlock lock = SPINLOCK(LOCK_LOG);
static char text_of_ring[RING_SIZE];
static struct ring ring = {text_of_ring, RING_SIZE, 0};
static uint64_t shown; /* the place in the ring up to which the serial line has it */
static bool screen_on;
static enum log_level highest = LOG_INFO;

void ring_put(struct ring *to, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        to->text[to->written++ % to->size] = text[i];
    }
}

size_t ring_read(const struct ring *of, uint64_t *from, char *buffer, size_t size)
{
    size_t copied = 0;

    if (of->written - *from > of->size) {
        *from = of->written - of->size;
    }
    while (copied < size && *from < of->written) {
        buffer[copied++] = of->text[(*from)++ % of->size];
    }
    return copied;
}

void log_set_level(enum log_level level)
{
    highest = level;
}

/* No lock is needed in an emergency. */
static void redraw_screen(bool locked)
{
    bool more = screen_is_there();

    for (uint32_t line = 0; more; line++) {
        uint64_t flags = locked ? line_lock(&lock) : 0;

        more = screen_redraw(line);
        if (locked) {
            line_unlock(&lock, flags);
        }
    }
}

void log_set_emergency(void)
{
    line_set_emergency();
    if (screen_lend(false)) {
        redraw_screen(false);
    }
}

void log_lend_screen(bool lent)
{
    (void)screen_lend(lent);
    if (screen_is_there()) {
        screen_clear();
    }
    if (!lent) {
        redraw_screen(true);
    }
}

static void keep(const char *text, size_t length)
{
    ring_put(&ring, text, length);
    if (screen_on) {
        screen_put(text, length);
    }
}

/*
 * Give the serial line what it has room for, a whole line at a time; the rest waits in the ring for
 * log_show(), so that nobody waits for the line who logs. Lock held.
 */
static void show(void)
{
    char text[LOG_LINE_MAX];
    bool room = true;

    while (shown < ring.written && room) {
        uint64_t from = shown;
        size_t got = ring_read(&ring, &from, text, sizeof(text));
        const char *end = memchr(text, '\n', got);
        size_t length = end ? (size_t)(end - text) : got;
        uint64_t flags = line_enter(0);

        line_lose(from - got - shown);
        shown = from - got;
        room = line_has_room(LINE_WHOLE_NEED(length));
        if (room) {
            line_whole("", text, length);
            shown += length + (end ? 1 : 0);
        }
        line_leave(flags);
    }
}

void log_show(void)
{
    uint64_t flags = line_lock(&lock);

    show();
    line_unlock(&lock, flags);
}

void log_raw(const char *text, size_t length)
{
    uint64_t flags = line_lock(&lock);

    keep(text, length);
    line_text(text, length);
    shown = ring.written;
    line_unlock(&lock, flags);
}

/* Cut at the end, with dots to say so; always ends in a newline. Returns the length. */
static size_t finish_line(char *line, int wanted)
{
    size_t length = wanted < 0 ? strlen(line) : (size_t)wanted;

    if (length > LOG_LINE_MAX - 2) {
        length = LOG_LINE_MAX - 2;
        memcpy(&line[length - 3], "...", 3);
    }
    line[length] = '\n';
    line[length + 1] = '\0';
    return length + 1;
}

uint64_t log_time_ns(void)
{
    return time_now_ns();
}

static void write_line(enum log_level level, const char *fmt, va_list args)
{
    char line[LOG_LINE_MAX];
    uint64_t us = time_now_ns() / 1000;
    int prefix = format(line, sizeof(line), "[%4lu.%06lu] %s", us / 1000000, us % 1000000,
                        level_marks[level]);
    int text = format_args(line + prefix, sizeof(line) - (size_t)prefix, fmt, args);
    size_t length = finish_line(line, text < 0 ? text : prefix + text);
    uint64_t flags = line_lock(&lock);

    keep(line, length);
    show();
    line_unlock(&lock, flags);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    struct guest_log *guest = cpu_has_area() ? cpu_current()->guest_log : NULL;
    va_list args;

    if (level > highest) {
        return;
    }
    va_start(args, fmt);
    if (guest && level != LOG_ERROR) { /* a fault of our own is told, whatever led to it */
        guest_log_plain(guest, level, fmt, args);
    } else {
        write_line(level, fmt, args);
    }
    va_end(args);
}

void log_write_always(enum log_level level, const char *fmt, ...)
{
    va_list args;

    if (level <= highest) {
        va_start(args, fmt);
        write_line(level, fmt, args);
        va_end(args);
    }
}

/* Give a new sink what the ring holds already. */
static void replay(void (*put)(const char *text, size_t length))
{
    char buffer[128];
    uint64_t from = 0;

    for (size_t n = ring_read(&ring, &from, buffer, sizeof(buffer)); n > 0;
         n = ring_read(&ring, &from, buffer, sizeof(buffer))) {
        put(buffer, n);
    }
}

enum status log_start_serial(uint16_t port, uint32_t baud)
{
    uint64_t flags = line_lock(&lock);
    bool has_it_all = line_is(port);
    enum status status = line_start(port, baud);

    if (status == STATUS_OK && !has_it_all) {
        replay(line_text);
        shown = ring.written;
    }
    line_unlock(&lock, flags);
    return status;
}

enum status log_start_screen(const struct handoff_framebuffer *framebuffer)
{
    enum status status = screen_init(framebuffer);

    if (status == STATUS_OK) {
        uint64_t flags = line_lock(&lock);

        replay(screen_put);
        screen_on = true;
        line_unlock(&lock, flags);
    }
    return status;
}

void log_flush(void)
{
    uint64_t flags = line_lock(&lock);

    do {
        show();
        line_flush();
    } while (shown < ring.written);
    line_unlock(&lock, flags);
}

size_t log_read(uint64_t *from, char *buffer, size_t size)
{
    uint64_t flags = line_lock(&lock);
    size_t copied = ring_read(&ring, from, buffer, size);

    line_unlock(&lock, flags);
    return copied;
}

uint64_t log_written(void)
{
    uint64_t flags = line_lock(&lock);
    uint64_t written = ring.written;

    line_unlock(&lock, flags);
    return written;
}
