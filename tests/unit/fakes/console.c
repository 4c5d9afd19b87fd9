/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fakes/console.h"

#include "vmm/console/console.h"
#include "vmm/console/line.h"
#include "vmm/console/screen.h"
#include "vmm/host/time.h"
#include "vmm/pc/vga.h"

#include "drivers/uart/ns16550.h"

#include <string.h>

#define TEXT_MAX  (4U << 20)
#define TYPED_MAX 8192U

struct fake_vm fake_vms[FAKE_VMS];
unsigned fake_vm_count;
uint64_t fake_now_ns;
bool fake_line_stuck, fake_line_was_stalled, fake_line_absent;
unsigned fake_line_takes;
uint32_t fake_frame_width, fake_frame_height;
unsigned fake_frame_rows, fake_frame_clears;
uint32_t fake_frame[FAKE_FRAME_ROWS][FAKE_FRAME_COLUMNS];

static char text[TEXT_MAX + 1];
static size_t length;
static char typed[TYPED_MAX];
static size_t typed_first, typed_count;

void fake_console_reset(void)
{
    memset(fake_vms, 0, sizeof(fake_vms));
    fake_vm_count = FAKE_VMS;
    fake_now_ns = 0;
    fake_line_stuck = fake_line_was_stalled = false;
    fake_line_takes = NS16550_FIFO;
    typed_first = typed_count = 0;
    (void)line_start(0x3f8, 115200); /* and not log_start_serial(): the log's past is not wanted */
    (void)line_take_lost();
    console_init();
    while (line_poll()) {
    }
    fake_line_clear();
}

const char *fake_line_text(void)
{
    return text;
}

size_t fake_line_length(void)
{
    return length;
}

void fake_line_clear(void)
{
    length = 0;
    text[0] = '\0';
}

void fake_type(const char *keys, size_t count)
{
    for (size_t i = 0; i < count && typed_count < TYPED_MAX; i++) {
        typed[(typed_first + typed_count++) % TYPED_MAX] = keys[i];
    }
}

uint64_t time_now_ns(void)
{
    return fake_now_ns;
}

enum status screen_init(const struct handoff_framebuffer *framebuffer)
{
    return STATUS_NOT_FOUND;
}

void screen_put(const char *shown, size_t count) {}

bool screen_lend(bool lent)
{
    return false;
}

bool screen_redraw(uint32_t line)
{
    return false;
}

bool screen_is_there(void)
{
    return fake_frame_width != 0;
}

void screen_clear(void)
{
    memset(fake_frame, 0, sizeof(fake_frame));
    fake_frame_clears++;
}

void screen_draw(uint32_t row, const uint32_t *pixels, uint32_t width, uint32_t height)
{
    fake_frame_rows++;
    fake_frame_width = width;
    fake_frame_height = height;
    memcpy(fake_frame[row % FAKE_FRAME_ROWS], pixels, sizeof(fake_frame[0]));
}

enum status ns16550_init(struct ns16550 *uart, uint16_t port, uint32_t baud)
{
    *uart = (struct ns16550){.port = port, .dead = fake_line_absent};
    return fake_line_absent ? STATUS_NOT_FOUND : STATUS_OK;
}

size_t ns16550_send(struct ns16550 *uart, const char *sent, size_t count)
{
    if (uart->dead || count == 0) {
        return 0;
    }
    if (fake_line_stuck) {
        uart->stalled = uart->stalled || ++uart->waited >= FAKE_PATIENCE;
        fake_line_was_stalled |= uart->stalled;
        return 0;
    }
    uart->stalled = false;
    uart->waited = 0;
    count = count < fake_line_takes ? count : fake_line_takes;
    if (TEXT_MAX - length < count) {
        fake_line_clear(); /* a fuzzer's; tests are not that long */
    }
    memcpy(text + length, sent, count);
    length += count;
    text[length] = '\0';
    return count;
}

bool ns16550_get(struct ns16550 *uart, char *c)
{
    if (uart->dead || typed_count == 0) {
        return false;
    }
    *c = typed[typed_first];
    typed_first = (typed_first + 1) % TYPED_MAX;
    typed_count--;
    return true;
}

void ns16550_flush(struct ns16550 *uart) {}

unsigned console_edge_vm_count(void)
{
    return fake_vm_count;
}

const char *console_edge_vm_name(unsigned vm)
{
    static const char *const names[FAKE_VMS] = {"web", "db", "old-mail-server"};

    return names[vm];
}

const char *console_edge_vm_state(unsigned vm)
{
    return fake_vms[vm].off ? "off" : "running";
}

bool console_edge_vm_runs(unsigned vm)
{
    return !fake_vms[vm].off;
}

enum status console_edge_vm_do(unsigned vm, enum console_action action)
{
    fake_vms[vm].actions |= 1U << action;
    return fake_vms[vm].answer;
}

enum status console_edge_vm_checkpoint(unsigned vm, unsigned count)
{
    fake_vms[vm].checkpoints = count;
    return STATUS_OK;
}

enum status console_edge_vm_migrate(unsigned vm, const char *to)
{
    console_print("  to '%s'", to);
    return fake_vms[vm].answer;
}

enum status console_edge_vm_resolve(unsigned vm, bool here)
{
    console_print("  it runs %s", here ? "here" : "there");
    return fake_vms[vm].answer;
}

enum status console_edge_vm_print(unsigned vm, const char *section)
{
    console_print("  part '%s'", section);
    return section[0] == 'x' ? STATUS_NOT_FOUND : STATUS_OK;
}

enum status console_edge_vm_trace(unsigned vm, const char *kind)
{
    console_print("  trace '%s'", kind);
    return kind[0] == 'x' ? STATUS_INVALID : STATUS_OK;
}

void console_edge_vm_ready(unsigned vm)
{
    fake_vms[vm].ready++;
}

bool console_edge_vm_input(unsigned vm, uint8_t byte)
{
    struct fake_vm *fake = &fake_vms[vm];

    if (fake->deaf || fake->got == FAKE_VM_INPUT) {
        return false;
    }
    fake->input[fake->got++] = byte;
    return true;
}

bool console_edge_vm_has_screen(unsigned vm)
{
    return fake_vms[vm].screen;
}

const uint32_t *console_edge_vm_screen(unsigned vm, struct vga_state *state, uint64_t *now)
{
    *now = fake_now_ns;
    if (fake_vms[vm].screen) {
        *state = *fake_vms[vm].screen;
    }
    return fake_vms[vm].screen ? fake_vms[vm].memory : NULL;
}

bool console_edge_vm_key(unsigned vm, uint16_t stroke)
{
    struct fake_vm *fake = &fake_vms[vm];

    if (fake->deaf || fake->strokes == FAKE_VM_STROKES) {
        return false;
    }
    fake->stroke[fake->strokes++] = stroke;
    return true;
}

enum status console_edge_vm_mouse(unsigned vm, const int16_t delta[3], uint8_t buttons)
{
    if (fake_vms[vm].answer == STATUS_OK) {
        console_print("mouse %d %d %d, %u", delta[0], delta[1], delta[2], buttons);
    }
    return fake_vms[vm].answer;
}

void console_edge_vm_dirty(unsigned vm)
{
    console_print("dirty pages of %s", console_edge_vm_name(vm));
}

void console_edge_vf_list(void)
{
    console_print("VFs");
}

void console_edge_vf_do(enum console_action action, const char (*word)[CONSOLE_WORD_MAX],
                        uint32_t count)
{
    console_print("action %d: '%s' '%s'", (int)action, word[0], count > 1 ? word[count - 1] : "");
}

void console_edge_vm_stats(unsigned vm)
{
    fake_vms[vm].stats++;
    console_print("%s: 42 exits", console_edge_vm_name(vm));
}

void console_edge_stats(void)
{
    console_print("the VMM: 7 KiB");
}
