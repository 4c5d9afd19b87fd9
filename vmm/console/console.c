/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/console/console.h"

#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/console/console_edge.h"
#include "vmm/console/line.h"
#include "vmm/console/parts.h"
#include "vmm/console/sinks.h"
#include "vmm/console/view.h"

#include <string.h>

static uint32_t overruns; /* those that were told */

void console_init(void)
{
    terminal_init(console_edge_vm_count());
    keys_init();
    dump_stop();
    overruns = line_overruns();
    log_info("console: Ctrl-A (or Ctrl-]) and h lists the keys, 'help' the commands");
    line_set_buffered();
}

void console_select(unsigned vm)
{
    dump_stop();
    terminal_select(vm);
}

void console_print(const char *fmt, ...)
{
    char text[LINE_WHOLE_MAX + 1];
    va_list args;

    va_start(args, fmt);
    int length = format_args(text, sizeof(text), fmt, args);
    va_end(args);
    size_t used = length > 0 ? strnlen(text, sizeof(text)) : 0;
    uint64_t flags = line_enter(LINE_WHOLE_NEED(used));

    line_whole("", text, used);
    line_leave(flags);
}

/* What the line lost, once it takes characters again; what it was too fast for, once. */
static void tell_losses(void)
{
    uint64_t lost = line_take_lost();

    if (lost > 0) {
        log_warn("console: the serial line took nothing for a while, %lu bytes are lost; 'log' and "
                 "'vm log NAME' show the last ones again",
                 lost);
    }
    if (overruns == 0 && line_overruns() > 0) {
        overruns = line_overruns();
        log_warn("console: typed or pasted characters came too fast and are lost: paste less at a "
                 "time");
    }
}

bool console_poll(uint64_t now_ns)
{
    keys_poll(now_ns);
    log_show();
    terminal_poll();
    terminal_flush_quiet(now_ns);
    tell_losses();
    view_poll(now_ns);
    dump_poll();
    keys_show_prompt();
    return line_poll() || dump_running();
}
