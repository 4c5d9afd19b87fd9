/* SPDX-License-Identifier: BSD-2-Clause */
/* The VM's devices behind the portal: opened, shown, compared, closed. */
#include "guest/agent/agent_task.h"
#include "guest/agent/move.h"
#include "guest/agent/vfu_client.h"
#include "vmm/migrate/compare.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REGION_RAM  0U
#define REGION_TEXT 1U

bool move_ask(struct move *m, const char *format, ...)
{
    char line[PORTAL_LINE_MAX + 1];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    m->answered = false;
    m->answer[0] = '\0';
    if (!portal_ask(PORTAL_ASKER_MOVE, ++m->asked, "%s", line)) {
        return move_fail(m, "the portal takes no request");
    }
    /* Answers are waited for even if the move is cancelled: what was asked is done. */
    while (!m->answered) {
        task_wait_always(-1, 0, 0);
    }
    return strncmp(m->answer, "ok", 2) == 0 || move_fail(m, "'%.100s': %.100s", line, m->answer);
}

bool move_check(struct move *m, uint32_t device, const char *what, int error)
{
    if (error == 0) {
        return true;
    }
    return device == 0 ? move_fail(m, "%s of the VM: %s", what, strerror(error))
                       : move_fail(m, "%s of VF %u: %s", what, device - 1, strerror(error));
}

static bool read_text(struct move *m, uint32_t device)
{
    struct vfu_area area[1];
    uint32_t channel = MOVE_CHANNEL + device, count = ARRAY_SIZE(area);
    uint64_t size;

    if (!move_check(m, device, "the text", vfu_region(channel, REGION_TEXT, &size, area, &count))) {
        return false;
    }
    if (size == 0 || size >= STREAM_TEXT_MAX || size > m->data[device]) {
        return move_fail(m, "the text of device %u has %lu bytes", device, (unsigned long)size);
    }
    memset(m->text[device], 0, STREAM_TEXT_MAX);
    return move_check(
        m, device, "the text",
        vfu_read(channel, REGION_TEXT, 0, (uint8_t *)m->text[device], (uint32_t)size));
}

static bool read_runs(struct move *m)
{
    struct vfu_area area[VM_RUNS_MAX];
    uint64_t size, total = 0;

    m->vm.runs = VM_RUNS_MAX;
    if (!move_check(m, 0, "RAM", vfu_region(MOVE_CHANNEL, REGION_RAM, &size, area, &m->vm.runs))) {
        return false;
    }
    if (m->vm.runs == 0) {
        m->vm.runs = 1;
        area[0] = (struct vfu_area){0, size};
    }
    for (uint32_t i = 0; i < m->vm.runs; i++) {
        m->vm.run[i] = (struct stream_run){area[i].offset, area[i].size};
        total += area[i].size;
    }
    m->figures.total = total;
    return stream_runs_are_valid(&m->vm) ||
           move_fail(m, "the portal says nonsense about the VM's RAM");
}

bool move_open_vm(struct move *m)
{
    return move_ask(m, "open %u vm %s", MOVE_CHANNEL, m->vm.name) &&
           move_check(m, 0, "the device", vfu_begin(MOVE_CHANNEL, &m->data[0])) && read_runs(m) &&
           read_text(m, 0);
}

bool move_open_vf(struct move *m, uint32_t vf, const char *driver)
{
    uint32_t device = vf + 1, channel = MOVE_CHANNEL + device;

    return move_ask(m, "open %u vf %s %u%s%s", channel, m->vm.name, vf, driver != NULL ? " " : "",
                    driver != NULL ? driver : "") &&
           move_check(m, device, "the device", vfu_begin(channel, &m->data[device])) &&
           read_text(m, device);
}

void move_close(struct move *m)
{
    char why[AGENT_TEXT_MAX];

    m->shown_size = 0;
    if (!portal.ended) {
        /* That of the move stays; if nothing was open, nothing is to be closed. */
        memcpy(why, m->why, sizeof(why));
        (void)move_ask(m, "close %u", MOVE_CHANNEL);
        memcpy(m->why, why, sizeof(why));
    }
}

/* ---- The window ---- */

bool move_hide(struct move *m)
{
    uint64_t size = m->shown_size;

    m->shown_size = 0;
    return size == 0 || move_ask(m, "hide 0 %lu", (unsigned long)size);
}

uint8_t *move_show(struct move *m, uint64_t address, uint64_t *size)
{
    const struct stream_run *run = m->vm.run;
    uint64_t window = portal.bus.window_size, from;

    if (address - m->shown >= m->shown_size) {
        while (address - run->address >= run->size) { /* it is RAM: one of them has it */
            run++;
        }
        from = address / window * window;
        from = from < run->address ? run->address : from;
        uint64_t end = address / window * window + window;

        end = end < run->address + run->size ? end : run->address + run->size;
        if (!move_hide(m) || !move_ask(m, "show %u %lu %lu 0", MOVE_CHANNEL, (unsigned long)from,
                                       (unsigned long)(end - from))) {
            return NULL;
        }
        m->shown = from;
        m->shown_size = end - from;
    }
    if (portal.ended) {
        (void)move_fail(m, "the portal's session has ended");
        return NULL;
    }
    *size = m->shown + m->shown_size - address;
    return portal.bus.window + (address - m->shown);
}

/* ---- Texts ---- */

bool move_compare(struct move *m)
{
    char why[COMPARE_WHY_MAX];

    for (uint32_t i = 0; i <= m->vm.vfs; i++) {
        const char *here = m->source ? m->text[i] : m->theirs[i];
        const char *there = m->source ? m->theirs[i] : m->text[i];

        if (compare_texts(here, there, why) != STATUS_OK) {
            return i == 0 ? move_fail(m, "the target's VM is another: %.200s", why)
                          : move_fail(m, "the target's VF %u is another: %.200s", i - 1, why);
        }
    }
    return true;
}

bool move_compare_ram(struct move *m, const struct stream_vm *theirs)
{
    return (theirs->runs == m->vm.runs &&
            memcmp(theirs->run, m->vm.run, sizeof(theirs->run)) == 0) ||
           move_fail(m, "the VM's RAM lies elsewhere at the %s", m->source ? "target" : "source");
}
