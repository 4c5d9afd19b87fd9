/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/portal_function.h"

#include "vmm/base/guest_map.h"
#include "vmm/base/little_endian.h"
#include "vmm/pc/pci_host.h"

#include <string.h>

#define MAGIC   0x54524f50U /* "PORT" */
#define VERSION 1U

#define CONFIG_COMMAND  0x04U
#define CONFIG_STATUS   0x06U
#define CONFIG_BAR      0x10U
#define COMMAND_MEMORY  0x0002U
#define COMMAND_NO_INTX 0x0400U
#define STATUS_INTX     0x08U

/* A guest's addresses end there, whatever its CPUID says. */
#define ADDRESS_END (1ULL << 48)

static bool check_state(const void *state)
{
    const struct portal_function_state *s = state;
    uint8_t config[PCI_CONFIG_SIZE];

    memcpy(config, s->config, sizeof(config));
    config[CONFIG_STATUS] &= (uint8_t)~STATUS_INTX;
    return s->session != 0 && pci_table_fits(&pci_portal_registers, config);
}

static const struct field portal_fields[] = {
    FIELD(struct portal_function_state, session, UINT32_MAX),
    FIELD(struct portal_function_state, sent, UINT32_MAX),
    FIELD(struct portal_function_state, taken, UINT32_MAX),
    FIELD(struct portal_function_state, come, UINT32_MAX),
    FIELD(struct portal_function_state, read, UINT32_MAX),
    FIELD(struct portal_function_state, status, PORTAL_STATUS_NEWS | PORTAL_STATUS_ENDED),
    FIELD(struct portal_function_state, enable, PORTAL_STATUS_NEWS),
    FIELD_ARRAY(struct portal_function_state, config, 0xff),
};

const struct section portal_section =
    SECTION(struct portal_function_state, "portal", 1, portal_fields, check_state);

static void begin_session(struct portal_function_state *s)
{
    uint32_t next = s->session + 1;

    s->session = next == 0 ? 1 : next;
    s->sent = s->taken = s->come = s->read = 0;
    s->status = 0;
}

/* What lies in the rings is of before: a program that does not know of the reset must not have it
 * carried out once more. */
void portal_function_reset(struct portal_function *f)
{
    begin_session(&f->state);
    f->state.status = PORTAL_STATUS_ENDED;
    f->state.enable = 0;
    pci_table_reset(&pci_portal_registers, f->state.config);
}

uint32_t portal_function_read(const struct portal_function *f, uint32_t offset, unsigned width)
{
    const struct portal_function_state *s = &f->state;
    const uint32_t values[] = {MAGIC,   VERSION, PORTAL_RING, PORTAL_WINDOW, s->sent,   s->taken,
                               s->come, s->read, s->status,   s->enable,     s->session};

    if (width != 4 || offset % 4 != 0 || offset / 4 >= ARRAY_SIZE(values)) {
        return all_ones(width);
    }
    return values[offset / 4];
}

bool portal_function_write(struct portal_function *f, uint32_t offset, unsigned width,
                           uint32_t value)
{
    struct portal_function_state *s = &f->state;

    if (width != 4) {
        return false;
    }
    switch (offset) {
    case PORTAL_SENT:
        s->sent = value;
        return true;
    case PORTAL_READ:
        s->read = value;
        return true;
    case PORTAL_STATUS:
        s->status &= (uint8_t) ~(value & PORTAL_STATUS_NEWS);
        return false;
    case PORTAL_ENABLE:
        s->enable = value & PORTAL_STATUS_NEWS;
        return false;
    case PORTAL_SESSION:
        if (value == 1) {
            begin_session(s);
        }
        return value == 1;
    default:
        return false;
    }
}

void portal_function_look(const struct portal_function *f, struct portal_look *look)
{
    *look = (struct portal_look){f->state.session, f->state.sent, f->state.read,
                                 (f->state.status & PORTAL_STATUS_ENDED) != 0};
}

void portal_function_tell(struct portal_function *f, uint32_t session, uint32_t taken,
                          uint32_t come, bool ended)
{
    struct portal_function_state *s = &f->state;

    if (session != s->session) {
        return;
    }
    if (taken != s->taken || come != s->come || ended) {
        s->status |= PORTAL_STATUS_NEWS;
    }
    s->status |= ended ? PORTAL_STATUS_ENDED : 0;
    s->taken = taken;
    s->come = come;
}

bool portal_function_settle(struct portal_function *f)
{
    uint8_t *config = f->state.config;
    bool raised = (f->state.status & f->state.enable) != 0;

    config[CONFIG_STATUS] =
        (uint8_t)((config[CONFIG_STATUS] & ~STATUS_INTX) | (raised ? STATUS_INTX : 0));
    return raised && (bytes_get(config + CONFIG_COMMAND, 2) & COMMAND_NO_INTX) == 0;
}

static bool lies_in(uint64_t base, uint64_t size, uint64_t from, uint64_t end)
{
    return base >= from && range_fits(base, size, end);
}

uint64_t portal_function_base(const struct portal_function_state *state, enum portal_bar bar,
                              uint64_t ram_end)
{
    static const uint32_t sizes[] = {PORTAL_REGISTERS, 2 * PORTAL_RING, PORTAL_WINDOW};
    const uint8_t *at = state->config + CONFIG_BAR + 4UL * bar;
    uint64_t base = bytes_get(at, bar == PORTAL_BAR_WINDOW ? 8 : 4) & ~15ULL;
    uint64_t above = ram_end < 1ULL << 32 ? 1ULL << 32 : ram_end;
    bool fits = lies_in(base, sizes[bar], PCI_HOLE_BASE, PCI_HOLE_END) ||
                lies_in(base, sizes[bar], above, ADDRESS_END);

    return (state->config[CONFIG_COMMAND] & COMMAND_MEMORY) != 0 && fits ? base : 0;
}
