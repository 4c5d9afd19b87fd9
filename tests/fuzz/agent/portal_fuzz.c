/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A portal that answers anything: frames, lines, and messages of vfio-user. The input is what its
 * ring gives, a piece with each look; the agent's client asks for one thing after the other.
 */
#include "guest/agent/agent.h"
#include "guest/agent/agent_task.h"
#include "guest/agent/portal_client.h"
#include "guest/agent/vfu_client.h"
#include "guest/agent/vm_table.h"
#include "vmm/base/little_endian.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t rings[2 * PORTAL_RING];
static const uint8_t *input;
static size_t left;
static uint32_t sent, come, taken_lag, asked_channel;
static uint8_t asked[4]; /* id and command of the last message */

/* Nobody reads it here. */
void agent_say(const char *text, ...) {}

/* ---- The function ---- */

bool portal_bus_open(struct portal_bus *bus, const char *where)
{
    return false;
}

void portal_bus_close(struct portal_bus *bus) {}
void portal_bus_take_interrupt(struct portal_bus *bus) {}
void portal_bus_enable_interrupt(struct portal_bus *bus) {}

static void put(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        rings[PORTAL_RING + (come + i) % PORTAL_RING] = bytes[i];
    }
    come += (uint32_t)size;
}

/* Around what comes, so that some of it is believed: an answer to the last message or request. */
static void put_envelope(uint8_t how, uint32_t size)
{
    uint8_t frame[8 + 16] = {0};
    bool line = (how & 0x40) != 0;

    bytes_put(frame, 4, size + (line ? 0 : 16));
    bytes_put(frame + 4, 4, line ? 0 : asked_channel);
    memcpy(frame + 8, asked, 4); /* id, command */
    bytes_put(frame + 12, 4, 16 + size);
    bytes_put(frame + 16, 4, 1); /* an answer */
    put(frame, line ? 8 : sizeof(frame));
}

/* A piece of the input comes into the ring. */
static void feed(void)
{
    uint32_t now;
    uint8_t how;

    if (left == 0) {
        portal.bus.gone = true; /* that was all */
        return;
    }
    how = *input++;
    left--;
    now = 1U + how % 64U;
    now = now < left ? now : (uint32_t)left;
    if ((how & 0x80) != 0 && now != 0) {
        put_envelope(how, now);
    }
    put(input, now);
    input += now;
    left -= now;
}

/* What was sent is taken; a message's first bytes are kept. */
static void take_sent(uint32_t value)
{
    uint8_t header[8 + 16];

    for (unsigned i = 0; i < sizeof(header); i++) {
        header[i] = rings[(sent + i) % PORTAL_RING];
    }
    if (value - sent >= sizeof(header) && bytes_get(header + 4, 2) != 0) {
        asked_channel = (uint32_t)bytes_get(header + 4, 2);
        memcpy(asked, header + 8, sizeof(asked));
    }
    sent = value;
}

uint32_t portal_bus_read(struct portal_bus *bus, enum portal_register reg)
{
    switch (reg) {
    case PORTAL_REG_TAKEN:
        return sent - taken_lag;
    case PORTAL_REG_COME:
        return come;
    default:
        return 0;
    }
}

void portal_bus_write(struct portal_bus *bus, enum portal_register reg, uint32_t value)
{
    if (reg == PORTAL_REG_SENT) {
        take_sent(value);
    } else if (reg == PORTAL_REG_SESSION) {
        sent = come = 0;
    }
}

/* ---- The task ---- */

void task_wait_always(int fd, short events, uint64_t deadline)
{
    feed();
    portal_poll();
}

bool task_is_cancelled(void)
{
    return false;
}

void portal_answered(enum portal_asker asker, uint32_t tag, const char *answer)
{
    if (asker == PORTAL_ASKER_TABLE) {
        vm_table_answered(answer);
    }
}

void portal_event(const char *line)
{
    enum vm_state before;

    (void)vm_table_event(line, &before);
}

/* ---- One conversation ---- */

static uint8_t data_of[VFU_DATA_MAX];

static void ask_all(void)
{
    struct vfu_area area[3];
    uint32_t data = 0, count = ARRAY_SIZE(area), bytes = 100;
    uint64_t size;

    if (vfu_begin(1, &data) == 0 && (data < 1024 || data > VFU_DATA_MAX)) {
        abort();
    }
    if (vfu_region(1, 0, &size, area, &count) == 0 && count > ARRAY_SIZE(area)) {
        abort();
    }
    (void)vfu_read(1, 1, 0, data_of, 200);
    (void)vfu_log_start(1);
    (void)vfu_log_report(1, 0, 64UL * 64 * PAGE_SIZE, data_of);
    if (vfu_save(2, data_of, &bytes) == 0 && bytes > 100) {
        abort();
    }
    (void)vfu_load(1, data_of, 3000);
    (void)vfu_set_state(1, VFU_STOP_COPY);
}

/* So that answers can be right: the header says to whom, by the command that was sent. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&portal, 0, sizeof(portal));
    portal.bus.ring = rings;
    input = data;
    left = size;
    taken_lag = size != 0 ? data[0] % 3 * 1000U : 0;
    sent = come = 0;
    portal_begin_session();
    vm_table_ask();
    while (!portal.ended && left != 0) {
        ask_all();
    }
    portal.bus.gone = false;
    portal_begin_session();
    if (portal.requests > PORTAL_REQUESTS_MAX || vm_table.count > VM_TABLE_MAX) {
        abort();
    }
    return 0;
}
