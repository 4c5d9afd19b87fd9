/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hardware and the VMs of a console on the host: a UART that keeps what it sends, a keyboard,
 * a clock, no screen, and VMs named "web", "db" and "old-mail-server".
 */
#ifndef PORTOLAN_TESTS_UNIT_FAKES_CONSOLE_H
#define PORTOLAN_TESTS_UNIT_FAKES_CONSOLE_H

#include "vmm/console/console_edge.h"

#define FAKE_VMS      3U
#define FAKE_VM_INPUT 4096U
#define FAKE_PATIENCE 100U /* refusals after which the UART is stalled */

#define FAKE_VM_STROKES 512U

struct fake_vm {
    bool off;
    bool deaf;            /* refuses input */
    unsigned checkpoints; /* how many were asked for last */
    unsigned actions;     /* bits 1 << enum console_action, of what was done */
    unsigned ready;       /* how often its UART was told that it may go on */
    unsigned stats;       /* how often they were asked for */
    enum status answer;
    size_t got;
    uint8_t input[FAKE_VM_INPUT];
    const struct vga_state *screen; /* NULL: it has none */
    const uint32_t *memory;
    unsigned strokes;
    uint16_t stroke[FAKE_VM_STROKES];
};

extern struct fake_vm fake_vms[FAKE_VMS];
extern unsigned fake_vm_count;
extern uint64_t fake_now_ns;
extern bool fake_line_stuck;       /* takes no characters */
extern bool fake_line_was_stalled; /* and was found so */
extern bool fake_line_absent;
extern unsigned fake_line_takes; /* characters at once, 1..16 */

/* What is drawn on the machine's screen; there is one if the width is not 0. */
#define FAKE_FRAME_ROWS    400U
#define FAKE_FRAME_COLUMNS 720U

extern uint32_t fake_frame_width, fake_frame_height;
extern unsigned fake_frame_rows, fake_frame_clears;
extern uint32_t fake_frame[FAKE_FRAME_ROWS][FAKE_FRAME_COLUMNS];

/* A line that works, no output yet, VMs that run and read, time 0, the console begun. */
void fake_console_reset(void);

/* What is on the line so far, NUL-terminated (it may hold NULs of guests), and its length. */
const char *fake_line_text(void);
size_t fake_line_length(void);
void fake_line_clear(void);

/* Characters that console_poll() will find. */
void fake_type(const char *text, size_t length);

#endif
