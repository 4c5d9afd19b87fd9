/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/pc/acpi_pm.h"

#include "vmm/base/little_endian.h"
#include "vmm/base/log.h"
#include "vmm/pc/clock.h"

#define GLOBAL_CONTROL 0x28U
#define TOP_BIT        23 /* the timer's highest; TMR_STS is set when it changes */

#define STATUS_TIMER        0x0001U
#define STATUS_GLOBAL       0x0020U
#define STATUS_POWER_BUTTON 0x0100U
#define STATUS_WRITABLE     0x8731U /* write one to clear: wake, RTC, buttons, GBL, BM, timer */
#define ENABLE_WRITABLE     0x0721U
#define CONTROL_SCI         0x0001U
#define CONTROL_WRITABLE    0x1c03U /* SLP_TYP, BM_RLD, SCI_EN; GBL_RLS and SLP_EN do not stay */
#define CONTROL_SLEEP       0x2000U
#define SLEEP_TYPE(control) ((control) >> 10 & 7U)
#define SLEEP_SOFT_OFF      0U /* what \_S5 says */

static const struct field acpi_pm_fields[] = {
    FIELD(struct acpi_pm_state, last, CLOCK_LAST),
    FIELD(struct acpi_pm_state, status, 0xffff),
    FIELD(struct acpi_pm_state, enable, 0xffff),
    FIELD(struct acpi_pm_state, control, 0xffff),
    FIELD(struct acpi_pm_state, global_control, UINT32_MAX),
    FIELD_ARRAY(struct acpi_pm_state, apm, 0xff),
};

static bool check_state(const void *state)
{
    const struct acpi_pm_state *pm = state;

    return (pm->status & ~(STATUS_TIMER | STATUS_GLOBAL | STATUS_POWER_BUTTON)) == 0 &&
           (pm->enable & ~ENABLE_WRITABLE) == 0 && (pm->control & ~CONTROL_WRITABLE) == 0;
}

const struct section acpi_pm_section =
    SECTION(struct acpi_pm_state, "acpi_pm", 1, acpi_pm_fields, check_state);

static uint64_t tick_at(uint64_t now)
{
    return clock_ticks(now, CLOCK_PM_HZ, 1);
}

void acpi_pm_derive(struct acpi_pm *pm)
{
    pm->next_event = CLOCK_NEVER;
    if ((pm->state.enable & ~pm->state.status & STATUS_TIMER) != 0 &&
        (pm->state.control & CONTROL_SCI) != 0) {
        uint64_t change = ((pm->state.last >> TOP_BIT) + 1) << TOP_BIT;

        pm->next_event = clock_time_of_tick(change, CLOCK_PM_HZ, 1);
    }
}

void acpi_pm_run(struct acpi_pm *pm, uint64_t now)
{
    uint64_t tick = tick_at(now);

    if (tick >> TOP_BIT != pm->state.last >> TOP_BIT) {
        pm->state.status |= STATUS_TIMER;
    }
    pm->state.last = tick;
    acpi_pm_derive(pm);
}

void acpi_pm_reset(struct acpi_pm *pm, uint64_t now)
{
    *pm = (struct acpi_pm){
        .state = {.last = tick_at(now), .control = CONTROL_SCI}
    };
    acpi_pm_derive(pm);
}

bool acpi_pm_irq(const struct acpi_pm *pm)
{
    return (pm->state.status & pm->state.enable) != 0 && (pm->state.control & CONTROL_SCI) != 0;
}

void acpi_pm_power_button(struct acpi_pm *pm)
{
    pm->state.status |= STATUS_POWER_BUTTON;
}

static uint32_t read_dword(const struct acpi_pm *pm, unsigned offset)
{
    switch (offset) {
    case ACPI_PM_STATUS:
        return pm->state.status | (uint32_t)pm->state.enable << 16;
    case ACPI_PM_CONTROL:
        return pm->state.control;
    case ACPI_PM_TIMER:
        return (uint32_t)(pm->state.last & ((2ULL << TOP_BIT) - 1));
    case GLOBAL_CONTROL:
        return pm->state.global_control;
    default:
        return 0;
    }
}

uint32_t acpi_pm_read(struct acpi_pm *pm, unsigned offset, unsigned width, uint64_t now)
{
    acpi_pm_run(pm, now);
    uint32_t value = read_dword(pm, offset & ~3U) >> (offset & 3U) * 8;

    return value & all_ones(width);
}

static enum acpi_pm_request write_control(struct acpi_pm *pm, uint32_t value, uint32_t mask)
{
    uint32_t writable = CONTROL_WRITABLE & mask;

    pm->state.control = (uint16_t)((pm->state.control & ~writable) | (value & writable));
    if ((value & mask & CONTROL_SLEEP) == 0) {
        return ACPI_PM_NOTHING;
    }
    if (SLEEP_TYPE(pm->state.control) == SLEEP_SOFT_OFF) {
        return ACPI_PM_POWER_OFF;
    }
    if (pm->ignored_sleeps++ == 0) {
        log_warn("guest: ACPI sleep type %u is not offered by the virtual machine and is ignored; "
                 "the guest may use S5 (type 0)",
                 (unsigned)SLEEP_TYPE(pm->state.control));
    }
    return ACPI_PM_NOTHING;
}

enum acpi_pm_request acpi_pm_write(struct acpi_pm *pm, unsigned offset, unsigned width,
                                   uint32_t value, uint64_t now)
{
    unsigned shift = (offset & 3U) * 8;
    uint32_t mask = all_ones(width) << shift;
    enum acpi_pm_request request = ACPI_PM_NOTHING;

    value = value << shift & mask;
    acpi_pm_run(pm, now);
    switch (offset & ~3U) {
    case ACPI_PM_STATUS:
        pm->state.status &= (uint16_t) ~(value & STATUS_WRITABLE);
        pm->state.enable =
            (uint16_t)((pm->state.enable & ~(mask >> 16)) | (value >> 16 & ENABLE_WRITABLE));
        break;
    case ACPI_PM_CONTROL:
        request = write_control(pm, value, mask);
        break;
    case GLOBAL_CONTROL:
        pm->state.global_control = (pm->state.global_control & ~mask) | value;
        break;
    default: /* the timer is read only */
        break;
    }
    acpi_pm_derive(pm);
    return request;
}

uint8_t acpi_pm_apm_read(const struct acpi_pm *pm, uint16_t port)
{
    return pm->state.apm[port & 1U];
}

void acpi_pm_apm_write(struct acpi_pm *pm, uint16_t port, uint8_t value)
{
    pm->state.apm[port & 1U] = value;
    if (port == ACPI_PM_PORT_APM && value == ACPI_PM_ENABLE) {
        pm->state.control |= CONTROL_SCI;
    } else if (port == ACPI_PM_PORT_APM && value == ACPI_PM_DISABLE) {
        pm->state.control &= (uint16_t)~CONTROL_SCI;
    }
    acpi_pm_derive(pm);
}
