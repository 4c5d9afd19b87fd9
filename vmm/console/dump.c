/* SPDX-License-Identifier: BSD-2-Clause */
/* All state here belongs to the CPU that polls. */
#include "vmm/console/parts.h"

#include "vmm/console/console_edge.h"
#include "vmm/console/line.h"
#include "vmm/console/sinks.h"

#include <string.h>

#define PIECE 256U

static struct {
    unsigned vm;
    uint64_t at, end; /* positions in the ring that is printed */
} dump;

static size_t read_ring(unsigned vm, uint64_t *from, char *buffer, size_t size)
{
    return vm == CONSOLE_VMM ? log_read(from, buffer, size) : terminal_read(vm, from, buffer, size);
}

/* Count the line ends from position FROM up to END; move *FROM behind number SKIP, if it is not 0.
 */
static uint64_t count_lines(unsigned vm, uint64_t *from, uint64_t end, uint64_t skip)
{
    char buffer[PIECE];
    uint64_t lines = 0, at = *from;

    while (at < end) {
        size_t got = read_ring(vm, &at, buffer, sizeof(buffer));
        uint64_t start = at - got;

        for (size_t i = 0; i < got && start + i < end; i++) {
            if (buffer[i] == '\n' && ++lines == skip) {
                *from = start + i + 1;
                return lines;
            }
        }
        if (got == 0) {
            break;
        }
    }
    return lines;
}

void dump_start(unsigned vm, unsigned lines)
{
    dump.vm = vm;
    dump.at = 0;
    dump.end = vm == CONSOLE_VMM ? log_written() : terminal_written(vm);
    uint64_t there = count_lines(vm, &dump.at, dump.end, 0);

    if (there > lines) {
        (void)count_lines(vm, &dump.at, dump.end, there - lines);
    }
}

void dump_stop(void)
{
    dump.at = dump.end;
}

bool dump_running(void)
{
    return dump.at < dump.end;
}

static void print_piece(const char *text, int length)
{
    if (dump.vm == CONSOLE_VMM) {
        console_print("%.*s", length, text);
    } else {
        console_print("[%s] %.*s", console_edge_vm_name(dump.vm), length, text);
    }
}

/* One line, or PIECE characters of a longer one. */
static void print_line(void)
{
    char buffer[PIECE];
    uint64_t after = dump.at;
    size_t got = read_ring(dump.vm, &after, buffer, sizeof(buffer));
    uint64_t start = after - got; /* the ring may have overwritten what stood at dump.at */
    const char *newline = memchr(buffer, '\n', got);
    size_t length = newline ? (size_t)(newline - buffer) : got;

    if (start + length > dump.end) {
        length = dump.end > start ? (size_t)(dump.end - start) : 0;
    }
    dump.at = got > 0 ? start + length + (newline ? 1 : 0) : dump.end;
    if (start < dump.end) {
        print_piece(buffer, (int)length);
    }
}

void dump_poll(void)
{
    while (dump_running() && line_room() > LINE_RING / 2) {
        print_line();
    }
}
