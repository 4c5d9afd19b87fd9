/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/console/line.h"

#include "vmm/host/irq.h"

#include "drivers/uart/ns16550.h"

#include <string.h>

#define PROMPT     "vmm> "
#define ERASE_LINE "\r\x1b[K" /* ECMA-48 EL */
#define PLAIN_TEXT "\x1b[0m"  /* SGR: no colours, not bold */
#define CANCEL     "\x18"     /* CAN ends an escape sequence */

/* Where the terminal's cursor stands. */
enum cursor {
    CURSOR_FRESH,  /* at the start of an empty line */
    CURSOR_BELOW,  /* in an empty line, after a line feed alone */
    CURSOR_RETURN, /* at the start of a line with text */
    CURSOR_WITHIN,
};

static struct {
    struct spinlock lock;
    struct ns16550 uart;
    bool buffered;
    bool prompt;      /* the cursor stands behind the prompt */
    bool in_sequence; /* the raw text ended within an escape sequence */
    enum cursor cursor;
    uint32_t put, sent; /* bytes ever, modulo 2^32; the ring holds those between */
    uint64_t lost;
    uint64_t wholes;
} line = {.lock = SPINLOCK(LOCK_LINE), .uart = {.dead = true}};

static char ring[LINE_RING];
static volatile bool emergency;

_Static_assert((LINE_RING & (LINE_RING - 1)) == 0, "put and sent wrap at 2^32");

void line_set_emergency(void)
{
    emergency = true;
}

bool line_in_emergency(void)
{
    return emergency;
}

void line_set_buffered(void)
{
    line.buffered = true;
}

uint64_t line_lock(struct spinlock *lock)
{
    uint64_t flags = irq_save();

    if (!emergency) {
        spinlock_acquire(lock);
    }
    return flags;
}

void line_unlock(struct spinlock *lock, uint64_t flags)
{
    if (!emergency) {
        spinlock_release(lock);
    }
    irq_restore(flags);
}

/* In an emergency another CPU may have been stopped in the middle: never more than the ring. */
static uint32_t ring_used(void)
{
    uint32_t used = line.put - line.sent;

    return used < LINE_RING ? used : LINE_RING;
}

/* A FIFO's worth, without waiting. */
static void drain(void)
{
    uint32_t used = ring_used(), from = line.sent % LINE_RING;
    uint32_t piece = used < LINE_RING - from ? used : LINE_RING - from;

    line.sent += (uint32_t)ns16550_send(&line.uart, &ring[from], piece);
}

static void drain_all(void)
{
    while (ring_used() > 0 && !line.uart.dead && !line.uart.stalled) {
        drain();
    }
}

static bool has_room(size_t need)
{
    return LINE_RING - ring_used() >= need;
}

bool line_has_room(size_t need)
{
    return has_room(need) || line.uart.dead || line.uart.stalled;
}

void line_lose(uint64_t length)
{
    line.lost += line.uart.dead ? 0 : length;
}

uint64_t line_enter(size_t need)
{
    uint64_t flags = line_lock(&line.lock);

    if (emergency) {
        drain_all();
    }
    while (!line_has_room(need)) {
        drain();
        line_unlock(&line.lock, flags);
        __builtin_ia32_pause();
        flags = line_lock(&line.lock);
    }
    return flags;
}

void line_leave(uint64_t flags)
{
    if (emergency || !line.buffered) {
        drain_all();
    } else {
        drain();
    }
    line_unlock(&line.lock, flags);
}

static void put_byte(char c)
{
    ring[line.put++ % LINE_RING] = c;
    if (c == '\r') {
        line.cursor = line.cursor <= CURSOR_BELOW ? CURSOR_FRESH : CURSOR_RETURN;
    } else if (c != '\n') {
        line.cursor = CURSOR_WITHIN;
    } else {
        line.cursor = line.cursor == CURSOR_FRESH || line.cursor == CURSOR_RETURN ? CURSOR_FRESH
                                                                                  : CURSOR_BELOW;
    }
}

/* True if it went into the ring, all of it. Without a line it goes nowhere, and that is no loss. */
static bool put(const char *text, size_t length)
{
    if (line.uart.dead) {
        return false;
    }
    if (!has_room(length)) {
        line.lost += length;
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        put_byte(text[i]);
    }
    return true;
}

static void begin_line(void)
{
    if (line.prompt) {
        (void)put(ERASE_LINE, strlen(ERASE_LINE));
        line.prompt = false;
        line.cursor = CURSOR_FRESH;
        return;
    }
    if (line.in_sequence) {
        (void)put(CANCEL, strlen(CANCEL));
        line.in_sequence = false;
    }
    switch (line.cursor) {
    case CURSOR_FRESH:
        break;
    case CURSOR_BELOW:
        (void)put("\r", 1);
        break;
    case CURSOR_RETURN:
    case CURSOR_WITHIN:
        (void)put("\r\n", 2);
        break;
    }
}

void line_whole(const char *prefix, const char *text, size_t length)
{
    size_t before = strlen(prefix);

    if (!line.uart.dead && !has_room(LINE_WHOLE_NEED(before + length))) {
        line.lost += before + length + 2;
        return;
    }
    line.wholes++;
    begin_line();
    (void)put(prefix, before);
    (void)put(text, length);
    (void)put("\r\n", 2);
}

uint64_t line_wholes(void)
{
    return line.wholes;
}

void line_raw(const char *text, size_t length, bool in_sequence)
{
    if (line.prompt) {
        begin_line();
    }
    if (put(text, length)) {
        line.in_sequence = in_sequence;
    }
}

void line_reset_attributes(void)
{
    enum cursor cursor = line.cursor;

    if (line.in_sequence) {
        (void)put(CANCEL, strlen(CANCEL));
        line.in_sequence = false;
    }
    (void)put(PLAIN_TEXT, strlen(PLAIN_TEXT));
    line.cursor = cursor; /* it did not move */
}

void line_prompt(const char *text, size_t length)
{
    if (!has_room(LINE_WHOLE_NEED(strlen(PROMPT) + length))) {
        return; /* no loss: it is drawn anew as soon as there is room */
    }
    begin_line();
    if (put(PROMPT, strlen(PROMPT))) {
        (void)put(text, length);
        line.prompt = true;
    }
}

void line_echo(const char *text, size_t length)
{
    if (line.prompt) {
        (void)put(text, length);
    }
}

bool line_prompt_is_away(void)
{
    return !line.prompt;
}

void line_end_prompt(void)
{
    if (line.prompt) {
        line.prompt = false;
        (void)put("\r\n", 2);
    }
}

void line_text(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint64_t flags = line_enter(LINE_WHOLE_NEED(2));

        if (line.prompt) {
            begin_line();
        }
        (void)put(text[i] == '\n' ? "\r\n" : &text[i], text[i] == '\n' ? 2 : 1);
        line_leave(flags);
    }
}

bool line_poll(void)
{
    uint64_t flags = line_lock(&line.lock);

    drain();
    bool more = ring_used() > 0 && !line.uart.dead && !line.uart.stalled;

    line_unlock(&line.lock, flags);
    return more;
}

size_t line_read(char *buffer, size_t size)
{
    uint64_t flags = line_lock(&line.lock);
    size_t count = 0;

    while (count < size && ns16550_get(&line.uart, &buffer[count])) {
        count++;
    }
    line_unlock(&line.lock, flags);
    return count;
}

uint64_t line_take_lost(void)
{
    uint64_t flags = line_lock(&line.lock), lost = 0;

    if (!line.uart.stalled) {
        lost = line.lost;
        line.lost = 0;
    }
    line_unlock(&line.lock, flags);
    return lost;
}

uint32_t line_overruns(void)
{
    return __atomic_load_n(&line.uart.overruns, __ATOMIC_RELAXED);
}

size_t line_room(void)
{
    uint64_t flags = line_lock(&line.lock);
    size_t room = line.uart.dead ? LINE_RING : LINE_RING - ring_used();

    line_unlock(&line.lock, flags);
    return room;
}

void line_flush(void)
{
    uint64_t flags = line_lock(&line.lock);

    drain_all();
    ns16550_flush(&line.uart);
    line_unlock(&line.lock, flags);
}

bool line_is(uint16_t port)
{
    return !line.uart.dead && line.uart.port == port;
}

enum status line_start(uint16_t port, uint32_t baud)
{
    uint64_t flags = line_lock(&line.lock);

    drain_all();
    ns16550_flush(&line.uart); /* the rate may change */
    enum status status = ns16550_init(&line.uart, port, baud);

    line.put = line.sent;
    line_unlock(&line.lock, flags);
    return status;
}

void line_stop(void)
{
    uint64_t flags = line_lock(&line.lock);

    drain_all();
    ns16550_flush(&line.uart);
    line.uart.dead = true;
    line.put = line.sent;
    line_unlock(&line.lock, flags);
}
